//! Packet sockets: frames of one interface from their network header on, with the Ethernet address
//! that they come from.
#![allow(unsafe_code)] // Packet sockets have no safe wrapper.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use etherparse::EtherType;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

/// A socket of protocol 0: it receives nothing before it is bound to another.
pub(super) fn open(kind: SocketType) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socket_with(AddressFamily::PACKET, kind, flags, None)?)
}

/// Has it receive what comes in on an interface, of one type. What this host sends is not heard.
pub(super) fn bind(socket: &OwnedFd, ifindex: u32, ether_type: EtherType) -> io::Result<()> {
    // SAFETY: all zeroes is a valid sockaddr_ll.
    let mut address: libc::sockaddr_ll = unsafe { core::mem::zeroed() };
    address.sll_family = AddressFamily::PACKET.as_raw();
    address.sll_protocol = ether_type.0.to_be();
    address.sll_ifindex = i32::try_from(ifindex).map_err(|_| Errno::NODEV)?;
    let length = libc::socklen_t::try_from(size_of_val(&address)).unwrap_or(0);
    // SAFETY: `address` is a sockaddr_ll of `length` bytes, which bind only reads.
    let result = unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Takes one packet, without waiting; gives its start and the Ethernet address it came from.
/// `None` if there is none now. That the interface goes down is no error: the socket hears again
/// when it is up.
pub(super) fn receive<'b>(
    socket: &OwnedFd,
    buffer: &'b mut [u8],
) -> io::Result<Option<(&'b [u8], [u8; 6])>> {
    loop {
        match receive_from(socket, buffer) {
            Ok((length, sender)) => {
                return Ok(Some((buffer.get(..length).unwrap_or_default(), sender)));
            }
            Err(error) => match Errno::from_io_error(&error) {
                Some(Errno::AGAIN) => return Ok(None),
                Some(Errno::INTR | Errno::NETDOWN) => {}
                _ => return Err(error),
            },
        }
    }
}

fn receive_from(socket: &OwnedFd, buffer: &mut [u8]) -> io::Result<(usize, [u8; 6])> {
    // SAFETY: all zeroes is a valid sockaddr_ll.
    let mut sender: libc::sockaddr_ll = unsafe { core::mem::zeroed() };
    let mut sender_len = libc::socklen_t::try_from(size_of_val(&sender)).unwrap_or(0);
    // SAFETY: the kernel writes to `buffer` and to `sender` no more than their lengths.
    let length = unsafe {
        libc::recvfrom(
            socket.as_raw_fd(),
            buffer.as_mut_ptr().cast(),
            buffer.len(),
            libc::MSG_DONTWAIT,
            (&raw mut sender).cast(),
            &raw mut sender_len,
        )
    };
    let Ok(length) = usize::try_from(length) else {
        return Err(io::Error::last_os_error());
    };
    let [a, b, c, d, e, f, ..] = sender.sll_addr;
    Ok((length, [a, b, c, d, e, f]))
}
