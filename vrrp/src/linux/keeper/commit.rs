//! Putting a configuration in force.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Keeper;
use super::member::Member;
use crate::config::Transport;
use crate::linux::clock;
use crate::linux::messages::{MAX_PORTS, MAX_SLOTS, Order, Slot, SlotCounters, SlotId};
use crate::proto::{EventKind, RouterSpec};
use crate::router::{Eligibility, Router};
use crate::time::Instant;

/// Virtual routers started between two looks at what the others wish.
const STARTED_AT_ONCE: usize = 64;

/// Whether a virtual router is eligible, and until when that counts. One that is stopped and started
/// again under another configuration keeps it.
pub(super) type Verdict = (Eligibility, Option<Instant>);

impl Keeper {
    /// Puts a configuration in force: only what differs is touched. `verdicts` are those that came
    /// with it, by name: a virtual router starts with its own.
    pub(super) fn commit(&mut self, specs: Vec<RouterSpec>, verdicts: &BTreeMap<String, Verdict>) {
        let mut unnamed: BTreeSet<SlotId> = self.roster.current().map(|(id, _)| id).collect();
        let mut changed = Vec::new();
        let mut added = Vec::new();
        for spec in specs {
            let verdict = verdicts.get(&spec.name).copied();
            match self.same_virtual_router(&spec) {
                Some((_, member)) if restarts(&member.spec, &spec) => {
                    let former = (member.eligibility, member.eligible_until);
                    added.push((spec, Some(verdict.unwrap_or(former))));
                }
                Some((id, _)) => {
                    unnamed.remove(&id);
                    changed.push((id, spec, verdict));
                }
                None => added.push((spec, verdict)),
            }
        }
        for id in unnamed {
            self.remove_member(id);
        }
        for (id, spec, verdict) in changed {
            // First, or a new priority would be advertised that the verdict then takes back.
            if let Some((eligibility, until)) = verdict {
                self.set_eligibility(id, eligibility, until);
            }
            self.change_member(id, spec);
        }
        self.add_members(added);
        self.refresh_all();
        self.hear_news();
    }

    /// The virtual router that a specification is of (RFC 9568, 1): by interface, VRID and family,
    /// whatever it is called.
    fn same_virtual_router(&self, spec: &RouterSpec) -> Option<(SlotId, &Member)> {
        let port = self.ports.find(&spec.interface, spec.config.family())?;
        let id = self.roster.with_vrid(port, spec.config.vrid)?;
        Some((id, self.roster.get(id)?))
    }

    fn add_members(&mut self, added: Vec<(RouterSpec, Option<Verdict>)>) {
        let mut ids = Vec::new();
        for (spec, verdict) in added {
            ids.extend(self.add_member(spec, verdict));
        }
        // Nothing may be on an interface that a Backup should not have.
        self.remove_stale(&ids);
        for ids in ids.chunks(STARTED_AT_ONCE) {
            ids.iter().for_each(|&id| self.start_member(id));
            // An owner of its addresses wishes for them at once.
            self.carry_out();
        }
    }

    /// Makes a virtual router that is not started yet.
    fn add_member(&mut self, spec: RouterSpec, verdict: Option<Verdict>) -> Option<SlotId> {
        let Some(port) = self.port_for(&spec.interface, spec.config.family()) else {
            let error =
                format!("one process uses {MAX_PORTS} interfaces, counted by family, at most");
            self.refuse(&spec, error);
            return None;
        };
        let Some(id) = self.roster.free_id() else {
            self.refuse(&spec, format!("one process runs {MAX_SLOTS} virtual routers at most"));
            self.drop_unused_port(port);
            return None;
        };
        let mut member = Member::new(spec, port, Arc::new(SlotCounters::default()));
        if let Some((eligibility, until)) = verdict {
            member.eligibility = eligibility;
            member.eligible_until = until;
        }
        self.roster.insert(id, member);
        self.find_macvlan(id);
        Some(id)
    }

    fn start_member(&mut self, id: SlotId) {
        let Some(member) = self.roster.get(id) else {
            return;
        };
        self.open_frames(member.port);
        let source = self.source_of(id);
        let Some(member) = self.roster.get_mut(id) else {
            return;
        };
        member.source = source;
        let mut router = Router::new(member.spec.config.clone());
        router.set_source(clock::now(), member.source.as_ref().ok().copied());
        router.set_eligibility(clock::now(), member.eligibility);
        // What it is from the start is no change to report; it is not started, and asks for nothing.
        while router.poll_action().is_some() {}
        let slot = Slot::new(
            router,
            member.port,
            member.spec.transport.clone(),
            Arc::clone(&member.counters),
        );
        self.orders.send(Order::AddSlot(id, Box::new(slot)));
    }

    /// Tells that a virtual router is not run.
    pub(super) fn refuse(&mut self, spec: &RouterSpec, error: String) {
        let kind = EventKind::NotRun { error };
        self.journal.record(clock::now(), Some(spec.name.clone()), kind);
    }

    fn change_member(&mut self, id: SlotId, spec: RouterSpec) {
        if self.roster.get(id).is_none_or(|member| member.spec == spec) {
            return;
        }
        let Some(old) = self.roster.change(id, spec) else {
            return;
        };
        let Some(member) = self.roster.get_mut(id) else {
            return;
        };
        let kept = member.addresses().to_vec();
        if member.wanted {
            let gone = old.config.addresses.iter().filter(|address| !kept.contains(address));
            member.obsolete.extend(gone);
        }
        if old.config.addresses != member.spec.config.addresses {
            member.installed = false;
            if !member.wanted {
                self.suspects.insert(id);
            }
        }
        if old.transport != member.spec.transport {
            let transport = Box::new(member.spec.transport.clone());
            self.orders.send(Order::Transport(id, transport));
        }
        if old.config != member.spec.config {
            let config = Box::new(member.spec.config.clone());
            self.orders.send(Order::Reconfigure(id, config));
        }
    }

    /// Stops a virtual router; what it still wishes is carried out before it is forgotten.
    pub(super) fn remove_member(&mut self, id: SlotId) {
        if self.roster.leave(id) {
            self.orders.send(Order::RemoveSlot(id));
        }
    }
}

/// Whether a virtual router stops for another configuration and starts anew: where its addresses
/// are and how its advertisements travel is settled at its start.
fn restarts(old: &RouterSpec, new: &RouterSpec) -> bool {
    let unicast = |spec: &RouterSpec| matches!(spec.transport, Transport::Unicast { .. });
    old.config.virtual_mac != new.config.virtual_mac || unicast(old) != unicast(new)
}
