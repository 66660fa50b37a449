//! Interfaces: which of them can be used, opening and closing what is needed on them.

use core::net::IpAddr;
use std::sync::Arc;

use rustix::event::epoll;

use super::Keeper;
use super::member::Member;
use super::ports::Frames;
use super::problem::{Problem, link_problem};
use crate::Family;
use crate::linux::clock;
use crate::linux::frame::FrameSocket;
use crate::linux::interface::LinkInfo;
use crate::linux::messages::{Order, Port, PortId};
use crate::linux::neighbour::{Announcer, Listener};
use crate::linux::socket::AdvertSocket;
use crate::proto::EventKind;
use crate::time::Duration;

/// What is asked of the kernel for each socket: four intervals of 255 virtual routers and some.
const RECEIVE_BUFFER: usize = 4 * 1024 * 1024;
/// Pause before a socket that could not be opened is tried again.
const REOPEN: Duration = Duration::from_secs(1);

impl Keeper {
    /// The port of an interface and family, made if there is none yet.
    pub(super) fn port_for(&mut self, interface: &str, family: Family) -> Option<PortId> {
        if let Some(known) = self.ports.find(interface, family) {
            return Some(known);
        }
        let id = self.ports.add(interface, family)?;
        self.refresh_port(id);
        Some(id)
    }

    pub(super) fn drop_unused_port(&mut self, id: PortId) {
        if self.roster.is_unused(id) {
            self.ports.remove(id);
            self.orders.send(Order::RemovePort(id));
        }
    }

    pub(super) fn refresh_all(&mut self) {
        for interface in self.ports.interfaces() {
            self.refresh_interface(&interface);
        }
    }

    /// Compares an interface with what was known of it, and opens, closes and tells accordingly.
    pub(super) fn refresh_interface(&mut self, interface: &str) {
        for id in self.ports.of(interface) {
            self.refresh_port(id);
        }
        if let Some(problem) = self.ports.news_of(interface) {
            let interface = interface.to_owned();
            self.record(None, EventKind::Interface { interface, problem });
        }
    }

    fn refresh_port(&mut self, id: PortId) {
        let Some(entry) = self.ports.get(id) else {
            return;
        };
        let link = self.links.named(&entry.name).cloned();
        let opened = match &link {
            None => {
                self.close_port(id);
                Ok(())
            }
            Some(link) => self.open_port(id, link),
        };
        let problem = opened.err().or_else(|| link_problem(link.as_ref()));
        if let Some(entry) = self.ports.get_mut(id)
            && entry.link_problem != problem
        {
            let usable = problem.is_none();
            entry.link_problem = problem;
            if usable {
                self.forget_unanswered(id);
            }
        }
        self.open_frames(id);
        let lacking = self.refresh_sources(id);
        let virtuals = self.roster.addresses_on(id);
        if let Some(entry) = self.ports.get_mut(id) {
            entry.lacks_address = lacking;
            if let Some(listener) = &entry.listener
                && entry.watched != virtuals
                // Fails for want of memory only: then a successor is heard a little later.
                && listener.watch(&virtuals).is_ok()
            {
                entry.watched = virtuals;
            }
        }
    }

    /// Has the kernel ask anew for neighbours that it asked for on a link that was cut: the first
    /// answer to a client would wait for up to a second.
    pub(super) fn forget_unanswered(&mut self, id: PortId) {
        if let Some(entry) = self.ports.get_mut(id)
            && entry.forgets_unanswered(clock::now())
            && let Some(ifindex) = entry.ifindex
        {
            // It is only a matter of speed.
            let _ = self.netlink.forget_unanswered(ifindex, entry.family);
        }
    }

    fn close_port(&mut self, id: PortId) {
        let Some(ifindex) = self.ports.ifindex(id) else {
            return;
        };
        for slot in self.roster.on_port(id) {
            self.set_source(slot, Err(Problem::Missing));
        }
        let left = self.virtual_places(id, ifindex);
        self.abandon_macvlans(id);
        self.ports.close(id);
        self.orders.send(Order::RemovePort(id));
        // A link that was renamed has kept its addresses.
        if self.links.get(ifindex).is_some() {
            self.remove_all(left);
        }
    }

