//! Why virtual routers cannot run.

use core::net::IpAddr;

use crate::Family;
use crate::linux::interface::LinkInfo;

/// What is wrong with an interface, or missing on it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Problem {
    #[error("the interface does not exist")]
    Missing,
    #[error("the interface is down")]
    Down,
    #[error("the interface has no carrier")]
    NoCarrier,
    /// No address that advertisements could come from.
    #[error("the interface has no {}", match .0 {
        Family::Ipv4 => "IPv4 address of its own",
        Family::Ipv6 => "link-local IPv6 address that is ready",
    })]
    NoAddress(Family),
    /// The address that the unicast peers know the router by.
    #[error("the interface does not have the address {0}, which the unicast peers know")]
    NoSource(IpAddr),
    /// No address that unicast peers beyond the link's scope could know the router by.
    #[error("the interface has no global IPv6 address of its own for its unicast peers")]
    NoRoutable,
    #[error("the macvlan with the virtual MAC address {} does not exist (yet)", mac(.0))]
    NoMacvlan([u8; 6]),
    /// A socket could not be opened on it; in words.
    #[error("{0}")]
    Socket(String),
}

impl Problem {
    /// Whether it is one virtual router's alone.
    pub(super) const fn is_private(&self) -> bool {
        matches!(self, Self::NoSource(_) | Self::NoRoutable | Self::NoMacvlan(_))
    }
}

/// What keeps an interface from being used, as far as the link itself goes.
pub(super) fn link_problem(link: Option<&LinkInfo>) -> Option<Problem> {
    match link {
        None => Some(Problem::Missing),
        Some(link) if !link.up => Some(Problem::Down),
        Some(link) if !link.carrier => Some(Problem::NoCarrier),
        Some(_) => None,
    }
}

fn mac(octets: &[u8; 6]) -> String {
    octets.map(|octet| format!("{octet:02x}")).join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_say_what_is_missing() {
        let missing = [
            Problem::NoAddress(Family::Ipv4),
            Problem::NoAddress(Family::Ipv6),
            Problem::NoMacvlan([0, 0, 0x5e, 0, 1, 0x2a]),
        ];
        assert_eq!(
            missing.map(|problem| problem.to_string()),
            [
                "the interface has no IPv4 address of its own",
                "the interface has no link-local IPv6 address that is ready",
                "the macvlan with the virtual MAC address 00:00:5e:00:01:2a does not exist (yet)",
            ]
        );
    }
}
