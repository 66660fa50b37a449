//! When the VIP comes and goes in each router's kernel, from rtnetlink's notifications.

mod notification;
mod ownership;

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send,
    setsockopt, socket, sockopt,
};

use self::notification::{Change, changes, dump_request};
use self::ownership::Ownership;
use crate::timeline::{Event, Timeline};
use crate::{INSTRUMENT_PRIORITY, Lab, LabError, Node, Stamp, round_robin, within};

/// The multicast groups of links and of addresses: RTMGRP_LINK, RTMGRP_IPV4_IFADDR and
/// RTMGRP_IPV6_IFADDR.
const GROUPS: u32 = 0x1 | 0x10 | 0x100;
/// More than the kernel puts into one message of a dump.
const BUFFER: usize = 32 << 10;

/// Watches all routers until it is dropped.
#[derive(Debug)]
pub(crate) struct AddressWatch {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// One router's kernel.
#[derive(Debug)]
struct Kernel {
    node: Node,
    socket: OwnedFd,
    ownership: Ownership,
}

impl AddressWatch {
    /// Subscribes in every router's namespace; those that have the VIP already are reported
    /// first.
    pub(crate) fn start(lab: &Lab, timeline: Arc<Timeline>) -> Result<Self, LabError> {
        let mut kernels = Vec::new();
        for &node in lab.nodes() {
            let socket = within(&lab.namespace(node), subscribe)?
                .map_err(LabError::instrument("watching addresses"))?;
            let mut kernel =
                Kernel { node, socket, ownership: Ownership::new(timeline.family().vip()) };
            kernel.learn(&timeline).map_err(LabError::instrument("asking for addresses"))?;
            kernels.push(kernel);
        }
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            // Refused, the stamps are only a little later.
            let _ = round_robin(INSTRUMENT_PRIORITY);
            let mut buffer = vec![0; BUFFER];
            while !stopped.load(Ordering::Relaxed) {
                watch(&mut kernels, &timeline, &mut buffer);
            }
        });
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for AddressWatch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn subscribe() -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute)?;
    setsockopt(&fd, sockopt::RcvBufForce, &(4 << 20))?;
    bind(fd.as_raw_fd(), &NetlinkAddr::new(0, GROUPS))?;
    Ok(fd)
}

/// Waits for notifications, 100 ms at most, and reports those about the VIP.
fn watch(kernels: &mut [Kernel], timeline: &Timeline, buffer: &mut [u8]) {
    let mut ready: Vec<PollFd> = kernels
        .iter()
        .map(|kernel| PollFd::new(kernel.socket.as_fd(), PollFlags::POLLIN))
        .collect();
    let Ok(1..) = poll(&mut ready, PollTimeout::from(100u8)) else { return };
    let at = Stamp::now();
    for kernel in kernels {
        while let Ok(length) = recv(kernel.socket.as_raw_fd(), buffer, MsgFlags::empty()) {
            let bytes = buffer.get(..length).unwrap_or_default();
            changes(bytes).into_iter().for_each(|change| kernel.apply(at, &change, timeline));
        }
    }
}

impl Kernel {
    /// Asks for all links and then all addresses, whose answers read as notifications.
    fn learn(&mut self, timeline: &Timeline) -> io::Result<()> {
        let mut buffer = vec![0; BUFFER];
        for request in [dump_request::LINKS, dump_request::ADDRESSES] {
            send(self.socket.as_raw_fd(), &dump_request::bytes(request), MsgFlags::empty())?;
            let mut done = false;
            while !done {
                let mut ready = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
                if poll(&mut ready, PollTimeout::from(5000u16))? == 0 {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                let length = recv(self.socket.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
                for change in changes(buffer.get(..length).unwrap_or_default()) {
                    done |= change == Change::Done;
                    self.apply(Stamp::now(), &change, timeline);
                }
            }
        }
        Ok(())
    }

    fn apply(&mut self, at: Stamp, change: &Change, timeline: &Timeline) {
        match self.ownership.apply(change) {
            Some(true) => timeline.push(at, Event::Added(self.node)),
            Some(false) => timeline.push(at, Event::Removed(self.node)),
            None => {}
        }
    }
}
