//! Receiving many datagrams with one system call and no allocation, each with all that the kernel
//! knows of it.
#![allow(unsafe_code)] // recvmmsg(2) has no wrapper whose buffers can be used again.

use core::net::{IpAddr, Ipv6Addr};
use core::{array, mem, ptr};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::net::AddressFamily;

use super::clock;
use super::control::{Control, Notes};
use crate::Family;
use crate::time::{Duration, Instant};
use crate::wire::{Advert, DropReason};

/// Datagrams per system call.
const SLOTS: usize = 32;
/// An advert with 255 IPv6 addresses has 4,088 bytes, one with IPv4 addresses and the longest
/// header 1,088.
const SLOT_BYTES: usize = 4160;
#[allow(clippy::cast_possible_truncation)] // 28 bytes.
const NAME_LEN: libc::socklen_t = size_of::<libc::sockaddr_in6>() as libc::socklen_t;

/// Received datagrams that wait to be looked at. Keep one for each socket.
pub struct RecvBuf {
    slots: Box<[Slot]>,
    filled: usize,
    next: usize,
    /// The last system call left the queue empty.
    drained: bool,
    /// When the queue was last known to be empty, before the datagrams in the slots came.
    empty_at: Instant,
    filled_at: Instant,
}

/// One received packet.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// IPv4: the packet from its IP header on. IPv6: its payload, which may be empty. Cut off at
    /// 4,160 bytes.
    pub bytes: &'a [u8],
    /// When the kernel received it. Without a timestamp, as for some milliseconds after a host's
    /// first socket has asked for them, when it was read.
    pub arrived: Instant,
    /// How many packets the socket had lost for want of room before this one was queued. Wraps.
    /// Losses after it show with later packets; [`super::socket::AdvertSocket::drops`] has all.
    pub overflowed: u32,
    header: Header,
}

/// What the fields of the IP header were.
#[derive(Clone, Copy, Debug)]
enum Header {
    /// They are in the packet.
    Ipv4,
    /// As the kernel reports them, `None` if it did not.
    Ipv6 { source: Option<Ipv6Addr>, destination: Option<Ipv6Addr>, hop_limit: Option<u8> },
}

impl<'a> Datagram<'a> {
    /// Reads the packet as an advertisement.
    ///
    /// # Errors
    /// The first rule of RFC 9568, 7.1, that it breaks. The VRID's being configured and the
    /// source's being another router are for the caller to check.
    pub fn advert(&self) -> Result<Advert<'a>, DropReason> {
        match self.header {
            Header::Ipv4 => Advert::decode_ipv4(self.bytes),
            Header::Ipv6 {
                source: Some(source),
                destination: Some(destination),
                hop_limit: Some(hop_limit),
            } => Advert::decode_ipv6(source, destination, hop_limit, self.bytes),
            Header::Ipv6 { .. } => Err(DropReason::IpHeader),
        }
    }

    /// Who sent it, advertisement or not; `None` only if the IP header is broken.
    pub fn source(&self) -> Option<IpAddr> {
        match self.header {
            Header::Ipv4 => {
                let source = self.bytes.get(12..16)?;
                <[u8; 4]>::try_from(source).ok().map(IpAddr::from)
            }
            Header::Ipv6 { source, .. } => source.map(IpAddr::from),
        }
    }
}

#[derive(Clone)]
struct Slot {
    control: Control,
    /// Who sent it, IPv6 only.
    name: libc::sockaddr_in6,
    bytes: [u8; SLOT_BYTES],
    length: usize,
    source: Option<Ipv6Addr>,
    notes: Notes,
    arrived: Instant,
}

impl Slot {
    fn header(&self, family: Family) -> Header {
        let Notes { hop_limit, destination, .. } = self.notes;
        match family {
            Family::Ipv4 => Header::Ipv4,
            Family::Ipv6 => Header::Ipv6 { source: self.source, destination, hop_limit },
        }
    }
}

impl RecvBuf {
    /// An empty buffer of some 135 KiB; nothing is allocated later.
    pub fn new() -> Self {
        let slot = Slot {
            control: Control::new(),
            // SAFETY: all zeroes is a valid address.
            name: unsafe { mem::zeroed() },
            bytes: [0; SLOT_BYTES],
            length: 0,
            source: None,
            notes: Notes::default(),
            arrived: Instant::default(),
        };
        let now = clock::now();
        Self {
            slots: vec![slot; SLOTS].into_boxed_slice(),
            filled: 0,
            next: 0,
            drained: false,
            empty_at: now,
            filled_at: now,
        }
    }

    /// Whether datagrams wait in the buffer, which epoll does not know of.
    pub fn holds_more(&self) -> bool {
        self.next < self.filled
    }

    /// All packets that arrived before this have been given out.
    pub fn read_until(&self) -> Instant {
        match self.slots.get(self.next.wrapping_sub(1)) {
            Some(last) if self.holds_more() || self.filled == SLOTS => last.arrived,
            _ => self.filled_at,
        }
    }

