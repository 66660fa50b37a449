//! Who answers for the virtual addresses, and with which Ethernet address (RFC 9568, 6.4.2, 6.4.3
//! and 8).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use lab::inject::{arp, echo_request, neighbour_solicitation};
use lab::{ArpOperation, Discovery, Ethernet, Frame, MacAddr, Seen, Stamp};

use crate::rig::{NODE_MAC, PEER_MAC, Rig, Setup, Variant, matrix, poll};

/// As long as an answer may take that must not come.
const WHILE: Duration = Duration::from_millis(300);

/// A host of the test's that is on the same link as `address`.
fn host_near(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => Ipv4Addr::new(10, 51, 0, 20).into(),
        IpAddr::V6(v6) if v6.segments()[0] == 0xfe80 => {
            Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x20).into()
        }
        IpAddr::V6(_) => Ipv6Addr::new(0xfd51, 0, 0, 0, 0, 0, 0, 0x20).into(),
    }
}

/// A question of the test's for the Ethernet address of `address`.
fn question(address: IpAddr) -> Vec<u8> {
    let broadcast = Ethernet { source: PEER_MAC, destination: MacAddr::broadcast() };
    match (address, host_near(address)) {
        (IpAddr::V4(address), IpAddr::V4(host)) => {
            arp(ArpOperation::Request, broadcast, host, address)
        }
        (IpAddr::V6(address), IpAddr::V6(host)) => neighbour_solicitation(PEER_MAC, host, address),
        _ => unreachable!("two families"),
    }
}

/// The Ethernet addresses that a frame of the node's says `address` is at.
fn claimed(seen: &Seen, address: IpAddr) -> Vec<MacAddr> {
    match &seen.frame {
        Some(Frame::Arp(it)) if IpAddr::V4(it.sender) == address => {
            vec![it.sender_mac, it.ethernet.source]
        }
        Some(Frame::Neighbour(it)) => {
            let is_advertisement = matches!(it.discovery, Discovery::Advertisement { .. });
            let about = if is_advertisement { it.target } else { it.source };
            if IpAddr::V6(about) == address {
                it.link_layer.into_iter().chain([it.ethernet.source]).collect()
            } else {
                Vec::new()
            }
        }
        _ => Vec::new(),
    }
}

/// The answers since then.
fn answers(rig: &Rig, address: IpAddr, since: Stamp) -> Vec<Seen> {
    let is_answer = |seen: &Seen| match &seen.frame {
        Some(Frame::Arp(it)) => {
            it.operation == ArpOperation::Reply && IpAddr::V4(it.sender) == address
        }
        Some(Frame::Neighbour(it)) => {
            matches!(it.discovery, Discovery::Advertisement { solicited: true, .. })
                && IpAddr::V6(it.target) == address
        }
        _ => false,
    };
    rig.emitted(since).into_iter().filter(is_answer).collect()
}

/// Waits for an answer, and a moment for others.
#[track_caller]
fn answered(rig: &Rig, address: IpAddr, since: Stamp) -> Vec<Seen> {
    poll(&format!("an answer for {address}"), || {
        (!answers(rig, address, since).is_empty()).then_some(())
    });
    std::thread::sleep(WHILE);
    answers(rig, address, since)
}

/// Nothing that the node ever sent says that a virtual address is anywhere but at the virtual
/// router's Ethernet address.
fn never_elsewhere(rig: &Rig) {
    for seen in rig.emitted(Stamp::from_nanos(0)) {
        for &vip in &rig.setup.vips {
            for mac in claimed(&seen, vip) {
                assert_eq!(mac, rig.setup.variant.router_mac(), "{vip}: {:?}", seen.frame);
            }
        }
    }
}

/// RFC 9568, 6.4.3, 8.1.2 and 8.2.2.
#[test]
fn an_active_answers_for_each_address_with_the_virtual_routers_mac_once() {
    matrix(|variant| {
        let rig = variant.setup().start();
        rig.active();
        for vip in variant.vips() {
            let asked = rig.send_bytes(&question(vip));
            let answers = answered(&rig, vip, asked);
            assert_eq!(answers.len(), 1, "{answers:?}");
            assert_eq!(claimed(&answers[0], vip), [variant.router_mac(); 2]);
            assert_eq!(answers[0].bytes[..6], PEER_MAC.octets(), "to whom asked");
        }
        never_elsewhere(&rig);
    });
}

