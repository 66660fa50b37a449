//! The thread that sends and hears advertisements: one epoll loop over the sockets, an absolute
//! timer and the keeper's orders.
//!
//! It runs under `SCHED_RR` and owns every [`Router`]. Once running it does not allocate, lock,
//! log or speak netlink; what takes long is the keeper's.
//!
//! One turn: orders first; then the advertisements that are due, which never wait; then what the
//! sockets hold; and only then the other timers, so that an Active_Down_Timer never fires while
//! an advertisement lies unread.

mod orders;
mod outlet;
mod traffic;

use std::os::fd::OwnedFd;

use rustix::event::epoll;

use self::outlet::Outlet;
use self::traffic::{Received, Traffic};
use super::clock::{self, Timer};
use super::deadlines::Deadlines;
use super::mailbox::{Receiver, Sender};
use super::messages::{Effect, MAX_PORTS, MAX_SLOTS, Order, Port, PortId, Slot, SlotId, Wish};
use crate::router::{Action, Router};
use crate::time::{Duration, Instant};

/// The epoll tokens that are not ports.
const TOKEN_TIMER: u64 = 1 << 32;
const TOKEN_ORDERS: u64 = 2 << 32;
/// Sockets looked at in one turn; the others come next.
const EVENTS: usize = 64;
/// For how long a lost packet counts.
const OVERFLOW_MEMORY: Duration = Duration::from_secs(1);
/// How soon effects that found the queue full are tried again.
const HELD_RETRY: Duration = Duration::from_millis(1);
/// A wake-up this late may have been a stall for the shortest interval, 10 ms.
const LATE: Duration = Duration::from_millis(10);

/// The advertising thread.
pub(super) struct Advertiser {
    epoll: OwnedFd,
    timer: Timer,
    orders: Receiver<Order>,
    outlet: Outlet,
    slots: Box<[Option<Box<Slot>>]>,
    ports: Box<[Option<Box<Port>>]>,
    deadlines: Deadlines,
    traffic: Traffic,
    /// Routers that are due but wait for the sockets.
    waiting: Vec<SlotId>,
}

