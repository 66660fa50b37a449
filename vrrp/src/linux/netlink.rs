//! A synchronous rtnetlink client: installs and removes addresses, lists links and addresses.
//!
//! Not the `rtnetlink` crate: its users live in tokio, and this runs on a thread that does not.
//! The kernel works on a request inside `sendmsg`, under a lock that it shares with everyone who
//! changes the network, so a request can take milliseconds: never call this from the thread that
//! sends adverts.

mod address;
mod error;
mod macvlan;
mod neighbour;
mod route;

use core::net::IpAddr;
use core::ops::ControlFlow;
use core::time::Duration;
use std::collections::BTreeMap;
use std::io;

use netlink_packet_core::{
    ErrorBuffer, NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REPLACE,
    NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, NetlinkMessage,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::AddressMessage;
use netlink_packet_route::link::{LinkAttribute, LinkExtentMask, LinkFlags, LinkMessage};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use rustix::net::sockopt::{self, Timeout};

use self::address::installations;
use super::interface::{AddressInfo, LinkInfo, Message, decode_address, decode_link};
use crate::config::Lease;

pub(super) use self::address::{exact_removal, removal};
pub use self::error::NetlinkError;
pub use self::macvlan::{MacvlanError, NewMacvlan};

/// How long an answer is waited for.
pub const TIMEOUT: Duration = Duration::from_millis(500);

/// Requests in one system call; their answers must fit the receive buffer.
const CHUNK: usize = 128;
const RECEIVE_BUFFER: usize = 1024 * 1024;
/// The kernel's datagrams have 32 KiB at most.
const DATAGRAM: usize = 64 * 1024;
/// How often a list is asked for until it did not change meanwhile.
const DUMP_ATTEMPTS: usize = 5;
/// An address can be on an interface once for each prefix length.
const MAX_TWINS: usize = 33;

const RTM_NEWLINK: u16 = 16;
const RTM_NEWADDR: u16 = 20;

/// An address to install.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Install {
    /// The interface's index.
    pub ifindex: u32,
    /// The virtual address.
    pub address: IpAddr,
    /// How long the kernel keeps it at most, unless it is renewed; `None` for ever. One of 1 or 2 s
    /// may last a second longer.
    pub lease: Option<Lease>,
}

/// What a removal found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removed {
    /// The address was there.
    Deleted,
    /// It was not.
    WasAbsent,
}

/// A connection to the kernel.
pub struct Netlink {
    socket: Socket,
    sequence: u32,
    outbound: Vec<u8>,
    inbound: Box<[u8]>,
}

impl Netlink {
    /// Opens a connection.
    ///
    /// # Errors
    /// If the process has no descriptor left.
    pub fn open() -> Result<Self, NetlinkError> {
        let socket = Socket::new(NETLINK_ROUTE)?;
        // Answers without a copy of the request; lists narrowed to what was asked for. Both are
        // only thrift, as is the larger buffer.
        let _ = socket.set_cap_ack(true);
        let _ = socket.set_netlink_get_strict_chk(true);
        let _ = sockopt::set_socket_recv_buffer_size_force(&socket, RECEIVE_BUFFER);
        sockopt::set_socket_timeout(&socket, Timeout::Recv, Some(TIMEOUT))
            .map_err(io::Error::from)?;
        let inbound = vec![0; DATAGRAM].into_boxed_slice();
        Ok(Self { socket, sequence: 0, outbound: Vec::with_capacity(DATAGRAM), inbound })
    }

    /// Installs a virtual address, or renews its lease.
    ///
    /// It gets a host prefix, `noprefixroute`, `proto 112`, `preferred_lft 0` and, for IPv4, scope
    /// host and the label `<interface>:vip`: never chosen as a source address. One that is already there as another program made
    /// it keeps its scope and flags: [`Self::remove`] it first.
    ///
    /// # Errors
    /// [`NetlinkError`]; after [`NetlinkError::Timeout`] the address may be there.
    pub fn install(
        &mut self,
        ifindex: u32,
        address: IpAddr,
        lease: Option<Lease>,
    ) -> Result<(), NetlinkError> {
        let outcomes = self.install_many(&[Install { ifindex, address, lease }]);
        outcomes.into_iter().next().unwrap_or(Err(NetlinkError::Timeout))
    }

    /// As [`Self::install`] for many addresses at once; the answers are in the order of `wanted`.
    pub fn install_many(&mut self, wanted: &[Install]) -> Vec<Result<(), NetlinkError>> {
        let flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE;
        let requests: Vec<_> = installations(&self.socket, wanted)
            .map(|message| (flags, RouteNetlinkMessage::NewAddress(message)))
            .collect();
        self.transact(requests)
    }

