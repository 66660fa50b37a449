//! One unit of systemd's: looked at, started, stopped and watched.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::time::{sleep, timeout};
use zbus::OwnedObjectPath;

use super::bus::{Bus, CallError, Signals};
use super::files::{self, OnDisk, Ours, UNIT_FOLDER};
use super::state::{self, Activity, Loaded, State};
use crate::backend::{Ended, Fault};

const UNIT: &str = "org.freedesktop.systemd1.Unit";
const SERVICE: &str = "org.freedesktop.systemd1.Service";
/// A job that takes longer than this counts as failed. systemd's own timeouts end most of them sooner.
const LONGEST_JOB: Duration = Duration::from_secs(300);
/// How long a unit may take to be gone after SIGKILL.
const AFTER_KILL: Duration = Duration::from_secs(10);
/// So often a unit is looked at though no signal came.
const LOOK: Duration = Duration::from_secs(30);
/// The pause before systemd is looked for again.
const RECONNECT: Duration = Duration::from_secs(1);

/// A unit by its name, such as `kubelet.service`.
#[derive(Clone, Debug)]
pub(crate) struct Unit {
    bus: Bus,
    name: String,
    /// Of the file system that systemd sees: `/`, but in tests.
    root: PathBuf,
}

impl Unit {
    pub(crate) fn new(bus: Bus, name: impl Into<String>) -> Self {
        Self { bus, name: name.into(), root: "/".into() }
    }

