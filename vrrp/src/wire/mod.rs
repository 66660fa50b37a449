//! Advertisements as bytes (RFC 9568, 5): a checked view for reading, an emitter for sending.
//!
//! Reading never panics and never allocates; whatever is wrong with a packet has one
//! [`DropReason`], so that each can be counted apart.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::{Family, Vrid};

mod advert;
mod checksum;
mod outgoing;
mod reason;

pub use advert::Advert;
pub use checksum::ChecksumForm;
pub use outgoing::Outgoing;
pub use reason::DropReason;

/// IP protocol number and next header of VRRP (RFC 9568, 5.1.1.4 and 5.1.2.4).
pub const PROTOCOL: u8 = 112;
/// TTL and hop limit of every advertisement (RFC 9568, 5.1.1.3 and 5.1.2.3).
pub const TTL: u8 = 255;
/// The IPv4 group of all VRRP routers (RFC 9568, 5.1.1.2).
pub const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);
/// The IPv6 group of all VRRP routers (RFC 9568, 5.1.2.2).
pub const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12);
/// The bytes of the largest advertisement: IPv6 with 255 addresses.
pub const MAX_LEN: usize =
    IPV6_HEADER_LEN + FIXED_LEN + MOST_ADDRESSES * Family::Ipv6.address_len();

/// Version 3, type 1 (RFC 9568, 5.2.1 and 5.2.2).
const VERSION_AND_TYPE: u8 = 0x31;
const FIXED_LEN: usize = 8;
const MOST_ADDRESSES: usize = 255;
const IPV4_HEADER_LEN: usize = 20;
const IPV6_HEADER_LEN: usize = 40;
const CHECKSUM_AT: usize = 6;

/// The group of all VRRP routers (RFC 9568, 5.1.1.2 and 5.1.2.2).
pub const fn group(family: Family) -> IpAddr {
    match family {
        Family::Ipv4 => IpAddr::V4(GROUP_V4),
        Family::Ipv6 => IpAddr::V6(GROUP_V6),
    }
}

/// The virtual router MAC address (RFC 9568, 7.3).
pub const fn virtual_mac(family: Family, vrid: Vrid) -> [u8; 6] {
    let kind = match family {
        Family::Ipv4 => 1,
        Family::Ipv6 => 2,
    };
    [0x00, 0x00, 0x5e, 0x00, kind, vrid.get()]
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
