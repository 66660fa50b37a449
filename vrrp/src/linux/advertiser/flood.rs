//! When a port's socket filter is tightened: many packets come that cannot be advertisements for
//! us, and the kernel can drop them cheaper than we can.

use crate::linux::filter::SAMPLED_ONE_IN;
use crate::time::{Duration, Instant};
use crate::wire::DropReason;

/// So many refusable packets within [`WINDOW`] are a flood.
const FLOOD: u32 = 2000;
const WINDOW: Duration = Duration::from_secs(1);
/// How often a tightened filter is thought over.
const REVIEW: Duration = Duration::from_secs(5);
/// It stays while at least so many samples came since the last review: 1,024 packets a second.
const SAMPLES: u32 = 5;

/// The packets lately discarded on one port.
#[derive(Debug)]
pub(in crate::linux) struct Flood {
    /// Since when packets are counted.
    from: Instant,
    count: u32,
    /// Since when the filter has been tight.
    tight_since: Option<Instant>,
}

impl Flood {
    /// None: the filter lets everything through.
    pub(in crate::linux) const fn new(now: Instant) -> Self {
        Self { from: now, count: 0, tight_since: None }
    }

    /// Notes a packet that was discarded for `reason`, and whether a tight filter `refuses` such
    /// packets; for which reason and how many times it counts. What came through a filter that
    /// refuses it is a sample.
    pub(super) fn note(
        &mut self,
        now: Instant,
        arrived: Instant,
        reason: DropReason,
        refuses: bool,
    ) -> (DropReason, u32) {
        if !refuses {
            return (reason, 1);
        }
        match self.tight_since {
            Some(since) if since <= arrived => {
                self.count = self.count.saturating_add(1);
                (DropReason::Filtered, SAMPLED_ONE_IN)
            }
            // It was queued before.
            Some(_) => (reason, 1),
            None => {
                if now.saturating_since(self.from) >= WINDOW {
                    (self.from, self.count) = (now, 0);
                }
                self.count = self.count.saturating_add(1);
                (reason, 1)
            }
        }
    }

    /// Whether there is a flood against which the filter is not tight yet.
    pub(super) const fn rises(&self) -> bool {
        self.tight_since.is_none() && self.count >= FLOOD
    }

    /// When a tight filter is to be thought over.
    pub(super) fn review_at(&self) -> Option<Instant> {
        self.tight_since.map(|_| self.from + REVIEW)
    }

    /// Thinks over a tight filter when that is due; whether the flood has ended.
    pub(super) fn has_ended(&mut self, now: Instant) -> bool {
        if self.review_at().is_none_or(|at| now < at) {
            return false;
        }
        let ended = self.count < SAMPLES;
        (self.from, self.count) = (now, 0);
        ended
    }

    /// The filter was tightened, or could not be: then it is tried again a window later.
    pub(super) fn tightened(&mut self, now: Instant, done: bool) {
        *self = Self { from: now, count: 0, tight_since: done.then_some(now) };
    }

    pub(super) const fn is_tight(&self) -> bool {
        self.tight_since.is_some()
    }

    /// The filter lets everything through again.
    pub(in crate::linux) fn relaxed(&mut self, now: Instant) {
        *self = Self::new(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Instant = Instant::from_nanos(1_000_000_000);
    const MILLISECOND: Duration = Duration::from_millis(1);

    /// `count` packets in a second.
    fn second(flood: &mut Flood, from: Instant, count: u32, refuses: bool) {
        for number in 0..count {
            let now = from + WINDOW * number / count;
            flood.note(now, now, DropReason::Ttl, refuses);
        }
    }

    #[test]
    fn some_thousand_refusable_packets_a_second_are_a_flood() {
        let mut flood = Flood::new(START);
        for second_no in 0..10 {
            second(&mut flood, START + WINDOW * second_no, FLOOD - 1, true);
            assert!(!flood.rises());
        }
        second(&mut flood, START + WINDOW * 10, FLOOD, true);
        assert!(flood.rises());
    }

    #[test]
    fn what_the_filter_cannot_judge_is_no_reason_to_tighten_it() {
        let mut flood = Flood::new(START);
        second(&mut flood, START, 10 * FLOOD, false);
        assert!(!flood.rises());
    }

    #[test]
    fn a_sample_counts_for_all_that_it_stands_for() {
        let mut flood = Flood::new(START);
        assert_eq!(flood.note(START, START, DropReason::Ttl, true), (DropReason::Ttl, 1));
        flood.tightened(START, true);
        let (before, after) = (START - MILLISECOND, START + MILLISECOND);
        assert_eq!(flood.note(after, before, DropReason::Ttl, true), (DropReason::Ttl, 1));
        let sample = (DropReason::Filtered, SAMPLED_ONE_IN);
        assert_eq!(flood.note(after, after, DropReason::Ttl, true), sample);
        let passed = flood.note(after, after, DropReason::Checksum, false);
        assert_eq!(passed, (DropReason::Checksum, 1));
    }

    #[test]
    fn the_filter_is_relaxed_at_the_first_review_after_the_flood() {
        let mut flood = Flood::new(START);
        flood.tightened(START, true);
        for _ in 0..SAMPLES {
            flood.note(START, START, DropReason::Type, true);
        }
        assert_eq!(flood.review_at(), Some(START + REVIEW));
        assert!(!flood.has_ended(START + REVIEW - MILLISECOND));
        assert!(!flood.has_ended(START + REVIEW));
        for _ in 1..SAMPLES {
            flood.note(START + REVIEW, START + REVIEW, DropReason::Type, true);
        }
        assert!(!flood.has_ended(START + REVIEW));
        assert!(flood.has_ended(START + REVIEW * 2));
        flood.relaxed(START + REVIEW * 2);
        assert_eq!(flood.review_at(), None);
        assert!(!flood.rises());
    }

    #[test]
    fn a_filter_that_could_not_be_tightened_is_tried_again_later() {
        let mut flood = Flood::new(START);
        second(&mut flood, START, FLOOD, true);
        flood.tightened(START + WINDOW, false);
        assert!(!flood.rises() && !flood.is_tight());
    }
}
