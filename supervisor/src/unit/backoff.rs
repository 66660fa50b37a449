//! How long to wait before a unit is started again.

use std::time::Duration;

/// The pause after the first failure.
pub const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Pauses double up to here.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// What has run this long was healthy: counting starts anew.
pub const HEALTHY: Duration = Duration::from_secs(600);
/// So many failures in a row are called a crash loop.
pub const CRASH_LOOP: u32 = 5;

/// Counts the failures in a row.
#[derive(Clone, Debug)]
pub struct Backoff {
    failures: u32,
    random: u64,
}

impl Backoff {
    /// One whose jitter comes from `seed`.
    pub fn new(seed: u64) -> Self {
        Self { failures: 0, random: seed }
    }

    /// How many failures in a row there were.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Whether this is a crash loop.
    pub fn is_crash_loop(&self) -> bool {
        self.failures >= CRASH_LOOP
    }

    /// Counts a failure; the pause before the next attempt: 1 s doubling to 60 s, give or take a tenth, so that the
    /// nodes of a cluster do not move in step.
    pub fn failed(&mut self) -> Duration {
        self.failures = self.failures.saturating_add(1);
        // Six doublings are beyond the longest pause.
        let plain = FIRST_PAUSE.saturating_mul(1 << (self.failures - 1).min(6)).min(LONGEST_PAUSE);
        plain.mul_f64(0.9 + 0.2 * self.fraction())
    }

    /// Something ran for this long before it ended.
    pub fn ran(&mut self, span: Duration) {
        if span >= HEALTHY {
            self.reset();
        }
    }

    /// Starts anew.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// The next random number from 0 to 1 (splitmix64).
    fn fraction(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        f64::from(u32::try_from(mixed >> 32).unwrap_or(0)) / f64::from(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_from_a_second_to_a_minute_give_or_take_a_tenth() {
        let mut backoff = Backoff::new(1);
        for plain in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
            let pause = backoff.failed().as_secs_f64();
            let plain = f64::from(plain);
            assert!(pause >= plain * 0.899 && pause <= plain * 1.101, "{pause} for {plain}");
        }
    }

    #[test]
    fn two_nodes_do_not_move_in_step() {
        assert_ne!(Backoff::new(1).failed(), Backoff::new(2).failed());
        assert_eq!(Backoff::new(3).failed(), Backoff::new(3).failed());
    }

    #[test]
    fn ten_minutes_of_health_start_anew() {
        let mut backoff = Backoff::new(1);
        for _ in 0..CRASH_LOOP {
            assert!(!backoff.is_crash_loop());
            backoff.failed();
        }
        assert!(backoff.is_crash_loop());
        backoff.ran(HEALTHY - Duration::from_secs(1));
        assert!(backoff.is_crash_loop());
        backoff.ran(HEALTHY);
        assert_eq!(backoff.failures(), 0);
    }
}
