//! ARP, Neighbor Discovery and pings, as a neighbour sends them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use pnet::packet::icmpv6::{Icmpv6Packet, checksum as icmpv6_checksum};
use pnet::util::{MacAddr, checksum};

use super::{Header, IPV4, IPV6, ethernet, group_mac, ipv4, ipv6};
use crate::{ArpOperation, Ethernet};

const ARP: u16 = 0x0806;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// An ARP packet of `mac`; a gratuitous one if `sender` is `target`, a probe if `sender` is
/// 0.0.0.0.
pub fn arp(
    operation: ArpOperation,
    addresses: Ethernet,
    sender: Ipv4Addr,
    target: Ipv4Addr,
) -> Vec<u8> {
    let mut frame = ethernet(addresses, ARP);
    let code = match operation {
        ArpOperation::Request => 1,
        ArpOperation::Reply => 2,
    };
    frame.extend([0, 1, 8, 0, 6, 4, 0, code]);
    frame.extend(addresses.source.octets());
    frame.extend(sender.octets());
    frame.extend([0; 6]);
    frame.extend(target.octets());
    frame
}

/// A Neighbor Solicitation of `mac` to the solicited-node group of `target`; one of duplicate
/// address detection if `source` is `::`.
pub fn neighbour_solicitation(mac: MacAddr, source: Ipv6Addr, target: Ipv6Addr) -> Vec<u8> {
    let [.., a, b, c] = target.octets();
    let group =
        Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), u16::from_be_bytes([b, c]));
    let addresses = Ethernet { source: mac, destination: group_mac(IpAddr::V6(group)) };
    let mut message = vec![SOLICITATION, 0, 0, 0, 0, 0, 0, 0];
    message.extend(target.octets());
    if !source.is_unspecified() {
        message.extend([1, 1]);
        message.extend(mac.octets());
    }
    icmpv6(addresses, source, group, message)
}

/// An unsolicited Neighbor Advertisement of `mac` for `target` to all nodes, with O set.
pub fn neighbour_advertisement(mac: MacAddr, source: Ipv6Addr, target: Ipv6Addr) -> Vec<u8> {
    let addresses = Ethernet { source: mac, destination: group_mac(IpAddr::V6(ALL_NODES)) };
    let mut message = vec![ADVERTISEMENT, 0, 0, 0, 0x20, 0, 0, 0];
    message.extend(target.octets());
    message.extend([2, 1]);
    message.extend(mac.octets());
    icmpv6(addresses, source, ALL_NODES, message)
}

/// A ping. Empty if the addresses are of two families.
pub fn echo_request(addresses: Ethernet, source: IpAddr, destination: IpAddr) -> Vec<u8> {
    let body = [0, 0x51, 0, 1, 1, 2, 3, 4];
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let mut message = vec![8, 0, 0, 0];
            message.extend(body);
            let sum = checksum(&message, 1);
            message[2..4].copy_from_slice(&sum.to_be_bytes());
            let header = Header { ttl: 64, protocol: ICMP, options: &[] };
            let mut frame = ethernet(addresses, IPV4);
            frame.extend(ipv4(header, source, destination, &message));
            frame
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let mut message = vec![128, 0, 0, 0];
            message.extend(body);
            icmpv6(addresses, source, destination, message)
        }
        _ => Vec::new(),
    }
}

fn icmpv6(
    addresses: Ethernet,
    source: Ipv6Addr,
    destination: Ipv6Addr,
    mut message: Vec<u8>,
) -> Vec<u8> {
    let sum = Icmpv6Packet::new(&message)
        .map_or(0, |packet| icmpv6_checksum(&packet, &source, &destination));
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let header = Header { ttl: 255, protocol: ICMPV6, options: &[] };
    let mut frame = ethernet(addresses, IPV6);
    frame.extend(ipv6(header, source, destination, &message));
    frame
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use crate::{Discovery, Frame, decode};

    const MAC: MacAddr = MacAddr(2, 0, 0, 0, 0, 1);

    #[test]
    fn a_solicitation_is_read_back() {
        let (source, target) = ("fe80::1".parse().unwrap(), "fe80::12:3456".parse().unwrap());
        let frame = neighbour_solicitation(MAC, source, target);
        let Some(Frame::Neighbour(read)) = decode(&frame) else { panic!("none") };
        assert_eq!(read.discovery, Discovery::Solicitation);
        assert_eq!(read.destination.to_string(), "ff02::1:ff12:3456");
        assert_eq!(read.ethernet.destination.to_string(), "33:33:ff:12:34:56");
        assert_eq!((read.target, read.link_layer), (target, Some(MAC)));
    }

    #[test]
    fn an_announcement_is_read_back() {
        let target = "fe80::100".parse().unwrap();
        let frame = neighbour_advertisement(MAC, "fe80::1".parse().unwrap(), target);
        let Some(Frame::Neighbour(read)) = decode(&frame) else { panic!("none") };
        assert!(read.is_unsolicited());
        assert_eq!((read.target, read.link_layer), (target, Some(MAC)));
    }

    #[test]
    fn gratuitous_arp_is_read_back() {
        let addresses = Ethernet { source: MAC, destination: MacAddr::broadcast() };
        let vip = Ipv4Addr::new(10, 51, 0, 100);
        let Some(Frame::Arp(read)) = decode(&arp(ArpOperation::Reply, addresses, vip, vip)) else {
            panic!("none")
        };
        assert!(read.is_gratuitous());
        assert_eq!(read.sender_mac, MAC);
    }
}
