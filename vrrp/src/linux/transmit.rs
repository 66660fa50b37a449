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

/// The source of an IPv6 packet, said beside it: a kernel that is not told chooses one, for each
/// packet among all addresses of the interface, only to find the route. With 255 virtual addresses
/// that takes 30 us.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Source([u8; SOURCE_LEN]);

/// `CMSG_SPACE` of an `in6_pktinfo`: header, 20 bytes, padding.
const SOURCE_LEN: usize = CONTROL_HEADER_LEN + size_of::<libc::in6_pktinfo>().div_ceil(8) * 8;
const CONTROL_HEADER_LEN: usize = size_of::<libc::cmsghdr>();

/// Where the source address is in an IPv6 header.
const IPV6_SOURCE: core::ops::Range<usize> = 8..24;

impl Source {
    const NONE: Self = Self([0; SOURCE_LEN]);

    /// Has the kernel take the source in the packet's header for granted.
    fn attach(&mut self, packet: &[u8], header: &mut libc::msghdr) {
        let Some(source) = packet.get(IPV6_SOURCE).and_then(|bytes| bytes.try_into().ok()) else {
            return;
        };
        let info = libc::in6_pktinfo {
            ipi6_addr: libc::in6_addr { s6_addr: source },
            // That of the socket.
            ipi6_ifindex: 0,
        };
        let length = CONTROL_HEADER_LEN + size_of_val(&info);
        let control: *mut u8 = self.0.as_mut_ptr();
        // SAFETY: the buffer has room for both, as SOURCE_LEN says, and is aligned for the header.
        unsafe {
            let message = control.cast::<libc::cmsghdr>();
            (*message).cmsg_len = length as _;
            (*message).cmsg_level = libc::IPPROTO_IPV6;
            (*message).cmsg_type = libc::IPV6_PKTINFO;
            ptr::write_unaligned(control.add(CONTROL_HEADER_LEN).cast(), info);
        }
        header.msg_control = control.cast();
        header.msg_controllen = SOURCE_LEN as _;
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
    let mut sources = [Source::NONE; BATCH];
    let mut length: libc::c_uint = 0;
    let places = vectors.iter_mut().zip(&mut addresses).zip(&mut headers).zip(&mut sources);
    for (packet, (((vector, address), header), source)) in packets.iter().zip(places) {
        let (bytes, (to, address_len)) = describe(packet);
        *address = to;
        vector.iov_base = bytes.as_ptr().cast_mut().cast();
        vector.iov_len = bytes.len();
        header.msg_hdr.msg_name = ptr::from_mut(address).cast();
        header.msg_hdr.msg_namelen = libc::socklen_t::try_from(address_len).unwrap_or(0);
        header.msg_hdr.msg_iov = vector;
        header.msg_hdr.msg_iovlen = 1;
        if address_len == size_of::<libc::sockaddr_in6>() {
            source.attach(bytes, &mut header.msg_hdr);
        }
        length += 1;
    }
    // SAFETY: the first `length` headers point to vectors, addresses, sources and packets that live
    // through the call; the kernel only reads them, and writes `msg_len` of the headers.
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
