//! How long to wait before the VRRP process is started again.

use std::time::Duration;

use tokio::time::Instant;

/// The pause before the second start in a row; the first is at once.
const FIRST: Duration = Duration::from_millis(100);
/// No pause is longer.
const LONGEST: Duration = Duration::from_secs(30);
/// A process that lived this long was healthy: counting starts anew.
const HEALTHY: Duration = Duration::from_secs(60);

/// Counts the deaths in a row.
#[derive(Debug, Default)]
pub struct Backoff {
    deaths: u32,
}

impl Backoff {
    /// The pause after a process that was started at `started` has died at `now`.
    pub fn after_death(&mut self, started: Instant, now: Instant) -> Duration {
        if now.saturating_duration_since(started) >= HEALTHY {
            self.deaths = 0;
        }
        self.deaths = self.deaths.saturating_add(1);
        match self.deaths {
            1 => Duration::ZERO,
            // Sixteen doublings are far beyond the longest pause.
            n => FIRST.saturating_mul(1 << (n - 2).min(16)).min(LONGEST),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_start_is_at_once_and_the_others_wait_ever_longer() {
        let now = Instant::now();
        let mut backoff = Backoff::default();
        let pauses: Vec<u128> =
            (0..12).map(|_| backoff.after_death(now, now).as_millis()).collect();
        assert_eq!(
            pauses,
            [0, 100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000]
        );
    }

    #[test]
    fn a_minute_of_health_starts_anew() {
        let now = Instant::now();
        let mut backoff = Backoff::default();
        backoff.after_death(now, now);
        assert!(!backoff.after_death(now, now + HEALTHY / 2).is_zero());
        assert!(backoff.after_death(now, now + HEALTHY).is_zero());
    }
}
