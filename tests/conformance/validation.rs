//! What is discarded (RFC 9568, 7.1), without any effect on state or timers; and what is not.

use std::time::Duration;

use lab::inject::{AdvertFrame, Sum};
use lab::{Direction, Stamp};

use crate::rig::{Rig, Setup, VRID, Variant, matrix, on_time, regular};

/// Adverts from `right` that are to be discarded, with what is wrong.
fn wrong(rig: &Rig, right: &AdvertFrame) -> Vec<(String, AdvertFrame)> {
    let size = if rig.setup.variant.is_ipv4() { 4 } else { 16 };
    let whole = 8 + size * rig.setup.vips.len();
    let with = |change: &dyn Fn(&mut AdvertFrame)| {
        let mut frame = right.clone();
        change(&mut frame);
        frame
    };
    let mut found = Vec::new();
    for ttl in [254, 128, 1, 0] {
        found.push((format!("TTL {ttl}"), with(&|it| it.ttl = ttl)));
    }
    for version in [0, 1, 2, 4, 15] {
        found.push((format!("version {version}"), with(&|it| it.version = version)));
    }
    for kind in [0, 2, 15] {
        found.push((format!("type {kind}"), with(&|it| it.kind = kind)));
    }
    for by in [1, 0x100, 0x8000] {
        found.push((format!("checksum off by {by}"), with(&|it| it.sum = Sum::Off(by))));
    }
    found.push(("checksum 0".into(), with(&|it| it.sum = Sum::Fixed(0))));
    found.push(("checksum ffff".into(), with(&|it| it.sum = Sum::Fixed(0xffff))));
    if !rig.setup.variant.is_ipv4() {
        found.push(("no pseudo-header".into(), with(&|it| it.sum = Sum::Message)));
    }
    for length in [0, 1, 4, 7, 8, 9, whole - size, whole - 1] {
        found.push((format!("{length} bytes"), with(&|it| it.cut = Some(length))));
    }
    for count in [rig.setup.vips.len() + 1, 255] {
        let count = u8::try_from(count).unwrap();
        found.push((format!("count {count}"), with(&|it| it.count = Some(count))));
    }
    found.push(("count 0, addresses".into(), with(&|it| it.count = Some(0))));
    found.push(("count 0, none".into(), with(&|it| it.addresses.clear())));
    found.push(("interval 0".into(), with(&|it| it.interval = 0)));
    found.push((
        "interval 0, reserved bits".into(),
        with(&|it| (it.interval, it.reserved) = (0, 15)),
    ));
    for vrid in [0, VRID - 1, VRID + 1, 255] {
        found.push((format!("VRID {vrid}"), with(&|it| it.vrid = vrid)));
    }
    let node = rig.setup.variant.node();
    found.push(("our own source".into(), with(&|it| it.source = node)));
    // VRRPv2: authentication type 0, each second, a checksum over the message alone.
    found.push((
        "VRRPv2".into(),
        with(&|it| {
            it.version = 2;
            it.interval = 1;
            it.sum = Sum::Message;
            it.trailing = vec![0; 8];
        }),
    ));
    found
}

/// Else the kernel drops what claims to come from the node itself.
const HEAR_OURSELVES: &str = "echo 1 >/proc/sys/net/ipv4/conf/eth0/accept_local";

fn setup(variant: crate::rig::Variant) -> Setup {
    Setup { before: HEAR_OURSELVES.into(), ..variant.setup() }
}

/// RFC 9568, 7.1: with priority 255 it would keep the Backup waiting. The packets come faster than
/// the interval.
#[test]
fn a_discarded_advert_does_not_hold_off_a_takeover() {
    matrix(|variant| {
        let rig = Setup { interval: 50, ..setup(variant) }.start();
        rig.active();
        for (what, frame) in wrong(&rig, &rig.greater(255)) {
            let heard = rig.send(&rig.greater(255));
            let feed = rig.feed(&[frame], Duration::from_millis(8));
            let taken = rig.advert(heard + Duration::from_millis(2));
            feed.end();
            let wait = rig.setup.active_down(rig.setup.interval());
            on_time(&what, heard, wait, taken.at, rig.setup.half());
        }
    });
}

