//! The keeper and the kernel: addresses, their lease, announcements.

use vrrp::router::State;
use vrrp::time::Duration;

use super::clock::{MS, NEVER, Time};
use super::machine::Call;
use super::node::{Claim, Effect};
use super::trace::say;
use super::world::{Event, World};

/// How late the kernel may remove an address whose lease is over.
const EXPIRY: (Time, Time) = (30 * MS, 300 * MS);
/// The least time between two claims that the router is told of.
const CLAIM_INTERVAL: Duration = Duration::from_millis(50);

impl World {
    pub fn ask_keeper(&mut self, id: usize, effect: Effect) {
        self.nodes[id].keeper.effects.push_back(effect);
        self.poke_keeper(id, self.now);
    }

    /// Something at `at` is a reason for the keeper to run.
    pub fn poke_keeper(&mut self, id: usize, at: Time) {
        let at = at.max(self.now) + self.between(self.timing.keeper);
        let node = &mut self.nodes[id];
        if node.runs() && node.machine.is_some() && node.keeper.due.is_none_or(|due| at < due) {
            node.keeper.due = Some(at);
            self.plan(at, Event::Keeper(id));
        }
    }

    pub fn keeper_runs(&mut self, id: usize) {
        let node = &mut self.nodes[id];
        if !node.runs() || node.keeper.due != Some(self.now) {
            return;
        }
        node.keeper.due = None;
        while let Some(effect) = self.nodes[id].keeper.effects.pop_front() {
            if let Some(order) = self.take_effect(id, effect) {
                self.nodes[id].orders.push_back(order);
                self.wake(id, self.now);
            }
        }
        let local = self.nodes[id].now(self.now);
        if self.nodes[id].keeper.schedule.poll_due(local) {
            self.send_arp(id, Claim::Has);
        }
        let node = &self.nodes[id];
        if let Some(next) = node.keeper.schedule.poll_timeout() {
            self.poke_keeper(id, node.profile.clock.global(next));
        }
    }

    /// Carries out what the router wishes, or passes on what it has to know.
    fn take_effect(&mut self, id: usize, effect: Effect) -> Option<Call> {
        let node = &mut self.nodes[id];
        let local = node.now(self.now);
        match effect {
            Effect::Install(ticket) => {
                node.keeper.wanted = true;
                let refuses = node.kernel.refuses;
                if !refuses {
                    self.install(id);
                }
                return Some(if refuses {
                    Call::InstallFailed(ticket)
                } else {
                    Call::Installed(ticket)
                });
            }
            Effect::Withdraw => {
                node.keeper.wanted = false;
                node.keeper.schedule.stop();
                self.remove(id, "the address is removed");
            }
            Effect::Announce(announcement) => {
                let lease = node.profile.config.lease;
                node.keeper.schedule.start(local, announcement, lease);
            }
            Effect::Probe => self.send_arp(id, Claim::Probes),
            Effect::Show(state) => {
                node.keeper.active = state == State::Active;
                node.keeper.told_at = None;
                if !node.keeper.active {
                    node.keeper.schedule.stop();
                }
            }
            Effect::Gone => {
                return (node.keeper.wanted && !node.kernel.address).then_some(Call::AddressLost);
            }
            Effect::Arp(claim) => {
                let keeper = &mut node.keeper;
                let lately = keeper.told_at.is_some_and(|at| local < at + CLAIM_INTERVAL);
                let heeds = keeper.active || (keeper.wanted && claim == Claim::Has);
                if lately || !heeds {
                    return None;
                }
                keeper.told_at = Some(local);
                return Some(if claim == Claim::Has { Call::Claimed } else { Call::Probed });
            }
        }
        None
    }

    fn install(&mut self, id: usize) {
        let expires = {
            let late = self.between(EXPIRY);
            let node = &self.nodes[id];
            let lease = node.profile.config.lease;
            lease.map(|lease| self.now + node.profile.clock.real(lease.duration()) + late)
        };
        let kernel = &mut self.nodes[id].kernel;
        let fresh = !core::mem::replace(&mut kernel.address, true);
        kernel.refreshed = self.now;
        kernel.generation += 1;
        let generation = kernel.generation;
        self.nodes[id].lacks_until = None;
        self.alarm_stale = true;
        if fresh {
            say!(self, id, "the address is set");
        }
        if let Some(at) = expires {
            self.plan(at, Event::Expire(id, generation));
        }
    }

    /// Takes the address off the node, if it is there.
    pub fn remove(&mut self, id: usize, why: &str) {
        let kernel = &mut self.nodes[id].kernel;
        kernel.generation += 1;
        if core::mem::take(&mut kernel.address) {
            self.alarm_stale = true;
            say!(self, id, "{why}");
        }
    }

    /// The kernel's lease on an address is over.
    pub fn lease_ends(&mut self, id: usize, generation: u32) {
        if self.nodes[id].kernel.generation == generation {
            self.address_vanishes(id, "the lease is over: the kernel removes the address");
            self.disturb();
        }
    }

    /// The address goes without the keeper's doing.
    pub fn address_vanishes(&mut self, id: usize, why: &str) {
        self.remove(id, why);
        if self.nodes[id].machine.is_some() {
            self.ask_keeper(id, Effect::Gone);
        }
        if self.nodes[id].is(State::Active) {
            self.lacks(id);
        }
    }

    /// Until when the kernel keeps an address that nobody refreshes: the lease and 0.3 s.
    pub fn lease_end(&self, id: usize) -> Time {
        let node = &self.nodes[id];
        node.profile.config.lease.map_or(NEVER, |lease| {
            let lease = node.profile.clock.real(lease.duration());
            node.kernel.refreshed + lease + EXPIRY.1
        })
    }

    /// A gratuitous ARP or a probe arrives, at a node and at the clients beside it.
    pub fn hear_arp(&mut self, id: usize, from: usize, claim: Claim) {
        // What is under way when the ways change is lost: clients then ask anew.
        if !self.reaches(from, id) {
            return;
        }
        let node = &mut self.nodes[id];
        if claim == Claim::Has {
            node.cache = Some(from);
        }
        if node.machine.is_some() && node.is_mainstay() {
            self.ask_keeper(id, Effect::Arp(claim));
        }
    }
}
