//! What a [`Router`](super::Router) asks of the shell around it, and what it tells.

use core::fmt;
use core::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::Priority;
use crate::time::Duration;

/// The state of a virtual router (RFC 9568, 6.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum State {
    /// Not taking part (6.4.1).
    Initialize,
    /// Watching the Active (6.4.2).
    Backup,
    /// Owning the addresses (6.4.3).
    Active,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Initialize => "Initialize",
            Self::Backup => "Backup",
            Self::Active => "Active",
        })
    }
}

/// Names one request to install the addresses, so that a late answer to an older one is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ticket(pub(super) u32);

/// An effect, to be carried out in the order in which it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send an advertisement.
    SendAdvert {
        /// `None` gives up: priority 0 on the wire.
        priority: Option<Priority>,
        /// The source address.
        source: IpAddr,
    },
    /// Put all addresses on the interface, or refresh their lease; answer with
    /// [`Router::handle_installed`](super::Router::handle_installed) or
    /// [`Router::handle_install_failed`](super::Router::handle_install_failed).
    Install(Ticket),
    /// Take all addresses off the interface.
    Withdraw,
    /// Tell the link who owns the addresses: gratuitous ARP or unsolicited NA. Only ever given
    /// after the kernel has acknowledged the addresses.
    Announce(Announcement),
    /// Ask the link who has the addresses, by ARP probe or neighbour solicitation without a sender:
    /// a winner that never heard this router learns that caches may still name it.
    Probe,
    /// Record what happened.
    Report(Report),
}

/// Why, and so how often, the addresses are announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Announcement {
    /// After a takeover or a repair: now and a few times more.
    Takeover,
    /// Another router spoke for this virtual router and lost: once, now.
    Reassert,
}

/// Something that an operator may want to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "report", rename_all = "snake_case")]
pub enum Report {
    /// The state changed.
    Transition {
        /// From which state.
        from: State,
        /// To which state.
        to: State,
        /// Why.
        cause: Cause,
    },
    /// The kernel has acknowledged the addresses, after a takeover.
    Installed,
    /// Somebody removed an address of this Active; it is being put back.
    AddressLost,
    /// The addresses are back.
    Repaired,
    /// The effective priority changed.
    Priority {
        /// Before; `None` while released.
        from: Option<Priority>,
        /// Now; `None` while released.
        to: Option<Priority>,
    },
    /// A Backup hears an Active with another priority than before, or another Active: once per
    /// change.
    ActivePriority {
        /// The Active.
        source: IpAddr,
        /// What it advertised before; `None` if it was not heard lately, or had given up.
        from: Option<Priority>,
        /// What it advertises now.
        to: Priority,
    },
    /// A Backup hears an Active give up, with priority 0: once.
    ActiveReleased {
        /// The router that gave up.
        source: IpAddr,
    },
    /// Another router advertises for this virtual router while this one is Active, and loses.
    Rival {
        /// Its address.
        source: IpAddr,
        /// Its priority; `None` if it gives up.
        priority: Option<Priority>,
    },
    /// The other router has fallen silent.
    RivalGone,
    /// The loop was late; Active_Down_Timer starts anew.
    Stalled {
        /// By how much.
        late: Duration,
    },
}

/// Why the state changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "cause", rename_all = "snake_case")]
pub enum Cause {
    /// The virtual router was started.
    Started,
    /// It was stopped.
    Stopped,
    /// Priority 255: this router owns the addresses (6.4.1).
    AddressOwner,
    /// Active_Down_Timer fired: no Active was heard (6.4.2).
    ActiveDown {
        /// The Active last heard, if any.
        last: Option<IpAddr>,
    },
    /// The Active gave up with priority 0.
    ActiveReleased {
        /// The router that gave up.
        source: IpAddr,
    },
    /// The Active is degraded and this router is healthy.
    ActiveDegraded {
        /// The degraded router.
        source: IpAddr,
        /// What it advertised.
        priority: Priority,
    },
    /// The Active has a lower priority, and the configuration says to preempt it (6.4.2).
    Preempts {
        /// The router of lower priority.
        source: IpAddr,
        /// What it advertised.
        priority: Priority,
    },
    /// A higher priority, or an equal one from a higher address (6.4.3).
    HigherPriority {
        /// The router that wins.
        source: IpAddr,
        /// What it advertised.
        priority: Priority,
    },
    /// The interface is gone, down, without carrier, or has no address to send from.
    InterfaceDown,
    /// The interface can be used again.
    InterfaceUp,
    /// The kernel did not confirm the addresses in time.
    NotInstalled,
    /// The pause after an address that could not be installed is over.
    Retry,
    /// This process stood still for so long that peers may have taken over.
    Stalled {
        /// For how long.
        late: Duration,
    },
    /// Woken late, and another router's advertisement was waiting.
    Superseded {
        /// The router that took over.
        source: IpAddr,
        /// What it advertised.
        priority: Priority,
    },
    /// The checks fail and the configuration says to release.
    Degraded,
    /// The checks pass again.
    Recovered,
}

