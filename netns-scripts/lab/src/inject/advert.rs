//! An advertisement, right until something is set that is wrong.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use pnet::packet::ip::IpNextHeaderProtocols;
use pnet::util::{MacAddr, checksum, ipv4_checksum, ipv6_checksum};

use super::{Header, IPV4, IPV6, ethernet, group_mac, ipv4, ipv6, low_byte};
use crate::Ethernet;

/// Where adverts go (RFC 9568, 5.1.1.2 and 5.1.2.2).
const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);
const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12);

const CHECKSUM_AT: usize = 6;
const CHECKSUM_WORD: usize = 3;
const VRRP: u8 = 112;
/// IPv6 hop-by-hop options.
const HOP_BY_HOP: u8 = 0;

/// Which checksum is put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sum {
    /// Over the message alone (RFC 9568, 5.2.8, for IPv4).
    Message,
    /// Over a pseudo-header too: right for IPv6, and what keepalived sends over IPv4.
    PseudoHeader,
    /// The right one plus this.
    Off(u16),
    /// This.
    Fixed(u16),
}

/// A frame with an advertisement (RFC 9568, 5). All fields may be set to anything.
#[derive(Clone, Debug)]
pub struct AdvertFrame {
    /// The frame's addresses.
    pub ethernet: Ethernet,
    /// The IP source.
    pub source: IpAddr,
    /// The IP destination; the family of `source`.
    pub destination: IpAddr,
    /// TTL or hop limit.
    pub ttl: u8,
    /// IP protocol or next header.
    pub protocol: u8,
    /// IPv4 options, or IPv6 hop-by-hop options as a whole extension header but for its first byte,
    /// which is filled in.
    pub options: Vec<u8>,
    /// Version, 4 bits.
    pub version: u8,
    /// Type, 4 bits.
    pub kind: u8,
    /// Virtual Router Identifier.
    pub vrid: u8,
    /// Priority.
    pub priority: u8,
    /// The address count; `None` is as many as there are.
    pub count: Option<u8>,
    /// The reserved bits.
    pub reserved: u8,
    /// Max Advertise Interval in centiseconds, 12 bits.
    pub interval: u16,
    /// The addresses.
    pub addresses: Vec<IpAddr>,
    /// What follows the addresses; the checksum covers it.
    pub trailing: Vec<u8>,
    /// The message ends after so many bytes; the checksum covers what is left.
    pub cut: Option<usize>,
    /// The checksum.
    pub sum: Sum,
    /// Bytes behind the IP packet, as Ethernet pads short frames.
    pub padding: usize,
}

impl AdvertFrame {
    /// A right one of priority 100 each second: to the group, from the Ethernet address `mac`.
    pub fn new(mac: MacAddr, source: IpAddr, vrid: u8, addresses: &[IpAddr]) -> Self {
        let (destination, sum) = match source {
            IpAddr::V4(_) => (IpAddr::V4(GROUP_V4), Sum::Message),
            IpAddr::V6(_) => (IpAddr::V6(GROUP_V6), Sum::PseudoHeader),
        };
        Self {
            ethernet: Ethernet { source: mac, destination: group_mac(destination) },
            source,
            destination,
            ttl: 255,
            protocol: VRRP,
            options: Vec::new(),
            version: 3,
            kind: 1,
            vrid,
            priority: 100,
            count: None,
            reserved: 0,
            interval: 100,
            addresses: addresses.to_vec(),
            trailing: Vec::new(),
            cut: None,
            sum,
            padding: 0,
        }
    }

    /// The VRRP message.
    pub fn message(&self) -> Vec<u8> {
        let [high, low] = self.interval.to_be_bytes();
        let count = self.count.unwrap_or_else(|| low_byte(self.addresses.len()));
        let first = self.version << 4 | self.kind & 0x0f;
        let interval = self.reserved << 4 | high & 0x0f;
        let mut message = vec![first, self.vrid, self.priority, count, interval, low, 0, 0];
        for address in &self.addresses {
            match address {
                IpAddr::V4(address) => message.extend(address.octets()),
                IpAddr::V6(address) => message.extend(address.octets()),
            }
        }
        message.extend(&self.trailing);
        message.truncate(self.cut.unwrap_or(usize::MAX));
        let sum = self.checksum(&message);
        if let Some(place) = message.get_mut(CHECKSUM_AT..CHECKSUM_AT + 2) {
            place.copy_from_slice(&sum.to_be_bytes());
        }
        message
    }

