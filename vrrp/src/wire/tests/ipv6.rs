//! RFC 9568, 5.1.2 and 7.1: IPv6.

use core::net::{IpAddr, Ipv6Addr};

use etherparse::Ipv6HeaderSlice;
use pnet::packet::ip::IpNextHeaderProtocol;
use pnet::util;

use super::*;

const SOURCE: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);
/// The virtual router's link-local address comes first (5.2.9).
const VIPS: [IpAddr; 2] = [
    IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x10)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x10)),
];

/// VRID 51, priority 254, fe80::10 and 2001:db8::10, 100 ms, from fe80::2.
///
/// The message's words: 3133 + FE02 + 000A + FE80 + 0010 + 2001 + 0DB8 + 0010 = 2_5B98.
/// The pseudo-header's: FE80 + 0002 + FF02 + 0012 + 0000 + 0028 + 0000 + 0070 = 1_FE2E.
/// Together 4_59C6, folded 59CA, inverted A635.
const GOLDEN: [u8; 80] = [
    0x6c, 0x00, 0x00, 0x00, // version 6, class selector 6, no flow label
    0x00, 40, 112, 255, // 40 bytes, next header, hop limit
    0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, // source
    0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x12, // destination
    0x31, 51, 254, 2, // version 3 type 1, VRID, priority, address count
    0x00, 0x0a, 0xa6, 0x35, // 10 cs, checksum
    0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10, //
    0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

fn message() -> &'static [u8] {
    GOLDEN[40..].as_ref()
}

fn decode(message: &[u8]) -> Result<Advert<'_>, DropReason> {
    Advert::decode_ipv6(SOURCE, GROUP_V6, 255, message)
}

/// Fills in the checksum as pnet computes it.
fn sealed(mut message: Vec<u8>) -> Vec<u8> {
    let protocol = IpNextHeaderProtocol(112);
    let checksum = util::ipv6_checksum(&message, 3, &[], &SOURCE, &GROUP_V6, protocol);
    message[6..8].copy_from_slice(&checksum.to_be_bytes());
    message
}

/// What becomes of the golden message with some of its bytes replaced and a right checksum.
fn altered(changes: &[(usize, u8)]) -> Result<(u16, usize), DropReason> {
    let mut message = message().to_vec();
    for &(at, byte) in changes {
        message[at] = byte;
    }
    decode(&sealed(message)).map(|advert| (advert.interval.get(), advert.address_count()))
}

#[test]
fn the_golden_packet_is_what_is_sent_whatever_form_is_asked_for_5_1_2() {
    for form in [ChecksumForm::Rfc9568, ChecksumForm::PseudoHeader] {
        assert_eq!(encoded(&outgoing(&VIPS, form), SOURCE, GROUP_V6), GOLDEN);
    }
}

#[test]
fn the_golden_packet_is_read_field_by_field() {
    let advert = decode(message()).unwrap();
    assert_eq!(advert.source, IpAddr::from(SOURCE));
    assert_eq!(advert.destination, IpAddr::from(GROUP_V6));
    assert_eq!(advert.vrid.get(), 51);
    assert_eq!(advert.priority.map(Priority::get), Some(254));
    assert_eq!(advert.interval.get(), 10);
    assert_eq!(advert.checksum, ChecksumForm::PseudoHeader);
    assert_eq!(advert.family(), Family::Ipv6);
    assert!(advert.addresses().eq(VIPS));
}

#[test]
fn the_header_is_read_by_an_independent_decoder_5_1_2() {
    let packet = encoded(&outgoing(&VIPS, ChecksumForm::Rfc9568), SOURCE, GROUP_V6);
    let header = Ipv6HeaderSlice::from_slice(&packet).unwrap();
    assert_eq!((header.source_addr(), header.destination_addr()), (SOURCE, GROUP_V6));
    assert_eq!((header.hop_limit(), header.next_header().0), (255, 112));
    assert_eq!(header.dscp().value(), 48);
    assert_eq!(usize::from(header.payload_length()), packet.len() - 40);
}

#[test]
fn an_advertisement_to_a_peer_is_summed_over_the_peer() {
    let peer = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 3);
    let packet = encoded(&outgoing(&VIPS, ChecksumForm::PseudoHeader), SOURCE, peer);
    assert_eq!(packet[24..40], peer.octets());
    let advert = Advert::decode_ipv6(SOURCE, peer, 255, &packet[40..]).unwrap();
    assert_eq!(advert.destination, IpAddr::from(peer));
    assert_eq!(decode(&packet[40..]), Err(DropReason::Checksum));
}

#[test]
fn priority_0_is_sent_and_read_as_giving_up_5_2_4() {
    let sent = Outgoing { priority: None, ..outgoing(&VIPS, ChecksumForm::PseudoHeader) };
    let packet = encoded(&sent, SOURCE, GROUP_V6);
    assert_eq!(packet[42], 0);
    assert_eq!(decode(&packet[40..]).unwrap().priority, None);
}

