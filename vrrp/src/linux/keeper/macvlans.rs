//! Macvlans with virtual router MAC addresses (RFC 9568, 7.3): the daemon makes them, down and
//! without addresses; here they are found, and are up while their virtual router is Active, so
//! that a Backup neither answers nor sends anything from the virtual MAC address.

use core::net::IpAddr;

use super::Keeper;
use super::member::Member;
use crate::linux::interface::LinkInfo;
use crate::linux::messages::{PortId, SlotId};
use crate::linux::netlink::NetlinkError;
use crate::{Family, Vrid};

impl Keeper {
    /// Where a virtual router's addresses belong; `None` while that does not exist.
    pub(super) fn home(&self, member: &Member) -> Option<u32> {
        let interface = self.ports.ifindex(member.port)?;
        if member.spec.config.virtual_mac { member.macvlan } else { Some(interface) }
    }

    /// The virtual router whose macvlan a link is, if it is one.
    pub(super) fn macvlan_user(&self, link: &LinkInfo) -> Option<SlotId> {
        let [0x00, 0x00, 0x5e, 0x00, kind, vrid] = link.mac? else {
            return None;
        };
        let family = if kind == 1 { Family::Ipv4 } else { Family::Ipv6 };
        self.roster.with_vrid(self.ports.at(link.lower?, family)?, Vrid::new(vrid)?)
    }

    /// Looks for a virtual router's macvlan anew.
    pub(super) fn find_macvlan(&mut self, id: SlotId) {
        let Some(member) = self.roster.get(id) else {
            return;
        };
        let interface = self.ports.ifindex(member.port);
        let found = interface.zip(member.virtual_mac());
        let found = found.and_then(|(lower, mac)| self.links.macvlan(lower, mac));
        let found = found.map(|link| link.index);
        if let Some(member) = self.roster.get_mut(id)
            && member.macvlan != found
        {
            member.macvlan = found;
            member.raised = false;
            self.suspects.insert(id);
        }
    }

    /// Brings the macvlan up, if the virtual router has one, before addresses come to it.
    ///
    /// # Errors
    /// As the kernel answers, as while the interface below is down.
    pub(super) fn raise(&mut self, id: SlotId) -> Result<(), NetlinkError> {
        let Some(member) = self.roster.get_mut(id) else {
            return Ok(());
        };
        if let Some(macvlan) = member.macvlan
            && !(member.raised && member.installed)
        {
            self.netlink.set_up(macvlan, true)?;
            member.raised = true;
            if member.addresses().iter().any(is_link_local) {
                self.netlink.route_link_local(macvlan)?;
            }
        }
        Ok(())
    }

    /// Has the macvlan taken down, if the virtual router has one, after its addresses are gone.
    pub(super) fn lower(&mut self, id: SlotId) {
        if let Some(member) = self.roster.get_mut(id) {
            member.raised = false;
            self.work.lowering.extend(member.macvlan);
        }
    }

    /// Takes one macvlan down that is not needed. One at a time, and after everything else: the
    /// kernel takes some milliseconds for each, as it waits for packets that are under way.
    pub(super) fn lower_one(&mut self) {
        let Some(macvlan) = self.work.lowering.pop_first() else {
            return;
        };
        let user = self.links.get(macvlan).and_then(|link| self.macvlan_user(link));
        let is_needed = |member: &Member| member.wanted && self.home(member) == Some(macvlan);
        if user.and_then(|id| self.roster.get(id)).is_some_and(is_needed) {
            return;
        }
        match self.netlink.set_up(macvlan, false) {
            Ok(()) | Err(NetlinkError::NoDevice) => {}
            Err(_) => {
                self.suspects.extend(user);
                self.retry_later();
            }
        }
    }

    /// Takes away what a port that is closed has left on macvlans that are still there.
    pub(super) fn abandon_macvlans(&mut self, port: PortId) {
        let here = self.roster.iter().filter(|(_, member)| member.port == port);
        let with_macvlan = here.filter_map(|(id, member)| Some((id, member.macvlan?)));
        let abandoned: Vec<_> = with_macvlan.collect();
        for (id, macvlan) in abandoned {
            if self.links.get(macvlan).is_some() {
                let member = self.roster.get(id).into_iter();
                let places = member.flat_map(|member| member.addresses().to_vec());
                self.remove_all(places.map(|address| (macvlan, address)).collect());
                self.lower(id);
            }
            if let Some(member) = self.roster.get_mut(id) {
                member.macvlan = None;
            }
        }
    }
}

fn is_link_local(address: &IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}
