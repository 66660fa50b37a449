//! The thread that sends and hears advertisements: one loop over the sockets, an absolute timer
//! and the keeper's orders.
//!
//! It runs under `SCHED_RR` and owns every [`Router`]. Once running it does not allocate, lock,
//! log or speak netlink; what takes long is the keeper's.
//!
//! One turn: orders first; then the advertisements that are due, which never wait; then what the
//! sockets hold, between which advertisements that fall due are sent; and only then the other
//! timers, so that an Active_Down_Timer never fires while an advertisement lies unread.

mod flood;
mod hearing;
mod orders;
mod outbox;
mod outlet;
mod sending;
mod wakeups;

use std::sync::Arc;

pub(super) use self::flood::Flood;
pub(super) use self::outbox::Outbox;
use self::outlet::Outlet;
use self::wakeups::Wakeups;
use super::clock;
use super::deadlines::Deadlines;
use super::lateness::Lateness;
use super::mailbox::{Receiver, Sender};
use super::messages::{Effect, MAX_PORTS, MAX_SLOTS, Order, Port, PortId, Slot, SlotId, Wish};
use crate::router::{Action, Router};
use crate::time::{Duration, Instant};

/// How soon effects that found the queue full are tried again.
const HELD_RETRY: Duration = Duration::from_millis(1);
/// A wake-up this late may have been a stall for the shortest interval, 10 ms.
const LATE: Duration = Duration::from_millis(10);
/// Advertisements that fall due within this time leave with those that are due: a hundredth of the
/// shortest interval. Their schedule does not move.
const TOGETHER: Duration = Duration::from_micros(100);

/// Whether the thread stood still since a turn began, which is no better than a late wake-up: no
/// turn works for so long.
fn is_frozen(turn: Instant, now: Instant) -> bool {
    now.saturating_since(turn) > LATE
}

/// How often, at most, sockets are read on for timers that are due: each time 64 packets.
const READS_IN_A_TURN: u32 = 8;

/// The advertising thread.
pub(super) struct Advertiser {
    wakeups: Wakeups,
    orders: Receiver<Order>,
    outlet: Outlet,
    slots: Box<[Option<Box<Slot>>]>,
    ports: Box<[Option<Box<Port>>]>,
    /// The deadlines of the Actives.
    actives: Deadlines,
    /// Those of all others, which wait for the sockets.
    others: Deadlines,
    /// Others that are due and whose sockets could not be read in time.
    put_off: Vec<SlotId>,
    /// Ports with something to send.
    outgoing: Vec<PortId>,
    /// Virtual routers that are stopped, until what they had to say is sent.
    removed: Vec<(SlotId, Box<Slot>)>,
    /// When the next tight filter is thought over.
    review_at: Option<Instant>,
    overflows_noted_at: Instant,
    lateness: Arc<Lateness>,
}

impl Advertiser {
    /// Prepares everything that the loop will touch.
    ///
    /// # Errors
    /// If the process has no file descriptor left.
    pub(super) fn new(
        orders: Receiver<Order>,
        effects: Sender<Effect>,
        lateness: Arc<Lateness>,
    ) -> std::io::Result<Self> {
        let ports = usize::from(MAX_PORTS);
        Ok(Self {
            wakeups: Wakeups::new(&orders, ports)?,
            orders,
            outlet: Outlet::new(effects),
            slots: (0..MAX_SLOTS).map(|_| None).collect(),
            ports: (0..MAX_PORTS).map(|_| None).collect(),
            actives: Deadlines::with_capacity(MAX_SLOTS),
            others: Deadlines::with_capacity(MAX_SLOTS),
            put_off: Vec::with_capacity(usize::from(MAX_SLOTS)),
            outgoing: Vec::with_capacity(ports),
            removed: Vec::with_capacity(orders::ORDERS_IN_A_TURN),
            review_at: None,
            overflows_noted_at: clock::now(),
            lateness,
        })
    }

    /// Runs for as long as the process lives.
    ///
    /// # Errors
    /// If epoll or the timer fail, which leaves nothing to run on.
    pub(super) fn run(mut self) -> std::io::Result<()> {
        loop {
            let due = [self.actives.first(), self.others.first()];
            let due = due.into_iter().flatten().map(|(at, _)| at).min();
            let held = self.outlet.is_holding().then(|| clock::now() + HELD_RETRY);
            let deadline = due.into_iter().chain(held).chain(self.review_at).min();
            if !self.wakeups.wait(deadline)? {
                continue;
            }
            let now = clock::now();
            let late = due.map_or(Duration::ZERO, |at| now.saturating_since(at));
            self.turn(now, if late > LATE { late } else { Duration::ZERO })?;
            self.outlet.retry_held(&mut self.slots);
            self.outlet.wake();
        }
    }

