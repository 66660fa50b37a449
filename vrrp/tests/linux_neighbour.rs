//! Gratuitous ARP: it reaches the clients' caches, and that of others is heard.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::disallowed_methods)] // The kernel's time is real.

mod linux_support;

use std::net::{IpAddr, UdpSocket};
use std::time::Instant;

use linux_support::*;
use vrrp::Family;
use vrrp::linux::neighbour::{Announcer, Claim, Heard, Listener};
use vrrp::linux::netlink::Netlink;

fn mac(name: &str) -> [u8; 6] {
    link(name).unwrap().mac.unwrap()
}

fn text(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

fn announcer(name: &str) -> Announcer {
    Announcer::open(index(name), name, mac(name)).unwrap()
}

fn hear(listener: &Listener) -> Heard {
    wait_for("ARP", listener, || listener.recv().unwrap())
}

/// RFC 9568, 6.4.1: the client that talked to the former owner talks to the new one.
#[test]
fn an_announcement_updates_a_clients_cache() {
    let Some(peer) = namespaces() else { return };
    Netlink::open().unwrap().install(index(HERE), VIP, None).unwrap();
    peer.run(|| ip("neighbour add 10.0.0.10 lladdr 02:00:00:00:00:99 dev there nud reachable"));
    announcer(HERE).announce(VIP, None).unwrap();
    let expected = text(mac(HERE));
    peer.run(move || {
        wait_until("new entry", || ip("neighbour show 10.0.0.10 dev there").contains(&expected));
        UdpSocket::bind("0.0.0.0:0").unwrap().send_to(b"hello", (VIP, 9)).unwrap();
        assert!(ip("neighbour show 10.0.0.10 dev there").contains(&expected));
    });
}

#[test]
fn an_announcement_is_heard_with_its_sender() {
    let Some(peer) = namespaces() else { return };
    let listener = Listener::open(index(HERE), Family::Ipv4, &[VIP]).unwrap();
    assert_eq!(listener.recv().unwrap(), None);
    let sender_mac = peer.run(|| {
        announcer(THERE).announce(VIP, None).unwrap();
        mac(THERE)
    });
    assert_eq!(hear(&listener), Heard { address: VIP, mac: sender_mac, claim: Claim::Has });
    assert_eq!(listener.recv().unwrap(), None);
}

#[test]
fn own_and_other_arp_never_wakes() {
    let Some(peer) = namespaces() else { return };
    let listener = Listener::open(index(HERE), Family::Ipv4, &[VIP]).unwrap();
    announcer(HERE).announce(VIP, None).unwrap();
    peer.run(|| {
        let mut announcer = announcer(THERE);
        announcer.announce("10.0.0.11".parse().unwrap(), None).unwrap();
        UdpSocket::bind("0.0.0.0:0").unwrap().send_to(b"hello", (HERE_IP, 9)).unwrap();
        announcer.announce(VIP, None).unwrap();
    });
    assert_eq!(hear(&listener).address, VIP);
    assert_eq!(listener.recv().unwrap(), None);
}

#[test]
fn the_watched_addresses_can_change() {
    let Some(peer) = namespaces() else { return };
    let other: IpAddr = "10.0.0.11".parse().unwrap();
    let listener = Listener::open(index(HERE), Family::Ipv4, &[]).unwrap();
    let announce = move || {
        let mut announcer = announcer(THERE);
        announcer.announce(other, None).unwrap();
        announcer.announce(VIP, None).unwrap();
    };
    peer.run(announce);
    assert_eq!(listener.recv().unwrap(), None);
    listener.watch(&[VIP, "fd00::10".parse().unwrap()]).unwrap();
    peer.run(announce);
    assert_eq!(hear(&listener).address, VIP);
    // More than a program holds: all are heard.
    let many: Vec<IpAddr> =
        (0..3000_u32).map(|n| std::net::Ipv4Addr::from(0x0a01_0000 + n).into()).collect();
    listener.watch(&many[..1000]).unwrap();
    peer.run(announce);
    assert_eq!(listener.recv().unwrap(), None);
    listener.watch(&many).unwrap();
    peer.run(announce);
    assert_eq!(hear(&listener).address, other);
    assert_eq!(hear(&listener).address, VIP);
}

#[test]
fn the_listener_hears_again_after_the_link_was_down() {
    let Some(peer) = namespaces() else { return };
    let listener = Listener::open(index(HERE), Family::Ipv4, &[VIP]).unwrap();
    ip("link set here down");
    assert_eq!(listener.recv().unwrap(), None);
    assert!(announcer(HERE).announce(VIP, None).is_err());
    ip("link set here up");
    wait_until("carrier", || link(HERE).is_some_and(|link| link.carrier));
    peer.run(|| announcer(THERE).announce(VIP, None).unwrap());
    assert_eq!(hear(&listener).address, VIP);
}

#[test]
fn missing_interfaces_are_errors() {
    let Some(_peer) = namespaces() else { return };
    assert!(Announcer::open(9999, "none", [2, 0, 0, 0, 0, 1]).is_err());
    assert!(Listener::open(9999, Family::Ipv4, &[VIP]).is_err());
}

#[test]
fn an_announcement_takes_some_microseconds() {
    let Some(_peer) = namespaces() else { return };
    let mut announcer = announcer(HERE);
    let samples = (0..500).map(|_| {
        let start = Instant::now();
        announcer.announce(VIP, None).unwrap();
        start.elapsed()
    });
    eprintln!("announcement: {}", figures(samples.collect()));
}
