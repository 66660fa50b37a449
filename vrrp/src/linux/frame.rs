//! Adverts from a virtual router MAC address (RFC 9568, 7.3): whole Ethernet frames.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use etherparse::{EtherType, Ethernet2Header};
use rustix::net::{AddressFamily, SocketFlags, SocketType, netdevice, socket_with, sockopt};
use socket2::SockRef;

use super::socket::{PRIORITY, SEND_BUFFER, SocketError};
pub use super::transmit::Sent;
use super::transmit::{self, Address};
use crate::wire::virtual_mac;
use crate::{Family, Vrid};

/// Bytes of the Ethernet header.
pub const HEADER_LEN: usize = Ethernet2Header::LEN;

/// The Ethernet header of a multicast advert from the virtual router MAC address (RFC 9568, 7.2).
pub fn advert_header(family: Family, vrid: Vrid) -> [u8; HEADER_LEN] {
    // The groups 224.0.0.18 (RFC 1112, 6.4) and ff02::12 (RFC 2464, 7).
    let (destination, ether_type) = match family {
        Family::Ipv4 => ([0x01, 0x00, 0x5e, 0x00, 0x00, 0x12], EtherType::IPV4),
        Family::Ipv6 => ([0x33, 0x33, 0x00, 0x00, 0x00, 0x12], EtherType::IPV6),
    };
    Ethernet2Header { source: virtual_mac(family, vrid), destination, ether_type }.to_bytes()
}

/// Sends whole Ethernet frames on one interface, with any source address; receives nothing.
///
/// Not through `PACKET_QDISC_BYPASS`: it drops what a busy network card cannot take at once, and
/// the adverts of many virtual routers come in bursts.
///
/// An interface that is deleted and made again needs a new one.
#[derive(Debug)]
pub struct FrameSocket {
    socket: OwnedFd,
    ifindex: i32,
}

impl FrameSocket {
    /// Opens the socket.
    ///
    /// # Errors
    /// [`SocketError`].
    pub fn open(ifindex: u32) -> Result<Self, SocketError> {
        let setup = |step| move |source: io::Error| SocketError::Setup { step, source };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        // Protocol 0: nothing is received.
        let socket = match socket_with(AddressFamily::PACKET, SocketType::RAW, flags, None) {
            Err(rustix::io::Errno::PERM) => return Err(SocketError::Denied),
            socket => socket.map_err(|error| setup("open a packet socket")(error.into()))?,
        };
        if netdevice::index_to_name(&socket, ifindex).is_err() {
            return Err(SocketError::NoInterface(ifindex));
        }
        SockRef::from(&socket).set_priority(PRIORITY).map_err(setup("raise the priority"))?;
        // Only room for bursts.
        let _ = sockopt::set_socket_send_buffer_size_force(&socket, SEND_BUFFER);
        let ifindex = i32::try_from(ifindex).map_err(|_| SocketError::NoInterface(ifindex))?;
        Ok(Self { socket, ifindex })
    }

    /// Sends whole frames in order, without waiting and without allocation, 64 with one system
    /// call, until one cannot leave.
    ///
    /// The error is as the kernel reports it: `ENETDOWN` while the interface is down, `ENXIO` once
    /// it is gone, `ENOBUFS` or `EWOULDBLOCK` while its queue is full, `EMSGSIZE` for a frame that
    /// is too long for it.
    pub fn send_many(&self, frames: &[&[u8]]) -> Sent {
        transmit::send_many(self.socket.as_fd(), frames, |frame| {
            let ether_type = frame.get(12..HEADER_LEN).and_then(|bytes| bytes.try_into().ok());
            (frame, Address::of_link(self.ifindex, ether_type.unwrap_or_default()))
        })
    }
}

impl AsFd for FrameSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