    /// The virtual addresses of a port that are not the node's own, those of an older
    /// configuration too.
    fn virtual_places(&self, id: PortId, ifindex: u32) -> Vec<(u32, IpAddr)> {
        let here = self.roster.iter().filter(|(_, member)| member.port == id);
        let places = here.flat_map(|(_, member)| {
            let addresses = member.addresses().iter().chain(&member.obsolete);
            addresses.filter(move |&&address| !self.owns(member, ifindex, address))
        });
        places.map(|&address| (ifindex, address)).collect()
    }

    /// Opens sockets on an interface that is new, or another one under the old name, or has
    /// another Ethernet address.
    fn open_port(&mut self, id: PortId, link: &LinkInfo) -> Result<(), Problem> {
        let Some(entry) = self.ports.get(id) else {
            return Ok(());
        };
        let (same_link, same_mac) = (entry.ifindex == Some(link.index), entry.mac == link.mac);
        if !same_link {
            self.close_port(id);
            self.open_sockets(id, link)?;
        }
        if same_link && same_mac {
            return Ok(());
        }
        // Without an Ethernet address there is nothing to announce.
        let announcer = link.mac.map(|mac| Announcer::open(link.index, &link.name, mac));
        let announcer = announcer.transpose().map_err(|error| self.failed(&error))?;
        if let Some(entry) = self.ports.get_mut(id) {
            entry.announcer = announcer;
            entry.mac = link.mac;
        }
        if same_link {
            self.announce_all(id);
        }
        Ok(())
    }

    fn open_sockets(&mut self, id: PortId, link: &LinkInfo) -> Result<(), Problem> {
        let Some(family) = self.ports.get(id).map(|entry| entry.family) else {
            return Ok(());
        };
        let socket = AdvertSocket::open(link.index, family, RECEIVE_BUFFER)
            .map_err(|error| self.failed(&error))?;
        let listener =
            Listener::open(link.index, family, &[]).map_err(|error| self.failed(&error))?;
        let token = epoll::EventData::new_u64(u64::from(id));
        epoll::add(&self.epoll, &listener, token, epoll::EventFlags::IN)
            .map_err(|error| self.failed(&error))?;
        self.ports.open(id, link.index, listener);
        let port = Box::new(self.new_port(id, socket));
        self.orders.send(Order::AddPort(id, port));
        let slots = self.roster.on_port(id);
        for &slot in &slots {
            self.find_macvlan(slot);
        }
        self.remove_stale(&slots);
        Ok(())
    }

    fn new_port(&self, id: PortId, socket: AdvertSocket) -> Port {
        let mut slots = Box::new([None; 256]);
        for slot in self.roster.on_port(id) {
            if let Some(member) = self.roster.get(slot) {
                slots[usize::from(member.spec.config.vrid.get())] = Some(slot);
            }
        }
        let counters = self.ports.get(id).map(|entry| Arc::clone(&entry.counters));
        Port::new(socket, slots, counters.unwrap_or_default())
    }

    /// Opens what virtual routers with a virtual MAC address send through, once one is there.
    pub(super) fn open_frames(&mut self, id: PortId) {
        let mut members = self.roster.on_port(id).into_iter().filter_map(|id| self.roster.get(id));
        let needed = members.any(Member::sends_frames);
        let Some(entry) = self.ports.get(id).filter(|entry| needed && entry.frames != Frames::Open)
        else {
            return;
        };
        let Some(ifindex) = entry.ifindex else {
            return;
        };
        let frames = match FrameSocket::open(ifindex) {
            Ok(frames) => {
                self.orders.send(Order::Frames(id, frames));
                Frames::Open
            }
            Err(error) => Frames::Failed(self.failed(&error)),
        };
        if let Some(entry) = self.ports.get_mut(id) {
            entry.frames = frames;
        }
    }

    /// What could not be opened is tried again a little later.
    fn failed(&mut self, error: &dyn std::fmt::Display) -> Problem {
        self.reopen_at.get_or_insert(clock::now() + REOPEN);
        Problem::Socket(error.to_string())
    }
}
