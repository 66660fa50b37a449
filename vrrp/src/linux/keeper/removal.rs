//! Addresses that have to go: withdrawn, left by an earlier run, or not removable at once.

use core::net::IpAddr;

use super::Keeper;
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
    pub(super) deleted: Vec<IpAddr>,
    /// Why the rest may still be there.
    pub(super) failure: Option<NetlinkError>,
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
    fn poll_due(&mut self, now: Instant) -> bool {
        let due = self.due.is_some_and(|at| at <= now);
        if due {
            *self = Self { due: None, last: Some(now) };
        }
        due
    }
}

impl Keeper {
    /// Takes addresses off an interface, save those that some virtual router wants there; what
    /// cannot be removed is tried again.
    pub(super) fn remove_addresses(&mut self, ifindex: u32, addresses: &[IpAddr]) -> Removal {
        self.remove_all(addresses.iter().map(|&address| (ifindex, address)).collect())
    }

    /// Tries again to remove what could not be removed.
    pub(super) fn remove_leftovers(&mut self) {
        let leftovers = std::mem::take(&mut self.leftovers);
        self.remove_all(leftovers.into_iter().collect());
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
        let unwanted = member.addresses().to_vec();
        let addresses = self.remove_addresses(ifindex, &unwanted).deleted;
        if !addresses.is_empty() {
            self.record(Some(id), EventKind::StaleRemoved { interface, addresses });
        }
    }

    /// Carries out the searches that are due.
    pub(super) fn search_stale(&mut self, now: Instant) {
        let due =
            self.members.iter_mut().filter_map(|(&id, m)| m.search.poll_due(now).then_some(id));
        for id in due.collect::<Vec<_>>() {
            self.remove_stale(id);
        }
    }

    fn remove_all(&mut self, mut pairs: Vec<(u32, IpAddr)>) -> Removal {
        pairs.retain(|&(ifindex, address)| !self.is_wanted(ifindex, address));
        let mut removal = Removal::default();
        if pairs.is_empty() {
            return removal;
        }
        let outcomes = self.netlink.remove_many(&pairs);
        for (pair, outcome) in pairs.into_iter().zip(outcomes) {
            match outcome {
                Ok(Removed::Deleted) => removal.deleted.push(pair.1),
                Ok(Removed::WasAbsent) => {}
                Err(error) => {
                    removal.failure = Some(error);
                    self.leftovers.insert(pair);
                }
            }
        }
        if removal.failure.is_some() {
            self.retry_later();
        }
        removal
    }

    /// Whether the address should be on the interface: an address may have moved from one virtual
    /// router to another, whose it is now.
    fn is_wanted(&self, ifindex: u32, address: IpAddr) -> bool {
        self.members.values().any(|member| {
            member.wanted
                && member.addresses().contains(&address)
                && self.ports.get(&member.port).is_some_and(|port| port.ifindex == Some(ifindex))
        })
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
