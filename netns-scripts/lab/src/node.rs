//! Who is in the lab and with which addresses; the same as in `lab.sh`.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// The virtual address.
pub const VIP: Ipv4Addr = Ipv4Addr::new(10, 51, 0, 100);
/// The client's address on the link.
pub const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 51, 0, 200);
/// The client's address beyond the link, by the routers' default route.
pub const BEYOND: Ipv4Addr = Ipv4Addr::new(10, 52, 0, 1);
/// The virtual router's identifier.
pub const VRID: u8 = 51;

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

    /// The node's own address.
    pub const fn address(self) -> Ipv4Addr {
        Ipv4Addr::new(10, 51, 0, 10 + self.0)
    }

    /// The VRRP priority it is configured with.
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
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(node) => node.fmt(f),
            Self::Client => f.write_str("client"),
        }
    }
}
