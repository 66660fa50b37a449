//! Who serves a connection that this host has with itself: the sockets at its other end.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::io;

use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, NlasIterator};

use super::request::{self, ID, ID_AT, INTERFACE_AT, LIST, SOURCE_AT};
use super::{Tcp, TcpError};
use crate::Family;
use crate::linux::interface::u32_at;

/// TCP_LISTEN
const LISTEN: u8 = 10;
/// INET_DIAG_CGROUP_ID
const CGROUP: u16 = 21;
/// The size of `inet_diag_msg`, and where it has the number of the inode.
const ANSWER: usize = 72;
const INODE_AT: usize = 68;
/// In an identity: the port and the address of the other end, and a number that is of no matter
/// (INET_DIAG_NOCOOKIE).
const OTHER_PORT_AT: usize = 2;
const OTHER_AT: usize = 20;
const COOKIE_AT: usize = 40;

/// The sockets at the other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Serving {
    /// The number of the inode of the one that was accepted, by which `/proc/PID/fd` names it. 0:
    /// nobody has accepted it yet.
    pub accepted: u32,
    /// The number of the cgroup (of version 2) in which its listening socket was made; `None` from
    /// a kernel before 5.9, or without them.
    pub cgroup: Option<u64>,
    /// The numbers of the inodes of all sockets that listen for such connections, in order.
    pub listening: Vec<u32>,
}

/// Who serves the connection from `local` to `peer`, as its client knows it. `None`: the other end is on
/// another host or in another network namespace than the calling thread, or is gone.
///
/// Never waits. The connections of others cost nothing.
///
/// # Errors
/// If the kernel cannot be asked.
pub fn serving(local: SocketAddr, peer: SocketAddr) -> io::Result<Option<Serving>> {
    let mut kernel = Tcp::unprobed()?;
    let (local, peer) = (canonical(local), canonical(peer));
    let family = if peer.is_ipv4() { Family::Ipv4 } else { Family::Ipv6 };
    let id = identity(peer, Some(local));
    let accepted = kernel.ask(family, 0, &id)?.into_iter().find(|it| it.state != LISTEN);
    let Some(accepted) = accepted else { return Ok(None) };
    let id = identity(SocketAddr::new(any(family), peer.port()), None);
    let mut listening = kernel.ask(family, NLM_F_DUMP, &id)?;
    if family == Family::Ipv4 {
        // A socket of IPv6 takes connections of IPv4 too.
        listening.extend(kernel.ask(Family::Ipv6, NLM_F_DUMP, &id)?);
    }
    let can_accept = |it: &Answer| it.local.is_unspecified() || it.local == peer.ip();
    let mut listening: Vec<u32> =
        listening.iter().filter(|it| can_accept(it)).map(|it| it.inode).collect();
    listening.sort_unstable();
    Ok(Some(Serving { accepted: accepted.inode, cgroup: accepted.cgroup, listening }))
}

/// What the kernel says of a socket.
struct Answer {
    state: u8,
    local: IpAddr,
    inode: u32,
    cgroup: Option<u64>,
}

impl Tcp {
    /// The socket of this identity; of a list (`flags`), all that listen on its port.
    fn ask(&mut self, family: Family, flags: u16, id: &[u8; ID]) -> io::Result<Vec<Answer>> {
        self.sequence = self.sequence.wrapping_add(1);
        let about = request::about(request::number(family), 1 << LISTEN, id);
        self.send(&request::message(LIST, NLM_F_REQUEST | flags, self.sequence, &about))
            .map_err(plain)?;
        let mut found = Vec::new();
        loop {
            let length = self.receive().map_err(plain)?;
            let datagram = self.inbound.get(..length).unwrap_or_default();
            for message in request::messages(datagram).filter(|it| it.sequence == self.sequence) {
                match message.kind {
                    LIST => {
                        found.extend(Answer::read(message.payload));
                        if flags == 0 {
                            return Ok(found);
                        }
                    }
                    NLMSG_DONE | NLMSG_ERROR => match request::errno(message.payload) {
                        0 => return Ok(found),
                        // No such socket, or no IPv6.
                        libc::ENOENT => return Ok(Vec::new()),
                        errno => return Err(io::Error::from_raw_os_error(errno)),
                    },
                    _ => {}
                }
            }
        }
    }
}

impl Answer {
    fn read(payload: &[u8]) -> Option<Self> {
        let (answer, attributes) = payload.split_at_checked(ANSWER)?;
        let source: [u8; 16] = *answer.get(ID_AT + SOURCE_AT..)?.first_chunk()?;
        let local = if *answer.first()? == request::number(Family::Ipv4) {
            IpAddr::from(*source.first_chunk::<4>()?)
        } else {
            Ipv6Addr::from(source).to_canonical()
        };
        let mut attributes = NlasIterator::new(attributes).map_while(Result::ok);
        let cgroup = attributes.find(|it| it.kind() == CGROUP);
        let cgroup = cgroup.and_then(|it| it.value().try_into().ok()).map(u64::from_ne_bytes);
        Some(Self { state: *answer.get(1)?, local, inode: u32_at(answer, INODE_AT)?, cgroup })
    }
}

