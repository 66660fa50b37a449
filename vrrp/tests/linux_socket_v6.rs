//! The advert socket of IPv6 between two network namespaces.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod linux_support;

use std::net::{IpAddr, Ipv6Addr};

use linux_support::*;
use vrrp::config::{Addresses, Checksum};
use vrrp::linux::socket::{AdvertSocket, Datagram, Outbound, RecvBuf, SocketError};
use vrrp::time::Centis;
use vrrp::wire::{ChecksumForm, DropReason, GROUP_V6, MAX_LEN, Outgoing, group};
use vrrp::{Family, Priority, Vrid};

const GROUP: IpAddr = IpAddr::V6(GROUP_V6);
const RCVBUF: usize = 256 * 1024;

fn open(name: &str) -> AdvertSocket {
    AdvertSocket::open(index(name), Family::Ipv6, RCVBUF).unwrap()
}

/// Sends packets from the other end.
fn send(peer: &Peer, packets: Vec<(Vec<u8>, IpAddr)>) {
    peer.run(move || {
        let socket = open(THERE);
        for (packet, to) in packets {
            socket.send(&packet, to).unwrap();
        }
    });
}

/// Waits for a packet and looks at it.
fn receive<T>(socket: &AdvertSocket, buffer: &mut RecvBuf, look: impl Fn(&Datagram<'_>) -> T) -> T {
    wait_for("packet", socket, || socket.recv(buffer).unwrap().map(|datagram| look(&datagram)))
}

fn addresses(count: u8) -> Vec<IpAddr> {
    (0..count).map(|last| Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 1, last.into()).into()).collect()
}

/// A good advert of the other end with `count` addresses.
fn advert_to(vrid: u8, count: u8, to: IpAddr) -> Vec<u8> {
    let addresses = Addresses::new(addresses(count)).unwrap();
    let advert = Outgoing {
        vrid: Vrid::new(vrid).unwrap(),
        priority: Priority::new(200),
        interval: Centis::new(100).unwrap(),
        addresses: addresses.as_slice(),
        checksum: Checksum::Auto.form(None),
    };
    advert.encode(THERE_LINK_LOCAL.into(), to, &mut [0; MAX_LEN]).to_vec()
}

fn advert(vrid: u8) -> Vec<u8> {
    advert_to(vrid, 1, GROUP)
}

fn is_member(name: &str) -> bool {
    let table = std::fs::read_to_string("/proc/thread-self/net/igmp6").unwrap();
    table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .any(|words| words[1] == name && words[2] == "ff020000000000000000000000000012")
}

/// RFC 9568, 5.1.2 and 7.2: what leaves is what arrives, hop limit 255, to ff02::12.
#[test]
fn a_packet_arrives_as_it_was_sent() {
    let Some(peer) = namespaces() else { return };
    let (socket, mut buffer) = (open(HERE), RecvBuf::new());
    let mut capture = Capture::open(HERE);
    let sent = advert(51);
    send(&peer, vec![(sent.clone(), GROUP)]);
    let frame = capture.wait("advert", |frame| frame[12..14] == [0x86, 0xdd] && frame[20] == 112);
    assert_eq!(frame[14..], sent);
    assert_eq!(frame[..6], [0x33, 0x33, 0, 0, 0, 0x12]);
    let packet = pnet::packet::ipv6::Ipv6Packet::new(&frame[14..]).unwrap();
    assert_eq!((packet.get_hop_limit(), packet.get_traffic_class()), (255, 0xc0));
    assert_eq!(packet.get_source(), THERE_LINK_LOCAL);
    assert_eq!(packet.get_destination(), GROUP_V6);

    receive(&socket, &mut buffer, |datagram| {
        assert_eq!(datagram.bytes, &sent[40..]);
        assert_eq!(datagram.source(), Some(THERE_LINK_LOCAL.into()));
        let advert = datagram.advert().unwrap();
        assert_eq!(advert.source, IpAddr::from(THERE_LINK_LOCAL));
        assert_eq!(advert.destination, GROUP);
        assert_eq!(advert.vrid.get(), 51);
        assert!(advert.addresses().eq(addresses(1)));
    });
    assert!(socket.recv(&mut buffer).unwrap().is_none());
}