    /// Removes an address, whatever prefix length it has and whoever installed it.
    ///
    /// Where the address is the primary of a subnet (left as a /24, say) the kernel removes the
    /// subnet's other addresses with it, unless the interface's sysctl `promote_secondaries` is 1.
    ///
    /// # Errors
    /// [`NetlinkError`]; after [`NetlinkError::Timeout`] the address may be there or not.
    pub fn remove(&mut self, ifindex: u32, address: IpAddr) -> Result<Removed, NetlinkError> {
        let outcomes = self.remove_many(&[(ifindex, address)]);
        outcomes.into_iter().next().unwrap_or(Err(NetlinkError::Timeout))
    }

    /// As [`Self::remove`] for many pairs of interface index and address at once; the answers are
    /// in the order of `unwanted`.
    pub fn remove_many(
        &mut self,
        unwanted: &[(u32, IpAddr)],
    ) -> Vec<Result<Removed, NetlinkError>> {
        let mut outcomes = vec![Ok(Removed::WasAbsent); unwanted.len()];
        let requests = unwanted
            .iter()
            .enumerate()
            .map(|(i, &(ifindex, address))| (i, removal(ifindex, address, 128)));
        self.remove_while_present(requests.collect(), &mut outcomes);
        let others = self.ipv6_with_other_prefixes(unwanted, &outcomes);
        self.remove_while_present(others, &mut outcomes);
        outcomes
    }

    /// Makes the requests, each about the address at its place in the list, again and again: each
    /// round may find an IPv4 address once more, with another prefix length.
    fn remove_while_present(
        &mut self,
        mut pending: Vec<(usize, AddressMessage)>,
        outcomes: &mut [Result<Removed, NetlinkError>],
    ) {
        for _ in 0..MAX_TWINS {
            if pending.is_empty() {
                break;
            }
            let requests = pending.iter().map(|(_, message)| {
                (NLM_F_REQUEST | NLM_F_ACK, RouteNetlinkMessage::DelAddress(message.clone()))
            });
            let mut answers = self.transact(requests).into_iter();
            pending.retain(|&(i, _)| match answers.next() {
                Some(Ok(())) => {
                    outcomes[i] = Ok(Removed::Deleted);
                    true
                }
                // An interface that is gone has taken its addresses along.
                Some(Err(NetlinkError::NoAddress | NetlinkError::NoDevice)) => false,
                Some(Err(error)) => {
                    outcomes[i] = Err(error);
                    false
                }
                None => false,
            });
        }
    }

    /// The addresses of one interface, or of all, in the kernel's order.
    ///
    /// # Errors
    /// [`NetlinkError`].
    pub fn addresses(&mut self, ifindex: Option<u32>) -> Result<Vec<AddressInfo>, NetlinkError> {
        let mut message = AddressMessage::default();
        message.header.index = ifindex.unwrap_or(0);
        let request = RouteNetlinkMessage::GetAddress(message);
        let mut addresses = self.dump(&request, RTM_NEWADDR, decode_address)?;
        addresses.retain(|info| ifindex.is_none_or(|ifindex| info.ifindex == ifindex));
        Ok(addresses)
    }

    /// All links.
    ///
    /// # Errors
    /// [`NetlinkError`].
    pub fn links(&mut self) -> Result<Vec<LinkInfo>, NetlinkError> {
        let mut message = LinkMessage::default();
        message.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
        self.dump(&RouteNetlinkMessage::GetLink(message), RTM_NEWLINK, decode_link)
    }

    /// Sets an interface administratively up or down. Down takes its routes and its IPv6 addresses
    /// along.
    ///
    /// # Errors
    /// [`NetlinkError`].
    pub fn set_up(&mut self, ifindex: u32, up: bool) -> Result<(), NetlinkError> {
        let mut message = LinkMessage::default();
        message.header.index = ifindex;
        message.header.change_mask = LinkFlags::Up;
        message.header.flags = if up { LinkFlags::Up } else { LinkFlags::empty() };
        let request = RouteNetlinkMessage::SetLink(message);
        let outcomes = self.transact([(NLM_F_REQUEST | NLM_F_ACK, request)]);
        outcomes.into_iter().next().unwrap_or(Err(NetlinkError::Timeout))
    }

    /// Removals for the IPv6 addresses that were not found as /128 but are there: the kernel wants
    /// to be told the prefix length. An interface has an IPv6 address once.
    fn ipv6_with_other_prefixes(
        &mut self,
        unwanted: &[(u32, IpAddr)],
        outcomes: &[Result<Removed, NetlinkError>],
    ) -> Vec<(usize, AddressMessage)> {
        let absent = unwanted.iter().zip(outcomes).enumerate().filter(|(_, (entry, outcome))| {
            entry.1.is_ipv6() && **outcome == Ok(Removed::WasAbsent)
        });
        let absent: BTreeMap<_, _> = absent.map(|(i, (entry, _))| (*entry, i)).collect();
        if absent.is_empty() {
            return Vec::new();
        }
        let present = self.addresses(None).unwrap_or_default();
        let others = present.iter().filter_map(|info| {
            let &i = absent.get(&(info.ifindex, info.address))?;
            Some((i, exact_removal(info)))
        });
        others.collect()
    }

