//! What is open on each interface, for each family.

use core::net::{IpAddr, Ipv6Addr};
use core::sync::atomic::Ordering::Relaxed;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use super::problem::Problem;
use crate::Family;
use crate::linux::capture::Capture;
use crate::linux::messages::{MAX_PORTS, PortCounters, PortId};
use crate::linux::neighbour::{Announcer, Listener};
use crate::time::{Duration, Instant};
use crate::wire::DropReason;

/// The least time between two times that neighbours are forgotten.
const FORGET_INTERVAL: Duration = Duration::from_millis(100);

/// One interface in one family.
pub(super) struct PortEntry {
    /// The interface's name.
    pub(super) name: String,
    pub(super) family: Family,
    /// The interface's index while it exists and a socket is open on it.
    pub(super) ifindex: Option<u32>,
    /// The interface's Ethernet address.
    pub(super) mac: Option<[u8; 6]>,
    /// The address that is no virtual one.
    pub(super) source: Option<IpAddr>,
    /// Why no virtual router can run here.
    pub(super) link_problem: Option<Problem>,
    /// Whether one cannot for want of an address to send from.
    pub(super) lacks_address: bool,
    pub(super) announcer: Option<Announcer>,
    pub(super) frames: Frames,
    /// What others on the link say about the virtual addresses.
    pub(super) listener: Option<Listener>,
    /// The addresses that it hears of.
    pub(super) watched: Vec<IpAddr>,
    pub(super) counters: Arc<PortCounters>,
    /// Sees the packets of `sought`, for their Ethernet addresses.
    pub(super) capture: Option<Capture>,
    pub(super) sought: Vec<IpAddr>,
    /// When neighbours that did not answer were last forgotten.
    forgot_at: Option<Instant>,
}

/// What advertisements from virtual MAC addresses leave through.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frames {
    /// Nobody needs it yet.
    Closed,
    /// The advertising thread has it.
    Open,
    Failed(Problem),
}

impl PortEntry {
    fn new(name: &str, family: Family) -> Self {
        Self {
            name: name.to_owned(),
            family,
            ifindex: None,
            mac: None,
            source: None,
            link_problem: None,
            lacks_address: false,
            announcer: None,
            frames: Frames::Closed,
            listener: None,
            watched: Vec::new(),
            counters: Arc::default(),
            capture: None,
            sought: Vec::new(),
            forgot_at: None,
        }
    }

    /// Whether neighbours that do not answer should be forgotten: at most once in a while, as
    /// many virtual routers take over together.
    pub(super) fn forgets_unanswered(&mut self, now: Instant) -> bool {
        let lately = |at| now.saturating_since(at) < FORGET_INTERVAL;
        if self.ifindex.is_none() || self.forgot_at.is_some_and(lately) {
            return false;
        }
        self.forgot_at = Some(now);
        true
    }

    /// Tells the link that `mac`, or else the interface's own, is the Ethernet address of `address`.
    pub(super) fn announce(
        &mut self,
        address: IpAddr,
        mac: Option<[u8; 6]>,
        source: Option<Ipv6Addr>,
    ) -> io::Result<()> {
        match (&mut self.announcer, mac) {
            (Some(announcer), None) => announcer.announce(address, source),
            (Some(announcer), Some(mac)) => announcer.announce_as(mac, address, source),
            (None, _) => Err(io::Error::other("the interface has no Ethernet address")),
        }
    }

    /// Asks the link for an address.
    pub(super) fn probe(&mut self, address: IpAddr) -> io::Result<()> {
        self.announcer.as_mut().map_or(Ok(()), |announcer| announcer.probe(address))
    }

    fn problem(&self) -> Option<Problem> {
        let lacks_address = self.lacks_address.then_some(Problem::NoAddress(self.family));
        self.link_problem.clone().or(lacks_address)
    }

