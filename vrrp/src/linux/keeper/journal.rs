//! Events on their way to the daemon, kept while none is connected.

use std::collections::VecDeque;

use crate::linux::clock;
use crate::proto::{Event, EventKind, Stamp};
use crate::time::Instant;

/// How many events wait for a daemon: as many as when all virtual routers of a process move at once.
/// The oldest go first.
const CAPACITY: usize = 16 * 1024;

#[derive(Default)]
pub(super) struct Journal {
    waiting: VecDeque<Event>,
    /// How many were lost because nobody fetched them.
    pub(super) lost: u64,
}

impl Journal {
    pub(super) fn record(&mut self, at: Instant, router: Option<String>, kind: EventKind) {
        if self.waiting.len() == CAPACITY {
            self.waiting.pop_front();
            self.lost += 1;
        }
        self.waiting.push_back(Event { at: stamp(at), router, kind });
    }

    pub(super) fn pop(&mut self) -> Option<Event> {
        self.waiting.pop_front()
    }
}

/// Both clocks at a moment that just was.
pub(super) fn stamp(at: Instant) -> Stamp {
    let age = clock::now().saturating_since(at);
    let wall = clock::realtime().saturating_sub(age);
    Stamp { monotonic: at, unix_nanos: u64::try_from(wall.as_nanos()).unwrap_or(u64::MAX) }
}
