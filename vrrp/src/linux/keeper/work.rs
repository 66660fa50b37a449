//! Addresses on and off: what the advertising thread wishes goes to the kernel in batches.
//!
//! A thousand virtual routers may wish at once. Each batch is small enough that what else waits
//! for the keeper waits for some milliseconds only, and so large that the kernel, which looks
//! through all addresses after a renewed lease, does so once and not a thousand times.

use std::collections::{BTreeSet, VecDeque};

use super::Keeper;
use crate::linux::clock;
use crate::linux::messages::{Order, SlotId};
use crate::linux::netlink::{Install, NetlinkError};
use crate::proto::EventKind;
use crate::router::Ticket;

/// Addresses in one batch, but for a virtual router that has more of them itself.
const BATCH: usize = 128;

/// What is still to be done, in the order in which it was wished.
#[derive(Default)]
pub(super) struct Work {
    installs: VecDeque<(SlotId, Ticket)>,
    withdrawals: VecDeque<SlotId>,
    /// Macvlans that are not needed.
    pub(super) lowering: BTreeSet<u32>,
    /// Virtual routers to be forgotten once that is done.
    gone: Vec<SlotId>,
}

impl Work {
    /// Whether nothing is left to do.
    pub(super) fn is_empty(&self) -> bool {
        !self.is_waited_for() && self.lowering.is_empty()
    }

    /// Whether something is left to do for which somebody waits.
    pub(super) fn is_waited_for(&self) -> bool {
        !(self.installs.is_empty() && self.withdrawals.is_empty() && self.gone.is_empty())
    }
}

impl Keeper {
    /// Notes that addresses are to be installed, or their lease renewed.
    pub(super) fn wish_install(&mut self, id: SlotId, ticket: Ticket) {
        if let Some(member) = self.roster.get_mut(id) {
            member.wanted = true;
            member.ticket = Some(ticket);
            self.work.installs.push_back((id, ticket));
        }
    }

    /// Notes that addresses are to be taken away.
    pub(super) fn wish_withdraw(&mut self, id: SlotId) {
        if let Some(member) = self.roster.get_mut(id) {
            member.renounce();
            self.roster.rearm(id);
            self.work.withdrawals.push_back(id);
        }
    }

    /// Notes that a virtual router is stopped.
    pub(super) fn wish_forget(&mut self, id: SlotId) {
        self.work.gone.push(id);
    }

    /// Does a batch of each kind.
    pub(super) fn work_on(&mut self) {
        self.withdraw_batch();
        self.install_batch();
        if self.work.withdrawals.is_empty() {
            for id in std::mem::take(&mut self.work.gone) {
                if let Some(member) = self.roster.remove(id) {
                    self.drop_unused_port(member.port);
                }
            }
        }
    }

    fn withdraw_batch(&mut self) {
        let mut batch = Vec::new();
        let mut count = 0;
        while count < BATCH
            && let Some(id) = self.work.withdrawals.pop_front()
        {
            // Wanted again since.
            let Some(member) = self.roster.get_mut(id).filter(|member| !member.wanted) else {
                continue;
            };
            let mut addresses = std::mem::take(&mut member.obsolete);
            addresses.extend(member.addresses());
            let home = self.roster.get(id).and_then(|member| self.home(member));
            let places: Vec<_> =
                addresses.into_iter().filter_map(|address| Some((home?, address))).collect();
            count += places.len();
            batch.push((id, places));
        }
        let unwanted = batch.iter().flat_map(|(_, places)| places.clone()).collect();
        let removal = self.remove_all(unwanted);
        for (id, places) in batch {
            if let Some(error) = removal.failure(&places) {
                let error = error.to_string();
                self.record(Some(id), EventKind::WithdrawFailed { error });
            }
            self.lower(id);
        }
    }

    fn install_batch(&mut self) {
        let mut batch = Vec::new();
        let mut wanted = Vec::new();
        while wanted.len() < BATCH
            && let Some((id, ticket)) = self.work.installs.pop_front()
        {
            // Given up, or asked for once more, since.
            let asked = self.roster.get(id).is_some_and(|member| member.ticket == Some(ticket));
            if asked {
                match self.prepare(id) {
                    Ok(installs) => {
                        batch.push((id, ticket, installs.len()));
                        wanted.extend(installs);
                    }
                    Err(error) => self.answer_install(id, ticket, Some(error)),
                }
            }
        }
        let mut outcomes = self.netlink.install_many(&wanted).into_iter();
        let mut taken_over = BTreeSet::new();
        for (id, ticket, count) in batch {
            let failure = outcomes.by_ref().take(count).filter_map(Result::err).last();
            let new = self.roster.get(id).filter(|member| !member.installed);
            if failure.is_none() {
                taken_over.extend(new.map(|member| member.port));
            }
            self.answer_install(id, ticket, failure);
        }
        if !taken_over.is_empty() && !self.work.installs.is_empty() {
            self.orders.send(Order::InstallProgress);
        }
        // While the advertising thread takes notice.
        for port in taken_over {
            self.forget_unanswered(port);
        }
    }

    /// What is to be installed for a virtual router, where that can be.
    fn prepare(&mut self, id: SlotId) -> Result<Vec<Install>, NetlinkError> {
        self.raise(id)?;
        let Some(member) = self.roster.get(id) else {
            return Ok(Vec::new());
        };
        let ifindex = self.home(member).ok_or(NetlinkError::NoDevice)?;
        let interface = self.ports.ifindex(member.port).unwrap_or(ifindex);
        let lease = member.spec.config.lease;
        let lacking =
            member.addresses().iter().filter(|&&address| !self.owns(member, interface, address));
        let installs: Vec<Install> =
            lacking.map(|&address| Install { ifindex, address, lease }).collect();
        if let Some(member) = self.roster.get_mut(id)
            && member.is_owner()
        {
            member.brought.extend(installs.iter().map(|install| install.address));
        }
        Ok(installs)
    }

    fn answer_install(&mut self, id: SlotId, ticket: Ticket, failure: Option<NetlinkError>) {
        let Some(member) = self.roster.get_mut(id) else {
            return;
        };
        let Some(error) = failure else {
            if !self.waits_for_arrival(id, ticket) {
                self.finish_install(id, ticket);
            }
            return;
        };
        member.ticket = None;
        let error = error.to_string();
        let known = member.install_error.replace(error.clone());
        self.orders.send(Order::InstallFailed(id, ticket));
        if known.as_ref() != Some(&error) {
            self.record(Some(id), EventKind::InstallFailed { error });
        }
    }

    /// Answers a request whose addresses are in use, unless another was made since.
    pub(super) fn finish_install(&mut self, id: SlotId, ticket: Ticket) {
        let home = self.roster.get(id).and_then(|member| self.home(member));
        let Some(member) = self.roster.get_mut(id).filter(|member| member.ticket == Some(ticket))
        else {
            return;
        };
        member.ticket = None;
        member.installed = true;
        member.confirmed_at = Some(clock::now());
        member.install_error = None;
        let obsolete = std::mem::take(&mut member.obsolete);
        self.orders.send(Order::Installed(id, ticket));
        let obsolete = obsolete.into_iter().filter_map(|address| Some((home?, address)));
        self.remove_all(obsolete.collect());
    }
}
