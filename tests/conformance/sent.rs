//! Adverts as they are sent (RFC 9568, 5 and 7.2).

use std::net::IpAddr;
use std::time::Duration;

use lab::inject::group_mac;
use lab::{Checksum, Frame, Stamp};

use crate::rig::{Family, Setup, VRID, Variant, matrix};

/// RFC 9568, 5.1.1, 5.1.2 and 7.2.
#[test]
fn an_advert_goes_to_the_group_with_ttl_255_from_the_interfaces_address() {
    matrix(|variant| {
        let rig = variant.setup().start();
        let advert = rig.active().advert;
        assert_eq!(advert.destination, variant.group());
        assert_eq!(advert.ttl, 255);
        assert_eq!(advert.source, variant.node());
        assert_eq!(advert.ethernet.destination, group_mac(variant.group()));
    });
}

/// RFC 9568, 7.2 and 7.3: with a virtual MAC from it, else from the interface's.
#[test]
fn an_advert_comes_from_the_virtual_routers_ethernet_address() {
    matrix(|variant| {
        let mut rig = variant.setup().start();
        rig.active();
        rig.stop();
        let sent = rig.sent(Stamp::from_nanos(0));
        assert!(sent.iter().any(|it| it.advert.priority == 0));
        assert!(sent.iter().all(|it| it.advert.ethernet.source == variant.router_mac()));
    });
}

/// RFC 9568, 5.2.
#[test]
fn an_advert_says_what_is_configured() {
    matrix(|variant| {
        let rig = Setup { priority: 137, interval: 250, ..variant.setup() }.start();
        let advert = rig.active().advert;
        assert_eq!((advert.vrid, advert.priority), (VRID, 137));
        assert_eq!(advert.interval, 25, "centiseconds");
        assert_eq!(advert.reserved, 0);
        // As configured, in that order, though it is not the order of their values.
        assert_eq!(advert.addresses, variant.vips());
        assert_eq!(advert.trailing, 0);
    });
}

/// RFC 9568, 5.2.8: over the message alone for IPv4, with the pseudo-header for IPv6.
#[test]
fn an_advert_has_the_checksum_of_its_family() {
    matrix(|variant| {
        let rig = variant.setup().start();
        let wanted = match variant.family {
            Family::V4 => Checksum::Message,
            Family::V6 => Checksum::PseudoHeader,
        };
        assert_eq!(rig.active().advert.checksum, wanted);
    });
}

/// RFC 9568, 5.1: no options, no extension headers, the length as it is, no fragments.
#[test]
fn the_ip_header_is_plain_and_right() {
    matrix(|variant| {
        let rig = variant.setup().start();
        rig.active();
        let message = 8 + variant.vips().len() * if variant.is_ipv4() { 4 } else { 16 };
        let is_advert = |frame: &Option<Frame>| matches!(frame, Some(Frame::Advert(_)));
        let frames = rig.emitted(Stamp::from_nanos(0));
        for seen in frames.iter().filter(|seen| is_advert(&seen.frame)) {
            let packet = &seen.bytes[14..];
            if variant.is_ipv4() {
                assert_eq!(packet[0], 0x45);
                assert_eq!(packet[2..4], u16::try_from(20 + message).unwrap().to_be_bytes());
                assert_eq!(packet[6] & 0x3f, 0, "more fragments, or an offset");
                let sum = pnet::util::checksum(&packet[..20], 5);
                assert_eq!(packet[10..12], sum.to_be_bytes());
            } else {
                assert_eq!(packet[0] >> 4, 6);
                assert_eq!(packet[4..6], u16::try_from(message).unwrap().to_be_bytes());
                assert_eq!(packet[6], 112);
            }
        }
    });
}

/// RFC 9568, 5.1.1.1 and 5.1.2.1: the primary IPv4 address; a link-local IPv6 address. Never a
/// virtual one.
#[test]
fn the_source_is_the_primary_address_among_several() {
    matrix(|variant| {
        let more = "ip address add 10.51.0.7/24 dev eth0; ip address add 10.50.0.1/16 dev eth0; \
                    ip address add fd51::7/64 dev eth0 nodad";
        let rig = Setup { before: more.into(), ..variant.setup() }.start();
        rig.active();
        let sent = rig.sent(Stamp::from_nanos(0));
        assert!(sent.iter().all(|it| it.advert.source == variant.node()));
    });
}

/// RFC 9568, 5.2.7 and 6.1: from one centisecond on.
#[test]
fn the_shortest_interval_is_one_centisecond() {
    matrix(|variant| {
        let rig = Setup { interval: 10, ..variant.setup() }.start();
        let first = rig.active();
        assert_eq!(first.advert.interval, 1);
        let at = rig.advert(first.at + Duration::from_secs(1)).at;
        let count = rig.sent(first.at).iter().filter(|it| it.at <= at).count();
        assert!((90..=112).contains(&count), "{count} adverts in a second");
    });
}

/// RFC 9568, 5.2.5 and 5.2.9.
#[test]
fn many_addresses_are_all_advertised_in_order_and_installed() {
    matrix(|variant| {
        let vips = many(variant, 60);
        let rig = Setup { vips: vips.clone(), ..variant.setup() }.start();
        assert_eq!(rig.active().advert.addresses, vips);
        rig.has_vips(true);
    });
}

/// RFC 9568, 5.2.3 and 7.3: 1 to 255.
#[test]
fn the_smallest_and_the_largest_vrid_are_sent_and_heard() {
    matrix(|variant| {
        for vrid in [1, 255] {
            let rig = Setup { vrid, ..variant.setup() }.start();
            let advert = rig.active().advert;
            assert_eq!(advert.vrid, vrid);
            if variant.is_virtual() {
                assert_eq!(advert.ethernet.source, variant.virtual_mac_of(vrid));
            }
            let _feed = rig.feed(&[rig.greater(255)], rig.setup.half());
            rig.state("Backup");
        }
    });
}

/// So many virtual addresses, the first of IPv6 a link-local one, in no order.
pub fn many(variant: Variant, count: u32) -> Vec<IpAddr> {
    let address = |number: u32| match variant.family {
        Family::V4 => IpAddr::from((0x0a33_0100 + (number * 37) % 256).to_be_bytes()),
        Family::V6 if number == 0 => "fe80::51:1".parse().unwrap(),
        Family::V6 => format!("fd51::1:{:x}", (number * 37) % 256).parse().unwrap(),
    };
    (0..count).map(address).collect()
}
