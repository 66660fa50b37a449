//! A filter as it is put together.

use super::{Instruction, JUMP_IF_EQUAL, NOTHING, RETURN};

/// Room for the longest program.
pub(super) const MOST_INSTRUCTIONS: usize = 384;

/// In a jump: to the refusal, wherever that will be.
const REFUSE: u8 = u8::MAX;

/// A program that is being written.
pub(super) struct Draft {
    pub(super) program: [Instruction; MOST_INSTRUCTIONS],
    pub(super) length: usize,
}

impl Draft {
    pub(super) const fn new() -> Self {
        Self { program: [Instruction::new(RETURN, NOTHING); MOST_INSTRUCTIONS], length: 0 }
    }

    pub(super) fn push(&mut self, instruction: Instruction) {
        debug_assert!(self.length < MOST_INSTRUCTIONS, "the longest program has 69");
        if let Some(place) = self.program.get_mut(self.length) {
            *place = instruction;
            self.length += 1;
        }
    }

    pub(super) fn then(&mut self, code: u16, k: u32) {
        self.push(Instruction::new(code, k));
    }

    /// Refuses the packet unless A, compared by `code`, fits.
    pub(super) fn require(&mut self, code: u16, k: u32) {
        self.push(Instruction::jump(code, 0, REFUSE, k));
    }

    /// Refuses the packet if A is 0.
    pub(super) fn require_nonzero(&mut self) {
        self.push(Instruction::jump(JUMP_IF_EQUAL, REFUSE, 0, 0));
    }

    /// Lets the jumps to a refusal that came since the last one end here.
    pub(super) fn place_refusal(&mut self) {
        for (at, step) in self.program[..self.length].iter_mut().enumerate() {
            let distance = u8::try_from(self.length - at - 1).unwrap_or(REFUSE);
            for target in [&mut step.if_true, &mut step.if_false] {
                if *target == REFUSE {
                    *target = distance;
                }
            }
        }
    }
}
