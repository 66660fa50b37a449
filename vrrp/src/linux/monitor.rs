//! News of links and addresses, for epoll.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use rustix::io::Errno;
use rustix::net::sockopt;

use super::interface::{AddressInfo, LinkInfo, Message, decode_address, decode_link};

const RTMGRP_LINK: u32 = 0x1;
const RTMGRP_IPV4_IFADDR: u32 = 0x10;
const RTMGRP_IPV6_IFADDR: u32 = 0x100;
const RECEIVE_BUFFER: usize = 4 * 1024 * 1024;
/// The kernel's datagrams have 32 KiB at most.
const DATAGRAM: usize = 64 * 1024;

const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;

/// Something changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A link is new or has changed; often nothing that is known here.
    Link(LinkInfo),
    /// A link was deleted, or moved to another network namespace.
    LinkGone {
        /// The index it had.
        index: u32,
        /// The name it had.
        name: String,
    },
    /// An address is new, or has changed: also when a lease is renewed.
    AddressAdded(AddressInfo),
    /// An address was removed, or its lease ran out.
    AddressRemoved(AddressInfo),
    /// News were lost: list links and addresses to be up to date again.
    Overrun,
}

/// Hears what changes from its opening on. Open it first, then list what is there, so that nothing
/// falls in between.
pub struct Monitor {
    socket: Socket,
    buffer: Box<[u8]>,
    /// The part of `buffer` that is not read yet.
    unread: core::ops::Range<usize>,
}

impl Monitor {
    /// Opens a nonblocking socket.
    ///
    /// # Errors
    /// If the process has no descriptor left.
    pub fn open() -> io::Result<Self> {
        Self::open_groups(RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR)
    }

    /// [`Self::open`] for news of links alone: not woken by each lease that is renewed.
    ///
    /// # Errors
    /// If the process has no descriptor left.
    pub fn open_links() -> io::Result<Self> {
        Self::open_groups(RTMGRP_LINK)
    }

    fn open_groups(groups: u32) -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        let _ = sockopt::set_socket_recv_buffer_size_force(&socket, RECEIVE_BUFFER);
        socket.set_non_blocking(true)?;
        socket.bind(&SocketAddr::new(0, groups))?;
        Ok(Self { socket, buffer: vec![0; DATAGRAM].into_boxed_slice(), unread: 0..0 })
    }

    /// The next change; `None` if there is none now.
    ///
    /// # Errors
    /// As the kernel reports them; a full buffer is [`Change::Overrun`] and no error.
    pub fn recv(&mut self) -> io::Result<Option<Change>> {
        loop {
            while let Some(message) = Message::first(&self.buffer[self.unread.clone()]) {
                self.unread.start = (self.unread.start + message.length).min(self.unread.end);
                if let Some(change) = decode(&message) {
                    return Ok(Some(change));
                }
            }
            self.unread = 0..0;
            match self.socket.recv_from(&mut &mut self.buffer[..], libc::MSG_TRUNC) {
                Ok((length, _)) if length > DATAGRAM => return Ok(Some(Change::Overrun)),
                // Only the kernel, port 0, is believed.
                Ok((length, sender)) if sender.port_number() == 0 => self.unread = 0..length,
                Ok(_) => {}
                Err(error) => match Errno::from_io_error(&error) {
                    Some(Errno::AGAIN) => return Ok(None),
                    Some(Errno::NOBUFS) => return Ok(Some(Change::Overrun)),
                    Some(Errno::INTR) => {}
                    _ => return Err(error),
                },
            }
        }
    }
}

impl AsFd for Monitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// `None` for what is no news here.
fn decode(message: &Message<'_>) -> Option<Change> {
    match message.kind {
        RTM_NEWLINK => decode_link(message.payload).map(Change::Link),
        RTM_DELLINK => decode_link(message.payload)
            .map(|LinkInfo { index, name, .. }| Change::LinkGone { index, name }),
        RTM_NEWADDR => decode_address(message.payload).map(Change::AddressAdded),
        RTM_DELADDR => decode_address(message.payload).map(Change::AddressRemoved),
        _ => None,
    }
}
