//! The virtual routers, found by what the kernel, the daemon and the link call them.

use core::net::{IpAddr, Ipv4Addr};
use std::collections::{BTreeMap, BTreeSet};

use super::member::Member;
use crate::Vrid;
use crate::linux::deadlines::Deadlines;
use crate::linux::messages::{MAX_SLOTS, PortId, SlotId};
use crate::proto::RouterSpec;
use crate::time::Instant;

/// Below and above all addresses.
const LOWEST: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// All virtual routers, those that are leaving too.
pub(super) struct Roster {
    members: BTreeMap<SlotId, Member>,
    /// Those of the configuration in force.
    by_vrid: BTreeMap<(PortId, u8), SlotId>,
    by_name: BTreeMap<String, SlotId>,
    by_address: BTreeSet<(PortId, IpAddr, SlotId)>,
    /// When each has something to do.
    deadlines: Deadlines,
    /// Below this all numbers are used, but for those given back.
    next: SlotId,
    given_back: Vec<SlotId>,
}

impl Roster {
    pub(super) fn new() -> Self {
        Self {
            members: BTreeMap::new(),
            by_vrid: BTreeMap::new(),
            by_name: BTreeMap::new(),
            by_address: BTreeSet::new(),
            deadlines: Deadlines::with_capacity(MAX_SLOTS),
            next: 0,
            given_back: Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(super) fn get(&self, id: SlotId) -> Option<&Member> {
        self.members.get(&id)
    }

    /// For changes that leave its name, its addresses and its deadlines alone.
    pub(super) fn get_mut(&mut self, id: SlotId) -> Option<&mut Member> {
        self.members.get_mut(&id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (SlotId, &Member)> {
        self.members.iter().map(|(&id, member)| (id, member))
    }

    /// Those of the configuration in force.
    pub(super) fn current(&self) -> impl Iterator<Item = (SlotId, &Member)> {
        self.iter().filter(|(_, member)| !member.leaving)
    }

    /// The one of a name in the configuration in force.
    pub(super) fn named(&self, name: &str) -> Option<SlotId> {
        self.by_name.get(name).copied()
    }

    /// The one of a VRID in the configuration in force.
    pub(super) fn with_vrid(&self, port: PortId, vrid: Vrid) -> Option<SlotId> {
        self.by_vrid.get(&(port, vrid.get())).copied()
    }

    /// Those of a port in the configuration in force.
    pub(super) fn on_port(&self, port: PortId) -> Vec<SlotId> {
        let all = self.by_vrid.range((port, 0)..=(port, u8::MAX));
        all.map(|(_, &id)| id).collect()
    }

    /// The virtual addresses on a port, each once.
    pub(super) fn addresses_on(&self, port: PortId) -> Vec<IpAddr> {
        let entries = self.by_address.range((port, LOWEST, 0)..);
        let mut addresses: Vec<IpAddr> =
            entries.take_while(|entry| entry.0 == port).map(|entry| entry.1).collect();
        addresses.dedup();
        addresses
    }

    /// Those that have an address: more than one while it moves from one to the other.
    pub(super) fn with_address(
        &self,
        port: PortId,
        address: IpAddr,
    ) -> impl Iterator<Item = (SlotId, &Member)> {
        let entries = self.by_address.range((port, address, 0)..=(port, address, SlotId::MAX));
        entries.filter_map(|&(_, _, id)| Some((id, self.members.get(&id)?)))
    }

    /// The one that has an address in the configuration in force.
    pub(super) fn current_with_address(&self, port: PortId, address: IpAddr) -> Option<SlotId> {
        let mut all = self.with_address(port, address);
        all.find(|(_, member)| !member.leaving).map(|(id, _)| id)
    }

    /// Whether nobody uses a port.
    pub(super) fn is_unused(&self, port: PortId) -> bool {
        let mut entries = self.by_address.range((port, LOWEST, 0)..);
        entries.next().is_none_or(|entry| entry.0 != port)
    }

    /// A number for a new one; `None` if all are used.
    pub(super) fn free_id(&mut self) -> Option<SlotId> {
        let fresh = (self.next < MAX_SLOTS).then_some(self.next);
        self.given_back.pop().or_else(|| {
            self.next = fresh? + 1;
            fresh
        })
    }

    pub(super) fn insert(&mut self, id: SlotId, member: Member) {
        self.note(id, &member.spec, member.port);
        self.members.insert(id, member);
        self.rearm(id);
    }

    /// Gives it another configuration, and the old one back.
    pub(super) fn change(&mut self, id: SlotId, spec: RouterSpec) -> Option<RouterSpec> {
        let member = self.members.get_mut(&id)?;
        let port = member.port;
        let old = std::mem::replace(&mut member.spec, spec);
        let new = member.spec.clone();
        self.forget(id, &old, port);
        self.note(id, &new, port);
        Some(old)
    }

    /// It is no longer configured; it stays until its last effects are carried out. Whether that
    /// is new.
    pub(super) fn leave(&mut self, id: SlotId) -> bool {
        let Some(member) = self.members.get_mut(&id).filter(|member| !member.leaving) else {
            return false;
        };
        member.leaving = true;
        let Member { spec, port, .. } = &*member;
        let vrid = (*port, spec.config.vrid.get());
        remove_own(&mut self.by_vrid, &vrid, id);
        remove_own(&mut self.by_name, &spec.name, id);
        true
    }

    pub(super) fn remove(&mut self, id: SlotId) -> Option<Member> {
        let member = self.members.remove(&id)?;
        self.forget(id, &member.spec, member.port);
        self.deadlines.set(id, None);
        self.given_back.push(id);
        Some(member)
    }

    /// Notes anew when a virtual router has something to do.
    pub(super) fn rearm(&mut self, id: SlotId) {
        self.deadlines.set(id, self.members.get(&id).and_then(Member::poll_timeout));
    }

    /// When the first has something to do.
    pub(super) fn first_deadline(&self) -> Option<(Instant, SlotId)> {
        self.deadlines.first()
    }

    fn note(&mut self, id: SlotId, spec: &RouterSpec, port: PortId) {
        self.by_vrid.insert((port, spec.config.vrid.get()), id);
        self.by_name.insert(spec.name.clone(), id);
        self.by_address.extend(spec.config.addresses.iter().map(|address| (port, address, id)));
    }

    fn forget(&mut self, id: SlotId, spec: &RouterSpec, port: PortId) {
        remove_own(&mut self.by_vrid, &(port, spec.config.vrid.get()), id);
        remove_own(&mut self.by_name, &spec.name, id);
        for address in spec.config.addresses.iter() {
            self.by_address.remove(&(port, address, id));
        }
    }
}

/// Removes an entry unless it is of another by now.
fn remove_own<K: Ord>(map: &mut BTreeMap<K, SlotId>, key: &K, id: SlotId) {
    if map.get(key) == Some(&id) {
        map.remove(key);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::member::tests::spec;
    use super::*;
    use crate::config::Addresses;
    use std::sync::Arc;

    fn roster(members: &[(PortId, RouterSpec)]) -> Roster {
        let mut roster = Roster::new();
        for (port, spec) in members {
            let id = roster.free_id().unwrap();
            roster.insert(id, Member::new(spec.clone(), *port, Arc::default()));
        }
        roster
    }

    fn vrid(vrid: u8) -> Vrid {
        Vrid::new(vrid).unwrap()
    }

    /// RFC 9568, 1: by interface, VRID and family.
    #[test]
    fn a_virtual_router_stays_the_same_under_another_name() {
        let mut roster = roster(&[(0, spec("a", "eno1", 1)), (1, spec("b", "eno2", 1))]);
        roster.change(0, spec("c", "eno1", 1));
        assert_eq!((roster.named("a"), roster.named("c")), (None, Some(0)));
        assert_eq!(roster.with_vrid(0, vrid(1)), Some(0));
        assert_eq!(roster.with_vrid(1, vrid(1)), Some(1));
        assert_eq!(roster.with_vrid(0, vrid(2)), None);
    }

    #[test]
    fn two_that_swap_their_names_are_told_apart() {
        let mut roster = roster(&[(0, spec("a", "eno1", 1)), (0, spec("b", "eno1", 2))]);
        roster.change(0, spec("b", "eno1", 1));
        roster.change(1, spec("a", "eno1", 2));
        assert_eq!((roster.named("a"), roster.named("b")), (Some(1), Some(0)));
    }

    #[test]
    fn an_address_that_moves_belongs_to_both_for_a_while() {
        let mut roster = roster(&[(0, spec("a", "eno1", 1)), (0, spec("b", "eno1", 2))]);
        let moved: IpAddr = "10.0.0.20".parse().unwrap();
        let mut with_it = spec("b", "eno1", 2);
        with_it.config.addresses = Addresses::new(vec![moved]).unwrap();
        roster.change(1, with_it.clone());
        assert_eq!(roster.current_with_address(0, moved), Some(1));
        with_it.config.vrid = vrid(1);
        roster.change(0, with_it);
        assert_eq!(roster.with_address(0, moved).count(), 2);
        assert_eq!(roster.addresses_on(0), [moved]);
        assert!(roster.addresses_on(1).is_empty());
    }

    #[test]
    fn one_that_leaves_makes_room_and_is_found_by_its_addresses_until_it_is_gone() {
        let mut roster = roster(&[(0, spec("a", "eno1", 1))]);
        let address = spec("a", "eno1", 1).config.addresses.as_slice()[0];
        assert!(roster.leave(0) && !roster.leave(0));
        assert_eq!((roster.named("a"), roster.with_vrid(0, vrid(1))), (None, None));
        assert_eq!(roster.current_with_address(0, address), None);
        let id = roster.free_id().unwrap();
        roster.insert(id, Member::new(spec("a", "eno1", 1), 0, Arc::default()));
        roster.remove(0).unwrap();
        assert_eq!(roster.with_vrid(0, vrid(1)), Some(id));
        assert!(!roster.is_unused(0));
        roster.remove(id).unwrap();
        assert!(roster.is_unused(0) && roster.is_empty());
    }
}
