//! When the VIP comes and goes in each router's kernel, from rtnetlink's notifications.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, setsockopt,
    socket, sockopt,
};

use crate::timeline::{Event, Timeline};
use crate::{INSTRUMENT_PRIORITY, Lab, LabError, Node, Stamp, VIP, round_robin, within};

/// The multicast group of IPv4 addresses (RTMGRP_IPV4_IFADDR).
const IPV4_ADDRESSES: u32 = 0x10;
const NEW_ADDRESS: u16 = 20;
const DELETED_ADDRESS: u16 = 21;
/// The attribute with the interface's own address (IFA_LOCAL).
const LOCAL: u16 = 2;

/// Watches all routers until it is dropped.
#[derive(Debug)]
pub(crate) struct AddressWatch {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl AddressWatch {
    /// Subscribes in every router's namespace; those that have the VIP already are reported
    /// first.
    pub(crate) fn start(lab: &Lab, timeline: Arc<Timeline>) -> Result<Self, LabError> {
        let mut sockets = Vec::new();
        for &node in lab.nodes() {
            let socket = within(&lab.namespace(node), subscribe)?
                .map_err(LabError::instrument("watching addresses"))?;
            sockets.push((node, socket));
        }
        for node in lab.owners()? {
            timeline.push(Stamp::now(), Event::Added(node));
        }
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            // Refused, the stamps are only a little later.
            let _ = round_robin(INSTRUMENT_PRIORITY);
            while !stopped.load(Ordering::Relaxed) {
                watch(&sockets, &timeline);
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
    setsockopt(&fd, sockopt::RcvBufForce, &(1 << 20))?;
    bind(fd.as_raw_fd(), &NetlinkAddr::new(0, IPV4_ADDRESSES))?;
    Ok(fd)
}

/// Waits for notifications, 100 ms at most, and reports those about the VIP.
fn watch(sockets: &[(Node, OwnedFd)], timeline: &Timeline) {
    let mut ready: Vec<PollFd> =
        sockets.iter().map(|(_, fd)| PollFd::new(fd.as_fd(), PollFlags::POLLIN)).collect();
    let Ok(1..) = poll(&mut ready, PollTimeout::from(100u8)) else { return };
    let at = Stamp::now();
    let mut buffer = [0; 8192];
    for (node, fd) in sockets {
        while let Ok(length) = recv(fd.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
            for (kind, address) in addresses(buffer.get(..length).unwrap_or_default()) {
                match kind {
                    NEW_ADDRESS if address == VIP => timeline.push(at, Event::Added(*node)),
                    DELETED_ADDRESS if address == VIP => timeline.push(at, Event::Removed(*node)),
                    _ => {}
                }
            }
        }
    }
}

/// The type and IFA_LOCAL of each message: a 16 byte header, 8 bytes about the interface, then
/// attributes of 4 bytes and their value, each padded to 4.
fn addresses(mut bytes: &[u8]) -> Vec<(u16, Ipv4Addr)> {
    let mut found = Vec::new();
    while let Some((message, rest)) = split(bytes, |header| {
        u32::from_ne_bytes([header[0], header[1], header[2], header[3]]).try_into().ok()
    }) {
        bytes = rest;
        let (Some(&[low, high]), Some(mut attributes)) =
            (message.get(4..6).and_then(<[u8]>::first_chunk), message.get(24..))
        else {
            continue;
        };
        while let Some((attribute, rest)) =
            split(attributes, |header| Some(u16::from_ne_bytes([header[0], header[1]]).into()))
        {
            attributes = rest;
            if let [_, _, kind_low, kind_high, a, b, c, d] = *attribute
                && u16::from_ne_bytes([kind_low, kind_high]) == LOCAL
            {
                found.push((u16::from_ne_bytes([low, high]), Ipv4Addr::new(a, b, c, d)));
            }
        }
    }
    found
}

/// Splits off what begins with its own length, and the padding after it.
fn split(bytes: &[u8], length: impl Fn(&[u8; 4]) -> Option<usize>) -> Option<(&[u8], &[u8])> {
    let length = length(bytes.first_chunk()?)?;
    let head = bytes.get(..length).filter(|_| length >= 4)?;
    Some((head, bytes.get(length.next_multiple_of(4)..).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, address: [u8; 4]) -> Vec<u8> {
        let mut bytes = vec![40, 0, 0, 0];
        bytes.extend(kind.to_ne_bytes());
        bytes.extend([0; 18]);
        bytes.extend([8, 0, 1, 0, 1, 2, 3, 4]);
        bytes.extend([8, 0, 2, 0]);
        bytes.extend(address);
        bytes
    }

    #[test]
    fn notifications_are_read() {
        let mut bytes = message(NEW_ADDRESS, [10, 51, 0, 100]);
        bytes.extend(message(DELETED_ADDRESS, [10, 51, 0, 11]));
        let expected = vec![
            (NEW_ADDRESS, Ipv4Addr::new(10, 51, 0, 100)),
            (DELETED_ADDRESS, Ipv4Addr::new(10, 51, 0, 11)),
        ];
        assert_eq!(addresses(&bytes), expected);
    }

    #[test]
    fn a_wrong_length_ends_the_reading() {
        let whole = message(NEW_ADDRESS, [10, 51, 0, 100]);
        for length in 0..whole.len() {
            assert_eq!(addresses(&whole[..length]), [], "{length}");
        }
        assert_eq!(addresses(&[0; 64]), []);
    }
}
