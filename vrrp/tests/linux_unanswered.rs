//! The kernel's neighbours: those that it asked for while the link was cut, and where others are.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::disallowed_methods)] // The kernel's time is real.

mod linux_support;

use std::net::UdpSocket;
use std::time::Instant;

use linux_support::*;
use vrrp::Family;
use vrrp::linux::netlink::Netlink;

/// Packets to them would wait until the kernel asks again, up to a second.
#[test]
fn a_neighbour_that_was_asked_for_in_vain_is_asked_for_anew() {
    let Some(peer) = namespaces() else { return };
    let (netlink, here) = (&mut Netlink::open().unwrap(), index(HERE));
    let receiver = peer.run(|| UdpSocket::bind((THERE_IP, 9000)).unwrap());
    let sender = UdpSocket::bind((HERE_IP, 0)).unwrap();
    for (forgets, what) in [(false, "left alone"), (true, "forgotten")] {
        ip("neighbour flush dev here");
        peer.run(|| ip("link set there arp off"));
        sender.send_to(b"lost", (THERE_IP, 9000)).unwrap();
        wait_until("question", || ip("neighbour show dev here").contains("INCOMPLETE"));
        std::thread::sleep(std::time::Duration::from_millis(100));
        peer.run(|| ip("link set there arp on"));
        let start = Instant::now();
        if forgets {
            assert_eq!(netlink.forget_unanswered(here, Family::Ipv4).unwrap(), 1);
        }
        sender.send_to(b"found", (THERE_IP, 9000)).unwrap();
        let mut packet = [0; 8];
        while &packet[..5] != b"found" {
            receiver.recv_from(&mut packet).unwrap();
        }
        eprintln!("{what}: reached after {:.1?}", start.elapsed());
    }
}

#[test]
fn neighbours_that_answer_are_kept() {
    let Some(_peer) = namespaces() else { return };
    let mut netlink = Netlink::open().unwrap();
    ip("neighbour add 10.0.0.2 lladdr 02:00:00:00:00:02 dev here nud reachable");
    ip("neighbour add 10.0.0.3 lladdr 02:00:00:00:00:03 dev here nud stale");
    for family in [Family::Ipv4, Family::Ipv6] {
        assert_eq!(netlink.forget_unanswered(index(HERE), family), Ok(0));
    }
    let left = ip("neighbour show dev here");
    assert!(left.contains("10.0.0.2") && left.contains("10.0.0.3"), "{left}");
}

#[test]
fn a_neighbours_ethernet_address_is_known_once_it_has_answered() {
    let Some(peer) = namespaces() else { return };
    let (netlink, here) = (&mut Netlink::open().unwrap(), index(HERE));
    assert_eq!(netlink.neighbour_mac(here, THERE_IP.into()), Ok(None));
    peer.run(|| ip("link set there arp off"));
    let socket = UdpSocket::bind((HERE_IP, 0)).unwrap();
    socket.send_to(b"question", (THERE_IP, 9)).unwrap();
    wait_until("question", || ip("neighbour show dev here").contains("INCOMPLETE"));
    assert_eq!(netlink.neighbour_mac(here, THERE_IP.into()), Ok(None));
    let expected = peer.run(|| {
        ip("link set there arp on");
        vrrp::Mac::new(link(THERE).unwrap().mac.unwrap())
    });
    wait_until("answer", || netlink.neighbour_mac(here, THERE_IP.into()) == Ok(Some(expected)));
    ip("neighbour add fe80::9 lladdr 02:00:00:00:00:09 dev here nud stale");
    let stale = netlink.neighbour_mac(here, "fe80::9".parse().unwrap());
    assert_eq!(stale.unwrap().unwrap().to_string(), "02:00:00:00:00:09");
}
