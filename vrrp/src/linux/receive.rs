//! Receiving many datagrams with one system call and no allocation, each with its kernel
//! timestamp and overflow counter.
#![allow(unsafe_code)] // recvmmsg(2) and control messages have no wrapper that can be used again.

use core::{array, mem, ptr};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::clock;
use crate::time::{Duration, Instant};

/// Datagrams per system call.
const SLOTS: usize = 32;
/// An advert with 255 IPv6 addresses has 4,088 bytes, one with IPv4 addresses and the longest
/// header 1,088.
const SLOT_BYTES: usize = 4160;

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
    /// The packet; over IPv4 from the IP header on. Cut off at 4,160 bytes.
    pub bytes: &'a [u8],
    /// How long ago the kernel received it, at the time of the call. Zero if it has no timestamp:
    /// for some milliseconds after a host's first socket has asked for them.
    pub age: Duration,
    /// How many packets the socket had lost for want of room before this one was queued. Wraps.
    /// Losses after it show with later packets; [`super::socket::AdvertSocket::drops`] has all.
    pub overflowed: u32,
}

#[derive(Clone)]
#[repr(C, align(8))]
struct Control([u8; 128]);

#[derive(Clone)]
struct Slot {
    control: Control,
    bytes: [u8; SLOT_BYTES],
    length: usize,
    /// Wall clock time of reception.
    stamp: Option<Duration>,
    overflowed: u32,
}

impl RecvBuf {
    /// An empty buffer of some 135 KiB; nothing is allocated later.
    pub fn new() -> Self {
        let slot = Slot {
            control: Control([0; 128]),
            bytes: [0; SLOT_BYTES],
            length: 0,
            stamp: None,
            overflowed: 0,
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

    /// The next datagram, from the slots or else from the socket; `None` once the queue is empty.
    /// After a call that emptied the queue, `None` comes without asking again: poll the
    /// descriptor level-triggered.
    pub(super) fn next(&mut self, socket: BorrowedFd<'_>) -> io::Result<Option<Datagram<'_>>> {
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
            age: age(slot.stamp, self.empty_at),
            overflowed: slot.overflowed,
        }))
    }

    fn fill(&mut self, socket: BorrowedFd<'_>) -> io::Result<()> {
        let asked_at = clock::now();
        let received = receive(socket, &mut self.slots)?;
        if self.filled < SLOTS {
            self.empty_at = self.filled_at;
        }
        self.filled_at = asked_at;
        self.filled = received;
        self.next = 0;
        self.drained = received < SLOTS;
        Ok(())
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

/// The wall clock may have jumped since the packet came: it is never older than the time since the
/// queue was empty.
fn age(stamp: Option<Duration>, empty_at: Instant) -> Duration {
    let Some(stamp) = stamp else { return Duration::ZERO };
    clock::realtime().saturating_sub(stamp).min(clock::now().saturating_since(empty_at))
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
        header.msg_hdr.msg_control = slot.control.0.as_mut_ptr().cast();
        header.msg_hdr.msg_controllen = mem::size_of::<Control>() as _;
        count += 1;
    }
    // SAFETY: the first `count` headers point to vectors, buffers and control buffers that live
    // through the call and are not otherwise used during it.
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
        slot.stamp = None;
        slot.overflowed = 0;
        // SAFETY: the kernel filled this header, whose control buffer is still `slot.control`.
        unsafe { read_control(slot, &header.msg_hdr) };
    }
    Ok(received)
}

/// Takes what is known from all control messages.
///
/// # Safety
/// `header` must have been filled by the kernel and its control buffer must live.
unsafe fn read_control(slot: &mut Slot, header: &libc::msghdr) {
    // SAFETY: by this function's contract.
    let mut message = unsafe { libc::CMSG_FIRSTHDR(header) };
    // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR give null or a whole, aligned header in the buffer.
    while let Some(control) = unsafe { message.as_ref() } {
        match (control.cmsg_level, control.cmsg_type) {
            (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => {
                // SAFETY: the kernel wrote this message.
                if let Some(time) = unsafe { value::<libc::timespec>(control) } {
                    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
                    let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
                    slot.stamp = Some(Duration::new(seconds, nanos));
                }
            }
            (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => {
                // SAFETY: the kernel wrote this message.
                slot.overflowed = unsafe { value::<u32>(control) }.unwrap_or(0);
            }
            _ => {}
        }
        // SAFETY: `control` is a message of `header`'s buffer.
        message = unsafe { libc::CMSG_NXTHDR(header, control) };
    }
}

/// The value of a control message; `None` if it is too short.
///
/// # Safety
/// `control` must be a message that the kernel wrote, with its data behind it, and any bytes must
/// be a valid `T`.
unsafe fn value<T: Copy>(control: &libc::cmsghdr) -> Option<T> {
    let size = libc::c_uint::try_from(mem::size_of::<T>()).ok()?;
    // SAFETY: CMSG_LEN only computes.
    let needed = unsafe { libc::CMSG_LEN(size) };
    let length = control.cmsg_len;
    if length < needed as _ {
        return None;
    }
    // SAFETY: the message has at least `size` bytes of data, by the check above.
    Some(unsafe { ptr::read_unaligned(libc::CMSG_DATA(control).cast()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(50);

    #[test]
    fn a_wall_clock_that_jumped_makes_no_packet_older_than_the_queue() {
        let empty_at = clock::now() - SHORT;
        let an_hour_ago = clock::realtime() - Duration::from_secs(3600);
        let age = age(Some(an_hour_ago), empty_at);
        assert!(age >= SHORT && age < Duration::from_secs(60), "{age:?}");
    }

    #[test]
    fn a_packet_from_the_future_or_without_a_stamp_is_new() {
        let empty_at = clock::now() - Duration::from_secs(3600);
        let tomorrow = clock::realtime() + Duration::from_secs(86400);
        assert_eq!(age(Some(tomorrow), empty_at), Duration::ZERO);
        assert_eq!(age(None, empty_at), Duration::ZERO);
    }

    #[test]
    fn a_packet_that_waited_is_as_old_as_its_stamp() {
        let age = age(Some(clock::realtime() - SHORT), clock::now() - Duration::from_secs(3600));
        assert!(age >= SHORT && age < Duration::from_secs(60), "{age:?}");
    }
}
