//! The bytes of sock_diag (linux/inet_diag.h): requests and answers about TCP connections.

use core::net::{IpAddr, Ipv6Addr};

use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR};

use super::Local;
use crate::Family;
use crate::linux::interface::Message;

/// SOCK_DIAG_BY_FAMILY and SOCK_DESTROY.
pub(super) const LIST: u16 = 20;
const DESTROY: u16 = 21;
/// INET_DIAG_REQ_BYTECODE
const FILTER: u16 = 1;
/// INET_DIAG_BC_JMP and INET_DIAG_BC_S_COND
const JUMP: u8 = 1;
const LOCAL_IS: u8 = 7;

const HEADER: usize = 16;
/// `inet_diag_sockid`: what a socket is known by.
pub(super) const ID: usize = 48;
/// Where an answer has the identity of the socket.
pub(super) const ID_AT: usize = 4;
/// In an identity: the local address, and the interface that the socket is bound to.
pub(super) const SOURCE_AT: usize = 4;
pub(super) const INTERFACE_AT: usize = 36;

/// The states of a connection: not TIME_WAIT (6), CLOSE (7) and LISTEN (10).
const STATES: u32 =
    1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 8 | 1 << 9 | 1 << 11 | 1 << 12;

/// A TCP connection as the kernel names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Connection {
    /// Of the socket.
    family: u8,
    id: [u8; ID],
}

/// An answer, with the number of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// One of a list.
    Connection(u32, Connection),
    /// The end of a list, or of a request that failed: a positive error number, 0 for none.
    End(u32, i32),
}

impl Connection {
    /// One that does not exist.
    pub(super) fn none(family: Family) -> Self {
        Self { family: number(family), id: [0; ID] }
    }

    /// Whether its local address is one of these; if link-local, on its interface.
    pub(super) fn is_of(&self, locals: &[Local]) -> bool {
        let Some(address) = self.local() else { return false };
        let is_link_local = matches!(address, IpAddr::V6(it) if it.is_unicast_link_local());
        let mut same = locals.iter().filter(|local| local.address == address);
        same.any(|local| !is_link_local || Some(local.ifindex) == self.interface())
    }

    fn local(&self) -> Option<IpAddr> {
        let bytes: [u8; 16] = *self.id.get(SOURCE_AT..)?.first_chunk()?;
        if self.family == number(Family::Ipv4) {
            return bytes.first_chunk::<4>().map(|&bytes| IpAddr::from(bytes));
        }
        Some(Ipv6Addr::from(bytes).to_canonical())
    }

    fn interface(&self) -> Option<u32> {
        self.id.get(INTERFACE_AT..)?.first_chunk().map(|&bytes| u32::from_ne_bytes(bytes))
    }
}

/// Asks for the connections with one of these local addresses.
pub(super) fn list(
    sequence: u32,
    family: Family,
    addresses: impl Iterator<Item = IpAddr>,
) -> Vec<u8> {
    let filter = filter(&addresses.collect::<Vec<_>>());
    let length = u16::try_from(filter.len() + 4).unwrap_or(u16::MAX);
    let mut payload = about(number(family), STATES, &[0; ID]);
    payload.extend(length.to_ne_bytes());
    payload.extend(FILTER.to_ne_bytes());
    payload.extend(filter);
    message(LIST, NLM_F_REQUEST | NLM_F_DUMP, sequence, &payload)
}

/// Asks to end a connection; answered only if that fails.
pub(super) fn end(sequence: u32, connection: &Connection) -> Vec<u8> {
    let about = about(connection.family, STATES, &connection.id);
    message(DESTROY, NLM_F_REQUEST, sequence, &about)
}

/// The answers in a datagram.
pub(super) fn replies(datagram: &[u8]) -> impl Iterator<Item = Reply> {
    messages(datagram).filter_map(|message| {
        let Message { kind, sequence, payload, .. } = message;
        match kind {
            NLMSG_DONE | NLMSG_ERROR => Some(Reply::End(sequence, errno(payload))),
            LIST => {
                let id = *payload.get(ID_AT..)?.first_chunk()?;
                let connection = Connection { family: *payload.first()?, id };
                Some(Reply::Connection(sequence, connection))
            }
            _ => None,
        }
    })
}

