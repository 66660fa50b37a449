//! The filters of an advert socket: for every day, and for a flood.

use core::ops::Deref;

use socket2::SockFilter;

use super::checksum::{self, require_checksum};
use super::draft::{Draft, MOST_INSTRUCTIONS};
use super::{
    ADD, ADD_X, AND, Instruction, JUMP, JUMP_IF_AT_LEAST, JUMP_IF_AT_LEAST_X, JUMP_IF_BITS,
    JUMP_IF_EQUAL, LOAD_BYTE, LOAD_BYTE_AT_X, LOAD_HALF_AT_X, LOAD_IMMEDIATE, LOAD_LENGTH,
    LOAD_MEMORY, LOAD_WORD, LOAD_X_HEADER_LENGTH, LOAD_X_IMMEDIATE, MOVE_TO_X, NETWORK_HEADER,
    NOTHING, RANDOM, RETURN, SHIFT_LEFT, SHIFT_RIGHT, SHIFT_RIGHT_BY_X, STORE, SUBTRACT_X, WHOLE,
};
use crate::wire::{DropReason, GROUP_V6, TTL};
use crate::{Family, Vrid};

/// While a socket is tightened, one in this many of the refused packets passes all the same: the
/// user's counters go on (times this number), and the end of a flood is noticed.
pub const SAMPLED_ONE_IN: u32 = 1024;

/// Version 3, type 1 (RFC 9568, 5.2.1 and 5.2.2).
const VERSION_AND_TYPE: u32 = 0x31;
const FIXED_LEN: u32 = 8;

// Where the fields are in the IP headers and in the message (RFC 9568, 5.2).
const IPV4_TTL: u32 = 8;
const IPV6_HOP_LIMIT: u32 = 7;
const IPV6_DESTINATION: u32 = 24;
const VRID: u32 = 1;
const ADDRESS_COUNT: u32 = 3;
const INTERVAL: u32 = 4;

/// The 256 VRIDs, one bit each.
const WORDS: usize = 8;
/// Instructions of a refusal.
const REFUSAL_LEN: u32 = 4;

/// A program for [`socket2::Socket::attach_filter`], made without allocation.
pub struct AdvertFilter {
    program: [SockFilter; MOST_INSTRUCTIONS],
    length: usize,
}

impl Deref for AdvertFilter {
    type Target = [SockFilter];

    fn deref(&self) -> &[SockFilter] {
        &self.program[..self.length]
    }
}

impl From<Draft> for AdvertFilter {
    fn from(Draft { program, length }: Draft) -> Self {
        let program =
            program.map(|step| SockFilter::new(step.code, step.if_true, step.if_false, step.k));
        Self { program, length }
    }
}

/// Passes the packets that can be adverts for one of `vrids` by all that RFC 9568, 7.1, asks, and a
/// sample of the others. Of unusual packets the checksum is not looked at: see [`refuses`]. The program sees what a raw socket does: IPv4 packets
/// from their header on, of IPv6 packets the payload.
pub fn adverts(family: Family, vrids: &[Vrid]) -> AdvertFilter {
    draft(family, vrids).into()
}

/// Passes IPv6 packets to ff02::12 and to hosts. An IPv6 raw socket gets packets to all groups
/// that any process of the host has joined, whatever `IPV6_MULTICAST_ALL` says.
pub fn no_other_groups() -> AdvertFilter {
    let mut draft = Draft::new();
    drop_other_groups(&mut draft);
    draft.then(RETURN, WHOLE);
    draft.into()
}

