//! Interfaces: which of them can be used, and what is open on them.

use core::net::IpAddr;
use core::sync::atomic::Ordering::Relaxed;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use rustix::event::epoll;

use super::Keeper;
use super::requests::by_name;
use crate::Family;
use crate::linux::interface::LinkInfo;
use crate::linux::messages::{MAX_PORTS, Order, Port, PortCounters, PortId};
use crate::linux::neighbour::{Announcer, Listener};
use crate::linux::socket::AdvertSocket;
use crate::linux::source::choose_source;
use crate::proto::EventKind;
use crate::wire::DropReason;

/// What is asked of the kernel for each socket: four intervals of 255 virtual routers and some.
const RECEIVE_BUFFER: usize = 4 * 1024 * 1024;

pub(super) struct PortEntry {
    /// The interface's.
    pub(super) name: String,
    pub(super) family: Family,
    /// The interface's index while it exists and a socket is open on it.
    pub(super) ifindex: Option<u32>,
    /// The Ethernet address that is announced.
    pub(super) mac: Option<[u8; 6]>,
    pub(super) source: Option<IpAddr>,
    /// Why the interface cannot be used.
    pub(super) problem: Option<String>,
    announcer: Option<Announcer>,
    pub(super) arp: Option<Listener>,
    /// The addresses that it hears of.
    watched: Vec<IpAddr>,
    counters: Arc<PortCounters>,
}

impl PortEntry {
    fn new(name: &str, family: Family) -> Self {
        Self {
            name: name.to_owned(),
            family,
            ifindex: None,
            mac: None,
            source: None,
            problem: Some("not looked at yet".to_owned()),
            announcer: None,
            arp: None,
            watched: Vec::new(),
            counters: Arc::default(),
        }
    }

    pub(super) fn announce(&mut self, address: IpAddr) -> io::Result<()> {
        match &mut self.announcer {
            Some(announcer) => announcer.announce(address, None),
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

    /// The port of an interface and family, made if there is none yet.
    pub(super) fn port_for(&mut self, interface: &str, family: Family) -> Option<PortId> {
        let known =
            self.ports.iter().find(|(_, port)| port.name == interface && port.family == family);
        if let Some((&id, _)) = known {
            return Some(id);
        }
        let id = (0..MAX_PORTS).find(|id| !self.ports.contains_key(id))?;
        self.ports.insert(id, PortEntry::new(interface, family));
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

    pub(super) fn refresh_ports(&mut self) {
        for id in self.ports.keys().copied().collect::<Vec<_>>() {
            self.refresh_port(id);
        }
    }

    pub(super) fn refresh_ports_at(&mut self, ifindex: u32) {
        let here = self.ports.iter().filter(|(_, port)| port.ifindex == Some(ifindex));
        for id in here.map(|(&id, _)| id).collect::<Vec<_>>() {
            self.refresh_port(id);
        }
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
            Some(link) => {
                match choose_source(&self.addresses, link.index, Family::Ipv4, &virtuals, &[]) {
                    None => (Some("the interface has no IPv4 address of its own"), None),
                    source => (None, source),
                }
            }
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
        self.set_source(id, source);
        let Some(entry) = self.ports.get_mut(&id) else {
            return;
        };
        if entry.problem != problem {
            entry.problem.clone_from(&problem);
            let interface = entry.name.clone();
            self.record(None, EventKind::Interface { interface, problem });
        }
        self.watch_addresses(id, virtuals);
    }

    /// Takes a port's source, and tells the virtual routers on it.
    fn set_source(&mut self, id: PortId, source: Option<IpAddr>) {
        let Some(entry) = self.ports.get_mut(&id).filter(|entry| entry.source != source) else {
            return;
        };
        entry.source = source;
        let here = self.members.iter().filter(|(_, member)| member.port == id);
        here.for_each(|(&id, _)| self.orders.send(Order::Source(id, source)));
    }

    fn close_port(&mut self, id: PortId) {
        if let Some(entry) = self.ports.get_mut(&id)
            && let Some(ifindex) = entry.ifindex.take()
        {
            entry.mac = None;
            entry.announcer = None;
            entry.arp = None;
            self.set_source(id, None);
            self.orders.send(Order::RemovePort(id));
            // A link that was renamed has kept its addresses.
            if self.links.contains_key(&ifindex) {
                let virtuals = self.virtual_addresses(id);
                self.remove_addresses(ifindex, &virtuals);
            }
        }
    }

    /// Opens sockets on an interface that is new, or another one under the old name, or has
    /// another Ethernet address.
    fn open_port(&mut self, id: PortId, link: &LinkInfo) -> Result<(), String> {
        let Some(entry) = self.ports.get(&id) else {
            return Ok(());
        };
        let (same_link, same_mac) = (entry.ifindex == Some(link.index), entry.mac == link.mac);
        if !same_link {
            self.close_port(id);
            self.open_sockets(id, link)?;
            let here = self.members.iter().filter(|(_, m)| m.port == id && !m.leaving);
            for member in here.map(|(&id, _)| id).collect::<Vec<_>>() {
                self.remove_stale(member);
            }
        }
        if let Some(entry) = self.ports.get_mut(&id)
            && !(same_link && same_mac)
        {
            // Without an Ethernet address there is nothing to announce.
            let announcer = link.mac.map(|mac| Announcer::open(link.index, &link.name, mac));
            entry.announcer = announcer.transpose().map_err(|error| error.to_string())?;
            entry.mac = link.mac;
            if same_link {
                self.announce_all(id);
            }
        }
        Ok(())
    }

    fn open_sockets(&mut self, id: PortId, link: &LinkInfo) -> Result<(), String> {
        let Some(family) = self.ports.get(&id).map(|entry| entry.family) else {
            return Ok(());
        };
        let socket = AdvertSocket::open(link.index, family, RECEIVE_BUFFER)
            .map_err(|error| error.to_string())?;
        let listener =
            Listener::open(link.index, Family::Ipv4, &[]).map_err(|error| error.to_string())?;
        let token = epoll::EventData::new_u64(u64::from(id));
        epoll::add(&self.epoll, &listener, token, epoll::EventFlags::IN)
            .map_err(|error| error.to_string())?;
        let port = Box::new(self.new_port(id, socket));
        if let Some(entry) = self.ports.get_mut(&id) {
            entry.arp = Some(listener);
            entry.watched.clear();
            entry.ifindex = Some(link.index);
        }
        self.orders.send(Order::AddPort(id, port));
        Ok(())
    }

    fn new_port(&self, id: PortId, socket: AdvertSocket) -> Port {
        let mut slots = Box::new([None; 256]);
        for (&slot, member) in self.members.iter().filter(|(_, m)| m.port == id && !m.leaving) {
            slots[usize::from(member.spec.config.vrid.get())] = Some(slot);
        }
        let counters = self.ports.get(&id).map(|entry| Arc::clone(&entry.counters));
        Port::new(socket, slots, counters.unwrap_or_default())
    }

    fn watch_addresses(&mut self, id: PortId, virtuals: Vec<IpAddr>) {
        if let Some(entry) = self.ports.get_mut(&id)
            && let Some(listener) = &entry.arp
            && entry.watched != virtuals
            // Fails for want of memory only: then a successor is heard a little later.
            && listener.watch(&virtuals).is_ok()
        {
            entry.watched = virtuals;
        }
    }
}
