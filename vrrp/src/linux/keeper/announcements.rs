//! What the link is told: gratuitous ARP and neighbour advertisements, and probes.
//!
//! The first announcement of a takeover leaves at once: clients wait for it. All others share a
//! rate, as RFC 9568 leaves it to the implementation how often they are repeated, and the repeats
//! of some thousand addresses together would overrun switches and hosts: see [`Pace`].

use std::collections::VecDeque;
use std::io;

use super::Keeper;
use super::pace::Pace;
use crate::linux::clock;
use crate::linux::messages::{PortId, SlotId};
use crate::proto::EventKind;
use crate::router::Announcement;
use crate::time::{Duration, Instant};

/// Pause before a full transmit queue is tried again.
const FULL_QUEUE_PAUSE: Duration = Duration::from_millis(10);
/// A turn this late may be that of a process that was frozen: whether the router is still Active
/// is heard first.
const LATE: Duration = Duration::from_millis(50);
const LATE_PAUSE: Duration = Duration::from_millis(20);

/// What the link is to be told.
pub(super) struct Announcements {
    /// Virtual routers whose announcement was just planned.
    pub(super) fresh: Vec<SlotId>,
    /// Virtual routers for whose addresses the link is to be asked.
    pub(super) probes: Vec<SlotId>,
    /// Virtual routers whose announcement waits for its turn.
    queue: VecDeque<SlotId>,
    /// When the queue is looked at again.
    next_turn: Option<Instant>,
    pace: Pace,
}

impl Announcements {
    pub(super) const fn new() -> Self {
        Self {
            fresh: Vec::new(),
            probes: Vec::new(),
            queue: VecDeque::new(),
            next_turn: None,
            pace: Pace::new(),
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.next_turn
    }
}

/// How far the announcements of one virtual router have got.
enum Progress {
    Done,
    /// The budget is spent, or the transmit queue full.
    Waits,
    Failed(io::Error),
}

impl Keeper {
    /// Plans announcements; the first is made by the next [`Keeper::tell_link`].
    pub(super) fn announce(&mut self, id: SlotId, announcement: Announcement) {
        if let Some(member) = self.roster.get_mut(id) {
            member.plan_announcement(clock::now(), announcement);
            self.announcements.fresh.push(id);
        }
    }

    /// The interface has another Ethernet address: everybody has to learn it.
    pub(super) fn announce_all(&mut self, port: PortId) {
        for id in self.roster.on_port(port) {
            let concerned = |member: &super::member::Member| {
                member.is_active() && member.installed && member.virtual_mac().is_none()
            };
            if self.roster.get(id).is_some_and(concerned) {
                self.announce(id, Announcement::Takeover);
            }
        }
    }

    /// Says what is new.
    pub(super) fn tell_link(&mut self, now: Instant) {
        for id in std::mem::take(&mut self.announcements.fresh) {
            self.announce_due(id, now);
            self.roster.rearm(id);
        }
        for id in std::mem::take(&mut self.announcements.probes) {
            self.probe(id);
        }
        self.take_turn(now);
    }

    /// Announces what is due for one virtual router, or puts it in the queue.
    pub(super) fn announce_due(&mut self, id: SlotId, now: Instant) {
        let Some(member) = self.roster.get_mut(id) else {
            return;
        };
        if !member.announcements.poll_due(now) {
            return;
        }
        if !member.urgent {
            if !std::mem::replace(&mut member.queued, true) {
                self.announcements.queue.push_back(id);
                self.announcements.next_turn.get_or_insert(now);
            }
            return;
        }
        // It tells all that the queue would.
        member.queued = false;
        match self.announce_rest(id, now, true) {
            Progress::Waits => {
                if let Some(member) = self.roster.get_mut(id) {
                    member.announcements.plan(now + FULL_QUEUE_PAUSE);
                }
            }
            progress => {
                if let Some(member) = self.roster.get_mut(id) {
                    member.urgent = false;
                }
                self.note_progress(id, progress);
            }
        }
    }

    /// Announces from the queue what the budget allows.
    pub(super) fn take_turn(&mut self, now: Instant) {
        let Some(turn) = self.announcements.next_turn.filter(|&turn| turn <= now) else {
            return;
        };
        if now.saturating_since(turn) > LATE {
            self.announcements.next_turn = Some(now + LATE_PAUSE);
            return;
        }
        self.announcements.next_turn = None;
        while let Some(&id) = self.announcements.queue.front() {
            if self.roster.get(id).is_some_and(|member| member.queued) {
                match self.announce_rest(id, now, false) {
                    Progress::Waits => {
                        let soonest = now + FULL_QUEUE_PAUSE;
                        let next = self.announcements.pace.next().max(soonest);
                        self.announcements.next_turn = Some(next);
                        return;
                    }
                    progress => self.note_progress(id, progress),
                }
                if let Some(member) = self.roster.get_mut(id) {
                    member.queued = false;
                }
            }
            self.announcements.queue.pop_front();
        }
    }

    /// Announces a virtual router's addresses from where it was held up the last time.
    fn announce_rest(&mut self, id: SlotId, now: Instant, urgent: bool) -> Progress {
        let pace = &mut self.announcements.pace;
        let Some(member) = self.roster.get_mut(id) else {
            return Progress::Done;
        };
        let Some(port) = self.ports.get_mut(member.port) else {
            return Progress::Done;
        };
        let (mac, source) = (member.virtual_mac(), member.link_local());
        while let Some(&address) = member.addresses().get(member.announced) {
            if !urgent && pace.budget(now) == 0 {
                return Progress::Waits;
            }
            if let Err(error) = port.announce(address, mac, source) {
                let full =
                    matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock);
                if full {
                    return Progress::Waits;
                }
                member.announced = 0;
                return Progress::Failed(error);
            }
            pace.spend(now);
            member.announced += 1;
        }
        member.announced = 0;
        Progress::Done
    }

    fn note_progress(&mut self, id: SlotId, progress: Progress) {
        if let Progress::Failed(error) = progress {
            self.record(Some(id), EventKind::AnnounceFailed { error: error.to_string() });
        }
    }

    fn probe(&mut self, id: SlotId) {
        let Some(member) = self.roster.get(id) else {
            return;
        };
        let Some(port) = self.ports.get_mut(member.port) else {
            return;
        };
        // What cannot be asked is not: the successor's own announcements follow anyway.
        for &address in member.addresses() {
            let _ = port.probe(address);
        }
    }
}
