//! Neighbour discovery: announcements reach the clients' caches, and those of others are heard.
//! Both families where a virtual MAC address is in play.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod linux_support;

use std::net::{IpAddr, Ipv6Addr, UdpSocket};

use linux_support::*;
use vrrp::linux::neighbour::{Announcer, Claim, Heard, Listener};
use vrrp::linux::netlink::Netlink;
use vrrp::wire::virtual_mac;
use vrrp::{Family, Vrid};

fn mac(name: &str) -> [u8; 6] {
    link(name).unwrap().mac.unwrap()
}

fn text(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

fn announcer(name: &str) -> Announcer {
    Announcer::open(index(name), name, mac(name)).unwrap()
}

fn listener(name: &str, watched: &[IpAddr]) -> Listener {
    let family = Family::of(watched.first().copied().unwrap_or(VIP_V6));
    Listener::open(index(name), family, watched).unwrap()
}

fn hear(listener: &Listener) -> Heard {
    wait_for("neighbour", listener, || listener.recv().unwrap())
}

/// RFC 9568, 6.4.1: the client that talked to the former owner talks to the new one.
#[test]
fn an_announcement_updates_a_clients_cache() {
    let Some(peer) = namespaces() else { return };
    peer.run(|| {
        ip("route add fd00::/64 dev there");
        for vip in ["fd00::10", "fe80::10"] {
            ip(&format!("neighbour add {vip} lladdr 02:00:00:00:00:99 dev there nud reachable"));
        }
    });
    let expected = text(mac(HERE));
    for vip in [VIP_V6, VIP_LINK_LOCAL] {
        Netlink::open().unwrap().install(index(HERE), vip, None).unwrap();
        announcer(HERE).announce(vip, Some(HERE_LINK_LOCAL)).unwrap();
        let expected = expected.clone();
        peer.run(move || {
            let shown = || ip(&format!("neighbour show {vip} dev there"));
            wait_until("new entry", || shown().contains(&expected));
            assert!(shown().contains("router"), "{}", shown());
        });
    }
}

#[test]
fn an_announcement_is_heard_with_its_sender() {
    let Some(peer) = namespaces() else { return };
    let listener = listener(HERE, &[VIP_V6, VIP_LINK_LOCAL]);
    assert_eq!(listener.recv().unwrap(), None);
    for vip in [VIP_V6, VIP_LINK_LOCAL] {
        for source in [Some(THERE_LINK_LOCAL), None] {
            let mac = peer.run(move || {
                announcer(THERE).announce(vip, source).unwrap();
                mac(THERE)
            });
            assert_eq!(hear(&listener), Heard { address: vip, mac, claim: Claim::Has });
        }
    }
    assert_eq!(listener.recv().unwrap(), None);
}

/// What a router asks before it believes that it is the only Active.
#[test]
fn the_owner_answers_a_probe_to_the_whole_link() {
    let Some(peer) = namespaces() else { return };
    for vip in [VIP_V6, VIP_LINK_LOCAL] {
        Netlink::open().unwrap().install(index(HERE), vip, None).unwrap();
        let owner = listener(HERE, &[vip]);
        let (answer, prober) = peer.run(move || {
            let listener = listener(THERE, &[vip]);
            announcer(THERE).probe(vip).unwrap();
            (hear(&listener), mac(THERE))
        });
        assert_eq!(answer, Heard { address: vip, mac: mac(HERE), claim: Claim::Has });
        assert_eq!(hear(&owner), Heard { address: vip, mac: prober, claim: Claim::Probes });
    }
}

/// Data, other hosts' neighbour discovery, and what this host sends.
#[test]
fn own_and_other_packets_never_wake() {
    let Some(peer) = namespaces() else { return };
    let listener = listener(HERE, &[VIP_V6]);
    announcer(HERE).announce(VIP_V6, None).unwrap();
    announcer(HERE).probe(VIP_V6).unwrap();
    peer.run(|| {
        let mut announcer = announcer(THERE);
        announcer.announce("fd00::11".parse().unwrap(), None).unwrap();
        announcer.probe("fd00::11".parse().unwrap()).unwrap();
        // A solicitation of the other end's address, and a packet to it.
        let to = std::net::SocketAddrV6::new(HERE_LINK_LOCAL, 9, 0, index(THERE));
        UdpSocket::bind("[::]:0").unwrap().send_to(b"hello", to).unwrap();
        announcer.announce(VIP_V6, None).unwrap();
    });
    assert_eq!(hear(&listener).address, VIP_V6);
    assert_eq!(listener.recv().unwrap(), None);
}

#[test]
fn the_watched_addresses_can_change() {
    let Some(peer) = namespaces() else { return };
    let other: IpAddr = "fd00::11".parse().unwrap();
    let listener = listener(HERE, &[]);
    let announce = move || {
        let mut announcer = announcer(THERE);
        announcer.announce(other, None).unwrap();
        announcer.announce(VIP_V6, None).unwrap();
    };
    peer.run(announce);
    assert_eq!(listener.recv().unwrap(), None);
    listener.watch(&[VIP, VIP_V6]).unwrap();
    peer.run(announce);
    assert_eq!(hear(&listener).address, VIP_V6);
    // More than a program holds: all are heard.
    let many: Vec<IpAddr> =
        (0..3000).map(|n| Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 1, n).into()).collect();
    listener.watch(&many[..1500]).unwrap();
    peer.run(announce);
    assert_eq!(listener.recv().unwrap(), None);
    listener.watch(&many).unwrap();
    peer.run(announce);
    assert_eq!(hear(&listener).address, other);
    assert_eq!(hear(&listener).address, VIP_V6);
}

