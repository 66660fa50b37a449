//! Ends the TCP connections of an address that leaves this node, so that their clients are reset and
//! connect anew instead of waiting for answers that cannot come.
//!
//! By netlink's sock_diag. Deleted first, an address lets no reset out: end them, delete it, and end
//! what came about meanwhile.
//!
//! And tells who serves a connection that this host has with itself: [`serving()`].

mod request;
mod serving;

use core::net::IpAddr;
use core::time::Duration;
use std::io;

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_SOCK_DIAG};
use rustix::net::sockopt::{self, Timeout};

use self::request::{Connection, Reply};
pub use self::serving::{Serving, serving};
use super::clock;
use crate::Family;
use crate::time::Instant;

/// How long an answer is waited for, which the kernel gives while it takes the request.
const TIMEOUT: Duration = Duration::from_millis(50);
/// The kernel's datagrams have 32 KiB at most.
const DATAGRAM: usize = 64 * 1024;
/// Connections ended in one system call.
const CHUNK: usize = 64;
/// So many are always ended: a machine that is busy must not cost the few that there usually are.
const ALWAYS: usize = 1024;
/// Addresses asked for at once: a filter of them has 64 KiB at most.
const MAX_LOCALS: usize = 1024;

/// An address of this node that is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Local {
    /// The address. Of IPv4, connections of IPv6 sockets (`::ffff:a.b.c.d`) count too.
    pub address: IpAddr,
    /// The interface that it is on. Counts where the address is link-local: others have the same.
    pub ifindex: u32,
}

/// What was ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// How many connections.
    pub count: usize,
    /// Whether that was all of them; if not, the time was over.
    pub complete: bool,
}

/// Why connections cannot be ended.
#[derive(Debug, thiserror::Error)]
pub enum TcpError {
    /// The kernel lacks it.
    #[error(
        "connections to a virtual address that leaves are not reset, and clients find out by \
         themselves: the kernel has no CONFIG_INET_DIAG_DESTROY"
    )]
    Unsupported,
    /// CAP_NET_ADMIN is missing, or the system call is filtered.
    #[error("connections to a virtual address that leaves are not reset: CAP_NET_ADMIN is missing")]
    Denied,
    /// Anything else.
    #[error("connections to a virtual address that leaves are not reset: {0}")]
    Io(#[from] io::Error),
}

/// A connection to the kernel.
pub struct Tcp {
    socket: Socket,
    sequence: u32,
    inbound: Box<[u8]>,
}

impl Tcp {
    /// Opens a connection, and has the kernel load what it needs.
    ///
    /// # Errors
    /// [`TcpError::Unsupported`] and [`TcpError::Denied`] if no connection could ever be ended.
    pub fn open() -> Result<Self, TcpError> {
        let mut tcp = Self::unprobed()?;
        tcp.probe()?;
        Ok(tcp)
    }

    fn unprobed() -> io::Result<Self> {
        let socket = Socket::new(NETLINK_SOCK_DIAG)?;
        sockopt::set_socket_timeout(&socket, Timeout::Recv, Some(TIMEOUT))?;
        let inbound = vec![0; DATAGRAM].into_boxed_slice();
        Ok(Self { socket, sequence: 0, inbound })
    }

    /// Ends all connections whose local address is one of these, whoever made them; those that only
    /// listen stay. After `until` a thousand at most.
    ///
    /// # Errors
    /// [`TcpError`]; some connections may have been ended.
    pub fn end(&mut self, locals: &[Local], until: Instant) -> Result<Ended, TcpError> {
        let mut ended = Ended { count: 0, complete: true };
        for locals in locals.chunks(MAX_LOCALS) {
            for family in families(locals) {
                for chunk in self.connections(family, locals)?.chunks(CHUNK) {
                    if ended.count >= ALWAYS && clock::now() >= until {
                        return Ok(Ended { complete: false, ..ended });
                    }
                    self.destroy(chunk)?;
                    ended.count += chunk.len();
                }
            }
        }
        Ok(ended)
    }

    /// The connections of these addresses, of sockets of one family.
    fn connections(
        &mut self,
        family: Family,
        locals: &[Local],
    ) -> Result<Vec<Connection>, TcpError> {
        self.sequence = self.sequence.wrapping_add(1);
        let list = request::list(self.sequence, family, locals.iter().map(|it| it.address));
        self.send(&list)?;
        let mut connections = Vec::new();
        loop {
            let length = self.receive()?;
            for reply in request::replies(self.inbound.get(..length).unwrap_or_default()) {
                match reply {
                    Reply::Connection(sequence, connection) if sequence == self.sequence => {
                        if connection.is_of(locals) {
                            connections.push(connection);
                        }
                    }
                    Reply::End(sequence, errno) if sequence == self.sequence => {
                        return match errno {
                            0 => Ok(connections),
                            errno => Err(refusal(errno)),
                        };
                    }
                    // Of connections that had ended by themselves.
                    Reply::Connection(..) | Reply::End(..) => {}
                }
            }
        }
    }

    /// Ends connections. The kernel has done so when this returns; it answers only where it did not:
    /// they had ended.
    fn destroy(&mut self, connections: &[Connection]) -> Result<(), TcpError> {
        let mut requests = Vec::new();
        for connection in connections {
            self.sequence = self.sequence.wrapping_add(1);
            requests.extend(request::end(self.sequence, connection));
        }
        self.send(&requests)
    }

    /// Asks to end what there is not, of each family.
    fn probe(&mut self) -> Result<(), TcpError> {
        for family in [Family::Ipv4, Family::Ipv6] {
            self.sequence = self.sequence.wrapping_add(1);
            let request = request::end(self.sequence, &Connection::none(family));
            self.send(&request)?;
            let length = self.receive()?;
            let replies = request::replies(self.inbound.get(..length).unwrap_or_default());
            for reply in replies {
                match reply {
                    // A kernel without IPv6 has no connections of it.
                    Reply::End(_, libc::ENOENT) => {}
                    Reply::End(_, errno) => return Err(refusal(errno)),
                    Reply::Connection(..) => {}
                }
            }
        }
        Ok(())
    }

    fn send(&self, bytes: &[u8]) -> Result<(), TcpError> {
        self.socket.send_to(bytes, &SocketAddr::new(0, 0), 0)?;
        Ok(())
    }

    fn receive(&mut self) -> Result<usize, TcpError> {
        loop {
            match self.socket.recv(&mut &mut self.inbound[..], 0) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Too many connections had ended by themselves for all to be told.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {}
                result => return Ok(result?),
            }
        }
    }
}

/// Which sockets can have such local addresses.
fn families(locals: &[Local]) -> impl Iterator<Item = Family> {
    let ipv4 = locals.iter().any(|local| local.address.is_ipv4());
    ipv4.then_some(Family::Ipv4).into_iter().chain([Family::Ipv6])
}

fn refusal(errno: i32) -> TcpError {
    match errno {
        libc::EOPNOTSUPP => TcpError::Unsupported,
        libc::EPERM | libc::EACCES => TcpError::Denied,
        errno => TcpError::Io(io::Error::from_raw_os_error(errno)),
    }
}
