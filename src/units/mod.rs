//! What runs beneath the virtual IPs: the daemon's side of the supervisor.
//!
//! [`compose`] makes units of the configuration, one graph for each role; the crate `supervisor` runs
//! them on a thread of its own; [`operate`] does what the command line asks for, on another one, so
//! that nothing it waits for keeps the daemon's guard from running.

mod certs;
mod compose;
mod etcd;
mod events;
mod operate;
mod operation;
mod plan;
mod progress;
mod status;
mod wanted;
mod worker;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use supervisor::run::{Event, Handle, StartError, Supervisor};
use supervisor::unit::{Name, Word};
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

pub use certs::settings as cert_settings;
pub use operation::{Operation, UnitOrder};
pub use plan::UnitsPlan;
pub use progress::{Outcome, Progress, Step};
pub use status::UnitStatus;

use crate::daemon::Command;
use crate::events::{Entry, Log};
use compose::Parts;
use wanted::Wanted;
use worker::Worker;

/// The file that says whether the units are to run.
const WANTED_FILE: &str = "units.json";
/// How many pieces of a log may wait for a slow reader.
const MAX_PIECES: usize = 16;

/// The units of this node. Cheap to clone; when the last one is dropped, what runs runs on.
#[derive(Clone, Debug)]
pub struct Units(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state_dir: PathBuf,
    wanted: Wanted,
    worker: Worker,
    current: Mutex<Current>,
    /// Held while the cluster or all units are changed.
    turn: tokio::sync::Mutex<()>,
    log: Log,
    /// Passes on what happens to units.
    news: mpsc::UnboundedSender<Event>,
    /// To the daemon, for the virtual IPs.
    daemon: mpsc::Sender<Command>,
}

/// What is in force.
#[derive(Debug)]
struct Current {
    parts: Arc<Parts>,
    /// There since the units are wanted.
    handle: Option<Handle>,
    /// What looks after etcd.
    upkeep: Option<AbortHandle>,
}

impl Units {
    /// Takes the units of a configuration; brings them up if that is wanted. What happens to them
    /// comes out of the receiver.
    ///
    /// # Errors
    /// In words.
    pub fn start(
        plan: &UnitsPlan,
        state_dir: PathBuf,
        log: Log,
        daemon: mpsc::Sender<Command>,
    ) -> Result<(Self, mpsc::UnboundedReceiver<Event>), String> {
        let (wanted, problem) = Wanted::load(state_dir.join(WANTED_FILE));
        if let Some(problem) = problem {
            let what = "it is not known whether the units are to run: they are looked after";
            log.push(Entry::now("state_corrupt", what).because(problem));
            let _ = wanted.set(true);
        }
        let parts = Arc::new(compose::parts(plan, &state_dir)?);
        let worker = Worker::start().map_err(|error| format!("no thread is left: {error}"))?;
        let (news, events) = mpsc::unbounded_channel();
        let units = Self(Arc::new(Inner {
            state_dir,
            wanted,
            worker,
            current: Mutex::new(Current { parts, handle: None, upkeep: None }),
            turn: tokio::sync::Mutex::default(),
            log,
            news,
            daemon,
        }));
        if units.0.wanted.is_up() {
            units.handle().map_err(|error| error.to_string())?;
        }
        Ok((units, events))
    }

    /// All units, in the order of their start.
    pub fn statuses(&self) -> Vec<UnitStatus> {
        let current = self.current();
        match &current.handle {
            Some(handle) => handle.snapshot().units.iter().map(UnitStatus::from).collect(),
            None => current.parts.specs().map(UnitStatus::down).collect(),
        }
    }

    /// What is not well with the supervisor itself.
    pub fn warnings(&self) -> Vec<String> {
        let current = self.current();
        current.handle.as_ref().map(|it| it.snapshot().warnings.clone()).unwrap_or_default()
    }

    /// Whether the units are to run.
    pub fn is_wanted(&self) -> bool {
        self.0.wanted.is_up()
    }

    /// Does what is asked for, on a thread of its own, and tells how it goes.
    pub fn perform(&self, operation: Operation, progress: Progress) {
        let units = self.clone();
        self.0.worker.spawn(async move {
            let end = operate::perform(&units, operation, &progress).await;
            progress.end(end);
        });
    }

