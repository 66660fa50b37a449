//! Conflicts that advertisements show.

use std::net::IpAddr;
use std::time::Duration;

use lab::inject::{AdvertFrame, Sum};
use lab::{Checksum, Stamp};

use crate::rig::{PEER_MAC, Rig, Setup, V4, V4_VIRTUAL, Variant, among, matrix, poll};
use crate::{conflict, events, feed, names, shown, told, transitions, with_code};

/// A Backup that hears a better router with this difference.
fn backup_hearing(
    variant: Variant,
    lines: &str,
    change: impl Fn(&mut AdvertFrame),
) -> (Rig, crate::rig::Feed) {
    let mut rig = Setup { lines: lines.to_owned(), ..variant.setup() }.cable();
    let mut frame = rig.greater(210);
    change(&mut frame);
    let feed = feed(&rig, &frame);
    rig.start();
    (rig, feed)
}

/// RFC 9568, 6.4.3: an Active that is advertised against by a router that loses stays Active and
/// answers.
#[test]
fn two_actives_are_told_with_ip_and_mac_of_the_other() {
    matrix(|variant| {
        let rig = variant.setup().start();
        rig.active();
        let before = transitions(&rig);
        let feed = feed(&rig, &rig.smaller(100));
        let mac = variant.peer_mac();
        let detail = names(&rig, "rival", variant.smaller(), mac);
        assert!(detail["detail"].as_str().unwrap().contains("priority 100"), "{detail}");
        feed.end();
        poll("its end", || with_code(&rig, "rival_gone").pop());
        assert_eq!((transitions(&rig), told(&rig, "rival").len()), (before, 1));
        rig.state("Active");
    });
}

/// It may have been the last: nothing tells its Ethernet address.
#[test]
fn a_single_advert_of_another_active_is_told_without_its_mac_after_a_while() {
    matrix(|variant| {
        let rig = variant.setup().start();
        rig.active();
        rig.send(&rig.smaller(100));
        let event = conflict(&rig, "rival");
        assert_eq!(event["detail"]["source"], variant.smaller().to_string());
        assert_eq!(event["detail"]["mac"], serde_json::Value::Null);
        assert_eq!(shown(&rig, "rival")["count"], 1);
        assert_eq!(told(&rig, "one_way").len(), 0);
    });
}

/// RFC 9568, 6.4.3: a router that hears the answer becomes Backup.
#[test]
fn a_router_that_goes_on_for_three_intervals_after_it_was_answered_does_not_hear() {
    matrix(|variant| {
        let rig = variant.setup().start();
        rig.active();
        let before = transitions(&rig);
        let _feed = feed(&rig, &rig.smaller(100));
        names(&rig, "one_way", variant.smaller(), variant.peer_mac());
        assert_eq!(transitions(&rig), before);
        rig.state("Active");
    });
}

#[test]
fn an_active_that_yields_to_the_other_has_no_conflict() {
    matrix(|variant| {
        let rig = variant.setup().start();
        rig.active();
        let feed = feed(&rig, &rig.greater(210));
        rig.state("Backup");
        rig.until("adverts of the other", |router| router["adverts_received"].as_u64() > Some(5));
        assert_eq!(with_code(&rig, "conflict").len(), 0, "{:#?}", events(&rig));
        feed.end();
    });
}

/// RFC 9568, 7.1: no reason to discard, and one to tell.
#[test]
fn other_addresses_are_told_and_the_advert_counts() {
    matrix(|variant| {
        let text = if variant.is_ipv4() { "10.51.0.77" } else { "fe80::77" };
        let theirs: IpAddr = text.parse().unwrap();
        let (rig, _feed) = backup_hearing(variant, "", |it| it.addresses = vec![theirs]);
        let detail = names(&rig, "other_addresses", variant.greater(), variant.peer_mac());
        assert!(detail["detail"].as_str().unwrap().ends_with(text), "{detail}");
        rig.state("Backup");
        rig.silent(Stamp::from_nanos(0));
    });
}

/// RFC 9568, 6.1: it is learned.
#[test]
fn another_interval_is_told_and_learned() {
    matrix(|variant| {
        let (rig, feed) = backup_hearing(variant, "", |it| it.interval = 40);
        let detail = names(&rig, "other_interval", variant.greater(), variant.peer_mac());
        let words = "it advertises each 400ms and this node each 100ms";
        assert_eq!(detail["detail"], words);
        feed.end();
        let ended = Stamp::now();
        // Three intervals of 100 ms would be over long before.
        let taken = rig.advert(ended);
        assert!(taken.at - ended > Duration::from_millis(800), "{:?}", taken.at - ended);
    });
}

