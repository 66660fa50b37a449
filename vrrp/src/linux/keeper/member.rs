//! One virtual router as the keeper knows it.

use core::net::{IpAddr, Ipv6Addr};
use core::sync::atomic::Ordering::Relaxed;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::arrivals::Arrival;
use super::journal::stamp;
use super::problem::Problem;
use super::removal::Search;
use crate::announce::Schedule;
use crate::config::Transport;
use crate::conflict::{ConflictKind, Entry, Ledger};
use crate::linux::interface::AddressInfo;
use crate::linux::messages::{PortId, SlotCounters, View};
use crate::linux::neighbour::Claim;
use crate::proto::{ConflictStatus, LastTransition, RouterSpec, RouterStatus, TransitionCount};
use crate::router::{Announcement, Eligibility, Report, State, Ticket};
use crate::time::{Duration, Instant};
use crate::wire::virtual_mac;

/// The least time between two claims by ARP or NA that are told to the advertising thread. An Active
/// announces once more 100 ms after the last it was told of, and so after those it was not.
const CLAIM_INTERVAL: Duration = Duration::from_millis(50);

pub(super) struct Member {
    pub(super) spec: RouterSpec,
    pub(super) port: PortId,
    pub(super) counters: Arc<SlotCounters>,
    /// What the advertising thread said last.
    pub(super) view: Option<View>,
    /// The address that its advertisements come from, or why there is none.
    pub(super) source: Result<IpAddr, Problem>,
    /// The macvlan with its virtual MAC address, while there is one.
    pub(super) macvlan: Option<u32>,
    /// Whether the macvlan was brought up for the addresses that are wanted.
    pub(super) raised: bool,
    /// Whether the addresses should be on the interface: somebody else's removal is noticed.
    pub(super) wanted: bool,
    /// The request for them that is to be answered.
    pub(super) ticket: Option<Ticket>,
    /// Acknowledged, but not all in use.
    pub(super) arrival: Option<Arrival>,
    /// Whether all of them are in use.
    pub(super) installed: bool,
    /// An address owner's addresses that came from here and not from the node's configuration:
    /// before Linux 5.18 the kernel does not tell.
    pub(super) brought: BTreeSet<IpAddr>,
    /// Addresses of an older configuration that are still on the interface.
    pub(super) obsolete: Vec<IpAddr>,
    pub(super) announcements: Schedule,
    /// How many of the addresses have been announced, while something holds the others up.
    pub(super) announced: usize,
    /// Whether the next announcement is the first of a takeover, which waits for nothing.
    pub(super) urgent: bool,
    /// Whether an announcement waits for its turn.
    pub(super) queued: bool,
    /// For addresses that are there though they are not wanted.
    pub(super) search: Search,
    /// When the advertising thread last heard of a claim.
    claim_told_at: Option<Instant>,
    pub(super) eligibility: Eligibility,
    /// When the verdict of a daemon that fell silent counts as degraded.
    pub(super) eligible_until: Option<Instant>,
    pub(super) last_transition: Option<LastTransition>,
    transitions: Vec<TransitionCount>,
    repairs: u64,
    /// When the kernel last acknowledged all addresses.
    pub(super) confirmed_at: Option<Instant>,
    pub(super) conflicts: Ledger,
    pub(super) install_error: Option<String>,
    /// No longer configured; waiting for its last effects.
    pub(super) leaving: bool,
}

impl Member {
    pub(super) fn new(spec: RouterSpec, port: PortId, counters: Arc<SlotCounters>) -> Self {
        Self {
            spec,
            port,
            counters,
            view: None,
            source: Err(Problem::Missing),
            macvlan: None,
            raised: false,
            wanted: false,
            ticket: None,
            arrival: None,
            installed: false,
            brought: BTreeSet::new(),
            obsolete: Vec::new(),
            announcements: Schedule::new(),
            announced: 0,
            urgent: false,
            queued: false,
            search: Search::default(),
            claim_told_at: None,
            eligibility: Eligibility::Healthy,
            eligible_until: None,
            last_transition: None,
            transitions: Vec::new(),
            repairs: 0,
            confirmed_at: None,
            conflicts: Ledger::default(),
            install_error: None,
            leaving: false,
        }
    }

