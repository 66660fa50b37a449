//! Reads VRRP advertisements and ARP from Ethernet frames, with pnet and not with mainstay's own
//! decoder.

use std::net::Ipv4Addr;

use pnet::packet::Packet;
use pnet::packet::arp::{ArpOperations, ArpPacket};
use pnet::packet::ethernet::{EtherTypes, EthernetPacket};
use pnet::packet::ip::{IpNextHeaderProtocol, IpNextHeaderProtocols};
use pnet::packet::ipv4::Ipv4Packet;
use pnet::util::{MacAddr, checksum, ipv4_checksum};
use serde::Serialize;

/// IP protocol 112 (RFC 9568, 5.1.1.4).
const VRRP: IpNextHeaderProtocol = IpNextHeaderProtocols::Vrrp;
/// The checksum is the fourth 16 bit word of the message.
const CHECKSUM_WORD: usize = 3;

/// A frame that the lab cares about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A VRRPv3 advertisement over IPv4.
    Advert(Advert),
    /// ARP for IPv4.
    Arp(Arp),
}

/// A VRRPv3 advertisement (RFC 9568, 5.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Advert {
    /// The IP source.
    pub source: Ipv4Addr,
    /// The IP TTL, 255 if it is right.
    pub ttl: u8,
    /// Virtual Router Identifier.
    pub vrid: u8,
    /// Priority; 0 says that the Active is giving up.
    pub priority: u8,
    /// Max Advertise Interval in centiseconds.
    pub interval: u16,
    /// The virtual addresses.
    pub addresses: Vec<Ipv4Addr>,
    /// Which form of checksum it bears.
    pub checksum: Checksum,
}

/// What an advertisement's checksum covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Checksum {
    /// The message alone, as RFC 9568 has it.
    Message,
    /// A pseudo-header too, as keepalived has it.
    PseudoHeader,
    /// Neither.
    Wrong,
}

/// Request or reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArpOperation {
    /// Operation 1.
    Request,
    /// Operation 2.
    Reply,
}

/// An ARP packet for IPv4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arp {
    /// Request or reply.
    pub operation: ArpOperation,
    /// Sender hardware address.
    pub sender_mac: MacAddr,
    /// Sender protocol address.
    pub sender: Ipv4Addr,
    /// Target protocol address.
    pub target: Ipv4Addr,
}

impl Arp {
    /// Whether it announces the sender instead of asking for or answering another.
    pub fn is_gratuitous(&self) -> bool {
        self.sender == self.target
    }
}

/// Reads an Ethernet frame. `None` if it is neither ARP nor a well-formed VRRPv3 advertisement.
pub fn decode(bytes: &[u8]) -> Option<Frame> {
    let ethernet = EthernetPacket::new(bytes)?;
    match ethernet.get_ethertype() {
        EtherTypes::Arp => arp(ethernet.payload()).map(Frame::Arp),
        EtherTypes::Ipv4 => advert(ethernet.payload()).map(Frame::Advert),
        _ => None,
    }
}

fn arp(payload: &[u8]) -> Option<Arp> {
    let packet = ArpPacket::new(payload)?;
    let operation = match packet.get_operation() {
        ArpOperations::Request => ArpOperation::Request,
        ArpOperations::Reply => ArpOperation::Reply,
        _ => return None,
    };
    Some(Arp {
        operation,
        sender_mac: packet.get_sender_hw_addr(),
        sender: packet.get_sender_proto_addr(),
        target: packet.get_target_proto_addr(),
    })
}

