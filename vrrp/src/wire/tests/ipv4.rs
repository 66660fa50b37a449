//! RFC 9568, 5.1.1 and 7.1: IPv4.

use core::net::{IpAddr, Ipv4Addr};

use pnet::util;

use super::*;

const SOURCE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const VIP: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 10);

/// VRID 51, priority 254, one address 10.0.0.10, 100 ms, from 10.0.0.2.
///
/// The message's words: 3133 + FE01 + 000A + 0A00 + 000A = 1_3948, folded 3949, inverted C6B6.
/// The header's: 45C0 + 0020 + 0000 + 4000 + FF70 + 0A00 + 0002 + E000 + 0012 = 2_6F64, folded
/// 6F66, inverted 9099.
const GOLDEN: [u8; 32] = [
    0x45, 0xc0, 0x00, 0x20, // version 4, 5 words, class selector 6, 32 bytes
    0x00, 0x00, 0x40, 0x00, // identification 0, do not fragment
    0xff, 0x70, 0x90, 0x99, // TTL 255, protocol 112, checksum
    10, 0, 0, 2, // source
    224, 0, 0, 18, // destination
    0x31, 51, 254, 1, // version 3 type 1, VRID, priority, address count
    0x00, 0x0a, 0xc6, 0xb6, // 10 cs, checksum
    10, 0, 0, 10,
];

/// The same over the pseudo-header too: 0A00 + 0002 + E000 + 0012 + 0070 + 000C = EA90 more;
/// 3949 + EA90 = 1_23D9, folded 23DA, inverted DC25.
const PSEUDO_HEADER_CHECKSUM: [u8; 2] = [0xdc, 0x25];

/// VRID 255 gives up: priority 0, three addresses, 40.95 s.
///
/// 31FF + 0003 + 0FFF + 3 x C0A8 + 0001 + 0002 + 0003 = 2_83FF, folded 8401, inverted 7BFE.
const GIVING_UP: [u8; 20] = [
    0x31, 255, 0, 3, 0x0f, 0xff, 0x7b, 0xfe, //
    192, 168, 0, 1, 192, 168, 0, 2, 192, 168, 0, 3,
];

/// An IPv4 packet around `message`, with `options` in its header; none of it by our encoder.
fn packet(options: &[u8], message: &[u8]) -> Vec<u8> {
    let header_len = 20 + options.len();
    let total_len = u16::try_from(header_len + message.len()).unwrap();
    let mut packet = vec![0x40 | u8::try_from(header_len / 4).unwrap(), 0xc0];
    packet.extend(total_len.to_be_bytes());
    packet.extend([0, 0, 0, 0, 255, 112, 0, 0]);
    packet.extend(SOURCE.octets());
    packet.extend(GROUP_V4.octets());
    packet.extend(options);
    let checksum = util::checksum(&packet, 5);
    packet[10..12].copy_from_slice(&checksum.to_be_bytes());
    packet.extend(message);
    packet
}

/// Fills in the checksum of a message as RFC 9568 wants it.
fn sealed(mut message: Vec<u8>) -> Vec<u8> {
    let checksum = util::checksum(&message, 3);
    message[6..8].copy_from_slice(&checksum.to_be_bytes());
    message
}

/// The golden message with some of its bytes replaced and the checksum made right again.
fn altered(changes: &[(usize, u8)]) -> Vec<u8> {
    let mut message = GOLDEN[20..].to_vec();
    for &(at, byte) in changes {
        message[at] = byte;
    }
    packet(&[], &sealed(message))
}

fn encoded(outgoing: &Outgoing<'_>) -> Vec<u8> {
    super::encoded(outgoing, SOURCE, GROUP_V4)
}

fn drop_reason(packet: &[u8]) -> DropReason {
    Advert::decode_ipv4(packet).unwrap_err()
}

#[test]
fn the_golden_packet_is_what_is_sent() {
    assert_eq!(encoded(&outgoing(&[VIP.into()], ChecksumForm::Rfc9568)), GOLDEN);
}

#[test]
fn the_pseudo_header_form_differs_in_the_checksum_alone() {
    let mut golden = GOLDEN;
    golden[26..28].copy_from_slice(&PSEUDO_HEADER_CHECKSUM);
    assert_eq!(encoded(&outgoing(&[VIP.into()], ChecksumForm::PseudoHeader)), golden);
}

#[test]
fn the_golden_packet_is_read_field_by_field() {
    let advert = Advert::decode_ipv4(&GOLDEN).unwrap();
    assert_eq!(advert.source, IpAddr::from(SOURCE));
    assert_eq!(advert.destination, IpAddr::from(GROUP_V4));
    assert_eq!(advert.vrid.get(), 51);
    assert_eq!(advert.priority.map(Priority::get), Some(254));
    assert_eq!(advert.interval.get(), 10);
    assert_eq!(advert.checksum, ChecksumForm::Rfc9568);
    assert_eq!(advert.family(), Family::Ipv4);
    assert_eq!(advert.address_count(), 1);
    assert!(advert.addresses().eq([IpAddr::from(VIP)]));
}

