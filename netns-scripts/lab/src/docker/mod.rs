//! A real dockerd in a network namespace, with folders of its own, so that several run side by side.

mod image;
mod remains;

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

pub use image::BinaryImage;
pub use remains::remove as remove_remains;

use crate::{LabError, Stamp, sleep_until};

/// dockerd takes less than a second to start, and several to stop with containers.
const PATIENCE: Duration = Duration::from_secs(60);
const PACE: Duration = Duration::from_millis(20);

/// Where Debian has it; on the path there may be another.
const CLI: &str = "/usr/bin/docker";

/// An OCI runtime for machines without CAP_SYS_RESOURCE, where runc fails on a negative `oomScoreAdj`.
const RUNTIME: &str = r#"#!/bin/sh
previous=
for argument; do
  [ "$previous" = --bundle ] && config=$argument/config.json
  previous=$argument
done
[ -f "${config:-}" ] && sed -i 's/"oomScoreAdj":-[0-9]*/"oomScoreAdj":0/' "$config"
exec runc "$@"
"#;

/// Where a dockerd is and how it is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    /// The network namespace, as `ip netns` knows it.
    pub namespace: String,
    /// For all its files. A short path: sockets are in there.
    pub directory: PathBuf,
    /// Whether containers outlive it.
    pub live_restore: bool,
    /// Whether a negative `oom_score_adj` is raised to 0 before runc sees it.
    pub oom_runtime: bool,
}

/// A dockerd. Dropping it kills it, everything in its namespace that it started, and removes its files and mounts.
#[derive(Debug)]
pub struct Dockerd {
    setup: Setup,
    child: Option<Child>,
}

/// Whether docker is installed.
pub fn is_installed() -> bool {
    Path::new(CLI).exists() && Path::new("/usr/sbin/dockerd").exists()
}

impl Setup {
    /// With live-restore and the runtime that spares `oom_score_adj`.
    pub fn new(namespace: impl Into<String>, directory: impl Into<PathBuf>) -> Self {
        let (namespace, directory) = (namespace.into(), directory.into());
        Self { namespace, directory, live_restore: true, oom_runtime: true }
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.directory.join("docker.sock")
    }

    /// Makes the directory, the runtime and an empty configuration.
    ///
    /// # Errors
    /// If they cannot be made.
    pub fn prepare(&self) -> io::Result<()> {
        fs::create_dir_all(&self.directory)?;
        // In place of the machine's own.
        fs::write(self.directory.join("daemon.json"), "{}")?;
        let runtime = self.directory.join("runtime");
        fs::write(&runtime, RUNTIME)?;
        fs::set_permissions(&runtime, fs::Permissions::from_mode(0o755))
    }

    /// dockerd and its arguments, to be run in the namespace.
    pub fn command_line(&self) -> Vec<String> {
        let file = |name: &str| self.directory.join(name).display().to_string();
        let mut line = vec![
            "/usr/sbin/dockerd".to_owned(),
            format!("--host=unix://{}", self.socket().display()),
            format!("--data-root={}", file("data")),
            format!("--exec-root={}", file("exec")),
            format!("--pidfile={}", file("docker.pid")),
            format!("--config-file={}", file("daemon.json")),
            format!("--cgroup-parent=/{}", self.namespace),
            "--iptables=false".to_owned(),
            "--bridge=none".to_owned(),
        ];
        if self.live_restore {
            line.push("--live-restore".to_owned());
        }
        if self.oom_runtime {
            line.push(format!("--add-runtime=lab={}", file("runtime")));
            line.push("--default-runtime=lab".to_owned());
        }
        line
    }

    /// The same, entering the namespace first. Not by `ip netns exec`, which hides the cgroups.
    pub fn command_line_from_outside(&self) -> Vec<String> {
        let mut line =
            vec!["/usr/bin/nsenter".to_owned(), format!("--net=/run/netns/{}", self.namespace)];
        line.extend(self.command_line());
        line
    }
}

impl Dockerd {
    /// Prepares one that does not run yet: for [`start`](Self::start), or for somebody else to start.
    ///
    /// # Errors
    /// If its directory cannot be made.
    pub fn new(setup: Setup) -> Result<Self, LabError> {
        setup.prepare().map_err(LabError::instrument("preparing dockerd"))?;
        Ok(Self { setup, child: None })
    }

