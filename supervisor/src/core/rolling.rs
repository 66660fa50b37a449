//! One unit after the other is made what its specification asks for.

use std::collections::VecDeque;
use std::time::Instant;

use super::{Core, Order};
use crate::unit::{Name, Word};

/// Units that are still to be looked at, and the one that is under way.
#[derive(Debug, Default)]
pub(super) struct Rolling {
    next: VecDeque<Name>,
    current: Option<Name>,
}

impl Rolling {
    /// All of these, in this order.
    pub fn new(units: impl Iterator<Item = Name>) -> Self {
        Self { next: units.collect(), current: None }
    }
}

impl Core {
    /// Goes on as far as that is possible now.
    pub(super) fn roll(&mut self, now: Instant) {
        loop {
            let current = self.rolling.current.as_ref().and_then(|it| self.word(it));
            match current {
                None | Some(Word::Ready | Word::Disabled) => self.rolling.current = None,
                Some(Word::Failed | Word::CrashLooping | Word::Stopped) => {
                    // The rest stays as it is: one broken unit is enough.
                    self.rolling = Rolling::default();
                    return;
                }
                Some(_) => return,
            }
            let Some(unit) = self.rolling.next.pop_front() else { return };
            if self.is_drifted(&unit) && self.missing(&unit).is_empty() {
                self.order(now, &unit, Order::Apply);
                self.rolling.current = Some(unit);
            }
        }
    }

    /// What would keep a unit that runs from starting again if it were stopped now.
    pub fn missing(&self, unit: &Name) -> Vec<Name> {
        let index = self.graph.position(unit.as_str());
        let index = index.filter(|&it| self.members[it].unit.running().is_some());
        index.map(|it| self.unmet(it)).unwrap_or_default()
    }

    /// Whether what runs is not what the specification asks for.
    pub fn is_drifted(&self, unit: &Name) -> bool {
        let index = self.graph.position(unit.as_str());
        let running = index.and_then(|it| self.members[it].unit.running());
        running.is_some_and(|it| it.drift.is_some())
    }

    fn word(&self, unit: &Name) -> Option<Word> {
        let index = self.graph.position(unit.as_str())?;
        Some(self.members[index].unit.state().word())
    }
}
