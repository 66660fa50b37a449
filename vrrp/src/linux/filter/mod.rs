//! Classic BPF programs: what the kernel may drop before it wakes us.
//!
//! A load beyond the packet's end ends a program with "drop".

mod adverts;
mod checksum;
mod draft;
mod neighbours;
#[cfg(test)]
mod tests;

pub use self::adverts::{AdvertFilter, SAMPLED_ONE_IN, adverts, no_other_groups, refuses};
pub use self::neighbours::{arp_about, neighbour_discovery_about, vrrp_from};

/// The kernel's limit on the length of a program.
const MAX_INSTRUCTIONS: usize = 4096;

const LOAD_BYTE: u16 = 0x30;
const LOAD_HALF: u16 = 0x28;
const LOAD_WORD: u16 = 0x20;
const LOAD_LENGTH: u16 = 0x80;
const LOAD_IMMEDIATE: u16 = 0x00;
const LOAD_MEMORY: u16 = 0x60;
/// A = the byte at X + `k`.
const LOAD_BYTE_AT_X: u16 = 0x50;
const LOAD_HALF_AT_X: u16 = 0x48;
/// X = the length of the IPv4 header that starts at `k`.
const LOAD_X_HEADER_LENGTH: u16 = 0xb1;
const LOAD_X_IMMEDIATE: u16 = 0x01;
/// X = A.
const MOVE_TO_X: u16 = 0x07;
/// A = X.
const MOVE_TO_A: u16 = 0x87;
const STORE: u16 = 0x02;
const ADD: u16 = 0x04;
const ADD_X: u16 = 0x0c;
const SUBTRACT: u16 = 0x14;
const SUBTRACT_X: u16 = 0x1c;
const AND: u16 = 0x54;
const SHIFT_LEFT: u16 = 0x64;
const SHIFT_RIGHT: u16 = 0x74;
const SHIFT_RIGHT_BY_X: u16 = 0x7c;
const JUMP: u16 = 0x05;
const JUMP_IF_EQUAL: u16 = 0x15;
const JUMP_IF_AT_LEAST: u16 = 0x35;
/// If A is at least X.
const JUMP_IF_AT_LEAST_X: u16 = 0x3d;
const JUMP_IF_BITS: u16 = 0x45;
const RETURN: u16 = 0x06;

/// Where a program accepts the whole packet, and where it drops it: `k` of [`RETURN`].
const WHOLE: u32 = u32::MAX;
const NOTHING: u32 = 0;

/// Loads from here on are from the network header (`SKF_NET_OFF`), wherever the program's packet
/// begins.
const NETWORK_HEADER: u32 = 0xfff0_0000;
/// [`LOAD_WORD`] from here gives a random number (`SKF_AD_OFF + SKF_AD_RANDOM`).
const RANDOM: u32 = 0xffff_f000 + 56;

/// One instruction: what to do with `k`, and, if it is a conditional jump, how many instructions
/// to skip.
#[derive(Clone, Copy, Debug)]
struct Instruction {
    code: u16,
    if_true: u8,
    if_false: u8,
    k: u32,
}

impl Instruction {
    const fn new(code: u16, k: u32) -> Self {
        Self { code, if_true: 0, if_false: 0, k }
    }

    const fn jump(code: u16, if_true: u8, if_false: u8, k: u32) -> Self {
        Self { code, if_true, if_false, k }
    }
}
