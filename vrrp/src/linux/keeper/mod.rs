//! The ordinary thread of the VRRP process: whatever takes long.
//!
//! It carries out what the advertising thread wishes (addresses, leases, announcements), watches
//! links and addresses, and speaks with the daemon. It may wait for the kernel; the advertising
//! thread never waits for it.

mod announcements;
mod claims;
mod control;
mod journal;
mod members;
mod news;
mod ports;
mod removal;
mod requests;
mod wishes;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::epoll;

use self::control::Control;
use self::journal::Journal;
use self::members::Member;
use self::ports::PortEntry;
use self::requests::Settling;
use super::clock::{self, Timer};
use super::interface::{AddressInfo, LinkInfo};
use super::mailbox::{Receiver, Sender};
use super::messages::{Effect, ORDERS, Order, PortId, SlotId};
use super::monitor::Monitor;
use super::netlink::{Netlink, NetlinkError};
use crate::proto::{EventKind, ProcessStatus, Reply, RouterSpec};
use crate::time::{Duration, Instant};

const TOKEN_EFFECTS: u64 = 1 << 32;
const TOKEN_MONITOR: u64 = 2 << 32;
const TOKEN_LISTENER: u64 = 3 << 32;
const TOKEN_CONNECTION: u64 = 4 << 32;
const TOKEN_TIMER: u64 = 5 << 32;
const TOKEN_SIGNAL: u64 = 6 << 32;

/// How long a shutdown waits for addresses that cannot be removed.
const SHUTDOWN_TIME: Duration = Duration::from_secs(1);
/// Pause before something that failed is tried again.
const RETRY: Duration = Duration::from_millis(100);

/// Why the keeper cannot work.
#[derive(Debug, thiserror::Error)]
pub enum KeeperError {
    /// A descriptor could not be opened or watched.
    #[error("the VRRP process cannot go on: {0}")]
    Io(#[from] std::io::Error),
    /// The kernel does not speak netlink to us.
    #[error("links and addresses cannot be read: {0}")]
    Netlink(#[from] NetlinkError),
}

impl From<rustix::io::Errno> for KeeperError {
    fn from(error: rustix::io::Errno) -> Self {
        Self::Io(error.into())
    }
}

/// The keeper thread.
pub(super) struct Keeper {
    epoll: OwnedFd,
    timer: Timer,
    signals: nix::sys::signalfd::SignalFd,
    netlink: Netlink,
    monitor: Monitor,
    control: Control,
    orders: Orders,
    journal: Journal,
    process: ProcessStatus,
    /// The links of this network namespace, by index.
    links: BTreeMap<u32, LinkInfo>,
    /// The addresses on them, virtual ones too.
    addresses: Vec<AddressInfo>,
    ports: BTreeMap<PortId, PortEntry>,
    members: BTreeMap<SlotId, Member>,
    /// The virtual routers received since the last commit.
    staged: Vec<RouterSpec>,
    revision: Option<u64>,
    /// What the daemon waits for.
    settling: Option<Settling>,
    /// Whether news were lost and could not be made up for yet.
    resync_due: bool,
    /// Addresses whose removal failed, by interface.
    leftovers: BTreeSet<(u32, core::net::IpAddr)>,
    /// When what failed is tried again.
    retry_at: Option<Instant>,
    /// Set by a shutdown: by when to exit whatever remains.
    exit_by: Option<Instant>,
}

/// The way to the advertising thread, and what came back while an order was under way.
struct Orders {
    orders: Sender<Order>,
    effects: Receiver<Effect>,
    collected: VecDeque<Effect>,
    /// Orders sent since the effects were last taken out: see `EFFECTS_RESERVED`.
    since_collection: usize,
}

impl Orders {
    fn send(&mut self, mut order: Order) {
        if self.since_collection >= ORDERS {
            self.collect();
        }
        while let Err(refused) = self.orders.push(order) {
            // Full: the advertising thread empties it as soon as it is woken.
            self.orders.wake();
            self.collect();
            std::thread::yield_now();
            order = refused;
        }
        self.since_collection += 1;
        self.orders.wake();
    }

    /// Takes the effects out of the queue, so that there is room for more.
    fn collect(&mut self) {
        while let Some(effect) = self.effects.pop() {
            self.collected.push_back(effect);
        }
        self.since_collection = 0;
    }
}

impl Keeper {
    /// Opens everything the keeper needs.
    ///
    /// # Errors
    /// [`KeeperError`].
    pub(super) fn new(
        listener: OwnedFd,
        signals: nix::sys::signalfd::SignalFd,
        orders: Sender<Order>,
        effects: Receiver<Effect>,
        process: ProcessStatus,
    ) -> Result<Self, KeeperError> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let timer = Timer::new()?;
        let monitor = Monitor::open()?;
        watch(&epoll, &effects, TOKEN_EFFECTS)?;
        watch(&epoll, &monitor, TOKEN_MONITOR)?;
        watch(&epoll, &listener, TOKEN_LISTENER)?;
        watch(&epoll, &timer, TOKEN_TIMER)?;
        watch(&epoll, &signals, TOKEN_SIGNAL)?;
        let orders = Orders { orders, effects, collected: VecDeque::new(), since_collection: 0 };
        let mut keeper = Self {
            epoll,
            timer,
            signals,
            netlink: Netlink::open()?,
            monitor,
            control: Control::new(listener),
            orders,
            journal: Journal::default(),
            process,
            links: BTreeMap::new(),
            addresses: Vec::new(),
            ports: BTreeMap::new(),
            members: BTreeMap::new(),
            staged: Vec::new(),
            revision: None,
            settling: None,
            resync_due: false,
            leftovers: BTreeSet::new(),
            retry_at: None,
            exit_by: None,
        };
        keeper.resync()?;
        Ok(keeper)
    }

    /// Takes what the process has to do without, for its status.
    pub(super) fn warn(&mut self, warnings: Vec<String>) {
        self.process.warnings = warnings;
    }

    /// Runs until a shutdown is complete.
    ///
    /// # Errors
    /// [`KeeperError`]: nothing is left to run on.
    pub(super) fn run(mut self) -> Result<(), KeeperError> {
        let mut events = Vec::with_capacity(64);
        while !self.finished() {
            self.timer.arm(self.next_deadline())?;
            events.clear();
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            // Wishes first: a client may be waiting for the address.
            self.carry_out();
            for event in &events {
                match event.data.u64() {
                    TOKEN_EFFECTS | TOKEN_TIMER => {}
                    TOKEN_MONITOR => self.read_monitor(),
                    TOKEN_LISTENER => self.accept()?,
                    TOKEN_CONNECTION => self.serve(),
                    TOKEN_SIGNAL => self.take_signal(),
                    port => self.hear_arp(port),
                }
                self.carry_out();
            }
            self.fire(clock::now());
            self.deliver();
        }
        self.control.send(&Reply::Bye);
        self.control.flush_blocking();
        Ok(())
    }

    /// A shutdown is complete when every router is stopped and every address gone.
    fn finished(&self) -> bool {
        self.exit_by.is_some_and(|by| {
            (self.members.is_empty() && self.leftovers.is_empty()) || by <= clock::now()
        })
    }

    fn next_deadline(&self) -> Option<Instant> {
        let members = self.members.values().filter_map(Member::poll_timeout);
        let settled_by = self.settling.map(|settling| settling.until);
        members.chain(self.retry_at).chain(self.exit_by).chain(settled_by).min()
    }

    /// Carries out what is due: announcements, expired verdicts, retries.
    fn fire(&mut self, now: Instant) {
        self.announce_due(now);
        self.expire_verdicts(now);
        self.search_stale(now);
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = None;
            self.catch_up();
            self.remove_leftovers();
            self.refresh_ports();
        }
        self.confirm(now);
    }

