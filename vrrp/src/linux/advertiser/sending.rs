//! Advertisements out of the ports' sockets.

use core::net::IpAddr;
use core::sync::atomic::Ordering::Relaxed;
use std::io;

use super::Advertiser;
use super::outlet::Outlet;
use crate::Priority;
use crate::config::Transport;
use crate::linux::clock;
use crate::linux::messages::{Effect, Port, PortId, Slot, SlotId};
use crate::time::Duration;
use crate::wire::{Outgoing, group};

/// Errors that follow each other sooner than this are one trouble, which is told once.
const SAME_TROUBLE: Duration = Duration::from_secs(10);

impl Advertiser {
    /// Queues an advertisement of a virtual router: one packet for the group, or one for each
    /// peer. It leaves with the next [`Self::send_queued`].
    pub(super) fn send(&mut self, id: SlotId, priority: Option<Priority>, source: IpAddr) {
        let Some(slot) = self.slots[usize::from(id)].as_deref() else {
            return;
        };
        let Some(port) = self.ports[usize::from(slot.port)].as_deref_mut() else {
            return;
        };
        if !port.queued {
            port.queued = true;
            self.outgoing.push(slot.port);
        }
        let config = slot.router.config();
        let advert = Outgoing {
            vrid: config.vrid,
            priority,
            interval: config.interval,
            addresses: config.addresses.as_slice(),
            checksum: config.checksum.form(slot.peer_checksum),
        };
        port.outbox.begin();
        match &slot.transport {
            Transport::Multicast => {
                make_room(slot.port, port, &self.slots, &mut self.outlet);
                let to = group(config.family());
                if config.virtual_mac {
                    port.outbox.push_frame(id, &advert, source, to);
                } else {
                    port.outbox.push_packet(id, &advert, source, to);
                }
            }
            Transport::Unicast { peers, .. } => {
                for &peer in peers {
                    make_room(slot.port, port, &self.slots, &mut self.outlet);
                    port.outbox.push_packet(id, &advert, source, peer);
                }
            }
        }
    }

    /// Sends what is queued.
    pub(super) fn send_queued(&mut self) {
        while let Some(id) = self.outgoing.pop() {
            if let Some(port) = self.ports[usize::from(id)].as_deref_mut() {
                port.queued = false;
                flush(id, port, &self.slots, &mut self.outlet);
            }
        }
    }
}

fn make_room(id: PortId, port: &mut Port, slots: &[Option<Box<Slot>>], outlet: &mut Outlet) {
    if port.outbox.is_full() {
        flush(id, port, slots, outlet);
    }
}

/// Sends what is queued on one port. An advertisement counts as sent once, when the first of its
/// copies leaves.
fn flush(id: PortId, port: &mut Port, slots: &[Option<Box<Slot>>], outlet: &mut Outlet) {
    let count = |slot: SlotId| {
        if let Some(slot) = slots[usize::from(slot)].as_deref() {
            slot.counters.sent.fetch_add(1, Relaxed);
        }
    };
    if let Some(error) = port.outbox.send(&port.socket, port.frames.as_ref(), count) {
        report(id, port, &error, outlet);
    }
}

/// Tells of an error, once while it lasts.
fn report(id: PortId, port: &mut Port, error: &io::Error, outlet: &mut Outlet) {
    let now = clock::now();
    let lasts = port.send_failed_at.is_some_and(|at| now.saturating_since(at) < SAME_TROUBLE);
    let errno = error.raw_os_error().unwrap_or(0);
    if lasts || outlet.tell(Effect::SendFailed(id, now, errno)) {
        port.send_failed_at = Some(now);
    }
}
