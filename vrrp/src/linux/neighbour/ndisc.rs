//! Neighbour discovery as bytes (RFC 4861).

use core::net::Ipv6Addr;

use etherparse::icmpv6::{
    Icmpv6PayloadSlice, NdpOptionSlice, NdpOptionsIterator, NeighborAdvertisementHeader,
};
use etherparse::{
    EtherType, Ethernet2Header, Icmpv6Header, Icmpv6Slice, Icmpv6Type, IpNumber, Ipv6Header,
    Ipv6HeaderSlice,
};

use super::{Claim, Heard};

/// RFC 4861, 7.1: proof that a message was sent on this link.
const HOP_LIMIT: u8 = 255;
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const TARGET_LEN: usize = 16;
/// Target Link-Layer Address: type 2, length 1 (8 bytes), an Ethernet address.
const TARGET_LINK_LAYER_ADDRESS: [u8; 2] = [2, 1];
const OPTION_LEN: usize = 8;
const PAYLOAD_AT: usize = Ethernet2Header::LEN + Ipv6Header::LEN + Icmpv6Header::MIN_LEN;
const ADVERTISEMENT_LEN: usize = PAYLOAD_AT + TARGET_LEN + OPTION_LEN;
const SOLICITATION_LEN: usize = PAYLOAD_AT + TARGET_LEN;

/// The longest frame made here.
pub(super) const MAX_FRAME_LEN: usize = ADVERTISEMENT_LEN;

/// An unsolicited advertisement to all nodes with R and O set and S clear, the target link-layer
/// address being `mac` (RFC 9568, 6.4.1).
pub(super) fn announcement(
    mac: [u8; 6],
    source: Ipv6Addr,
    address: Ipv6Addr,
) -> [u8; ADVERTISEMENT_LEN] {
    let flags = NeighborAdvertisementHeader { router: true, solicited: false, r#override: true };
    let mut payload = [0; TARGET_LEN + OPTION_LEN];
    let (target, option) = payload.split_at_mut(TARGET_LEN);
    target.copy_from_slice(&address.octets());
    option[..2].copy_from_slice(&TARGET_LINK_LAYER_ADDRESS);
    option[2..].copy_from_slice(&mac);
    frame(mac, source, ALL_NODES, Icmpv6Type::NeighborAdvertisement(flags), &payload)
}

/// A solicitation as for duplicate address detection (RFC 4862, 5.4.2): its owner answers to all
/// nodes, and it claims nothing.
pub(super) fn probe(mac: [u8; 6], address: Ipv6Addr) -> [u8; SOLICITATION_LEN] {
    let group = solicited_node_group(address);
    let kind = Icmpv6Type::NeighborSolicitation;
    frame(mac, Ipv6Addr::UNSPECIFIED, group, kind, &address.octets())
}

/// RFC 4291, 2.7.1.
fn solicited_node_group(address: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b, c] = address.octets();
    Ipv6Addr::from([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c])
}

/// A message to a group; `N` is the length of it all.
fn frame<const N: usize>(
    mac: [u8; 6],
    source: Ipv6Addr,
    group: Ipv6Addr,
    kind: Icmpv6Type,
    payload: &[u8],
) -> [u8; N] {
    // RFC 2464, 7.
    let [.., a, b, c, d] = group.octets();
    let ethernet = Ethernet2Header {
        source: mac,
        destination: [0x33, 0x33, a, b, c, d],
        ether_type: EtherType::IPV6,
    };
    let ip = Ipv6Header {
        payload_length: u16::try_from(Icmpv6Header::MIN_LEN + payload.len()).unwrap_or(0),
        next_header: IpNumber::IPV6_ICMP,
        hop_limit: HOP_LIMIT,
        source: source.octets(),
        destination: group.octets(),
        ..Ipv6Header::default()
    };
    // Fails only for a payload of 4 GiB.
    let checksum = kind.calc_checksum(ip.source, ip.destination, payload).unwrap_or(0);
    let icmp = Icmpv6Header { icmp_type: kind, checksum };
    let mut frame = [0; N];
    let (start, end) = frame.split_at_mut(PAYLOAD_AT);
    let (start, icmp_bytes) = start.split_at_mut(Ethernet2Header::LEN + Ipv6Header::LEN);
    start[..Ethernet2Header::LEN].copy_from_slice(&ethernet.to_bytes());
    start[Ethernet2Header::LEN..].copy_from_slice(&ip.to_bytes());
    icmp_bytes.copy_from_slice(&icmp.to_bytes());
    end.copy_from_slice(payload);
    frame
}