impl Cause {
    /// The cause's name in messages, counters and `status -o json`.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Stopped => "stopped",
            Self::AddressOwner => "address_owner",
            Self::ActiveDown { .. } => "active_down",
            Self::ActiveReleased { .. } => "active_released",
            Self::ActiveDegraded { .. } => "active_degraded",
            Self::Preempts { .. } => "preempts",
            Self::HigherPriority { .. } => "higher_priority",
            Self::InterfaceDown => "interface_down",
            Self::InterfaceUp => "interface_up",
            Self::NotInstalled => "not_installed",
            Self::Retry => "retry",
            Self::Stalled { .. } => "stalled",
            Self::Superseded { .. } => "superseded",
            Self::Degraded => "degraded",
            Self::Recovered => "recovered",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started => f.write_str("started"),
            Self::Stopped => f.write_str("stopped"),
            Self::AddressOwner => f.write_str("this router owns the addresses (priority 255)"),
            Self::ActiveDown { last: None } => f.write_str("no Active was heard"),
            Self::ActiveDown { last: Some(last) } => {
                write!(f, "the Active {last} has fallen silent")
            }
            Self::ActiveReleased { source } => write!(f, "the Active {source} gave up"),
            Self::ActiveDegraded { source, priority: Priority::DRAINED } => {
                write!(f, "the Active {source} hands over (priority 1)")
            }
            Self::ActiveDegraded { source, priority } => {
                write!(f, "the Active {source} is degraded (priority {priority})")
            }
            Self::Preempts { source, priority } => {
                write!(f, "the Active {source} has a lower priority ({priority})")
            }
            Self::HigherPriority { source, priority } => {
                write!(f, "{source} advertises priority {priority} and wins")
            }
            Self::InterfaceDown => f.write_str("the interface cannot be used"),
            Self::InterfaceUp => f.write_str("the interface can be used"),
            Self::NotInstalled => f.write_str("the kernel did not confirm the addresses"),
            Self::Retry => f.write_str("trying again after addresses that were not installed"),
            Self::Stalled { late } => write!(f, "this process stood still for {late:?}"),
            Self::Superseded { source, priority } => {
                write!(f, "{source} (priority {priority}) took over while this process stood still")
            }
            Self::Degraded => f.write_str("the checks fail"),
            Self::Recovered => f.write_str("the checks pass again"),
        }
    }
}

/// Actions in order, without allocation.
#[derive(Debug)]
pub(super) struct Actions {
    ring: [Option<Action>; Self::CAPACITY],
    head: usize,
    len: usize,
}

impl Actions {
    /// More than any one event causes, as the tests assert; the shell drains after each event.
    const CAPACITY: usize = 16;

    pub(super) const fn new() -> Self {
        Self { ring: [None; Self::CAPACITY], head: 0, len: 0 }
    }

    pub(super) fn push(&mut self, action: Action) {
        debug_assert!(self.len < Self::CAPACITY, "actions were not drained");
        if self.len < Self::CAPACITY {
            self.ring[(self.head + self.len) % Self::CAPACITY] = Some(action);
            self.len += 1;
        }
    }

    pub(super) fn pop(&mut self) -> Option<Action> {
        if self.len == 0 {
            return None;
        }
        let action = self.ring[self.head].take();
        self.head = (self.head + 1) % Self::CAPACITY;
        self.len -= 1;
        action
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// What older messages, which carry the cause itself, call it.
    #[test]
    fn the_code_of_a_cause_is_its_name_in_messages() {
        let (source, priority) = (IpAddr::from([10, 0, 0, 1]), Priority::OWNER);
        let late = Duration::from_secs(1);
        for cause in [
            Cause::Started,
            Cause::Stopped,
            Cause::AddressOwner,
            Cause::ActiveDown { last: None },
            Cause::ActiveReleased { source },
            Cause::ActiveDegraded { source, priority },
            Cause::Preempts { source, priority },
            Cause::HigherPriority { source, priority },
            Cause::InterfaceDown,
            Cause::InterfaceUp,
            Cause::NotInstalled,
            Cause::Retry,
            Cause::Stalled { late },
            Cause::Superseded { source, priority },
            Cause::Degraded,
            Cause::Recovered,
        ] {
            let message = serde_json::to_value(cause).unwrap();
            assert_eq!(message["cause"], cause.code());
        }
    }
}
