//! The world's time, and clocks that run a little too fast or too slow.

use vrrp::time::{Duration, Instant};

/// The world's time, in nanoseconds since its start. No router ever sees it.
pub type Time = u64;

pub const US: Time = 1_000;
pub const MS: Time = 1_000_000;
pub const SECOND: Time = 1_000_000_000;
pub const NEVER: Time = Time::MAX;

/// A span of time as the world counts it.
pub fn nanos(span: Duration) -> Time {
    Time::try_from(span.as_nanos()).unwrap()
}

const MILLION: u128 = 1_000_000;

/// A node's monotonic clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// What it showed at the world's start.
    pub offset: u64,
    /// How many microseconds it shows while the world counts a second.
    pub rate: u32,
}

impl Clock {
    /// What it shows at a time.
    pub fn local(self, at: Time) -> Instant {
        let shown = u128::from(at) * u128::from(self.rate) / MILLION;
        Instant::from_nanos(self.offset + u64::try_from(shown).unwrap())
    }

    /// When it shows `local` at last.
    pub fn global(self, local: Instant) -> Time {
        let shown = u128::from(local.as_nanos().saturating_sub(self.offset));
        Time::try_from((shown * MILLION).div_ceil(u128::from(self.rate))).unwrap()
    }

    /// How long it takes to go on by `span`, rounded up.
    pub fn real(self, span: Duration) -> Time {
        Time::try_from((span.as_nanos() * MILLION).div_ceil(u128::from(self.rate))).unwrap()
    }
}

#[test]
fn a_clock_shows_an_instant_when_it_says_so() {
    for rate in [998_000, 999_999, 1_000_000, 1_000_001, 1_002_000] {
        let clock = Clock { offset: 77, rate };
        for local in [77, 78, 1_000_000_077, 12_345_678_901_234] {
            let local = Instant::from_nanos(local);
            let at = clock.global(local);
            assert!(clock.local(at) >= local);
            assert!(at == 0 || clock.local(at - 1) < local);
        }
    }
}