    /// Goes on with the units of another configuration: what runs runs on, and differs if it does.
    pub fn reconfigure(&self, plan: &UnitsPlan) -> Result<(), String> {
        if self.parts().plan == *plan {
            return Ok(());
        }
        let parts = Arc::new(compose::parts(plan, &self.0.state_dir)?);
        let mut current = self.current();
        current.parts = Arc::clone(&parts);
        let Some(handle) = current.handle.clone() else { return Ok(()) };
        self.look_after_etcd(&mut current);
        drop(current);
        let log = self.0.log.clone();
        self.0.worker.spawn(async move {
            if let Err(error) = handle.reconfigure(parts.units()).await {
                let what = "the units stay as they were";
                log.push(Entry::now("unit_warning", what).because(error.to_string()));
            }
        });
        Ok(())
    }

    /// What a unit wrote last and, if asked for, goes on to write.
    ///
    /// # Errors
    /// In words.
    pub async fn logs(
        &self,
        unit: &str,
        lines: u32,
        follow: bool,
    ) -> Result<mpsc::Receiver<Bytes>, String> {
        let name = Name::new(unit).map_err(|error| error.to_string())?;
        let handle = self.running()?;
        let lines = usize::try_from(lines).unwrap_or(usize::MAX);
        let mut pieces =
            handle.logs(name, lines, follow).await.map_err(|error| error.to_string())?;
        let (sender, receiver) = mpsc::channel(MAX_PIECES);
        self.0.worker.spawn(async move {
            while let Some(piece) = pieces.recv().await {
                if sender.send(Bytes::from(piece)).await.is_err() {
                    return;
                }
            }
        });
        Ok(receiver)
    }

    /// The machine stops: gives etcd's leadership away and stops, in reverse order, what systemd does
    /// not stop itself, and forgets all units. They come up again at the next start.
    pub async fn shut_down(&self) {
        let (done, is_done) = oneshot::channel();
        let units = self.clone();
        self.0.worker.spawn(async move {
            let stopped = operate::shut_down(&units).await;
            if let Some(handle) = units.let_go() {
                handle.leave_wanting(stopped).await;
            }
            let _ = done.send(());
        });
        // An error means that nothing is left to wait for.
        let _ = is_done.await;
    }

    /// Waits until all that is known of units is on disk, and forgets them: what runs runs on.
    pub async fn leave(&self) {
        if let Some(handle) = self.let_go() {
            handle.leave().await;
        }
    }

    fn let_go(&self) -> Option<Handle> {
        let mut current = self.current();
        current.upkeep.take().inspect(AbortHandle::abort);
        current.handle.take()
    }

    /// The supervisor, which starts now if it does not run yet.
    fn handle(&self) -> Result<Handle, StartError> {
        let mut current = self.current();
        if let Some(handle) = &current.handle {
            return Ok(handle.clone());
        }
        let (handle, mut events) = Supervisor::start(current.parts.units(), &self.0.state_dir)?;
        current.handle = Some(handle.clone());
        self.look_after_etcd(&mut current);
        let (news, log) = (self.0.news.clone(), self.0.log.clone());
        let parts = Arc::clone(&current.parts);
        self.0.worker.spawn(async move {
            while let Some(event) = events.recv().await {
                let is_docker = events::is_ready(&event, compose::DOCKERD);
                if news.send(event).is_err() {
                    return;
                }
                if is_docker {
                    let driver = parts.plan.docker_driver();
                    events::warn_of_docker(&parts.client, driver, &log).await;
                }
            }
        });
        Ok(handle)
    }

    /// Looks after etcd as the configuration in force has it.
    fn look_after_etcd(&self, current: &mut Current) {
        current.upkeep.take().inspect(AbortHandle::abort);
        if current.parts.etcd.is_some() {
            let (parts, log) = (Arc::clone(&current.parts), self.0.log.clone());
            current.upkeep = Some(self.0.worker.spawn(etcd::look_after(parts, log)));
        }
    }

    /// The supervisor, if it runs.
    fn running(&self) -> Result<Handle, String> {
        let handle = self.current().handle.clone();
        handle.ok_or_else(|| "the units are down: `mainstay up` brings them up".to_owned())
    }

    /// Whether something runs for a unit, as far as is known.
    fn is_up(&self, unit: &str) -> bool {
        let current = self.current();
        let snapshot = current.handle.as_ref().map(Handle::snapshot);
        let state = snapshot.as_ref().and_then(|it| it.unit(unit)).map(|it| it.state);
        matches!(state, Some(Word::Ready | Word::Running | Word::Starting))
    }

    fn parts(&self) -> Arc<Parts> {
        Arc::clone(&self.current().parts)
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.0.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What happened to a unit, for the record.
pub fn entry(event: &Event) -> Option<Entry> {
    events::entry(event)
}
