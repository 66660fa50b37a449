//! A program's exit code, as keepalived's `vrrp_script` has it: no shell, a process group of its own, an
//! unprivileged user, never two at once.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};

use nix::unistd::{User, geteuid};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::net::unix::pipe;
use tokio::process::Child;

use super::Progress;
use crate::config::Command;
use crate::health::sample::Sample;
use crate::health::slow::Slow;
use crate::health::status::micros;
use crate::health::words::shown;

/// Of the output so many bytes are kept, the last ones.
const KEPT: usize = 4096;
const MAX_TOLD: usize = 200;
const DEFAULT_USER: &str = "nobody";
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

pub struct Exec {
    check: String,
    command: Command,
    /// The start hangs as long as the disk that the program is on.
    starting: Slow<io::Result<Running>>,
    /// Also one that was killed: it may take the kernel a while.
    running: Option<Running>,
}

/// A program that runs. Its whole process group is killed when this is dropped.
struct Running {
    child: Child,
    output: pipe::Receiver,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Running {
    /// Kills the group, unless its first process was waited for: its number may be another's then.
    fn kill(&self) {
        let group = self.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        if let Some(group) = group {
            // It may just have ended.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Exec {
    pub fn new(check: &str, command: &Command) -> Self {
        let (check, command) = (check.to_owned(), command.clone());
        Self { check, command, starting: Slow::default(), running: None }
    }

    pub async fn attempt(&mut self, progress: &mut Progress) -> Result<Sample, Sample> {
        self.bury(progress).await;
        let start = progress.enter("the program could not be started");
        let (check, command) = (self.check.clone(), self.command.clone());
        let started = self.starting.get(move || spawn(&check, &command)).await;
        let running = started.flatten().map_err(|error| {
            Sample::fail(format!("{} cannot be run: {error}", self.command.program.display()))
        })?;
        progress.enter("the program did not end and was killed");
        let running = self.running.insert(running);
        let (status, output) = finish(running).await.map_err(|error| {
            Sample::timeout(format!("the program cannot be waited for: {error}"))
        })?;
        self.running = None;
        progress.latency.answer_us = Some(micros(start.elapsed()));
        judge(status, &output)
    }

    /// The time of this run is up.
    pub fn give_up(&self) {
        if let Some(running) = &self.running {
            running.kill();
        }
    }

    /// Waits for the run before this one, if it was given up.
    async fn bury(&mut self, progress: &mut Progress) {
        if let Some(killed) = &mut self.running {
            progress.enter("the run before was killed and does not end");
            killed.kill();
            // An error means that there is nothing to wait for.
            let _ = killed.child.wait().await;
            self.running = None;
        }
    }
}

/// Waits for the program and takes the end of what it wrote. What it leaves behind in the background
/// may hold on to the pipe: that is not waited for.
async fn finish(running: &mut Running) -> io::Result<(ExitStatus, Vec<u8>)> {
    let Running { child, output: pipe } = running;
    let mut output = Vec::new();
    let status = loop {
        tokio::select! {
            status = child.wait() => break status?,
            readable = pipe.readable() => {
                readable?;
                if drain(pipe, &mut output)? == Drained::Ended {
                    break child.wait().await?;
                }
                // Whoever writes without an end must not keep the others waiting.
                tokio::task::yield_now().await;
            }
        }
    };
    drain(pipe, &mut output)?;
    Ok((status, output))
}

#[derive(PartialEq, Eq)]
enum Drained {
    ForNow,
    Ended,
}

/// Reads what is there, at most a pipe full.
fn drain(pipe: &pipe::Receiver, output: &mut Vec<u8>) -> io::Result<Drained> {
    const PIPE: usize = 16;
    let mut bytes = [0; KEPT];
    for _ in 0..PIPE {
        match pipe.try_read(&mut bytes) {
            Ok(0) => return Ok(Drained::Ended),
            Ok(length) => {
                output.extend_from_slice(&bytes[..length]);
                let surplus = output.len().saturating_sub(KEPT);
                output.drain(..surplus);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(Drained::ForNow)
}

fn judge(status: ExitStatus, output: &[u8]) -> Result<Sample, Sample> {
    let words = match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("ended by signal {signal}"),
        (None, None) => status.to_string(),
    };
    let output = String::from_utf8_lossy(output);
    let last = output.lines().map(str::trim).rfind(|line| !line.is_empty());
    let words = match last {
        Some(line) => format!("{words}: {}", shown(line, MAX_TOLD)),
        None => words,
    };
    if status.success() { Ok(Sample::pass(words)) } else { Err(Sample::fail(words)) }
}

/// Starts the program. Runs on a thread where it may take its time.
fn spawn(check: &str, command: &Command) -> io::Result<Running> {
    let (reader, writer) = io::pipe()?;
    let mut child = tokio::process::Command::new(&command.program);
    child
        .args(&command.arguments)
        .env_clear()
        .env("PATH", PATH)
        .env("MAINSTAY_CHECK", check)
        .envs(&command.env)
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer);
    if let Some(user) = user(command.user.as_deref())? {
        // The supplementary groups go with the user.
        child.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    let child = child.spawn().map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => io::Error::other(format!(
            "{error} (as the user {}; mainstay needs CAP_SETUID and CAP_SETGID to become that)",
            command.user.as_deref().unwrap_or(DEFAULT_USER)
        )),
        _ => error,
    })?;
    Ok(Running { child, output: pipe::Receiver::from_owned_fd(OwnedFd::from(reader))? })
}

/// As whom the program runs; `None`: as we do, where we could not become anybody else anyway.
fn user(name: Option<&str>) -> io::Result<Option<User>> {
    if name.is_none() && !geteuid().is_root() {
        return Ok(None);
    }
    let name = name.unwrap_or(DEFAULT_USER);
    match User::from_name(name)? {
        Some(user) => Ok(Some(user)),
        None => Err(io::Error::other(format!("there is no user {name}: set `user`"))),
    }
}
