//! The virtual routers as the keeper knows them.

use core::net::IpAddr;
use core::sync::atomic::Ordering::Relaxed;
use std::sync::Arc;

use super::Keeper;
use crate::announce::Schedule;
use crate::linux::messages::{Held, MAX_SLOTS, Order, PortId, Slot, SlotCounters, SlotId, View};
use crate::proto::{EventKind, LastTransition, RouterSpec, RouterStatus};
use crate::router::{Eligibility, Router, State};
use crate::time::Instant;

pub(super) struct Member {
    pub(super) spec: RouterSpec,
    pub(super) port: PortId,
    pub(super) counters: Arc<SlotCounters>,
    /// What the advertising thread said last.
    pub(super) view: Option<View>,
    /// Whether the addresses should be on the interface: somebody else's removal is noticed.
    pub(super) wanted: bool,
    /// Whether the kernel has acknowledged all of them.
    pub(super) installed: bool,
    /// Addresses of an older configuration that are still on the interface.
    pub(super) obsolete: Vec<IpAddr>,
    pub(super) announcements: Schedule,
    pub(super) eligibility: Eligibility,
    /// When the verdict of a daemon that fell silent counts as degraded.
    pub(super) eligible_until: Option<Instant>,
    pub(super) last_transition: Option<LastTransition>,
    pub(super) install_error: Option<String>,
    /// No longer configured; waiting for its last effects.
    pub(super) leaving: bool,
}

impl Member {
    /// Whether this is the virtual router of that name in the configuration in force.
    pub(super) fn is_current(&self, name: &str) -> bool {
        !self.leaving && self.spec.name == name
    }

    pub(super) fn addresses(&self) -> &[IpAddr] {
        self.spec.config.addresses.as_slice()
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.announcements.poll_timeout().into_iter().chain(self.eligible_until).min()
    }

    pub(super) fn status(&self, interface_problem: Option<String>) -> RouterStatus {
        let config = &self.spec.config;
        let active = self.view.and_then(|view| view.active);
        RouterStatus {
            name: self.spec.name.clone(),
            vrid: config.vrid,
            family: config.family(),
            interface: self.spec.interface.clone(),
            interface_problem,
            state: self.view.map_or(State::Initialize, |view| view.state),
            priority: config.priority,
            effective_priority: self.view.and_then(|view| view.effective_priority),
            eligibility: self.eligibility,
            interval: config.interval,
            addresses: self.addresses().to_vec(),
            installed: self.installed,
            source: self.view.and_then(|view| view.source),
            active_router: active.map(|(address, _)| address),
            active_priority: active.and_then(|(_, priority)| priority),
            checksum: self.view.map(|view| view.checksum),
            last_transition: self.last_transition,
            install_error: self.install_error.clone(),
            adverts_sent: self.counters.sent.load(Relaxed),
            adverts_received: self.counters.received.load(Relaxed),
        }
    }
}

impl Keeper {
    /// Puts a configuration in force: only what differs is touched.
    pub(super) fn commit(&mut self, specs: Vec<RouterSpec>) {
        let current: Vec<SlotId> =
            self.members.iter().filter(|(_, m)| !m.leaving).map(|(&id, _)| id).collect();
        let mut kept = Vec::new();
        let mut added = Vec::new();
        for spec in specs {
            let same = current.iter().copied().find(|id| {
                self.members.get(id).is_some_and(|m| same_virtual_router(&m.spec, &spec))
            });
            match same {
                Some(id) => kept.push((id, spec)),
                None => added.push(spec),
            }
        }
        for id in current {
            if !kept.iter().any(|(kept, _)| *kept == id) {
                self.remove_member(id);
            }
        }
        for (id, spec) in kept {
            self.change_member(id, spec);
        }
        for spec in added {
            self.add_member(spec);
        }
        self.refresh_ports();
    }

