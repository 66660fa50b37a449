//! Many frames with few system calls.

use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, IntoRawFd};

use nix::net::if_::if_nametoindex;
use nix::sys::socket::{LinkAddr, MsgFlags, MultiHeaders, sendmmsg};
use pnet::datalink::{self, ChannelType, NetworkInterface};
use socket2::{Domain, Socket, Type};

use crate::{LabError, within};

/// Frames in one system call.
const BATCH: usize = 64;

/// Sends frames in turn from one interface.
#[derive(Debug)]
pub(super) struct Sender {
    socket: Socket,
    frames: Vec<Vec<u8>>,
    next: usize,
}

impl Sender {
    pub(super) fn open(
        namespace: &str,
        interface: &str,
        frames: Vec<Vec<u8>>,
    ) -> Result<Self, LabError> {
        let socket = within(namespace, || bound(interface))?;
        let socket = socket.map_err(LabError::instrument("sending frames"))?;
        Ok(Self { socket, frames, next: 0 })
    }

    /// Sends the next `count` frames. How many left, and how many did not.
    pub(super) fn send(&mut self, count: u64) -> (u64, u64) {
        let (mut sent, mut left) = (0, count);
        while left > 0 {
            let size = usize::try_from(left).unwrap_or(BATCH).min(BATCH);
            let slices: Vec<[IoSlice; 1]> = (self.next..self.next + size)
                .filter_map(|at| self.frames.get(at % self.frames.len()))
                .map(|frame| [IoSlice::new(frame)])
                .collect();
            let mut headers = MultiHeaders::<LinkAddr>::preallocate(size, None);
            let addresses: [Option<LinkAddr>; BATCH] = [None; BATCH];
            let fd = self.socket.as_raw_fd();
            let flags = MsgFlags::MSG_DONTWAIT;
            let done = sendmmsg(fd, &mut headers, &slices, &addresses[..size], [], flags);
            // What the interface does not take is left out.
            sent += done.map_or(0, |results| results.count() as u64);
            self.next = (self.next + size) % self.frames.len();
            left -= size as u64;
        }
        (sent, count - sent)
    }
}

/// A socket that sends whole frames from `interface` and receives nothing: protocol 0.
fn bound(interface: &str) -> io::Result<Socket> {
    let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
    let config = datalink::Config {
        channel_type: ChannelType::Layer3(0),
        promiscuous: false,
        // pnet binds it and closes it; the binding is that of the socket, which stays.
        socket_fd: Some(socket.try_clone()?.into_raw_fd()),
        read_buffer_size: 0,
        write_buffer_size: 0,
        ..datalink::Config::default()
    };
    let interface = NetworkInterface {
        name: interface.to_owned(),
        description: String::new(),
        index: if_nametoindex(interface)?,
        mac: None,
        ips: Vec::new(),
        flags: 0,
    };
    datalink::channel(&interface, config)?;
    // pnet has made it nonblocking.
    Ok(socket)
}
