//! The keeper's orders.

use super::Advertiser;
use crate::Vrid;
use crate::linux::clock;
use crate::linux::frame::FrameSocket;
use crate::linux::messages::{Effect, Garbage, MAX_SLOTS, Order, Port, PortId, Slot, SlotId};
use crate::time::Instant;

/// Orders taken in one turn, so that due advertisements do not wait long.
pub(super) const ORDERS_IN_A_TURN: usize = 64;

impl Advertiser {
    /// Does what the keeper asks.
    ///
    /// # Errors
    /// If a socket cannot be watched: a router that is deaf must not run.
    pub(super) fn take_orders(&mut self, now: Instant) -> std::io::Result<()> {
        self.orders.clear_wake();
        let mut left = ORDERS_IN_A_TURN;
        while left > 0
            && let Some(order) = self.orders.pop()
        {
            self.obey(now, order)?;
            left -= 1;
        }
        if left == 0 {
            self.orders.wake_again();
        }
        self.give_back_removed();
        Ok(())
    }

    /// Gives back the virtual routers that were removed, once their last word is sent: after the
    /// last of them, the process may exit.
    fn give_back_removed(&mut self) {
        if !self.removed.is_empty() {
            self.send_queued();
        }
        while let Some((id, slot)) = self.removed.pop() {
            self.outlet.give_back(Effect::Removed(id, slot));
        }
    }

    fn obey(&mut self, now: Instant, order: Order) -> std::io::Result<()> {
        match order {
            Order::AddPort(id, port) => self.add_port(id, port)?,
            Order::RemovePort(id) => self.remove_port(id),
            Order::Frames(id, frames) => self.set_frames(id, frames),
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
            Order::InstallProgress => {
                for id in 0..MAX_SLOTS {
                    self.with_router(id, |router| router.handle_install_progress(now));
                }
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
        self.wakeups.add(id, &port.socket)?;
        self.ports[usize::from(id)] = Some(port);
        Ok(())
    }

    fn remove_port(&mut self, id: PortId) {
        self.send_queued();
        if let Some(port) = self.ports[usize::from(id)].take() {
            self.wakeups.remove(id, &port.socket);
            self.outlet.give_back(Effect::Garbage(Garbage::Port(port)));
        }
    }

    fn set_frames(&mut self, id: PortId, frames: FrameSocket) {
        let unused = match self.ports[usize::from(id)].as_deref_mut() {
            Some(port) => port.frames.replace(frames),
            None => Some(frames),
        };
        if let Some(frames) = unused {
            self.outlet.give_back(Effect::Garbage(Garbage::Frames(frames)));
        }
    }

    fn add_slot(&mut self, now: Instant, id: SlotId, slot: Box<Slot>) {
        self.assign(slot.port, slot.router.config().vrid, |_| Some(id));
        self.slots[usize::from(id)] = Some(slot);
        self.with_router(id, |router| router.start(now));
    }

    fn remove_slot(&mut self, id: SlotId) {
        self.with_router(id, |router| router.stop());
        self.actives.set(id, None);
        self.others.set(id, None);
        if let Some(slot) = self.slots[usize::from(id)].take() {
            // Another one may have its place already.
            let vrid = slot.router.config().vrid;
            self.assign(slot.port, vrid, |owner| owner.filter(|&owner| owner != id));
            self.removed.push((id, slot));
        }
    }

    /// Says anew whose a VRID is.
    fn assign(
        &mut self,
        port: PortId,
        vrid: Vrid,
        owner: impl FnOnce(Option<SlotId>) -> Option<SlotId>,
    ) {
        if let Some(port) = self.ports[usize::from(port)].as_deref_mut() {
            let slot = &mut port.slots[usize::from(vrid.get())];
            *slot = owner(*slot);
            // A tight filter knows another set of them.
            if port.flood.is_tight() {
                port.relax(clock::now());
            }
        }
    }
}