    fn add_member(&mut self, spec: RouterSpec) {
        let Some(id) = (0..MAX_SLOTS).find(|id| !self.members.contains_key(id)) else {
            return;
        };
        let Some(port) = self.port_for(&spec.interface) else {
            return;
        };
        let counters = Arc::new(SlotCounters::default());
        let slot = Box::new(Slot {
            router: Router::new(spec.config.clone()),
            port,
            counters: Arc::clone(&counters),
            view: None,
            peer_checksum: None,
            mismatch: None,
            held: Held::default(),
        });
        self.members.insert(
            id,
            Member {
                spec,
                port,
                counters,
                view: None,
                wanted: false,
                installed: false,
                obsolete: Vec::new(),
                announcements: Schedule::new(),
                eligibility: Eligibility::Healthy,
                eligible_until: None,
                last_transition: None,
                install_error: None,
                leaving: false,
            },
        );
        self.remove_stale(id);
        self.orders.send(Order::AddSlot(id, slot));
    }

    fn change_member(&mut self, id: SlotId, spec: RouterSpec) {
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        if member.spec == spec {
            return;
        }
        let old = std::mem::replace(&mut member.spec, spec);
        let gone =
            old.config.addresses.iter().filter(|address| !member.addresses().contains(address));
        let gone: Vec<IpAddr> = gone.collect();
        if member.wanted {
            member.obsolete.extend(gone);
        }
        let addresses_changed = old.config.addresses != member.spec.config.addresses;
        if addresses_changed {
            member.installed = false;
        }
        let config = Box::new(member.spec.config.clone());
        if addresses_changed && !member.wanted {
            self.remove_stale(id);
        }
        self.orders.send(Order::Reconfigure(id, config));
    }

    /// Stops a virtual router; what it still wishes is carried out before it is forgotten.
    pub(super) fn remove_member(&mut self, id: SlotId) {
        if let Some(member) = self.members.get_mut(&id)
            && !member.leaving
        {
            member.leaving = true;
            self.orders.send(Order::RemoveSlot(id));
        }
    }

    /// The virtual router of an address on an interface.
    pub(super) fn member_of(&self, port: PortId, address: IpAddr) -> Option<SlotId> {
        let found = self.members.iter().find(|(_, member)| {
            member.port == port && !member.leaving && member.addresses().contains(&address)
        });
        found.map(|(&id, _)| id)
    }

    /// A verdict that nobody renewed counts as degraded, never as gone.
    pub(super) fn expire_verdicts(&mut self, now: Instant) {
        for (&id, member) in &mut self.members {
            if member.eligible_until.is_some_and(|until| until <= now) {
                member.eligible_until = None;
                member.eligibility = Eligibility::Degraded;
                self.orders.send(Order::Eligibility(id, Eligibility::Degraded));
            }
        }
    }

    /// Removes addresses that an earlier run, or another program, left on the interface.
    pub(super) fn remove_stale(&mut self, id: SlotId) {
        let Some(member) = self.members.get(&id).filter(|member| !member.wanted) else {
            return;
        };
        let Some(ifindex) = self.ports.get(&member.port).and_then(|port| port.ifindex) else {
            return;
        };
        let interface = member.spec.interface.clone();
        let wanted = member.addresses().to_vec();
        let present = self.netlink.addresses(Some(ifindex)).unwrap_or_default();
        let stale: Vec<IpAddr> =
            wanted.into_iter().filter(|a| present.iter().any(|info| info.address == *a)).collect();
        if !stale.is_empty() {
            self.remove_addresses(ifindex, &stale);
            self.record(Some(id), EventKind::StaleRemoved { interface, addresses: stale });
        }
    }
}

/// Whether two specifications are the same virtual router (RFC 9568, 1: by interface, VRID and
/// family), under the same name.
fn same_virtual_router(a: &RouterSpec, b: &RouterSpec) -> bool {
    a.name == b.name
        && a.interface == b.interface
        && a.config.vrid == b.config.vrid
        && a.config.family() == b.config.family()
}
