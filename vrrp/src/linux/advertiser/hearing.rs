//! Advertisements in from the ports' sockets.

use core::net::IpAddr;
use core::sync::atomic::Ordering::Relaxed;

use super::outlet::Outlet;
use super::{Advertiser, is_frozen};
use crate::Vrid;
use crate::config::Transport;
use crate::linux::messages::{DROP_REPORT_INTERVAL, DropNote, Effect, Port, PortId, Slot, SlotId};
use crate::linux::socket::Datagram;
use crate::linux::{clock, filter};
use crate::router::Heard;
use crate::time::{Duration, Instant};
use crate::wire::{Advert, DropReason};

/// How long one turn reads the sockets at most, and how often each.
const DRAIN_TIME: Duration = Duration::from_millis(2);
const DRAIN_ROUNDS: u32 = 4096 / DRAIN_BATCH;
/// Packets read from one socket before the next has its turn, and before what is due is sent.
const DRAIN_BATCH: u32 = 64;
/// For how long a lost packet counts.
const OVERFLOW_MEMORY: Duration = Duration::from_secs(1);

/// What one look at a socket brought.
enum Received {
    Nothing,
    Discarded,
    /// For whom it is, when it arrived and what it says.
    Advert(SlotId, Instant, Heard),
}

impl Advertiser {
    /// Reads the sockets for a bounded time, each a little in turn, so that none starves the
    /// others. Unless the thread has been `stalled`, what falls due meanwhile is sent.
    pub(super) fn drain(&mut self, turn: Instant, stalled: bool) {
        let deadline = turn + DRAIN_TIME;
        let mut rounds = DRAIN_ROUNDS;
        let mut packets = 0;
        while rounds > 0 && !self.wakeups.readable.is_empty() {
            rounds -= 1;
            for at in (0..self.wakeups.readable.len()).rev() {
                let (read, is_empty) = self.drain_port(self.wakeups.readable[at]);
                packets += read;
                if is_empty {
                    self.wakeups.readable.swap_remove(at);
                }
                let now = clock::now();
                if is_frozen(turn, now) {
                    return;
                }
                if !stalled {
                    self.fire_actives(now);
                    self.send_queued();
                }
            }
            if clock::now() >= deadline {
                break;
            }
        }
        if self.wakeups.readable.is_empty() {
            self.wakeups.heard(clock::now(), packets);
        }
    }

    /// Reads some packets of one socket: how many, and whether it is empty now.
    fn drain_port(&mut self, id: PortId) -> (u32, bool) {
        let now = clock::now();
        let mut packets = 0;
        let is_empty = loop {
            let Some(port) = self.ports[usize::from(id)].as_deref_mut() else {
                return (packets, true);
            };
            // What is in the buffer is read to its end: epoll would not come back for it.
            if packets >= DRAIN_BATCH && !port.receive.holds_more() {
                break false;
            }
            match receive(id, port, &mut self.slots, now, &mut self.outlet) {
                Received::Nothing => break true,
                Received::Discarded => {}
                Received::Advert(slot, arrived, heard) => self.hear(slot, arrived, heard),
            }
            packets += 1;
        };
        self.tighten(id);
        (packets, is_empty)
    }

    /// Hands an advertisement to its virtual router. An Active that stays Active has answered it.
    fn hear(&mut self, id: SlotId, arrived: Instant, heard: Heard) {
        self.with_router(id, |router| router.handle_advert(arrived, heard));
        if let Some(slot) = self.slots[usize::from(id)].as_deref_mut().filter(|it| it.is_active()) {
            let outlet = &mut self.outlet;
            let tell = |sighting| outlet.tell(Effect::Conflict(id, arrived, sighting));
            let found = slot.watch.answered(arrived, heard, tell);
            slot.counters.count(found);
        }
    }

    /// Whether nothing lies unread that arrived before the virtual router's timer was due.
    pub(super) fn is_read(&self, id: SlotId) -> bool {
        let slot = self.slots[usize::from(id)].as_deref();
        let due = slot.and_then(|slot| slot.router.poll_timeout());
        let port = slot.and_then(|slot| self.ports[usize::from(slot.port)].as_deref());
        due.zip(port).is_none_or(|(due, port)| due <= port.receive.read_until())
    }

    /// Reads some packets of the virtual router's port.
    pub(super) fn read_on(&mut self, id: SlotId) {
        if let Some(port) = self.slots[usize::from(id)].as_deref().map(|slot| slot.port) {
            self.drain_port(port);
        }
    }

