//! The status of the daemon: what `GET /v1/status` answers and `status -o json` prints.
//!
//! A contract: fields are added, never renamed or removed.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use vrrp::config::Transport;
use vrrp::conflict::ConflictKind;
use vrrp::proto::{
    ConflictStatus, Histogram, LastTransition, RouterSpec, RouterStatus, TransitionCount,
};
use vrrp::router::{Cause, Eligibility, State};
use vrrp::wire::ChecksumForm;
use vrrp::{Family, Mac, wire};

use crate::daemon::Mark;
use crate::health::{CheckStatus, Standing};
use crate::timestamp::Timestamp;
use crate::units::UnitStatus;

/// The status of the daemon on this node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The daemon's version.
    pub version: String,
    /// This node's name in the configuration.
    pub node: String,
    /// This node's role: `master` or `worker`.
    pub role: String,
    /// The daemon's process id.
    pub pid: u32,
    /// The configuration in force.
    pub config: ConfigStatus,
    /// The VRRP process.
    pub vrrp: VrrpStatus,
    /// The virtual routers, by name.
    pub virtual_routers: Vec<VirtualRouterStatus>,
    /// The checks, in the order of the file.
    #[serde(default)]
    pub checks: Vec<CheckStatus>,
    /// What runs beneath the virtual routers, in the order of the start; empty where mainstay looks
    /// after the virtual routers alone.
    #[serde(default)]
    pub units: Vec<UnitStatus>,
    /// Whether the units are to run: since `mainstay up`, and until `mainstay down`.
    #[serde(default)]
    pub units_wanted: bool,
    /// Discarded packets: per interface, by reason.
    pub dropped: BTreeMap<String, BTreeMap<String, u64>>,
    /// What the operator should know, each in a sentence.
    pub warnings: Vec<String>,
}

/// The configuration in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigStatus {
    /// The file it was read from.
    pub path: PathBuf,
    /// Why the file could not be taken when it was last reloaded; the older one is in force then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The VRRP process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VrrpStatus {
    /// Its process id; absent while none runs.
    pub pid: Option<u32>,
    /// The version of its program, which may be older than the daemon's.
    pub version: Option<String>,
    /// Whether it runs and answers this daemon.
    pub attached: bool,
    /// How often this daemon has started it again after it died.
    pub restarts: u64,
    /// How many of its events were lost because nobody fetched them.
    #[serde(default)]
    pub events_lost: u64,
    /// How late the timers fired that its advertisements depend on.
    #[serde(default)]
    pub timer_lateness: Histogram,
    /// What is wrong with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// One virtual router.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VirtualRouterStatus {
    /// Its name in the configuration.
    pub name: String,
    /// Its identifier, 1 to 255.
    pub vrid: u8,
    /// `ipv4` or `ipv6`.
    pub family: Family,
    /// The interface it runs on.
    pub interface: String,
    /// `Initialize`, `Backup` or `Active` (RFC 9568, 6.4); `null` if it is not known.
    pub state: Option<State>,
    /// The configured priority.
    pub priority: u8,
    /// The priority that it advertises, or would; absent while it takes no part.
    pub effective_priority: Option<u8>,
    /// Whether it should have the addresses: `healthy`, `degraded` or `drained`; absent while that
    /// is not known.
    #[serde(default)]
    pub eligibility: Option<Eligibility>,
    /// The names of the checks that decide on that.
    #[serde(default)]
    pub checks: Vec<String>,
    /// Since when it has been drained, and by whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drained: Option<Mark>,
    /// The virtual addresses.
    pub addresses: Vec<IpAddr>,
    /// Whether this node has all of them; `null` if it is not known.
    pub installed: Option<bool>,
    /// The Active, as far as this node knows.
    pub active_router: Option<IpAddr>,
    /// The priority that the Active last advertised.
    pub active_priority: Option<u8>,
    /// The address that this node advertises from.
    pub source: Option<IpAddr>,
    /// How its advertisements travel: `multicast` or `unicast`.
    #[serde(default)]
    pub transport: String,
    /// To whom, if by unicast.
    #[serde(default)]
    pub peers: Vec<IpAddr>,
    /// The virtual router MAC address (RFC 9568, 7.3), if the addresses live at it.
    #[serde(default)]
    pub virtual_mac: Option<String>,
    /// The form of the IPv4 checksum that it sends: `rfc9568` or `pseudo-header`.
    #[serde(default)]
    pub checksum: Option<ChecksumForm>,
    /// The local Advertisement_Interval.
    pub interval_ms: u64,
    /// How many advertisements this node has sent.
    pub adverts_sent: u64,
    /// How many advertisements of others it has taken.
    pub adverts_received: u64,
    /// When it last changed state, and why.
    pub last_transition: Option<TransitionStatus>,
    /// How often it changed state since the VRRP process started, by the state it came to and the
    /// cause.
    #[serde(default)]
    pub transitions: Vec<TransitionCount>,
    /// How often addresses were put back that somebody had removed.
    #[serde(default)]
    pub repairs: u64,
    /// Milliseconds since the kernel last acknowledged the addresses or the renewal of their lease;
    /// absent while they are not on this node, or have no lease.
    #[serde(default)]
    pub lease_age_ms: Option<u64>,
    /// Routers and hosts that were in its way within the last minute.
    #[serde(default)]
    pub conflicts: Vec<Conflict>,
    /// How often each kind of conflict was seen since the VRRP process started.
    #[serde(default)]
    pub conflict_counts: BTreeMap<ConflictKind, u64>,
    /// Why it does not do its work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Another router or host that is in the way of a virtual router.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
    /// In which way.
    pub kind: ConflictKind,
    /// The other router; of `foreign_arp` the virtual address.
    pub source: IpAddr,
    /// The Ethernet address that its packets come from, if that is known.
    pub mac: Option<Mac>,
    /// What is wrong, in words.
    pub detail: String,
    /// When it was first seen.
    pub since: Timestamp,
    /// When it was last seen.
    pub last: Timestamp,
    /// How often it was seen.
    pub count: u64,
}