#[test]
fn both_forms_of_the_ipv4_checksum_are_accepted_and_told_apart_5_2_8() {
    let mut packet = GOLDEN;
    packet[26..28].copy_from_slice(&PSEUDO_HEADER_CHECKSUM);
    let advert = Advert::decode_ipv4(&packet).unwrap();
    assert_eq!(advert.checksum, ChecksumForm::PseudoHeader);
}

#[test]
fn the_pseudo_header_form_speaks_of_the_real_destination() {
    let peer = Ipv4Addr::new(10, 0, 0, 3);
    let addresses = [VIP.into()];
    let mut packet =
        super::encoded(&outgoing(&addresses, ChecksumForm::PseudoHeader), SOURCE, peer);
    let advert = Advert::decode_ipv4(&packet).unwrap();
    assert_eq!(advert.destination, IpAddr::from(peer));
    packet[16..20].copy_from_slice(&GROUP_V4.octets());
    assert_eq!(drop_reason(&packet), DropReason::Checksum);
}

#[test]
fn priority_0_is_read_as_giving_up_5_2_4() {
    let packet = packet(&[], &GIVING_UP);
    let advert = Advert::decode_ipv4(&packet).unwrap();
    assert_eq!(advert.priority, None);
    assert_eq!(advert.vrid.get(), 255);
    assert_eq!(advert.interval, Centis::MAX);
    let listed: Vec<_> = (1..=3).map(|i| IpAddr::from([192, 168, 0, i])).collect();
    assert!(advert.addresses().eq(listed));
}

#[test]
fn giving_up_is_sent_as_priority_0_with_all_addresses() {
    let addresses = [1, 2, 3].map(|i| IpAddr::from([192, 168, 0, i]));
    let sent = Outgoing {
        vrid: Vrid::new(255).unwrap(),
        priority: None,
        interval: Centis::MAX,
        ..outgoing(&addresses, ChecksumForm::Rfc9568)
    };
    assert_eq!(encoded(&sent)[20..], GIVING_UP);
}

#[test]
fn options_in_the_ip_header_are_stepped_over() {
    for words in 1..=10 {
        let mut options = vec![1; words * 4];
        options[words * 4 - 1] = 0;
        let packet = packet(&options, &GOLDEN[20..]);
        let advert = Advert::decode_ipv4(&packet).unwrap();
        assert_eq!((advert.vrid.get(), advert.address_count()), (51, 1), "{words} words");
    }
}

#[test]
fn reserved_bits_are_ignored_5_2_6() {
    for reserved in 0..16 {
        let packet = altered(&[(4, reserved << 4)]);
        assert_eq!(Advert::decode_ipv4(&packet).unwrap().interval.get(), 10);
    }
}

#[test]
fn reserved_bits_are_sent_as_zero_5_2_6() {
    for centis in [1, 255, 256, 4095] {
        let interval = Centis::new(centis).unwrap();
        let packet =
            encoded(&Outgoing { interval, ..outgoing(&[VIP.into()], ChecksumForm::Rfc9568) });
        assert_eq!(packet[24] >> 4, 0);
    }
}

#[test]
fn a_ttl_other_than_255_is_dropped_5_1_1_3() {
    for ttl in 0..=254 {
        let mut packet = GOLDEN;
        packet[8] = ttl;
        assert_eq!(drop_reason(&packet), DropReason::Ttl);
    }
}

#[test]
fn a_version_other_than_3_is_dropped_7_1() {
    for version in (0..16).filter(|&version| version != 3) {
        assert_eq!(drop_reason(&altered(&[(0, version << 4 | 1)])), DropReason::Version);
    }
}