#[test]
fn a_hop_limit_other_than_255_is_dropped_5_1_2_3() {
    for hop_limit in 0..=254 {
        let decoded = Advert::decode_ipv6(SOURCE, GROUP_V6, hop_limit, message());
        assert_eq!(decoded, Err(DropReason::Ttl));
    }
}

#[test]
fn an_empty_payload_is_a_packet_of_wrong_length_7_1() {
    assert_eq!(decode(&[]), Err(DropReason::Length));
}

#[test]
fn a_message_cut_anywhere_is_dropped_7_1() {
    for length in 0..message().len() {
        assert_eq!(decode(&message()[..length]), Err(DropReason::Length), "{length} bytes");
    }
}

#[test]
fn a_list_of_ipv4_addresses_is_too_short_for_ipv6_5_2_9() {
    let ipv4 = sealed(vec![0x31, 51, 254, 2, 0, 10, 0, 0, 10, 0, 0, 10, 10, 0, 0, 11]);
    assert_eq!(decode(&ipv4), Err(DropReason::Length));
}

#[test]
fn a_version_other_than_3_and_a_type_other_than_1_are_dropped_7_1() {
    for nibble in 0..16 {
        let version = if nibble == 3 { Ok((10, 2)) } else { Err(DropReason::Version) };
        assert_eq!(altered(&[(0, nibble << 4 | 1)]), version);
        let kind = if nibble == 1 { Ok((10, 2)) } else { Err(DropReason::Type) };
        assert_eq!(altered(&[(0, 0x30 | nibble)]), kind);
    }
}

#[test]
fn vrid_0_is_dropped_5_2_3() {
    assert_eq!(altered(&[(1, 0)]), Err(DropReason::Vrid));
}

#[test]
fn an_address_count_of_0_is_dropped_and_one_beyond_the_list_erratum_8299() {
    assert_eq!(altered(&[(3, 0)]), Err(DropReason::AddressCount));
    assert_eq!(altered(&[(3, 1)]), Ok((10, 1)));
    for count in 3..=255 {
        assert_eq!(altered(&[(3, count)]), Err(DropReason::Length));
    }
}

#[test]
fn reserved_bits_are_ignored_but_an_interval_of_0_is_dropped_5_2_6_erratum_8301() {
    for reserved in 0..16 {
        assert_eq!(altered(&[(4, reserved << 4)]), Ok((10, 2)));
        assert_eq!(altered(&[(4, reserved << 4), (5, 0)]), Err(DropReason::Interval));
    }
}

#[test]
fn bytes_behind_the_addresses_are_ignored_but_summed_up() {
    for tail in 1..20 {
        let mut longer = message().to_vec();
        longer.extend((1..=tail).collect::<Vec<u8>>());
        assert_eq!(decode(&longer), Err(DropReason::Checksum));
        assert_eq!(decode(&sealed(longer)).unwrap().address_count(), 2);
    }
}

#[test]
fn a_checksum_without_a_pseudo_header_is_wrong_over_ipv6_5_2_8() {
    let mut bare = message().to_vec();
    let checksum = util::checksum(&bare, 3);
    bare[6..8].copy_from_slice(&checksum.to_be_bytes());
    assert_eq!(decode(&bare), Err(DropReason::Checksum));
}

#[test]
fn every_flipped_bit_of_the_message_is_noticed_and_every_one_of_the_addresses() {
    for bit in 0..message().len() * 8 {
        let mut flipped = message().to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(decode(&flipped).is_err(), "bit {bit}");
    }
    for bit in 0..128 {
        let flip = |address: Ipv6Addr| Ipv6Addr::from(u128::from(address) ^ (1 << bit));
        let from_another = Advert::decode_ipv6(flip(SOURCE), GROUP_V6, 255, message());
        assert_eq!(from_another, Err(DropReason::Checksum));
        let to_another = Advert::decode_ipv6(SOURCE, flip(GROUP_V6), 255, message());
        assert_eq!(to_another, Err(DropReason::Checksum));
    }
}

#[test]
fn the_largest_advertisement_has_255_addresses_and_fills_the_buffer() {
    let addresses: Vec<_> =
        (0..=255).map(|i| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, i])).collect();
    let packet = encoded(&outgoing(&addresses, ChecksumForm::PseudoHeader), SOURCE, GROUP_V6);
    assert_eq!(packet.len(), MAX_LEN);
    assert_eq!(packet[40..], sealed(packet[40..].to_vec()));
    let advert = decode(&packet[40..]).unwrap();
    assert_eq!(advert.address_count(), 255);
    assert!(advert.addresses().eq(addresses[..255].iter().copied()));
}

#[test]
fn addresses_of_the_other_family_are_left_out_5_2_9() {
    let addresses = [VIPS[0], IpAddr::from([10, 0, 0, 10]), VIPS[1]];
    assert_eq!(
        encoded(&outgoing(&addresses, ChecksumForm::PseudoHeader), SOURCE, GROUP_V6),
        GOLDEN
    );
}