    /// Of a systemd whose root is seen from outside.
    pub(crate) fn in_root(self, root: PathBuf) -> Self {
        Self { root, ..self }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    fn folder(&self) -> PathBuf {
        self.root.join(UNIT_FOLDER.trim_start_matches('/'))
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) async fn state(&self) -> Result<State, Fault> {
        let (_, state) = self.look().await?;
        Ok(state)
    }

    async fn look(&self) -> Result<(OwnedObjectPath, State), Fault> {
        let doing = format!("cannot look at {}", self.name);
        let look = async {
            // Unlike `GetUnit`, this knows units that do not run.
            let reply = self.bus.manage("LoadUnit", &self.name.as_str()).await?;
            let path: OwnedObjectPath = reply.body().deserialize()?;
            let properties = self.bus.properties(path.as_str(), UNIT).await?;
            Ok((path, State::of(&properties)))
        };
        look.await.map_err(|error: CallError| error.fault(&doing))
    }

    /// Where a file of ours would be.
    pub(super) fn path(&self, ours: &Ours) -> PathBuf {
        ours.path(&self.folder(), &self.name)
    }

    /// What of ours is on the disk.
    pub(super) async fn on_disk(&self, ours: &Ours) -> Result<OnDisk, Fault> {
        let (path, text) = (self.path(ours), ours.text());
        slowly("read", self.path(ours), move || files::look(&path, &text)).await
    }

    /// Whether a whole unit of ours may be written: nobody else's is there.
    pub(crate) async fn is_free(&self) -> Result<bool, Fault> {
        let state = self.state().await?;
        if state.file.is_empty() {
            return Ok(true);
        }
        let path = self.root.join(state.file.trim_start_matches('/'));
        let own = path == self.folder().join(&self.name);
        Ok(own && slowly("read", path.clone(), move || files::is_ours(&path)).await?)
    }

    /// Writes what is ours, if it is not there yet, and makes systemd read it.
    pub(super) async fn install(&self, ours: &Ours) -> Result<(), Fault> {
        match self.on_disk(ours).await? {
            OnDisk::Same(_) if !self.state().await?.stale => return Ok(()),
            OnDisk::Same(_) => {}
            OnDisk::Foreign => {
                return Err(Fault::refused(format!(
                    "{} was not written by mainstay: move it away, so that {} can be set up",
                    self.path(ours).display(),
                    self.name
                )));
            }
            OnDisk::Missing | OnDisk::Other => {
                let (path, text) = (self.path(ours), ours.text());
                slowly("write", self.path(ours), move || files::replace(&path, &text)).await?;
            }
        }
        let reload = self.bus.manage("Reload", &()).await;
        reload.map_err(|error| error.fault("cannot make systemd read its units again"))?;
        Ok(())
    }

    /// Starts the unit, unless it runs, and waits until systemd says that it did; which run that is.
    pub(super) async fn start(&self) -> Result<State, Fault> {
        let state = self.state().await?;
        match &state.loaded {
            Loaded::Yes => {}
            Loaded::NotFound => {
                return Err(Fault::passing(format!(
                    "there is no unit {0}: install what it belongs to, or run `systemctl daemon-reload` if it is there",
                    self.name
                )));
            }
            Loaded::Masked => {
                return Err(Fault::refused(format!(
                    "{0} is masked: run `systemctl unmask {0}`",
                    self.name
                )));
            }
            Loaded::Wrong(how) => {
                return Err(Fault::passing(format!(
                    "systemd cannot use {0} ({how}): run `systemd-analyze verify {0}`",
                    self.name
                )));
            }
        }
        // Pauses are ours to make: systemd's limit of starts would only be in the way.
        let _ = self.bus.manage("ResetFailedUnit", &self.name.as_str()).await;
        // A plain start would wait until systemd's own pause (RestartSec=) is over.
        let waits = state.activity == Activity::Restarting;
        let result = self.job(if waits { "RestartUnit" } else { "StartUnit" }).await?;
        let state = self.state().await?;
        match (result.as_str(), state.activity) {
            ("done" | "skipped", Activity::Runs) => Ok(state),
            ("dependency", _) => Err(Fault::passing(format!(
                "{0} was not started: a unit that it needs failed; see `systemctl list-dependencies {0}`",
                self.name
            ))),
            ("canceled", _) => Err(Fault::passing(format!(
                "the start of {} was cancelled by somebody else",
                self.name
            ))),
            _ => Err(Fault::passing(format!(
                "{} did not start: {}; see `journalctl -u {}`",
                self.name,
                self.ending().await.0,
                self.name
            ))),
        }
    }

    /// Stops the unit: politely, and by force once `patience` is over.
    pub(super) async fn stop(&self, patience: Duration) -> Result<(), Fault> {
        if self.state().await?.activity == Activity::Down {
            return Ok(());
        }
        if let Ok(stopped) = timeout(patience, self.job("StopUnit")).await {
            stopped?;
            if self.state().await?.activity == Activity::Down {
                return Ok(());
            }
        }
        let kill = self.bus.manage("KillUnit", &(self.name.as_str(), "all", 9_i32)).await;
        if let Err(error) = kill {
            tracing::debug!("{}", error.fault("nothing to kill").reason);
        }
        let down = async {
            // Also where somebody else's stop was in the way of ours.
            while self.job("StopUnit").await.is_err() {
                sleep(RECONNECT).await;
            }
            self.state().await
        };
        match timeout(AFTER_KILL, down).await {
            Ok(Ok(state)) if state.activity == Activity::Down => Ok(()),
            Ok(Err(fault)) => Err(fault),
            _ => Err(Fault::passing(format!(
                "{0} is still there after SIGKILL: look for processes that hang in the kernel (state D) with `systemctl status {0}`",
                self.name
            ))),
        }
    }

    /// Waits until a run of the unit has ended.
    pub(super) async fn ended(&self, invocation: &str) -> Ended {
        let mut restarts = None;
        loop {
            match self.watch(invocation, &mut restarts).await {
                Ok(Some(ended)) => return ended,
                Ok(None) => {}
                // What cannot be seen has not ended.
                Err(fault) => {
                    tracing::debug!("{} is not watched: {fault}", self.name);
                    sleep(RECONNECT).await;
                }
            }
        }
    }

    /// Until the run has ended, or the connection broke.
    async fn watch(
        &self,
        invocation: &str,
        restarts: &mut Option<u32>,
    ) -> Result<Option<Ended>, Fault> {
        let (path, _) = self.look().await?;
        let changes = self.bus.changes(path.as_str()).await;
        let mut changes = changes.map_err(|error| error.fault("cannot watch"))?;
        loop {
            // Asked for after signals are: nothing is missed.
            let (_, state) = self.look().await?;
            let service = self.bus.properties(path.as_str(), SERVICE).await.unwrap_or_default();
            let before = *restarts.get_or_insert_with(|| state::restarts(&service));
            if state.invocation != invocation && state.activity != Activity::Down {
                let by_systemd = state::restarts(&service) > before;
                let by = if by_systemd { "systemd, after it had ended" } else { "somebody else" };
                let reason = format!("another run of {} was started by {by}", self.name);
                return Ok(Some(Ended { reason, success: false }));
            }
            if !state.runs(invocation) {
                let (reason, success) = self.ending().await;
                return Ok(Some(Ended { reason, success }));
            }
            if let Ok(None) = timeout(LOOK, changes.next()).await {
                return Ok(None);
            }
        }
    }

    /// How the last run ended.
    async fn ending(&self) -> (String, bool) {
        let unknown = || ("ended; systemd does not say how".to_owned(), false);
        let Ok((path, _)) = self.look().await else { return unknown() };
        let Ok(service) = self.bus.properties(path.as_str(), SERVICE).await else {
            return unknown();
        };
        state::ending(&service).unwrap_or_else(unknown)
    }

    /// Has systemd do something and waits until it has: what came of it.
    async fn job(&self, method: &str) -> Result<String, Fault> {
        let doing = format!("{method} {} failed", self.name);
        let ask = async {
            let jobs = self.bus.jobs(&self.name).await?;
            let reply = self.bus.manage(method, &(self.name.as_str(), "replace")).await?;
            let job: OwnedObjectPath = reply.body().deserialize()?;
            Ok((jobs, job))
        };
        let (jobs, job) = ask.await.map_err(|error: CallError| error.fault(&doing))?;
        match timeout(LONGEST_JOB, over(jobs, &job)).await {
            Ok(Some(result)) => Ok(result),
            Ok(None) => {
                Err(Fault::passing(format!("{doing}: the connection to systemd broke meanwhile")))
            }
            Err(_) => Err(Fault::passing(format!(
                "{doing}: systemd has not done it within {} s; see `systemctl list-jobs`",
                LONGEST_JOB.as_secs()
            ))),
        }
    }
}

/// What came of a job; `None` if that was not heard.
async fn over(mut jobs: Signals, job: &OwnedObjectPath) -> Option<String> {
    loop {
        let removed = jobs.next().await?;
        let body = removed.body();
        let Ok((_, path, _, result)) = body.deserialize::<(u32, OwnedObjectPath, &str, &str)>()
        else {
            continue;
        };
        if path == *job {
            return Some(result.to_owned());
        }
    }
}

/// The time on the monotonic clock, which systemd's times are on.
pub(super) fn monotonic() -> Duration {
    Duration::try_from(clock_gettime(ClockId::Monotonic)).unwrap_or_default()
}

/// Does something with a file on a thread for that, since disks hang.
async fn slowly<T: Send + 'static>(
    what: &str,
    path: PathBuf,
    act: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Fault> {
    match tokio::task::spawn_blocking(act).await {
        Ok(done) => done
            .map_err(|error| Fault::passing(format!("cannot {what} {}: {error}", path.display()))),
        Err(error) => Err(Fault::passing(format!("mainstay is short of threads: {error}"))),
    }
}
