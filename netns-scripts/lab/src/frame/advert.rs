//! VRRPv3 advertisements (RFC 9568, 5).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use pnet::packet::Packet;
use pnet::packet::ip::{IpNextHeaderProtocol, IpNextHeaderProtocols};
use pnet::packet::ipv4::Ipv4Packet;
use pnet::packet::ipv6::Ipv6Packet;
use pnet::util::{checksum, ipv4_checksum, ipv6_checksum};
use serde::Serialize;

use super::Ethernet;

/// IP protocol 112 (RFC 9568, 5.1.1.4).
const VRRP: IpNextHeaderProtocol = IpNextHeaderProtocols::Vrrp;
/// The checksum is the fourth 16 bit word of the message.
const CHECKSUM_WORD: usize = 3;
const FIXED: usize = 8;

/// A VRRPv3 advertisement (RFC 9568, 5.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Advert {
    /// The frame's addresses.
    pub ethernet: Ethernet,
    /// The IP source.
    pub source: IpAddr,
    /// The IP destination.
    pub destination: IpAddr,
    /// The IP TTL or hop limit, 255 if it is right.
    pub ttl: u8,
    /// Virtual Router Identifier.
    pub vrid: u8,
    /// Priority; 0 says that the Active is giving up.
    pub priority: u8,
    /// The four reserved bits.
    pub reserved: u8,
    /// Max Advertise Interval in centiseconds.
    pub interval: u16,
    /// The virtual addresses.
    pub addresses: Vec<IpAddr>,
    /// Which form of checksum it bears.
    pub checksum: Checksum,
    /// How many bytes of the message follow the addresses.
    pub trailing: usize,
}

/// What an advertisement's checksum covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Checksum {
    /// The message alone, as RFC 9568 has it for IPv4.
    Message,
    /// A pseudo-header too: IPv6, and keepalived's IPv4.
    PseudoHeader,
    /// Neither.
    Wrong,
}

impl Advert {
    pub(super) fn read_ipv4(ethernet: Ethernet, payload: &[u8]) -> Option<Self> {
        let ip = Ipv4Packet::new(payload)?;
        let whole = usize::from(ip.get_total_length());
        let is_whole = ip.get_header_length() >= 5 && payload.len() >= whole;
        if ip.get_next_level_protocol() != VRRP || !is_whole {
            return None;
        }
        let message = ip.payload();
        let (source, destination) = (ip.get_source(), ip.get_destination());
        let form = || {
            let found = found(message);
            let pseudo = ipv4_checksum(message, CHECKSUM_WORD, &[], &source, &destination, VRRP);
            if found == checksum(message, CHECKSUM_WORD) {
                Checksum::Message
            } else if found == pseudo {
                Checksum::PseudoHeader
            } else {
                Checksum::Wrong
            }
        };
        let ends = (source.into(), destination.into());
        Self::read(ethernet, ends, ip.get_ttl(), message, form)
    }

    pub(super) fn read_ipv6(ethernet: Ethernet, payload: &[u8]) -> Option<Self> {
        let ip = Ipv6Packet::new(payload)?;
        let length = usize::from(ip.get_payload_length());
        if ip.get_next_header() != VRRP || ip.payload().len() < length {
            return None;
        }
        let message = ip.payload();
        let (source, destination) = (ip.get_source(), ip.get_destination());
        let form = || {
            let pseudo = ipv6_checksum(message, CHECKSUM_WORD, &[], &source, &destination, VRRP);
            if found(message) == pseudo {
                Checksum::PseudoHeader
            } else if found(message) == checksum(message, CHECKSUM_WORD) {
                Checksum::Message
            } else {
                Checksum::Wrong
            }
        };
        let ends = (source.into(), destination.into());
        Self::read(ethernet, ends, ip.get_hop_limit(), message, form)
    }