/// RFC 9568, 7.1: with priority 0 it would have the Backup wait for Skew_Time only, and with a short
/// interval for too short a time.
#[test]
fn a_discarded_advert_does_not_hasten_a_takeover() {
    matrix(|variant| {
        let mut rig = setup(variant).cable();
        let feed = rig.feed(&[rig.greater(210)], rig.setup.half());
        rig.start();
        rig.state("Backup");
        let mut frames = wrong(&rig, &rig.greater(0));
        frames.extend(wrong(&rig, &AdvertFrame { interval: 1, ..rig.greater(220) }));
        for (what, frame) in frames {
            rig.send(&frame);
            // More than Skew_Time.
            std::thread::sleep(Duration::from_millis(30));
            let sent = rig.sent(Stamp::from_nanos(0));
            assert!(sent.is_empty(), "{what}");
        }
        feed.end();
    });
}

/// RFC 9568, 7.1: neither a higher priority, nor priority 0, nor a lower one that would be answered.
#[test]
fn a_discarded_advert_has_no_effect_on_an_active() {
    matrix(|variant| {
        let rig = setup(variant).start();
        rig.active();
        let mut frames = Vec::new();
        for priority in [255, 0, 100] {
            for (what, frame) in wrong(&rig, &rig.greater(priority)) {
                frames.push((format!("{what}, priority {priority}"), frame.bytes()));
            }
        }
        let start = rig.freshly_active();
        for (_, frame) in &frames {
            rig.send_bytes(frame);
            std::thread::sleep(Duration::from_millis(8));
        }
        let adverts = rig.sent(start.at);
        for pair in adverts.windows(2) {
            let gap = pair[1].at - pair[0].at;
            let seen = rig.frames(pair[0].at);
            let last = seen
                .iter()
                .rfind(|it| it.direction == Direction::Out && it.at <= pair[1].at)
                .and_then(|it| frames.iter().find(|(_, bytes)| *bytes == it.bytes));
            assert!(
                gap > rig.setup.half() && gap < rig.setup.interval() * 3 / 2,
                "{gap:?} between adverts; the last packet was {:?}",
                last.map(|(what, _)| what)
            );
        }
        let expected = (Stamp::now() - start.at).as_millis() / u128::from(rig.setup.interval);
        assert!(adverts.len() as u128 + 2 >= expected, "{} of {expected}", adverts.len());
        let router = rig.router();
        assert_eq!(router["state"], "Active", "{router}");
        assert_eq!(router["last_transition"]["cause_code"], "active_down");
        assert_eq!(rig.installed().len(), 2);
    });
}

/// The whole flood of all of them, without a pause, in both states.
#[test]
fn a_burst_of_discarded_adverts_changes_nothing() {
    matrix(|variant| {
        let rig = setup(variant).start();
        let start = rig.freshly_active();
        let frames: Vec<AdvertFrame> =
            wrong(&rig, &rig.greater(255)).into_iter().map(|(_, frame)| frame).collect();
        let feed = rig.feed(&frames, Duration::from_millis(1));
        rig.advert(start.at + rig.setup.interval() * 8 - rig.setup.half());
        let times: Vec<Stamp> = rig.sent(start.at).iter().map(|it| it.at).collect();
        regular(&times, rig.setup.interval());
        let heard = rig.send(&rig.greater(255));
        let taken = rig.advert(heard + Duration::from_millis(2));
        let wait = rig.setup.active_down(rig.setup.interval());
        on_time("takeover", heard, wait, taken.at, rig.setup.half());
        feed.end();
    });
}

/// Adverts that look odd and are right, with what is odd.
fn odd(rig: &Rig, right: &AdvertFrame) -> Vec<(&'static str, AdvertFrame)> {
    let variant = rig.setup.variant;
    let with = |change: &dyn Fn(&mut AdvertFrame)| {
        let mut frame = right.clone();
        change(&mut frame);
        frame
    };
    let vips = variant.vips();
    let other = if variant.is_ipv4() { "10.51.0.77" } else { "fe80::77" }.parse().unwrap();
    let mut found = vec![
        ("reserved bits", with(&|it| it.reserved = 15)),
        ("another address", with(&|it| it.addresses = vec![other])),
        ("one address of two", with(&|it| it.addresses = vec![vips[0]])),
        ("an address more", with(&|it| it.addresses.push(other))),
        ("another order", with(&|it| it.addresses.reverse())),
        ("the same address twice", with(&|it| it.addresses = vec![vips[0]; 2])),
        ("trailing bytes", with(&|it| it.trailing = vec![1, 2, 3, 4])),
        ("an odd number of trailing bytes", with(&|it| it.trailing = vec![0xff; 13])),
        ("Ethernet padding", with(&|it| it.padding = 30)),
        ("the virtual MAC", with(&|it| it.ethernet.source = variant.virtual_mac())),
        ("a physical MAC", with(&|it| it.ethernet.source = crate::rig::PEER_MAC)),
        ("60 addresses", with(&|it| it.addresses = crate::sent::many(variant, 60))),
    ];
    if variant.is_ipv4() {
        // End of options list, no operation, router alert.
        let [nops, alert] = [vec![1, 1, 1, 0], vec![0x94, 4, 0, 0]];
        found.extend([
            ("a checksum with pseudo-header", with(&|it| it.sum = Sum::PseudoHeader)),
            ("IPv4 options", with(&|it| it.options = nops.clone())),
            ("a router alert", with(&|it| it.options = alert.clone())),
            ("all the IPv4 options there can be", with(&|it| it.options = vec![1; 40])),
            (
                "IPv4 options and the pseudo-header",
                with(&|it| (it.options, it.sum) = (nops.clone(), Sum::PseudoHeader)),
            ),
            ("a source of another network", with(&|it| it.source = "192.0.2.1".parse().unwrap())),
        ]);
    } else {
        // Hop-by-hop: router alert, PadN.
        let alert = vec![0, 0, 5, 2, 0, 0, 1, 0];
        found.push(("a router alert", with(&|it| it.options = alert.clone())));
    }
    found
}

