//! The deadlines of all virtual routers: which is due next, without allocation.

use crate::time::Instant;

/// A binary heap that knows where each key stands, so that a deadline can be moved in O(log n).
#[derive(Debug)]
pub(super) struct Deadlines {
    heap: Vec<(Instant, u16)>,
    /// Where each key stands in the heap.
    places: Box<[Option<u16>]>,
}

impl Deadlines {
    /// Room for the keys 0 to `keys - 1`.
    pub(super) fn with_capacity(keys: u16) -> Self {
        Self {
            heap: Vec::with_capacity(usize::from(keys)),
            places: vec![None; usize::from(keys)].into_boxed_slice(),
        }
    }

    /// The earliest deadline and its key.
    pub(super) fn first(&self) -> Option<(Instant, u16)> {
        self.heap.first().copied()
    }

    /// Sets, moves or removes the deadline of `key`.
    pub(super) fn set(&mut self, key: u16, deadline: Option<Instant>) {
        let place = self.places[usize::from(key)];
        match (place.map(usize::from), deadline) {
            (None, None) => {}
            (None, Some(deadline)) => {
                self.heap.push((deadline, key));
                self.settle(self.heap.len() - 1);
            }
            (Some(place), Some(deadline)) => {
                if self.heap[place].0 != deadline {
                    self.heap[place].0 = deadline;
                    self.settle(place);
                }
            }
            (Some(place), None) => {
                self.places[usize::from(key)] = None;
                self.heap.swap_remove(place);
                if place < self.heap.len() {
                    self.settle(place);
                }
            }
        }
    }

    /// Moves the entry at `at` up or down to where it belongs: the others move over into the gap
    /// that it leaves.
    fn settle(&mut self, mut at: usize) {
        let entry = self.heap[at];
        while at > 0 && entry < self.heap[(at - 1) / 2] {
            self.place(at, self.heap[(at - 1) / 2]);
            at = (at - 1) / 2;
        }
        while let Some(&left) = self.heap.get(2 * at + 1) {
            let right = self.heap.get(2 * at + 2).copied().filter(|&right| right < left);
            let (child, least) = right.map_or((2 * at + 1, left), |right| (2 * at + 2, right));
            if entry <= least {
                break;
            }
            self.place(at, least);
            at = child;
        }
        self.place(at, entry);
    }

    fn place(&mut self, at: usize, entry: (Instant, u16)) {
        self.heap[at] = entry;
        // At most as many entries as keys, and keys are u16.
        self.places[usize::from(entry.1)] = u16::try_from(at).ok();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn first_is_always_the_earliest(
            changes in prop::collection::vec((0_u16..20, prop::option::of(0_u64..50)), 0..200)
        ) {
            let mut deadlines = Deadlines::with_capacity(20);
            let mut model = [None; 20];
            for (key, deadline) in changes {
                let deadline = deadline.map(Instant::from_nanos);
                deadlines.set(key, deadline);
                model[usize::from(key)] = deadline;
                let earliest = model.iter().flatten().min().copied();
                prop_assert_eq!(deadlines.first().map(|(at, _)| at), earliest);
                if let Some((at, key)) = deadlines.first() {
                    prop_assert_eq!(model[usize::from(key)], Some(at));
                }
            }
        }
    }
}
