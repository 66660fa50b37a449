//! Interfaces: which of them can be used, and what is open on them.

use core::net::IpAddr;
use core::sync::atomic::Ordering::Relaxed;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use rustix::event::epoll;

use super::requests::by_name;
use super::{Keeper, KeeperError};
use crate::Family;
use crate::linux::interface::{AddressInfo, LinkInfo};
use crate::linux::messages::{DropNote, MAX_PORTS, Order, Port, PortCounters, PortId, SlotId};
use crate::linux::monitor::Change;
use crate::linux::neighbour::{Announcer, ArpHeard, Claim, Listener};
use crate::linux::receive::RecvBuf;
use crate::linux::socket::AdvertSocket;
use crate::linux::source::choose_source;
use crate::proto::EventKind;
use crate::wire::DropReason;

/// What is asked of the kernel for each socket: four intervals of 255 virtual routers and some.
const RECEIVE_BUFFER: usize = 4 * 1024 * 1024;

pub(super) struct PortEntry {
    pub(super) name: String,
    /// The interface's index while it exists and a socket is open on it.
    pub(super) ifindex: Option<u32>,
    mac: Option<[u8; 6]>,
    source: Option<IpAddr>,
    /// Why the interface cannot be used.
    pub(super) problem: Option<String>,
    announcer: Option<Announcer>,
    arp: Option<Listener>,
    counters: Arc<PortCounters>,
}

impl PortEntry {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ifindex: None,
            mac: None,
            source: None,
            problem: Some("not looked at yet".to_owned()),
            announcer: None,
            arp: None,
            counters: Arc::default(),
        }
    }

    pub(super) fn announce(&mut self, address: IpAddr) -> io::Result<()> {
        match &mut self.announcer {
            Some(announcer) => announcer.announce(address),
            None => Err(io::Error::other("the interface has no Ethernet address")),
        }
    }

    pub(super) fn probe(&mut self, address: IpAddr) -> io::Result<()> {
        self.announcer.as_mut().map_or(Ok(()), |announcer| announcer.probe(address))
    }

    pub(super) fn dropped(&self) -> BTreeMap<String, u64> {
        by_name(|reason: DropReason| self.counters.dropped[reason.index()].load(Relaxed))
    }
}

impl Keeper {
    pub(super) fn port_name(&self, id: PortId) -> String {
        self.ports.get(&id).map(|port| port.name.clone()).unwrap_or_default()
    }

    /// The port of an interface, made if there is none yet.
    pub(super) fn port_for(&mut self, interface: &str) -> Option<PortId> {
        let known = self.ports.iter().find(|(_, port)| port.name == interface);
        if let Some((&id, _)) = known {
            return Some(id);
        }
        let id = (0..MAX_PORTS).find(|id| !self.ports.contains_key(id))?;
        self.ports.insert(id, PortEntry::new(interface));
        self.refresh_port(id);
        Some(id)
    }

    pub(super) fn drop_unused_ports(&mut self) {
        let used: Vec<PortId> = self.members.values().map(|member| member.port).collect();
        let unused: Vec<PortId> =
            self.ports.keys().copied().filter(|id| !used.contains(id)).collect();
        for id in unused {
            self.ports.remove(&id);
            self.orders.send(Order::RemovePort(id));
        }
    }

    /// Reads links and addresses anew.
    pub(super) fn resync(&mut self) -> Result<(), KeeperError> {
        self.links = self.netlink.links()?.into_iter().map(|link| (link.index, link)).collect();
        self.addresses = self.netlink.addresses(None)?;
        self.refresh_ports();
        for id in self.members_without_addresses() {
            self.orders.send(Order::AddressLost(id));
        }
        Ok(())
    }

    /// Virtual routers whose addresses should be there and are not.
    fn members_without_addresses(&self) -> Vec<SlotId> {
        let lacking = self.members.iter().filter(|(_, member)| {
            let ifindex = self.ports.get(&member.port).and_then(|port| port.ifindex);
            member.wanted
                && !member.addresses().iter().all(|&address| {
                    self.addresses
                        .iter()
                        .any(|info| Some(info.ifindex) == ifindex && info.address == address)
                })
        });
        lacking.map(|(&id, _)| id).collect()
    }