    fn close(&mut self) {
        self.ifindex = None;
        self.mac = None;
        self.announcer = None;
        self.frames = Frames::Closed;
        self.listener = None;
        self.watched.clear();
        self.capture = None;
        self.sought.clear();
    }
}

/// One interface of the configuration.
struct Interface {
    /// Its ports by family.
    ports: [Option<PortId>; 2],
    /// What was last said of it; `None` if nothing was.
    told: Option<Option<String>>,
}

/// The ports, by number, by the interface's name and by its index.
#[derive(Default)]
pub(super) struct Ports {
    entries: BTreeMap<PortId, PortEntry>,
    interfaces: BTreeMap<String, Interface>,
    by_ifindex: BTreeMap<(u32, Family), PortId>,
}

impl Ports {
    pub(super) fn get(&self, id: PortId) -> Option<&PortEntry> {
        self.entries.get(&id)
    }

    /// For changes that leave its index alone.
    pub(super) fn get_mut(&mut self, id: PortId) -> Option<&mut PortEntry> {
        self.entries.get_mut(&id)
    }

    pub(super) fn ifindex(&self, id: PortId) -> Option<u32> {
        self.entries.get(&id).and_then(|entry| entry.ifindex)
    }

    pub(super) fn name(&self, id: PortId) -> String {
        self.entries.get(&id).map(|entry| entry.name.clone()).unwrap_or_default()
    }

    /// The names of the interfaces.
    pub(super) fn interfaces(&self) -> Vec<String> {
        self.interfaces.keys().cloned().collect()
    }

    pub(super) fn is_interface(&self, name: &str) -> bool {
        self.interfaces.contains_key(name)
    }

    /// The ports of an interface.
    pub(super) fn of(&self, interface: &str) -> Vec<PortId> {
        let ports = self.interfaces.get(interface).map(|interface| interface.ports);
        ports.into_iter().flatten().flatten().collect()
    }

    pub(super) fn find(&self, interface: &str, family: Family) -> Option<PortId> {
        self.interfaces.get(interface).and_then(|interface| interface.ports[place(family)])
    }

    /// The port that is open on the interface with an index.
    pub(super) fn at(&self, ifindex: u32, family: Family) -> Option<PortId> {
        self.by_ifindex.get(&(ifindex, family)).copied()
    }

    /// The same in whatever family.
    pub(super) fn interface_at(&self, ifindex: u32) -> Option<&str> {
        let id = self.at(ifindex, Family::Ipv4).or_else(|| self.at(ifindex, Family::Ipv6))?;
        self.entries.get(&id).map(|entry| entry.name.as_str())
    }

    /// Makes a port; `None` if there are as many as there can be.
    pub(super) fn add(&mut self, interface: &str, family: Family) -> Option<PortId> {
        let id = (0..MAX_PORTS).find(|id| !self.entries.contains_key(id))?;
        self.entries.insert(id, PortEntry::new(interface, family));
        let interface = self
            .interfaces
            .entry(interface.to_owned())
            .or_insert(Interface { ports: [None; 2], told: None });
        interface.ports[place(family)] = Some(id);
        Some(id)
    }

    pub(super) fn remove(&mut self, id: PortId) {
        self.close(id);
        let Some(entry) = self.entries.remove(&id) else {
            return;
        };
        if let Some(interface) = self.interfaces.get_mut(&entry.name) {
            interface.ports[place(entry.family)] = None;
            if interface.ports == [None; 2] {
                self.interfaces.remove(&entry.name);
            }
        }
    }

