//! The messages between the daemon and its VRRP process.
//!
//! Each is one JSON document in one packet of a SEQPACKET unix socket. A restarted daemon may meet
//! the VRRP process of an older version: fields may be added, never change their meaning, and
//! [`VERSION`] rises when an older side could not go on.

use core::net::IpAddr;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::config::{RouterConfig, Transport};
use crate::conflict::ConflictKind;
use crate::router::{Cause, Eligibility, Report, State};
use crate::time::{Centis, Instant};
use crate::wire::ChecksumForm;
use crate::{Family, Mac, Priority, Vrid};

/// The version of these messages.
pub const VERSION: u16 = 1;
/// No message is longer.
pub const MAX_MESSAGE: usize = 64 * 1024;

/// A virtual router as the daemon asks for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouterSpec {
    /// Its name in the configuration.
    pub name: String,
    /// The interface it runs on.
    pub interface: String,
    /// What the state machine needs to know.
    pub config: RouterConfig,
    /// How its advertisements travel.
    #[serde(default)]
    pub transport: Transport,
}

/// From the daemon to the VRRP process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Request {
    /// The first message of a connection.
    Hello {
        /// [`VERSION`].
        version: u16,
    },
    /// One virtual router of the configuration that the next [`Request::Commit`] puts in force.
    Router(RouterSpec),
    /// Puts the virtual routers sent since the last commit in force, in place of all others.
    Commit {
        /// Given back in [`Reply::Committed`].
        revision: u64,
    },
    /// The verdict on one virtual router.
    Eligibility {
        /// Its name.
        router: String,
        /// The verdict.
        eligibility: Eligibility,
        /// After how many milliseconds without another it counts as degraded; `None` never.
        ttl_ms: Option<u64>,
    },
    /// Are you alive? Answered by the loop that sends the advertisements.
    Ping {
        /// Given back in [`Reply::Pong`].
        seq: u64,
    },
    /// Asks for one [`Reply::Router`] per virtual router and a [`Reply::Status`].
    Status,
    /// Stop all virtual routers, withdraw all addresses and exit.
    Shutdown,
}

/// From the VRRP process to the daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Reply {
    /// The first message of a connection.
    Welcome {
        /// [`VERSION`] of the VRRP process.
        version: u16,
        /// The version of its program.
        build: String,
        /// Its process id.
        pid: u32,
        /// The revision of the configuration in force, if any.
        revision: Option<u64>,
    },
    /// The configuration is in force.
    Committed {
        /// As in [`Request::Commit`].
        revision: u64,
    },
    /// The loop lives.
    Pong {
        /// As in [`Request::Ping`].
        seq: u64,
    },
    /// The status of one virtual router.
    Router(RouterStatus),
    /// The end of a status.
    Status(ProcessStatus),
    /// Something happened.
    Event(Event),
    /// All virtual routers are stopped and all addresses withdrawn; the process exits.
    Bye,
}

/// The state of one virtual router.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouterStatus {
    /// Its name in the configuration.
    pub name: String,
    /// Its identifier.
    pub vrid: Vrid,
    /// Its address family.
    pub family: Family,
    /// The interface it runs on.
    pub interface: String,
    /// Why the virtual router cannot run on the interface, as when that has no address to advertise
    /// from or the macvlan with the virtual MAC address is missing; `None` if it can.
    pub interface_problem: Option<String>,
    /// The state of RFC 9568, 6.4.
    pub state: State,
    /// The configured priority.
    pub priority: Priority,
    /// What it advertises, or would; `None` if it would release.
    pub effective_priority: Option<Priority>,
    /// The verdict that the effective priority follows from.
    pub eligibility: Eligibility,
    /// The local Advertisement_Interval.
    pub interval: Centis,
    /// The virtual addresses.
    pub addresses: Vec<IpAddr>,
    /// Whether this node has all of them.
    pub installed: bool,
    /// The address it advertises from.
    pub source: Option<IpAddr>,
    /// The Active, as far as this node knows.
    pub active_router: Option<IpAddr>,
    /// The priority that the Active last advertised.
    pub active_priority: Option<Priority>,
    /// The checksum form that it sends.
    pub checksum: Option<ChecksumForm>,
    /// When it last changed state, and why.
    pub last_transition: Option<LastTransition>,
    /// Why the addresses could not be installed the last time.
    pub install_error: Option<String>,
    /// How many advertisements it has sent.
    pub adverts_sent: u64,
    /// How many advertisements of others it has taken.
    pub adverts_received: u64,
    /// How often it changed state, by the state it came to and the cause.
    #[serde(default)]
    pub transitions: Vec<TransitionCount>,
    /// How often addresses were put back that somebody had removed.
    #[serde(default)]
    pub repairs: u64,
    /// Milliseconds since the kernel last acknowledged all addresses or the renewal of their lease;
    /// `None` while they are not installed.
    #[serde(default)]
    pub lease_age_ms: Option<u64>,
    /// The conflicts seen within the last minute, the oldest first.
    #[serde(default)]
    pub conflicts: Vec<ConflictStatus>,
    /// How often each kind of conflict was seen so far.
    #[serde(default)]
    pub conflict_counts: BTreeMap<ConflictKind, u64>,
}

