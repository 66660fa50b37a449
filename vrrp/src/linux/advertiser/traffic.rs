//! Advertisements in and out of the sockets.

use core::net::IpAddr;
use core::sync::atomic::Ordering::Relaxed;

use super::outlet::Outlet;
use crate::Priority;
use crate::config::Transport;
use crate::linux::clock;
use crate::linux::messages::{
    DROP_REPORT_INTERVAL, Effect, MISMATCH_SHOWN, Port, PortId, Slot, SlotId,
};
use crate::router::Heard;
use crate::time::{Duration, Instant};
use crate::wire::{Advert, DropReason, GROUP_V4, MAX_IPV4_LEN, Outgoing};

/// How long one turn reads the sockets at most, and how often each.
pub(super) const DRAIN_TIME: Duration = Duration::from_millis(2);
pub(super) const DRAIN_ROUNDS: u32 = 4096 / DRAIN_BATCH;
/// Packets read from one socket before the next has its turn.
pub(super) const DRAIN_BATCH: u32 = 64;

pub(super) struct Traffic {
    /// Ports with something to read.
    pub(super) readable: Vec<PortId>,
    pub(super) overflows_noted_at: Instant,
    send: Box<[u8; MAX_IPV4_LEN]>,
}

/// What one look at a socket brought.
pub(super) enum Received {
    Nothing,
    Discarded,
    /// For whom it is, when it arrived and what it says.
    Advert(SlotId, Instant, Heard),
}

impl Traffic {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            readable: Vec::with_capacity(super::EVENTS),
            overflows_noted_at: now,
            send: Box::new([0; MAX_IPV4_LEN]),
        }
    }

    /// Takes one packet from a port's socket.
    pub(super) fn receive(
        &mut self,
        id: PortId,
        port: &mut Port,
        slots: &mut [Option<Box<Slot>>],
        outlet: &mut Outlet,
    ) -> Received {
        let Port { socket, receive, .. } = port;
        // An error belongs to the interface (ENETDOWN), whose loss the keeper reports.
        let Ok(Some(datagram)) = socket.recv(receive) else {
            return Received::Nothing;
        };
        let now = clock::now();
        match judge(datagram.bytes, &port.slots, slots) {
            Ok((slot_id, slot, advert)) => {
                examine(slot_id, slot, &advert, now, outlet);
                let Advert { source, priority, interval, .. } = advert;
                let heard = Heard { source, priority, interval };
                Received::Advert(slot_id, now - datagram.age, heard)
            }
            Err((reason, source)) => {
                discard(id, port, reason, source, now, outlet);
                Received::Discarded
            }
        }
    }

    /// Sends one advertisement of `slot`.
    pub(super) fn send(
        &mut self,
        slot: &Slot,
        port: &mut Port,
        priority: Option<Priority>,
        source: IpAddr,
        outlet: &mut Outlet,
    ) {
        let config = slot.router.config();
        let IpAddr::V4(source) = source else {
            return;
        };
        let advert = Outgoing {
            vrid: config.vrid,
            priority,
            interval: config.interval,
            addresses: config.addresses.as_slice(),
            checksum: config.checksum.form(slot.peer_checksum),
        };
        let packet = advert.encode_ipv4(source, GROUP_V4, &mut self.send);
        match port.socket.send(packet, GROUP_V4.into()) {
            Ok(()) => {
                slot.counters.sent.fetch_add(1, Relaxed);
                port.send_failing = false;
            }
            // The keeper tells of an interface that is down or gone.
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENETDOWN | libc::ENODEV)) => {}
            Err(error) if !port.send_failing => {
                let errno = error.raw_os_error().unwrap_or(0);
                port.send_failing = outlet.tell(Effect::SendFailed(slot.port, clock::now(), errno));
            }
            Err(_) => {}
        }
    }
}

/// Checks a packet as RFC 9568, 7.1, asks; for which virtual router it is.
fn judge<'a, 's>(
    packet: &'a [u8],
    vrids: &[Option<SlotId>; 256],
    slots: &'s mut [Option<Box<Slot>>],
) -> Result<(SlotId, &'s mut Slot, Advert<'a>), (DropReason, Option<IpAddr>)> {
    let advert = Advert::decode_ipv4(packet).map_err(|reason| (reason, source_of(packet)))?;
    let source = Some(advert.source);
    let id = vrids[usize::from(advert.vrid.get())];
    let slot = id.and_then(|id| Some((id, slots[usize::from(id)].as_deref_mut()?)));
    let Some((id, slot)) = slot else {
        return Err((DropReason::UnknownVrid, source));
    };
    if slot.router.source() == source {
        return Err((DropReason::OwnSource, source));
    }
    if let Transport::Unicast { peers, .. } = &slot.transport
        && !peers.contains(&advert.source)
    {
        return Err((DropReason::UnknownPeer, source));
    }
    Ok((id, slot, advert))
}

/// The source of a packet that could not be decoded, if it has one.
fn source_of(packet: &[u8]) -> Option<IpAddr> {
    let source = packet.get(12..16)?;
    <[u8; 4]>::try_from(source).ok().map(IpAddr::from)
}

/// Notes what a good advertisement tells beside its priority and interval.
fn examine(id: SlotId, slot: &mut Slot, advert: &Advert<'_>, now: Instant, outlet: &mut Outlet) {
    slot.counters.received.fetch_add(1, Relaxed);
    slot.peer_checksum = Some(advert.checksum);
    let ours = slot.router.config().addresses.as_slice();
    let same = advert.address_count() == ours.len()
        && advert.addresses().all(|address| ours.contains(&address));
    let reported = slot.mismatch.is_some_and(|(source, at)| {
        source == advert.source || now.saturating_since(at) < DROP_REPORT_INTERVAL
    });
    if same {
        slot.mismatch = slot.mismatch.filter(|(source, _)| *source != advert.source);
    } else if !reported {
        let mut shown = [None; MISMATCH_SHOWN];
        for (place, address) in shown.iter_mut().zip(advert.addresses()) {
            *place = Some(address);
        }
        if outlet.tell(Effect::Mismatch(id, now, advert.source, shown)) {
            slot.mismatch = Some((advert.source, now));
        }
    }
}

/// Counts a discarded packet, and reports it unless that was done lately.
fn discard(
    id: PortId,
    port: &mut Port,
    reason: DropReason,
    source: Option<IpAddr>,
    now: Instant,
    outlet: &mut Outlet,
) {
    port.counters.dropped[reason.index()].fetch_add(1, Relaxed);
    let note = &mut port.dropped[reason.index()];
    note.unreported = note.unreported.saturating_add(1);
    let due = note.reported_at.is_none_or(|at| now.saturating_since(at) >= DROP_REPORT_INTERVAL);
    if due && outlet.tell(Effect::Dropped(id, now, reason, note.unreported, source)) {
        *note = crate::linux::messages::DropNote { reported_at: Some(now), unreported: 0 };
    }
}
