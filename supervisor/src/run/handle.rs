//! The daemon's side of the supervisor.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot, watch};

use super::{Command, CommandError, Progress, Snapshot, Units};
use crate::backend::{Identity, Logs};
use crate::unit::{Name, Word};

/// Something that happened to a unit, for the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When, in milliseconds since the start of 1970.
    pub at_unix_ms: u64,
    /// Which unit; `None` if it is about the supervisor itself.
    pub unit: Option<Name>,
    /// What.
    #[serde(flatten)]
    pub what: Happening,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Happening {
    /// The unit's state has changed.
    State {
        /// Before.
        from: Word,
        /// Now.
        to: Word,
        /// Why, in words.
        reason: Option<String>,
    },
    /// The unit was found running, and is left alone.
    Adopted {
        /// What runs.
        identity: Identity,
    },
    /// The unit was started.
    Started {
        /// What runs.
        identity: Identity,
    },
    /// What runs is no longer what the specification asks for; without a reason, it is so again.
    Drift {
        /// Why not, in words.
        reason: Option<String>,
    },
    /// The unit is no unit of this node any more. What runs of it runs on.
    Left,
    /// The operator should know this, with what to do.
    Warning {
        /// In words.
        reason: String,
    },
}

/// What happens, in order. To be read for as long as the supervisor runs, or dropped.
pub type Events = mpsc::UnboundedReceiver<Event>;

/// Gives orders to the supervisor and sees what it does. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    requests: mpsc::UnboundedSender<Request>,
    snapshot: watch::Receiver<Arc<Snapshot>>,
}

/// What the supervisor is asked.
pub(super) enum Request {
    Command(Command, oneshot::Sender<Result<Vec<Name>, CommandError>>),
    Logs {
        unit: Name,
        lines: usize,
        follow: bool,
        answer: oneshot::Sender<Result<Logs, CommandError>>,
    },
    Reconfigure(Units, oneshot::Sender<Result<(), CommandError>>),
    Leave {
        /// Units that were stopped, but not for good.
        wanted: Vec<Name>,
        answer: oneshot::Sender<()>,
    },
}

impl Handle {
    pub(super) fn new(
        requests: mpsc::UnboundedSender<Request>,
        snapshot: watch::Receiver<Arc<Snapshot>>,
    ) -> Self {
        Self { requests, snapshot }
    }

    /// All units as they are now. Never waits.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.borrow())
    }

    /// The same, and every change of it.
    pub fn watch(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshot.clone()
    }

    /// Has something done. It goes on whether or not its progress is looked at.
    ///
    /// # Errors
    /// If there is no such unit, it is disabled, or the supervisor has ended.
    pub async fn command(&self, command: Command) -> Result<Progress, CommandError> {
        let is_start = command.is_start();
        let before = self.snapshot();
        let scope = self.ask(|answer| Request::Command(command, answer)).await??;
        Ok(Progress::new(self.watch(), &before, scope, is_start))
    }

    /// What a unit wrote: its last `lines` lines, then, with `follow`, what it goes on to write.
    ///
    /// # Errors
    /// If there is no such unit or log, or the supervisor has ended.
    pub async fn logs(&self, unit: Name, lines: usize, follow: bool) -> Result<Logs, CommandError> {
        self.ask(|answer| Request::Logs { unit, lines, follow, answer }).await?
    }

    /// Goes on with these units, each carried out by its new backend. One that is new starts; one that changed runs on,
    /// and its drift is told; one that is missing runs on, but is no concern of the supervisor any more.
    ///
    /// # Errors
    /// If the units are no graph, in which case nothing changes, or the supervisor has ended.
    pub async fn reconfigure(&self, units: Units) -> Result<(), CommandError> {
        self.ask(|answer| Request::Reconfigure(units, answer)).await?
    }

    /// Ends the supervisor and waits until its state is on disk. What it started runs on.
    pub async fn leave(&self) {
        self.leave_wanting(Vec::new()).await;
    }

    /// The same; units that were stopped only for the machine to stop are to run when mainstay starts again, whatever the
    /// machine's next start looks like.
    pub async fn leave_wanting(&self, wanted: Vec<Name>) {
        // An error means that it has ended.
        let _ = self.ask(|answer| Request::Leave { wanted, answer }).await;
    }

    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<T>) -> Request,
    ) -> Result<T, CommandError> {
        let (answer, answered) = oneshot::channel();
        self.requests.send(request(answer)).map_err(|_| CommandError::Ended)?;
        answered.await.map_err(|_| CommandError::Ended)
    }
}
