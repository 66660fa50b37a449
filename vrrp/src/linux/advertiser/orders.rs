//! The keeper's orders.

use std::os::fd::AsFd;

use rustix::event::epoll;

use super::Advertiser;
use crate::linux::messages::{Effect, Garbage, Order, Port, PortId, Slot, SlotId};
use crate::time::Instant;

/// Orders taken in one turn, so that due advertisements do not wait long.
const ORDERS_IN_A_TURN: usize = 64;

impl Advertiser {
    /// Does what the keeper asks.
    ///
    /// # Errors
    /// If a socket cannot be watched: a router that is deaf must not run.
    pub(super) fn take_orders(&mut self, now: Instant) -> std::io::Result<()> {
        self.orders.clear_wake();
        for _ in 0..ORDERS_IN_A_TURN {
            let Some(order) = self.orders.pop() else {
                return Ok(());
            };
            self.obey(now, order)?;
        }
        self.orders.wake_again();
        Ok(())
    }

    fn obey(&mut self, now: Instant, order: Order) -> std::io::Result<()> {
        match order {
            Order::AddPort(id, port) => self.add_port(id, port)?,
            Order::RemovePort(id) => self.remove_port(id),
            Order::AddSlot(id, slot) => self.add_slot(now, id, slot),
            Order::RemoveSlot(id) => self.remove_slot(id),
            Order::Reconfigure(id, mut config) => {
                self.with_router(id, |router| router.reconfigure(now, &mut config));
                self.outlet.give_back(Effect::Garbage(Garbage::Config(config)));
            }
            Order::Transport(id, mut transport) => {
                if let Some(slot) = self.slots[usize::from(id)].as_deref_mut() {
                    std::mem::swap(&mut slot.transport, &mut transport);
                }
                self.outlet.give_back(Effect::Garbage(Garbage::Transport(transport)));
            }
            Order::Source(id, source) => {
                self.with_router(id, |router| router.set_source(now, source));
            }
            Order::Eligibility(id, eligibility) => {
                self.with_router(id, |router| router.set_eligibility(now, eligibility));
            }
            Order::Installed(id, ticket) => {
                self.with_router(id, |router| router.handle_installed(now, ticket));
            }
            Order::InstallFailed(id, ticket) => {
                self.with_router(id, |router| router.handle_install_failed(now, ticket));
            }
            Order::AddressLost(id) => {
                self.with_router(id, |router| router.handle_address_lost(now));
            }
            Order::SuccessorAnnounced(id) => {
                self.with_router(id, |router| router.handle_claimed(now));
            }
            Order::Probed(id) => self.with_router(id, |router| router.handle_probed(now)),
            Order::Ping(seq) => {
                // If the queue is full, the next ping is answered.
                self.outlet.tell(Effect::Pong(seq));
            }
        }
        Ok(())
    }

    /// Puts a port in use, in place of an older one: an interface that came back has another
    /// index, and so another socket.
    fn add_port(&mut self, id: PortId, port: Box<Port>) -> std::io::Result<()> {
        self.remove_port(id);
        let token = epoll::EventData::new_u64(u64::from(id));
        epoll::add(&self.epoll, port.socket.as_fd(), token, epoll::EventFlags::IN)?;
        self.ports[usize::from(id)] = Some(port);
        Ok(())
    }

    fn remove_port(&mut self, id: PortId) {
        if let Some(port) = self.ports[usize::from(id)].take() {
            let removed = epoll::delete(&self.epoll, port.socket.as_fd());
            debug_assert!(removed.is_ok(), "the socket was watched");
            self.outlet.give_back(Effect::Garbage(Garbage::Port(port)));
        }
    }

    fn add_slot(&mut self, now: Instant, id: SlotId, slot: Box<Slot>) {
        let vrid = slot.router.config().vrid;
        if let Some(port) = &mut self.ports[usize::from(slot.port)] {
            port.slots[usize::from(vrid.get())] = Some(id);
        }
        self.slots[usize::from(id)] = Some(slot);
        self.with_router(id, |router| router.start(now));
    }

    fn remove_slot(&mut self, id: SlotId) {
        self.with_router(id, |router| router.stop());
        self.deadlines.set(id, None);
        if let Some(slot) = self.slots[usize::from(id)].take() {
            let vrid = usize::from(slot.router.config().vrid.get());
            if let Some(port) = &mut self.ports[usize::from(slot.port)]
                && port.slots[vrid] == Some(id)
            {
                port.slots[vrid] = None;
            }
            self.outlet.give_back(Effect::Removed(id, slot));
        }
    }
}
