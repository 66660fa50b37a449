//! News of links and addresses.
//!
//! First all news are taken, then it is judged what they mean: by then they tell how things are
//! after everything that was done from here, so that news of an older removal or installation are
//! never mistaken for somebody else's.

use std::collections::BTreeSet;

use super::Keeper;
use super::addresses::AddressTable;
use super::links::Links;
use crate::linux::clock;
use crate::linux::interface::{AddressInfo, LinkInfo};
use crate::linux::messages::{Order, SlotId};
use crate::linux::monitor::Change;
use crate::linux::netlink::NetlinkError;

/// News taken in one turn: epoll comes again for the rest.
const NEWS_IN_A_TURN: usize = 512;

/// What the news may have changed.
#[derive(Default)]
pub(super) struct Unjudged {
    /// Interfaces by name.
    interfaces: BTreeSet<String>,
    /// Virtual routers whose macvlan may be another.
    macvlans: BTreeSet<SlotId>,
    /// Whether the monitor may hold more news.
    more: bool,
}

impl Keeper {
    /// Reads links and addresses anew.
    ///
    /// # Errors
    /// [`NetlinkError`]: what was known before is kept.
    pub(super) fn resync(&mut self) -> Result<(), NetlinkError> {
        let links = self.netlink.links()?;
        let addresses = self.netlink.addresses(None)?;
        self.links = links.into_iter().collect::<Links>();
        self.addresses = addresses.into_iter().collect::<AddressTable>();
        self.resync_due = false;
        let all = self.roster.current().map(|(id, _)| id);
        self.unjudged.macvlans = all.collect();
        self.unjudged.interfaces = self.ports.interfaces().into_iter().collect();
        self.suspects.clone_from(&self.unjudged.macvlans);
        self.judge();
        Ok(())
    }

    /// Takes what is new and, once nothing more is, judges it.
    pub(super) fn hear_news(&mut self) {
        // The monitor holds more than its socket says: it is come back to without being told.
        self.unjudged.more = true;
        for _ in 0..NEWS_IN_A_TURN {
            match self.monitor.recv() {
                Ok(Some(change)) => self.take_news(change),
                Ok(None) => {
                    self.unjudged.more = false;
                    break;
                }
                Err(_) => {
                    self.unjudged.more = false;
                    self.resync_due = true;
                    break;
                }
            }
        }
        if self.unjudged.more {
            return;
        }
        if !self.resync_due {
            self.judge();
        } else if self.retry_at.is_none() && self.resync().is_err() {
            // Only now: what was still unread was older than a new list.
            self.retry_later();
        }
    }

    /// The news are looked at in this turn, even if the kernel has none.
    pub(super) fn expect_news(&mut self) {
        self.unjudged.more = true;
    }

    /// Whether news wait in the monitor.
    pub(super) fn has_news(&self) -> bool {
        self.unjudged.more
    }

    fn take_news(&mut self, change: Change) {
        match change {
            Change::Link(link) => {
                let old = self.links.insert(link.clone());
                if old.as_ref() != Some(&link) {
                    self.link_changed(&link);
                    old.iter().for_each(|old| self.link_changed(old));
                }
            }
            Change::LinkGone { index, .. } => {
                self.addresses.remove_link(index);
                let old = self.links.remove(index);
                old.iter().for_each(|old| self.link_changed(old));
            }
            Change::AddressAdded(info) => {
                self.addresses.insert(info);
                self.address_changed(&info);
            }
            Change::AddressRemoved(info) => {
                self.addresses.remove(&info);
                self.address_changed(&info);
            }
            Change::Overrun => self.resync_due = true,
        }
    }

    fn link_changed(&mut self, link: &LinkInfo) {
        if self.ports.is_interface(&link.name) {
            self.unjudged.interfaces.insert(link.name.clone());
        }
        if let Some(id) = self.macvlan_user(link) {
            self.unjudged.macvlans.insert(id);
            self.suspects.insert(id);
        }
    }

    fn address_changed(&mut self, info: &AddressInfo) {
        let AddressInfo { ifindex, address, .. } = *info;
        let claimants = self.claimants(ifindex, address);
        let (mut suspects, mut virtually) = (Vec::new(), false);
        for (id, member) in claimants {
            virtually |= !member.is_own(info);
            // The echo of a renewed lease is no news.
            let present = self.addresses.has(ifindex, address);
            let settled = member.wanted && member.arrival.is_none();
            if !(present && settled && self.home(member) == Some(ifindex)) {
                suspects.push(id);
            }
        }
        self.suspects.extend(suspects);
        if !virtually && let Some(interface) = self.ports.interface_at(ifindex) {
            self.unjudged.interfaces.insert(interface.to_owned());
        }
    }

    /// Acts on the news, now that there are no more.
    pub(super) fn judge(&mut self) {
        let Unjudged { interfaces, macvlans, .. } = std::mem::take(&mut self.unjudged);
        for interface in interfaces {
            self.refresh_interface(&interface);
        }
        for id in macvlans {
            self.find_macvlan(id);
            let source = self.source_of(id);
            self.set_source(id, source);
        }
        for id in std::mem::take(&mut self.suspects) {
            self.judge_addresses(id);
        }
    }

    /// Compares where a virtual router's addresses are with where they should be.
    fn judge_addresses(&mut self, id: SlotId) {
        let Some(member) = self.roster.get(id) else {
            return;
        };
        // What was not there yet is not lost.
        let expected = member.wanted && member.installed;
        let unwanted = !member.wanted;
        let arriving = member.arrival.is_some();
        let up = member.macvlan.and_then(|index| self.links.get(index)).map(|link| link.up);
        let in_place = self.home(member).is_some_and(|home| {
            let interface = self.ports.ifindex(member.port).unwrap_or(home);
            member.addresses().iter().all(|&address| {
                self.addresses.has(home, address) || self.owns(member, interface, address)
            })
        });
        let stale = !self.stale_of(id).is_empty();
        if let Some(member) = self.roster.get_mut(id)
            && stale
        {
            member.search.suspect(clock::now());
            self.roster.rearm(id);
        }
        if expected && (!in_place || up == Some(false)) {
            self.address_lost(id);
        } else if arriving && in_place {
            self.arrived(id);
        } else if unwanted && up == Some(true) {
            self.lower(id);
        }
    }

    fn address_lost(&mut self, id: SlotId) {
        if let Some(member) = self.roster.get_mut(id) {
            member.installed = false;
            self.orders.send(Order::AddressLost(id));
        }
    }
}
