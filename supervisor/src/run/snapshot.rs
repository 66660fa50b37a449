//! All units as they are at one time, for people and programs.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::Backends;
use crate::backend::Identity;
use crate::core::{Core, Member};
use crate::unit::{Kind, Name, State, Word};

/// All units of a node, each after what it requires.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The units.
    pub units: Vec<UnitStatus>,
    /// What is not well with the supervisor itself, with what to do.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// One unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitStatus {
    /// Its name.
    pub name: Name,
    /// What carries it out.
    pub backend: Kind,
    /// Where it is in its life.
    pub state: Word,
    /// Since when it has been in that state, in milliseconds since the start of 1970.
    pub since_unix_ms: u64,
    /// When what runs was started, in milliseconds since the start of 1970.
    pub started_unix_ms: Option<u64>,
    /// How often it came up again since mainstay started.
    pub restarts: u32,
    /// How many attempts to run it failed in a row.
    pub attempt: Option<u32>,
    /// When the next attempt is made, in milliseconds since the start of 1970.
    pub next_attempt_unix_ms: Option<u64>,
    /// Why it is not well, or how far it has come, in words.
    pub reason: Option<String>,
    /// What it requires.
    pub requires: Vec<Name>,
    /// What has to become ready before it starts.
    pub blocked_on: Vec<Name>,
    /// What runs.
    pub identity: Option<Identity>,
    /// Why what runs is not what the specification asks for: `mainstay apply` changes that.
    pub drift: Option<String>,
}

impl Snapshot {
    /// The units as they are now.
    pub(super) fn new(
        core: &Core,
        backends: &Backends,
        clock: &Clock,
        warnings: Vec<String>,
    ) -> Self {
        let status = |member: &Member| {
            let mut status = UnitStatus::new(member, clock);
            if status.state == Word::Starting {
                status.reason = backends.get(&status.name).and_then(|it| it.progress());
            }
            status
        };
        let units = core.members().iter().map(status).collect();
        Self { units, warnings }
    }

    /// A unit by its name.
    pub fn unit(&self, name: &str) -> Option<&UnitStatus> {
        self.units.iter().find(|it| it.name.as_str() == name)
    }

    /// Whether a unit is starting: what is said of its progress changes without an event.
    pub(super) fn is_starting(&self) -> bool {
        self.units.iter().any(|it| it.state == Word::Starting)
    }

    /// Whether every unit that is enabled is ready.
    pub fn is_ready(&self) -> bool {
        self.units.iter().all(|it| matches!(it.state, Word::Ready | Word::Disabled))
    }
}

impl UnitStatus {
    fn new(member: &Member, clock: &Clock) -> Self {
        let unit = &member.unit;
        let state = unit.state();
        let (attempt, until) = match &state {
            State::Backoff { attempt, until, .. } | State::CrashLooping { attempt, until, .. } => {
                (Some(*attempt), Some(*until))
            }
            _ => (None, None),
        };
        let blocked_on = match &state {
            State::Blocked { on } => on.clone(),
            _ => Vec::new(),
        };
        Self {
            name: unit.spec().name.clone(),
            backend: unit.spec().kind,
            state: state.word(),
            since_unix_ms: clock.unix_ms(member.since),
            started_unix_ms: unit.started().map(|it| clock.unix_ms(it)),
            restarts: unit.restarts(),
            attempt,
            next_attempt_unix_ms: until.map(|it| clock.unix_ms(it)),
            reason: state.reason(),
            requires: unit.spec().requires.clone(),
            blocked_on,
            identity: unit.running().map(|it| it.identity.clone()),
            drift: unit.running().and_then(|it| it.drift.clone()),
        }
    }
}

/// Translates from the monotonic clock to the wall's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    monotonic: Instant,
    wall: SystemTime,
}

/// A wall clock that is off by more was set.
const SET: Duration = Duration::from_millis(500);

impl Clock {
    pub fn new() -> Self {
        Self { monotonic: Instant::now(), wall: SystemTime::now() }
    }

    /// Follows a wall clock that was set. Otherwise times that were shown stay as they are, to the millisecond.
    pub fn follow(&mut self) {
        let now = Self::new();
        let expected = self.wall + now.monotonic.saturating_duration_since(self.monotonic);
        let off = now.wall.duration_since(expected).unwrap_or_else(|error| error.duration());
        if off > SET {
            *self = now;
        }
    }

    fn unix_ms(&self, instant: Instant) -> u64 {
        let wall = self.wall.duration_since(UNIX_EPOCH).unwrap_or_default();
        let ahead = instant.saturating_duration_since(self.monotonic);
        let behind = self.monotonic.saturating_duration_since(instant);
        millis(wall.saturating_add(ahead).saturating_sub(behind))
    }
}

/// Whole milliseconds.
fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// The time now, in milliseconds since the start of 1970.
pub(super) fn unix_ms() -> u64 {
    millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}
