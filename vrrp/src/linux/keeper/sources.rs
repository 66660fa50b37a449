//! Where each virtual router's advertisements come from.

use core::net::IpAddr;

use super::Keeper;
use super::member::Member;
use super::ports::Frames;
use super::problem::Problem;
use crate::config::Transport;
use crate::linux::messages::{Order, PortId, SlotId};
use crate::linux::source::{choose_routable, choose_source};
use crate::proto::EventKind;

impl Keeper {
    /// Finds the source of each virtual router on a port anew; whether one has none for want of
    /// an address.
    pub(super) fn refresh_sources(&mut self, port: PortId) -> bool {
        let source = self.ports.ifindex(port).and_then(|ifindex| self.choose(port, ifindex, &[]));
        if let Some(entry) = self.ports.get_mut(port) {
            entry.source = source;
        }
        let mut lacking = false;
        for id in self.roster.on_port(port) {
            let source = self.source_of(id);
            lacking |= matches!(source, Err(Problem::NoAddress(_)));
            self.set_source(id, source);
        }
        lacking
    }

    /// The source of one virtual router.
    pub(super) fn source_of(&self, id: SlotId) -> Result<IpAddr, Problem> {
        let member = self.roster.get(id).ok_or(Problem::Missing)?;
        let port = self.ports.get(member.port).ok_or(Problem::Missing)?;
        if let Some(problem) = &port.link_problem {
            return Err(problem.clone());
        }
        if let (Some(mac), None) = (member.virtual_mac(), member.macvlan) {
            return Err(Problem::NoMacvlan(mac));
        }
        if member.sends_frames()
            && let Frames::Failed(problem) = &port.frames
        {
            return Err(problem.clone());
        }
        let ifindex = port.ifindex.ok_or(Problem::Missing)?;
        if let Transport::Unicast { source: Some(source), .. } = member.spec.transport {
            let there = self.has_own(member, ifindex, source);
            return if there { Ok(source) } else { Err(Problem::NoSource(source)) };
        }
        if member.speaks_beyond_the_link() {
            let owned = if member.is_owner() { member.addresses() } else { &[] };
            let virtuals = self.roster.addresses_on(member.port);
            let addresses = self.addresses.on(ifindex);
            return choose_routable(&addresses, ifindex, &virtuals, owned)
                .ok_or(Problem::NoRoutable);
        }
        let own = || {
            let owned = member.is_owner().then(|| member.addresses())?;
            self.choose(member.port, ifindex, owned)
        };
        port.source.or_else(own).ok_or(Problem::NoAddress(port.family))
    }

    pub(super) fn set_source(&mut self, id: SlotId, source: Result<IpAddr, Problem>) {
        let Some(member) = self.roster.get_mut(id) else {
            return;
        };
        if member.source == source {
            return;
        }
        let old = std::mem::replace(&mut member.source, source.clone());
        let interface = member.spec.interface.clone();
        if old.as_ref().ok() != source.as_ref().ok() {
            self.orders.send(Order::Source(id, source.as_ref().ok().copied()));
        }
        // What concerns the interface is told once for all.
        let problem = source.err();
        let private = |problem: &Problem| problem.is_private();
        if problem.as_ref().is_some_and(private) || old.err().as_ref().is_some_and(private) {
            let problem = problem.map(|problem| problem.to_string());
            self.record(Some(id), EventKind::Interface { interface, problem });
        }
    }

    /// Whether an interface has an address that is no virtual one, save the router's own.
    fn has_own(&self, member: &Member, ifindex: u32, address: IpAddr) -> bool {
        let mut forms = self.addresses.find(ifindex, address);
        let is_virtual = self.roster.with_address(member.port, address).next().is_some();
        forms.any(|info| info.usable && !info.ours && (!is_virtual || member.is_own(info)))
    }

    /// An address of the interface that is no virtual one, save those that are `owned`.
    fn choose(&self, port: PortId, ifindex: u32, owned: &[IpAddr]) -> Option<IpAddr> {
        let family = self.ports.get(port)?.family;
        let virtuals = self.roster.addresses_on(port);
        choose_source(&self.addresses.on(ifindex), ifindex, family, &virtuals, owned)
    }
}
