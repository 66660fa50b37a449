//! The ordinary thread of the VRRP process: whatever takes long.
//!
//! It carries out what the advertising thread wishes (addresses, leases, announcements), watches
//! links and addresses, and speaks with the daemon. It may wait for the kernel; the advertising
//! thread never waits for it.

mod addresses;
mod announcements;
mod arrivals;
mod claims;
mod commit;
mod conflicts;
mod connections;
mod control;
mod interfaces;
mod journal;
mod links;
mod macvlans;
mod member;
mod news;
mod orders;
mod pace;
mod ports;
mod problem;
mod removal;
mod requests;
mod roster;
mod sources;
mod wishes;
mod work;

use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::event::epoll;

use self::addresses::AddressTable;
use self::announcements::Announcements;
use self::commit::Verdict;
use self::connections::Connections;
use self::control::Control;
use self::journal::Journal;
use self::links::Links;
use self::news::Unjudged;
use self::orders::Orders;
use self::ports::Ports;
use self::requests::Settling;
use self::roster::Roster;
use self::work::Work;
use super::clock::{self, Timer};
use super::lateness::Lateness;
use super::mailbox::{Receiver, Sender};
use super::messages::{Effect, Order, PortId, SlotId};
use super::monitor::Monitor;
use super::netlink::{Netlink, NetlinkError};
use crate::proto::{EventKind, ProcessStatus, Reply, RouterSpec};
use crate::router::Eligibility;
use crate::time::{Duration, Instant};

