//! Processes of ours: each in a process group and, where possible, a cgroup of its own, writing to its own log file.
//!
//! They are meant to outlive mainstay. A successor finds them by what the state on disk says, or else by two variables
//! in their environment: so not even a SIGKILL between a start and the next write of the state loses one.

mod cgroup;
mod log;
mod process;
mod spawn;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::Signal;
use serde::Serialize;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use super::{Backend, Ended, Fault, Identity, Logs, Pending, Readiness, Running};
use crate::adopt::boot_id;
use crate::backend::hash::spec_hash;
use crate::readiness::Probe;
use crate::unit::Name;
pub(crate) use process::Process;

/// How often it is looked whether a log has grown too long.
const LOG_PACE: Duration = Duration::from_secs(10);
/// How long the kernel may take to end what was killed: it may be writing to a disk.
const DYING: Duration = Duration::from_secs(10);
/// How often it is looked whether the rest of a process group has ended: nothing tells.
const GROUP_PACE: Duration = Duration::from_millis(20);

/// What to run. No shell is involved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExecSpec {
    /// The program, as an absolute path.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its whole environment, but for `PATH`, which has a default, and the variables by which it is found again.
    pub env: BTreeMap<String, String>,
    /// Its working directory.
    pub dir: PathBuf,
    /// Its `oom_score_adj`, -1000 to 1000; `None`: mainstay's own, or 0 if that is negative. If the kernel refuses it,
    /// that is logged, and the unit runs without.
    pub oom_score_adj: Option<i16>,
    /// How many descriptors it may open. The same if refused.
    pub open_files: Option<u64>,
}

impl ExecSpec {
    /// This program without arguments, in `/`, with the system's limits.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            env: BTreeMap::new(),
            dir: PathBuf::from("/"),
            oom_score_adj: None,
            open_files: None,
        }
    }

    fn hash(&self) -> String {
        // What cannot be written as JSON, such as a path that is no text, hashes as nothing.
        spec_hash(&serde_json::to_string(self).unwrap_or_default())
    }
}

/// Where processes belong and write to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Tells the processes of this mainstay from those of others on the machine: its state directory.
    pub instance: PathBuf,
    /// Logs go to `UNIT.log` in here.
    pub logs: PathBuf,
}

/// Runs a process of ours. Cheap to clone; clones are one and the same.
#[derive(Clone)]
pub struct Exec {
    inner: Arc<Inner>,
}

struct Inner {
    unit: Name,
    spec: ExecSpec,
    spec_hash: String,
    probe: Probe,
    place: Place,
    /// The processes that were started in this life of mainstay and not waited for. Locked while one is started.
    children: Arc<Mutex<BTreeMap<u32, Child>>>,
}

impl Exec {
    /// A process for `unit`, which is ready when `probe` says so.
    pub fn new(unit: Name, spec: ExecSpec, probe: Probe, place: Place) -> Self {
        let (spec_hash, children) = (spec.hash(), Arc::default());
        Self { inner: Arc::new(Inner { unit, spec, spec_hash, probe, place, children }) }
    }

    /// The same unit with another specification: what either has started, both know.
    pub(crate) fn with_spec(&self, spec: ExecSpec) -> Self {
        let it = &self.inner;
        let (unit, probe, place) = (it.unit.clone(), it.probe.clone(), it.place.clone());
        let (spec_hash, children) = (spec.hash(), Arc::clone(&it.children));
        Self { inner: Arc::new(Inner { unit, spec, spec_hash, probe, place, children }) }
    }

    /// Does what may take long, since disks hang, on a thread for that.
    async fn slowly<T: Send + 'static>(
        &self,
        what: impl FnOnce(&Inner) -> T + Send + 'static,
    ) -> Result<T, Fault> {
        let inner = Arc::clone(&self.inner);
        let done = tokio::task::spawn_blocking(move || what(&inner)).await;
        done.map_err(|error| Fault::passing(format!("mainstay is short of threads: {error}")))
    }

    /// Waits for the end of the leader of the unit's process group, which stays unreaped if it is a child.
    async fn leader_ended(&self, process: &Process) {
        let Ok(handle) = process.watch() else { return };
        let mut pace = interval(LOG_PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                // An error would mean that it is not watched; the supervisor compares each half minute.
                readable = handle.readable() => match readable {
                    Ok(_) => return,
                    Err(_) => std::future::pending().await,
                },
                _ = pace.tick() => {
                    let rotated = self.slowly(|it| log::rotate(&it.log())).await;
                    if let Ok(Err(error)) = rotated {
                        tracing::warn!(unit = %self.inner.unit, %error, "the log cannot be rotated");
                    }
                }
            }
        }
    }

    /// Ends what the leader, which has ended, left behind in its group, and reaps the leader.
    async fn clear(&self, process: Process, patience: Duration) -> Option<ExitStatus> {
        if !Self::is_alone(process, patience).await {
            process.signal_group(Signal::KILL);
            Self::is_alone(process, DYING).await;
        }
        let status = self.slowly(move |it| it.reap(process.pid)).await;
        status.ok().flatten()
    }

    /// Waits until nobody else of a process group lives; `false` if somebody still does then.
    async fn is_alone(process: Process, patience: Duration) -> bool {
        let end = Instant::now() + patience;
        while process.group_has_others() {
            if Instant::now() >= end {
                return false;
            }
            sleep(GROUP_PACE).await;
        }
        true
    }
}

