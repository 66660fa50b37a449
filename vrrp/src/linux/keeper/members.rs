//! The virtual routers as the keeper knows them.

use core::net::IpAddr;
use core::sync::atomic::Ordering::Relaxed;
use std::sync::Arc;

use super::Keeper;
use super::removal::Search;
use crate::announce::Schedule;
use crate::linux::clock;
use crate::linux::messages::{
    MAX_PORTS, MAX_SLOTS, Order, PortId, Slot, SlotCounters, SlotId, View,
};
use crate::linux::neighbour::Claim;
use crate::proto::{EventKind, LastTransition, RouterSpec, RouterStatus};
use crate::router::{Announcement, Eligibility, Router, State};
use crate::time::{Duration, Instant};

/// The least time between two claims by ARP that are told to the advertising thread.
const CLAIM_INTERVAL: Duration = Duration::from_millis(100);

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
    /// How many of the addresses have been announced, while a full transmit queue holds it up.
    pub(super) announced: usize,
    /// Whether the link is to be asked for the addresses.
    pub(super) probe_due: bool,
    /// For addresses that are there though they are not wanted.
    pub(super) search: Search,
    /// When the advertising thread last heard of a claim by ARP.
    arp_told_at: Option<Instant>,
    pub(super) eligibility: Eligibility,
    /// When the verdict of a daemon that fell silent counts as degraded.
    pub(super) eligible_until: Option<Instant>,
    pub(super) last_transition: Option<LastTransition>,
    pub(super) install_error: Option<String>,
    /// No longer configured; waiting for its last effects.
    pub(super) leaving: bool,
}

impl Member {
    fn new(spec: RouterSpec, port: PortId, counters: Arc<SlotCounters>) -> Self {
        Self {
            spec,
            port,
            counters,
            view: None,
            wanted: false,
            installed: false,
            obsolete: Vec::new(),
            announcements: Schedule::new(),
            announced: 0,
            probe_due: false,
            search: Search::default(),
            arp_told_at: None,
            eligibility: Eligibility::Healthy,
            eligible_until: None,
            last_transition: None,
            install_error: None,
            leaving: false,
        }
    }

    /// Whether this is the virtual router of that name in the configuration in force.
    pub(super) fn is_current(&self, name: &str) -> bool {
        !self.leaving && self.spec.name == name
    }

    pub(super) fn addresses(&self) -> &[IpAddr] {
        self.spec.config.addresses.as_slice()
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let announcement = self.announcements.poll_timeout().into_iter();
        announcement.chain(self.search.poll_timeout()).chain(self.eligible_until).min()
    }

    pub(super) fn is_active(&self) -> bool {
        self.view.is_some_and(|view| view.state == State::Active)
    }

    /// Takes what the advertising thread says.
    pub(super) fn show(&mut self, view: View) {
        if self.view.is_none_or(|known| known.state != view.state) {
            // The first claim after leaving Active ends the lingering, so it is always told.
            self.arp_told_at = None;
        }
        self.view = Some(view);
    }

    /// Whether the advertising thread should hear of a claim by ARP: an Active defends its
    /// addresses, and one that was Active lets go of them. Once in [`CLAIM_INTERVAL`] at most.
    pub(super) fn heeds(&mut self, now: Instant, claim: Claim) -> bool {
        let told = self.arp_told_at.is_some_and(|at| now.saturating_since(at) < CLAIM_INTERVAL);
        let heeds = !told && (self.is_active() || (self.wanted && claim == Claim::Has));
        if heeds {
            self.arp_told_at = Some(now);
        }
        heeds
    }