    pub(super) fn addresses(&self) -> &[IpAddr] {
        self.spec.config.addresses.as_slice()
    }

    /// The virtual router MAC address, where it is to be used (RFC 9568, 7.3).
    pub(super) fn virtual_mac(&self) -> Option<[u8; 6]> {
        let config = &self.spec.config;
        config.virtual_mac.then(|| virtual_mac(config.family(), config.vrid))
    }

    /// Whether its advertisements leave as whole frames, from its virtual MAC address.
    pub(super) fn sends_frames(&self) -> bool {
        self.spec.config.virtual_mac && self.spec.transport == Transport::Multicast
    }

    /// Whether its peers know it by an address other than the link-local one that IPv6
    /// advertisements come from (RFC 9568, 5.1.2.1).
    pub(super) fn speaks_beyond_the_link(&self) -> bool {
        let is_link_local = |peer: &IpAddr| match peer {
            IpAddr::V4(_) => true,
            IpAddr::V6(peer) => peer.is_unicast_link_local(),
        };
        match &self.spec.transport {
            Transport::Unicast { peers, source: None } => !peers.iter().all(is_link_local),
            _ => false,
        }
    }

    /// Whether this router owns the addresses (RFC 9568, 1.2).
    pub(super) fn is_owner(&self) -> bool {
        self.spec.config.priority.is_owner()
    }

    /// Whether an address of the interface is the node's own, and so used as it is and never
    /// removed: only an address owner's can be.
    pub(super) fn is_own(&self, info: &AddressInfo) -> bool {
        let host = if info.address.is_ipv4() { 32 } else { 128 };
        let brought = info.prefix_len == host && self.brought.contains(&info.address);
        self.is_owner() && !info.ours && !brought
    }