const TOKEN_EFFECTS: u64 = 1 << 32;
const TOKEN_MONITOR: u64 = 2 << 32;
const TOKEN_LISTENER: u64 = 3 << 32;
const TOKEN_CONNECTION: u64 = 4 << 32;
const TOKEN_TIMER: u64 = 5 << 32;
const TOKEN_SIGNAL: u64 = 6 << 32;
/// The port's number is in the lower half.
const TOKEN_CAPTURE: u64 = 7 << 32;

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
    connections: Connections,
    monitor: Monitor,
    control: Control,
    orders: Orders,
    journal: Journal,
    process: ProcessStatus,
    lateness: Arc<Lateness>,
    links: Links,
    /// Virtual addresses too.
    addresses: AddressTable,
    ports: Ports,
    roster: Roster,
    work: Work,
    announcements: Announcements,
    unjudged: Unjudged,
    /// Virtual routers whose addresses or macvlan may not be as they should.
    suspects: BTreeSet<SlotId>,
    /// The virtual routers received since the last commit.
    staged: Vec<RouterSpec>,
    /// The verdicts received for them, by name.
    staged_verdicts: BTreeMap<String, Verdict>,
    revision: Option<u64>,
    /// What the daemon waits for.
    settling: Option<Settling>,
    /// Whether news were lost and could not be made up for yet.
    resync_due: bool,
    /// Addresses whose removal failed, by interface.
    leftovers: BTreeSet<(u32, IpAddr)>,
    /// When what failed is tried again.
    retry_at: Option<Instant>,
    /// When interfaces are tried again on which no socket could be opened.
    reopen_at: Option<Instant>,
    /// When captures that look for nobody are closed.
    captures_idle_at: Option<Instant>,
    /// Set by a shutdown: by when to exit whatever remains.
    exit_by: Option<Instant>,
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
        lateness: Arc<Lateness>,
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
        let mut keeper = Self {
            epoll,
            timer,
            signals,
            netlink: Netlink::open()?,
            connections: Connections::open(),
            monitor,
            control: Control::new(listener),
            orders: Orders::new(orders, effects),
            journal: Journal::default(),
            process,
            lateness,
            links: Links::default(),
            addresses: AddressTable::default(),
            ports: Ports::default(),
            roster: Roster::new(),
            work: Work::default(),
            announcements: Announcements::new(),
            unjudged: Unjudged::default(),
            suspects: BTreeSet::new(),
            staged: Vec::new(),
            staged_verdicts: BTreeMap::new(),
            revision: None,
            settling: None,
            resync_due: false,
            leftovers: BTreeSet::new(),
            retry_at: None,
            reopen_at: None,
            captures_idle_at: None,
            exit_by: None,
        };
        keeper.resync()?;
        Ok(keeper)
    }

    /// Takes what the process has to do without, for its status.
    pub(super) fn warn(&mut self, warnings: Vec<String>) {
        self.process.warnings = warnings;
        self.process.warnings.extend(self.connections.problem());
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
            if events.iter().any(|event| event.data.u64() == TOKEN_EFFECTS) {
                self.orders.clear_wake();
            }
            // Wishes first: a client may be waiting for the address.
            self.carry_out();
            for event in &events {
                match event.data.u64() {
                    TOKEN_EFFECTS | TOKEN_TIMER => {}
                    TOKEN_MONITOR => self.hear_news(),
                    TOKEN_LISTENER => self.accept()?,
                    TOKEN_CONNECTION => self.serve(),
                    TOKEN_SIGNAL => self.take_signal(),
                    token => self.hear_port(token),
                }
                self.carry_out();
            }
            if self.has_news() {
                self.hear_news();
            }
            self.fire(clock::now());
            if !self.work.is_waited_for() {
                self.lower_one();
                self.close_idle_captures(clock::now());
            }
            self.deliver();
        }
        self.control.send(&Reply::Bye);
        self.control.flush_blocking();
        Ok(())
    }

    /// A shutdown is complete when every router is stopped and every address gone.
    fn finished(&self) -> bool {
        self.exit_by.is_some_and(|by| {
            let nothing_left = self.leftovers.is_empty() && self.work.lowering.is_empty();
            (self.roster.is_empty() && nothing_left) || by <= clock::now()
        })
    }

    fn next_deadline(&self) -> Option<Instant> {
        if !self.work.is_empty() || self.has_news() {
            return Some(clock::now());
        }
        let members = self.roster.first_deadline().map(|(at, _)| at).into_iter();
        let settled_by = self.settling.map(|settling| settling.until);
        let retries = [self.retry_at, self.reopen_at, self.captures_idle_at].into_iter().flatten();
        let announcements = self.announcements.poll_timeout();
        members.chain(announcements).chain(retries).chain(self.exit_by).chain(settled_by).min()
    }

    /// Carries out what is due: announcements, expired verdicts, searches, retries.
    fn fire(&mut self, now: Instant) {
        let mut searching = Vec::new();
        while let Some((at, id)) = self.roster.first_deadline()
            && at <= now
        {
            self.announce_due(id, now);
            self.tell_conflicts(id, now);
            if let Some(member) = self.roster.get_mut(id) {
                let arrived = member.arrival.is_some_and(|arrival| arrival.until <= now);
                if member.search.poll_due(now) {
                    searching.push(id);
                }
                // A verdict that nobody renewed counts as degraded, never as gone.
                if member.eligible_until.is_some_and(|until| until <= now) {
                    self.set_eligibility(id, Eligibility::Degraded, None);
                }
                if arrived {
                    self.arrived(id);
                }
            }
            self.roster.rearm(id);
        }
        self.remove_stale(&searching);
        self.take_turn(now);
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = None;
            self.hear_news();
            self.remove_leftovers();
        }
        if self.reopen_at.is_some_and(|at| at <= now) {
            self.reopen_at = None;
            self.refresh_all();
        }
        self.confirm(now);
    }

    /// Reads a socket of a port.
    fn hear_port(&mut self, token: u64) {
        if let Ok(port) = PortId::try_from(token) {
            self.hear_claims(port);
        } else if let Ok(port) = PortId::try_from(token ^ TOKEN_CAPTURE) {
            self.hear_captured(port);
        }
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
            for id in self.roster.current().map(|(id, _)| id).collect::<Vec<_>>() {
                self.remove_member(id);
            }
        }
    }

    fn record(&mut self, router: Option<SlotId>, kind: EventKind) {
        self.record_at(clock::now(), router, kind);
    }

    fn record_at(&mut self, at: Instant, router: Option<SlotId>, kind: EventKind) {
        let name = router.and_then(|id| self.roster.get(id)).map(|m| m.spec.name.clone());
        self.journal.record(at, name, kind);
    }
}

fn watch(epoll: &OwnedFd, fd: impl AsFd, token: u64) -> Result<(), KeeperError> {
    epoll::add(epoll, fd, epoll::EventData::new_u64(token), epoll::EventFlags::IN)?;
    Ok(())
}