/// The last change of state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransitionStatus {
    /// When.
    pub at: Timestamp,
    /// From which state.
    pub from: State,
    /// To which state.
    pub to: State,
    /// Why, in words.
    pub cause: String,
    /// Why, for programs.
    pub cause_code: String,
}

impl Status {
    /// What is not as it should be; empty if all is well.
    pub fn degradations(&self) -> Vec<String> {
        let mut found = Vec::new();
        if !self.vrrp.attached && !self.virtual_routers.is_empty() {
            let problem = self.vrrp.problem.as_deref().unwrap_or("it does not answer");
            found.push(format!("the VRRP process is not attached: {problem}"));
        }
        for router in &self.virtual_routers {
            let name = &router.name;
            match router.state {
                Some(State::Initialize) => found.push(format!("{name} takes no part")),
                Some(State::Active) if router.installed == Some(false) => {
                    found.push(format!("{name} is Active and its addresses are not installed"));
                }
                Some(State::Active | State::Backup) => {}
                None => found.push(format!("what {name} does is not known")),
            }
            if router.eligibility == Some(Eligibility::Degraded) {
                let sick = self.checks.iter().filter(|check| {
                    router.checks.contains(&check.name) && check.standing != Standing::Healthy
                });
                let why: Vec<String> =
                    sick.map(|it| format!("{}: {}", it.name, it.reason)).collect();
                found.push(match why.as_slice() {
                    [] => format!("{name} is degraded"),
                    why => format!("{name} is degraded: {}", why.join("; ")),
                });
            }
        }
        if self.units_wanted {
            found.extend(self.units.iter().filter_map(UnitStatus::problem));
        }
        found
    }
}

