//! The state of a unit, as it is shown.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::Name;

/// Where a unit is in its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Not ours to run.
    Disabled,
    /// It may not start yet.
    Blocked {
        /// What has to become ready first.
        on: Vec<Name>,
    },
    /// It is looked for, or being started.
    Starting {
        /// Since when.
        since: Instant,
    },
    /// It runs, but does not do its work: not yet, or no longer.
    Running {
        /// Since when it is so.
        since: Instant,
        /// What its readiness probe said last.
        reason: Option<String>,
    },
    /// It runs and does its work.
    Ready {
        /// Since when it is so.
        since: Instant,
    },
    /// It ended, or could not be started, and waits for the next attempt.
    Backoff {
        /// How many attempts in a row have failed.
        attempt: u32,
        /// When the next one is made.
        until: Instant,
        /// Why it is not running.
        reason: String,
    },
    /// The same, [`CRASH_LOOP`](super::CRASH_LOOP) times in a row or more.
    CrashLooping {
        /// How many attempts in a row have failed.
        attempt: u32,
        /// When the next one is made.
        until: Instant,
        /// Why it is not running.
        reason: String,
    },
    /// It has been told to stop.
    Stopping {
        /// Since when.
        since: Instant,
    },
    /// It does not run, and should not.
    Stopped,
    /// It cannot be started, or not be stopped, until somebody has acted.
    Failed {
        /// Why, and what to do.
        reason: String,
    },
}

/// The state in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "State says what each of them means")]
pub enum Word {
    Disabled,
    Blocked,
    Starting,
    Running,
    Ready,
    Backoff,
    CrashLooping,
    Stopping,
    Stopped,
    Failed,
}

impl State {
    /// The state in one word.
    pub fn word(&self) -> Word {
        match self {
            Self::Disabled => Word::Disabled,
            Self::Blocked { .. } => Word::Blocked,
            Self::Starting { .. } => Word::Starting,
            Self::Running { .. } => Word::Running,
            Self::Ready { .. } => Word::Ready,
            Self::Backoff { .. } => Word::Backoff,
            Self::CrashLooping { .. } => Word::CrashLooping,
            Self::Stopping { .. } => Word::Stopping,
            Self::Stopped => Word::Stopped,
            Self::Failed { .. } => Word::Failed,
        }
    }

    /// Why it is not well, in words; `None` if nothing is to be said.
    pub fn reason(&self) -> Option<String> {
        match self {
            Self::Blocked { on } => {
                let names: Vec<&str> = on.iter().map(Name::as_str).collect();
                Some(format!("waits for {}", names.join(", ")))
            }
            Self::Running { reason, .. } => reason.clone(),
            Self::Backoff { reason, .. }
            | Self::CrashLooping { reason, .. }
            | Self::Failed { reason } => Some(reason.clone()),
            Self::Disabled
            | Self::Starting { .. }
            | Self::Ready { .. }
            | Self::Stopping { .. }
            | Self::Stopped => None,
        }
    }
}

impl Word {
    /// As people and programs read it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Blocked => "blocked",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Ready => "ready",
            Self::Backoff => "backoff",
            Self::CrashLooping => "crash-looping",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        }
    }
}

impl std::fmt::Display for Word {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}
