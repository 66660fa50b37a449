//! Frames of any wrongness, put on the wire as they are.

mod advert;
mod neighbour;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::IntoRawFd;
use std::sync::{Mutex, PoisonError};

use nix::net::if_::if_nametoindex;
use pnet::datalink::{self, Channel, ChannelType, DataLinkSender, NetworkInterface};
use pnet::util::{MacAddr, checksum};
use socket2::{Domain, Socket, Type};

use crate::{Ethernet, LabError, within};

pub use advert::{AdvertFrame, Sum};
pub use neighbour::{arp, echo_request, neighbour_advertisement, neighbour_solicitation};

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
/// The largest frame that a veth can be made to carry.
const FRAME: usize = 65_600;

/// Sends frames from one interface.
pub struct Injector(Mutex<Box<dyn DataLinkSender>>);

impl Injector {
    /// On `interface` in the named network namespace.
    ///
    /// # Errors
    /// If there is no such namespace or interface, or the socket is refused.
    pub fn open(namespace: &str, interface: &str) -> Result<Self, LabError> {
        let open = || -> io::Result<Box<dyn DataLinkSender>> {
            // Protocol 0: it receives nothing.
            let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
            let config = datalink::Config {
                channel_type: ChannelType::Layer3(0),
                promiscuous: false,
                socket_fd: Some(socket.into_raw_fd()),
                write_buffer_size: FRAME,
                read_buffer_size: 0,
                ..datalink::Config::default()
            };
            let interface = NetworkInterface {
                name: interface.to_owned(),
                description: String::new(),
                index: if_nametoindex(interface)?,
                mac: None,
                ips: Vec::new(),
                flags: 0,
            };
            match datalink::channel(&interface, config)? {
                Channel::Ethernet(sender, _) => Ok(sender),
                _ => Err(io::ErrorKind::Unsupported.into()),
            }
        };
        let sender = within(namespace, open)?.map_err(LabError::instrument("injecting"))?;
        Ok(Self(Mutex::new(sender)))
    }

    /// Sends one frame.
    ///
    /// # Errors
    /// If the interface is gone or down, or the frame is longer than its MTU.
    pub fn send(&self, frame: &[u8]) -> Result<(), LabError> {
        let mut sender = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = sender.send_to(frame, None);
        let sent = sent.unwrap_or_else(|| Err(io::ErrorKind::InvalidInput.into()));
        sent.map_err(LabError::instrument("injecting"))
    }
}

impl std::fmt::Debug for Injector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Injector")
    }
}

/// The Ethernet group of an IP group (RFC 1112, 6.4; RFC 2464, 7).
pub const fn group_mac(group: IpAddr) -> MacAddr {
    match group {
        IpAddr::V4(group) => {
            let [_, b, c, d] = group.octets();
            MacAddr(1, 0, 0x5e, b & 0x7f, c, d)
        }
        IpAddr::V6(group) => {
            let [.., a, b, c, d] = group.octets();
            MacAddr(0x33, 0x33, a, b, c, d)
        }
    }
}

fn ethernet(addresses: Ethernet, kind: u16) -> Vec<u8> {
    let mut frame = Vec::with_capacity(128);
    frame.extend(addresses.destination.octets());
    frame.extend(addresses.source.octets());
    frame.extend(kind.to_be_bytes());
    frame
}

/// What an IP header says beside the addresses.
#[derive(Clone, Copy, Debug)]
struct Header<'a> {
    ttl: u8,
    protocol: u8,
    /// IPv4 options, or IPv6 extension headers, the last of which names `protocol`.
    options: &'a [u8],
}

fn ipv4(header: Header<'_>, source: Ipv4Addr, destination: Ipv4Addr, payload: &[u8]) -> Vec<u8> {
    let words = 5 + header.options.len() / 4;
    let mut packet = vec![0x40 | low_byte(words), 0xc0];
    packet.extend(length(4 * words + payload.len()));
    packet.extend([0, 0, 0, 0, header.ttl, header.protocol, 0, 0]);
    packet.extend(source.octets());
    packet.extend(destination.octets());
    packet.extend(header.options);
    let sum = checksum(&packet, 5);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet.extend(payload);
    packet
}

fn ipv6(header: Header<'_>, source: Ipv6Addr, destination: Ipv6Addr, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x6c, 0, 0, 0];
    packet.extend(length(header.options.len() + payload.len()));
    packet.extend([header.protocol, header.ttl]);
    packet.extend(source.octets());
    packet.extend(destination.octets());
    packet.extend(header.options);
    packet.extend(payload);
    packet
}

fn length(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes()
}

fn low_byte(number: usize) -> u8 {
    u8::try_from(number & 0xff).unwrap_or_default()
}
