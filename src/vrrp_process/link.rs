//! The connection to the VRRP process: one JSON message per packet.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, recv,
    send, socket_with,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use vrrp::proto::{MAX_MESSAGE, Reply, Request};

use super::watch;

/// The socket's buffer holds fewer messages.
const MAX_WAITING: usize = 512;

/// A connection to the VRRP process.
#[derive(Debug)]
pub struct Link {
    socket: AsyncFd<OwnedFd>,
    /// Messages that the socket had no room for yet.
    outbox: VecDeque<Vec<u8>>,
    buffer: Box<[u8]>,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody listens on the socket: the VRRP process does not run.
    #[error("no VRRP process listens")]
    Absent,
    /// Somebody listens and takes no connections: it is frozen.
    #[error("the VRRP process takes no connections")]
    Stuck,
    /// Anything else.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The VRRP process closed it, or died.
    #[error("the VRRP process closed the connection")]
    Closed,
    /// Anything else.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Link {
    /// Connects to the socket at `path`; never waits. Needs a tokio runtime.
    ///
    /// # Errors
    /// If nobody listens there, or the listener's queue is full.
    pub fn connect(path: &Path) -> Result<Self, ConnectError> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
            .map_err(io::Error::from)?;
        let address = SocketAddrUnix::new(path).map_err(io::Error::from)?;
        match connect(&socket, &address) {
            Ok(()) => {}
            Err(Errno::NOENT | Errno::CONNREFUSED) => return Err(ConnectError::Absent),
            Err(Errno::AGAIN) => return Err(ConnectError::Stuck),
            Err(error) => return Err(ConnectError::Io(error.into())),
        }
        let buffer = vec![0; MAX_MESSAGE].into_boxed_slice();
        Ok(Self { socket: watch(socket)?, outbox: VecDeque::new(), buffer })
    }

    /// Sends a message, or keeps it for [`Link::next`] to send when there is room. Never waits.
    ///
    /// # Errors
    /// If the connection is broken.
    pub fn send(&mut self, request: &Request) -> Result<(), LinkError> {
        let message = serde_json::to_vec(request).map_err(io::Error::from)?;
        self.outbox.push_back(message);
        self.flush()
    }

    /// The next message of the VRRP process. One of a kind that this version does not know is
    /// skipped. Loses nothing when it is cancelled.
    ///
    /// # Errors
    /// If the connection is closed or broken.
    pub async fn next(&mut self) -> Result<Reply, LinkError> {
        loop {
            let interest = if self.outbox.is_empty() {
                Interest::READABLE
            } else {
                Interest::READABLE | Interest::WRITABLE
            };
            let mut ready = self.socket.ready(interest).await?;
            let received = match recv(self.socket.get_ref(), &mut *self.buffer, RecvFlags::empty())
            {
                Ok((0, _)) => return Err(LinkError::Closed),
                Ok((length, _)) => Some(length),
                Err(Errno::AGAIN) => {
                    ready.clear_ready_matching(tokio::io::Ready::READABLE);
                    None
                }
                // A process that died before it read all can still be heard.
                Err(Errno::INTR | Errno::CONNRESET) => None,
                Err(error) => return Err(LinkError::Io(error.into())),
            };
            if ready.ready().is_writable() && !self.outbox.is_empty() {
                ready.clear_ready_matching(tokio::io::Ready::WRITABLE);
            }
            drop(ready);
            if let Some(reply) = received.and_then(|length| self.decode(length)) {
                // A connection that is broken the next call tells; this message came before.
                let _ = self.flush();
                return Ok(reply);
            }
            self.flush()?;
        }
    }

    /// What has come and was not fetched. Never waits; also for a connection whose other end is
    /// gone.
    pub fn drain(&mut self) -> Vec<Reply> {
        let mut replies = Vec::new();
        for _ in 0..MAX_WAITING {
            match recv(self.socket.get_ref(), &mut *self.buffer, RecvFlags::DONTWAIT) {
                Ok((length, _)) if length > 0 => replies.extend(self.decode(length)),
                Err(Errno::INTR | Errno::CONNRESET) => {}
                _ => break,
            }
        }
        replies
    }

    fn decode(&self, length: usize) -> Option<Reply> {
        serde_json::from_slice(self.buffer.get(..length)?)
            .inspect_err(|error| {
                tracing::debug!("message of the VRRP process not understood: {error}");
            })
            .ok()
    }

    fn flush(&mut self) -> Result<(), LinkError> {
        while let Some(message) = self.outbox.front() {
            match send(self.socket.get_ref(), message, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
                Ok(_) => {
                    self.outbox.pop_front();
                }
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN) => {
                    return Err(LinkError::Closed);
                }
                Err(error) => return Err(LinkError::Io(error.into())),
            }
        }
        Ok(())
    }
}
