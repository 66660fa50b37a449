//! How fast announcements may leave.

use crate::time::{Duration, Instant};

/// Packets a second. Every switch and every host of the link takes each: this is less than one
/// gratuitous ARP each 0.2 ms, and the repeats for 4,080 addresses are out after a second.
const RATE: u32 = 4000;
/// Packets that may leave at once after a time of silence: an ordinary node never waits.
const BURST: u32 = 400;
/// How much is waited for where none are left, so that not each packet costs a wake-up.
const BATCH: u32 = 40;

/// What was urgent is made up for by no more silence than this.
const LONGEST_DEBT: Duration = Duration::from_secs(1);

/// The time that one packet takes.
const EACH: Duration = Duration::from_nanos(1_000_000_000 / RATE as u64);

/// A budget that fills with time.
#[derive(Debug)]
pub(super) struct Pace {
    /// When the budget was empty, or, in debt, will be.
    empty_at: Instant,
}

impl Pace {
    pub(super) const fn new() -> Self {
        Self { empty_at: Instant::from_nanos(0) }
    }

    /// How many packets may leave now.
    pub(super) fn budget(&self, now: Instant) -> u32 {
        let saved = now.saturating_since(self.empty_at).as_nanos() / EACH.as_nanos();
        u32::try_from(saved).unwrap_or(BURST).min(BURST)
    }

    /// One packet has left, if need be on credit.
    pub(super) fn spend(&mut self, now: Instant) {
        let full = now - EACH * BURST;
        self.empty_at = (self.empty_at.max(full) + EACH).min(now + LONGEST_DEBT);
    }

    /// When there is something to spend again.
    pub(super) fn next(&self) -> Instant {
        self.empty_at + EACH * BATCH
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Instant = Instant::from_nanos(1_000_000_000);

    #[test]
    fn a_burst_is_followed_by_an_even_rate() {
        let mut pace = Pace::new();
        let mut now = START;
        let mut sent = 0;
        while now < START + Duration::from_secs(2) {
            while pace.budget(now) > 0 {
                pace.spend(now);
                sent += 1;
            }
            assert!(pace.next() > now);
            now = pace.next();
        }
        assert!((BURST + 2 * RATE - BATCH..=BURST + 2 * RATE).contains(&sent), "{sent}");
    }

    #[test]
    fn what_was_urgent_is_made_up_for_by_the_rest() {
        let mut pace = Pace::new();
        (0..BURST + RATE).for_each(|_| pace.spend(START));
        assert_eq!(pace.budget(START + Duration::from_millis(999)), 0);
        assert_eq!(pace.budget(START + Duration::from_millis(1010)), BATCH);
        assert_eq!(pace.next(), START + Duration::from_millis(1010));
    }

    #[test]
    fn no_debt_lasts_longer_than_a_second() {
        let mut pace = Pace::new();
        (0..100 * RATE).for_each(|_| pace.spend(START));
        assert_eq!(pace.next(), START + LONGEST_DEBT + EACH * BATCH);
    }

    #[test]
    fn a_long_silence_allows_no_more_than_a_burst() {
        let pace = Pace::new();
        assert_eq!(pace.budget(START + Duration::from_secs(3600)), BURST);
    }
}
