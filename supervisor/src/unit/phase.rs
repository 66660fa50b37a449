//! What a unit remembers in each part of its life.

use std::time::{Duration, Instant};

use super::Name;
use crate::backend::{Identity, Running};

/// The first questions after readiness follow each other so closely.
const CLOSEST_ASK: Duration = Duration::from_millis(20);
/// A unit that is not ready is asked at least this often, and each twenty-fifth of the time that it has not been.
const RAREST_ASK: Duration = Duration::from_secs(1);
/// How often a unit that is ready is asked whether it still is.
const READY_ASK: Duration = Duration::from_secs(10);
/// An answer that takes longer is asked for again.
const LONGEST_ANSWER: Duration = Duration::from_secs(60);
/// How often what runs is compared with what should run, whatever the events say.
const RECONCILE: Duration = Duration::from_secs(30);

/// Where a unit is in its life, and what it remembers there.
#[derive(Clone, Debug)]
pub enum Phase {
    Disabled,
    /// `looked`: it was just seen that nothing runs.
    Waiting {
        on: Vec<Name>,
        looked: bool,
    },
    /// `failed`: why it had failed before this attempt; that is what is shown meanwhile.
    Looking {
        since: Instant,
        deadline: Instant,
        failed: Option<String>,
    },
    Starting {
        since: Instant,
        deadline: Instant,
        failed: Option<String>,
    },
    Up(Up),
    /// `fault`: it could not be started, or looked for; otherwise it ended.
    Pausing {
        until: Instant,
        reason: String,
        fault: bool,
    },
    /// `again`: when its guard is asked once more.
    Failed {
        reason: String,
        again: Option<Instant>,
    },
    Stopping {
        since: Instant,
        what: Option<Identity>,
        failures: u32,
        due: Due,
    },
    Stopped,
}

/// Something that is asked for again and again.
#[derive(Clone, Copy, Debug)]
pub enum Due {
    /// Next then.
    At(Instant),
    /// It is under way, and given up then.
    Out(Instant),
}

impl Due {
    /// When something has to happen.
    pub fn time(self) -> Instant {
        match self {
            Self::At(time) | Self::Out(time) => time,
        }
    }
}

/// A unit that runs.
#[derive(Clone, Debug)]
pub struct Up {
    pub running: Running,
    /// When it was started, as far as is known.
    pub started: Instant,
    /// Since when it has been ready, or not ready.
    pub since: Instant,
    pub ready: bool,
    /// What its readiness probe said last.
    pub reason: Option<String>,
    /// Whether it was ready once, in this run of it.
    pub was_ready: bool,
    pub ask: Due,
    pub look: Due,
}

impl Up {
    /// One that was just started, or found. Its readiness is asked at once.
    pub fn new(now: Instant, running: Running) -> Self {
        let age = running.age.unwrap_or_default();
        Self {
            running,
            started: now.checked_sub(age).unwrap_or(now),
            since: now,
            ready: false,
            reason: None,
            was_ready: false,
            ask: Due::At(now),
            look: Due::At(now + RECONCILE),
        }
    }

    /// Its readiness is being asked.
    pub fn asked(&mut self, now: Instant) {
        self.ask = Due::Out(now + LONGEST_ANSWER);
    }

    /// It is being compared with what should run.
    pub fn looked(&mut self, now: Instant) {
        self.look = Due::Out(now + LONGEST_ANSWER);
    }

    /// When it is compared next.
    pub fn compared(&mut self, now: Instant) {
        self.look = Due::At(now + RECONCILE);
    }

    /// Takes an answer; `reason` says why it is not ready.
    pub fn answered(&mut self, now: Instant, reason: Option<String>) {
        let ready = reason.is_none();
        if ready != self.ready {
            self.since = now;
        }
        self.ready = ready;
        self.was_ready |= ready;
        self.reason = reason;
        let pause = if ready {
            READY_ASK
        } else {
            let unready = now.saturating_duration_since(self.since);
            (unready / 25).clamp(CLOSEST_ASK, RAREST_ASK)
        };
        self.ask = Due::At(now + pause);
    }
}

impl Phase {
    /// When something has to happen without an answer from outside.
    pub fn timeout(&self) -> Option<Instant> {
        match self {
            Self::Looking { deadline, .. } | Self::Starting { deadline, .. } => Some(*deadline),
            Self::Up(up) => Some(up.ask.time().min(up.look.time())),
            Self::Pausing { until, .. } => Some(*until),
            Self::Failed { again, .. } => *again,
            Self::Stopping { due, .. } => Some(due.time()),
            Self::Disabled | Self::Waiting { .. } | Self::Stopped => None,
        }
    }

    /// Whether nothing of it runs that a stop would have to wait for.
    pub fn is_at_rest(&self) -> bool {
        matches!(self, Self::Disabled | Self::Stopped | Self::Failed { again: None, .. })
    }
}
