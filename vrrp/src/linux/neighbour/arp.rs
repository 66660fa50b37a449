//! ARP as bytes (RFC 826, RFC 5227).

use core::net::Ipv4Addr;

use etherparse::{
    ArpEthIpv4Packet, ArpHardwareId, ArpOperation, ArpPacketSlice, EtherType, Ethernet2Header,
};

use super::{Claim, Heard};

/// A request on Ethernet, before padding.
const FRAME_LEN: usize = Ethernet2Header::LEN + ArpEthIpv4Packet::LEN;
const BROADCAST: [u8; 6] = [0xff; 6];

/// Gratuitous ARP (RFC 9568, 6.4.1).
///
/// A request, as the RFC says, and not a reply, which some hosts ignore when they have not asked
/// (RFC 5227, 3): Linux updates its cache from either.
pub(super) fn announcement(mac: [u8; 6], address: Ipv4Addr) -> [u8; FRAME_LEN] {
    request(mac, address, address)
}

/// An ARP Probe (RFC 5227, 1.1): asks without claiming.
pub(super) fn probe(mac: [u8; 6], address: Ipv4Addr) -> [u8; FRAME_LEN] {
    request(mac, Ipv4Addr::UNSPECIFIED, address)
}

/// A broadcast ARP request.
fn request(mac: [u8; 6], sender: Ipv4Addr, target: Ipv4Addr) -> [u8; FRAME_LEN] {
    let ethernet =
        Ethernet2Header { source: mac, destination: BROADCAST, ether_type: EtherType::ARP };
    let arp = ArpEthIpv4Packet {
        operation: ArpOperation::REQUEST,
        sender_mac: mac,
        sender_ipv4: sender.octets(),
        target_mac: [0; 6],
        target_ipv4: target.octets(),
    };
    let mut frame = [0; FRAME_LEN];
    frame[..Ethernet2Header::LEN].copy_from_slice(&ethernet.to_bytes());
    frame[Ethernet2Header::LEN..].copy_from_slice(&arp.to_bytes());
    frame
}

/// Reads a packet from its ARP header on. `None` if it is not ARP for IPv4 over Ethernet.
pub(super) fn decode(packet: &[u8]) -> Option<Heard> {
    let arp = ArpPacketSlice::from_slice(packet).ok()?;
    if arp.hw_addr_type() != ArpHardwareId::ETHERNET || arp.proto_addr_type() != EtherType::IPV4 {
        return None;
    }
    let sender: [u8; 4] = arp.sender_protocol_addr().try_into().ok()?;
    let target: [u8; 4] = arp.target_protocol_addr().try_into().ok()?;
    let mac = arp.sender_hw_addr().try_into().ok()?;
    let sender = Ipv4Addr::from(sender);
    Some(if sender.is_unspecified() {
        Heard { address: target.into(), mac, claim: Claim::Probes }
    } else {
        Heard { address: sender.into(), mac, claim: Claim::Has }
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use pnet::datalink::MacAddr;

    use super::*;

    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
    const VIP: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 10);

    /// RFC 9568, 6.4.1: broadcast, sender = target = the virtual address. Read by pnet.
    #[test]
    fn the_announcement_is_a_broadcast_gratuitous_request() {
        use pnet::packet::Packet;
        use pnet::packet::arp::{ArpOperations, ArpPacket};
        use pnet::packet::ethernet::{EtherTypes, EthernetPacket};

        let frame = announcement(MAC, VIP);
        let ethernet = EthernetPacket::new(&frame).unwrap();
        assert_eq!(ethernet.get_destination(), MacAddr::broadcast());
        assert_eq!(ethernet.get_source(), MacAddr::from(MAC));
        assert_eq!(ethernet.get_ethertype(), EtherTypes::Arp);
        let arp = ArpPacket::new(ethernet.payload()).unwrap();
        assert_eq!(arp.get_operation(), ArpOperations::Request);
        assert_eq!(arp.get_sender_hw_addr(), MacAddr::from(MAC));
        assert_eq!(arp.get_sender_proto_addr(), VIP);
        assert_eq!(arp.get_target_proto_addr(), VIP);
        assert_eq!(arp.get_target_hw_addr(), MacAddr::zero());
    }

    #[test]
    fn the_sender_of_an_arp_packet_is_read() {
        let address = VIP.into();
        let frame = announcement(MAC, VIP);
        let heard = decode(&frame[Ethernet2Header::LEN..]);
        assert_eq!(heard, Some(Heard { address, mac: MAC, claim: Claim::Has }));
        let frame = probe(MAC, VIP);
        let heard = decode(&frame[Ethernet2Header::LEN..]);
        assert_eq!(heard, Some(Heard { address, mac: MAC, claim: Claim::Probes }));
    }

    #[test]
    fn other_or_cut_off_arp_is_nothing() {
        let frame = announcement(MAC, VIP);
        let arp = &frame[Ethernet2Header::LEN..];
        for length in 0..arp.len() {
            assert_eq!(decode(&arp[..length]), None);
        }
        let mut infiniband = arp.to_vec();
        infiniband[1] = 32;
        assert_eq!(decode(&infiniband), None);
    }
}
