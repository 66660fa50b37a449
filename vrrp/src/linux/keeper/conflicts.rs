//! Conflicts with others on the link: who it is, told once.
//!
//! Advertisements do not tell the Ethernet address that they come from. So while one is looked for,
//! a second socket sees the packets of that router too; and a router that claims or probes for our
//! addresses tells its Ethernet address itself.

use core::net::IpAddr;
use core::sync::atomic::Ordering::Relaxed;

use rustix::event::epoll;

use super::{Keeper, TOKEN_CAPTURE};
use crate::Mac;
use crate::conflict::{ConflictKind, Entry, Finding, Sighting};
use crate::linux::capture::Capture;
use crate::linux::clock;
use crate::linux::messages::{PortId, SlotId};
use crate::proto::EventKind;
use crate::time::{Duration, Instant};

/// Packets read in one turn: epoll comes again for the rest.
const PACKETS_IN_A_TURN: usize = 64;
/// After a takeover the Active before may speak of the address for so long.
const SETTLED: Duration = Duration::from_secs(1);
/// How long a capture that looks for nobody stays open: to close one takes the kernel some
/// milliseconds, in which nothing else is done here.
const CAPTURE_IDLE: Duration = Duration::from_secs(30);

impl Keeper {
    /// The advertising thread has seen a conflict.
    pub(super) fn sight(&mut self, id: SlotId, at: Instant, sighting: Sighting) {
        self.enter_sighting(id, at, sighting, None);
    }

    /// Another host, not this one, says something about an address of a virtual router.
    pub(super) fn judge_claim(&mut self, id: SlotId, address: IpAddr, mac: Mac, claims: bool) {
        let now = clock::now();
        if self.links.is_own_mac(mac.octets()) {
            return;
        }
        let Some(member) = self.roster.get_mut(id) else {
            return;
        };
        if let Some(source) = member.conflicts.seeking_one() {
            member.conflicts.learn(source, mac);
            self.tell_conflicts(id, now);
        }
        let Some(member) = self.roster.get(id) else {
            return;
        };
        let settled = member.last_transition.is_some_and(|last| last.at.monotonic + SETTLED <= now);
        let known = member
            .conflicts
            .current(now)
            .any(|entry| entry.mac == Some(mac) && entry.finding.kind() == ConflictKind::Rival);
        let shared = member.virtual_mac() == Some(mac.octets());
        if claims && member.is_active() && member.installed && settled && !known && !shared {
            let (finding, interval) = (Finding::ForeignArp, Duration::ZERO);
            let sighting = Sighting { source: address, finding, times: 1, interval };
            let counter = &member.counters.conflicts[ConflictKind::ForeignArp.index()];
            counter.fetch_add(1, Relaxed);
            self.enter_sighting(id, now, sighting, Some(mac));
        }
    }

    /// The other routers have fallen silent: their Ethernet addresses are waited for no longer.
    pub(super) fn hurry_conflicts(&mut self, id: SlotId, now: Instant) {
        if let Some(member) = self.roster.get_mut(id) {
            member.conflicts.hurry(now);
        }
        self.tell_conflicts(id, now);
    }

    fn enter_sighting(&mut self, id: SlotId, at: Instant, sighting: Sighting, mac: Option<Mac>) {
        if let Some(member) = self.roster.get_mut(id) {
            member.conflicts.see(at, sighting, mac);
            self.tell_conflicts(id, clock::now());
        }
    }

    /// Tells what is due, and looks for the Ethernet addresses that are missing.
    pub(super) fn tell_conflicts(&mut self, id: SlotId, now: Instant) {
        let Some(member) = self.roster.get_mut(id) else {
            return;
        };
        let port = member.port;
        for (at, entry) in member.conflicts.take_due(now) {
            let Entry { source, mac, finding, .. } = entry;
            let mac = mac.or_else(|| self.known_mac(id, source));
            let (conflict, detail) = (finding.kind(), finding.to_string());
            self.record_at(at, Some(id), EventKind::Conflict { conflict, source, mac, detail });
        }
        let seeks = self.roster.get(id).is_some_and(|it| it.conflicts.seeking().next().is_some());
        self.roster.rearm(id);
        if seeks || self.ports.get(port).is_some_and(|entry| !entry.sought.is_empty()) {
            self.look_for_macs(port);
        }
    }

    /// The Ethernet address that the kernel knows another router by.
    fn known_mac(&mut self, id: SlotId, source: IpAddr) -> Option<Mac> {
        let port = self.roster.get(id)?.port;
        let mac = self.netlink.neighbour_mac(self.ports.ifindex(port)?, source).ok()??;
        self.roster.get_mut(id)?.conflicts.learn(source, mac);
        Some(mac)
    }

    /// Sees the packets of those routers whose Ethernet addresses are missing, and of no others.
    fn look_for_macs(&mut self, port: PortId) {
        let members = self.roster.on_port(port).into_iter().filter_map(|id| self.roster.get(id));
        let mut sources: Vec<IpAddr> =
            members.flat_map(|member| member.conflicts.seeking()).collect();
        sources.sort_unstable();
        sources.dedup();
        let Some(entry) = self.ports.get_mut(port) else {
            return;
        };
        let Some(ifindex) = entry.ifindex.filter(|_| entry.sought != sources) else {
            return;
        };
        // Where it fails, the conflict is told without an Ethernet address.
        if let Some(capture) = &entry.capture {
            let _ = capture.look_for(&sources);
        } else if let Ok(capture) = Capture::open(ifindex, entry.family, &sources) {
            let token = epoll::EventData::new_u64(TOKEN_CAPTURE | u64::from(port));
            if epoll::add(&self.epoll, &capture, token, epoll::EventFlags::IN).is_ok() {
                entry.capture = Some(capture);
            }
        }
        if sources.is_empty() {
            self.captures_idle_at = Some(clock::now() + CAPTURE_IDLE);
        }
        entry.sought = sources;
    }

    /// A router whose Ethernet address is looked for has sent something.
    pub(super) fn hear_captured(&mut self, port: PortId) {
        for _ in 0..PACKETS_IN_A_TURN {
            let capture = self.ports.get(port).and_then(|entry| entry.capture.as_ref());
            let Some((source, mac)) = capture.and_then(|it| it.recv().ok().flatten()) else {
                return;
            };
            for id in self.roster.on_port(port) {
                let member = self.roster.get_mut(id);
                let Some(member) = member.filter(|it| it.conflicts.seeking().any(|s| s == source))
                else {
                    continue;
                };
                member.conflicts.learn(source, mac);
                self.tell_conflicts(id, clock::now());
            }
        }
    }

    /// Closes the captures that have looked for nobody for a while.
    pub(super) fn close_idle_captures(&mut self, now: Instant) {
        if self.captures_idle_at.is_some_and(|at| at <= now) {
            self.captures_idle_at = None;
            self.ports.close_idle_captures();
        }
    }
}
