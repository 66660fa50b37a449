//! Packets that a neighbour should not send.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use lab::{Daemon, Interval, Stamp, VIP, VRID, sleep_until, within};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, sendto, socket,
};
use support::{M1, M2, Net, mainstay, poll};

/// Nobody's address.
const STRANGER: Ipv4Addr = Ipv4Addr::new(10, 51, 0, 66);
const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);

/// An IPv4 packet to the group, as it is to be sent.
struct Packet {
    source: Ipv4Addr,
    ttl: u8,
    message: Vec<u8>,
}

/// The message of an advert (RFC 9568, 5.2) of the highest priority, without its checksum.
const MESSAGE: [u8; 12] = [0x31, VRID, 255, 1, 0, 10, 0, 0, 10, 51, 0, 100];

impl Packet {
    /// A right advert but for the bytes that are named.
    fn with(changes: &[(usize, u8)]) -> Self {
        let mut message = MESSAGE.to_vec();
        for &(at, value) in changes {
            message[at] = value;
        }
        Self::of(message)
    }

    /// A message with its checksum.
    fn of(mut message: Vec<u8>) -> Self {
        if message.len() >= 8 {
            let sum = checksum(&message);
            message[6..8].copy_from_slice(&sum.to_be_bytes());
        }
        Self { source: STRANGER, ttl: 255, message }
    }

    /// The kernel fills in length and checksum of the header.
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0x45, 0xc0, 0, 0, 0, 0, 0, 0, self.ttl, 112, 0, 0];
        bytes.extend(self.source.octets());
        bytes.extend(GROUP.octets());
        bytes.extend(&self.message);
        bytes
    }
}

/// The Internet checksum of the message alone.
fn checksum(message: &[u8]) -> u16 {
    let words = message
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !u16::try_from((folded & 0xffff) + (folded >> 16)).unwrap()
}

/// Sends from the client's namespace.
struct Sender(OwnedFd);

impl Sender {
    fn new(net: &Net) -> Self {
        net.run("client", "ip route add 224.0.0.0/4 dev eth0");
        let open =
            || socket(AddressFamily::Inet, SockType::Raw, SockFlag::empty(), SockProtocol::Raw);
        Self(within(&net.lab().namespace("client"), open).unwrap().unwrap())
    }

    fn send(&self, packet: &Packet) {
        let group = SockaddrIn::from(std::net::SocketAddrV4::new(GROUP, 0));
        sendto(self.0.as_raw_fd(), &packet.bytes(), &group, MsgFlags::empty()).unwrap();
    }
}

fn fast() -> Daemon {
    Daemon { interval: Interval::from_millis(100), ..mainstay() }
}

/// RFC 9568, 7.1: discarded without any effect, each counted under its reason. keepalived loses its
/// advert timer to fifty such packets a second.
#[test]
fn malformed_adverts_are_counted_by_reason_and_change_nothing() {
    let Some(net) = Net::settled(2, &fast()) else { return };
    // Else the kernel drops what claims to come from the node itself.
    net.run(M1, "echo 1 >/proc/sys/net/ipv4/conf/eth0/accept_local");
    let malformed = [
        ("ttl", Packet { ttl: 254, ..Packet::with(&[]) }),
        ("version", Packet::with(&[(0, 0x21)])),
        ("type", Packet::with(&[(0, 0x32)])),
        ("checksum", Packet { message: MESSAGE.to_vec(), ..Packet::with(&[]) }),
        ("length", Packet::with(&[(3, 2)])),
        ("length", Packet::of(MESSAGE[..6].to_vec())),
        ("length", Packet::of(Vec::new())),
        ("vrid", Packet::with(&[(1, 0)])),
        ("address_count", Packet::of([&[0x31, VRID, 255, 0], &MESSAGE[4..8]].concat())),
        ("interval", Packet::with(&[(5, 0)])),
        ("unknown_vrid", Packet::with(&[(1, 99)])),
        ("own_source", Packet { source: M1.address(), ..Packet::with(&[]) }),
    ];
    let transitions = [net.transitions(M1), net.transitions(M2)];
    let sender = Sender::new(&net);
    let start = Stamp::now();
    let rounds = 50;
    for round in 0..rounds {
        sleep_until(start + Duration::from_millis(40) * round);
        malformed.iter().for_each(|(_, packet)| sender.send(packet));
    }
    let sent = net.sent(M1, start);
    assert!(sent >= 10, "m1 has sent {sent} adverts in two seconds");
    poll("each packet to be counted once, under its reason", || {
        let dropped = net.status(M1)["dropped"]["eth0"].take();
        let counts = malformed.iter().all(|(reason, _)| {
            let kinds = malformed.iter().filter(|(other, _)| other == reason).count();
            dropped[reason] == kinds * usize::try_from(rounds).unwrap()
        });
        counts.then_some(())
    });
    net.unmoved(M1, start);
    assert_eq!(net.sent(M2, start), 0);
    assert_eq!([net.transitions(M1), net.transitions(M2)], transitions);
    let event = net.event_where(M1, "dropped", |event| event["detail"]["reason"] == "ttl");
    assert_eq!(event["detail"]["source"], STRANGER.to_string());
}

/// RFC 9568, 7.1: not discarded; the operator is told by whom.
#[test]
fn an_advert_with_other_addresses_counts_and_is_told_of() {
    let Some(net) = Net::settled(2, &mainstay()) else { return };
    let sender = Sender::new(&net);
    // The interval is the group's, and the priority below both.
    let packet = Packet::with(&[(2, 200), (5, 20), (11, 77)]);
    let start = Stamp::now();
    sender.send(&packet);
    let event = net.event(M1, "address_mismatch");
    assert_eq!(event["detail"]["source"], STRANGER.to_string());
    assert_eq!(event["detail"]["theirs"], serde_json::json!(["10.51.0.77"]));
    net.event(M2, "address_mismatch");
    net.event(M1, "rival");
    // It has lost, and the client is told where the VIP is.
    net.announced(M1, start);
    net.unmoved(M1, start);
    assert!(net.addresses(M1).contains(&VIP));
}
