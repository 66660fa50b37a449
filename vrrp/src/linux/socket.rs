//! The raw socket that adverts are sent from and received on, one for each interface and family.
#![allow(unsafe_code)] // SO_MEMINFO has no safe wrapper.

use core::net::{IpAddr, SocketAddr};
use core::num::NonZeroU32;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, netdevice, recv, sendto, sockopt};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};

use super::filter;
pub use super::filter::SAMPLED_ONE_IN;
pub use super::receive::{Datagram, RecvBuf};
use super::transmit::{self, Address};
pub use super::transmit::{Outbound, Sent};
use crate::wire::{GROUP_V4, GROUP_V6, PROTOCOL};
use crate::{Family, Vrid};

/// `TC_PRIO_CONTROL`: the first band of the default queueing disciplines.
pub(super) const PRIORITY: u32 = 7;
/// Room for the adverts of 255 virtual routers, several times, while the network card is busy: the
/// kernel books about 1 KiB for each.
pub(super) const SEND_BUFFER: usize = 1024 * 1024;

/// Why a socket cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// A capability is missing.
    #[error("a raw socket was refused: run as root or with CAP_NET_RAW and CAP_NET_ADMIN")]
    Denied,
    /// The interface does not exist, or no more.
    #[error("there is no interface with index {0}")]
    NoInterface(u32),
    /// The kernel, or the interface, does not speak the family.
    #[error(
        "{0} is turned off in the kernel or on the interface; an MTU below 1280 turns IPv6 off too"
    )]
    NoFamily(Family),
    /// Another step failed.
    #[error("cannot {step}: {source}")]
    Setup {
        /// What was tried.
        step: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
}

/// Sends and receives adverts on one interface: bound to it, member of the VRRP group on it,
/// nonblocking.
///
/// An interface that is deleted and made again needs a new socket. Loss of carrier, "down" and a
/// change of address do not: the membership lasts.
#[derive(Debug)]
pub struct AdvertSocket {
    socket: Socket,
    family: Family,
}

impl AdvertSocket {
    /// Opens the socket. `rcvbuf_bytes` is what the kernel is asked for; it books twice that, and
    /// 1 to 3 KiB for each queued advert, depending on the network driver.
    ///
    /// # Errors
    /// [`SocketError`].
    pub fn open(ifindex: u32, family: Family, rcvbuf_bytes: usize) -> Result<Self, SocketError> {
        let socket = open_raw(ifindex, family)?;
        if family == Family::Ipv6 {
            step("limit the multicast groups", socket.attach_filter(&filter::no_other_groups()))?;
        }
        if sockopt::set_socket_recv_buffer_size_force(&socket, rcvbuf_bytes).is_err() {
            step("size the receive buffer", socket.set_recv_buffer_size(rcvbuf_bytes))?;
        }
        // Only room for bursts.
        let _ = sockopt::set_socket_send_buffer_size_force(&socket, SEND_BUFFER);
        step("ask for overflow counts", set_flag(&socket, nix::sys::socket::sockopt::RxqOvfl, &1))?;
        step(
            "ask for timestamps",
            set_flag(&socket, nix::sys::socket::sockopt::ReceiveTimestampns, &true),
        )?;
        match family {
            Family::Ipv4 => join_ipv4(&socket, ifindex)?,
            Family::Ipv6 => join_ipv6(&socket, ifindex)?,
        }
        // Until it was bound, the socket took packets from every interface. Here, not right after
        // the binding: a processor may have found the socket just before and queue its packet late.
        while let Ok(_) | Err(Errno::INTR) = recv(&socket, &mut [0; 1], RecvFlags::DONTWAIT) {}
        Ok(Self { socket, family })
    }

    /// The family of its packets.
    pub fn family(&self) -> Family {
        self.family
    }