    fn checksum(&self, message: &[u8]) -> u16 {
        if message.len() < CHECKSUM_AT + 2 {
            return 0;
        }
        let protocol = IpNextHeaderProtocols::Vrrp;
        let with_pseudo_header = || match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                ipv4_checksum(message, CHECKSUM_WORD, &[], &source, &destination, protocol)
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                ipv6_checksum(message, CHECKSUM_WORD, &[], &source, &destination, protocol)
            }
            _ => 0,
        };
        match self.sum {
            Sum::Message => checksum(message, CHECKSUM_WORD),
            Sum::PseudoHeader => with_pseudo_header(),
            Sum::Off(by) if self.source.is_ipv4() => {
                checksum(message, CHECKSUM_WORD).wrapping_add(by)
            }
            Sum::Off(by) => with_pseudo_header().wrapping_add(by),
            Sum::Fixed(sum) => sum,
        }
    }

    /// The whole frame. Empty if source and destination are of two families.
    pub fn bytes(&self) -> Vec<u8> {
        self.carrying(&self.message())
    }

    /// The frame with another message.
    pub fn carrying(&self, message: &[u8]) -> Vec<u8> {
        let mut options = self.options.clone();
        let mut header = Header { ttl: self.ttl, protocol: self.protocol, options: &[] };
        let (kind, packet) = match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                header.options = &options;
                (IPV4, ipv4(header, source, destination, message))
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                if let Some(next_header) = options.first_mut() {
                    *next_header = self.protocol;
                    header.protocol = HOP_BY_HOP;
                }
                header.options = &options;
                (IPV6, ipv6(header, source, destination, message))
            }
            _ => return Vec::new(),
        };
        let mut frame = ethernet(self.ethernet, kind);
        frame.extend(packet);
        frame.resize(frame.len() + self.padding, 0);
        frame
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use crate::{Advert, Checksum, Frame, decode};

    const MAC: MacAddr = MacAddr(2, 0, 0, 0, 0, 1);

    fn right(family: &str) -> AdvertFrame {
        let (source, address) = match family {
            "ipv4" => ("10.51.0.11", "10.51.0.100"),
            _ => ("fe80::11", "fe80::100"),
        };
        AdvertFrame::new(MAC, source.parse().unwrap(), 51, &[address.parse().unwrap()])
    }

    fn read(frame: &AdvertFrame) -> Advert {
        match decode(&frame.bytes()) {
            Some(Frame::Advert(advert)) => advert,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for (family, checksum) in [("ipv4", Checksum::Message), ("ipv6", Checksum::PseudoHeader)] {
            let frame = AdvertFrame { trailing: vec![7; 5], reserved: 3, ..right(family) };
            let advert = read(&frame);
            assert_eq!(advert.ethernet, frame.ethernet);
            assert_eq!((advert.source, advert.destination), (frame.source, frame.destination));
            assert_eq!((advert.ttl, advert.vrid, advert.priority), (255, 51, 100));
            assert_eq!((advert.interval, advert.reserved, advert.trailing), (100, 3, 5));
            assert_eq!(advert.addresses, frame.addresses);
            assert_eq!(advert.checksum, checksum);
        }
    }

    #[test]
    fn checksums_are_as_asked() {
        let with = |family, sum| read(&AdvertFrame { sum, ..right(family) }).checksum;
        assert_eq!(with("ipv4", Sum::PseudoHeader), Checksum::PseudoHeader);
        assert_eq!(with("ipv6", Sum::Message), Checksum::Message);
        for family in ["ipv4", "ipv6"] {
            assert_eq!(with(family, Sum::Off(1)), Checksum::Wrong);
            assert_eq!(with(family, Sum::Fixed(0)), Checksum::Wrong);
        }
    }

    #[test]
    fn the_groups_have_their_ethernet_addresses() {
        assert_eq!(right("ipv4").ethernet.destination.to_string(), "01:00:5e:00:00:12");
        assert_eq!(right("ipv6").ethernet.destination.to_string(), "33:33:00:00:00:12");
    }

    #[test]
    fn a_message_can_be_cut_and_padded_behind_the_packet() {
        let frame = AdvertFrame { cut: Some(3), padding: 9, ..right("ipv4") };
        assert_eq!(frame.message().len(), 3);
        assert_eq!(frame.bytes().len(), 14 + 20 + 3 + 9);
        assert_eq!(frame.bytes()[16..18], [0, 23]);
    }
}
