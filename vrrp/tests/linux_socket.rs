//! The advert socket between two network namespaces.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::disallowed_methods)] // The kernel's time is real.

mod linux_support;

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use linux_support::*;
use vrrp::Family;
use vrrp::linux::clock;
use vrrp::linux::socket::{AdvertSocket, Datagram, RecvBuf, SocketError};

const GROUP: IpAddr = IpAddr::V4(Ipv4Addr::new(224, 0, 0, 18));
const RCVBUF: usize = 256 * 1024;

fn open(name: &str) -> AdvertSocket {
    AdvertSocket::open(index(name), Family::Ipv4, RCVBUF).unwrap()
}

/// Sends packets from the other end.
fn send(peer: &Peer, packets: Vec<Vec<u8>>) {
    peer.run(move || {
        let socket = open(THERE);
        for packet in packets {
            socket.send(&packet, GROUP).unwrap();
        }
    });
}

/// Waits for a packet and copies it.
fn receive(socket: &AdvertSocket, buffer: &mut RecvBuf) -> Vec<u8> {
    wait_for("packet", socket, || socket.recv(buffer).unwrap().map(|got| got.bytes.to_vec()))
}

fn is_member(name: &str) -> bool {
    // 224.0.0.18 in network byte order; the device's line comes before its groups.
    let table = std::fs::read_to_string("/proc/thread-self/net/igmp").unwrap();
    let mut device = "";
    table.lines().skip(1).any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        if !line.starts_with('\t') {
            device = words[1];
        }
        device == name && words[0] == "120000E0"
    })
}

/// RFC 9568, 5.1.1.3 and 7.2: what leaves is what arrives, TTL 255.
#[test]
fn a_packet_arrives_as_it_was_sent() {
    let Some(peer) = namespaces() else { return };
    let socket = open(HERE);
    let mut buffer = RecvBuf::new();
    let sent = packet(THERE_IP, 255, &[], &advert(51, 200));
    send(&peer, vec![sent.clone()]);
    let mut got = receive(&socket, &mut buffer);
    // The kernel gives an identification where we have none.
    got[4..6].copy_from_slice(&sent[4..6]);
    got[10..12].copy_from_slice(&sent[10..12]);
    assert_eq!(got, sent);
    assert_eq!((got[8], got[1]), (255, 0xc0), "TTL and traffic class");
    assert!(socket.recv(&mut buffer).unwrap().is_none());
}

#[test]
fn header_options_and_empty_payloads_are_ordinary_packets() {
    let Some(peer) = namespaces() else { return };
    let socket = open(HERE);
    let mut buffer = RecvBuf::new();
    let with_options = packet(THERE_IP, 255, &[1, 1, 1, 0], &advert(51, 200));
    let empty = packet(THERE_IP, 255, &[], &[]);
    send(&peer, vec![with_options, empty, packet(THERE_IP, 255, &[], &[0x31])]);
    assert_eq!(receive(&socket, &mut buffer)[24..], advert(51, 200));
    assert_eq!(receive(&socket, &mut buffer).len(), 20);
    assert_eq!(receive(&socket, &mut buffer).len(), 21);
}

#[test]
fn more_packets_than_one_call_takes_come_in_order() {
    let Some(peer) = namespaces() else { return };
    let socket = open(HERE);
    let mut buffer = RecvBuf::new();
    send(&peer, (1..=100).map(|vrid| packet(THERE_IP, 255, &[], &advert(vrid, 1))).collect());
    for vrid in 1..=100 {
        assert_eq!(receive(&socket, &mut buffer)[21], vrid);
    }
    assert!(socket.recv(&mut buffer).unwrap().is_none());
    assert_eq!(socket.drops().unwrap(), 0);
}

#[test]
fn the_socket_is_a_member_of_the_group_as_long_as_it_lives() {
    let Some(_peer) = namespaces() else { return };
    assert!(!is_member(HERE));
    let socket = open(HERE);
    assert!(is_member(HERE));
    ip("link set here down");
    ip("link set here up");
    assert!(is_member(HERE));
    drop(socket);
    // A process that another test is just starting may still hold a copy of the socket.
    wait_until("leave", || !is_member(HERE));
}

#[test]
fn own_packets_and_other_interfaces_are_not_heard() {
    let Some(peer) = namespaces() else { return };
    ip("link add other type veth peer name rehto");
    ip("address add 10.1.0.1/24 dev other");
    ip("link set other up");
    ip("link set rehto up");
    let (socket, other) = (open(HERE), open("other"));
    let mut buffer = RecvBuf::new();
    socket.send(&packet(HERE_IP, 255, &[], &advert(1, 1)), GROUP).unwrap();
    send(&peer, vec![packet(THERE_IP, 255, &[], &advert(2, 1))]);
    assert_eq!(receive(&socket, &mut buffer)[21], 2);
    assert!(socket.recv(&mut buffer).unwrap().is_none());
    assert!(other.recv(&mut RecvBuf::new()).unwrap().is_none());
}

