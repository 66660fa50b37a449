//! Neighbor Solicitations and Advertisements (RFC 4861).

use std::net::Ipv6Addr;

use pnet::packet::Packet;
use pnet::packet::icmpv6::{Icmpv6Packet, Icmpv6Types, checksum};
use pnet::packet::ip::IpNextHeaderProtocols;
use pnet::packet::ipv6::Ipv6Packet;
use pnet::util::MacAddr;

use super::Ethernet;

/// Types of options (RFC 4861, 4.6.1).
const SOURCE_LINK_LAYER: u8 = 1;
const TARGET_LINK_LAYER: u8 = 2;

/// A Neighbor Solicitation or Advertisement with a right checksum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// The frame's addresses.
    pub ethernet: Ethernet,
    /// The IPv6 source.
    pub source: Ipv6Addr,
    /// The IPv6 destination.
    pub destination: Ipv6Addr,
    /// The hop limit, 255 if it is right.
    pub hop_limit: u8,
    /// Which of the two.
    pub discovery: Discovery,
    /// The address that it is about.
    pub target: Ipv6Addr,
    /// The source or target link-layer address option.
    pub link_layer: Option<MacAddr>,
}

/// What a Neighbor Discovery message does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discovery {
    /// It asks.
    Solicitation,
    /// It answers or announces.
    Advertisement {
        /// R: the sender is a router.
        router: bool,
        /// S: it answers a solicitation.
        solicited: bool,
        /// O: it replaces what is known.
        overriding: bool,
    },
}

impl Neighbour {
    pub(super) fn read(ethernet: Ethernet, payload: &[u8]) -> Option<Self> {
        let ip = Ipv6Packet::new(payload)?;
        if ip.get_next_header() != IpNextHeaderProtocols::Icmpv6
            || payload.len() < 40 + usize::from(ip.get_payload_length())
        {
            return None;
        }
        let (source, destination) = (ip.get_source(), ip.get_destination());
        let icmp = Icmpv6Packet::new(ip.payload())?;
        if icmp.get_checksum() != checksum(&icmp, &source, &destination) {
            return None;
        }
        let (&[_, _, _, _, flags, _, _, _], rest) = ip.payload().split_first_chunk()?;
        let (&target, options) = rest.split_first_chunk::<16>()?;
        let (discovery, option) = match icmp.get_icmpv6_type() {
            Icmpv6Types::NeighborSolicit => (Discovery::Solicitation, SOURCE_LINK_LAYER),
            Icmpv6Types::NeighborAdvert => {
                let discovery = Discovery::Advertisement {
                    router: flags & 0x80 != 0,
                    solicited: flags & 0x40 != 0,
                    overriding: flags & 0x20 != 0,
                };
                (discovery, TARGET_LINK_LAYER)
            }
            _ => return None,
        };
        let hop_limit = ip.get_hop_limit();
        let link_layer = link_layer(options, option);
        let target = target.into();
        Some(Self { ethernet, source, destination, hop_limit, discovery, target, link_layer })
    }

    /// Whether it announces an address to all, unasked.
    pub fn is_unsolicited(&self) -> bool {
        matches!(self.discovery, Discovery::Advertisement { solicited: false, .. })
    }
}

/// The first option of this type: its type, its length in units of 8 bytes, the address.
fn link_layer(mut options: &[u8], wanted: u8) -> Option<MacAddr> {
    loop {
        let &[kind, length, a, b, c, d, e, f] = options.first_chunk()?;
        if kind == wanted {
            return Some(MacAddr::new(a, b, c, d, e, f));
        }
        options = options.get(8 * usize::from(length.max(1))..)?;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic)]
    use super::super::{Frame, decode};
    use super::*;

    /// Unsolicited, from fe80::11 to ff02::1, for fe80::100 at 00:00:5e:00:02:33, R and O set.
    fn frame() -> Vec<u8> {
        let mut bytes = vec![0x33, 0x33, 0, 0, 0, 1, 0, 0, 0x5e, 0, 2, 51, 0x86, 0xdd];
        bytes.extend([0x60, 0, 0, 0, 0, 32, 58, 255]);
        bytes.extend("fe80::11".parse::<Ipv6Addr>().map_or([0; 16], |it| it.octets()));
        bytes.extend("ff02::1".parse::<Ipv6Addr>().map_or([0; 16], |it| it.octets()));
        // The checksum was worked out apart.
        bytes.extend([136, 0, 0x78, 0x59, 0xa0, 0, 0, 0]);
        bytes.extend("fe80::100".parse::<Ipv6Addr>().map_or([0; 16], |it| it.octets()));
        bytes.extend([2, 1, 0, 0, 0x5e, 0, 2, 51]);
        bytes
    }

    #[test]
    fn an_announcement_is_read() {
        let Some(Frame::Neighbour(announcement)) = decode(&frame()) else { panic!("none") };
        assert!(announcement.is_unsolicited());
        assert_eq!(
            announcement.discovery,
            Discovery::Advertisement { router: true, solicited: false, overriding: true }
        );
        assert_eq!(announcement.target.to_string(), "fe80::100");
        assert_eq!(announcement.link_layer, Some(MacAddr::new(0, 0, 0x5e, 0, 2, 51)));
        assert_eq!(announcement.hop_limit, 255);
    }

    #[test]
    fn what_is_cut_short_or_damaged_is_none() {
        let whole = frame();
        for length in 0..whole.len() {
            assert_eq!(decode(&whole[..length]), None, "{length}");
        }
        for byte in 54..whole.len() {
            let mut damaged = whole.clone();
            damaged[byte] ^= 1;
            assert_eq!(decode(&damaged), None, "{byte}");
        }
    }
}