    /// Where it is.
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// With or without live-restore from its next start on.
    pub fn set_live_restore(&mut self, live_restore: bool) {
        self.setup.live_restore = live_restore;
    }

    /// Starts it and waits until it answers.
    ///
    /// # Errors
    /// If it cannot be started or does not answer within a minute; then with the end of its log.
    pub fn start(&mut self) -> Result<(), LabError> {
        let error = LabError::instrument("starting dockerd");
        let log = self.setup.directory.join("dockerd.log");
        let log = File::options().create(true).append(true).open(log);
        let line = self.setup.command_line_from_outside();
        let child = log.and_then(|log| {
            Command::new(&line[0])
                .args(&line[1..])
                .stdin(Stdio::null())
                .stdout(log.try_clone()?)
                .stderr(log)
                .process_group(0)
                .spawn()
        });
        self.child = Some(child.map_err(error)?);
        self.answers()
    }

    fn has_ended(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(Some(_))))
    }

    /// Waits until it answers, whoever started it.
    ///
    /// # Errors
    /// If it does not within a minute, or has ended.
    pub fn answers(&mut self) -> Result<(), LabError> {
        let mut answers = false;
        wait_until(|| {
            answers = ping(&self.setup.socket()).is_ok();
            answers || self.has_ended()
        });
        answers.then_some(()).ok_or_else(|| {
            let log = fs::read_to_string(self.setup.directory.join("dockerd.log"));
            let log = log.unwrap_or_default();
            let end: Vec<&str> = log.lines().rev().take(5).collect();
            LabError::Deadline(format!("dockerd to answer; its log, last line first: {end:?}"))
        })
    }

    /// Kills it with SIGKILL, and waits until another one can start. Its containers run on.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
            self.containerd_is_gone();
        }
    }

    /// Waits for the end of the containerd that dies with a killed dockerd. Until the machine's first process has reaped it
    /// the next dockerd takes it for alive and waits for it in vain.
    pub fn containerd_is_gone(&self) {
        let file = self.setup.directory.join("exec/containerd/containerd.pid");
        let pid = fs::read_to_string(file).unwrap_or_default();
        let process = Path::new("/proc").join(pid.trim());
        wait_until(|| pid.is_empty() || !process.exists());
    }

    /// Freezes it, or lets it go on: it hangs, with its socket there.
    pub fn freeze(&self, frozen: bool) {
        let signal = if frozen { Signal::SIGSTOP } else { Signal::SIGCONT };
        if let Some(child) = &self.child {
            let _ = kill(Pid::from_raw(child.id().cast_signed()), signal);
        }
    }

    /// Stops it with SIGTERM and waits for its end.
    ///
    /// # Errors
    /// If it has not ended after a minute.
    pub fn stop(&mut self) -> Result<(), LabError> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        let _ = kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM);
        if wait_until(|| matches!(child.try_wait(), Ok(Some(_)))) {
            return Ok(());
        }
        self.child = Some(child);
        Err(LabError::Deadline("dockerd to stop".to_owned()))
    }

    /// Runs docker's own command line; what it prints.
    ///
    /// # Errors
    /// If it fails; with what it says.
    pub fn docker(&self, arguments: &[&str]) -> Result<String, LabError> {
        output(self.cli().args(arguments))
    }

    fn cli(&self) -> Command {
        let mut command = Command::new(CLI);
        command.arg(format!("--host=unix://{}", self.setup.socket().display()));
        command.stdin(Stdio::null());
        command
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        self.kill();
        remains::remove(&self.setup.namespace, &self.setup.directory);
    }
}

fn wait_until(mut is_so: impl FnMut() -> bool) -> bool {
    let end = Stamp::now() + PATIENCE;
    loop {
        if is_so() {
            return true;
        }
        let now = Stamp::now();
        if now > end {
            return false;
        }
        sleep_until(now + PACE);
    }
}

fn ping(socket: &Path) -> io::Result<()> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    stream.write_all(b"GET /_ping HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    answer.contains(" 200 ").then_some(()).ok_or_else(|| io::Error::other(answer))
}

fn output(command: &mut Command) -> Result<String, LabError> {
    let output = command.output().map_err(LabError::instrument("running docker"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned());
    }
    Err(LabError::Command {
        command: format!("{command:?}"),
        message: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}