/// RFC 9568, 7.1: nothing that is wrong with a packet is kept from whoever counts it.
#[test]
fn bad_packets_arrive_too_and_each_has_its_reason() {
    let Some(peer) = namespaces() else { return };
    let (socket, mut buffer) = (open(HERE), RecvBuf::new());
    let good = advert(51);
    let with = |at: usize, byte: u8| {
        let mut packet = good.clone();
        packet[at] = byte;
        packet
    };
    let bad = [
        (with(7, 254), DropReason::Ttl),
        (with(40, 0x21), DropReason::Version),
        (with(40, 0x32), DropReason::Type),
        (with(47, good[47] ^ 1), DropReason::Checksum),
        (with(43, 2), DropReason::Length),
        (packet_v6(THERE_LINK_LOCAL, GROUP_V6, 255, &[0x31, 51]), DropReason::Length),
        (packet_v6(THERE_LINK_LOCAL, GROUP_V6, 255, &[]), DropReason::Length),
    ];
    send(&peer, bad.iter().map(|(packet, _)| (packet.clone(), GROUP)).collect());
    for (_, reason) in bad {
        let (got, source) =
            receive(&socket, &mut buffer, |d| (d.advert().map(|advert| advert.vrid), d.source()));
        assert_eq!((got, source), (Err(reason), Some(THERE_LINK_LOCAL.into())));
    }
}

/// An empty payload is a packet like any other: the socket goes on.
#[test]
fn packets_behind_an_empty_one_are_heard() {
    let Some(peer) = namespaces() else { return };
    let (socket, mut buffer) = (open(HERE), RecvBuf::new());
    let empty = packet_v6(THERE_LINK_LOCAL, GROUP_V6, 255, &[]);
    send(&peer, vec![(empty.clone(), GROUP), (empty, GROUP), (advert(7), GROUP)]);
    assert_eq!(receive(&socket, &mut buffer, |d| d.bytes.len()), 0);
    assert_eq!(receive(&socket, &mut buffer, |d| d.bytes.len()), 0);
    assert_eq!(receive(&socket, &mut buffer, |d| d.advert().map(|a| a.vrid.get())), Ok(7));
    assert!(socket.recv(&mut buffer).unwrap().is_none());
}

/// A destination options header stands before the advert; the kernel has read it.
#[test]
fn extension_headers_are_no_part_of_the_advert() {
    let Some(peer) = namespaces() else { return };
    let (socket, mut buffer) = (open(HERE), RecvBuf::new());
    let mut packet = advert(9);
    packet[6] = 60;
    // Next header 112, length 0 (8 bytes), PadN of 4.
    packet.splice(40..40, [112, 0, 1, 4, 0, 0, 0, 0]);
    packet[5] += 8;
    send(&peer, vec![(packet, GROUP)]);
    assert_eq!(receive(&socket, &mut buffer, |d| d.advert().map(|a| a.vrid.get())), Ok(9));
}

#[test]
fn adverts_to_this_router_alone_are_heard() {
    let Some(peer) = namespaces() else { return };
    let (socket, mut buffer) = (open(HERE), RecvBuf::new());
    let here = IpAddr::from(HERE_LINK_LOCAL);
    send(&peer, vec![(advert_to(3, 1, here), here)]);
    let got = receive(&socket, &mut buffer, |d| d.advert().map(|a| (a.vrid.get(), a.destination)));
    assert_eq!(got, Ok((3, here)));
}

/// RFC 9568, 5.1.2.2: groups that other programs have joined are not ours.
#[test]
fn adverts_to_other_groups_are_not_heard() {
    let Some(peer) = namespaces() else { return };
    let (socket, mut buffer) = (open(HERE), RecvBuf::new());
    let all_nodes = "ff02::1".parse().unwrap();
    send(&peer, vec![(advert_to(4, 1, all_nodes), all_nodes), (advert(5), GROUP)]);
    assert_eq!(receive(&socket, &mut buffer, |d| d.advert().map(|a| a.vrid.get())), Ok(5));
    socket.tighten(&[4, 5].map(|vrid| Vrid::new(vrid).unwrap())).unwrap();
    send(&peer, vec![(advert_to(4, 1, all_nodes), all_nodes), (advert(5), GROUP)]);
    assert_eq!(receive(&socket, &mut buffer, |d| d.advert().map(|a| a.vrid.get())), Ok(5));
    socket.relax().unwrap();
    send(&peer, vec![(advert_to(4, 1, all_nodes), all_nodes), (advert(5), GROUP)]);
    assert_eq!(receive(&socket, &mut buffer, |d| d.advert().map(|a| a.vrid.get())), Ok(5));
}

