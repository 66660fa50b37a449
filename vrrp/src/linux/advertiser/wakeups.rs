//! What wakes the advertising thread.
//!
//! Woken for each single packet of a busy network, it would do little else than wake up. So once
//! the sockets wake it too often, they are left alone for a moment after each look at them; timers
//! and orders still wake it at once, and packets carry the time of their arrival.

use core::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{Timespec, epoll};
use rustix::io::Errno;

use crate::linux::clock::{self, Timer};
use crate::linux::messages::PortId;
use crate::time::{Duration, Instant};

/// The epoll tokens that are not ports.
const TOKEN_TIMER: u64 = 1 << 32;
const TOKEN_ORDERS: u64 = 2 << 32;
/// Descriptors told of in one wake-up; the others come next.
const EVENTS: usize = 64;

/// For how long the sockets are left alone when they are busy: a tenth of the shortest interval.
const PAUSE: Duration = Duration::from_millis(1);
/// Wake-ups and packets are counted over so long.
const WINDOW: Duration = Duration::from_millis(20);
/// More wake-ups than this in a window are too many: 4,000 a second.
const BUSY: u32 = 80;
/// Fewer packets than this in a window need no pauses: 1,000 a second.
const CALM: u32 = 20;

/// The wake-ups of the loop.
pub(super) struct Wakeups {
    timer: Timer,
    /// What the timer is set to.
    armed: Option<Instant>,
    /// The timer and the orders.
    urgent: OwnedFd,
    /// The same and the sockets.
    all: OwnedFd,
    pace: Pace,
    /// Whether there are orders.
    pub(super) ordered: bool,
    /// Ports with something to read.
    pub(super) readable: Vec<PortId>,
}

impl Wakeups {
    /// # Errors
    /// If the process has no file descriptor left.
    pub(super) fn new(orders: impl AsFd, ports: usize) -> std::io::Result<Self> {
        let timer = Timer::new()?;
        let urgent = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let all = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        for epoll in [&urgent, &all] {
            watch(epoll, &timer, TOKEN_TIMER)?;
            watch(epoll, &orders, TOKEN_ORDERS)?;
        }
        Ok(Self {
            timer,
            armed: None,
            urgent,
            all,
            pace: Pace::new(clock::now()),
            ordered: false,
            readable: Vec::with_capacity(ports),
        })
    }

    /// Watches a port's socket.
    ///
    /// # Errors
    /// If the kernel has no memory for it.
    pub(super) fn add(&self, id: PortId, socket: impl AsFd) -> std::io::Result<()> {
        watch(&self.all, socket, u64::from(id))
    }

    pub(super) fn remove(&mut self, id: PortId, socket: impl AsFd) {
        let removed = epoll::delete(&self.all, socket);
        debug_assert!(removed.is_ok(), "the socket was watched");
        self.readable.retain(|&port| port != id);
    }

    /// Waits for `deadline`, an order, or a packet. Whether one of them has come: a signal or a
    /// thaw may end the wait too, and then what the sockets hold is not known.
    ///
    /// # Errors
    /// If epoll or the timer fail.
    pub(super) fn wait(&mut self, deadline: Option<Instant>) -> std::io::Result<bool> {
        self.ordered = false;
        self.readable.clear();
        let paused_until = self.pace.paused_until;
        self.arm(deadline.into_iter().chain(paused_until).min())?;
        let Some(until) = paused_until else {
            return self.poll(false, None);
        };
        let woken = self.poll(true, None)?;
        if woken && until <= clock::now() {
            self.pace.paused_until = None;
            return self.poll(false, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
        }
        Ok(woken)
    }

    /// Takes how many packets the sockets held, at `now`.
    pub(super) fn heard(&mut self, now: Instant, packets: u32) {
        self.pace.heard(now, packets);
    }

    fn arm(&mut self, deadline: Option<Instant>) -> std::io::Result<()> {
        if self.armed != deadline {
            self.timer.arm(deadline)?;
            self.armed = deadline;
        }
        Ok(())
    }

    fn poll(&mut self, urgent_only: bool, timeout: Option<&Timespec>) -> std::io::Result<bool> {
        let epoll = if urgent_only { &self.urgent } else { &self.all };
        let mut events = [MaybeUninit::uninit(); EVENTS];
        let events = match epoll::wait(epoll, &mut events, timeout) {
            Ok((events, _)) => events,
            Err(Errno::INTR) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        for event in events {
            match event.data.u64() {
                TOKEN_TIMER => {}
                TOKEN_ORDERS => self.ordered = true,
                port => self.readable.extend(PortId::try_from(port)),
            }
        }
        Ok(true)
    }
}

fn watch(epoll: &OwnedFd, fd: impl AsFd, token: u64) -> std::io::Result<()> {
    epoll::add(epoll, fd, epoll::EventData::new_u64(token), epoll::EventFlags::IN)?;
    Ok(())
}

/// How often the sockets have woken the thread.
#[derive(Debug)]
struct Pace {
    window_from: Instant,
    wakeups: u32,
    packets: u32,
    busy: bool,
    /// Until when the sockets are left alone.
    paused_until: Option<Instant>,
}

impl Pace {
    const fn new(now: Instant) -> Self {
        Self { window_from: now, wakeups: 0, packets: 0, busy: false, paused_until: None }
    }

    /// The sockets have woken the thread and held `packets`.
    fn heard(&mut self, now: Instant, packets: u32) {
        if packets == 0 {
            return;
        }
        if now.saturating_since(self.window_from) >= WINDOW {
            self.busy &= self.packets >= CALM;
            (self.window_from, self.wakeups, self.packets) = (now, 0, 0);
        }
        self.wakeups += 1;
        self.packets = self.packets.saturating_add(packets);
        self.busy |= self.wakeups > BUSY;
        self.paused_until = self.busy.then(|| now + PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Instant = Instant::from_nanos(1_000_000_000);

    /// Packets that come one by one at a rate, for a second; how many wake-ups that takes.
    fn second(pace: &mut Pace, from: Instant, packets_per_second: u32) -> u32 {
        let spacing = Duration::from_secs(1) / packets_per_second;
        let (mut wakeups, mut unread) = (0, 0);
        for number in 0..packets_per_second {
            let now = from + spacing * number;
            unread += 1;
            if pace.paused_until.is_none_or(|until| until <= now) {
                pace.heard(now, unread);
                (wakeups, unread) = (wakeups + 1, 0);
            }
        }
        wakeups
    }

    #[test]
    fn a_calm_network_wakes_for_each_packet_at_once() {
        let mut pace = Pace::new(START);
        assert_eq!(second(&mut pace, START, 3000), 3000);
        assert_eq!(pace.paused_until, None);
    }

    #[test]
    fn a_busy_network_wakes_some_1000_times_a_second() {
        let mut pace = Pace::new(START);
        let wakeups = second(&mut pace, START, 80_000);
        assert!((950..1200).contains(&wakeups), "{wakeups}");
    }

    #[test]
    fn bursts_keep_a_network_busy_and_calm_ends_it() {
        let mut pace = Pace::new(START);
        second(&mut pace, START, 25_000);
        let burst = START + Duration::from_secs(2);
        pace.heard(burst, 64);
        assert_eq!(pace.paused_until, Some(burst + PAUSE));
        let calm = START + Duration::from_secs(3);
        assert_eq!(second(&mut pace, calm, 500), 500);
        assert_eq!(pace.paused_until, None);
    }
}
