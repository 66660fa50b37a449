//! Adverts from a virtual router MAC address, with macvlans and without (RFC 9568, 7.2 and 7.3).
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::disallowed_methods)] // The kernel's time is real.

mod linux_support;

use std::net::IpAddr;
use std::time::Instant;

use linux_support::*;
use vrrp::linux::frame::{FrameSocket, HEADER_LEN, advert_header};
use vrrp::linux::socket::{AdvertSocket, Datagram, Outbound, RecvBuf, SocketError};
use vrrp::time::Centis;
use vrrp::wire::{ChecksumForm, MAX_LEN, Outgoing, group, virtual_mac};
use vrrp::{Family, Priority, Vrid};

const FAMILIES: [Family; 2] = [Family::Ipv4, Family::Ipv6];
const RCVBUF: usize = 1 << 20;

fn vrid(vrid: u8) -> Vrid {
    Vrid::new(vrid).unwrap()
}

fn source(family: Family, name: &str) -> IpAddr {
    match (family, name) {
        (Family::Ipv4, HERE) => HERE_IP.into(),
        (Family::Ipv4, _) => THERE_IP.into(),
        (Family::Ipv6, HERE) => HERE_LINK_LOCAL.into(),
        (Family::Ipv6, _) => THERE_LINK_LOCAL.into(),
    }
}

/// A whole frame with an advert from `name`'s own address and the virtual MAC.
fn frame(family: Family, id: u8, name: &str) -> Vec<u8> {
    let vip = if family == Family::Ipv4 { VIP } else { VIP_LINK_LOCAL };
    let advert = Outgoing {
        vrid: vrid(id),
        priority: Priority::new(200),
        interval: Centis::new(100).unwrap(),
        addresses: &[vip],
        checksum: ChecksumForm::Rfc9568,
    };
    let mut buffer = [0; MAX_LEN];
    let packet = advert.encode(source(family, name), group(family), &mut buffer);
    let mut frame = advert_header(family, vrid(id)).to_vec();
    frame.extend(packet);
    frame
}

fn send(name: &'static str, frames: &[Vec<u8>]) {
    let frames: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
    let sent = FrameSocket::open(index(name)).unwrap().send_many(&frames);
    assert!(sent.count == frames.len() && sent.error.is_none(), "{sent:?}");
}

fn open(name: &str, family: Family) -> AdvertSocket {
    AdvertSocket::open(index(name), family, RCVBUF).unwrap()
}

fn receive(socket: &AdvertSocket, buffer: &mut RecvBuf) -> (u8, IpAddr) {
    let look = |d: Datagram<'_>| {
        let advert = d.advert().unwrap();
        (advert.vrid.get(), advert.source)
    };
    wait_for("advert", socket, || socket.recv(buffer).unwrap().map(look))
}

/// A virtual router's interface as the daemon makes it.
fn add_macvlan(parent: &str, name: &str, mac: [u8; 6]) {
    let mac = mac.map(|byte| format!("{byte:02x}")).join(":");
    ip(&format!("link add link {parent} name {name} address {mac} type macvlan mode bridge"));
    ip(&format!("link set {name} addrgenmode none"));
}

#[test]
fn the_header_has_the_virtual_mac_and_the_groups_address() {
    use pnet::packet::ethernet::{EtherTypes, EthernetPacket};
    for (family, source, destination, ether_type) in [
        (Family::Ipv4, "00:00:5e:00:01:33", "01:00:5e:00:00:12", EtherTypes::Ipv4),
        (Family::Ipv6, "00:00:5e:00:02:33", "33:33:00:00:00:12", EtherTypes::Ipv6),
    ] {
        let header = advert_header(family, vrid(0x33));
        let ethernet = EthernetPacket::new(&header).unwrap();
        assert_eq!(ethernet.get_source().to_string(), source);
        assert_eq!(ethernet.get_destination().to_string(), destination);
        assert_eq!(ethernet.get_ethertype(), ether_type);
    }
}

/// Also before there is a macvlan, so that the first advert waits for nothing.
#[test]
fn a_frame_arrives_as_it_was_sent_and_is_heard_as_an_advert() {
    let Some(peer) = namespaces() else { return };
    let mut capture = Capture::open(HERE);
    for family in FAMILIES {
        let (socket, mut buffer) = (open(HERE, family), RecvBuf::new());
        let sent = frame(family, 51, THERE);
        peer.run({
            let sent = sent.clone();
            move || send(THERE, &[sent])
        });
        let got = capture.wait("frame", |frame| frame[6..12] == virtual_mac(family, vrid(51)));
        assert_eq!(got, sent);
        assert_eq!(receive(&socket, &mut buffer), (51, source(family, THERE)));
    }
}

