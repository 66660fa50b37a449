//! What the advertising thread wishes: addresses on and off, announcements, reports.

use super::Keeper;
use crate::linux::clock;
use crate::linux::messages::{Effect, SlotId, Wish};
use crate::proto::{EventKind, Reply};
use crate::router::Report;
use crate::time::Instant;

impl Keeper {
    /// Takes what the advertising thread asks for and carries out a batch of it: the addresses
    /// first, then what the link is told. The rest comes with the next turn of the loop, so that
    /// the daemon's questions wait for no crowd.
    pub(super) fn carry_out(&mut self) {
        while let Some(effect) = self.orders.next() {
            self.take_effect(effect);
        }
        self.work_on();
        self.tell_link(clock::now());
    }

    fn take_effect(&mut self, effect: Effect) {
        match effect {
            Effect::Wish(id, Wish::Install(ticket)) => self.wish_install(id, ticket),
            Effect::Wish(id, Wish::Withdraw) => self.wish_withdraw(id),
            Effect::Announce(id, announcement) => self.announce(id, announcement),
            Effect::Probe(id) => self.announcements.probes.push(id),
            Effect::Report(id, at, report) => self.report(id, at, report),
            Effect::View(id, view) => {
                if let Some(member) = self.roster.get_mut(id) {
                    member.show(view);
                }
            }
            Effect::Dropped(port, at, reason, count, source) => {
                let count = u64::from(count);
                let interface = self.ports.name(port);
                let reason = reason.name().to_owned();
                let kind = EventKind::Dropped { interface, reason, count, source };
                self.record_at(at, None, kind);
            }
            Effect::Conflict(id, at, sighting) => self.sight(id, at, sighting),
            Effect::SendFailed(port, at, errno) => {
                let error = std::io::Error::from_raw_os_error(errno).to_string();
                let interface = self.ports.name(port);
                self.record_at(at, None, EventKind::SendFailed { interface, error });
            }
            Effect::Pong(seq) => self.control.send(&Reply::Pong { seq }),
            Effect::Removed(id, slot) => {
                // A wish that found the queue full came back with the slot.
                if slot.held.wish == Some(Wish::Withdraw) {
                    self.wish_withdraw(id);
                }
                self.wish_forget(id);
            }
            Effect::Garbage(garbage) => drop(garbage),
        }
    }

    fn report(&mut self, id: SlotId, at: Instant, report: Report) {
        match report {
            // It is told as a conflict, with the Ethernet address.
            Report::Rival { priority: Some(_), .. } => return,
            Report::RivalGone => self.hurry_conflicts(id, clock::now()),
            _ => {}
        }
        if let Some(member) = self.roster.get_mut(id) {
            member.note(at, &report);
        }
        self.record_at(at, Some(id), EventKind::Router(report));
    }
}