    /// In a flood, has the kernel drop what it can judge.
    fn tighten(&mut self, id: PortId) {
        let Some(port) = self.ports[usize::from(id)].as_deref_mut() else {
            return;
        };
        if !port.flood.rises() {
            return;
        }
        let mut vrids = [Vrid::MIN; 255];
        let mut count = 0;
        for vrid in (1..=255).filter_map(Vrid::new) {
            if port.slots[usize::from(vrid.get())].is_some() {
                vrids[count] = vrid;
                count += 1;
            }
        }
        let done = port.socket.tighten(&vrids[..count]).is_ok();
        // From now on: what is queued already came through the open filter.
        port.flood.tightened(clock::now(), done);
        self.review_at = self.review_at.into_iter().chain(port.flood.review_at()).min();
    }

    /// Relaxes the filters of ports whose flood has ended.
    pub(super) fn review_floods(&mut self, now: Instant) {
        if self.review_at.is_none_or(|at| now < at) {
            return;
        }
        self.review_at = None;
        for port in self.ports.iter_mut().flatten() {
            if port.flood.has_ended(now) {
                port.relax(now);
            }
            self.review_at = self.review_at.into_iter().chain(port.flood.review_at()).min();
        }
    }

    /// Each second, what the sockets have lost so far is taken as known: only what is lost shortly
    /// before or during a stall makes an Active step down.
    pub(super) fn note_overflows(&mut self, now: Instant) {
        if now >= self.overflows_noted_at + OVERFLOW_MEMORY {
            self.overflows_noted_at = now;
            self.ports.iter_mut().flatten().for_each(|port| port.note_overflow());
        }
    }
}

/// Takes one packet from a port's socket.
fn receive(
    id: PortId,
    port: &mut Port,
    slots: &mut [Option<Box<Slot>>],
    now: Instant,
    outlet: &mut Outlet,
) -> Received {
    let Port { socket, receive, .. } = port;
    // An error belongs to the interface (ENETDOWN), whose loss the keeper reports.
    let Ok(Some(datagram)) = socket.recv(receive) else {
        return Received::Nothing;
    };
    let arrived = datagram.arrived;
    match judge(&datagram, &port.slots, slots) {
        Ok((slot_id, slot, advert)) => {
            examine(slot_id, slot, &advert, now, outlet);
            let Advert { source, priority, interval, .. } = advert;
            Received::Advert(slot_id, arrived, Heard { source, priority, interval })
        }
        Err(reason) => {
            let source = datagram.source();
            let is_known = |vrid: u8| port.slots[usize::from(vrid)].is_some();
            let refused = filter::refuses(reason, socket.family(), datagram.bytes, is_known);
            let count = port.flood.note(now, arrived, reason, refused);
            discard(id, port, count, source, now, outlet);
            Received::Discarded
        }
    }
}

/// Checks a packet as RFC 9568, 7.1, asks; for which virtual router it is.
fn judge<'a, 's>(
    datagram: &Datagram<'a>,
    vrids: &[Option<SlotId>; 256],
    slots: &'s mut [Option<Box<Slot>>],
) -> Result<(SlotId, &'s mut Slot, Advert<'a>), DropReason> {
    let advert = datagram.advert()?;
    let id = vrids[usize::from(advert.vrid.get())].ok_or(DropReason::UnknownVrid)?;
    let slot = slots[usize::from(id)].as_deref_mut().ok_or(DropReason::UnknownVrid)?;
    if slot.router.source() == Some(advert.source) {
        return Err(DropReason::OwnSource);
    }
    if let Transport::Unicast { peers, .. } = &slot.transport
        && !peers.contains(&advert.source)
    {
        return Err(DropReason::UnknownPeer);
    }
    Ok((id, slot, advert))
}

/// Notes what a good advertisement tells beside its priority.
fn examine(id: SlotId, slot: &mut Slot, advert: &Advert<'_>, now: Instant, outlet: &mut Outlet) {
    slot.counters.received.fetch_add(1, Relaxed);
    slot.peer_checksum = Some(advert.checksum);
    let tell = |sighting| outlet.tell(Effect::Conflict(id, now, sighting));
    let found = slot.watch.compare(now, advert, slot.router.config(), tell);
    slot.counters.count(found);
}

/// Counts discarded packets, and reports them unless that was done lately.
fn discard(
    id: PortId,
    port: &mut Port,
    (reason, times): (DropReason, u32),
    source: Option<IpAddr>,
    now: Instant,
    outlet: &mut Outlet,
) {
    port.counters.dropped[reason.index()].fetch_add(times.into(), Relaxed);
    let note = &mut port.dropped[reason.index()];
    note.unreported = note.unreported.saturating_add(times);
    let due = note.reported_at.is_none_or(|at| now.saturating_since(at) >= DROP_REPORT_INTERVAL);
    if due && outlet.tell(Effect::Dropped(id, now, reason, note.unreported, source)) {
        *note = DropNote { reported_at: Some(now), unreported: 0 };
    }
}