#[test]
fn the_frames_of_255_virtual_routers_leave_at_once() {
    let Some(peer) = namespaces() else { return };
    for family in FAMILIES {
        let (socket, mut buffer) = (open(HERE, family), RecvBuf::new());
        peer.run(move || {
            let frames: Vec<_> = (1..=255).map(|id| frame(family, id, THERE)).collect();
            send(THERE, &frames);
        });
        for id in 1..=255 {
            assert_eq!(receive(&socket, &mut buffer), (id, source(family, THERE)));
        }
    }
}

/// Two routers of one virtual router have the same MAC address on their macvlans, and one may be
/// Active as the other still is: each must hear the other, on the parent.
#[test]
fn the_other_actives_adverts_reach_the_parent_past_an_own_macvlan() {
    let Some(peer) = namespaces() else { return };
    for family in FAMILIES {
        let mac = virtual_mac(family, vrid(51));
        let (name, vip) = match family {
            Family::Ipv4 => ("vrrp4", "10.0.0.10/32"),
            Family::Ipv6 => ("vrrp6", "fe80::10/128 nodad"),
        };
        let start = move |parent: &str, up: bool| {
            add_macvlan(parent, name, mac);
            if up {
                ip(&format!("link set {name} up"));
                ip(&format!("address add {vip} dev {name}"));
            }
        };
        // A Backup, whose macvlan is down; then an Active.
        for up in [false, true] {
            start(HERE, up);
            peer.run(move || start(THERE, up));
            let (socket, mut buffer) = (open(HERE, family), RecvBuf::new());
            let there = peer.run(move || open(THERE, family));
            peer.run(move || send(THERE, &[frame(family, 51, THERE)]));
            assert_eq!(receive(&socket, &mut buffer), (51, source(family, THERE)), "up: {up}");
            send(HERE, &[frame(family, 51, HERE)]);
            let mut there_buffer = RecvBuf::new();
            let got = receive(&there, &mut there_buffer);
            assert_eq!(got, (51, source(family, HERE)), "up: {up}");
            // Nobody hears his own, nor anything twice.
            assert!(socket.recv(&mut buffer).unwrap().is_none());
            assert!(there.recv(&mut there_buffer).unwrap().is_none());
            ip(&format!("link delete {name}"));
            peer.run(move || ip(&format!("link delete {name}")));
        }
    }
}

/// What one advert of 255 costs the sender: alone, together with the others, and as a frame.
#[test]
fn adverts_that_leave_together_cost_less() {
    let Some(_peer) = namespaces() else { return };
    for family in FAMILIES {
        let frames: Vec<_> = (1..=255).map(|id| frame(family, id, HERE)).collect();
        let frames: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
        let to = group(family);
        let packets: Vec<_> =
            frames.iter().map(|frame| Outbound { packet: &frame[HEADER_LEN..], to }).collect();
        let (socket, frame_socket) = (open(HERE, family), FrameSocket::open(index(HERE)).unwrap());
        let cost = |send: &dyn Fn()| {
            let round = |_| {
                let start = Instant::now();
                send();
                start.elapsed() / 255
            };
            figures((0..200).map(round).collect())
        };
        let alone = cost(&|| packets.iter().for_each(|it| socket.send(it.packet, to).unwrap()));
        let together = cost(&|| assert_eq!(socket.send_many(&packets).count, 255));
        let as_frames = cost(&|| assert_eq!(frame_socket.send_many(&frames).count, 255));
        eprintln!("{family}: alone {alone}");
        eprintln!("{family}: together {together}");
        eprintln!("{family}: as frames {as_frames}");
    }
}

#[test]
fn a_frame_socket_receives_nothing() {
    let Some(peer) = namespaces() else { return };
    let socket = FrameSocket::open(index(HERE)).unwrap();
    let (heard, mut buffer) = (open(HERE, Family::Ipv4), RecvBuf::new());
    peer.run(|| send(THERE, &[frame(Family::Ipv4, 51, THERE)]));
    receive(&heard, &mut buffer);
    assert!(!readable(&socket, std::time::Duration::ZERO));
}

#[test]
fn what_cannot_leave_is_told() {
    let Some(_peer) = namespaces() else { return };
    let socket = FrameSocket::open(index(HERE)).unwrap();
    let good = frame(Family::Ipv4, 1, HERE);
    let errno = |frames: &[&[u8]]| {
        let sent = socket.send_many(frames);
        (sent.count, sent.error.and_then(|error| error.raw_os_error()))
    };
    let long = vec![0x08; HEADER_LEN + 1501];
    assert_eq!(errno(&[&good, &good, &long, &good]), (2, Some(libc::EMSGSIZE)));
    assert_eq!(errno(&[&good[..10]]), (0, Some(libc::EINVAL)));
    assert_eq!(errno(&[]), (0, None));
    ip("link set here down");
    assert_eq!(errno(&[&good]), (0, Some(libc::ENETDOWN)));
    ip("link delete here");
    assert_eq!(errno(&[&good]), (0, Some(libc::ENXIO)));
    for index in [0, 9999] {
        let error = FrameSocket::open(index).unwrap_err();
        assert!(matches!(error, SocketError::NoInterface(_)), "{error}");
    }
}