    pub(super) fn refresh_ports(&mut self) {
        for id in self.ports.keys().copied().collect::<Vec<_>>() {
            self.refresh_port(id);
        }
    }

    /// Tries again where a socket could not be opened.
    pub(super) fn retry_ports(&mut self) {
        self.refresh_ports();
    }

    pub(super) fn read_monitor(&mut self) -> Result<(), KeeperError> {
        while let Some(change) = self.monitor.recv()? {
            match change {
                Change::Link(link) => self.link_changed(link),
                Change::LinkGone { index, .. } => {
                    self.links.remove(&index);
                    self.addresses.retain(|info| info.ifindex != index);
                    self.refresh_ports_at(index);
                }
                Change::AddressAdded(info) => self.address_added(info),
                Change::AddressRemoved(info) => self.address_removed(info),
                Change::Overrun => self.resync()?,
            }
            self.carry_out();
        }
        Ok(())
    }

    fn link_changed(&mut self, link: LinkInfo) {
        if self.links.get(&link.index) != Some(&link) {
            self.links.insert(link.index, link);
            self.refresh_ports();
        }
    }

    fn refresh_ports_at(&mut self, ifindex: u32) {
        let here = self.ports.iter().filter(|(_, port)| port.ifindex == Some(ifindex));
        for id in here.map(|(&id, _)| id).collect::<Vec<_>>() {
            self.refresh_port(id);
        }
    }

    fn address_added(&mut self, info: AddressInfo) {
        if !self.is_virtual(info.ifindex, info.address) {
            self.addresses.retain(|known| !same_address(known, &info));
            self.addresses.push(info);
            self.refresh_ports_at(info.ifindex);
        }
    }

    fn address_removed(&mut self, info: AddressInfo) {
        let port = self.ports.iter().find(|(_, port)| port.ifindex == Some(info.ifindex));
        let member = port.and_then(|(&port, _)| self.member_of(port, info.address));
        if let Some(id) = member {
            let wanted = self.members.get(&id).is_some_and(|member| member.wanted);
            // The news may be of our own removal before the latest takeover.
            if wanted && !self.is_present(info.ifindex, info.address) {
                if let Some(member) = self.members.get_mut(&id) {
                    member.installed = false;
                }
                self.orders.send(Order::AddressLost(id));
            }
        } else {
            self.addresses.retain(|known| !same_address(known, &info));
            self.refresh_ports_at(info.ifindex);
        }
    }

    fn is_present(&mut self, ifindex: u32, address: IpAddr) -> bool {
        let present = self.netlink.addresses(Some(ifindex));
        present.is_ok_and(|present| present.iter().any(|info| info.address == address))
    }

    fn is_virtual(&self, ifindex: u32, address: IpAddr) -> bool {
        let port = self.ports.iter().find(|(_, port)| port.ifindex == Some(ifindex));
        port.is_some_and(|(&port, _)| self.member_of(port, address).is_some())
    }

    /// The virtual addresses of all virtual routers on a port.
    fn virtual_addresses(&self, id: PortId) -> Vec<IpAddr> {
        let here = self.members.values().filter(|member| member.port == id);
        here.flat_map(|member| member.addresses().iter().copied()).collect()
    }

    /// Compares an interface with what was known of it, and opens, closes and tells accordingly.
    fn refresh_port(&mut self, id: PortId) {
        let Some(entry) = self.ports.get(&id) else {
            return;
        };
        let link = self.links.values().find(|link| link.name == entry.name).cloned();
        let virtuals = self.virtual_addresses(id);
        let (problem, source) = match &link {
            None => (Some("the interface does not exist"), None),
            Some(link) if !link.up => (Some("the interface is down"), None),
            Some(link) if !link.carrier => (Some("the interface has no carrier"), None),
            Some(link) => match choose_source(&self.addresses, link.index, &virtuals) {
                None => (Some("the interface has no IPv4 address of its own"), None),
                source => (None, source),
            },
        };
        let mut problem = problem.map(str::to_owned);
        let mut source = source;
        match &link {
            None => self.close_port(id),
            Some(link) => {
                if let Err(error) = self.open_port(id, link) {
                    problem = Some(error);
                    source = None;
                    self.retry_later();
                }
            }
        }
        let Some(entry) = self.ports.get_mut(&id) else {
            return;
        };
        if entry.source != source {
            entry.source = source;
            self.orders.send(Order::Source(id, source));
        }
        if entry.problem != problem {
            entry.problem.clone_from(&problem);
            let interface = entry.name.clone();
            self.record(None, EventKind::Interface { interface, problem });
        }
        self.watch_addresses(id, &virtuals);
    }