#[test]
fn the_listener_hears_again_after_the_link_was_down() {
    let Some(peer) = namespaces() else { return };
    let listener = listener(HERE, &[VIP_V6]);
    ip("link set here down");
    assert_eq!(listener.recv().unwrap(), None);
    assert!(announcer(HERE).announce(VIP_V6, None).is_err());
    ip("link set here up");
    wait_until("carrier", || is_ready(HERE));
    peer.run(|| {
        wait_until("carrier", || is_ready(THERE));
        announcer(THERE).announce(VIP_V6, None).unwrap();
    });
    assert_eq!(hear(&listener).address, VIP_V6);
}

/// RFC 9568, 8.1.2 and 8.2.2: the virtual MAC address and never the physical one, also where a
/// second router of the virtual router has the same one and asks.
#[test]
fn a_virtual_macs_address_is_announced_and_answered_with_it() {
    let Some(peer) = namespaces() else { return };
    let start = |parent: &str, name: &str, mac: [u8; 6]| {
        let mac = text(mac);
        ip(&format!("link add link {parent} name {name} address {mac} type macvlan mode bridge"));
        ip(&format!("link set {name} addrgenmode none up"));
    };
    sysctl("ipv4/conf/here/arp_ignore", "1");
    for (vip, name) in [(VIP, "vrrp4"), (VIP_V6, "vrrp6")] {
        let virtual_mac = virtual_mac(Family::of(vip), Vrid::new(51).unwrap());
        start(HERE, name, virtual_mac);
        peer.run(move || start(THERE, name, virtual_mac));
        Netlink::open().unwrap().install(index(name), vip, None).unwrap();
        let has = Heard { address: vip, mac: virtual_mac, claim: Claim::Has };

        let listener = peer.run(move || listener(THERE, &[vip]));
        announcer(HERE).announce_as(virtual_mac, vip, Some(HERE_LINK_LOCAL)).unwrap();
        assert_eq!(hear(&listener), has);
        let mut capture = peer.run(|| Capture::open(THERE));
        peer.run(move || announcer(THERE).probe(vip).unwrap());
        assert_eq!(hear(&listener), has);
        let answer = capture.wait("answer", |frame| frame[6..12] == virtual_mac);
        assert_eq!(answer[6..12], virtual_mac);
        // Nobody answered from the physical address.
        assert_eq!(listener.recv().unwrap(), None);
    }
}

#[test]
fn missing_interfaces_are_errors() {
    let Some(_peer) = namespaces() else { return };
    assert!(Listener::open(9999, Family::Ipv6, &[VIP_V6]).is_err());
}
