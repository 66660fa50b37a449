//! One node: its state machine, its keeper, its kernel and the daemon that guards it.

use core::net::IpAddr;
use std::collections::VecDeque;

use vrrp::Priority;
use vrrp::announce::Schedule;
use vrrp::config::{OnDegraded, Preempt, RouterConfig};
use vrrp::router::{Announcement, Eligibility, Heard, State, Ticket};
use vrrp::time::Instant;

use super::clock::{Clock, NEVER, Time};
use super::machine::{Call, Machine};
use super::reference::Reference;

/// What a node runs, and how it is configured.
#[derive(Clone, Debug)]
pub struct Profile {
    pub config: RouterConfig,
    /// keepalived, with `preempt` or `nopreempt`, in place of mainstay.
    pub keepalived: Option<bool>,
    pub clock: Clock,
}

/// The VRRP process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Process {
    Dead,
    /// Stopped from without; it knows nothing of it.
    Frozen,
    Running,
}

/// What the keeper is asked to do.
#[derive(Clone, Copy, Debug)]
pub enum Effect {
    Install(Ticket),
    Withdraw,
    Announce(Announcement),
    Probe,
    /// The router's state changed.
    Show(State),
    /// The kernel tells that the address is gone.
    Gone,
    /// Another host's announcement or probe.
    Arp(Claim),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    Has,
    Probes,
}

/// The ordinary thread of the VRRP process.
#[derive(Default)]
pub struct Keeper {
    pub effects: VecDeque<Effect>,
    pub due: Option<Time>,
    /// Whether the address should be there.
    pub wanted: bool,
    pub active: bool,
    pub schedule: Schedule,
    pub told_at: Option<Instant>,
}

/// The address in the kernel.
#[derive(Default)]
pub struct Kernel {
    pub address: bool,
    /// When it was last installed or refreshed.
    pub refreshed: Time,
    /// Tells an older expiry from the newest.
    pub generation: u32,
    /// Whether it refuses to install.
    pub refuses: bool,
}

pub struct Node {
    pub id: usize,
    pub source: IpAddr,
    pub profile: Profile,
    pub powered: bool,
    pub link: bool,
    pub process: Process,
    /// Whether the daemon lives that looks after the VRRP process.
    pub guard: bool,
    /// Whether the operator stopped it.
    pub stopped: bool,
    /// Counts starts, deaths and thaws, so that what was planned before them is void.
    pub epoch: u32,
    pub machine: Option<Machine>,
    pub reference: Reference,
    /// What the checks and the operator say.
    pub eligibility: Eligibility,
    /// What waits in the socket, with its arrival.
    pub inbox: VecDeque<(Time, Heard)>,
    pub overflowed: bool,
    pub orders: VecDeque<Call>,
    pub armed: Option<Instant>,
    pub turn_at: Option<Time>,
    pub keeper: Keeper,
    pub kernel: Kernel,
    /// Until when the address may be in the kernel.
    pub hold_until: Time,
    /// Until when an Active may be without its address; `None` while it has it.
    pub lacks_until: Option<Time>,
    /// When its role, its priority or its process last changed.
    pub changed: Time,
    /// When it last sent an advertisement, and the one before.
    pub sent: [Time; 2],
    /// Who answers for the address, as a client beside this node believes.
    pub cache: Option<usize>,
}

impl Node {
    pub fn new(id: usize, source: IpAddr, profile: Profile) -> Self {
        Self {
            id,
            source,
            reference: Reference::new(profile.config.clone()),
            profile,
            powered: true,
            link: true,
            process: Process::Dead,
            guard: false,
            stopped: false,
            epoch: 0,
            machine: None,
            eligibility: Eligibility::Healthy,
            inbox: VecDeque::new(),
            overflowed: false,
            orders: VecDeque::new(),
            armed: None,
            turn_at: None,
            keeper: Keeper::default(),
            kernel: Kernel::default(),
            hold_until: NEVER,
            lacks_until: None,
            changed: 0,
            sent: [0; 2],
            cache: None,
        }
    }

    pub fn name(&self) -> String {
        format!("n{}", self.id + 1)
    }

    pub fn runs(&self) -> bool {
        self.process == Process::Running
    }

    pub fn state(&self) -> State {
        self.machine.as_ref().map_or(State::Initialize, Machine::state)
    }

    /// When its next timer is due, by its own clock.
    pub fn timeout(&self) -> Option<Instant> {
        self.machine.as_ref().and_then(Machine::poll_timeout)
    }

    /// Whether it takes part and can act on it.
    pub fn is(&self, state: State) -> bool {
        self.runs() && self.state() == state
    }

    pub fn priority(&self) -> Option<Priority> {
        self.machine.as_ref().and_then(Machine::priority)
    }

    pub fn is_mainstay(&self) -> bool {
        self.profile.keepalived.is_none()
    }

    /// What decides between two that are Active (RFC 9568, 6.4.3).
    pub fn strength(&self) -> (Option<Priority>, IpAddr) {
        (self.priority(), self.source)
    }

    /// What it will advertise once it has been told what it is.
    pub fn verdict(&self) -> Option<Priority> {
        let config = &self.profile.config;
        match (self.eligibility, config.on_degraded) {
            _ if !self.is_mainstay() => Some(config.priority),
            (Eligibility::Healthy, _) => Some(config.priority),
            (Eligibility::Degraded, OnDegraded::Release) => None,
            (Eligibility::Degraded, OnDegraded::Advertise) => Some(config.degraded_priority),
            (Eligibility::Drained, _) => Some(Priority::DRAINED),
        }
    }

    /// Whether, as a Backup, it takes over from a living Active of this priority.
    pub fn wants(&self, from: Option<Priority>) -> bool {
        let (Some(own), Some(from)) = (self.verdict(), from) else {
            return false;
        };
        match self.profile.keepalived {
            Some(preempt) => preempt && from < own,
            None => wants(self.profile.config.preempt, own, from),
        }
    }

    /// As [`Self::wants`], and after Skew_Time rather than Active_Down_Interval.
    pub fn hastens(&self, from: Option<Priority>) -> bool {
        let degraded_only = self.profile.config.preempt == Preempt::DegradedOnly;
        let degraded = from.is_some_and(Priority::is_degraded);
        self.is_mainstay() && degraded_only && degraded && self.wants(from)
    }

    /// Whether it takes over from everybody, at once.
    pub fn is_owner(&self) -> bool {
        self.is_mainstay() && self.verdict() == Some(Priority::OWNER)
    }

    pub fn interval(&self) -> Time {
        super::clock::nanos(self.profile.config.interval.duration())
    }

    /// The interval as the world counts it.
    pub fn real_interval(&self) -> Time {
        self.profile.clock.real(self.profile.config.interval.duration())
    }

    /// The address it may send from, as it has been told.
    pub fn source_now(&self) -> Option<IpAddr> {
        self.machine.as_ref().and_then(Machine::source)
    }

    pub fn now(&self, at: Time) -> Instant {
        self.profile.clock.local(at)
    }
}

/// Whether a Backup of priority `own` takes over from a living Active of priority `from`:
/// Preempt_Mode (RFC 9568, 6.1), where an owner always preempts and `degraded-only` knows bands.
pub fn wants(preempt: Preempt, own: Priority, from: Priority) -> bool {
    match preempt {
        _ if own.get() == 255 => from.get() < 255,
        Preempt::Never => false,
        Preempt::Always => from < own,
        Preempt::DegradedOnly => from.get() < 128 && own.get() >= 128,
    }
}