/// RFC 9568, 6.4.3 and 8.2.2: R, for an IPv6 virtual router with its own MAC.
#[test]
fn an_answer_to_a_solicitation_says_that_it_is_a_router() {
    crate::rig::among(&[crate::rig::V6_VIRTUAL], |variant| {
        let rig = variant.setup().start();
        rig.active();
        for vip in variant.vips() {
            let asked = rig.send_bytes(&question(vip));
            for answer in answered(&rig, vip, asked) {
                let Some(Frame::Neighbour(it)) = answer.frame else { panic!("{answer:?}") };
                let is_router =
                    matches!(it.discovery, Discovery::Advertisement { router, .. } if router);
                assert!(is_router, "{it:?}");
                assert_eq!(it.hop_limit, 255);
            }
        }
    });
}

/// RFC 5227 and RFC 4862: somebody tries whether the address is free.
#[test]
fn an_active_defends_its_addresses_against_probes() {
    matrix(|variant| {
        let rig = variant.setup().start();
        rig.active();
        for vip in variant.vips() {
            let probe = match vip {
                IpAddr::V4(vip) => {
                    let all = Ethernet { source: PEER_MAC, destination: MacAddr::broadcast() };
                    arp(ArpOperation::Request, all, Ipv4Addr::UNSPECIFIED, vip)
                }
                IpAddr::V6(vip) => neighbour_solicitation(PEER_MAC, Ipv6Addr::UNSPECIFIED, vip),
            };
            let asked = rig.send_bytes(&probe);
            poll("an answer", || {
                let frames = rig.emitted(asked);
                frames.iter().any(|seen| !claimed(seen, vip).is_empty()).then_some(())
            });
        }
        never_elsewhere(&rig);
    });
}

/// The ways to ask for an address or to use it.
fn attempts(variant: Variant) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    for vip in variant.vips() {
        frames.push(question(vip));
        for destination in [NODE_MAC, variant.virtual_mac()] {
            let to = Ethernet { source: PEER_MAC, destination };
            frames.push(echo_request(to, host_near(vip), vip));
            if let (IpAddr::V4(vip), IpAddr::V4(host)) = (vip, host_near(vip)) {
                frames.push(arp(ArpOperation::Request, to, host, vip));
            }
        }
    }
    frames
}

/// What the node sent since then about or from a virtual address, or from the virtual MAC.
fn traces(rig: &Rig, since: Stamp) -> Vec<Seen> {
    let variant = rig.setup.variant;
    let is_trace = |seen: &Seen| {
        let from_virtual_mac = seen.bytes.get(6..12) == Some(&variant.virtual_mac().octets()[..]);
        from_virtual_mac
            || variant
                .vips()
                .iter()
                .any(|&vip| is_from(seen, vip) || !claimed(seen, vip).is_empty())
    };
    rig.emitted(since).into_iter().filter(is_trace).collect()
}

fn is_from(seen: &Seen, address: IpAddr) -> bool {
    match (seen.bytes.get(12..14), address) {
        (Some([8, 0]), IpAddr::V4(address)) => seen.bytes.get(26..30) == Some(&address.octets()),
        (Some([0x86, 0xdd]), IpAddr::V6(address)) => {
            seen.bytes.get(22..38) == Some(&address.octets())
        }
        _ => false,
    }
}

/// RFC 9568, 6.4.2: no answers, nothing accepted, and nothing at all from the virtual MAC.
#[test]
fn a_backup_answers_for_no_address_and_sends_nothing_from_the_virtual_mac() {
    matrix(|variant| {
        let mut rig = variant.setup().cable();
        // From the peer's own address, so that its frames are not taken for the daemon's.
        let _feed = rig.feed(&[rig.greater(210)], rig.setup.half());
        rig.start();
        rig.state("Backup");
        for _ in 0..3 {
            for frame in attempts(variant) {
                rig.send_bytes(&frame);
            }
            std::thread::sleep(WHILE);
        }
        let traces = traces(&rig, Stamp::from_nanos(0));
        assert!(traces.is_empty(), "{traces:?}");
    });
}