/// RFC 9568, 5.2.5: up to 255 addresses, where the link takes so long a packet.
#[test]
fn the_longest_advert_passes_where_the_mtu_allows() {
    let Some(peer) = namespaces() else { return };
    let (socket, mut buffer) = (open(HERE), RecvBuf::new());
    let longest = advert_to(1, 255, GROUP);
    assert_eq!(longest.len(), MAX_LEN);
    let error = peer.run({
        let longest = longest.clone();
        move || open(THERE).send(&longest, GROUP).unwrap_err()
    });
    assert_eq!(error.raw_os_error(), Some(libc::EMSGSIZE));
    ip("link set here mtu 9000");
    peer.run(|| ip("link set there mtu 9000"));
    send(&peer, vec![(longest, GROUP)]);
    let got =
        receive(&socket, &mut buffer, |d| d.advert().map(|a| a.addresses().eq(addresses(255))));
    assert_eq!(got, Ok(true));
}

#[test]
fn many_packets_leave_at_once_and_come_in_order() {
    let Some(peer) = namespaces() else { return };
    let socket = AdvertSocket::open(index(HERE), Family::Ipv6, 4 << 20).unwrap();
    let mut buffer = RecvBuf::new();
    peer.run(|| {
        let packets: Vec<_> = (1..=255).map(advert).collect();
        let outbound: Vec<_> =
            packets.iter().map(|packet| Outbound { packet, to: GROUP }).collect();
        let sent = open(THERE).send_many(&outbound);
        assert_eq!(sent.count, 255);
        assert!(sent.error.is_none());
        let nothing = open(THERE).send_many(&[]);
        assert!(nothing.count == 0 && nothing.error.is_none());
    });
    for vrid in 1..=255 {
        assert_eq!(receive(&socket, &mut buffer, |d| d.advert().map(|a| a.vrid.get())), Ok(vrid));
    }
    assert_eq!(socket.drops().unwrap(), 0);
}

/// A last priority 0 leaves although somebody has taken the node's address away.
#[test]
fn an_advert_leaves_from_an_address_that_is_gone() {
    let Some(peer) = namespaces() else { return };
    let (socket, mut buffer) = (open(HERE), RecvBuf::new());
    peer.run(|| {
        let sender = open(THERE);
        ip(&format!("address delete {THERE_LINK_LOCAL}/64 dev {THERE}"));
        ip(&format!("address add fe80::77/64 dev {THERE} nodad"));
        let packet = advert(51);
        let sent = sender.send_many(&[Outbound { packet: &packet, to: GROUP }]);
        assert!(sent.count == 1 && sent.error.is_none(), "{sent:?}");
    });
    let source = receive(&socket, &mut buffer, |d| d.source());
    assert_eq!(source, Some(THERE_LINK_LOCAL.into()));
}

