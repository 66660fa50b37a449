//! What the kernel tells beside a datagram: its control messages.
#![allow(unsafe_code)] // CMSG_NXTHDR(3) has no wrapper that can be used with recvmmsg(2).

use core::net::Ipv6Addr;
use core::{mem, ptr};

use crate::time::Duration;

/// Room for the control messages of one datagram: 120 bytes for those that are asked for, and
/// some.
#[derive(Clone)]
#[repr(C, align(8))]
pub(super) struct Control([u8; 256]);

impl Control {
    pub(super) const fn new() -> Self {
        Self([0; 256])
    }

    /// Has `header` point here.
    pub(super) fn attach(&mut self, header: &mut libc::msghdr) {
        header.msg_control = self.0.as_mut_ptr().cast();
        header.msg_controllen = mem::size_of::<Self>() as _;
    }
}

/// What the control messages of one datagram say.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Notes {
    /// Wall clock time of reception.
    pub(super) stamp: Option<Duration>,
    /// Packets lost for want of room before this one. Wraps.
    pub(super) overflowed: u32,
    /// IPv6.
    pub(super) hop_limit: Option<u8>,
    /// IPv6.
    pub(super) destination: Option<Ipv6Addr>,
}

impl Notes {
    /// Reads all control messages.
    ///
    /// # Safety
    /// `header` must have been filled by the kernel and its control buffer must live.
    pub(super) unsafe fn read(header: &libc::msghdr) -> Self {
        let mut notes = Self::default();
        // SAFETY: by this function's contract.
        let mut message = unsafe { libc::CMSG_FIRSTHDR(header) };
        // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR give null or a whole, aligned header in the buffer.
        while let Some(control) = unsafe { message.as_ref() } {
            // SAFETY: `control` is a message that the kernel wrote.
            unsafe { notes.take(control) };
            // SAFETY: `control` is a message of `header`'s buffer.
            message = unsafe { libc::CMSG_NXTHDR(header, control) };
        }
        notes
    }

    /// # Safety
    /// `control` must be a message that the kernel wrote, with its data behind it.
    unsafe fn take(&mut self, control: &libc::cmsghdr) {
        match (control.cmsg_level, control.cmsg_type) {
            (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => {
                // SAFETY: by this function's contract; any bytes are a timespec.
                if let Some(time) = unsafe { value::<libc::timespec>(control) } {
                    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
                    let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
                    self.stamp = Some(Duration::new(seconds, nanos));
                }
            }
            (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => {
                // SAFETY: by this function's contract; any bytes are a number.
                self.overflowed = unsafe { value::<u32>(control) }.unwrap_or(0);
            }
            (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT) => {
                // SAFETY: by this function's contract; any bytes are a number.
                let hop_limit = unsafe { value::<libc::c_int>(control) };
                self.hop_limit = hop_limit.and_then(|hops| u8::try_from(hops).ok());
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                // SAFETY: by this function's contract; any bytes are an in6_pktinfo.
                let info = unsafe { value::<libc::in6_pktinfo>(control) };
                self.destination = info.map(|info| Ipv6Addr::from(info.ipi6_addr.s6_addr));
            }
            _ => {}
        }
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