#[test]
fn a_keepalived_version_2_packet_is_dropped_7_1() {
    // VRRPv2: authentication type 0, 1 s, and eight bytes of authentication data at the end.
    let message = sealed(vec![0x21, 51, 100, 1, 0, 1, 0, 0, 10, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(drop_reason(&packet(&[], &message)), DropReason::Version);
}

#[test]
fn a_type_other_than_advertisement_is_dropped_5_2_2() {
    for kind in (0..16).filter(|&kind| kind != 1) {
        assert_eq!(drop_reason(&altered(&[(0, 0x30 | kind)])), DropReason::Type);
    }
}

#[test]
fn vrid_0_is_dropped_5_2_3() {
    assert_eq!(drop_reason(&altered(&[(1, 0)])), DropReason::Vrid);
}

#[test]
fn an_address_count_of_0_is_dropped_erratum_8299() {
    assert_eq!(drop_reason(&altered(&[(3, 0)])), DropReason::AddressCount);
    let bare = sealed(
        GOLDEN[20..28].iter().enumerate().map(|(i, &b)| if i == 3 { 0 } else { b }).collect(),
    );
    assert_eq!(drop_reason(&packet(&[], &bare)), DropReason::AddressCount);
}

#[test]
fn an_interval_of_0_is_dropped_whatever_the_reserved_bits_erratum_8301() {
    for reserved in [0x00, 0x10, 0xf0] {
        let packet = altered(&[(4, reserved), (5, 0)]);
        assert_eq!(drop_reason(&packet), DropReason::Interval);
    }
}

#[test]
fn a_packet_cut_anywhere_is_dropped() {
    for length in 0..GOLDEN.len() {
        let reason = drop_reason(&GOLDEN[..length]);
        let expected = if length < 20 { DropReason::IpHeader } else { DropReason::Length };
        assert_eq!(reason, expected, "{length} bytes");
    }
}

#[test]
fn a_message_cut_anywhere_is_dropped_although_the_ip_header_agrees_7_1() {
    for length in 0..12 {
        let packet = packet(&[], &GOLDEN[20..20 + length]);
        assert_eq!(drop_reason(&packet), DropReason::Length, "{length} bytes of message");
    }
}

#[test]
fn a_count_larger_than_the_list_is_dropped_7_1() {
    for count in 2..=255 {
        assert_eq!(drop_reason(&altered(&[(3, count)])), DropReason::Length);
    }
}

#[test]
fn bytes_behind_the_ip_packet_are_not_its() {
    let mut packet = GOLDEN.to_vec();
    packet.extend([0xff; 14]);
    assert!(Advert::decode_ipv4(&packet).is_ok());
}

#[test]
fn bytes_behind_the_addresses_are_ignored_but_summed_up() {
    let mut message = GOLDEN[20..].to_vec();
    message.extend([1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(drop_reason(&packet(&[], &message)), DropReason::Checksum);
    let packet = packet(&[], &sealed(message));
    assert_eq!(Advert::decode_ipv4(&packet).unwrap().address_count(), 1);
}

#[test]
fn a_total_length_beyond_the_packet_or_inside_its_header_is_dropped() {
    for total_len in (0..32_u16).chain(33..80).chain([u16::MAX]) {
        let mut packet = GOLDEN;
        packet[2..4].copy_from_slice(&total_len.to_be_bytes());
        assert_eq!(drop_reason(&packet), DropReason::Length, "{total_len}");
    }
}

#[test]
fn a_broken_ip_header_is_dropped() {
    let broken = |at: usize, byte: u8| {
        let mut packet = GOLDEN;
        packet[at] = byte;
        drop_reason(&packet)
    };
    assert_eq!(broken(0, 0x65), DropReason::IpHeader, "IP version 6");
    assert_eq!(broken(0, 0x44), DropReason::IpHeader, "a header of 16 bytes");
    assert_eq!(broken(0, 0x4f), DropReason::IpHeader, "a header longer than the packet");
    assert_eq!(broken(9, 17), DropReason::IpHeader, "another protocol");
    assert_eq!(drop_reason(&[]), DropReason::IpHeader, "nothing at all");
}

#[test]
fn every_flipped_bit_of_the_message_is_noticed() {
    let forms = [GOLDEN[26..28].to_vec(), PSEUDO_HEADER_CHECKSUM.to_vec()];
    for form in forms {
        let mut golden = GOLDEN;
        golden[26..28].copy_from_slice(&form);
        for bit in 20 * 8..32 * 8 {
            let mut packet = golden;
            packet[bit / 8] ^= 1 << (bit % 8);
            assert!(Advert::decode_ipv4(&packet).is_err(), "bit {bit}");
        }
    }
}

#[test]
fn the_first_broken_rule_is_the_one_that_counts() {
    let mut packet = GOLDEN;
    packet[27] ^= 1;
    assert_eq!(drop_reason(&packet), DropReason::Checksum);
    packet[20] = 0x32;
    assert_eq!(drop_reason(&packet), DropReason::Type);
    packet[20] = 0x21;
    assert_eq!(drop_reason(&packet), DropReason::Version);
    packet[8] = 1;
    assert_eq!(drop_reason(&packet), DropReason::Ttl);
}

#[test]
fn the_largest_advertisement_has_255_addresses() {
    let addresses: Vec<_> = (0..=255).map(|i| IpAddr::from([10, 1, 0, i])).collect();
    let packet = encoded(&outgoing(&addresses, ChecksumForm::Rfc9568));
    assert_eq!(packet.len(), 20 + 8 + 255 * 4);
    let advert = Advert::decode_ipv4(&packet).unwrap();
    assert!(advert.addresses().eq(addresses[..255].iter().copied()));
}

#[test]
fn addresses_of_the_other_family_are_left_out_5_2_9() {
    let addresses = [IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]), VIP.into()];
    assert_eq!(encoded(&outgoing(&addresses, ChecksumForm::Rfc9568)), GOLDEN);
}