fn advert(payload: &[u8]) -> Option<Advert> {
    let ip = Ipv4Packet::new(payload)?;
    let message = ip.payload();
    let [version_type, vrid, priority, count, interval_high, interval_low, _, _] =
        *message.first_chunk::<8>()?;
    if ip.get_next_level_protocol() != VRRP || version_type != 0x31 {
        return None;
    }
    let addresses = message.get(8..8 + 4 * usize::from(count))?;
    Some(Advert {
        source: ip.get_source(),
        ttl: ip.get_ttl(),
        vrid,
        priority,
        interval: u16::from_be_bytes([interval_high & 0x0f, interval_low]),
        addresses: addresses
            .chunks_exact(4)
            .map(|a| Ipv4Addr::new(a[0], a[1], a[2], a[3]))
            .collect(),
        checksum: checksum_form(&ip, message),
    })
}

fn checksum_form(ip: &Ipv4Packet, message: &[u8]) -> Checksum {
    let Some(&[high, low]) = message.get(6..8).and_then(<[u8]>::first_chunk) else {
        return Checksum::Wrong;
    };
    let found = u16::from_be_bytes([high, low]);
    let (source, destination) = (ip.get_source(), ip.get_destination());
    if found == checksum(message, CHECKSUM_WORD) {
        Checksum::Message
    } else if found == ipv4_checksum(message, CHECKSUM_WORD, &[], &source, &destination, VRRP) {
        Checksum::PseudoHeader
    } else {
        Checksum::Wrong
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    /// Ethernet, IPv4 (TTL 255, protocol 112, 10.51.0.11 to 224.0.0.18), and the message.
    fn frame(message: &[u8]) -> Vec<u8> {
        let mut bytes = vec![1, 0, 0x5e, 0, 0, 0x12, 2, 0, 0, 0, 0, 1, 8, 0];
        let length = u8::try_from(20 + message.len()).unwrap();
        bytes.extend([0x45, 0xc0, 0, length, 0, 0, 0, 0, 255, 112, 0, 0]);
        bytes.extend([10, 51, 0, 11, 224, 0, 0, 18]);
        bytes.extend(message);
        bytes
    }

    /// VRID 51, priority 254, 1 s, 10.51.0.100; the checksum was worked out apart.
    const ADVERT: [u8; 12] = [0x31, 51, 254, 1, 0, 100, 0xc5, 0xcf, 10, 51, 0, 100];

    fn decoded(message: &[u8]) -> Advert {
        match decode(&frame(message)) {
            Some(Frame::Advert(advert)) => advert,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_advert_is_read() {
        let advert = decoded(&ADVERT);
        assert_eq!(
            (advert.vrid, advert.priority, advert.interval, advert.ttl),
            (51, 254, 100, 255)
        );
        assert_eq!(advert.source, Ipv4Addr::new(10, 51, 0, 11));
        assert_eq!(advert.addresses, [Ipv4Addr::new(10, 51, 0, 100)]);
        assert_eq!(advert.checksum, Checksum::Message);
    }

    #[test]
    fn both_checksum_forms_are_told_apart() {
        let mut message = ADVERT;
        // Over 10.51.0.11, 224.0.0.18, 0, 112, 0, 12 too.
        message[6..8].copy_from_slice(&[0xdb, 0x02]);
        assert_eq!(decoded(&message).checksum, Checksum::PseudoHeader);
        message[6] ^= 1;
        assert_eq!(decoded(&message).checksum, Checksum::Wrong);
    }

    #[test]
    fn what_is_cut_short_is_no_advert() {
        let whole = frame(&ADVERT);
        for length in 0..whole.len() {
            assert_eq!(decode(&whole[..length]), None, "{length}");
        }
    }

    #[test]
    fn gratuitous_arp_is_known() {
        let mut bytes = vec![0xff; 6];
        bytes.extend([2, 0, 0, 0, 0, 1, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1]);
        bytes.extend([10, 51, 0, 100, 0, 0, 0, 0, 0, 0, 10, 51, 0, 100]);
        let Some(Frame::Arp(arp)) = decode(&bytes) else { panic!("no ARP") };
        assert!(arp.is_gratuitous());
        assert_eq!(arp.sender_mac, MacAddr::new(2, 0, 0, 0, 0, 1));
    }
}
