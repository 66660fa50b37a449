//! What runs on a node: the real state machine or a model of another vendor's.

use core::fmt;
use core::net::IpAddr;

use vrrp::Priority;
use vrrp::router::{Action, Eligibility, Heard, Router, State, Ticket};
use vrrp::time::{Duration, Instant};

use super::keepalived::Keepalived;

/// An event that a state machine is told.
#[derive(Clone, Copy, Debug)]
pub enum Call {
    Start,
    Stop,
    Source(Option<IpAddr>),
    Eligibility(Eligibility),
    /// When it arrived, and what it says.
    Advert(Instant, Heard),
    Timeout,
    Stall {
        late: Duration,
        overflowed: bool,
    },
    Resumed {
        late: Duration,
    },
    Claimed,
    Probed,
    Installed(Ticket),
    InstallFailed(Ticket),
    AddressLost,
}

pub enum Machine {
    Mainstay(Box<Router>),
    Keepalived(Keepalived),
}

impl Machine {
    /// Tells the event and takes all that it causes.
    pub fn call(&mut self, now: Instant, call: &Call, actions: &mut Vec<Action>) {
        let router = match self {
            Self::Mainstay(router) => router,
            Self::Keepalived(model) => return model.call(now, call, actions),
        };
        match *call {
            Call::Start => router.start(now),
            Call::Stop => router.stop(),
            Call::Source(source) => router.set_source(now, source),
            Call::Eligibility(eligibility) => router.set_eligibility(now, eligibility),
            Call::Advert(arrived, heard) => router.handle_advert(arrived, heard),
            Call::Timeout => router.handle_timeout(now),
            Call::Stall { late, overflowed } => router.handle_stall(now, late, overflowed),
            Call::Resumed { late } => router.handle_resumed(now, late),
            Call::Claimed => router.handle_claimed(now),
            Call::Probed => router.handle_probed(now),
            Call::Installed(ticket) => router.handle_installed(now, ticket),
            Call::InstallFailed(ticket) => router.handle_install_failed(now, ticket),
            Call::AddressLost => router.handle_address_lost(now),
        }
        while let Some(action) = router.poll_action() {
            actions.push(action);
        }
    }

    pub fn state(&self) -> State {
        match self {
            Self::Mainstay(router) => router.state(),
            Self::Keepalived(model) => model.state(),
        }
    }

    pub fn source(&self) -> Option<IpAddr> {
        match self {
            Self::Mainstay(router) => router.source(),
            Self::Keepalived(model) => model.source(),
        }
    }

    pub fn priority(&self) -> Option<Priority> {
        match self {
            Self::Mainstay(router) => router.effective_priority(),
            Self::Keepalived(model) => Some(model.priority),
        }
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::Mainstay(router) => router.poll_timeout(),
            Self::Keepalived(model) => model.poll_timeout(),
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start => f.write_str("starts"),
            Self::Stop => f.write_str("is stopped"),
            Self::Source(Some(source)) => write!(f, "may send from {source}"),
            Self::Source(None) => f.write_str("has no interface"),
            Self::Eligibility(eligibility) => write!(f, "is {eligibility:?}"),
            Self::Advert(_, Heard { source, priority, interval }) => {
                let priority = priority.map_or(0, Priority::get);
                write!(f, "hears {priority} from {source}, each {interval}")
            }
            Self::Timeout => f.write_str("timer"),
            Self::Stall { late, overflowed } => {
                write!(
                    f,
                    "wakes {late:?} late{}",
                    if *overflowed { ", queue overflowed" } else { "" }
                )
            }
            Self::Resumed { .. } => f.write_str("has read what waited"),
            Self::Claimed => f.write_str("hears another's announcement"),
            Self::Probed => f.write_str("is probed"),
            Self::Installed(_) => f.write_str("is told: installed"),
            Self::InstallFailed(_) => f.write_str("is told: refused"),
            Self::AddressLost => f.write_str("is told: address lost"),
        }
    }
}
