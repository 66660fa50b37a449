//! Sending many packets with few system calls and no allocation.
#![allow(unsafe_code)] // sendmmsg(2) has no wrapper that does not allocate.

use core::net::IpAddr;
use core::{array, mem, ptr};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::net::AddressFamily;

/// Packets per system call.
const BATCH: usize = 64;

/// A whole IP packet, header included, and where it goes.
#[derive(Clone, Copy, Debug)]
pub struct Outbound<'a> {
    /// The packet.
    pub packet: &'a [u8],
    /// A group, or a router on the link; of the socket's family.
    pub to: IpAddr,
}

/// What became of packets that were to leave together, in their order.
#[derive(Debug)]
#[must_use]
pub struct Sent {
    /// How many left, from the first on.
    pub count: usize,
    /// Why the next one did not; `None` if all left. It may be about that packet alone (`EMSGSIZE`,
    /// `EPERM` by a firewall): those behind it can be tried.
    pub error: Option<io::Error>,
}

/// Where one packet goes.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) union Address {
    v4: libc::sockaddr_in,
    v6: libc::sockaddr_in6,
    link: libc::sockaddr_ll,
}

impl Address {
    pub(super) fn of_host(host: IpAddr) -> (Self, usize) {
        match host {
            IpAddr::V4(host) => {
                let v4 = libc::sockaddr_in {
                    sin_family: AddressFamily::INET.as_raw(),
                    sin_port: 0,
                    sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(host.octets()) },
                    sin_zero: [0; 8],
                };
                (Self { v4 }, size_of::<libc::sockaddr_in>())
            }
            IpAddr::V6(host) => {
                let v6 = libc::sockaddr_in6 {
                    sin6_family: AddressFamily::INET6.as_raw(),
                    sin6_port: 0,
                    sin6_flowinfo: 0,
                    sin6_addr: libc::in6_addr { s6_addr: host.octets() },
                    // The socket is bound to an interface, which is the scope.
                    sin6_scope_id: 0,
                };
                (Self { v6 }, size_of::<libc::sockaddr_in6>())
            }
        }
    }

    /// The interface, and the frame's EtherType, which the queueing disciplines may ask for.
    pub(super) fn of_link(ifindex: i32, ether_type: [u8; 2]) -> (Self, usize) {
        let link = libc::sockaddr_ll {
            sll_family: AddressFamily::PACKET.as_raw(),
            sll_protocol: u16::from_ne_bytes(ether_type),
            sll_ifindex: ifindex,
            sll_hatype: 0,
            sll_pkttype: 0,
            sll_halen: 0,
            sll_addr: [0; 8],
        };
        (Self { link }, size_of::<libc::sockaddr_ll>())
    }
}

/// Sends `packets` in order, until one cannot leave at once. `describe` gives a packet's bytes and
/// its address.
pub(super) fn send_many<T>(
    socket: BorrowedFd<'_>,
    packets: &[T],
    describe: impl Fn(&T) -> (&[u8], (Address, usize)),
) -> Sent {
    let mut count = 0;
    while let Some(rest) = packets.get(count..).filter(|rest| !rest.is_empty()) {
        match send_batch(socket, rest, &describe) {
            Ok(sent) => count += sent,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Sent { count, error: Some(error) },
        }
    }
    Sent { count, error: None }
}

/// Sends the first [`BATCH`] packets or fewer; how many left. It fails only if the first could not.
fn send_batch<T>(
    socket: BorrowedFd<'_>,
    packets: &[T],
    describe: impl Fn(&T) -> (&[u8], (Address, usize)),
) -> io::Result<usize> {
    let mut vectors = [libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 }; BATCH];
    // SAFETY: all zeroes is a valid address and a valid mmsghdr: null pointers with zero lengths.
    let mut addresses: [Address; BATCH] = unsafe { mem::zeroed() };
    // SAFETY: as above.
    let mut headers: [libc::mmsghdr; BATCH] = array::from_fn(|_| unsafe { mem::zeroed() });
    let mut length: libc::c_uint = 0;
    let places = vectors.iter_mut().zip(&mut addresses).zip(&mut headers);
    for (packet, ((vector, address), header)) in packets.iter().zip(places) {
        let (bytes, (to, address_len)) = describe(packet);
        *address = to;
        vector.iov_base = bytes.as_ptr().cast_mut().cast();
        vector.iov_len = bytes.len();
        header.msg_hdr.msg_name = ptr::from_mut(address).cast();
        header.msg_hdr.msg_namelen = libc::socklen_t::try_from(address_len).unwrap_or(0);
        header.msg_hdr.msg_iov = vector;
        header.msg_hdr.msg_iovlen = 1;
        length += 1;
    }
    // SAFETY: the first `length` headers point to vectors, addresses and packets that live through
    // the call; the kernel only reads them, and writes `msg_len` of the headers.
    let sent = unsafe {
        libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), length, libc::MSG_DONTWAIT as _)
    };
    match usize::try_from(sent) {
        // Never for packets, and it would be asked for ever.
        Ok(0) => Err(io::ErrorKind::WriteZero.into()),
        Ok(sent) => Ok(sent),
        Err(_) => Err(io::Error::last_os_error()),
    }
}