/// The messages in a datagram.
pub(super) fn messages(datagram: &[u8]) -> impl Iterator<Item = Message<'_>> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        let message = Message::first(rest)?;
        rest = rest.get(message.length..).unwrap_or_default();
        Some(message)
    })
}

/// The positive error number in NLMSG_DONE or NLMSG_ERROR, 0 for none.
pub(super) fn errno(payload: &[u8]) -> i32 {
    payload.first_chunk().map_or(0, |&bytes| i32::from_ne_bytes(bytes)).saturating_neg()
}

/// The program by which the kernel chooses: the local address is one of these. Each condition that
/// holds goes on to a jump to the end, which accepts; each other one over that jump. Past the end
/// is refused.
fn filter(addresses: &[IpAddr]) -> Vec<u8> {
    const JUMP_SIZE: usize = 4;
    let conditions: Vec<Vec<u8>> = addresses.iter().map(condition).collect();
    let mut left: usize = conditions.iter().map(|it| 4 + it.len() + JUMP_SIZE).sum();
    left = left.saturating_sub(JUMP_SIZE);
    let mut program = Vec::with_capacity(left);
    for condition in conditions {
        let size = 4 + condition.len();
        program.extend(operation(LOCAL_IS, size, size + JUMP_SIZE));
        program.extend(condition);
        left = left.saturating_sub(size);
        if left > 0 {
            program.extend(operation(JUMP, JUMP_SIZE, left));
            left = left.saturating_sub(JUMP_SIZE);
        }
    }
    program
}

/// An operation, and how far it is to the next one if it holds, and if not.
fn operation(code: u8, yes: usize, no: usize) -> [u8; 4] {
    let [low, high] = u16::try_from(no).unwrap_or(u16::MAX).to_ne_bytes();
    [code, u8::try_from(yes).unwrap_or(u8::MAX), low, high]
}

/// An address with any port. An IPv4 address holds for IPv6 sockets that it is mapped on too.
fn condition(address: &IpAddr) -> Vec<u8> {
    let (octets, family) = match address {
        IpAddr::V4(address) => (address.octets().to_vec(), Family::Ipv4),
        IpAddr::V6(address) => (address.octets().to_vec(), Family::Ipv6),
    };
    let prefix = u8::try_from(octets.len() * 8).unwrap_or(u8::MAX);
    let mut bytes = vec![number(family), prefix, 0, 0];
    bytes.extend((-1_i32).to_ne_bytes());
    bytes.extend(octets);
    bytes
}

/// `inet_diag_req_v2`: about the sockets in these states, or about that of the identity.
pub(super) fn about(family: u8, states: u32, id: &[u8; ID]) -> Vec<u8> {
    let protocol = u8::try_from(libc::IPPROTO_TCP).unwrap_or_default();
    let mut bytes = vec![family, protocol, 0, 0];
    bytes.extend(states.to_ne_bytes());
    bytes.extend(id);
    bytes
}

