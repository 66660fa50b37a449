//! The one clock of all instruments.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use rustix::thread::clock_nanosleep_absolute;
use rustix::time::{ClockId, Timespec, clock_gettime};
use serde::Serialize;

const NANOS: i64 = 1_000_000_000;

/// A point in time on CLOCK_MONOTONIC, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Stamp(i64);

impl Stamp {
    /// This moment.
    pub fn now() -> Self {
        Self(nanos(clock_gettime(ClockId::Monotonic)))
    }

    /// `nanos` since the clock's start.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// Converts a recent time of CLOCK_REALTIME, as the kernel stamps packets.
    pub fn from_realtime(seconds: i64, nanoseconds: i64) -> Self {
        let reading = || {
            let before = Self::now();
            let realtime = nanos(clock_gettime(ClockId::Realtime));
            let took = Self::now().0 - before.0;
            (took, before.0 + took / 2 - realtime)
        };
        // A thread that had to wait for a processor in between has read two moments, not one.
        let offset = [reading(), reading(), reading()].into_iter().min().map_or(0, |it| it.1);
        Self(seconds * NANOS + nanoseconds + offset)
    }

    /// Nanoseconds since the clock's start.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Milliseconds since `earlier`, negative if that is later.
    pub fn millis_since(self, earlier: Self) -> f64 {
        millis(self.0 - earlier.0)
    }
}

impl Add<Duration> for Stamp {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)))
    }
}

impl Sub<Duration> for Stamp {
    type Output = Self;

    fn sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)))
    }
}

impl Sub for Stamp {
    type Output = Duration;

    /// The time since `earlier`; none if that is later.
    fn sub(self, earlier: Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0 - earlier.0).unwrap_or(0))
    }
}

impl fmt::Display for Stamp {
    /// Seconds with microseconds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0 / NANOS, self.0 % NANOS / 1000)
    }
}

/// Sleeps until `at`; returns at once if that is past.
pub fn sleep_until(at: Stamp) {
    let request = Timespec { tv_sec: at.0 / NANOS, tv_nsec: at.0 % NANOS };
    while let Err(rustix::io::Errno::INTR) =
        clock_nanosleep_absolute(rustix::thread::ClockId::Monotonic, &request)
    {}
}

/// Nanoseconds as milliseconds.
pub(crate) fn millis(nanos: i64) -> f64 {
    nanos as f64 / 1e6
}

fn nanos(time: Timespec) -> i64 {
    time.tv_sec * NANOS + time.tv_nsec
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn realtime_converts_to_the_same_moment() {
        let realtime = clock_gettime(ClockId::Realtime);
        let converted = Stamp::from_realtime(realtime.tv_sec, realtime.tv_nsec);
        assert!(Stamp::now().millis_since(converted).abs() < 50.0);
    }

    #[test]
    fn a_sleep_ends_at_its_stamp() {
        let at = Stamp::now() + Duration::from_millis(2);
        sleep_until(at);
        assert!(Stamp::now() >= at);
    }

    #[test]
    fn differences_have_a_sign_in_millis_only() {
        let (a, b) = (Stamp::from_nanos(5_000_000), Stamp::from_nanos(2_000_000));
        assert_eq!(b.millis_since(a), -3.0);
        assert_eq!(b - a, Duration::ZERO);
        assert_eq!(a - b, Duration::from_millis(3));
    }
}