/// RFC 9568, 5.2 and 7.1: no reason to discard.
#[test]
fn an_odd_but_right_advert_keeps_a_backup_waiting() {
    matrix(|variant| {
        let rig = variant.setup().start();
        rig.active();
        for (what, frame) in odd(&rig, &rig.greater(210)) {
            let start = rig.send(&rig.greater(255));
            let feed = rig.feed(&[frame], rig.setup.half());
            std::thread::sleep(rig.setup.interval() * 9 / 2);
            let sent = rig.sent(start + Duration::from_millis(2));
            assert!(sent.is_empty(), "discarded: {what}");
            feed.end();
        }
    });
}

/// RFC 9568, 6.4.3 and 7.1: it is answered as any other that loses.
#[test]
fn an_odd_but_right_advert_is_answered_by_an_active() {
    matrix(|variant| {
        let rig = Setup { interval: 1000, ..variant.setup() }.start();
        rig.active();
        for (what, frame) in odd(&rig, &rig.smaller(100)) {
            let asked = rig.send(&frame);
            let answer = rig.advert(asked);
            let took = answer.at - asked;
            assert!(took < rig.setup.interval() / 4, "{what}: {took:?}");
        }
    });
}

/// The IP packet of a frame in two: the first bears 8 bytes of the message.
fn fragments(variant: Variant, frame: &[u8]) -> [Vec<u8>; 2] {
    let (ethernet, packet) = frame.split_at(14);
    let header = if variant.is_ipv4() { 20 } else { 40 };
    let (header, message) = packet.split_at(header);
    let fragment = |at: usize, more: bool| {
        let part = if more { &message[..8] } else { &message[at..] };
        let place = u16::try_from(at).unwrap();
        let mut header = header.to_vec();
        let mut extension = Vec::new();
        if variant.is_ipv4() {
            let length = u16::try_from(20 + part.len()).unwrap();
            header[2..4].copy_from_slice(&length.to_be_bytes());
            header[4..6].copy_from_slice(&[0x12, 0x34]);
            header[6..8].copy_from_slice(&((place / 8) | (u16::from(more) << 13)).to_be_bytes());
            let sum = pnet::util::checksum(&header, 5);
            header[10..12].copy_from_slice(&sum.to_be_bytes());
        } else {
            let length = u16::try_from(8 + part.len()).unwrap();
            header[4..6].copy_from_slice(&length.to_be_bytes());
            extension = vec![112, 0];
            extension.extend((place | u16::from(more)).to_be_bytes());
            extension.extend([1, 2, 3, 4]);
            header[6] = 44;
        }
        [ethernet, &header, &extension, part].concat()
    };
    [fragment(0, true), fragment(8, false)]
}

/// An advert with many addresses may come so: the kernel puts it together.
#[test]
fn an_advert_in_fragments_is_heard_and_half_of_one_is_not() {
    matrix(|variant| {
        let rig = Setup { interval: 500, ..variant.setup() }.start();
        let start = rig.freshly_active().at;
        let [first, second] = fragments(variant, &rig.smaller(100).bytes());
        rig.send_bytes(&first);
        std::thread::sleep(rig.setup.interval() / 5);
        rig.silent(start + Duration::from_millis(1));
        let asked = rig.send_bytes(&second);
        let answer = rig.advert(asked);
        on_time("answer", asked, Duration::ZERO, answer.at, rig.setup.interval() / 5);
    });
}