    fn retry_later(&mut self) {
        self.retry_at.get_or_insert(clock::now() + RETRY);
    }

    /// SIGTERM from anybody is an orderly stop, as a shutdown by the daemon.
    fn take_signal(&mut self) {
        while let Ok(Some(signal)) = self.signals.read_signal() {
            if signal.ssi_signo != nix::sys::signal::Signal::SIGHUP as u32 {
                self.shut_down();
            }
        }
    }

    fn shut_down(&mut self) {
        if self.exit_by.is_none() {
            self.exit_by = Some(clock::now() + SHUTDOWN_TIME);
            for id in self.members.keys().copied().collect::<Vec<_>>() {
                self.remove_member(id);
            }
        }
    }

    fn record(&mut self, router: Option<SlotId>, kind: EventKind) {
        self.record_at(clock::now(), router, kind);
    }

    fn record_at(&mut self, at: Instant, router: Option<SlotId>, kind: EventKind) {
        let name = router.and_then(|id| self.members.get(&id)).map(|m| m.spec.name.clone());
        self.journal.record(at, name, kind);
    }
}

fn watch(epoll: &OwnedFd, fd: impl AsFd, token: u64) -> Result<(), KeeperError> {
    epoll::add(epoll, fd, epoll::EventData::new_u64(token), epoll::EventFlags::IN)?;
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::linux::mailbox::mailbox;
    use crate::linux::messages::EFFECTS;

    /// What `EFFECTS_RESERVED` counts on.
    #[test]
    fn no_more_than_a_queue_of_orders_is_sent_before_the_effects_are_taken_out() {
        let (orders, mut taken) = mailbox(2 * ORDERS).unwrap();
        let (mut given_back, effects) = mailbox(EFFECTS).unwrap();
        let mut orders =
            Orders { orders, effects, collected: VecDeque::new(), since_collection: 0 };
        given_back.push(Effect::Pong(1)).unwrap();
        (0..ORDERS).for_each(|_| orders.send(Order::Ping(1)));
        assert_eq!((orders.collected.len(), orders.since_collection), (0, ORDERS));
        orders.send(Order::Ping(1));
        assert_eq!((orders.collected.len(), orders.since_collection), (1, 1));
        assert_eq!(std::iter::from_fn(|| taken.pop()).count(), ORDERS + 1);
    }
}
