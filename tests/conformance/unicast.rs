//! Adverts to configured peers instead of the group.

use std::net::IpAddr;
use std::time::Duration;

use lab::inject::AdvertFrame;
use lab::{Checksum, Ethernet, Frame, Stamp};

use crate::rig::{
    Family, NODE_MAC, PEER_MAC, Rig, Setup, V6, V6_VIRTUAL, Variant, among, matrix, on_time,
};

const NODE: u8 = 50;
const SMALLER: u8 = 20;
const GREATER: u8 = 200;
const STRANGER: u8 = 77;

/// A host's address that peers can be listed by: link-local ones are not.
fn host(variant: Variant, number: u8) -> IpAddr {
    match variant.family {
        Family::V4 => variant.host(number),
        Family::V6 => format!("fd51::{number}").parse().unwrap(),
    }
}

/// With both peers of the test, in a list for all of the group.
fn setup(variant: Variant) -> Setup {
    listing(variant, &[NODE, SMALLER, GREATER])
}

fn listing(variant: Variant, peers: &[u8]) -> Setup {
    let (one, other) = (host(variant, SMALLER), host(variant, GREATER));
    let peers: Vec<_> = peers.iter().map(|&it| format!("\"{}\"", host(variant, it))).collect();
    Setup {
        lines: format!("transport = \"unicast\"\npeers = [{}]", peers.join(", ")),
        before: format!(
            "for it in {one} {other}; do \
               ip neighbour add $it lladdr {PEER_MAC} nud permanent dev eth0; done"
        ),
        ..variant.setup()
    }
}

/// An advert of a host to the daemon's own address.
fn advert(rig: &Rig, number: u8, priority: u8) -> AdvertFrame {
    let variant = rig.setup.variant;
    AdvertFrame {
        destination: host(variant, NODE),
        ethernet: Ethernet { source: PEER_MAC, destination: NODE_MAC },
        ..rig.peer(host(variant, number), priority)
    }
}

fn destinations(rig: &Rig, since: Stamp, priority: u8) -> Vec<IpAddr> {
    let sent = rig.sent(since).into_iter().filter(|it| it.advert.priority == priority);
    sent.map(|it| it.advert.destination).collect()
}

/// To each peer, and to nobody else; TTL 255 all the same.
#[test]
fn each_peer_gets_each_advert() {
    matrix(|variant| {
        let mut rig = setup(variant).start();
        rig.active();
        rig.advert(Stamp::now() + rig.setup.interval());
        rig.stop();
        let sent = rig.sent(Stamp::from_nanos(0));
        let count = |to: IpAddr| sent.iter().filter(|it| it.advert.destination == to).count();
        assert!(count(host(variant, SMALLER)) >= 3);
        assert_eq!(count(host(variant, SMALLER)), count(host(variant, GREATER)));
        assert_eq!(sent.len(), 2 * count(host(variant, GREATER)), "to somebody else");
        let form = if variant.is_ipv4() { Checksum::Message } else { Checksum::PseudoHeader };
        for it in &sent {
            assert_eq!(it.advert.ttl, 255);
            assert_eq!(it.advert.source, host(variant, NODE));
            assert_eq!(it.advert.ethernet.destination, PEER_MAC);
            assert_eq!(it.advert.checksum, form, "over the real destination");
        }
        let farewells = destinations(&rig, Stamp::from_nanos(0), 0);
        assert_eq!(farewells.len(), 2, "{farewells:?}");
    });
}

/// Where the peers of each node are listed for it alone.
#[test]
fn a_node_that_is_not_listed_itself_speaks_from_an_address_of_its_peers_kind() {
    matrix(|variant| {
        let rig = listing(variant, &[SMALLER, GREATER]).start();
        let sent = rig.active().advert;
        assert_eq!(sent.source, host(variant, NODE));
    });
}

