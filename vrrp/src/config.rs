//! What one virtual router is configured to be.

use core::fmt;
use core::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::time::{Centis, Duration};
use crate::{Family, Priority, Vrid};

/// The configuration of one virtual router on one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouterConfig {
    /// The virtual router's identifier.
    pub vrid: Vrid,
    /// The priority advertised while healthy.
    pub priority: Priority,
    /// The priority advertised while degraded; ignored with [`OnDegraded::Release`].
    pub degraded_priority: Priority,
    /// What a degraded router does.
    pub on_degraded: OnDegraded,
    /// Whom a Backup takes over from.
    pub preempt: Preempt,
    /// The local Advertisement_Interval (RFC 9568, 6.1).
    pub interval: Centis,
    /// The virtual addresses.
    pub addresses: Addresses,
    /// How long the kernel keeps an address without a refresh; `None` keeps it for ever.
    pub lease: Option<Lease>,
    /// The form of the IPv4 checksum that is sent.
    pub checksum: Checksum,
    /// Whether its addresses live on a macvlan with the virtual router MAC address (RFC 9568, 7.3)
    /// above the interface, and its advertisements come from that MAC address.
    #[serde(default)]
    pub virtual_mac: bool,
}

impl RouterConfig {
    /// The family of the virtual router.
    pub fn family(&self) -> Family {
        self.addresses.family()
    }
}

/// What a router does while its checks fail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnDegraded {
    /// Advertise the degraded priority and stay eligible.
    #[default]
    Advertise,
    /// Send priority 0, withdraw and stay in Initialize until healthy.
    Release,
}

/// Preempt_Mode (RFC 9568, 6.1), widened by health bands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preempt {
    /// A healthy Backup takes over from a degraded Active (priority 1 to 127) and from nobody
    /// else that lives.
    #[default]
    DegradedOnly,
    /// The RFC's Preempt_Mode True: the higher priority always takes over.
    Always,
    /// The RFC's Preempt_Mode False.
    Never,
}

/// How advertisements travel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// To the group of all VRRP routers (RFC 9568, 5.1).
    #[default]
    Multicast,
    /// To each peer by itself; advertisements of others are discarded.
    Unicast {
        /// The other routers, of the virtual router's family.
        peers: Vec<IpAddr>,
        /// The address that the peers know this router by: the only one that it may advertise
        /// from. `None` leaves the choice to the interface.
        #[serde(default)]
        source: Option<IpAddr>,
    },
}

/// The form of the checksum in IPv4 advertisements. Both are accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Checksum {
    /// The form that the last peer used; RFC 9568 until one is heard.
    #[default]
    Auto,
    /// Over the VRRP message alone (RFC 9568, 5.2.8).
    Rfc9568,
    /// Over an IPv4 pseudo-header too, as keepalived and FRR do.
    PseudoHeader,
}

/// How long the kernel keeps an address that is not refreshed: whole seconds, 1 or more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Lease(u32);

/// A lease of no seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a lease is a whole number of seconds, at least 1")]
pub struct LeaseError;

impl Lease {
    /// A lease of `seconds`.
    ///
    /// # Errors
    /// If `seconds` is 0.
    pub const fn from_secs(seconds: u32) -> Result<Self, LeaseError> {
        if seconds == 0 { Err(LeaseError) } else { Ok(Self(seconds)) }
    }

    /// Whole seconds.
    pub const fn as_secs(self) -> u32 {
        self.0
    }

    /// The lease as a time span.
    pub const fn duration(self) -> Duration {
        Duration::from_secs(self.0 as u64)
    }

    /// How often the lease is refreshed: each third of it.
    pub fn refresh_interval(self) -> Duration {
        self.duration() / 3
    }
}

impl TryFrom<u32> for Lease {
    type Error = LeaseError;

    fn try_from(seconds: u32) -> Result<Self, Self::Error> {
        Self::from_secs(seconds)
    }
}

impl From<Lease> for u32 {
    fn from(lease: Lease) -> Self {
        lease.0
    }
}

/// The addresses of one virtual router: 1 to 255, all of one family, none twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<IpAddr>", into = "Vec<IpAddr>")]
pub struct Addresses(Box<[IpAddr]>);

/// Why a list of addresses cannot be a virtual router's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressesError {
    /// The list is empty.
    #[error("a virtual router needs at least one address")]
    Empty,
    /// More than the wire's count can carry.
    #[error("a virtual router has at most 255 addresses, not {0}")]
    TooMany(usize),
    /// IPv4 and IPv6 together.
    #[error("a virtual router has addresses of one family: {0} and {1} differ; make two of it")]
    MixedFamilies(IpAddr, IpAddr),
    /// An address twice.
    #[error("the address {0} is listed twice")]
    Duplicate(IpAddr),
}

impl Addresses {
    /// Checks a list of addresses.
    ///
    /// # Errors
    /// If the list is empty, too long, of mixed families or has an address twice.
    pub fn new(addresses: Vec<IpAddr>) -> Result<Self, AddressesError> {
        let Some(&first) = addresses.first() else {
            return Err(AddressesError::Empty);
        };
        if addresses.len() > 255 {
            return Err(AddressesError::TooMany(addresses.len()));
        }
        for (i, &address) in addresses.iter().enumerate() {
            if Family::of(address) != Family::of(first) {
                return Err(AddressesError::MixedFamilies(first, address));
            }
            if addresses[..i].contains(&address) {
                return Err(AddressesError::Duplicate(address));
            }
        }
        Ok(Self(addresses.into_boxed_slice()))
    }

    /// The family that all addresses share.
    pub fn family(&self) -> Family {
        self.0.first().map_or(Family::Ipv4, |&address| Family::of(address))
    }

    /// The addresses in configured order.
    pub fn as_slice(&self) -> &[IpAddr] {
        &self.0
    }

    /// The addresses in configured order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = IpAddr> + '_ {
        self.0.iter().copied()
    }
}

impl TryFrom<Vec<IpAddr>> for Addresses {
    type Error = AddressesError;

    fn try_from(addresses: Vec<IpAddr>) -> Result<Self, Self::Error> {
        Self::new(addresses)
    }
}

impl From<Addresses> for Vec<IpAddr> {
    fn from(addresses: Addresses) -> Self {
        addresses.0.into_vec()
    }
}

impl fmt::Display for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, address) in self.iter().enumerate() {
            let separator = if i == 0 { "" } else { ", " };
            write!(f, "{separator}{address}")?;
        }
        Ok(())
    }
}
