//! Classic BPF, as far as it is in use here.

use super::super::*;

/// What a program makes of a packet: how many bytes pass. It sees `seen`; `packet` is from the IP
/// header on.
pub(super) fn run(program: &[Instruction], seen: &[u8], packet: &[u8], random: u32) -> u32 {
    // A load beyond the end.
    interpret(program, seen, packet, random).unwrap_or(NOTHING)
}

fn interpret(program: &[Instruction], seen: &[u8], packet: &[u8], random: u32) -> Option<u32> {
    let index = |number: u32| usize::try_from(number).unwrap();
    let load = |at: u32, length: usize| match at {
        RANDOM => Some(random),
        NETWORK_HEADER.. => number(packet, index(at - NETWORK_HEADER), length),
        _ => number(seen, index(at), length),
    };
    let (mut a, mut x, mut memory) = (0_u32, 0_u32, [0_u32; 16]);
    let mut next = 0;
    loop {
        let Instruction { code, if_true, if_false, k } = program[next];
        next += 1;
        let skip = |condition: bool| usize::from(if condition { if_true } else { if_false });
        match code {
            LOAD_BYTE => a = load(k, 1)?,
            LOAD_HALF => a = load(k, 2)?,
            LOAD_WORD => a = load(k, 4)?,
            LOAD_BYTE_AT_X => a = load(x + k, 1)?,
            LOAD_HALF_AT_X => a = load(x + k, 2)?,
            LOAD_LENGTH => a = u32::try_from(seen.len()).unwrap(),
            LOAD_IMMEDIATE => a = k,
            LOAD_MEMORY => a = memory[index(k)],
            STORE => memory[index(k)] = a,
            LOAD_X_HEADER_LENGTH => x = (load(k, 1)? & 0xf) * 4,
            LOAD_X_IMMEDIATE => x = k,
            MOVE_TO_X => x = a,
            MOVE_TO_A => a = x,
            ADD => a = a.wrapping_add(k),
            ADD_X => a = a.wrapping_add(x),
            SUBTRACT => a = a.wrapping_sub(k),
            SUBTRACT_X => a = a.wrapping_sub(x),
            AND => a &= k,
            SHIFT_LEFT => a <<= k,
            SHIFT_RIGHT => a >>= k,
            SHIFT_RIGHT_BY_X => a >>= x,
            JUMP => next += index(k),
            JUMP_IF_EQUAL => next += skip(a == k),
            JUMP_IF_AT_LEAST => next += skip(a >= k),
            JUMP_IF_AT_LEAST_X => next += skip(a >= x),
            JUMP_IF_BITS => next += skip(a & k != 0),
            RETURN => return Some(k),
            other => panic!("unknown instruction {other:#x}"),
        }
    }
}

/// In network byte order.
fn number(bytes: &[u8], at: usize, length: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + length)?;
    Some(bytes.iter().fold(0, |number, &byte| number << 8 | u32::from(byte)))
}