    /// Woken late, each router learns how late before it sends or is told anything, then hears
    /// what it slept through; only then do the timers count (DESIGN 2.6).
    fn turn(&mut self, now: Instant, mut late: Duration) -> std::io::Result<()> {
        let woken = now;
        let stalled = !late.is_zero();
        if stalled {
            self.stall(now, late);
        }
        if self.wakeups.ordered {
            self.take_orders(now)?;
        }
        // Normally an advertisement that is due waits for nothing; after a stall, somebody may have
        // taken over, which is heard first.
        if !stalled {
            self.fire_actives(now);
        }
        self.send_queued();
        self.drain(now, stalled);
        let mut now = clock::now();
        if is_frozen(woken, now) {
            late += now.saturating_since(woken);
            self.stall(now, late);
            self.drain(now, true);
            now = clock::now();
        }
        if !late.is_zero() {
            self.resume(now, late);
        }
        self.fire_actives(now);
        self.fire_others(now);
        self.send_queued();
        self.note_overflows(now);
        self.review_floods(now);
        Ok(())
    }

    fn stall(&mut self, now: Instant, late: Duration) {
        self.wakeups.readable.clear();
        for (id, port) in (0..).zip(&self.ports) {
            if port.is_some() {
                self.wakeups.readable.push(id);
            }
        }
        for id in 0..MAX_SLOTS {
            let port = self.slots[usize::from(id)].as_ref().map(|slot| usize::from(slot.port));
            let port = port.and_then(|port| self.ports[port].as_deref());
            let overflowed = port.is_some_and(Port::has_overflowed);
            self.with_router(id, |router| router.handle_stall(now, late, overflowed));
        }
    }

    fn resume(&mut self, now: Instant, late: Duration) {
        for id in 0..MAX_SLOTS {
            self.with_router(id, |router| router.handle_resumed(now, late));
        }
    }

    /// Fires the timers of the Actives: queues the advertisements that are due.
    fn fire_actives(&mut self, now: Instant) {
        while let Some((at, id)) = self.actives.first()
            && at <= now + TOGETHER
        {
            self.lateness.record(now.saturating_since(at));
            self.with_router(id, |router| router.handle_timeout(at.max(now)));
        }
    }

    /// Fires the timers of the others. What arrived before a timer's time is heard before it
    /// fires, however much else arrived.
    fn fire_others(&mut self, now: Instant) {
        let mut reads = READS_IN_A_TURN;
        while let Some((at, id)) = self.others.first()
            && at <= now
        {
            if !self.is_read(id) && reads > 0 {
                self.read_on(id);
                reads -= 1;
            }
            if self.others.first() != Some((at, id)) {
                // It has heard something.
            } else if self.is_read(id) {
                self.lateness.record(now.saturating_since(at));
                self.with_router(id, |router| router.handle_timeout(now));
            } else {
                // In a flood: first what else is due.
                self.others.set(id, None);
                self.put_off.push(id);
            }
        }
        while let Some(id) = self.put_off.pop() {
            self.note_deadline(id, now);
        }
    }

    /// Hands one router an event, carries out its effects and notes its new deadline.
    fn with_router(&mut self, id: SlotId, event: impl FnOnce(&mut Router)) {
        let Some(slot) = self.slots[usize::from(id)].as_deref_mut() else {
            return;
        };
        event(&mut slot.router);
        while let Some(slot) = self.slots[usize::from(id)].as_deref_mut()
            && let Some(action) = slot.router.poll_action()
        {
            match action {
                Action::SendAdvert { priority, source } => self.send(id, priority, source),
                Action::Install(ticket) => self.outlet.wish(id, slot, Wish::Install(ticket)),
                Action::Withdraw => self.outlet.wish(id, slot, Wish::Withdraw),
                Action::Announce(announcement) => self.outlet.announce(id, slot, announcement),
                Action::Probe => {
                    self.outlet.tell(Effect::Probe(id));
                }
                Action::Report(report) => {
                    self.outlet.tell(Effect::Report(id, clock::now(), report));
                }
            }
        }
        if let Some(slot) = self.slots[usize::from(id)].as_deref_mut() {
            self.outlet.show(id, slot);
        }
        self.note_deadline(id, Instant::default());
    }

    /// Notes when a router's timer is due, or `earliest` if that is later.
    fn note_deadline(&mut self, id: SlotId, earliest: Instant) {
        if let Some(slot) = self.slots[usize::from(id)].as_deref() {
            let deadline = slot.router.poll_timeout().map(|at| at.max(earliest));
            let active = slot.is_active();
            self.actives.set(id, deadline.filter(|_| active));
            self.others.set(id, deadline.filter(|_| !active));
        }
    }
}

#[cfg(test)]
mod tests;