/// Reads a packet from its IPv6 header on, which came from `sender`. `None` if it says of no
/// address that somebody has it or would like to have it, or is not valid (RFC 4861, 7.1).
pub(super) fn decode(packet: &[u8], sender: [u8; 6]) -> Option<Heard> {
    let ip = Ipv6HeaderSlice::from_slice(packet).ok()?;
    let end = Ipv6Header::LEN + usize::from(ip.payload_length());
    let message = packet.get(Ipv6Header::LEN..end)?;
    let icmp = Icmpv6Slice::from_slice(message).ok()?;
    let is_valid = ip.next_header() == IpNumber::IPV6_ICMP
        && ip.hop_limit() == HOP_LIMIT
        && icmp.is_checksum_valid(ip.source(), ip.destination());
    if !is_valid {
        return None;
    }
    // The type is known to have code 0, else it would be another.
    match icmp.payload_slice().ok()? {
        Icmpv6PayloadSlice::NeighborAdvertisement(advertisement) => {
            let mac = target_link_layer_address(advertisement.options_iterator());
            let address = advertisement.target_address().into();
            Some(Heard { address, mac: mac.unwrap_or(sender), claim: Claim::Has })
        }
        Icmpv6PayloadSlice::NeighborSolicitation(solicitation)
            if ip.source_addr().is_unspecified() =>
        {
            let address = solicitation.target_address().into();
            Some(Heard { address, mac: sender, claim: Claim::Probes })
        }
        _ => None,
    }
}

