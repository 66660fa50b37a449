//! Where the VRRP packets of a router come from: its Ethernet address.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::disallowed_methods)] // The kernel's time is real.

mod linux_support;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Instant;

use linux_support::*;
use vrrp::linux::capture::Capture;
use vrrp::linux::socket::AdvertSocket;
use vrrp::wire::group;
use vrrp::{Family, Mac};

fn mac(name: &str) -> Mac {
    Mac::new(link(name).unwrap().mac.unwrap())
}

/// Sends VRRP packets from these addresses; the Ethernet address that they leave from.
fn send_from(peer: &Peer, sources: Vec<IpAddr>) -> Mac {
    peer.run(move || {
        let family = Family::of(sources[0]);
        let socket = AdvertSocket::open(index(THERE), family, 1 << 16).unwrap();
        for source in sources {
            let packet = match source {
                IpAddr::V4(source) => packet(source, 255, &[], &advert(51, 100)),
                IpAddr::V6(source) => {
                    let IpAddr::V6(to) = group(family) else { panic!("a group of its family") };
                    packet_v6(source, to, 255, &advert(51, 100))
                }
            };
            socket.send(&packet, group(family)).unwrap();
        }
        mac(THERE)
    })
}

fn seen(capture: &Capture) -> (IpAddr, Mac) {
    wait_for("a packet", capture, || capture.recv().unwrap())
}

fn sees_whom_it_looks_for(wanted: IpAddr, other: IpAddr) {
    let Some(peer) = namespaces() else { return };
    let family = Family::of(wanted);
    // The group's packets reach the interface for this.
    let _member = AdvertSocket::open(index(HERE), family, 1 << 16).unwrap();
    let capture = Capture::open(index(HERE), family, &[wanted]).unwrap();
    assert_eq!(capture.recv().unwrap(), None);
    let sender = send_from(&peer, vec![other, wanted]);
    assert_eq!(seen(&capture), (wanted, sender));
    assert_eq!(capture.recv().unwrap(), None);
    capture.look_for(&[]).unwrap();
    send_from(&peer, vec![wanted]);
    capture.look_for(&[other, wanted]).unwrap();
    send_from(&peer, vec![other]);
    assert_eq!(seen(&capture), (other, sender));
}

#[test]
fn the_routers_that_are_looked_for_are_seen_and_no_others() {
    sees_whom_it_looks_for(THERE_IP.into(), Ipv4Addr::new(10, 0, 0, 3).into());
}

#[test]
fn the_routers_of_ipv6_that_are_looked_for_are_seen_and_no_others() {
    let other = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 3);
    sees_whom_it_looks_for(THERE_LINK_LOCAL.into(), other.into());
}

#[test]
fn other_protocols_and_own_packets_are_not_seen() {
    let Some(peer) = namespaces() else { return };
    let capture =
        Capture::open(index(HERE), Family::Ipv4, &[THERE_IP.into(), HERE_IP.into()]).unwrap();
    let socket = AdvertSocket::open(index(HERE), Family::Ipv4, 1 << 16).unwrap();
    socket.send(&packet(HERE_IP, 255, &[], &advert(51, 100)), group(Family::Ipv4)).unwrap();
    peer.run(|| {
        let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
        socket.send_to(b"hello", (HERE_IP, 9)).unwrap();
    });
    let sender = send_from(&peer, vec![THERE_IP.into()]);
    assert_eq!(seen(&capture), (THERE_IP.into(), sender));
    assert_eq!(capture.recv().unwrap(), None);
}

#[test]
fn a_missing_interface_is_an_error() {
    let Some(_peer) = namespaces() else { return };
    assert!(Capture::open(9999, Family::Ipv4, &[]).is_err());
}

/// Why a capture that looks for nobody stays open for a while.
#[test]
fn closing_takes_the_kernel_some_milliseconds() {
    let Some(_peer) = namespaces() else { return };
    let mut opened = Vec::new();
    let closed = (0..20).map(|_| {
        let start = Instant::now();
        let capture = Capture::open(index(HERE), Family::Ipv4, &[]).unwrap();
        opened.push(start.elapsed());
        let start = Instant::now();
        drop(capture);
        start.elapsed()
    });
    let closed = figures(closed.collect());
    eprintln!("open: {}; close: {closed}", figures(opened));
}