impl Advertiser {
    /// Prepares everything that the loop will touch.
    ///
    /// # Errors
    /// If the process has no file descriptor left.
    pub(super) fn new(orders: Receiver<Order>, effects: Sender<Effect>) -> std::io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let timer = Timer::new()?;
        let (timer_token, orders_token) =
            (epoll::EventData::new_u64(TOKEN_TIMER), epoll::EventData::new_u64(TOKEN_ORDERS));
        epoll::add(&epoll, &timer, timer_token, epoll::EventFlags::IN)?;
        epoll::add(&epoll, &orders, orders_token, epoll::EventFlags::IN)?;
        Ok(Self {
            epoll,
            timer,
            orders,
            outlet: Outlet::new(effects),
            slots: (0..MAX_SLOTS).map(|_| None).collect(),
            ports: (0..MAX_PORTS).map(|_| None).collect(),
            deadlines: Deadlines::with_capacity(MAX_SLOTS),
            traffic: Traffic::new(clock::now()),
            waiting: Vec::with_capacity(usize::from(MAX_SLOTS)),
        })
    }

    /// Runs for as long as the process lives.
    ///
    /// # Errors
    /// If epoll or the timer fail, which leaves nothing to run on.
    pub(super) fn run(mut self) -> std::io::Result<()> {
        let mut events = Vec::with_capacity(EVENTS);
        loop {
            let armed = self.deadlines.first().map(|(at, _)| at);
            let held = self.outlet.is_holding().then(|| clock::now() + HELD_RETRY);
            self.timer.arm(armed.into_iter().chain(held).min())?;
            events.clear();
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), None) {
                Ok(_) => {}
                // A thaw interrupts the wait: what the sockets hold is not known yet.
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
            let now = clock::now();
            let late = armed.map_or(Duration::ZERO, |at| now.saturating_since(at));
            self.traffic.readable.clear();
            let mut ordered = false;
            for event in &events {
                match event.data.u64() {
                    TOKEN_TIMER => {}
                    TOKEN_ORDERS => ordered = true,
                    port => self.traffic.readable.extend(PortId::try_from(port)),
                }
            }
            self.turn(now, if late > LATE { late } else { Duration::ZERO }, ordered)?;
            self.outlet.retry_held(&mut self.slots);
            self.outlet.wake();
        }
    }

    /// Woken late, each router learns how late before it sends or is told anything, then hears
    /// what it slept through; only then do the timers count (DESIGN 2.6).
    fn turn(&mut self, now: Instant, late: Duration, ordered: bool) -> std::io::Result<()> {
        let stalled = !late.is_zero();
        if stalled {
            self.stall(now, late);
        }
        if ordered {
            self.take_orders(now)?;
        }
        // Normally an advertisement that is due waits for nothing; after a stall, somebody may have
        // taken over, which is heard first.
        if !stalled {
            self.fire_actives(now);
        }
        self.drain(now);
        let now = clock::now();
        if stalled {
            self.resume(now, late);
        }
        self.fire(now);
        Ok(())
    }

    fn stall(&mut self, now: Instant, late: Duration) {
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

    /// Sends what is due. The timers of the others wait until the sockets are read.
    fn fire_actives(&mut self, now: Instant) {
        self.waiting.clear();
        while let Some((at, id)) = self.deadlines.first()
            && at <= now
        {
            if self.slots[usize::from(id)].as_ref().is_some_and(|slot| slot.is_active()) {
                self.with_router(id, |router| router.handle_timeout(now));
            } else {
                self.deadlines.set(id, None);
                self.waiting.push(id);
            }
        }
        for id in self.waiting.drain(..) {
            let slot = self.slots[usize::from(id)].as_ref();
            self.deadlines.set(id, slot.and_then(|slot| slot.router.poll_timeout()));
        }
    }

    fn fire(&mut self, now: Instant) {
        while let Some((at, id)) = self.deadlines.first()
            && at <= now
        {
            self.with_router(id, |router| router.handle_timeout(now));
        }
    }

    /// Hands one router an event, carries out its effects and notes its new deadline.
    fn with_router(&mut self, id: SlotId, event: impl FnOnce(&mut Router)) {
        let Some(slot) = self.slots[usize::from(id)].as_deref_mut() else {
            return;
        };
        event(&mut slot.router);
        while let Some(action) = slot.router.poll_action() {
            match action {
                Action::SendAdvert { priority, source } => {
                    if let Some(port) = self.ports[usize::from(slot.port)].as_deref_mut() {
                        self.traffic.send(slot, port, priority, source, &mut self.outlet);
                    }
                }
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
        self.outlet.show(id, slot);
        self.deadlines.set(id, slot.router.poll_timeout());
    }

    /// Reads the sockets for a bounded time, each a little in turn, so that none starves the others.
    fn drain(&mut self, now: Instant) {
        let deadline = now + traffic::DRAIN_TIME;
        let mut rounds = traffic::DRAIN_ROUNDS;
        while rounds > 0 && !self.traffic.readable.is_empty() {
            rounds -= 1;
            for at in (0..self.traffic.readable.len()).rev() {
                if self.drain_port(self.traffic.readable[at]) {
                    self.traffic.readable.swap_remove(at);
                }
            }
            if clock::now() >= deadline {
                break;
            }
        }
        self.note_overflows(now);
    }

    /// Reads some packets of one socket; whether it is empty now.
    fn drain_port(&mut self, id: PortId) -> bool {
        let mut left = traffic::DRAIN_BATCH;
        while let Some(port) = self.ports[usize::from(id)].as_deref_mut() {
            // What is in the buffer is read to its end: epoll would not come back for it.
            if left == 0 && !port.receive.holds_more() {
                return false;
            }
            match self.traffic.receive(id, port, &mut self.slots, &mut self.outlet) {
                Received::Nothing => break,
                Received::Discarded => {}
                Received::Advert(slot, arrived, heard) => {
                    self.with_router(slot, |router| router.handle_advert(arrived, heard));
                }
            }
            left = left.saturating_sub(1);
        }
        true
    }

    /// Each second, what the sockets have lost so far is taken as known: only what is lost shortly
    /// before or during a stall makes an Active step down.
    fn note_overflows(&mut self, now: Instant) {
        if now >= self.traffic.overflows_noted_at + OVERFLOW_MEMORY {
            self.traffic.overflows_noted_at = now;
            self.ports.iter_mut().flatten().for_each(|port| port.note_overflow());
        }
    }
}