/// `inet_diag_sockid`
fn identity(here: SocketAddr, there: Option<SocketAddr>) -> [u8; ID] {
    let mut id = [0; ID];
    let mut write = |at: usize, bytes: &[u8]| {
        if let Some(place) = id.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    };
    let octets = |address: IpAddr| match address {
        IpAddr::V4(it) => it.octets().to_vec(),
        IpAddr::V6(it) => it.octets().to_vec(),
    };
    write(0, &here.port().to_be_bytes());
    write(SOURCE_AT, &octets(here.ip()));
    if let Some(there) = there {
        write(OTHER_PORT_AT, &there.port().to_be_bytes());
        write(OTHER_AT, &octets(there.ip()));
    }
    if let SocketAddr::V6(here) = here {
        write(INTERFACE_AT, &here.scope_id().to_ne_bytes());
    }
    write(COOKIE_AT, &[0xff; 8]);
    id
}

fn canonical(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V6(it) if it.ip().to_ipv4_mapped().is_some() => {
            SocketAddr::new(address.ip().to_canonical(), address.port())
        }
        _ => address,
    }
}

const fn any(family: Family) -> IpAddr {
    match family {
        Family::Ipv4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        Family::Ipv6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}

fn plain(error: TcpError) -> io::Error {
    match error {
        TcpError::Io(error) => error,
        error => io::Error::other(error),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;

    use super::*;

    fn of(stream: &TcpStream) -> io::Result<Option<Serving>> {
        serving(stream.local_addr().unwrap(), stream.peer_addr().unwrap())
    }

    /// The number of a socket's inode.
    fn inode(socket: &impl AsRawFd) -> u32 {
        let link = format!("/proc/self/fd/{}", socket.as_raw_fd());
        let name = std::fs::read_link(link).unwrap().into_os_string().into_string().unwrap();
        name.trim_matches(|it: char| !it.is_ascii_digit()).parse().unwrap()
    }

    #[test]
    fn the_sockets_at_the_other_end_are_told() {
        for (listen, to) in [
            ("127.0.0.1:0", "127.0.0.1"),
            ("0.0.0.0:0", "127.0.0.1"),
            ("[::]:0", "127.0.0.1"),
            ("[::]:0", "::1"),
            ("[::]:0", "::ffff:127.0.0.1"),
            ("[::1]:0", "::1"),
        ] {
            let listener = TcpListener::bind(listen).unwrap();
            let port = listener.local_addr().unwrap().port();
            let client = TcpStream::connect((to.parse::<IpAddr>().unwrap(), port)).unwrap();
            assert_eq!(of(&client).unwrap().unwrap().accepted, 0, "{listen} {to}");
            let accepted = listener.accept().unwrap().0;
            let found = of(&client).unwrap().unwrap();
            assert_eq!(found.accepted, inode(&accepted), "{listen} {to}");
            assert_eq!(found.listening, [inode(&listener)], "{listen} {to}");
            drop(listener);
            assert!(of(&client).unwrap().unwrap().listening.is_empty(), "{listen} {to}");
            drop(accepted);
        }
    }

    #[test]
    fn who_listens_on_another_address_or_port_does_not_count_and_who_shares_it_does() {
        let shared = || {
            let socket =
                socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
            socket.set_reuse_port(true).unwrap();
            socket
        };
        let (first, second) = (shared(), shared());
        let address: SocketAddr = "127.0.0.1:0".parse().unwrap();
        first.bind(&address.into()).unwrap();
        first.listen(8).unwrap();
        let bound = first.local_addr().unwrap().as_socket().unwrap();
        let _other_port = TcpListener::bind("127.0.0.1:0").unwrap();
        let _other_address = TcpListener::bind(("127.0.0.2", bound.port())).unwrap();
        let client = TcpStream::connect(bound).unwrap();
        let _accepted = first.accept().unwrap();
        assert_eq!(of(&client).unwrap().unwrap().listening, [inode(&first)]);
        second.bind(&bound.into()).unwrap();
        second.listen(8).unwrap();
        let mut both = [inode(&first), inode(&second)];
        both.sort_unstable();
        assert_eq!(of(&client).unwrap().unwrap().listening, both);
    }

    #[test]
    fn of_a_connection_that_there_is_not_nobody_is_told() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let bound = listener.local_addr().unwrap();
        assert_eq!(serving("127.0.0.1:1".parse().unwrap(), bound).unwrap(), None);
        let elsewhere = "192.0.2.1:6443".parse().unwrap();
        assert_eq!(serving("192.0.2.2:40000".parse().unwrap(), elsewhere).unwrap(), None);
    }
}