fn target_link_layer_address(options: NdpOptionsIterator<'_>) -> Option<[u8; 6]> {
    options.map_while(Result::ok).find_map(|option| match option {
        NdpOptionSlice::TargetLinkLayerAddress(option) => {
            option.link_layer_address().try_into().ok()
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use pnet::datalink::MacAddr;
    use pnet::packet::Packet;
    use pnet::packet::ethernet::{EtherTypes, EthernetPacket};
    use pnet::packet::icmpv6::ndp::{NeighborAdvertPacket, NeighborSolicitPacket};
    use pnet::packet::icmpv6::{Icmpv6Packet, Icmpv6Types, checksum};
    use pnet::packet::ipv6::Ipv6Packet;

    use super::*;

    const MAC: [u8; 6] = [0, 0, 0x5e, 0, 2, 51];
    const OTHER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 9];
    const SOURCE: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
    const VIP: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0x1234, 0x5678);

    fn heard(frame: &[u8]) -> Option<Heard> {
        decode(&frame[Ethernet2Header::LEN..], OTHER_MAC)
    }

    /// Changes a byte behind the Ethernet header and makes the ICMPv6 checksum right again, where
    /// there is still a message.
    fn with(frame: &[u8], at: usize, byte: u8) -> Vec<u8> {
        let mut frame = frame.to_vec();
        frame[Ethernet2Header::LEN + at] = byte;
        let ip = Ipv6Packet::new(&frame[Ethernet2Header::LEN..]).unwrap();
        let Some(message) = Icmpv6Packet::new(ip.payload()) else { return frame };
        let sum = checksum(&message, &ip.get_source(), &ip.get_destination());
        frame[Ethernet2Header::LEN + 42..][..2].copy_from_slice(&sum.to_be_bytes());
        frame
    }

    /// RFC 9568, 6.4.1 and 6.4.2, and RFC 4861, 4.4. Read by pnet.
    #[test]
    fn the_announcement_goes_to_all_nodes_with_router_and_override_set() {
        let frame = announcement(MAC, SOURCE, VIP);
        let ethernet = EthernetPacket::new(&frame).unwrap();
        assert_eq!(ethernet.get_destination(), MacAddr::new(0x33, 0x33, 0, 0, 0, 1));
        assert_eq!(ethernet.get_source(), MacAddr::from(MAC));
        assert_eq!(ethernet.get_ethertype(), EtherTypes::Ipv6);
        let ip = Ipv6Packet::new(ethernet.payload()).unwrap();
        assert_eq!((ip.get_source(), ip.get_destination()), (SOURCE, ALL_NODES));
        assert_eq!(ip.get_hop_limit(), 255);
        assert_eq!(usize::from(ip.get_payload_length()), frame.len() - 14 - 40);
        let icmp = Icmpv6Packet::new(ip.payload()).unwrap();
        assert_eq!(icmp.get_icmpv6_type(), Icmpv6Types::NeighborAdvert);
        assert_eq!(icmp.get_icmpv6_code().0, 0);
        assert_eq!(icmp.get_checksum(), checksum(&icmp, &SOURCE, &ALL_NODES));
        let advert = NeighborAdvertPacket::new(ip.payload()).unwrap();
        assert_eq!(advert.get_flags(), 0b1010_0000, "R and O, not S");
        assert_eq!(advert.get_target_addr(), VIP);
        let options = advert.get_options();
        assert_eq!(options.len(), 1);
        assert_eq!((options[0].option_type.0, options[0].length), (2, 1));
        assert_eq!(options[0].data, MAC);
    }

    /// RFC 4862, 5.4.2: from nowhere, so that nobody learns anything from it.
    #[test]
    fn the_probe_is_a_solicitation_from_nowhere_to_the_solicited_node_group() {
        let frame = probe(MAC, VIP);
        let ethernet = EthernetPacket::new(&frame).unwrap();
        let group_mac = MacAddr::new(0x33, 0x33, 0xff, 0x34, 0x56, 0x78);
        assert_eq!(ethernet.get_destination(), group_mac);
        let ip = Ipv6Packet::new(ethernet.payload()).unwrap();
        let group: Ipv6Addr = "ff02::1:ff34:5678".parse().unwrap();
        assert_eq!((ip.get_source(), ip.get_destination()), (Ipv6Addr::UNSPECIFIED, group));
        assert_eq!(ip.get_hop_limit(), 255);
        let icmp = Icmpv6Packet::new(ip.payload()).unwrap();
        assert_eq!(icmp.get_icmpv6_type(), Icmpv6Types::NeighborSolicit);
        assert_eq!(icmp.get_checksum(), checksum(&icmp, &Ipv6Addr::UNSPECIFIED, &group));
        let solicit = NeighborSolicitPacket::new(ip.payload()).unwrap();
        assert_eq!(solicit.get_target_addr(), VIP);
        assert!(solicit.get_options().is_empty(), "no source link-layer address (RFC 4861, 4.3)");
    }

    #[test]
    fn an_advertisement_says_where_the_address_is() {
        let address = VIP.into();
        let frame = announcement(MAC, SOURCE, VIP);
        assert_eq!(heard(&frame), Some(Heard { address, mac: MAC, claim: Claim::Has }));
        // An option that is none of ours: then it is where the frame came from.
        let unknown = heard(&with(&frame, 64, 14));
        assert_eq!(unknown, Some(Heard { address, mac: OTHER_MAC, claim: Claim::Has }));
        let frame = probe(MAC, VIP);
        assert_eq!(heard(&frame), Some(Heard { address, mac: OTHER_MAC, claim: Claim::Probes }));
    }

    /// RFC 4861, 7.1.1 and 7.1.2.
    #[test]
    fn what_is_not_valid_or_says_nothing_is_nothing() {
        for frame in [&announcement(MAC, SOURCE, VIP)[..], &probe(MAC, VIP)[..]] {
            for length in Ethernet2Header::LEN..frame.len() {
                assert_eq!(heard(&frame[..length]), None, "{length}");
            }
            assert!(heard(&with(frame, 7, 255)).is_some());
            assert_eq!(heard(&with(frame, 7, 254)), None, "hop limit");
            assert_eq!(heard(&with(frame, 6, 17)), None, "next header");
            assert_eq!(heard(&with(frame, 41, 1)), None, "code");
            assert_eq!(heard(&with(frame, 40, 134)), None, "type");
            let mut wrong = frame.to_vec();
            wrong[Ethernet2Header::LEN + 43] ^= 1;
            assert_eq!(heard(&wrong), None, "checksum");
        }
        // Asked for by its address and not by duplicate address detection: no probe.
        let asked = with(&probe(MAC, VIP), 23, 1);
        assert_eq!(heard(&asked), None);
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let frame = announcement(MAC, SOURCE, VIP);
        let packet = &frame[Ethernet2Header::LEN..];
        for at in 0..packet.len() {
            for byte in 0..=255 {
                let _ = heard(&with(&frame, at, byte));
            }
        }
    }
}