    /// Sends the requests, each with its flags, and collects their answers in order.
    fn transact(
        &mut self,
        requests: impl IntoIterator<Item = (u16, RouteNetlinkMessage)>,
    ) -> Vec<Result<(), NetlinkError>> {
        let mut outcomes = Vec::new();
        let mut requests = requests.into_iter();
        loop {
            let first = self.sequence;
            self.outbound.clear();
            for (flags, request) in requests.by_ref().take(CHUNK) {
                self.append(flags, request);
            }
            let count = self.sequence.wrapping_sub(first) as usize;
            if count == 0 {
                return outcomes;
            }
            let mut answers = vec![None; count];
            let result = self.exchange(first, &mut answers);
            let missing = Err(result.err().unwrap_or(NetlinkError::Timeout));
            outcomes.extend(answers.into_iter().map(|answer| answer.unwrap_or(missing)));
        }
    }

    /// Sends what is outbound and waits for an answer to each request.
    fn exchange(
        &mut self,
        first: u32,
        answers: &mut [Option<Result<(), NetlinkError>>],
    ) -> Result<(), NetlinkError> {
        self.send()?;
        let mut open = answers.len();
        while open > 0 {
            self.receive(|message| {
                // Late answers to requests that were given up have other numbers.
                let index = message.sequence.wrapping_sub(first) as usize;
                if message.kind == NLMSG_ERROR
                    && let Some(answer) = answers.get_mut(index)
                    && answer.is_none()
                {
                    *answer = Some(status(message.payload));
                    open -= 1;
                }
                ControlFlow::Continue(())
            })?;
        }
        Ok(())
    }

    /// Asks for a list and decodes its messages of one kind.
    fn dump<T>(
        &mut self,
        request: &RouteNetlinkMessage,
        kind: u16,
        decode: fn(&[u8]) -> Option<T>,
    ) -> Result<Vec<T>, NetlinkError> {
        for _ in 0..DUMP_ATTEMPTS {
            let mut items = Vec::new();
            let mut interrupted = false;
            let mut end = None;
            let sequence = self.sequence;
            self.outbound.clear();
            self.append(NLM_F_REQUEST | NLM_F_DUMP, request.clone());
            self.send()?;
            while end.is_none() {
                self.receive(|message| {
                    if message.sequence != sequence {
                        return ControlFlow::Continue(());
                    }
                    interrupted |= message.flags & NLM_F_DUMP_INTR != 0;
                    match message.kind {
                        NLMSG_DONE | NLMSG_ERROR => {
                            end = Some(status(message.payload));
                            return ControlFlow::Break(());
                        }
                        other if other == kind => items.extend(decode(message.payload)),
                        _ => {}
                    }
                    ControlFlow::Continue(())
                })?;
            }
            end.unwrap_or(Ok(()))?;
            if !interrupted {
                return Ok(items);
            }
        }
        Err(NetlinkError::Unstable)
    }

    fn append(&mut self, flags: u16, request: RouteNetlinkMessage) {
        let mut message = NetlinkMessage::from(request);
        message.header.flags = flags;
        message.header.sequence_number = self.sequence;
        self.sequence = self.sequence.wrapping_add(1);
        message.finalize();
        let start = self.outbound.len();
        self.outbound.resize((start + message.buffer_len()).next_multiple_of(4), 0);
        message.serialize(&mut self.outbound[start..]);
    }

    fn send(&self) -> Result<(), NetlinkError> {
        self.socket.send_to(&self.outbound, &SocketAddr::new(0, 0), 0)?;
        Ok(())
    }

    /// Waits for one datagram and hands its messages over until told to stop.
    fn receive(
        &mut self,
        mut each: impl FnMut(&Message<'_>) -> ControlFlow<()>,
    ) -> Result<(), NetlinkError> {
        let length = loop {
            match self.socket.recv(&mut &mut self.inbound[..], 0) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result?,
            }
        };
        let mut rest = self.inbound.get(..length).unwrap_or_default();
        while let Some(message) = Message::first(rest) {
            if each(&message).is_break() {
                break;
            }
            rest = rest.get(message.length..).unwrap_or_default();
        }
        Ok(())
    }
}

/// What an acknowledgement, an error or the end of a list says.
fn status(payload: &[u8]) -> Result<(), NetlinkError> {
    match ErrorBuffer::new_checked(payload).ok().and_then(|error| error.code()) {
        None => Ok(()),
        Some(code) => Err(NetlinkError::from_errno(code.get().saturating_neg())),
    }
}