    fn close_port(&mut self, id: PortId) {
        if let Some(entry) = self.ports.get_mut(&id)
            && entry.ifindex.take().is_some()
        {
            entry.source = None;
            entry.announcer = None;
            entry.arp = None;
            self.orders.send(Order::Source(id, None));
            self.orders.send(Order::RemovePort(id));
        }
    }

    /// Opens sockets on an interface that is new, or another one under the old name, or has
    /// another Ethernet address.
    fn open_port(&mut self, id: PortId, link: &LinkInfo) -> Result<(), String> {
        let Some(entry) = self.ports.get(&id) else {
            return Ok(());
        };
        let (same_link, same_mac) = (entry.ifindex == Some(link.index), entry.mac == link.mac);
        if same_link && same_mac {
            return Ok(());
        }
        if !same_link {
            self.close_port(id);
            let socket = AdvertSocket::open(link.index, Family::Ipv4, RECEIVE_BUFFER)
                .map_err(|error| error.to_string())?;
            let listener = Listener::open(link.index, &[]).map_err(|error| error.to_string())?;
            let token = epoll::EventData::new_u64(u64::from(id));
            epoll::add(&self.epoll, &listener, token, epoll::EventFlags::IN)
                .map_err(|error| error.to_string())?;
            let port = Box::new(self.new_port(id, socket));
            if let Some(entry) = self.ports.get_mut(&id) {
                entry.arp = Some(listener);
                entry.ifindex = Some(link.index);
            }
            self.orders.send(Order::AddPort(id, port));
        }
        if let Some(entry) = self.ports.get_mut(&id) {
            entry.mac = link.mac;
            // Without an Ethernet address there is nothing to announce.
            entry.announcer = match link.mac {
                Some(mac) => Announcer::open(link.index, &link.name, mac).ok(),
                None => None,
            };
        }
        if !same_link {
            let here = self.members.iter().filter(|(_, m)| m.port == id && !m.leaving);
            for member in here.map(|(&id, _)| id).collect::<Vec<_>>() {
                self.remove_stale(member);
            }
        }
        Ok(())
    }

    fn new_port(&self, id: PortId, socket: AdvertSocket) -> Port {
        let mut slots = Box::new([None; 256]);
        for (&slot, member) in self.members.iter().filter(|(_, m)| m.port == id && !m.leaving) {
            slots[usize::from(member.spec.config.vrid.get())] = Some(slot);
        }
        let counters = self.ports.get(&id).map(|entry| Arc::clone(&entry.counters));
        Port {
            socket,
            receive: RecvBuf::new(),
            slots,
            source: None,
            counters: counters.unwrap_or_default(),
            dropped: [DropNote::default(); DropReason::ALL.len()],
            overflowed: 0,
            send_failing: false,
        }
    }

    fn watch_addresses(&mut self, id: PortId, virtuals: &[IpAddr]) {
        if let Some(listener) = self.ports.get(&id).and_then(|entry| entry.arp.as_ref()) {
            // Fails for want of memory only: then a successor is heard a little later.
            let _ = listener.watch(virtuals);
        }
    }

    /// Another host announced one of our addresses, or asked for it.
    pub(super) fn hear_arp(&mut self, token: u64) {
        let Ok(id) = PortId::try_from(token) else {
            return;
        };
        while let Some(entry) = self.ports.get(&id)
            && let Some(listener) = &entry.arp
        {
            let Ok(Some(heard)) = listener.recv() else {
                return;
            };
            let ArpHeard { address, mac, claim } = heard;
            if entry.mac == Some(mac) {
                continue;
            }
            if let Some(slot) = self.member_of(id, address.into()) {
                self.orders.send(match claim {
                    Claim::Has => Order::SuccessorAnnounced(slot),
                    Claim::Probes => Order::Probed(slot),
                });
            }
        }
    }
}

fn same_address(a: &AddressInfo, b: &AddressInfo) -> bool {
    a.ifindex == b.ifindex && a.address == b.address && a.prefix_len == b.prefix_len
}
