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