/// RFC 9568, 5.2.8: both forms are accepted.
#[test]
fn another_checksum_than_the_configured_is_told_and_the_advert_counts() {
    among(&[V4, V4_VIRTUAL], |variant| {
        for (form, sum) in [("rfc9568", Sum::PseudoHeader), ("pseudo-header", Sum::Message)] {
            let lines = format!("checksum = \"{form}\"");
            let (rig, _feed) = backup_hearing(variant, &lines, |it| it.sum = sum);
            names(&rig, "other_checksum", variant.greater(), variant.peer_mac());
            rig.state("Backup");
            rig.silent(Stamp::from_nanos(0));
        }
    });
}

/// An automatic one is that of the router heard last: the other would not understand it.
#[test]
fn routers_that_send_different_checksums_are_told_where_the_own_is_automatic() {
    among(&[V4], |variant| {
        let mut rig = variant.setup().cable();
        let pseudo = AdvertFrame { sum: Sum::PseudoHeader, ..rig.greater(210) };
        let _feed = rig.feed(&[pseudo, rig.peer(variant.host(201), 210)], rig.setup.half());
        rig.start();
        let event = conflict(&rig, "other_checksum");
        let detail = event["detail"]["detail"].as_str().unwrap();
        assert!(detail.contains("those of the other form"), "{detail}");
        assert_eq!(rig.router()["state"], "Backup");
    });
}

#[test]
fn a_group_that_agrees_has_no_conflict() {
    matrix(|variant| {
        let (rig, feed) = backup_hearing(variant, "", |_| ());
        rig.until("adverts of the other", |router| router["adverts_received"].as_u64() > Some(10));
        feed.end();
        rig.active();
        assert_eq!(with_code(&rig, "conflict").len(), 0, "{:#?}", events(&rig));
        assert_eq!(rig.router()["conflicts"], serde_json::json!([]));
    });
}

/// A Backup tells what becomes of the Active: once for each change.
#[test]
fn a_change_of_the_actives_priority_is_told_once() {
    matrix(|variant| {
        let mut rig = Setup { preempt: "never", ..variant.setup() }.cable();
        let healthy = feed(&rig, &rig.greater(210));
        rig.start();
        poll("the Active", || with_code(&rig, "active_priority").pop());
        healthy.end();
        let _degraded = feed(&rig, &rig.greater(82));
        let changed = poll("the change", || {
            with_code(&rig, "active_priority").into_iter().find(|it| it["detail"]["from"] == 210)
        });
        assert_eq!(changed["detail"]["source"], variant.greater().to_string());
        assert_eq!(changed["detail"]["to"], 82);
        rig.until("more of the same", |router| router["adverts_received"].as_u64() > Some(15));
        assert_eq!(with_code(&rig, "active_priority").len(), 2);
    });
}

/// Sources can be made up: neither events nor memory may grow with them, and the router goes on.
#[test]
fn a_flood_of_rivals_with_made_up_sources_is_told_of_in_measure() {
    among(&[V4], |variant| {
        let rig = variant.setup().start();
        rig.active();
        let before = transitions(&rig);
        let frames: Vec<AdvertFrame> = (1..=49).map(|it| rig.peer(variant.host(it), 90)).collect();
        let feed = rig.feed(&frames, Duration::from_millis(1));
        rig.until("thousands", |router| router["adverts_received"].as_u64() > Some(3000));
        feed.end();
        poll("its end", || with_code(&rig, "rival_gone").pop());
        let router = rig.router();
        assert!(with_code(&rig, "conflict").len() <= 12, "{:#?}", events(&rig));
        assert!(router["conflicts"].as_array().unwrap().len() <= 16, "{router}");
        assert!(router["conflict_counts"]["rival"].as_u64() > Some(1), "{router}");
        assert_eq!((transitions(&rig), &router["state"]), (before, &"Active".into()));
        let sent = rig.advert(Stamp::now());
        assert_eq!((sent.advert.priority, sent.advert.checksum), (200, Checksum::Message));
    });
}

/// What is spoken between others from the same host is not mistaken for it: an Ethernet address
/// is that of the router's own packets.
#[test]
fn the_mac_is_that_of_the_routers_own_adverts() {
    among(&[V4], |variant| {
        let rig = variant.setup().start();
        rig.active();
        let rival = rig.smaller(100);
        let mut other = rig.peer(variant.host(30), 100);
        other.ethernet.source = crate::STRANGER;
        other.vrid = 77;
        let _feeds = [feed(&rig, &rival), feed(&rig, &other)];
        names(&rig, "rival", variant.smaller(), PEER_MAC);
    });
}
