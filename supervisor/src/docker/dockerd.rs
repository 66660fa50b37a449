//! dockerd as a unit.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::remains::PID_FILE;
use super::{Client, Remains};
use crate::adopt::boot_id;
use crate::backend::exec::{ExecSpec, Process};
use crate::backend::{Backend, Ended, Fault, Identity, Logs, Pending, Readiness, Running};

/// In place of a specification's hash: nobody's of ours.
const FOREIGN: &str = "foreign";
/// How long the kernel may take to end what was killed.
const DYING: Duration = Duration::from_secs(10);

/// What mainstay starts dockerd with where it does so itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DockerdOptions {
    /// The program.
    pub program: std::path::PathBuf,
    /// Where it listens.
    pub socket: std::path::PathBuf,
    /// Whether containers outlive it.
    pub live_restore: bool,
    /// Further arguments, such as `--data-root=...`.
    pub arguments: Vec<String>,
}

impl Default for DockerdOptions {
    /// Debian's dockerd on the usual socket, with live-restore.
    fn default() -> Self {
        Self {
            program: "/usr/sbin/dockerd".into(),
            socket: super::DEFAULT_SOCKET.into(),
            live_restore: true,
            arguments: Vec::new(),
        }
    }
}

impl DockerdOptions {
    /// As a process to start.
    pub fn exec(&self) -> ExecSpec {
        let mut args = vec![format!("--host=unix://{}", self.socket.display())];
        if self.live_restore {
            args.push("--live-restore".to_owned());
        }
        args.extend(self.arguments.iter().cloned());
        // As its unit file has it: containers inherit what dockerd may open.
        ExecSpec { args, open_files: Some(1 << 20), ..ExecSpec::new(&self.program) }
    }
}

/// Some dockerd on the socket: started by `carrier`, a process of ours or systemd's docker.service, or by somebody else.
pub struct Dockerd {
    client: Client,
    carrier: Arc<dyn Backend>,
    remains: Option<Remains>,
}

impl Dockerd {
    /// The dockerd that `client` asks, and that `carrier` starts where none answers.
    pub fn new(client: Client, carrier: Arc<dyn Backend>) -> Self {
        Self { client, carrier, remains: None }
    }

    /// The same, with what an earlier one has left cleared away before each start.
    #[must_use]
    pub fn clearing(self, remains: Remains) -> Self {
        Self { remains: Some(remains), ..self }
    }

    /// One that answers though `carrier` knows nothing of it.
    async fn foreign(&self) -> Result<Option<Running>, Fault> {
        let Ok(stream) = UnixStream::connect(self.client.socket()).await else { return Ok(None) };
        let pid = listener(&stream).or_else(|| recorded(Path::new(PID_FILE)));
        if self.client.ping().await.is_err() {
            return Ok(None);
        }
        // To ask may have made systemd start it: docker.socket does.
        if let Ok(Some(running)) = self.carrier.adopt(None).await {
            return Ok(Some(running));
        }
        let process = pid.and_then(Process::of).ok_or_else(|| {
            Fault::passing(format!(
                "a dockerd that mainstay did not start answers on {}, and cannot be told from its socket: \
                 start it by docker.service, or let mainstay start it",
                self.client.socket().display()
            ))
        })?;
        let boot = boot_id().map_err(|error| Fault::passing(format!("/proc: {error}")))?;
        let identity = Identity::Process {
            pid: process.pid,
            start_time: process.start_time,
            boot,
            spec_hash: FOREIGN.to_owned(),
        };
        Ok(Some(Running { identity, age: process.age(), drift: None }))
    }
}

/// The process that listens at the other end; none if that is systemd, which hands its sockets on.
fn listener(stream: &UnixStream) -> Option<u32> {
    let pid = stream.peer_cred().ok()?.pid()?;
    u32::try_from(pid).ok().filter(|pid| *pid > 1)
}

fn recorded(path: &Path) -> Option<u32> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// The foreign process that this is, if that runs still.
fn foreign_process(what: &Identity) -> Option<Option<Process>> {
    match what {
        Identity::Process { pid, start_time, boot, spec_hash } if spec_hash == FOREIGN => {
            let process = Process { pid: *pid, start_time: *start_time };
            let same_boot = boot_id().is_ok_and(|now| now == *boot);
            Some((same_boot && process.is_alive()).then_some(process))
        }
        _ => None,
    }
}

/// Returns when it has ended; an error is that it was gone already.
async fn gone(process: Process) -> io::Result<()> {
    process.watch()?.readable().await.map(drop)
}

async fn stop_foreign(process: Process, patience: Duration) -> Result<(), Fault> {
    for (signal, patience) in [(Signal::TERM, patience), (Signal::KILL, DYING)] {
        process.signal(signal);
        if timeout(patience, gone(process)).await.is_ok() {
            return Ok(());
        }
    }
    Err(Fault::passing(format!(
        "dockerd, process {}, does not end though it was killed",
        process.pid
    )))
}

impl Backend for Dockerd {
    fn adopt<'a>(
        &'a self,
        known: Option<&'a Identity>,
    ) -> Pending<'a, Result<Option<Running>, Fault>> {
        Box::pin(async move {
            let known = known.filter(|known| foreign_process(known).is_none());
            match self.carrier.adopt(known).await {
                Ok(None) => self.foreign().await,
                // Without systemd, say, there may still be a dockerd.
                Err(fault) => self.foreign().await?.map(Some).ok_or(fault),
                found => found,
            }
        })
    }

    fn start(&self) -> Pending<'_, Result<Running, Fault>> {
        Box::pin(async {
            if let Some(remains) = &self.remains {
                remains.clear().await;
            }
            self.carrier.start().await
        })
    }

    fn stop<'a>(
        &'a self,
        what: &'a Identity,
        patience: Duration,
    ) -> Pending<'a, Result<(), Fault>> {
        Box::pin(async move {
            match foreign_process(what) {
                Some(Some(process)) => stop_foreign(process, patience).await,
                Some(None) => Ok(()),
                None => self.carrier.stop(what, patience).await,
            }
        })
    }

    fn ended<'a>(&'a self, what: &'a Identity) -> Pending<'a, Ended> {
        Box::pin(async move {
            match foreign_process(what) {
                Some(process) => {
                    if let Some(process) = process {
                        let _ = gone(process).await;
                    }
                    let reason = "dockerd, which mainstay did not start, has ended".to_owned();
                    Ended { reason, success: false }
                }
                None => self.carrier.ended(what).await,
            }
        })
    }

    fn readiness<'a>(&'a self, _: &'a Identity) -> Pending<'a, Readiness> {
        Box::pin(async move {
            match self.client.ping().await {
                Ok(()) => Readiness::Ready,
                Err(error) => Readiness::NotReady(error.to_string()),
            }
        })
    }

    fn logs(&self, lines: usize, follow: bool) -> Pending<'_, Result<Logs, Fault>> {
        self.carrier.logs(lines, follow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_mainstay_starts_has_live_restore_unless_told_otherwise() {
        let options = DockerdOptions {
            arguments: vec!["--data-root=/disk".to_owned()],
            ..DockerdOptions::default()
        };
        let args = options.exec().args;
        assert_eq!(args, ["--host=unix:///run/docker.sock", "--live-restore", "--data-root=/disk"]);
        let without = DockerdOptions { live_restore: false, ..options };
        assert!(!without.exec().args.iter().any(|argument| argument == "--live-restore"));
    }
}