    /// The next datagram, from the slots or else from the socket; `None` once the queue is empty.
    /// After a call that emptied the queue, `None` comes without asking again: poll the
    /// descriptor level-triggered.
    pub(super) fn next(
        &mut self,
        socket: BorrowedFd<'_>,
        family: Family,
    ) -> io::Result<Option<Datagram<'_>>> {
        if self.next == self.filled {
            if mem::take(&mut self.drained) {
                return Ok(None);
            }
            self.fill(socket)?;
        }
        if self.next == self.filled {
            self.drained = false;
            return Ok(None);
        }
        let slot = &self.slots[self.next];
        self.next += 1;
        Ok(Some(Datagram {
            bytes: &slot.bytes[..slot.length],
            arrived: slot.arrived,
            overflowed: slot.notes.overflowed,
            header: slot.header(family),
        }))
    }

    fn fill(&mut self, socket: BorrowedFd<'_>) -> io::Result<()> {
        let asked_at = clock::now();
        let received = receive(socket, &mut self.slots);
        if self.filled < SLOTS {
            self.empty_at = self.filled_at;
        }
        self.filled_at = asked_at;
        // A socket that fails has nothing to give.
        self.filled = *received.as_ref().unwrap_or(&0);
        self.next = 0;
        self.drained = self.filled < SLOTS;
        let (now, wall) = (clock::now(), clock::realtime());
        for slot in &mut self.slots[..self.filled] {
            let age = age(slot.notes.stamp, wall, now.saturating_since(self.empty_at));
            slot.arrived = now - age;
        }
        received.map(|_| ())
    }
}

impl core::fmt::Debug for RecvBuf {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("RecvBuf").field("waiting", &(self.filled - self.next)).finish()
    }
}

impl Default for RecvBuf {
    fn default() -> Self {
        Self::new()
    }
}

/// How old a packet stamped `stamp` is at `wall`. The wall clock may have jumped since it came: it
/// is never older than the time since the queue was empty.
fn age(stamp: Option<Duration>, wall: Duration, since_empty: Duration) -> Duration {
    stamp.map_or(Duration::ZERO, |stamp| wall.saturating_sub(stamp).min(since_empty))
}

/// Fills slots from the first on; zero if nothing is queued.
fn receive(socket: BorrowedFd<'_>, slots: &mut [Slot]) -> io::Result<usize> {
    let none = libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 };
    let mut vectors = [none; SLOTS];
    // SAFETY: all zeroes is a valid mmsghdr: null pointers with zero lengths.
    let mut headers: [libc::mmsghdr; SLOTS] = array::from_fn(|_| unsafe { mem::zeroed() });
    let mut count: libc::c_uint = 0;
    for ((slot, vector), header) in slots.iter_mut().zip(&mut vectors).zip(&mut headers) {
        vector.iov_base = slot.bytes.as_mut_ptr().cast();
        vector.iov_len = SLOT_BYTES;
        header.msg_hdr.msg_iov = vector;
        header.msg_hdr.msg_iovlen = 1;
        header.msg_hdr.msg_name = (&raw mut slot.name).cast();
        header.msg_hdr.msg_namelen = NAME_LEN;
        slot.control.attach(&mut header.msg_hdr);
        count += 1;
    }
    // SAFETY: the first `count` headers point to vectors, buffers, names and control buffers that
    // live through the call and are not otherwise used during it.
    let received = unsafe {
        libc::recvmmsg(
            socket.as_raw_fd(),
            headers.as_mut_ptr(),
            count,
            libc::MSG_DONTWAIT as _,
            ptr::null_mut(),
        )
    };
    let Ok(received) = usize::try_from(received) else {
        let error = io::Error::last_os_error();
        return if error.kind() == io::ErrorKind::WouldBlock { Ok(0) } else { Err(error) };
    };
    for (slot, header) in slots.iter_mut().zip(&headers).take(received) {
        let length = usize::try_from(header.msg_len).unwrap_or(SLOT_BYTES);
        slot.length = length.min(SLOT_BYTES);
        let is_ipv6 = header.msg_hdr.msg_namelen == NAME_LEN
            && slot.name.sin6_family == AddressFamily::INET6.as_raw();
        slot.source = is_ipv6.then(|| Ipv6Addr::from(slot.name.sin6_addr.s6_addr));
        // SAFETY: the kernel filled this header, whose control buffer is still `slot.control`.
        slot.notes = unsafe { Notes::read(&header.msg_hdr) };
    }
    Ok(received)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(50);
    const WALL: Duration = Duration::from_secs(1_000_000);
    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_wall_clock_that_jumped_makes_no_packet_older_than_the_queue() {
        assert_eq!(age(Some(WALL - HOUR), WALL, SHORT), SHORT);
    }

    #[test]
    fn a_packet_from_the_future_or_without_a_stamp_is_new() {
        assert_eq!(age(Some(WALL + HOUR), WALL, HOUR), Duration::ZERO);
        assert_eq!(age(None, WALL, HOUR), Duration::ZERO);
    }

    #[test]
    fn a_packet_that_waited_is_as_old_as_its_stamp() {
        assert_eq!(age(Some(WALL - SHORT), WALL, HOUR), SHORT);
    }

    #[test]
    fn what_has_been_read_is_known_by_arrival_until_the_queue_is_empty() {
        let at = |nanos| Instant::from_nanos(nanos);
        let mut buffer = RecvBuf::new();
        buffer.filled_at = at(1000);
        assert_eq!(buffer.read_until(), at(1000));
        for (slot, arrived) in buffer.slots.iter_mut().zip(500..) {
            slot.arrived = at(arrived);
        }
        (buffer.filled, buffer.next) = (2, 1);
        assert_eq!(buffer.read_until(), at(500));
        buffer.next = 2;
        assert_eq!(buffer.read_until(), at(1000));
        (buffer.filled, buffer.next) = (SLOTS, SLOTS);
        assert_eq!(buffer.read_until(), at(531));
    }
}