#[test]
fn a_packet_that_cannot_leave_ends_the_rest_and_is_told() {
    let Some(peer) = namespaces() else { return };
    let (socket, mut buffer) = (open(HERE), RecvBuf::new());
    peer.run(|| {
        let mut packets: Vec<_> = (1..=100).map(advert).collect();
        packets[70] = advert_to(71, 255, GROUP);
        let outbound: Vec<_> =
            packets.iter().map(|packet| Outbound { packet, to: GROUP }).collect();
        let socket = open(THERE);
        let sent = socket.send_many(&outbound);
        assert_eq!(sent.count, 70);
        assert_eq!(sent.error.unwrap().raw_os_error(), Some(libc::EMSGSIZE));
        assert_eq!(socket.send_many(&outbound[71..]).count, 29);
    });
    for vrid in (1..=100).filter(|&vrid| vrid != 71) {
        assert_eq!(receive(&socket, &mut buffer, |d| d.advert().map(|a| a.vrid.get())), Ok(vrid));
    }
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

/// Adverts are heard again after the interface was down, although its addresses were gone.
#[test]
fn a_link_that_was_down_needs_no_new_socket() {
    let Some(peer) = namespaces() else { return };
    let (socket, mut buffer) = (open(HERE), RecvBuf::new());
    ip("link set here down");
    ip("link set here up");
    wait_until("carrier", || is_ready(HERE));
    peer.run(|| wait_until("carrier", || is_ready(THERE)));
    send(&peer, vec![(advert(5), GROUP)]);
    assert_eq!(receive(&socket, &mut buffer, |d| d.advert().map(|a| a.vrid.get())), Ok(5));
}

#[test]
fn own_packets_and_other_interfaces_are_not_heard() {
    let Some(peer) = namespaces() else { return };
    ip("link add other type veth peer name rehto");
    ip("link set other up");
    ip("link set rehto up");
    let (socket, other) = (open(HERE), open("other"));
    let mut buffer = RecvBuf::new();
    socket.send(&packet_v6(HERE_LINK_LOCAL, GROUP_V6, 255, &[0x31, 1]), GROUP).unwrap();
    send(&peer, vec![(advert(2), GROUP)]);
    assert_eq!(receive(&socket, &mut buffer, |d| d.advert().map(|a| a.vrid.get())), Ok(2));
    assert!(socket.recv(&mut buffer).unwrap().is_none());
    assert!(other.recv(&mut RecvBuf::new()).unwrap().is_none());
}

/// RFC 9568, 1: the same VRID in both families makes two virtual routers.
#[test]
fn the_two_families_do_not_hear_each_other() {
    let Some(peer) = namespaces() else { return };
    let ipv4 = AdvertSocket::open(index(HERE), Family::Ipv4, RCVBUF).unwrap();
    let ipv6 = open(HERE);
    assert_eq!((ipv4.family(), ipv6.family()), (Family::Ipv4, Family::Ipv6));
    peer.run(|| {
        let sent = Outgoing {
            vrid: Vrid::new(51).unwrap(),
            priority: None,
            interval: Centis::new(1).unwrap(),
            addresses: &[VIP],
            checksum: ChecksumForm::Rfc9568,
        };
        let to = group(Family::Ipv4);
        let mut buffer = [0; MAX_LEN];
        let packet = sent.encode(THERE_IP.into(), to, &mut buffer);
        AdvertSocket::open(index(THERE), Family::Ipv4, RCVBUF).unwrap().send(packet, to).unwrap();
        open(THERE).send(&advert(51), GROUP).unwrap();
    });
    let (mut buffer_v4, mut buffer_v6) = (RecvBuf::new(), RecvBuf::new());
    let source = |d: &Datagram<'_>| (d.source(), d.advert().unwrap().source);
    let (v4, v6) = (IpAddr::from(THERE_IP), IpAddr::from(THERE_LINK_LOCAL));
    assert_eq!(receive(&ipv4, &mut buffer_v4, source), (Some(v4), v4));
    assert_eq!(receive(&ipv6, &mut buffer_v6, source), (Some(v6), v6));
    assert!(ipv4.recv(&mut buffer_v4).unwrap().is_none());
    assert!(ipv6.recv(&mut buffer_v6).unwrap().is_none());
}

/// A queue that is full keeps the oldest packets; what it lost is known at once and exactly.
#[test]
fn an_overflow_is_counted() {
    let Some(peer) = namespaces() else { return };
    let socket = AdvertSocket::open(index(HERE), Family::Ipv6, 16 * 1024).unwrap();
    let mut buffer = RecvBuf::new();
    const SENT: usize = 200;
    send(&peer, (0..SENT).map(|_| (advert(1), GROUP)).collect());
    let lost = usize::try_from(socket.drops().unwrap()).unwrap();
    let mut kept = 0;
    while socket.recv(&mut buffer).unwrap().is_some() {
        kept += 1;
    }
    assert!(lost > 0 && kept > 0);
    assert_eq!(kept + lost, SENT);
    send(&peer, vec![(advert(2), GROUP)]);
    let overflowed = receive(&socket, &mut buffer, |datagram| datagram.overflowed);
    assert_eq!(usize::try_from(overflowed).unwrap(), lost);
}

#[test]
fn sending_on_a_link_that_is_down_fails_at_once() {
    let Some(_peer) = namespaces() else { return };
    let socket = open(HERE);
    ip("link set here down");
    let packet = packet_v6(HERE_LINK_LOCAL, GROUP_V6, 255, &[0x31, 1]);
    let error = socket.send(&packet, GROUP).unwrap_err();
    eprintln!("down: {error}");
    let sent = socket.send_many(&[Outbound { packet: &packet, to: GROUP }]);
    assert_eq!(sent.count, 0);
    assert_eq!(sent.error.unwrap().raw_os_error(), error.raw_os_error());
}

#[test]
fn interfaces_without_ipv6_are_refused_with_the_reason() {
    let Some(_peer) = namespaces() else { return };
    ip("link set here mtu 1279");
    let error = AdvertSocket::open(index(HERE), Family::Ipv6, RCVBUF).unwrap_err();
    assert!(matches!(error, SocketError::NoFamily(Family::Ipv6)), "{error}");
    for index in [0, 9999] {
        let error = AdvertSocket::open(index, Family::Ipv6, RCVBUF).unwrap_err();
        assert!(!error.to_string().is_empty(), "{error}");
    }
}