/// RFC 9568, 5.1.2.1: link-local addresses are what IPv6 adverts come from.
#[test]
fn peers_may_be_link_local() {
    among(&[V6, V6_VIRTUAL], |variant| {
        let peer = variant.greater();
        let rig = Setup {
            lines: format!("transport = \"unicast\"\npeers = [\"{peer}\"]"),
            before: format!("ip neighbour add {peer} lladdr {PEER_MAC} nud permanent dev eth0"),
            ..variant.setup()
        }
        .start();
        let sent = rig.active().advert;
        assert_eq!((sent.source, sent.destination), (variant.node(), peer));
        let frame = AdvertFrame {
            destination: variant.node(),
            ethernet: Ethernet { source: PEER_MAC, destination: NODE_MAC },
            ..rig.greater(210)
        };
        let _feed = rig.feed(&[frame], rig.setup.half());
        rig.state("Backup");
        rig.has_vips(false);
    });
}

#[test]
fn a_peer_keeps_a_backup_waiting_and_a_stranger_does_not() {
    matrix(|variant| {
        let rig = setup(variant).start();
        rig.active();
        let peer = advert(&rig, GREATER, 210);
        let feed = rig.feed(&[peer], rig.setup.half());
        rig.state("Backup");
        let quiet = Stamp::now();
        std::thread::sleep(rig.setup.interval() * 6);
        rig.silent(quiet);
        feed.end();

        let heard = rig.send(&advert(&rig, SMALLER, 210));
        let stranger = advert(&rig, STRANGER, 255);
        let _stranger = rig.feed(&[stranger], rig.setup.interval() / 5);
        let taken = rig.advert(heard + Duration::from_millis(1));
        let wait = rig.setup.active_down(rig.setup.interval());
        on_time("takeover", heard, wait, taken.at, rig.setup.half());
    });
}

#[test]
fn an_active_answers_peers_and_no_strangers() {
    matrix(|variant| {
        let rig = Setup { interval: 400, ..setup(variant) }.start();
        let start = rig.freshly_active();
        let stranger = |priority| advert(&rig, STRANGER, priority);
        std::thread::sleep(rig.setup.interval() / 8);
        for priority in [255, 0, 100] {
            rig.send(&stranger(priority));
        }
        std::thread::sleep(rig.setup.interval() / 4);
        rig.silent(start.at + rig.setup.interval() / 16);

        let asked = rig.send(&advert(&rig, GREATER, 100));
        std::thread::sleep(rig.setup.interval() / 4);
        let mut answered = destinations(&rig, asked, 200);
        answered.sort();
        assert_eq!(answered, [host(variant, SMALLER), host(variant, GREATER)]);
        rig.send(&advert(&rig, SMALLER, 201));
        rig.state("Backup");
    });
}

/// RFC 9568, 5.1.1.3 and 5.1.2.3, here too: it was sent on this link.
#[test]
fn a_peer_behind_a_router_is_not_heard() {
    matrix(|variant| {
        let rig = setup(variant).start();
        rig.active();
        let far = AdvertFrame { ttl: 254, ..advert(&rig, GREATER, 255) };
        let start = rig.freshly_active();
        let _feed = rig.feed(&[far], rig.setup.interval() / 5);
        rig.advert(start.at + rig.setup.interval() * 5);
        rig.state("Active");
    });
}

/// The addresses are announced to the whole link as ever.
#[test]
fn a_new_active_announces_its_addresses_also_with_unicast() {
    matrix(|variant| {
        let rig = setup(variant).start();
        rig.active();
        for vip in variant.vips() {
            rig.wait("the announcement", |frames| {
                let found = frames.iter().any(|seen| match &seen.frame {
                    Some(Frame::Arp(it)) => it.is_gratuitous() && IpAddr::V4(it.sender) == vip,
                    Some(Frame::Neighbour(it)) => {
                        it.is_unsolicited() && IpAddr::V6(it.target) == vip
                    }
                    _ => false,
                });
                found.then_some(())
            });
        }
    });
}