/// The same for one that was Active.
#[test]
fn a_backup_that_was_active_answers_no_more() {
    matrix(|variant| {
        let rig = variant.setup().start();
        rig.active();
        let _feed = rig.feed(&[rig.greater(255)], rig.setup.half());
        rig.has_vips(false);
        rig.state("Backup");
        std::thread::sleep(WHILE);
        let quiet = Stamp::now();
        for frame in attempts(variant) {
            rig.send_bytes(&frame);
        }
        std::thread::sleep(WHILE);
        let traces = traces(&rig, quiet);
        assert!(traces.is_empty(), "{traces:?}");
    });
}

/// The node itself stays what it was, before and after.
#[test]
fn the_nodes_own_address_is_answered_for_with_its_own_mac_only() {
    matrix(|variant| {
        let mut rig = variant.setup().start();
        rig.active();
        let ask = |rig: &Rig| {
            let asked = rig.send_bytes(&question(variant.node()));
            let answers = answered(rig, variant.node(), asked);
            assert_eq!(answers.len(), 1, "{answers:?}");
            assert_eq!(claimed(&answers[0], variant.node()), [NODE_MAC; 2]);
        };
        ask(&rig);
        rig.stop();
        ask(&rig);
    });
}

/// Answers a question of the node's for the host that pings it.
fn introduce(rig: &Rig, seen: &Seen, host: IpAddr) {
    let to = Ethernet { source: PEER_MAC, destination: sender(seen) };
    match (&seen.frame, host) {
        (Some(Frame::Arp(it)), IpAddr::V4(host)) if it.target == host => {
            rig.send_bytes(&arp(ArpOperation::Reply, to, host, it.sender));
        }
        (Some(Frame::Neighbour(it)), IpAddr::V6(host)) if it.target == host => {
            let frame = lab::inject::neighbour_advertisement(PEER_MAC, host, host);
            rig.send_bytes(&frame);
        }
        _ => {}
    }
}

fn sender(seen: &Seen) -> MacAddr {
    seen.bytes.get(6..12).and_then(<[u8]>::first_chunk).map(|&it| it.into()).unwrap()
}

/// Accept_Mode is True (RFC 9568, 6.1): the virtual address serves. And when the node has to ask
/// for the client's Ethernet address first, it does not spoil the client's cache by that.
#[test]
fn an_active_accepts_what_is_sent_to_its_addresses() {
    matrix(|variant| {
        let rig = Setup { interval: 200, ..variant.setup() }.start();
        rig.active();
        serves(&rig);
        never_elsewhere(&rig);
    });
}

/// Pings each virtual address until it answers.
pub fn serves(rig: &Rig) {
    let variant = rig.setup.variant;
    for vip in variant.vips() {
        let host = host_near(vip);
        let to = Ethernet { source: PEER_MAC, destination: variant.router_mac() };
        let (start, mut done) = (Stamp::now(), 0);
        poll(&format!("an answer of {vip}"), || {
            rig.send_bytes(&echo_request(to, host, vip));
            let frames = rig.emitted(start);
            frames[done..].iter().for_each(|seen| introduce(rig, seen, host));
            done = frames.len();
            frames.iter().any(|seen| is_echo_reply(seen) && is_from(seen, vip)).then_some(())
        });
    }
}

fn is_echo_reply(seen: &Seen) -> bool {
    match seen.bytes.get(12..14) {
        Some([8, 0]) => seen.bytes.get(23) == Some(&1) && seen.bytes.get(34) == Some(&0),
        Some([0x86, 0xdd]) => seen.bytes.get(20) == Some(&58) && seen.bytes.get(54) == Some(&129),
        _ => false,
    }
}
