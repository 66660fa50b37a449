//! What a Backup remembers of the routers that it hears, so that it tells each change once.

use core::net::IpAddr;

use crate::Priority;
use crate::time::{Centis, Duration, Instant};

/// How many are remembered: more than are Active at once for longer than a moment.
const KEPT: usize = 4;
/// A router that was silent for so many of its intervals is news again.
const LIFETIME: u32 = 3;
/// No more changes than these are told in a window, whoever speaks: sources can be made up.
const TOLD: u32 = 16;
const WINDOW: Duration = Duration::from_secs(10);

/// The routers heard lately, each with what it last advertised.
#[derive(Debug)]
pub(super) struct Others {
    known: [Option<Known>; KEPT],
    window_from: Instant,
    told: u32,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    source: IpAddr,
    /// `None`: it gave up.
    priority: Option<Priority>,
    at: Instant,
}

/// What is new about a router that is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// What it advertised before; `None` if it was not heard, or had given up.
    pub(super) from: Option<Priority>,
}

impl Others {
    pub(super) const fn new(now: Instant) -> Self {
        Self { known: [None; KEPT], window_from: now, told: 0 }
    }

    /// Nobody but a router that is known already.
    pub(super) const fn knowing(now: Instant, source: IpAddr, priority: Priority) -> Self {
        let mut others = Self::new(now);
        others.known[0] = Some(Known { source, priority: Some(priority), at: now });
        others
    }

    /// Takes an advertisement; what is to be told of it. `priority` is `None` where the router
    /// gives up: whoever is heard next is news.
    pub(super) fn hear(
        &mut self,
        now: Instant,
        source: IpAddr,
        priority: Option<Priority>,
        interval: Centis,
    ) -> Option<Change> {
        let lifetime = interval.duration() * LIFETIME;
        let is_alive = |known: &Known| now.saturating_since(known.at) <= lifetime;
        let place = self.place_of(source);
        let before = self.known[place].filter(|known| known.source == source && is_alive(known));
        if priority.is_none() {
            self.known = [None; KEPT];
        }
        self.known[place] = Some(Known { source, priority, at: now });
        let is_news = before.is_none_or(|before| before.priority != priority);
        let from = before.and_then(|before| before.priority);
        (is_news && self.may_tell(now)).then_some(Change { from })
    }

    /// Where the router is remembered, or else the place of the one not heard for longest.
    fn place_of(&self, source: IpAddr) -> usize {
        let is_it = |known: &Option<Known>| known.is_some_and(|known| known.source == source);
        let oldest = || {
            let at = |place: &usize| self.known[*place].map(|known| known.at);
            (0..KEPT).min_by_key(at).unwrap_or(0)
        };
        self.known.iter().position(is_it).unwrap_or_else(oldest)
    }

    fn may_tell(&mut self, now: Instant) -> bool {
        if now.saturating_since(self.window_from) >= WINDOW {
            (self.window_from, self.told) = (now, 0);
        }
        self.told = self.told.saturating_add(1);
        self.told <= TOLD
    }
}
