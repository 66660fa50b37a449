//! The socket to the daemon: one connection at a time, one JSON message per packet.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;

use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::net::{RecvFlags, SendFlags, SocketFlags, accept_with, recv, send};

use crate::proto::{MAX_MESSAGE, Reply, Request};

/// Bytes that wait for a daemon that is slow to read; one that is slower is disconnected. The status
/// of as many virtual routers as one process runs takes half of it.
const BACKLOG: usize = 16 * 1024 * 1024;

/// A descriptor above all others that the process opens.
const HIGH: i32 = 1000;

pub(super) struct Control {
    pub(super) listener: OwnedFd,
    connection: Option<OwnedFd>,
    /// Whether the peer has committed a configuration: it is a daemon, not a passing question.
    pub(super) committed: bool,
    unsent: VecDeque<Vec<u8>>,
    unsent_bytes: usize,
    buffer: Box<[u8]>,
}

/// What the connection brought.
pub(super) enum Incoming {
    Request(Request),
    /// A message that this version does not know.
    Unknown,
    /// Nothing more for now.
    Nothing,
}

impl Control {
    pub(super) fn new(listener: OwnedFd) -> Self {
        let buffer = vec![0; MAX_MESSAGE].into_boxed_slice();
        Self {
            listener,
            connection: None,
            committed: false,
            unsent: VecDeque::new(),
            unsent_bytes: 0,
            buffer,
        }
    }

    /// Takes a new connection in place of the old one: the daemon has been restarted.
    pub(super) fn accept(&mut self) -> Option<&OwnedFd> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let connection = accept_with(&self.listener, flags).ok()?;
        // Above every packet socket: a dying process gives back its highest descriptors first, and
        // a packet socket takes the kernel 10 ms. So the daemon hears of a death at once.
        let connection = fcntl_dupfd_cloexec(&connection, HIGH).unwrap_or(connection);
        self.disconnect();
        self.committed = false;
        Some(self.connection.insert(connection))
    }

    /// Whether a daemon is there to take events.
    pub(super) fn has_daemon(&self) -> bool {
        self.connection.is_some() && self.committed
    }

    /// Whether there is more to send than the socket takes.
    pub(super) fn congested(&self) -> bool {
        !self.unsent.is_empty()
    }

    pub(super) fn connection(&self) -> Option<&OwnedFd> {
        self.connection.as_ref()
    }

    pub(super) fn receive(&mut self) -> Incoming {
        let Some(connection) = &self.connection else {
            return Incoming::Nothing;
        };
        match recv(connection, &mut *self.buffer, RecvFlags::DONTWAIT) {
            Ok((_, length)) if length > 0 => {
                let message = self.buffer.get(..length).unwrap_or_default();
                serde_json::from_slice(message).map_or(Incoming::Unknown, Incoming::Request)
            }
            Err(Errno::AGAIN | Errno::INTR) => Incoming::Nothing,
            // The daemon is gone.
            _ => {
                self.disconnect();
                Incoming::Nothing
            }
        }
    }

    pub(super) fn send(&mut self, reply: &Reply) {
        let Some(connection) = &self.connection else {
            return;
        };
        // Replies are plain data: they always serialize.
        let Ok(message) = serde_json::to_vec(reply) else {
            return;
        };
        if self.unsent.is_empty() {
            match send(connection, &message, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(_) => return,
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(_) => return self.disconnect(),
            }
        }
        self.unsent_bytes += message.len();
        self.unsent.push_back(message);
        if self.unsent_bytes > BACKLOG {
            self.disconnect();
        }
    }

    /// Sends what waits, as far as the socket takes it.
    pub(super) fn flush(&mut self) {
        while let (Some(connection), Some(message)) = (&self.connection, self.unsent.front()) {
            match send(connection, message, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(_) => {
                    self.unsent_bytes -= message.len();
                    self.unsent.pop_front();
                }
                Err(Errno::AGAIN | Errno::INTR) => return,
                Err(_) => self.disconnect(),
            }
        }
    }

    /// Sends what waits before the process exits, for a second at most.
    pub(super) fn flush_blocking(&mut self) {
        for _ in 0..100 {
            self.flush();
            if self.unsent.is_empty() {
                return;
            }
            if let Some(connection) = &self.connection {
                use rustix::event::{PollFd, PollFlags, Timespec, poll};
                let mut fds = [PollFd::new(connection, PollFlags::OUT)];
                let _ = poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 10_000_000 }));
            }
        }
    }

    fn disconnect(&mut self) {
        self.connection = None;
        self.unsent.clear();
        self.unsent_bytes = 0;
    }
}