    fn read(
        ethernet: Ethernet,
        (source, destination): (IpAddr, IpAddr),
        ttl: u8,
        message: &[u8],
        form: impl FnOnce() -> Checksum,
    ) -> Option<Self> {
        let &[version_type, vrid, priority, count, high, low, _, _] =
            message.first_chunk::<FIXED>()?;
        if version_type != 0x31 {
            return None;
        }
        let size = if source.is_ipv4() { 4 } else { 16 };
        let end = FIXED + size * usize::from(count);
        let addresses = message.get(FIXED..end)?.chunks_exact(size).filter_map(address);
        Some(Self {
            ethernet,
            source,
            destination,
            ttl,
            vrid,
            priority,
            reserved: high >> 4,
            interval: u16::from_be_bytes([high & 0x0f, low]),
            addresses: addresses.collect(),
            checksum: form(),
            trailing: message.len() - end,
        })
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let ipv4 = <[u8; 4]>::try_from(bytes).map(|bytes| Ipv4Addr::from(bytes).into());
    ipv4.or_else(|_| <[u8; 16]>::try_from(bytes).map(|bytes| Ipv6Addr::from(bytes).into())).ok()
}

/// The checksum in the message; 0, which no message has, where it is too short.
fn found(message: &[u8]) -> u16 {
    let bytes = message.get(6..8).and_then(<[u8]>::first_chunk);
    bytes.map_or(0, |&bytes| u16::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::super::{Frame, decode};
    use super::*;

    /// Ethernet, IPv4 (TTL 255, protocol 112, 10.51.0.11 to 224.0.0.18), and the message.
    fn ipv4(message: &[u8]) -> Vec<u8> {
        let mut bytes = vec![1, 0, 0x5e, 0, 0, 0x12, 2, 0, 0, 0, 0, 1, 8, 0];
        let length = u8::try_from(20 + message.len()).unwrap();
        bytes.extend([0x45, 0xc0, 0, length, 0, 0, 0, 0, 255, 112, 0, 0]);
        bytes.extend([10, 51, 0, 11, 224, 0, 0, 18]);
        bytes.extend(message);
        bytes
    }

    /// Ethernet, IPv6 (hop limit 255, next header 112, fe80::11 to ff02::12), and the message.
    fn ipv6(message: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x33, 0x33, 0, 0, 0, 0x12, 2, 0, 0, 0, 0, 1, 0x86, 0xdd];
        let length = u8::try_from(message.len()).unwrap();
        bytes.extend([0x60, 0, 0, 0, 0, length, 112, 255]);
        bytes.extend("fe80::11".parse::<Ipv6Addr>().unwrap().octets());
        bytes.extend("ff02::12".parse::<Ipv6Addr>().unwrap().octets());
        bytes.extend(message);
        bytes
    }

    /// VRID 51, priority 254, 1 s, 10.51.0.100; the checksum was worked out apart.
    const ADVERT: [u8; 12] = [0x31, 51, 254, 1, 0, 100, 0xc5, 0xcf, 10, 51, 0, 100];
    /// The same for fe80::100.
    const ADVERT_V6: [u8; 24] = [
        0x31, 51, 254, 1, 0, 100, 0xd2, 0xb6, 0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0,
    ];

    fn decoded(frame: &[u8]) -> Advert {
        match decode(frame) {
            Some(Frame::Advert(advert)) => advert,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_advert_is_read() {
        let advert = decoded(&ipv4(&ADVERT));
        assert_eq!(
            (advert.vrid, advert.priority, advert.interval, advert.ttl),
            (51, 254, 100, 255)
        );
        assert_eq!(advert.source, Ipv4Addr::new(10, 51, 0, 11));
        assert_eq!(advert.addresses, [Ipv4Addr::new(10, 51, 0, 100)]);
        assert_eq!(advert.checksum, Checksum::Message);
        assert_eq!((advert.reserved, advert.trailing), (0, 0));
    }

    #[test]
    fn an_ipv6_advert_is_read() {
        let advert = decoded(&ipv6(&ADVERT_V6));
        assert_eq!(
            (advert.vrid, advert.priority, advert.interval, advert.ttl),
            (51, 254, 100, 255)
        );
        assert_eq!(advert.source.to_string(), "fe80::11");
        assert_eq!(advert.destination.to_string(), "ff02::12");
        assert_eq!(advert.addresses, ["fe80::100".parse::<IpAddr>().unwrap()]);
        assert_eq!(advert.checksum, Checksum::PseudoHeader);
    }

    #[test]
    fn both_checksum_forms_are_told_apart() {
        let mut message = ADVERT;
        // Over 10.51.0.11, 224.0.0.18, 0, 112, 0, 12 too.
        message[6..8].copy_from_slice(&[0xdb, 0x02]);
        assert_eq!(decoded(&ipv4(&message)).checksum, Checksum::PseudoHeader);
        message[6] ^= 1;
        assert_eq!(decoded(&ipv4(&message)).checksum, Checksum::Wrong);
    }

    #[test]
    fn reserved_bits_and_trailing_bytes_are_seen() {
        let mut message = ADVERT.to_vec();
        message[4] = 0xf0;
        message.extend([1, 2, 3]);
        let advert = decoded(&ipv4(&message));
        assert_eq!((advert.reserved, advert.interval, advert.trailing), (15, 100, 3));
    }

    #[test]
    fn what_is_cut_short_is_no_advert() {
        for whole in [ipv4(&ADVERT), ipv6(&ADVERT_V6)] {
            for length in 0..whole.len() {
                assert_eq!(decode(&whole[..length]), None, "{length}");
            }
        }
    }
}