    /// The port is open on an interface from now on.
    pub(super) fn open(&mut self, id: PortId, ifindex: u32, listener: Listener) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.ifindex = Some(ifindex);
            entry.listener = Some(listener);
            self.by_ifindex.insert((ifindex, entry.family), id);
        }
    }

    /// Closes what is open; the index of the interface that it was open on.
    pub(super) fn close(&mut self, id: PortId) -> Option<u32> {
        let entry = self.entries.get_mut(&id)?;
        let ifindex = entry.ifindex?;
        entry.close();
        self.by_ifindex.remove(&(ifindex, entry.family));
        Some(ifindex)
    }

    /// Closes the captures that look for nobody.
    pub(super) fn close_idle_captures(&mut self) {
        for entry in self.entries.values_mut().filter(|entry| entry.sought.is_empty()) {
            entry.capture = None;
        }
    }

    /// What is wrong with an interface, in words; the outer `None` if that was told already.
    pub(super) fn news_of(&mut self, interface: &str) -> Option<Option<String>> {
        let mut problems: Vec<String> = Vec::new();
        for id in self.of(interface) {
            let problem = self.entries.get(&id).and_then(PortEntry::problem);
            let problem = problem.map(|problem| problem.to_string());
            problems.extend(problem.filter(|problem| !problems.contains(problem)));
        }
        let problem = (!problems.is_empty()).then(|| problems.join("; "));
        let interface = self.interfaces.get_mut(interface)?;
        if interface.told.as_ref() == Some(&problem) {
            return None;
        }
        interface.told = Some(problem.clone());
        Some(problem)
    }

    /// Discarded packets by interface and reason, of both families together.
    pub(super) fn dropped(&self) -> BTreeMap<String, BTreeMap<String, u64>> {
        let mut dropped: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
        for entry in self.entries.values() {
            let reasons = dropped.entry(entry.name.clone()).or_default();
            for reason in DropReason::ALL {
                let count = entry.counters.dropped[reason.index()].load(Relaxed);
                *reasons.entry(reason.name().to_owned()).or_default() += count;
            }
        }
        dropped
    }
}

const fn place(family: Family) -> usize {
    match family {
        Family::Ipv4 => 0,
        Family::Ipv6 => 1,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_link_down_is_told_once_for_both_families() {
        let mut ports = Ports::default();
        let v4 = ports.add("eno1", Family::Ipv4).unwrap();
        let v6 = ports.add("eno1", Family::Ipv6).unwrap();
        let mut news = |problem: Option<Problem>, v6_lacks_address: bool| {
            ports.get_mut(v4).unwrap().link_problem.clone_from(&problem);
            ports.get_mut(v6).unwrap().link_problem = problem;
            ports.get_mut(v6).unwrap().lacks_address = v6_lacks_address;
            ports.news_of("eno1")
        };
        assert_eq!(news(None, false), Some(None));
        assert_eq!(news(None, false), None);
        let down = Some(Some(Problem::Down.to_string()));
        assert_eq!(news(Some(Problem::Down), true), down);
        let no_address = Some(Some(Problem::NoAddress(Family::Ipv6).to_string()));
        assert_eq!(news(None, true), no_address);
        assert_eq!(news(None, false), Some(None));
    }

    #[test]
    fn dropped_packets_of_both_families_are_counted_together() {
        let mut ports = Ports::default();
        for (family, count) in [(Family::Ipv4, 2), (Family::Ipv6, 3)] {
            let id = ports.add("eno1", family).unwrap();
            let counters = &ports.get(id).unwrap().counters;
            counters.dropped[DropReason::Checksum.index()].store(count, Relaxed);
        }
        let dropped = ports.dropped();
        assert_eq!(dropped["eno1"][DropReason::Checksum.name()], 5);
        assert_eq!(dropped["eno1"][DropReason::Length.name()], 0);
    }

    #[test]
    fn an_interface_is_forgotten_with_its_last_port() {
        let mut ports = Ports::default();
        let v4 = ports.add("eno1", Family::Ipv4).unwrap();
        let v6 = ports.add("eno1", Family::Ipv6).unwrap();
        ports.remove(v4);
        assert_eq!(
            (ports.find("eno1", Family::Ipv4), ports.find("eno1", Family::Ipv6)),
            (None, Some(v6))
        );
        ports.remove(v6);
        assert!(!ports.is_interface("eno1"));
    }
}
