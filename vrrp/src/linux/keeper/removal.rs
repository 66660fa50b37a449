//! Addresses that have to go: withdrawn, left by an earlier run, or not removable at once.

use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet};

use super::Keeper;
use super::connections::leaving;
use super::member::Member;
use crate::Family;
use crate::linux::messages::SlotId;
use crate::linux::netlink::{NetlinkError, Removed};
use crate::proto::EventKind;
use crate::time::{Duration, Instant};

/// The least time between two searches for addresses that somebody else adds.
const SEARCH_INTERVAL: Duration = Duration::from_secs(1);

/// What a removal came to.
#[derive(Debug, Default)]
pub(super) struct Removal {
    /// What was there.
    deleted: BTreeSet<(u32, IpAddr)>,
    /// What may still be there.
    failed: BTreeMap<(u32, IpAddr), NetlinkError>,
}

impl Removal {
    /// Why one of some addresses may still be there.
    pub(super) fn failure(&self, places: &[(u32, IpAddr)]) -> Option<NetlinkError> {
        places.iter().find_map(|place| self.failed.get(place).copied())
    }
}

/// When a virtual router's addresses are looked for where they should not be.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Search {
    due: Option<Instant>,
    last: Option<Instant>,
}

impl Search {
    /// One of the addresses was seen: plans a search, at once or [`SEARCH_INTERVAL`] after the
    /// last.
    pub(super) fn suspect(&mut self, now: Instant) {
        let earliest = self.last.map_or(now, |last| last + SEARCH_INTERVAL);
        self.due.get_or_insert(earliest.max(now));
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.due
    }

    /// Whether a search is due; it is then taken as done.
    pub(super) fn poll_due(&mut self, now: Instant) -> bool {
        let due = self.due.is_some_and(|at| at <= now);
        if due {
            *self = Self { due: None, last: Some(now) };
        }
        due
    }
}

impl Keeper {
    /// Takes addresses off interfaces, save those that stay there; what cannot be removed is tried
    /// again.
    pub(super) fn remove_all(&mut self, mut unwanted: Vec<(u32, IpAddr)>) -> Removal {
        unwanted.retain(|&(ifindex, address)| !self.stays(ifindex, address));
        let mut removal = Removal::default();
        if unwanted.is_empty() {
            return removal;
        }
        let leaving = leaving(&self.addresses, &unwanted);
        self.end_connections(&leaving);
        let outcomes = self.netlink.remove_many(&unwanted);
        self.end_late_connections(&leaving);
        for (place, outcome) in unwanted.into_iter().zip(outcomes) {
            match outcome {
                Ok(Removed::Deleted) => {
                    removal.deleted.insert(place);
                }
                Ok(Removed::WasAbsent) => {}
                Err(error) => {
                    removal.failed.insert(place, error);
                    self.leftovers.insert(place);
                }
            }
        }
        if !removal.failed.is_empty() {
            self.retry_later();
        }
        removal
    }

    /// Tries again to remove what could not be removed.
    pub(super) fn remove_leftovers(&mut self) {
        let leftovers = std::mem::take(&mut self.leftovers);
        self.remove_all(leftovers.into_iter().collect());
    }

    /// Removes addresses that an earlier run, or another program, left where they should not be.
    pub(super) fn remove_stale(&mut self, ids: &[SlotId]) {
        let stale: Vec<_> = ids.iter().map(|&id| (id, self.stale_of(id))).collect();
        let removal =
            self.remove_all(stale.iter().flat_map(|(_, places)| places.clone()).collect());
        if removal.deleted.is_empty() {
            return;
        }
        for (id, places) in stale {
            let mut found: BTreeMap<u32, Vec<IpAddr>> = BTreeMap::new();
            for (ifindex, address) in places {
                if removal.deleted.contains(&(ifindex, address)) {
                    found.entry(ifindex).or_default().push(address);
                }
            }
            for (ifindex, addresses) in found {
                let interface = self.links.get(ifindex).map(|link| link.name.clone());
                let interface = interface.unwrap_or_default();
                self.record(Some(id), EventKind::StaleRemoved { interface, addresses });
            }
        }
    }

    /// Where a virtual router's addresses are though they should not be.
    pub(super) fn stale_of(&self, id: SlotId) -> Vec<(u32, IpAddr)> {
        let Some(member) = self.roster.get(id) else {
            return Vec::new();
        };
        let interface = self.ports.ifindex(member.port);
        let places = interface.into_iter().chain(member.macvlan);
        let places = places
            .flat_map(|ifindex| member.addresses().iter().map(move |&address| (ifindex, address)));
        let stale = places.filter(|&(ifindex, address)| {
            self.addresses.has(ifindex, address) && !self.stays(ifindex, address)
        });
        stale.collect()
    }

    /// Whether an address stays on an interface: a virtual router wants it there, maybe another
    /// than before, or it is the node's own.
    pub(super) fn stays(&self, ifindex: u32, address: IpAddr) -> bool {
        self.claimants(ifindex, address).any(|(_, member)| {
            (member.wanted && self.home(member) == Some(ifindex))
                || self.owns(member, ifindex, address)
        })
    }

    /// Whether an address on a virtual router's interface is the node's own.
    pub(super) fn owns(&self, member: &Member, ifindex: u32, address: IpAddr) -> bool {
        self.ports.ifindex(member.port) == Some(ifindex)
            && self.addresses.find(ifindex, address).any(|info| member.is_own(info))
    }

    /// The virtual routers with an address that run on an interface, or above which it stands.
    pub(super) fn claimants(
        &self,
        ifindex: u32,
        address: IpAddr,
    ) -> impl Iterator<Item = (SlotId, &Member)> {
        let lower = self.links.get(ifindex).and_then(|link| link.lower);
        let interfaces = [Some(ifindex), lower].into_iter().flatten();
        let family = Family::of(address);
        let ports = interfaces.filter_map(move |ifindex| self.ports.at(ifindex, family));
        ports.flat_map(move |port| self.roster.with_address(port, address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Instant = Instant::from_nanos(1_000_000_000);

    #[test]
    fn a_search_comes_at_once_and_then_once_a_second_and_none_is_lost() {
        let mut search = Search::default();
        assert!(!search.poll_due(START));
        search.suspect(START);
        assert_eq!(search.poll_timeout(), Some(START));
        assert!(search.poll_due(START));
        assert!(!search.poll_due(START));

        let soon = START + Duration::from_millis(10);
        search.suspect(soon);
        search.suspect(soon);
        assert!(!search.poll_due(soon));
        assert_eq!(search.poll_timeout(), Some(START + SEARCH_INTERVAL));
        assert!(search.poll_due(START + SEARCH_INTERVAL));
        assert_eq!(search.poll_timeout(), None);
    }
}
