//! The checksum of an advertisement, added up by a filter (RFC 9568, 5.2.8).

use super::draft::Draft;
use super::{
    ADD, ADD_X, AND, Instruction, JUMP, JUMP_IF_AT_LEAST, JUMP_IF_BITS, JUMP_IF_EQUAL, LOAD_BYTE,
    LOAD_HALF, LOAD_LENGTH, LOAD_MEMORY, LOAD_X_IMMEDIATE, MOVE_TO_A, MOVE_TO_X, NETWORK_HEADER,
    RETURN, SHIFT_RIGHT, STORE, SUBTRACT, WHOLE,
};
use crate::Family;
use crate::wire::PROTOCOL;

/// The longest message that is added up, in bytes: 16 IPv4 or 4 IPv6 addresses.
const LONGEST: u32 = 72;
/// Bytes of a message before its first address.
const FIXED_LEN: u32 = 8;
/// Version 4, no options.
const IPV4_NO_OPTIONS: u8 = 0x45;
const IPV4_HEADER_LEN: u32 = 20;
/// Where the source address is, before the destination.
const IPV4_SOURCE: u32 = 12;
const IPV6_SOURCE: u32 = NETWORK_HEADER + 8;
/// What a right message adds up to.
const RIGHT: u32 = 0xffff;

/// Where the filter remembers the length of the message, and half a sum.
const LENGTH: u32 = 1;
const HALF: u32 = 2;

/// Whether the checksum of such a packet is added up: others pass whatever it is.
pub(super) fn is_judged(family: Family, seen: &[u8]) -> bool {
    let message = match family {
        Family::Ipv4 if seen.first() != Some(&IPV4_NO_OPTIONS) => return false,
        Family::Ipv4 => seen.len().saturating_sub(IPV4_HEADER_LEN as usize),
        Family::Ipv6 => seen.len(),
    };
    message <= LONGEST as usize && message.is_multiple_of(2)
}

/// Refuses the packet if its checksum is wrong. It is known to hold the message that it should,
/// with at least one address.
pub(super) fn require_checksum(draft: &mut Draft, family: Family) {
    // Where the message begins, and its least length: with one address.
    let (start, least) = match family {
        Family::Ipv4 => (IPV4_HEADER_LEN, FIXED_LEN + 4),
        Family::Ipv6 => (0, FIXED_LEN + 16),
    };
    if family == Family::Ipv4 {
        draft.then(LOAD_BYTE, 0);
        pass_unless(draft, JUMP_IF_EQUAL, u32::from(IPV4_NO_OPTIONS));
    }
    draft.then(LOAD_LENGTH, 0);
    draft.then(SUBTRACT, start);
    draft.then(STORE, LENGTH);
    pass_if(draft, JUMP_IF_AT_LEAST, LONGEST + 1);
    pass_if(draft, JUMP_IF_BITS, 1);

    draft.then(LOAD_X_IMMEDIATE, 0);
    for at in (0..least).step_by(2) {
        add_half(draft, start + at);
    }
    for at in (least..LONGEST).step_by(2) {
        // Six instructions a turn.
        let to_the_end = 3 + (LONGEST - at - 2) / 2 * 6;
        draft.then(LOAD_MEMORY, LENGTH);
        draft.push(Instruction::jump(JUMP_IF_AT_LEAST, 1, 0, at + 2));
        draft.then(JUMP, to_the_end);
        add_half(draft, start + at);
    }

    if family == Family::Ipv4 {
        fold(draft);
        pass_if(draft, JUMP_IF_EQUAL, RIGHT);
    }
    // Or with the pseudo-header.
    let addresses = match family {
        Family::Ipv4 => IPV4_SOURCE..IPV4_SOURCE + 8,
        Family::Ipv6 => IPV6_SOURCE..IPV6_SOURCE + 32,
    };
    for at in addresses.step_by(2) {
        add_half(draft, at);
    }
    draft.then(LOAD_MEMORY, LENGTH);
    draft.then(ADD_X, 0);
    draft.then(ADD, u32::from(PROTOCOL));
    draft.then(MOVE_TO_X, 0);
    fold(draft);
    draft.require(JUMP_IF_EQUAL, RIGHT);
}

fn pass_if(draft: &mut Draft, code: u16, k: u32) {
    draft.push(Instruction::jump(code, 0, 1, k));
    draft.then(RETURN, WHOLE);
}

fn pass_unless(draft: &mut Draft, code: u16, k: u32) {
    draft.push(Instruction::jump(code, 1, 0, k));
    draft.then(RETURN, WHOLE);
}

/// Adds 16 bits of the packet to the sum in X.
fn add_half(draft: &mut Draft, at: u32) {
    draft.then(LOAD_HALF, at);
    draft.then(ADD_X, 0);
    draft.then(MOVE_TO_X, 0);
}

/// Brings the sum in X to 16 bits, in X and in A: what overflows is added again, twice as that may
/// overflow too.
fn fold(draft: &mut Draft) {
    for _ in 0..2 {
        draft.then(MOVE_TO_A, 0);
        draft.then(AND, 0xffff);
        draft.then(STORE, HALF);
        draft.then(MOVE_TO_A, 0);
        draft.then(SHIFT_RIGHT, 16);
        draft.then(MOVE_TO_X, 0);
        draft.then(LOAD_MEMORY, HALF);
        draft.then(ADD_X, 0);
        draft.then(MOVE_TO_X, 0);
    }
}