impl VirtualRouterStatus {
    /// A virtual router as the VRRP process reports it.
    pub fn of(spec: &RouterSpec, status: &RouterStatus) -> Self {
        let problem = status.interface_problem.clone().or_else(|| status.install_error.clone());
        let is_ipv4 = status.family == Family::Ipv4;
        Self {
            name: status.name.clone(),
            vrid: status.vrid.get(),
            family: status.family,
            interface: status.interface.clone(),
            state: Some(status.state),
            priority: status.priority.get(),
            effective_priority: status.effective_priority.map(vrrp::Priority::get),
            eligibility: Some(status.eligibility),
            addresses: status.addresses.clone(),
            installed: Some(status.installed),
            active_router: status.active_router,
            active_priority: status.active_priority.map(vrrp::Priority::get),
            source: status.source,
            checksum: status.checksum.filter(|_| is_ipv4),
            interval_ms: millis(status.interval),
            adverts_sent: status.adverts_sent,
            adverts_received: status.adverts_received,
            last_transition: status.last_transition.map(TransitionStatus::from),
            transitions: status.transitions.clone(),
            repairs: status.repairs,
            lease_age_ms: status.lease_age_ms,
            conflicts: status.conflicts.iter().map(Conflict::from).collect(),
            conflict_counts: status.conflict_counts.clone(),
            problem,
            ..Self::absent(spec, "")
        }
    }

    /// A virtual router while no VRRP process runs.
    pub fn absent(spec: &RouterSpec, problem: &str) -> Self {
        Self {
            name: spec.name.clone(),
            vrid: spec.config.vrid.get(),
            family: spec.config.family(),
            interface: spec.interface.clone(),
            state: Some(State::Initialize),
            priority: spec.config.priority.get(),
            effective_priority: None,
            eligibility: None,
            checks: Vec::new(),
            drained: None,
            addresses: spec.config.addresses.as_slice().to_vec(),
            installed: Some(false),
            active_router: None,
            active_priority: None,
            source: None,
            transport: match &spec.transport {
                Transport::Multicast => "multicast".to_owned(),
                Transport::Unicast { .. } => "unicast".to_owned(),
            },
            peers: match &spec.transport {
                Transport::Multicast => Vec::new(),
                Transport::Unicast { peers, .. } => peers.clone(),
            },
            virtual_mac: virtual_mac(spec),
            checksum: None,
            interval_ms: millis(spec.config.interval),
            adverts_sent: 0,
            adverts_received: 0,
            last_transition: None,
            transitions: Vec::new(),
            repairs: 0,
            lease_age_ms: None,
            conflicts: Vec::new(),
            conflict_counts: BTreeMap::new(),
            problem: Some(problem.to_owned()),
        }
    }

    /// A virtual router of a VRRP process that does not tell this daemon what it does.
    pub fn unknown(spec: &RouterSpec, problem: &str) -> Self {
        Self { state: None, installed: None, ..Self::absent(spec, problem) }
    }
}

impl From<&ConflictStatus> for Conflict {
    fn from(status: &ConflictStatus) -> Self {
        Self {
            kind: status.kind,
            source: status.source,
            mac: status.mac,
            detail: status.detail.clone(),
            since: Timestamp::from_unix_nanos(status.since.unix_nanos),
            last: Timestamp::from_unix_nanos(status.last.unix_nanos),
            count: status.count,
        }
    }
}

impl From<LastTransition> for TransitionStatus {
    fn from(last: LastTransition) -> Self {
        Self {
            at: Timestamp::from_unix_nanos(last.at.unix_nanos),
            from: last.from,
            to: last.to,
            cause: last.cause.to_string(),
            cause_code: cause_code(last.cause),
        }
    }
}

/// The virtual router MAC address, if the virtual router uses it.
pub fn virtual_mac(spec: &RouterSpec) -> Option<String> {
    let mac = wire::virtual_mac(spec.config.family(), spec.config.vrid);
    let bytes = mac.map(|byte| format!("{byte:02x}"));
    spec.config.virtual_mac.then(|| bytes.join(":"))
}

/// The cause's name for programs: as the messages to the VRRP process have it.
pub fn cause_code(cause: Cause) -> String {
    cause.code().to_owned()
}

fn millis(interval: vrrp::time::Centis) -> u64 {
    u64::from(interval.get()) * 10
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
