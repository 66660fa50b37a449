//! Who is in the lab and with which addresses; the same as in `lab.sh`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use clap::ValueEnum;
use serde::{Serialize, Serializer};

/// The virtual address of IPv4.
pub const VIP: Ipv4Addr = Ipv4Addr::new(10, 51, 0, 100);
/// The virtual address of IPv6 that clients use.
pub const VIP6: Ipv6Addr = Ipv6Addr::new(0xfd51, 0, 0, 0, 0, 0, 0, 0x100);
/// The virtual router's link-local address, the first in its IPv6 adverts.
pub const VIP6_LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x100);
/// The client's address on the link.
pub const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 51, 0, 200);
/// The client's address beyond the link, by the routers' default route.
pub const BEYOND: Ipv4Addr = Ipv4Addr::new(10, 52, 0, 1);
/// The virtual router's identifier, in both families.
pub const VRID: u8 = 51;

/// IPv4 or IPv6: two virtual routers that know nothing of each other.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// IPv4.
    #[default]
    #[value(name = "4")]
    Ipv4,
    /// IPv6.
    #[value(name = "6")]
    Ipv6,
}

impl Family {
    /// The virtual address that the client asks.
    pub const fn vip(self) -> IpAddr {
        match self {
            Self::Ipv4 => IpAddr::V4(VIP),
            Self::Ipv6 => IpAddr::V6(VIP6),
        }
    }

    /// All virtual addresses, as an advert lists them.
    pub fn vips(self) -> Vec<IpAddr> {
        match self {
            Self::Ipv4 => vec![IpAddr::V4(VIP)],
            Self::Ipv6 => vec![IpAddr::V6(VIP6_LINK_LOCAL), IpAddr::V6(VIP6)],
        }
    }

    /// The length of a prefix that is one address.
    pub const fn bits(self) -> u8 {
        match self {
            Self::Ipv4 => 32,
            Self::Ipv6 => 128,
        }
    }

    /// The client's address on the link.
    pub const fn client(self) -> IpAddr {
        self.host(200)
    }

    /// The address on the link of the stranger, who is no router.
    pub const fn stranger(self) -> IpAddr {
        self.host(250)
    }

    /// The client's address beyond the link, by the routers' default route.
    pub const fn beyond(self) -> IpAddr {
        match self {
            Self::Ipv4 => IpAddr::V4(BEYOND),
            Self::Ipv6 => IpAddr::V6(Ipv6Addr::new(0xfd52, 0, 0, 0, 0, 0, 0, 1)),
        }
    }

    /// The family of an address.
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::Ipv4,
            IpAddr::V6(_) => Self::Ipv6,
        }
    }

    /// As `lab.sh` takes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ipv4 => "4",
            Self::Ipv6 => "6",
        }
    }

    const fn host(self, number: u8) -> IpAddr {
        match self {
            Self::Ipv4 => IpAddr::V4(Ipv4Addr::new(10, 51, 0, number)),
            Self::Ipv6 => IpAddr::V6(Ipv6Addr::new(0xfd51, 0, 0, 0, 0, 0, 0, as_digits(number))),
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ipv4 => "IPv4",
            Self::Ipv6 => "IPv6",
        })
    }
}

/// The group of an IPv6 address that shows the decimal digits of `number`: 200 becomes `::200`.
const fn as_digits(number: u8) -> u16 {
    let number = number as u16;
    number / 100 * 0x100 + number / 10 % 10 * 0x10 + number % 10
}

/// A router: m1 to m12.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node(u8);

impl Node {
    /// The router with this number; `None` unless it is 1 to 12.
    pub const fn new(number: u8) -> Option<Self> {
        match number {
            1..=12 => Some(Self(number)),
            _ => None,
        }
    }

    /// The number: 1 to 12.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// The node's own IPv4 address, the source of its IPv4 adverts.
    pub const fn address(self) -> Ipv4Addr {
        Ipv4Addr::new(10, 51, 0, 10 + self.0)
    }

    /// The node's own global IPv6 address.
    pub const fn address6(self) -> Ipv6Addr {
        Ipv6Addr::new(0xfd51, 0, 0, 0, 0, 0, 0, as_digits(10 + self.0))
    }

    /// The node's own link-local address, the source of its IPv6 adverts.
    pub const fn link_local(self) -> Ipv6Addr {
        Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, as_digits(10 + self.0))
    }

    /// The source of its adverts, unless it is FRR, which makes up a link-local address.
    pub const fn source(self, family: Family) -> IpAddr {
        match family {
            Family::Ipv4 => IpAddr::V4(self.address()),
            Family::Ipv6 => IpAddr::V6(self.link_local()),
        }
    }

    /// The VRRP priority it is configured with, if the daemon has no other for it.
    pub const fn priority(self) -> u8 {
        254 - 10 * (self.0 - 1)
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "m{}", self.0)
    }
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The text is no router's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a router is one of m1 to m12")]
pub struct NodeError;

impl FromStr for Node {
    type Err = NodeError;

    fn from_str(text: &str) -> Result<Self, NodeError> {
        let number = text.strip_prefix('m').and_then(|digits| digits.parse().ok());
        number.and_then(Self::new).ok_or(NodeError)
    }
}

/// A port of the bridge, named by who is behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// A router.
    Node(Node),
    /// The client.
    Client,
    /// Someone else on the link, who may send anything.
    Stranger,
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(node) => node.fmt(f),
            Self::Client => f.write_str("client"),
            Self::Stranger => f.write_str("stranger"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn addresses_are_those_of_lab_sh() {
        let node = Node::new(12).unwrap();
        assert_eq!(node.address().to_string(), "10.51.0.22");
        assert_eq!(node.address6().to_string(), "fd51::22");
        assert_eq!(node.link_local().to_string(), "fe80::22");
        assert_eq!(Family::Ipv4.client(), IpAddr::V4(CLIENT));
        assert_eq!(Family::Ipv6.client().to_string(), "fd51::200");
        assert_eq!(Family::Ipv6.stranger().to_string(), "fd51::250");
    }
}
