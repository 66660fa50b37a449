//! The raw socket that adverts are sent from and received on, one for each interface.
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
use crate::wire::{GROUP_V4, PROTOCOL};
use crate::{Family, Vrid};

/// `TC_PRIO_CONTROL`: the first band of the default queueing disciplines.
const PRIORITY: u32 = 7;

/// Why a socket cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// A capability is missing.
    #[error("a raw socket was refused: run as root or with CAP_NET_RAW and CAP_NET_ADMIN")]
    Denied,
    /// The interface does not exist, or no more.
    #[error("there is no interface with index {0}")]
    NoInterface(u32),
    /// The family cannot be used yet.
    #[error("{0} adverts are not supported yet")]
    Unsupported(Family),
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
pub struct AdvertSocket(Socket);

impl AdvertSocket {
    /// Opens the socket. `rcvbuf_bytes` is what the kernel is asked for; it books twice that, and
    /// 1 to 3 KiB for each queued advert, depending on the network driver.
    ///
    /// # Errors
    /// [`SocketError`].
    pub fn open(ifindex: u32, family: Family, rcvbuf_bytes: usize) -> Result<Self, SocketError> {
        let socket = open_raw(ifindex, family)?;
        // Until it was bound, the socket took packets from every interface.
        while let Ok(_) | Err(Errno::INTR) = recv(&socket, &mut [0; 1], RecvFlags::DONTWAIT) {}

        if sockopt::set_socket_recv_buffer_size_force(&socket, rcvbuf_bytes).is_err() {
            step("size the receive buffer", socket.set_recv_buffer_size(rcvbuf_bytes))?;
        }
        step("ask for overflow counts", set_flag(&socket, nix::sys::socket::sockopt::RxqOvfl, &1))?;
        step(
            "ask for timestamps",
            set_flag(&socket, nix::sys::socket::sockopt::ReceiveTimestampns, &true),
        )?;
        // On by default, and then any group that any process of the host has joined is delivered.
        step("limit the multicast groups", socket.set_multicast_all_v4(false))?;
        step("turn multicast loops off", socket.set_multicast_loop_v4(false))?;
        let interface = InterfaceIndexOrAddress::Index(ifindex);
        match socket.join_multicast_v4_n(&GROUP_V4, &interface) {
            Err(error) if Errno::from_io_error(&error) == Some(Errno::NODEV) => {
                Err(SocketError::NoInterface(ifindex))
            }
            joined => step("join 224.0.0.18", joined),
        }?;
        Ok(Self(socket))
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
        buffer.next(self.0.as_fd())
    }

    /// Sends a whole IP packet, header included, without waiting. TTL and DSCP are the header's.
    ///
    /// # Errors
    /// As the kernel reports them: `ENETDOWN` while the interface is down, `ENOBUFS` or
    /// `EWOULDBLOCK` while its queue is full.
    pub fn send(&self, packet: &[u8], to: IpAddr) -> io::Result<()> {
        send(&self.0, packet, to)
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
                self.0.as_raw_fd(),
                libc::SOL_SOCKET,
                SO_MEMINFO,
                info.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        if result == 0 { Ok(info[DROPS]) } else { Err(io::Error::last_os_error()) }
    }

    /// From now on the kernel drops what cannot be an advert for one of `vrids` (TTL, version,
    /// type, VRID), but for one in [`SAMPLED_ONE_IN`]. For the time of a flood: what is dropped
    /// there is not counted by reason.
    ///
    /// # Errors
    /// If the kernel has no memory for the filter; the former one stays.
    pub fn tighten(&self, vrids: &[Vrid]) -> io::Result<()> {
        self.0.attach_filter(&filter::ipv4_adverts(vrids))
    }

    /// Undoes [`Self::tighten`].
    ///
    /// # Errors
    /// None that a valid socket can have.
    pub fn relax(&self) -> io::Result<()> {
        match self.0.detach_filter() {
            Err(error) if Errno::from_io_error(&error) == Some(Errno::NOENT) => Ok(()),
            result => result,
        }
    }
}

impl AsFd for AdvertSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A socket that can send whole packets on the interface.
pub(super) fn open_raw(ifindex: u32, family: Family) -> Result<Socket, SocketError> {
    if family == Family::Ipv6 {
        return Err(SocketError::Unsupported(family));
    }
    let protocol = Protocol::from(i32::from(PROTOCOL));
    let socket = match Socket::new(Domain::IPV4, Type::RAW.nonblocking(), Some(protocol)) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            return Err(SocketError::Denied);
        }
        socket => step("open a raw socket", socket)?,
    };
    step("bind to the interface", bind_to_interface(&socket, ifindex))?;
    step("send whole packets", socket.set_header_included_v4(true))?;
    step("raise the priority", socket.set_priority(PRIORITY))?;
    Ok(socket)
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
