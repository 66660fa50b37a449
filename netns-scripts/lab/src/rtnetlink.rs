//! What a kernel tells of its links and addresses.

mod message;

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send,
    setsockopt, socket, sockopt,
};

pub(crate) use self::message::Change;
use self::message::{changes, request};
use crate::{LabError, within};

/// The multicast groups of links and of addresses: RTMGRP_LINK, RTMGRP_IPV4_IFADDR and
/// RTMGRP_IPV6_IFADDR.
const GROUPS: u32 = 0x1 | 0x10 | 0x100;
/// Room for thousands of addresses that are told of at once.
const QUEUE: usize = 16 << 20;
/// More than the kernel puts into one message of a dump.
const BUFFER: usize = 32 << 10;

/// A socket that hears of every change in one network namespace.
#[derive(Debug)]
pub(crate) struct Subscription {
    socket: OwnedFd,
    buffer: Vec<u8>,
}

impl Subscription {
    /// Subscribes in the named network namespace.
    pub(crate) fn open(namespace: &str) -> Result<Self, LabError> {
        let open = || -> io::Result<OwnedFd> {
            let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
            let route = SockProtocol::NetlinkRoute;
            let fd = socket(AddressFamily::Netlink, SockType::Raw, flags, route)?;
            setsockopt(&fd, sockopt::RcvBufForce, &QUEUE)?;
            bind(fd.as_raw_fd(), &NetlinkAddr::new(0, GROUPS))?;
            Ok(fd)
        };
        let socket = within(namespace, open)?.map_err(LabError::instrument("using rtnetlink"))?;
        Ok(Self { socket, buffer: vec![0; BUFFER] })
    }

    /// Asks for all links and then all addresses, which are told as if they had just come.
    pub(crate) fn learn(&mut self, mut tell: impl FnMut(Change)) -> Result<(), LabError> {
        let mut learn = || -> io::Result<()> {
            for kind in [request::LINKS, request::ADDRESSES] {
                send(self.socket.as_raw_fd(), &request::bytes(kind), MsgFlags::empty())?;
                let mut done = false;
                while !done {
                    let mut ready = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
                    if poll(&mut ready, PollTimeout::from(5000u16))? == 0 {
                        return Err(io::ErrorKind::TimedOut.into());
                    }
                    for change in receive(&self.socket, &mut self.buffer)? {
                        done |= change == Change::Done;
                        tell(change);
                    }
                }
            }
            Ok(())
        };
        learn().map_err(LabError::instrument("asking for addresses"))
    }

    /// Tells all that is known by now.
    pub(crate) fn drain(&mut self, mut tell: impl FnMut(Change)) {
        while let Ok(changes) = receive(&self.socket, &mut self.buffer) {
            changes.into_iter().for_each(&mut tell);
        }
    }
}

impl AsFd for Subscription {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// What the next datagram tells. An error if there is none.
fn receive(socket: &OwnedFd, buffer: &mut [u8]) -> io::Result<Vec<Change>> {
    let length = recv(socket.as_raw_fd(), buffer, MsgFlags::empty())?;
    Ok(changes(buffer.get(..length).unwrap_or_default()))
}