impl Inner {
    fn log(&self) -> PathBuf {
        self.place.logs.join(format!("{}.log", self.unit))
    }

    fn identity(&self, process: Process, spec_hash: String) -> Result<Identity, Fault> {
        let boot = boot_id().map_err(|error| Fault::passing(format!("/proc: {error}")))?;
        Ok(Identity::Process { pid: process.pid, start_time: process.start_time, boot, spec_hash })
    }

    fn children(&self) -> std::sync::MutexGuard<'_, BTreeMap<u32, Child>> {
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The exit status of a child that has ended.
    fn reap(&self, pid: u32) -> Option<ExitStatus> {
        let child = self.children().remove(&pid);
        let status = child.and_then(|mut it| it.wait().ok());
        cgroup::remove(&self.unit);
        status
    }

    fn adopt(&self, known: Option<&Identity>) -> Result<Option<Running>, Fault> {
        // Whoever starts one just now is waited for.
        let children = self.children();
        let remembered = match known {
            Some(Identity::Process { pid, start_time, boot, spec_hash })
                if boot_id().is_ok_and(|now| now == *boot) =>
            {
                let process = Process { pid: *pid, start_time: *start_time };
                process.is_alive().then(|| (process, spec_hash.clone()))
            }
            _ => None,
        };
        let found = match remembered {
            Some(found) => Some(found),
            None => process::find(&self.unit, &self.place.instance, &self.spec.program)
                .map_err(|error| Fault::passing(format!("/proc cannot be read: {error}")))?,
        };
        drop(children);
        let Some((process, started_from)) = found else { return Ok(None) };
        let drift = (started_from != self.spec_hash).then(|| {
            "it was started with another program, arguments, environment or limits".to_owned()
        });
        let identity = self.identity(process, started_from)?;
        Ok(Some(Running { identity, age: process.age(), drift }))
    }

    fn start(&self) -> Result<Running, Fault> {
        let mut children = self.children();
        let child =
            spawn::spawn(&self.unit, &self.spec, &self.spec_hash, &self.place, &self.log())?;
        let pid = child.id();
        // A child that was not waited for keeps its place in /proc, even if it has ended.
        let process = Process::of(pid);
        children.insert(pid, child);
        let process = process
            .ok_or_else(|| Fault::passing("/proc does not show what was started: mount /proc"))?;
        let identity = self.identity(process, self.spec_hash.clone())?;
        Ok(Running { identity, age: Some(Duration::ZERO), drift: None })
    }
}

impl Backend for Exec {
    fn adopt<'a>(
        &'a self,
        known: Option<&'a Identity>,
    ) -> Pending<'a, Result<Option<Running>, Fault>> {
        let known = known.cloned();
        Box::pin(async move { self.slowly(move |it| it.adopt(known.as_ref())).await? })
    }

    fn start(&self) -> Pending<'_, Result<Running, Fault>> {
        Box::pin(async { self.slowly(Inner::start).await? })
    }

    /// SIGTERM to the process group; SIGKILL to it once patience is over, or its leader has ended and patience is over
    /// for the rest.
    fn stop<'a>(
        &'a self,
        what: &'a Identity,
        patience: Duration,
    ) -> Pending<'a, Result<(), Fault>> {
        Box::pin(async move {
            let Some(process) = process_of(what) else { return Ok(()) };
            let end = Instant::now() + patience;
            process.signal_group(Signal::TERM);
            if timeout(patience, self.leader_ended(&process)).await.is_err() {
                process.signal_group(Signal::KILL);
                if timeout(DYING, self.leader_ended(&process)).await.is_err() {
                    return Err(Fault::passing(format!(
                        "process {} does not end, though it was killed: look at /proc/{}/stack for the disk or \
                         device that it waits for",
                        process.pid, process.pid
                    )));
                }
            }
            self.clear(process, end.saturating_duration_since(Instant::now())).await;
            Ok(())
        })
    }

    fn ended<'a>(&'a self, what: &'a Identity) -> Pending<'a, Ended> {
        Box::pin(async move {
            let Some(process) = process_of(what) else {
                return Ended { reason: "it had ended".to_owned(), success: false };
            };
            self.leader_ended(&process).await;
            // What a dead leader leaves behind would be in the way of the next one.
            spawn::ended(self.clear(process, Duration::ZERO).await)
        })
    }

    fn readiness<'a>(&'a self, _: &'a Identity) -> Pending<'a, Readiness> {
        Box::pin(self.inner.probe.ask())
    }

    fn logs(&self, lines: usize, follow: bool) -> Pending<'_, Result<Logs, Fault>> {
        Box::pin(async move { Ok(log::read(self.inner.log(), lines, follow)) })
    }
}

/// The process that this is, if it is there still; also one that has ended and was not reaped.
fn process_of(what: &Identity) -> Option<Process> {
    match what {
        Identity::Process { pid, start_time, boot, .. } => {
            let process = Process { pid: *pid, start_time: *start_time };
            let same_boot = boot_id().is_ok_and(|now| now == *boot);
            (same_boot && Process::of(*pid) == Some(process)).then_some(process)
        }
        _ => None,
    }
}
