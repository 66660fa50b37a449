//! News of links and addresses.

use core::net::IpAddr;

use super::Keeper;
use crate::linux::clock;
use crate::linux::interface::{AddressInfo, LinkInfo};
use crate::linux::messages::{Order, SlotId};
use crate::linux::monitor::Change;
use crate::linux::netlink::NetlinkError;

impl Keeper {
    /// Reads links and addresses anew.
    ///
    /// # Errors
    /// [`NetlinkError`]: what was known before is kept.
    pub(super) fn resync(&mut self) -> Result<(), NetlinkError> {
        let links = self.netlink.links()?;
        self.addresses = self.netlink.addresses(None)?;
        self.links = links.into_iter().map(|link| (link.index, link)).collect();
        self.resync_due = false;
        self.refresh_ports();
        for id in self.members_without_addresses() {
            self.address_lost(id);
        }
        for info in self.addresses.clone() {
            self.suspect_stale(&info);
        }
        Ok(())
    }

    /// Makes up for lost news; what cannot be read now is read a little later.
    pub(super) fn catch_up(&mut self) {
        if self.resync_due && self.resync().is_err() {
            self.retry_later();
        }
    }

    pub(super) fn read_monitor(&mut self) {
        loop {
            match self.monitor.recv() {
                Ok(None) => break,
                Ok(Some(change)) => self.take_news(change),
                Err(_) => {
                    self.resync_due = true;
                    break;
                }
            }
            self.carry_out();
        }
        // Only now: what was still unread is older than a new list.
        if self.retry_at.is_none() {
            self.catch_up();
        }
    }

    fn take_news(&mut self, change: Change) {
        match change {
            Change::Link(link) => self.link_changed(link),
            Change::LinkGone { index, .. } => {
                self.links.remove(&index);
                self.addresses.retain(|info| info.ifindex != index);
                self.refresh_ports_at(index);
            }
            Change::AddressAdded(info) => self.address_added(info),
            Change::AddressRemoved(info) => self.address_removed(info),
            Change::Overrun => self.resync_due = true,
        }
    }

    fn link_changed(&mut self, link: LinkInfo) {
        if self.links.get(&link.index) != Some(&link) {
            self.links.insert(link.index, link);
            self.refresh_ports();
        }
    }

    fn address_added(&mut self, info: AddressInfo) {
        // In its place: the order says which address is the interface's first.
        match self.addresses.iter_mut().find(|known| same_address(known, &info)) {
            Some(known) => *known = info,
            None => self.addresses.push(info),
        }
        if self.member_at(&info).is_some() {
            self.suspect_stale(&info);
        } else {
            self.refresh_ports_at(info.ifindex);
        }
    }

    fn address_removed(&mut self, info: AddressInfo) {
        self.addresses.retain(|known| !same_address(known, &info));
        let Some(id) = self.member_at(&info) else {
            self.refresh_ports_at(info.ifindex);
            return;
        };
        let wanted = self.members.get(&id).is_some_and(|member| member.wanted);
        // The news may be of our own removal before the latest takeover.
        if wanted && !self.is_present(info.ifindex, info.address) {
            self.address_lost(id);
        }
    }

    fn address_lost(&mut self, id: SlotId) {
        if let Some(member) = self.members.get_mut(&id) {
            member.installed = false;
            self.orders.send(Order::AddressLost(id));
        }
    }

    /// An address that should not be there is looked for soon: the news may be of our own
    /// installation before the latest withdrawal.
    fn suspect_stale(&mut self, info: &AddressInfo) {
        let member = self.member_at(info).and_then(|id| self.members.get_mut(&id));
        if let Some(member) = member.filter(|member| !member.wanted) {
            member.search.suspect(clock::now());
        }
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

    fn is_present(&mut self, ifindex: u32, address: IpAddr) -> bool {
        let present = self.netlink.addresses(Some(ifindex));
        present.is_ok_and(|present| present.iter().any(|info| info.address == address))
    }

    /// The virtual router that an address on an interface belongs to.
    fn member_at(&self, info: &AddressInfo) -> Option<SlotId> {
        let port = self.ports.iter().find(|(_, port)| port.ifindex == Some(info.ifindex));
        port.and_then(|(&port, _)| self.member_of(port, info.address))
    }
}

fn same_address(a: &AddressInfo, b: &AddressInfo) -> bool {
    a.ifindex == b.ifindex && a.address == b.address && a.prefix_len == b.prefix_len
}
