//! What carries a unit out: one [`Backend`] per unit, which knows the unit's specification.
//!
//! A backend does what it is told, once, and reports; it never retries, waits for other units or decides.

pub mod container;
pub mod exec;
pub mod hash;
pub mod systemd;
pub mod task;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A future that a backend returns.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a unit wrote, in pieces. Ends after the last one; nothing more is read once it is dropped.
pub type Logs = tokio::sync::mpsc::Receiver<Vec<u8>>;

/// What runs for a unit, in a form that survives a restart of mainstay and tells a successor apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Identity {
    /// A process of ours.
    Process {
        /// Its process id.
        pid: u32,
        /// When it started, in clock ticks since the machine's start: field 22 of `/proc/PID/stat`.
        start_time: u64,
        /// Which start of the machine that was: `/proc/sys/kernel/random/boot_id`.
        boot: String,
        /// A hash of the specification that it was started from.
        spec_hash: String,
    },
    /// A container.
    Container {
        /// Its id, in full.
        id: String,
        /// A hash of the specification that it was made from.
        spec_hash: String,
    },
    /// One run of a systemd unit.
    Systemd {
        /// systemd's `InvocationID`, in hexadecimal digits.
        invocation: String,
        /// A hash of the unit file or drop-in that is ours; empty if none is.
        spec_hash: String,
    },
    /// A task that has been carried out.
    Task {
        /// A hash of what was carried out.
        spec_hash: String,
    },
}

/// Something that runs for a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// What it is.
    pub identity: Identity,
    /// How long it has been running, as far as the backend knows.
    pub age: Option<Duration>,
    /// Why it is not what the specification asks for now, in words; `None` if it is.
    pub drift: Option<String>,
}

/// How something that ran came to its end, in words for the operator: `exited with code 1`, `killed by SIGKILL`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// What happened.
    pub reason: String,
    /// Whether that is how a task ends that did its work.
    pub success: bool,
}

/// One answer to whether a unit is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It does its work; what depends on it may start.
    Ready,
    /// It does not yet, or no longer: why, in words.
    NotReady(String),
}

/// Why something could not be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What failed and what the operator can do, in words.
    pub reason: String,
    /// Whether to try again is pointless, or dangerous, until somebody has acted: a refusal by a guard.
    pub refused: bool,
}

impl Fault {
    /// Something that may work the next time.
    pub fn passing(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), refused: false }
    }

    /// Something that a guard forbids until an operator has acted.
    pub fn refused(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), refused: true }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Fault {}

/// Carries one unit out.
///
/// No method blocks its thread, and each may be cancelled by dropping its future.
pub trait Backend: Send + Sync {
    /// Looks for what runs already, of an earlier mainstay or of somebody else; `known` is what the state on disk says.
    fn adopt<'a>(
        &'a self,
        known: Option<&'a Identity>,
    ) -> Pending<'a, Result<Option<Running>, Fault>>;

    /// Starts the unit. Guards that have to hold before each start are asked in here.
    fn start(&self) -> Pending<'_, Result<Running, Fault>>;

    /// Stops what runs: politely, and by force once `patience` is over.
    fn stop<'a>(&'a self, what: &'a Identity, patience: Duration)
    -> Pending<'a, Result<(), Fault>>;

    /// Waits until what runs has ended, driven by an event: a pidfd, Docker's events, a signal on D-Bus.
    fn ended<'a>(&'a self, what: &'a Identity) -> Pending<'a, Ended>;

    /// Asks once whether the unit does its work. An answer that takes long counts as not ready; the backend sees to that.
    fn readiness<'a>(&'a self, what: &'a Identity) -> Pending<'a, Readiness>;

    /// How far a start that takes long has come, in words: `image 3 of 7`. Asked while the unit starts.
    fn progress(&self) -> Option<String> {
        None
    }

    /// What the unit wrote: its last `lines` lines, then, with `follow`, what it goes on to write.
    fn logs(&self, lines: usize, follow: bool) -> Pending<'_, Result<Logs, Fault>> {
        let _ = (lines, follow);
        Box::pin(async { Err(Fault::refused("mainstay keeps no log of this unit")) })
    }
}