pub(super) fn draft(family: Family, vrids: &[Vrid]) -> Draft {
    let mut draft = Draft::new();
    // X is where the message begins, from now to the comparison of the lengths.
    match family {
        Family::Ipv4 => {
            draft.then(LOAD_BYTE, IPV4_TTL);
            draft.require(JUMP_IF_EQUAL, u32::from(TTL));
            draft.then(LOAD_X_HEADER_LENGTH, 0);
        }
        Family::Ipv6 => {
            drop_other_groups(&mut draft);
            draft.then(LOAD_BYTE, NETWORK_HEADER + IPV6_HOP_LIMIT);
            draft.require(JUMP_IF_EQUAL, u32::from(TTL));
            draft.then(LOAD_X_IMMEDIATE, 0);
        }
    }
    draft.then(LOAD_LENGTH, 0);
    draft.then(SUBTRACT_X, 0);
    draft.require(JUMP_IF_AT_LEAST, FIXED_LEN);
    draft.then(LOAD_BYTE_AT_X, 0);
    draft.require(JUMP_IF_EQUAL, VERSION_AND_TYPE);
    draft.then(LOAD_HALF_AT_X, INTERVAL);
    draft.then(AND, 0x0fff);
    draft.require_nonzero();
    draft.then(LOAD_BYTE_AT_X, VRID);
    draft.then(STORE, 0);
    draft.then(LOAD_BYTE_AT_X, ADDRESS_COUNT);
    draft.require_nonzero();
    draft.then(SHIFT_LEFT, family.address_len().ilog2());
    draft.then(ADD, FIXED_LEN);
    draft.then(ADD_X, 0);
    draft.then(MOVE_TO_X, 0);
    draft.then(LOAD_LENGTH, 0);
    draft.require(JUMP_IF_AT_LEAST_X, 0);
    require_one_of(&mut draft, vrids);
    // The way to a refusal must be short.
    draft.then(JUMP, REFUSAL_LEN);
    draft.place_refusal();
    refuse(&mut draft);
    require_checksum(&mut draft, family);
    draft.then(RETURN, WHOLE);
    draft.place_refusal();
    refuse(&mut draft);
    draft
}

/// Drops the packet, and is no sample of it, if it is to another group than ff02::12.
fn drop_other_groups(draft: &mut Draft) {
    draft.then(LOAD_BYTE, NETWORK_HEADER + IPV6_DESTINATION);
    draft.push(Instruction::jump(JUMP_IF_EQUAL, 0, 4 * 3, 0xff));
    for (at, bytes) in (0..).step_by(4).zip(GROUP_V6.octets().as_chunks().0) {
        draft.then(LOAD_WORD, NETWORK_HEADER + IPV6_DESTINATION + at);
        draft.push(Instruction::jump(JUMP_IF_EQUAL, 1, 0, u32::from_be_bytes(*bytes)));
        draft.then(RETURN, NOTHING);
    }
}

/// Refuses the packet unless the VRID in memory is one of `vrids`: takes the word that has its bit
/// and looks at the bit.
fn require_one_of(draft: &mut Draft, vrids: &[Vrid]) {
    let mut words = [0_u32; WORDS];
    for vrid in vrids {
        words[usize::from(vrid.get() / 32)] |= 1 << (vrid.get() % 32);
    }
    draft.then(LOAD_MEMORY, 0);
    draft.then(AND, 31);
    draft.then(MOVE_TO_X, 0);
    draft.then(LOAD_MEMORY, 0);
    draft.then(SHIFT_RIGHT, 5);
    let mut to_the_shift = 3 * 7;
    for (index, word) in (0..7).zip(words) {
        to_the_shift -= 3;
        draft.push(Instruction::jump(JUMP_IF_EQUAL, 0, 2, index));
        draft.then(LOAD_IMMEDIATE, word);
        draft.then(JUMP, to_the_shift + 1);
    }
    draft.then(LOAD_IMMEDIATE, words[7]);
    draft.then(SHIFT_RIGHT_BY_X, 0);
    draft.require(JUMP_IF_BITS, 1);
}

/// Whether the filter refuses a packet that is discarded for `reason`. `seen` is what a raw socket
/// delivers of it; `is_known` says which VRIDs are configured.
pub fn refuses(
    reason: DropReason,
    family: Family,
    seen: &[u8],
    is_known: impl Fn(u8) -> bool,
) -> bool {
    match reason {
        DropReason::OwnSource | DropReason::UnknownPeer | DropReason::Filtered => false,
        // Other rules that it breaks are looked at later, here and there.
        DropReason::Checksum => {
            let start = match family {
                Family::Ipv4 => usize::from(seen.first().unwrap_or(&0) & 0xf) * 4,
                Family::Ipv6 => 0,
            };
            let &[_, vrid, _, count, high, low, ..] = seen.get(start..).unwrap_or_default() else {
                return true;
            };
            let interval = u16::from_be_bytes([high & 0xf, low]);
            let fits = is_known(vrid) && count != 0 && interval != 0;
            !fits || checksum::is_judged(family, seen)
        }
        _ => true,
    }
}

/// Passes one in [`SAMPLED_ONE_IN`] and drops the rest: [`REFUSAL_LEN`] instructions.
fn refuse(draft: &mut Draft) {
    draft.then(LOAD_WORD, RANDOM);
    draft.push(Instruction::jump(JUMP_IF_AT_LEAST, 1, 0, u32::MAX / SAMPLED_ONE_IN + 1));
    draft.then(RETURN, WHOLE);
    draft.then(RETURN, NOTHING);
}
