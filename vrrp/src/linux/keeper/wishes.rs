//! What the advertising thread wishes: addresses on and off, announcements, reports.

use super::Keeper;
use super::journal::stamp;
use crate::linux::clock;
use crate::linux::messages::{Effect, Order, SlotId, Wish};
use crate::linux::netlink::Install;
use crate::proto::{EventKind, LastTransition, Reply};
use crate::router::{Report, Ticket};
use crate::time::Instant;

impl Keeper {
    /// Carries out everything that the advertising thread has asked for: the addresses first, then
    /// what the link is told.
    pub(super) fn carry_out(&mut self) {
        self.orders.effects.clear_wake();
        loop {
            self.orders.collect();
            if self.orders.collected.is_empty() {
                return;
            }
            while let Some(effect) = self.orders.collected.pop_front() {
                self.take_effect(effect);
            }
            self.announce_due(clock::now());
        }
    }

    fn take_effect(&mut self, effect: Effect) {
        match effect {
            Effect::Wish(id, Wish::Install(ticket)) => self.install(id, ticket),
            Effect::Wish(id, Wish::Withdraw) => self.withdraw(id),
            Effect::Announce(id, announcement) => self.announce(id, announcement),
            Effect::Probe(id) => {
                if let Some(member) = self.members.get_mut(&id) {
                    member.probe_due = true;
                }
            }
            Effect::Report(id, at, report) => self.report(id, at, report),
            Effect::View(id, view) => {
                if let Some(member) = self.members.get_mut(&id) {
                    member.show(view);
                }
            }
            Effect::Dropped(port, at, reason, count, source) => {
                let count = u64::from(count);
                let interface = self.port_name(port);
                let reason = reason.name().to_owned();
                let kind = EventKind::Dropped { interface, reason, count, source };
                self.record_at(at, None, kind);
            }
            Effect::Mismatch(id, at, source, theirs) => {
                let theirs = theirs.into_iter().flatten().collect();
                self.record_at(at, Some(id), EventKind::AddressMismatch { source, theirs });
            }
            Effect::SendFailed(port, at, errno) => {
                let error = std::io::Error::from_raw_os_error(errno).to_string();
                let interface = self.port_name(port);
                self.record_at(at, None, EventKind::SendFailed { interface, error });
            }
            Effect::Pong(seq) => self.control.send(&Reply::Pong { seq }),
            Effect::Removed(id, slot) => {
                // A wish that found the queue full came back with the slot.
                if slot.held.wish == Some(Wish::Withdraw) {
                    self.withdraw(id);
                }
                self.members.remove(&id);
                self.drop_unused_ports();
            }
            Effect::Garbage(garbage) => drop(garbage),
        }
    }

    fn install(&mut self, id: SlotId, ticket: Ticket) {
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        member.wanted = true;
        let Some(ifindex) = self.ports.get(&member.port).and_then(|port| port.ifindex) else {
            self.orders.send(Order::InstallFailed(id, ticket));
            return;
        };
        let lease = member.spec.config.lease;
        let wanted: Vec<Install> =
            member.addresses().iter().map(|&address| Install { ifindex, address, lease }).collect();
        let obsolete = std::mem::take(&mut member.obsolete);
        let failure = self.netlink.install_many(&wanted).into_iter().find_map(Result::err);
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        match failure {
            None => {
                member.installed = true;
                member.install_error = None;
                self.orders.send(Order::Installed(id, ticket));
            }
            Some(error) => {
                let error = error.to_string();
                let known = member.install_error.replace(error.clone());
                self.orders.send(Order::InstallFailed(id, ticket));
                if known.as_ref() != Some(&error) {
                    self.record(Some(id), EventKind::InstallFailed { error });
                }
            }
        }
        self.remove_addresses(ifindex, &obsolete);
    }

    fn withdraw(&mut self, id: SlotId) {
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        member.wanted = false;
        member.installed = false;
        member.announcements.stop();
        let mut addresses = std::mem::take(&mut member.obsolete);
        addresses.extend(member.addresses());
        if let Some(ifindex) = self.ports.get(&member.port).and_then(|port| port.ifindex)
            && let Some(error) = self.remove_addresses(ifindex, &addresses).failure
        {
            self.record(Some(id), EventKind::WithdrawFailed { error: error.to_string() });
        }
    }

    fn report(&mut self, id: SlotId, at: Instant, report: Report) {
        if let Report::Transition { from, to, cause } = report
            && let Some(member) = self.members.get_mut(&id)
        {
            member.last_transition = Some(LastTransition { at: stamp(at), from, to, cause });
        }
        self.record_at(at, Some(id), EventKind::Router(report));
    }
}
