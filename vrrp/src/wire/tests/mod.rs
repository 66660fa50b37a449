//! Golden bytes are worked out by hand from the figures of RFC 9568, 5.1 and 5.2. What must hold
//! for all packets is in `tests/core_wire.rs`.

mod ipv4;
mod ipv6;

use core::net::IpAddr;

use super::*;
use crate::Priority;
use crate::config::Checksum;
use crate::time::Centis;

/// VRID 51, priority 254, 100 ms.
fn outgoing(addresses: &[IpAddr], checksum: ChecksumForm) -> Outgoing<'_> {
    Outgoing {
        vrid: Vrid::new(51).unwrap(),
        priority: Priority::new(254),
        interval: Centis::new(10).unwrap(),
        addresses,
        checksum,
    }
}

/// The whole packet, written over what was in the buffer before.
fn encoded(outgoing: &Outgoing<'_>, source: impl Into<IpAddr>, to: impl Into<IpAddr>) -> Vec<u8> {
    let mut buffer = [0xaa; MAX_LEN];
    outgoing.encode(source.into(), to.into(), &mut buffer).to_vec()
}

#[test]
fn the_groups_are_224_0_0_18_and_ff02_12_5_1() {
    assert_eq!(group(Family::Ipv4).to_string(), "224.0.0.18");
    assert_eq!(group(Family::Ipv6).to_string(), "ff02::12");
}

#[test]
fn the_virtual_mac_is_00_00_5e_00_01_or_02_and_the_vrid_7_3() {
    let vrid = Vrid::new(0xab).unwrap();
    assert_eq!(virtual_mac(Family::Ipv4, vrid), [0x00, 0x00, 0x5e, 0x00, 0x01, 0xab]);
    assert_eq!(virtual_mac(Family::Ipv6, vrid), [0x00, 0x00, 0x5e, 0x00, 0x02, 0xab]);
}

#[test]
fn a_source_and_a_destination_of_two_families_make_no_packet() {
    let addresses = [IpAddr::from([10, 0, 0, 10])];
    let sent = outgoing(&addresses, ChecksumForm::Rfc9568);
    assert!(encoded(&sent, [10, 0, 0, 2], GROUP_V6).is_empty());
    assert!(encoded(&sent, GROUP_V6, [10, 0, 0, 2]).is_empty());
}

#[test]
fn auto_answers_in_the_form_that_the_peer_speaks() {
    use ChecksumForm::{PseudoHeader, Rfc9568};
    for (config, peer, form) in [
        (Checksum::Auto, None, Rfc9568),
        (Checksum::Auto, Some(Rfc9568), Rfc9568),
        (Checksum::Auto, Some(PseudoHeader), PseudoHeader),
        (Checksum::Rfc9568, Some(PseudoHeader), Rfc9568),
        (Checksum::PseudoHeader, None, PseudoHeader),
        (Checksum::PseudoHeader, Some(Rfc9568), PseudoHeader),
    ] {
        assert_eq!(config.form(peer), form, "{config:?} {peer:?}");
    }
}

#[test]
fn every_drop_reason_is_found_by_its_index() {
    for (i, reason) in DropReason::ALL.into_iter().enumerate() {
        assert_eq!(reason.index(), i);
        assert_eq!(serde_json::to_value(reason).unwrap(), reason.name());
    }
}
