//! How late the advertising thread's timers fire, counted by that thread and read by the keeper.

use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;

use crate::proto::{Bucket, Histogram};
use crate::time::Duration;

/// The buckets' upper ends in microseconds: the shortest interval is 10,000.
const BOUNDS: [u64; 13] =
    [20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000, 1_000_000];

/// A histogram with one writer, which never waits and allocates nothing.
#[derive(Debug, Default)]
pub(super) struct Lateness {
    counts: [AtomicU64; BOUNDS.len()],
    above: AtomicU64,
    sum_us: AtomicU64,
}

impl Lateness {
    /// Counts a timer that fired `late`.
    pub(super) fn record(&self, late: Duration) {
        let micros = u64::try_from(late.as_micros()).unwrap_or(u64::MAX);
        let place = BOUNDS.iter().position(|&bound| micros <= bound);
        add(place.map_or(&self.above, |place| &self.counts[place]), 1);
        add(&self.sum_us, micros);
    }

    /// The counts so far.
    pub(super) fn snapshot(&self) -> Histogram {
        let buckets = BOUNDS.iter().zip(&self.counts);
        Histogram {
            buckets: buckets
                .map(|(&up_to_us, count)| Bucket { up_to_us, count: count.load(Relaxed) })
                .collect(),
            above: self.above.load(Relaxed),
            sum_us: self.sum_us.load(Relaxed),
        }
    }
}

/// With one writer it need not be a locked addition.
fn add(counter: &AtomicU64, more: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(more), Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_is_in_the_first_bucket_that_holds_it() {
        let lateness = Lateness::default();
        for micros in [0, 20, 21, 1000, 1001, 1_000_000, 1_000_001] {
            lateness.record(Duration::from_micros(micros));
        }
        let histogram = lateness.snapshot();
        let filled = histogram.buckets.iter().filter(|bucket| bucket.count > 0);
        let filled: Vec<_> = filled.map(|bucket| (bucket.up_to_us, bucket.count)).collect();
        assert_eq!(filled, [(20, 2), (50, 1), (1000, 1), (2000, 1), (1_000_000, 1)]);
        assert_eq!((histogram.above, histogram.sum_us), (1, 2_002_043));
    }
}
