//! Classic BPF programs: what the kernel may drop before it wakes us.
//!
//! A load beyond the packet's end ends a program with "drop", so lengths need no check of their
//! own.

use core::net::Ipv4Addr;

use socket2::SockFilter;

use crate::Vrid;
use crate::wire::TTL;

/// While a socket is tightened, one in this many of the refused packets passes all the same: the
/// user's counters go on (times this number), and the end of a flood is noticed.
pub const SAMPLED_ONE_IN: u32 = 1024;

/// Version 3, type 1 (RFC 9568, 5.2.1 and 5.2.2).
const VERSION_AND_TYPE: u32 = 0x31;

/// The kernel's limit on the length of a program.
const MAX_INSTRUCTIONS: usize = 4096;

const LOAD_BYTE: u16 = 0x30;
const LOAD_HALF: u16 = 0x28;
const LOAD_WORD: u16 = 0x20;
const LOAD_LENGTH: u16 = 0x80;
/// X = the length of the IPv4 header that starts at `k`.
const LOAD_X_HEADER_LENGTH: u16 = 0xb1;
/// A = the byte at X + `k`.
const LOAD_BYTE_AT_X: u16 = 0x50;
const SUBTRACT_X: u16 = 0x1c;
const JUMP_IF_EQUAL: u16 = 0x15;
const JUMP_IF_AT_LEAST: u16 = 0x35;
const JUMP: u16 = 0x05;
const RETURN: u16 = 0x06;

/// `LOAD_WORD` from here gives a random number (`SKF_AD_OFF + SKF_AD_RANDOM`).
const RANDOM: u32 = 0xffff_f000 + 56;
const ACCEPT: SockFilter = SockFilter::new(RETURN, 0, 0, u32::MAX);
const DROP: SockFilter = SockFilter::new(RETURN, 0, 0, 0);

/// Passes the IPv4 packets that can be adverts for one of `vrids`: TTL 255, version 3, type 1, a
/// known VRID (RFC 9568, 7.1), and a sample of the others. The program sees the IPv4 header first,
/// as on a raw socket.
pub fn ipv4_adverts(vrids: &[Vrid]) -> Vec<SockFilter> {
    let mut program = Vec::with_capacity(32 + 2 * vrids.len());
    let skip_refusal = u32::try_from(refuse().len()).unwrap_or(0);

    // Each check that fails jumps to the refusal that follows the checks.
    program.extend([
        SockFilter::new(LOAD_BYTE, 0, 0, 8),
        SockFilter::new(JUMP_IF_EQUAL, 0, 8, u32::from(TTL)),
        SockFilter::new(LOAD_X_HEADER_LENGTH, 0, 0, 0),
        SockFilter::new(LOAD_LENGTH, 0, 0, 0),
        SockFilter::new(SUBTRACT_X, 0, 0, 0),
        SockFilter::new(JUMP_IF_AT_LEAST, 0, 4, 8),
        SockFilter::new(LOAD_BYTE_AT_X, 0, 0, 0),
        SockFilter::new(JUMP_IF_EQUAL, 0, 2, VERSION_AND_TYPE),
        SockFilter::new(LOAD_BYTE_AT_X, 0, 0, 1),
        SockFilter::new(JUMP, 0, 0, skip_refusal),
    ]);
    program.extend(refuse());
    for vrid in vrids {
        program.push(SockFilter::new(JUMP_IF_EQUAL, 0, 1, u32::from(vrid.get())));
        program.push(ACCEPT);
    }
    program.extend(refuse());
    program
}

/// Passes one in [`SAMPLED_ONE_IN`] and drops the rest.
fn refuse() -> [SockFilter; 4] {
    [
        SockFilter::new(LOAD_WORD, 0, 0, RANDOM),
        SockFilter::new(JUMP_IF_AT_LEAST, 1, 0, u32::MAX / SAMPLED_ONE_IN + 1),
        ACCEPT,
        DROP,
    ]
}

/// Passes ARP for IPv4 over Ethernet whose sender is one of `addresses`, and ARP probes (RFC 5227,
/// 1.1: sender 0.0.0.0) for one of them. With more than a program can hold it passes all such ARP.
/// The program sees the ARP header first, as on a `SOCK_DGRAM` packet socket.
pub fn arp_about(addresses: &[Ipv4Addr]) -> Vec<SockFilter> {
    const SENDER: u32 = 14;
    const TARGET: u32 = 24;
    // Hardware type Ethernet, protocol IPv4; address lengths 6 and 4.
    let mut program = vec![
        SockFilter::new(LOAD_WORD, 0, 0, 0),
        SockFilter::new(JUMP_IF_EQUAL, 1, 0, 0x0001_0800),
        DROP,
        SockFilter::new(LOAD_HALF, 0, 0, 4),
        SockFilter::new(JUMP_IF_EQUAL, 1, 0, 0x0604),
        DROP,
        SockFilter::new(LOAD_WORD, 0, 0, SENDER),
    ];
    if program.len() + 4 * addresses.len() + 4 > MAX_INSTRUCTIONS {
        program.push(ACCEPT);
        return program;
    }
    let one_of = || {
        addresses
            .iter()
            .flat_map(|&address| [SockFilter::new(JUMP_IF_EQUAL, 0, 1, u32::from(address)), ACCEPT])
    };
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
