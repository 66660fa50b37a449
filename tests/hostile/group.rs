//! A group of two, and a stranger on their link.

use std::net::IpAddr;
use std::time::Duration;

use lab::inject::{AdvertFrame, Injector, Sum};
use lab::{Daemon, Families, Family, Interval, MacAddr, Stamp, VRID, sleep_until};

use crate::support::{M1, M2, Net, mainstay, poll};

const STRANGER: MacAddr = MacAddr(2, 0x51, 0, 0, 0, 66);

/// Nobody's address.
fn stranger(family: Family) -> IpAddr {
    match family {
        Family::Ipv4 => "10.51.0.66".parse().unwrap(),
        Family::Ipv6 => "fe80::66".parse().unwrap(),
    }
}

/// A right advert of the highest priority.
fn right(family: Family) -> AdvertFrame {
    AdvertFrame {
        priority: 255,
        interval: 10,
        ..AdvertFrame::new(STRANGER, stranger(family), VRID, &family.vips())
    }
}

/// Active m1 and Backup m2, with adverts each 100 ms.
fn settled(family: Family, interval: u32) -> Option<(Net, Injector)> {
    let daemon = Daemon {
        interval: Interval::from_millis(interval),
        families: Families::from(family),
        ..mainstay()
    };
    let net = Net::up_for(2, family)?;
    net.start(&[M1], &daemon);
    net.owned_by(M1);
    net.start(&[M2], &daemon);
    net.backup_of_source(M2, &M1.source(family).to_string());
    let injector = Injector::open(&net.lab().namespace("stranger"), "eth0").unwrap();
    Some((net, injector))
}

/// What is to be counted, under which reason.
fn malformed(family: Family) -> Vec<(&'static str, AdvertFrame)> {
    let right = || right(family);
    let mut found = vec![
        ("ttl", AdvertFrame { ttl: 254, ..right() }),
        ("version", AdvertFrame { version: 2, ..right() }),
        ("type", AdvertFrame { kind: 2, ..right() }),
        ("checksum", AdvertFrame { sum: Sum::Off(1), ..right() }),
        ("length", AdvertFrame { count: Some(9), ..right() }),
        ("length", AdvertFrame { cut: Some(6), ..right() }),
        ("length", AdvertFrame { cut: Some(0), ..right() }),
        ("vrid", AdvertFrame { vrid: 0, ..right() }),
        ("address_count", AdvertFrame { addresses: Vec::new(), ..right() }),
        ("interval", AdvertFrame { interval: 0, ..right() }),
        ("unknown_vrid", AdvertFrame { vrid: 99, ..right() }),
    ];
    let own_source = AdvertFrame { source: M1.source(family), ..right() };
    found.push(("own_source", own_source));
    found
}

/// RFC 9568, 7.1: discarded without any effect, each counted under its reason. keepalived loses its
/// advert timer to fifty such packets a second.
fn are_counted_and_change_nothing(family: Family) {
    let Some((net, injector)) = settled(family, 100) else { return };
    // Else the kernel drops what claims to come from the node itself.
    net.run(M1, "echo 1 >/proc/sys/net/ipv4/conf/eth0/accept_local");
    let malformed = malformed(family);
    let transitions = [net.transitions(M1), net.transitions(M2)];
    let start = Stamp::now();
    let rounds = 50;
    for round in 0..rounds {
        sleep_until(start + Duration::from_millis(40) * round);
        malformed.iter().for_each(|(_, frame)| injector.send(&frame.bytes()).unwrap());
    }
    let sent = net.sent(M1, start);
    assert!(sent >= 10, "m1 has sent {sent} adverts in two seconds");
    poll("each packet to be counted once, under its reason", || {
        let dropped = net.status(M1)["dropped"]["eth0"].take();
        let counts = malformed.iter().all(|(reason, _)| {
            let kinds = malformed.iter().filter(|(other, _)| other == reason).count();
            dropped[reason] == kinds * usize::try_from(rounds).unwrap()
        });
        counts.then_some(())
    });
    net.unmoved(M1, start);
    assert_eq!(net.sent(M2, start), 0);
    assert_eq!([net.transitions(M1), net.transitions(M2)], transitions);
    let event = net.event_where(M1, "dropped", |event| event["detail"]["reason"] == "ttl");
    assert_eq!(event["detail"]["source"], stranger(family).to_string());
}

#[test]
fn malformed_adverts_are_counted_by_reason_and_change_nothing() {
    are_counted_and_change_nothing(Family::Ipv4);
}

#[test]
fn malformed_adverts_of_ipv6_are_counted_by_reason_and_change_nothing() {
    are_counted_and_change_nothing(Family::Ipv6);
}

/// RFC 9568, 7.1: not discarded; the operator is told by whom.
fn other_addresses_count_and_are_told_of(family: Family, other: &str) {
    let Some((net, injector)) = settled(family, 200) else { return };
    // The interval is the group's, and the priority below both.
    let addresses = vec![other.parse().unwrap()];
    let frame = AdvertFrame { priority: 200, interval: 20, addresses, ..right(family) };
    let start = Stamp::now();
    injector.send(&frame.bytes()).unwrap();
    let event = net.conflict(M1, "other_addresses");
    assert_eq!(event["detail"]["source"], stranger(family).to_string());
    let detail = event["detail"]["detail"].as_str().unwrap();
    assert!(detail.ends_with(&format!("with other addresses: {other}")), "{detail}");
    net.conflict(M2, "other_addresses");
    net.conflict(M1, "rival");
    if family == Family::Ipv4 {
        // It has lost, and the client is told where the VIP is.
        net.announced(M1, start);
    }
    net.unmoved(M1, start);
}

#[test]
fn an_advert_with_other_addresses_counts_and_is_told_of() {
    other_addresses_count_and_are_told_of(Family::Ipv4, "10.51.0.77");
}

#[test]
fn an_advert_of_ipv6_with_other_addresses_counts_and_is_told_of() {
    other_addresses_count_and_are_told_of(Family::Ipv6, "fe80::77");
}