    /// Where neighbour advertisements come from.
    pub(super) fn link_local(&self) -> Option<Ipv6Addr> {
        match self.source {
            Ok(IpAddr::V6(source)) => Some(source),
            _ => None,
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let announcement = self.announcements.poll_timeout().into_iter();
        let arrival = self.arrival.map(|arrival| arrival.until);
        let conflict = self.conflicts.poll_timeout();
        let others = [arrival, self.search.poll_timeout(), self.eligible_until, conflict];
        announcement.chain(others.into_iter().flatten()).min()
    }

    pub(super) fn is_active(&self) -> bool {
        self.view.is_some_and(|view| view.state == State::Active)
    }

    /// Takes what the advertising thread says.
    pub(super) fn show(&mut self, view: View) {
        if self.view.is_none_or(|known| known.state != view.state) {
            // The first claim after leaving Active ends the lingering, so it is always told.
            self.claim_told_at = None;
        }
        if view.state != State::Active {
            // Its address may stay for a moment, but the link is its successor's to tell.
            self.silence();
        }
        self.view = Some(view);
    }

    /// Whether the advertising thread should hear of a claim: an Active defends its addresses,
    /// and one that was Active lets go of them. Once in [`CLAIM_INTERVAL`] at most.
    pub(super) fn heeds(&mut self, now: Instant, claim: Claim) -> bool {
        let told = self.claim_told_at.is_some_and(|at| now.saturating_since(at) < CLAIM_INTERVAL);
        let heeds = !told && (self.is_active() || (self.wanted && claim == Claim::Has));
        if heeds {
            self.claim_told_at = Some(now);
        }
        heeds
    }

    /// Takes what the state machine reports.
    pub(super) fn note(&mut self, at: Instant, report: &Report) {
        match *report {
            Report::Transition { from, to, cause } => {
                self.last_transition = Some(LastTransition { at: stamp(at), from, to, cause });
                let code = cause.code();
                let is_it = |it: &&mut TransitionCount| it.to == to && it.cause == code;
                match self.transitions.iter_mut().find(is_it) {
                    Some(known) => known.count += 1,
                    None => {
                        let cause = code.to_owned();
                        self.transitions.push(TransitionCount { to, cause, count: 1 });
                    }
                }
            }
            Report::Repaired => self.repairs += 1,
            _ => {}
        }
    }

    pub(super) fn plan_announcement(&mut self, now: Instant, announcement: Announcement) {
        self.announcements.start(now, announcement, self.spec.config.lease);
        self.announced = 0;
        self.urgent |= announcement == Announcement::Takeover;
    }

    /// The addresses are to go: what was to be done for them is not.
    pub(super) fn renounce(&mut self) {
        self.wanted = false;
        self.installed = false;
        self.ticket = None;
        self.arrival = None;
        self.silence();
    }

    /// Forgets what the link was to be told.
    fn silence(&mut self) {
        self.announcements.stop();
        self.urgent = false;
        self.queued = false;
    }

    /// The kinds of conflict that were seen, and how often.
    fn conflict_counts(&self) -> BTreeMap<ConflictKind, u64> {
        let counts = self.counters.conflicts.iter().map(|count| count.load(Relaxed));
        ConflictKind::ALL.into_iter().zip(counts).filter(|&(_, count)| count > 0).collect()
    }

    pub(super) fn status(&self, now: Instant) -> RouterStatus {
        let config = &self.spec.config;
        let active = self.view.and_then(|view| view.active);
        let leased = self.installed && config.lease.is_some();
        let lease_age = self.confirmed_at.filter(|_| leased).map(|at| now.saturating_since(at));
        RouterStatus {
            name: self.spec.name.clone(),
            vrid: config.vrid,
            family: config.family(),
            interface: self.spec.interface.clone(),
            interface_problem: self.source.as_ref().err().map(ToString::to_string),
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
            transitions: self.transitions.clone(),
            repairs: self.repairs,
            lease_age_ms: lease_age.and_then(|age| u64::try_from(age.as_millis()).ok()),
            conflicts: self.conflicts.current(now).map(conflict_status).collect(),
            conflict_counts: self.conflict_counts(),
        }
    }
}

fn conflict_status(entry: &Entry) -> ConflictStatus {
    ConflictStatus {
        kind: entry.finding.kind(),
        source: entry.source,
        mac: entry.mac,
        detail: entry.finding.to_string(),
        since: stamp(entry.since),
        last: stamp(entry.last),
        count: entry.count,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use super::*;
    use crate::config::{Addresses, Checksum, OnDegraded, Preempt, RouterConfig, Transport};
    use crate::time::Centis;
    use crate::wire::ChecksumForm;
    use crate::{Priority, Vrid};

    const START: Instant = Instant::from_nanos(1_000_000_000);

    pub(in super::super) fn spec(name: &str, interface: &str, vrid: u8) -> RouterSpec {
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
            virtual_mac: false,
        };
        RouterSpec {
            name: name.to_owned(),
            interface: interface.to_owned(),
            config,
            transport: Transport::Multicast,
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
    fn an_active_hears_of_claims_and_probes_once_in_50_ms() {
        let mut member = member(State::Active);
        assert!(member.heeds(START, Claim::Probes));
        assert!(!member.heeds(START + CLAIM_INTERVAL / 2, Claim::Has));
        assert!(member.heeds(START + CLAIM_INTERVAL, Claim::Has));
    }

    #[test]
    fn a_router_that_has_left_active_announces_nothing_more() {
        let mut member = member(State::Active);
        member.plan_announcement(START, Announcement::Takeover);
        member.show(view(State::Active));
        assert_eq!(member.announcements.poll_timeout(), Some(START));
        member.show(view(State::Backup));
        assert_eq!(member.announcements.poll_timeout(), None);
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
}