#[test]
fn packets_that_came_before_the_socket_was_bound_are_not_heard() {
    let Some(peer) = namespaces() else { return };
    ip("link add other type veth peer name rehto");
    ip("link set other up");
    // A member on the first interface, so that its packets reach every raw socket of the host.
    let _member = open(HERE);
    let (stop, stopped) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let flood = scope.spawn(move || {
            peer.run(move || {
                let socket = open(THERE);
                while stopped.try_recv().is_err() {
                    let _ = socket.send(&packet(THERE_IP, 255, &[], &advert(2, 1)), GROUP);
                }
            });
        });
        let hears = || open("other").recv(&mut RecvBuf::new()).unwrap().is_some();
        // A processor that stands still between finding the socket and queueing the packet may be
        // later than any opening takes: a hypervisor does that, seldom.
        let deaf = (0..3).any(|_| (0..100).all(|_| !hears()));
        stop.send(()).unwrap();
        flood.join().unwrap();
        assert!(deaf);
    });
}

/// How long ago a packet arrived.
fn age(datagram: &Datagram<'_>) -> Duration {
    clock::now().saturating_since(datagram.arrived)
}

#[test]
fn a_packet_counts_from_its_arrival_however_long_it_has_waited() {
    let Some(peer) = namespaces() else { return };
    let socket = open(HERE);
    let mut buffer = RecvBuf::new();
    // The kernel starts to stamp packets some time after the first socket has asked for it.
    wait_until("timestamps", || {
        send(&peer, vec![packet(THERE_IP, 255, &[], &advert(51, 200))]);
        std::thread::sleep(Duration::from_millis(5));
        let age = socket.recv(&mut buffer).unwrap().map(|got| age(&got));
        while socket.recv(&mut buffer).unwrap().is_some() {}
        age.is_some_and(|age| age >= Duration::from_millis(4))
    });
    let before = Instant::now();
    send(&peer, vec![packet(THERE_IP, 255, &[], &advert(51, 200))]);
    let sent = Instant::now();
    assert!(readable(&socket, DEADLINE));
    std::thread::sleep(Duration::from_millis(30));
    let waited_at_least = sent.elapsed();
    let age = age(&socket.recv(&mut buffer).unwrap().unwrap());
    assert!(age >= waited_at_least.saturating_sub(Duration::from_millis(1)), "{age:?}");
    assert!(age <= before.elapsed() + Duration::from_millis(1), "{age:?}");
}

/// A queue that is full keeps the oldest packets; what it lost is known at once and exactly.
#[test]
fn an_overflow_is_counted() {
    let Some(peer) = namespaces() else { return };
    let socket = AdvertSocket::open(index(HERE), Family::Ipv4, 16 * 1024).unwrap();
    let mut buffer = RecvBuf::new();
    const SENT: usize = 200;
    let flood = || (0..SENT).map(|_| packet(THERE_IP, 255, &[], &advert(1, 1))).collect();
    send(&peer, flood());
    let lost = socket.drops().unwrap();
    let mut kept = 0;
    while let Some(got) = socket.recv(&mut buffer).unwrap() {
        assert_eq!(got.overflowed, 0, "these were queued before the loss");
        kept += 1;
    }
    assert!(lost > 0 && kept > 0);
    assert_eq!(kept + usize::try_from(lost).unwrap(), SENT);
    send(&peer, vec![packet(THERE_IP, 255, &[], &advert(2, 1))]);
    let overflowed =
        wait_for("packet", &socket, || socket.recv(&mut buffer).unwrap().map(|got| got.overflowed));
    assert_eq!(overflowed, lost);
}

#[test]
fn a_link_that_is_made_again_needs_a_new_socket() {
    let Some(peer) = namespaces() else { return };
    let tid = peer.run(|| nix::unistd::gettid().as_raw());
    let old = open(HERE);
    let old_index = index(HERE);
    ip("link delete here");
    assert!(old.send(&packet(HERE_IP, 255, &[], &advert(1, 1)), GROUP).is_err());
    let gone = AdvertSocket::open(old_index, Family::Ipv4, RCVBUF);
    assert!(matches!(gone, Err(SocketError::NoInterface(index)) if index == old_index));
    ip(&format!("link add here index 4242 type veth peer name there netns {tid}"));
    ip("address add 10.0.0.1/24 dev here");
    ip("link set here up");
    peer.run(|| ip("link set there up"));
    let socket = open(HERE);
    let mut buffer = RecvBuf::new();
    wait_until("carrier", || link(HERE).is_some_and(|link| link.carrier));
    send(&peer, vec![packet(THERE_IP, 255, &[], &advert(7, 1))]);
    assert_eq!(receive(&socket, &mut buffer)[21], 7);
}

#[test]
fn sending_on_a_link_that_is_down_fails_at_once() {
    let Some(_peer) = namespaces() else { return };
    let socket = open(HERE);
    ip("link set here down");
    let error = socket.send(&packet(HERE_IP, 255, &[], &advert(1, 1)), GROUP).unwrap_err();
    assert!(
        [libc::ENETDOWN, libc::ENETUNREACH].contains(&error.raw_os_error().unwrap()),
        "{error}"
    );
}

#[test]
fn no_route_is_needed_to_send() {
    let Some(_peer) = namespaces() else { return };
    ip("address flush dev here");
    let socket = open(HERE);
    socket.send(&packet(HERE_IP, 255, &[], &advert(1, 1)), GROUP).unwrap();
}

#[test]
fn an_index_that_no_interface_has_is_an_error() {
    let Some(_peer) = namespaces() else { return };
    for index in [0, 9999] {
        let error = AdvertSocket::open(index, Family::Ipv4, RCVBUF).unwrap_err();
        assert!(!error.to_string().is_empty(), "{error}");
    }
}