/// How often a virtual router changed its state for one cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransitionCount {
    /// To which state.
    pub to: State,
    /// [`Cause::code`].
    pub cause: String,
    /// How often.
    pub count: u64,
}

/// A conflict that was seen lately.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConflictStatus {
    /// Its kind.
    pub kind: ConflictKind,
    /// The other router; of [`ConflictKind::ForeignArp`] the virtual address.
    pub source: IpAddr,
    /// The Ethernet address that its packets come from, if that is known.
    pub mac: Option<Mac>,
    /// What is wrong, in words.
    pub detail: String,
    /// When it was first seen.
    pub since: Stamp,
    /// When it was last seen.
    pub last: Stamp,
    /// How often it was seen.
    pub count: u64,
}

/// The last change of state of a virtual router.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastTransition {
    /// When, on the clock of the events.
    pub at: Stamp,
    /// From which state.
    pub from: State,
    /// To which state.
    pub to: State,
    /// Why.
    pub cause: Cause,
}

/// The state of the VRRP process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessStatus {
    /// Its process id.
    pub pid: u32,
    /// The version of its program.
    pub build: String,
    /// What it had to do without, in words: real-time priority, locked memory and the like.
    pub warnings: Vec<String>,
    /// Discarded packets by reason, per interface, of both families together.
    pub dropped: BTreeMap<String, BTreeMap<String, u64>>,
    /// How many events were lost because nobody fetched them.
    pub events_lost: u64,
    /// How late the timers of the advertising thread fired.
    #[serde(default)]
    pub timer_lateness: Histogram,
}

/// How often something took how long.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histogram {
    /// The buckets, the shortest times first; each time is in one of them.
    pub buckets: Vec<Bucket>,
    /// How often it took longer than the last bucket has.
    pub above: u64,
    /// All times together, in microseconds.
    pub sum_us: u64,
}

/// A part of a [`Histogram`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// The longest time of this bucket, in microseconds.
    pub up_to_us: u64,
    /// How often it took no longer than this, and longer than the bucket before has.
    pub count: u64,
}

/// A moment on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// On `CLOCK_MONOTONIC`.
    pub monotonic: Instant,
    /// Nanoseconds since 1970, on `CLOCK_REALTIME`.
    pub unix_nanos: u64,
}

/// Something that happened in the VRRP process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at: Stamp,
    /// To which virtual router; `None` if to an interface or the process.
    pub router: Option<String>,
    /// What.
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum EventKind {
    /// The state machine reports.
    Router(Report),
    /// The kernel refused an address.
    InstallFailed {
        /// Why, in words.
        error: String,
    },
    /// An address could not be taken away.
    WithdrawFailed {
        /// Why, in words.
        error: String,
    },
    /// The gratuitous ARP or NA could not be sent.
    AnnounceFailed {
        /// Why, in words.
        error: String,
    },
    /// An advertisement could not be sent; said once until one leaves again.
    SendFailed {
        /// The interface.
        interface: String,
        /// Why, in words.
        error: String,
    },
    /// Packets were discarded; said at most once a minute per interface and reason.
    Dropped {
        /// The interface.
        interface: String,
        /// Why.
        reason: String,
        /// How many since this was last said.
        count: u64,
        /// Who sent the last of them.
        source: Option<IpAddr>,
    },
    /// Another router or host is in our way; said once while that lasts, and each hour.
    Conflict {
        /// In which way.
        conflict: ConflictKind,
        /// Who; of [`ConflictKind::ForeignArp`] the virtual address.
        source: IpAddr,
        /// The Ethernet address that its packets come from, if it was found in time.
        mac: Option<Mac>,
        /// What is wrong, in words.
        detail: String,
    },
    /// An interface can be used, or no longer.
    Interface {
        /// Its name.
        interface: String,
        /// Why it cannot be used; `None` if it can.
        problem: Option<String>,
    },
    /// A virtual router of the configuration is not run.
    NotRun {
        /// Why, in words.
        error: String,
    },
    /// Addresses that this node should not have were found and removed: of an earlier run, or added
    /// by another program.
    StaleRemoved {
        /// The interface.
        interface: String,
        /// The addresses.
        addresses: Vec<IpAddr>,
    },
}
