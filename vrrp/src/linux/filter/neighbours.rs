//! What a packet socket hears of other hosts that have our addresses, or speak VRRP.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use socket2::SockFilter;

use crate::Family;
use crate::wire::PROTOCOL;

use super::{
    JUMP_IF_EQUAL, LOAD_BYTE, LOAD_HALF, LOAD_WORD, MAX_INSTRUCTIONS, NOTHING, RETURN, WHOLE,
};

const ACCEPT: SockFilter = SockFilter::new(RETURN, 0, 0, WHOLE);
const DROP: SockFilter = SockFilter::new(RETURN, 0, 0, NOTHING);

/// Passes ARP for IPv4 over Ethernet whose sender is one of `addresses`, and ARP probes (RFC 5227,
/// 1.1: sender 0.0.0.0) for one of them. With more than a program can hold it passes all such ARP.
/// The program sees the ARP header first, as on a `SOCK_DGRAM` packet socket.
pub fn arp_about(addresses: &[Ipv4Addr]) -> Vec<SockFilter> {
    const SENDER: u32 = 14;
    const TARGET: u32 = 24;
    // Hardware type Ethernet, protocol IPv4; address lengths 6 and 4.
    let mut program = Vec::new();
    program.extend(require(LOAD_WORD, 0, 0x0001_0800));
    program.extend(require(LOAD_HALF, 4, 0x0604));
    program.push(SockFilter::new(LOAD_WORD, 0, 0, SENDER));
    if program.len() + 4 * addresses.len() + 4 > MAX_INSTRUCTIONS {
        program.push(ACCEPT);
        return program;
    }
    let one_of = || addresses.iter().flat_map(|&address| accept_if(u32::from(address)));
    program.extend(one_of());
    program.extend([
        SockFilter::new(JUMP_IF_EQUAL, 1, 0, 0),
        DROP,
        SockFilter::new(LOAD_WORD, 0, 0, TARGET),
    ]);
    program.extend(one_of());
    program.push(DROP);
    program
}

/// Passes neighbour advertisements about one of `addresses`, and the solicitations of those who
/// would like to have one of them (RFC 4862, 5.4.2: source `::`). Of the addresses it compares the
/// last 32 bits; with more than a program can hold it passes all such messages. The program sees
/// the IPv6 header first, as on a `SOCK_DGRAM` packet socket, and lets no extension header pass:
/// neighbour discovery has none.
pub fn neighbour_discovery_about(addresses: &[Ipv6Addr]) -> Vec<SockFilter> {
    const NEXT_HEADER: u32 = 6;
    const HOP_LIMIT: u32 = 7;
    const SOURCE: u32 = 8;
    const TYPE_AND_CODE: u32 = 40;
    const TARGETS_END: u32 = 60;
    const ADVERTISEMENT: u32 = 0x8800;
    const SOLICITATION: u32 = 0x8700;

    let mut program = Vec::new();
    program.extend(require(LOAD_BYTE, NEXT_HEADER, 58));
    // RFC 4861, 7.1: it was sent on this link.
    program.extend(require(LOAD_BYTE, HOP_LIMIT, 255));
    program.push(SockFilter::new(LOAD_HALF, 0, 0, TYPE_AND_CODE));
    // To the target: beyond the rest of the solicitation's checks.
    program.push(SockFilter::new(JUMP_IF_EQUAL, 2 + 4 * 3, 0, ADVERTISEMENT));
    program.extend([SockFilter::new(JUMP_IF_EQUAL, 1, 0, SOLICITATION), DROP]);
    for word in 0..4 {
        program.extend(require(LOAD_WORD, SOURCE + 4 * word, 0));
    }
    program.push(SockFilter::new(LOAD_WORD, 0, 0, TARGETS_END));
    if program.len() + 2 * addresses.len() + 1 > MAX_INSTRUCTIONS {
        program.push(ACCEPT);
        return program;
    }
    program.extend(addresses.iter().flat_map(|&address| accept_if(last_word(address.into()))));
    program.push(DROP);
    program
}

/// Passes VRRP packets from one of `sources`; of IPv6 addresses it compares the last 32 bits. With
/// more than a program can hold it passes none. The program sees the IP header first, as on a
/// `SOCK_DGRAM` packet socket.
pub fn vrrp_from(family: Family, sources: &[IpAddr]) -> Vec<SockFilter> {
    // Where the protocol, or next header, stands, and the last word of the source.
    let (protocol, source) = match family {
        Family::Ipv4 => (9, 12),
        Family::Ipv6 => (6, 20),
    };
    let mut program = Vec::new();
    program.extend(require(LOAD_BYTE, protocol, PROTOCOL.into()));
    program.push(SockFilter::new(LOAD_WORD, 0, 0, source));
    if program.len() + 2 * sources.len() < MAX_INSTRUCTIONS {
        program.extend(sources.iter().flat_map(|source| accept_if(last_word(*source))));
    }
    program.push(DROP);
    program
}

fn last_word(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(address) => u32::from(address),
        IpAddr::V6(address) => {
            let [.., a, b, c, d] = address.octets();
            u32::from_be_bytes([a, b, c, d])
        }
    }
}

/// Loads, and drops the packet unless it is `value`.
fn require(load: u16, at: u32, value: u32) -> [SockFilter; 3] {
    [SockFilter::new(load, 0, 0, at), SockFilter::new(JUMP_IF_EQUAL, 1, 0, value), DROP]
}

/// Accepts the packet if A is `value`.
fn accept_if(value: u32) -> [SockFilter; 2] {
    [SockFilter::new(JUMP_IF_EQUAL, 0, 1, value), ACCEPT]
}