    /// The next packet, from `buffer` or else from the kernel; `None` once nothing is queued. No
    /// allocation, and one system call for up to 32 packets: give `buffer` to no other socket,
    /// and poll level-triggered.
    ///
    /// A packet may be of any length, zero payload too.
    ///
    /// # Errors
    /// As the kernel reports them.
    pub fn recv<'b>(&self, buffer: &'b mut RecvBuf) -> io::Result<Option<Datagram<'b>>> {
        buffer.next(self.socket.as_fd(), self.family)
    }

    /// Sends a whole IP packet, header included, without waiting. TTL and DSCP are the header's.
    ///
    /// # Errors
    /// As the kernel reports them: `ENETDOWN` while the interface is down, `ENOBUFS` or
    /// `EWOULDBLOCK` while its queue is full, `EMSGSIZE` for a packet that is longer than the MTU.
    pub fn send(&self, packet: &[u8], to: IpAddr) -> io::Result<()> {
        send(&self.socket, packet, to)
    }

    /// Sends packets in order as [`Self::send`] does, without allocation, 64 with one system call,
    /// until one cannot leave.
    pub fn send_many(&self, packets: &[Outbound<'_>]) -> Sent {
        transmit::send_many(self.socket.as_fd(), packets, |outbound| {
            (outbound.packet, Address::of_host(outbound.to))
        })
    }

    /// How many packets the socket has lost for want of room since it was opened, up to this
    /// moment. Wraps.
    ///
    /// # Errors
    /// Before Linux 4.12.
    pub fn drops(&self) -> io::Result<u32> {
        const SO_MEMINFO: libc::c_int = 55;
        const DROPS: usize = 8;
        let mut info = [0_u32; DROPS + 1];
        let mut length = libc::socklen_t::try_from(size_of_val(&info)).unwrap_or(0);
        // SAFETY: the kernel writes at most `length` bytes to `info`, which is that long.
        let result = unsafe {
            libc::getsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_SOCKET,
                SO_MEMINFO,
                info.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        if result == 0 { Ok(info[DROPS]) } else { Err(io::Error::last_os_error()) }
    }

    /// From now on the kernel drops what cannot be an advert for one of `vrids` by all that
    /// RFC 9568, 7.1, asks, save for one in [`SAMPLED_ONE_IN`]. For the time of a flood: what is
    /// dropped there is not counted by reason.
    ///
    /// # Errors
    /// If the kernel has no memory for the filter; the former one stays.
    pub fn tighten(&self, vrids: &[Vrid]) -> io::Result<()> {
        self.socket.attach_filter(&filter::adverts(self.family, vrids))
    }

    /// Undoes [`Self::tighten`].
    ///
    /// # Errors
    /// If the kernel has no memory for the ordinary filter of IPv6; the former one stays.
    pub fn relax(&self) -> io::Result<()> {
        match self.family {
            Family::Ipv4 => match self.socket.detach_filter() {
                Err(error) if Errno::from_io_error(&error) == Some(Errno::NOENT) => Ok(()),
                result => result,
            },
            Family::Ipv6 => self.socket.attach_filter(&filter::no_other_groups()),
        }
    }
}

impl AsFd for AdvertSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// A socket that can send whole packets on the interface.
pub(super) fn open_raw(ifindex: u32, family: Family) -> Result<Socket, SocketError> {
    let domain = match family {
        Family::Ipv4 => Domain::IPV4,
        Family::Ipv6 => Domain::IPV6,
    };
    let protocol = Protocol::from(i32::from(PROTOCOL));
    let socket = match Socket::new(domain, Type::RAW.nonblocking(), Some(protocol)) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            return Err(SocketError::Denied);
        }
        Err(error) if Errno::from_io_error(&error) == Some(Errno::AFNOSUPPORT) => {
            return Err(SocketError::NoFamily(family));
        }
        socket => step("open a raw socket", socket)?,
    };
    step("bind to the interface", bind_to_interface(&socket, ifindex))?;
    let header_included = match family {
        Family::Ipv4 => socket.set_header_included_v4(true),
        Family::Ipv6 => socket.set_header_included_v6(true),
    };
    step("send whole packets", header_included)?;
    if family == Family::Ipv6 {
        // A farewell may leave from an address that is gone: before Linux 4.15 it cannot.
        let _ = socket.set_freebind_v6(true);
    }
    step("raise the priority", socket.set_priority(PRIORITY))?;
    Ok(socket)
}

fn join_ipv4(socket: &Socket, ifindex: u32) -> Result<(), SocketError> {
    // On by default, and then any group that any process of the host has joined is delivered.
    step("limit the multicast groups", socket.set_multicast_all_v4(false))?;
    step("turn multicast loops off", socket.set_multicast_loop_v4(false))?;
    let interface = InterfaceIndexOrAddress::Index(ifindex);
    joined(ifindex, Family::Ipv4, socket.join_multicast_v4_n(&GROUP_V4, &interface))
}

/// Without `IPV6_CHECKSUM`: with it the kernel would drop what has a wrong checksum, and nobody
/// would count it.
fn join_ipv6(socket: &Socket, ifindex: u32) -> Result<(), SocketError> {
    use nix::sys::socket::sockopt::Ipv6RecvPacketInfo;

    step("turn multicast loops off", socket.set_multicast_loop_v6(false))?;
    step("ask for hop limits", socket.set_recv_hoplimit_v6(true))?;
    step("ask for destinations", set_flag(socket, Ipv6RecvPacketInfo, &true))?;
    joined(ifindex, Family::Ipv6, socket.join_multicast_v6(&GROUP_V6, ifindex))
}

fn joined(ifindex: u32, family: Family, result: io::Result<()>) -> Result<(), SocketError> {
    let Err(error) = result else { return Ok(()) };
    Err(match Errno::from_io_error(&error) {
        Some(Errno::NODEV) => SocketError::NoInterface(ifindex),
        Some(Errno::INVAL) if family == Family::Ipv6 => SocketError::NoFamily(family),
        _ => SocketError::Setup { step: "join the group of all VRRP routers", source: error },
    })
}

pub(super) fn send(socket: &Socket, packet: &[u8], to: IpAddr) -> io::Result<()> {
    sendto(socket, packet, SendFlags::DONTWAIT, &SocketAddr::new(to, 0))?;
    Ok(())
}

/// By index, so that a rename does no harm; by name on a kernel before 5.0.
fn bind_to_interface(socket: &Socket, ifindex: u32) -> io::Result<()> {
    let index = NonZeroU32::new(ifindex).ok_or(Errno::NODEV)?;
    match socket.bind_device_by_index_v4(Some(index)) {
        Err(error) if Errno::from_io_error(&error) == Some(Errno::NOPROTOOPT) => {
            let name = netdevice::index_to_name(socket, ifindex)?;
            socket.bind_device(Some(name.as_bytes()))
        }
        result => result,
    }
}

fn set_flag<O: nix::sys::socket::SetSockOpt>(
    socket: &Socket,
    option: O,
    value: &O::Val,
) -> io::Result<()> {
    Ok(nix::sys::socket::setsockopt(socket, option, value)?)
}

fn step<T>(step: &'static str, result: io::Result<T>) -> Result<T, SocketError> {
    result.map_err(|source| SocketError::Setup { step, source })
}