    pub(super) fn plan_announcement(&mut self, now: Instant, announcement: Announcement) {
        self.announcements.start(now, announcement, self.spec.config.lease);
        self.announced = 0;
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
            self.refuse(&spec, format!("one process runs {MAX_SLOTS} virtual routers at most"));
            return;
        };
        let Some(port) = self.port_for(&spec.interface, spec.config.family()) else {
            let error =
                format!("one process uses {MAX_PORTS} interfaces, counted by family, at most");
            self.refuse(&spec, error);
            return;
        };
        let counters = Arc::new(SlotCounters::default());
        let mut router = Router::new(spec.config.clone());
        router.set_source(clock::now(), self.ports.get(&port).and_then(|entry| entry.source));
        let slot = Slot::new(
            router,
            port,
            spec.transport.clone(),
            spec.virtual_mac,
            Arc::clone(&counters),
        );
        self.members.insert(id, Member::new(spec, port, counters));
        self.remove_stale(id);
        self.orders.send(Order::AddSlot(id, Box::new(slot)));
    }

    /// Tells that a virtual router is not run.
    pub(super) fn refuse(&mut self, spec: &RouterSpec, error: String) {
        let kind = EventKind::NotRun { error };
        self.journal.record(clock::now(), Some(spec.name.clone()), kind);
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
        if old.transport != member.spec.transport {
            let transport = Box::new(member.spec.transport.clone());
            self.orders.send(Order::Transport(id, transport));
        }
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
}

/// Whether two specifications are the same virtual router (RFC 9568, 1): by interface, VRID and
/// family, whatever it is called.
fn same_virtual_router(a: &RouterSpec, b: &RouterSpec) -> bool {
    a.config.vrid == b.config.vrid
        && a.config.family() == b.config.family()
        && a.interface == b.interface
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::config::{Addresses, Checksum, OnDegraded, Preempt, RouterConfig, Transport};
    use crate::time::Centis;
    use crate::wire::ChecksumForm;
    use crate::{Priority, Vrid};

    const START: Instant = Instant::from_nanos(1_000_000_000);

    fn spec(name: &str, interface: &str, vrid: u8) -> RouterSpec {
        let config = RouterConfig {
            vrid: Vrid::new(vrid).unwrap(),
            priority: Priority::new(200).unwrap(),
            degraded_priority: Priority::new(72).unwrap(),
            on_degraded: OnDegraded::Advertise,
            preempt: Preempt::DegradedOnly,
            interval: Centis::DEFAULT,
            addresses: Addresses::new(vec!["10.0.0.10".parse().unwrap()]).unwrap(),
            lease: None,
            checksum: Checksum::Auto,
        };
        RouterSpec {
            name: name.to_owned(),
            interface: interface.to_owned(),
            config,
            transport: Transport::Multicast,
            virtual_mac: false,
        }
    }

    fn member(state: State) -> Member {
        let mut member = Member::new(spec("a", "eno1", 1), 0, Arc::default());
        member.show(view(state));
        member
    }

    fn view(state: State) -> View {
        View {
            state,
            effective_priority: None,
            source: None,
            active: None,
            checksum: ChecksumForm::Rfc9568,
        }
    }

    #[test]
    fn an_active_hears_of_claims_and_probes_once_in_100_ms() {
        let mut member = member(State::Active);
        assert!(member.heeds(START, Claim::Probes));
        assert!(!member.heeds(START + CLAIM_INTERVAL / 2, Claim::Has));
        assert!(member.heeds(START + CLAIM_INTERVAL, Claim::Has));
    }

    #[test]
    fn the_first_claim_after_leaving_active_is_always_heard_of() {
        let mut member = member(State::Active);
        member.wanted = true;
        assert!(member.heeds(START, Claim::Has));
        member.show(view(State::Backup));
        assert!(!member.heeds(START, Claim::Probes));
        assert!(member.heeds(START, Claim::Has));
        assert!(!member.heeds(START, Claim::Has));
    }

    #[test]
    fn a_router_without_the_addresses_does_not_care_who_has_them() {
        let mut member = member(State::Backup);
        assert!(!member.heeds(START, Claim::Has));
        assert!(!member.heeds(START, Claim::Probes));
    }

    /// RFC 9568, 1: by interface, VRID and family.
    #[test]
    fn a_virtual_router_stays_the_same_under_another_name() {
        let a = spec("a", "eno1", 1);
        assert!(same_virtual_router(&a, &spec("b", "eno1", 1)));
        assert!(!same_virtual_router(&a, &spec("a", "eno2", 1)));
        assert!(!same_virtual_router(&a, &spec("a", "eno1", 2)));
    }
}