pub(super) fn message(kind: u16, flags: u16, sequence: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(HEADER + payload.len()).unwrap_or(u32::MAX);
    let mut bytes = Vec::with_capacity(HEADER + payload.len());
    bytes.extend(length.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend(sequence.to_ne_bytes());
    bytes.extend([0; 4]);
    bytes.extend(payload);
    bytes
}

pub(super) fn number(family: Family) -> u8 {
    let number = match family {
        Family::Ipv4 => libc::AF_INET,
        Family::Ipv6 => libc::AF_INET6,
    };
    u8::try_from(number).unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn connection(family: Family, source: &[u8], interface: u32) -> Connection {
        let mut connection = Connection::none(family);
        connection.id[SOURCE_AT..SOURCE_AT + source.len()].copy_from_slice(source);
        connection.id[INTERFACE_AT..INTERFACE_AT + 4].copy_from_slice(&interface.to_ne_bytes());
        connection
    }

    /// What the kernel does with a program: `inet_diag_bc_run`, for the two operations in use.
    fn accepts(program: &[u8], family: u8, local: &[u8]) -> bool {
        let mut rest = program;
        while let Some((&[code, yes, low, high], after)) = rest.split_first_chunk() {
            let no = usize::from(u16::from_ne_bytes([low, high]));
            let holds = code == LOCAL_IS && {
                let size = usize::from(after[1]) / 8;
                let mapped = [&[0; 10][..], &[0xff; 2], &after[8..][..size]].concat();
                (after[0] == family && &after[8..][..size] == local) || mapped == local
            };
            let step = if holds { usize::from(yes) } else { no };
            if step > rest.len() {
                return false;
            }
            rest = &rest[step..];
        }
        true
    }

    #[test]
    fn the_filter_accepts_each_of_its_addresses_and_no_other() {
        let [v4, v6] = [Family::Ipv4, Family::Ipv6].map(number);
        let of = |text: &str| match address(text) {
            IpAddr::V4(it) => (v4, it.octets().to_vec()),
            IpAddr::V6(it) => (v6, it.octets().to_vec()),
        };
        let all = ["10.0.0.10", "10.0.0.11", "fd00::10", "10.0.0.12"];
        for count in 1..=all.len() {
            let program = filter(&all[..count].iter().map(|it| address(it)).collect::<Vec<_>>());
            for (i, text) in all.iter().enumerate() {
                let (family, octets) = of(text);
                assert_eq!(accepts(&program, family, &octets), i < count, "{text} of {count}");
            }
            for other in ["10.0.0.9", "fd00::11", "::ffff:10.0.0.9"] {
                let (family, octets) = of(other);
                assert!(!accepts(&program, family, &octets), "{other} of {count}");
            }
            let (family, octets) = of("::ffff:10.0.0.10");
            assert!(accepts(&program, family, &octets));
        }
    }

    #[test]
    fn a_mapped_address_is_the_ipv4_address() {
        let locals = [Local { address: address("10.0.0.10"), ifindex: 2 }];
        assert!(connection(Family::Ipv4, &[10, 0, 0, 10], 0).is_of(&locals));
        assert!(!connection(Family::Ipv4, &[10, 0, 0, 11], 0).is_of(&locals));
        let mapped = "::ffff:10.0.0.10".parse::<Ipv6Addr>().unwrap().octets();
        assert!(connection(Family::Ipv6, &mapped, 0).is_of(&locals));
    }

    #[test]
    fn a_link_local_address_is_one_of_its_interface() {
        let locals = [Local { address: address("fe80::10"), ifindex: 2 }];
        let source = "fe80::10".parse::<Ipv6Addr>().unwrap().octets();
        assert!(connection(Family::Ipv6, &source, 2).is_of(&locals));
        assert!(!connection(Family::Ipv6, &source, 3).is_of(&locals));
    }

    #[test]
    fn requests_have_the_sizes_of_the_kernels_structures() {
        let list = list(7, Family::Ipv4, [address("10.0.0.10")].into_iter());
        assert_eq!(list.len(), HEADER + 56 + 4 + 16);
        let end = end(7, &Connection::none(Family::Ipv6));
        assert_eq!(end.len(), HEADER + 56);
        assert_eq!(u32::from_ne_bytes(*end.first_chunk().unwrap()), 72);
    }

    #[test]
    fn answers_are_told_apart() {
        let mut listed = vec![2, 1, 0, 0];
        listed.extend([9; ID]);
        listed.extend([0; 20]);
        let error = (-libc::ENOENT).to_ne_bytes();
        let datagram = [
            message(LIST, 2, 7, &listed),
            message(NLMSG_ERROR, 0, 8, &error),
            message(NLMSG_DONE, 2, 7, &[0; 4]),
        ]
        .concat();
        let replies: Vec<Reply> = replies(&datagram).collect();
        let connection = Connection { family: 2, id: [9; ID] };
        assert_eq!(
            replies,
            [Reply::Connection(7, connection), Reply::End(8, libc::ENOENT), Reply::End(7, 0)]
        );
    }
}
