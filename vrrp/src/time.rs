//! Time as the protocol core sees it: a monotonic instant in integer nanoseconds and the
//! centiseconds of the wire. Nothing here reads a clock.

use core::fmt;
use core::ops::{Add, AddAssign, Sub};
pub use core::time::Duration;

use serde::{Deserialize, Serialize};

/// A point on a monotonic clock, in nanoseconds since that clock's own start.
///
/// The Linux shell takes it from `CLOCK_MONOTONIC`; a simulator from its own virtual clock.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Instant(u64);

impl Instant {
    /// The instant `nanos` nanoseconds after the clock's start.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the clock's start.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to `self`; zero if `earlier` is later.
    pub fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    /// Saturates at the end of the clock (584 years).
    fn add(self, span: Duration) -> Self {
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, span: Duration) {
        *self = *self + span;
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;

    /// Saturates at the start of the clock.
    fn sub(self, span: Duration) -> Self {
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_sub(nanos))
    }
}

/// An advertisement interval in centiseconds, 1 to 4095 (RFC 9568, 5.2.7): 10 ms to 40.95 s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct Centis(u16);

/// The interval does not fit the twelve bits of the wire, or is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an advertisement interval is a multiple of 10 ms from 10 ms to 40.95 s")]
pub struct IntervalError;

impl Centis {
    /// One second, the RFC's default.
    pub const DEFAULT: Self = Self(100);
    /// The largest interval the wire can carry.
    pub const MAX: Self = Self(4095);

    /// An interval of `centis` hundredths of a second.
    ///
    /// # Errors
    /// If `centis` is 0 or above 4095.
    pub const fn new(centis: u16) -> Result<Self, IntervalError> {
        match centis {
            1..=4095 => Ok(Self(centis)),
            _ => Err(IntervalError),
        }
    }

    /// The value as the wire carries it.
    pub const fn get(self) -> u16 {
        self.0
    }

    /// The interval as a time span.
    pub const fn duration(self) -> Duration {
        Duration::from_millis(self.0 as u64 * 10)
    }
}

impl TryFrom<u16> for Centis {
    type Error = IntervalError;

    fn try_from(centis: u16) -> Result<Self, Self::Error> {
        Self::new(centis)
    }
}

impl TryFrom<Duration> for Centis {
    type Error = IntervalError;

    /// # Errors
    /// If the span is not a whole number of centiseconds, or out of range.
    fn try_from(span: Duration) -> Result<Self, Self::Error> {
        let nanos = span.as_nanos();
        if !nanos.is_multiple_of(10_000_000) {
            return Err(IntervalError);
        }
        let centis = u16::try_from(nanos / 10_000_000).map_err(|_| IntervalError)?;
        Self::new(centis)
    }
}

impl From<Centis> for u16 {
    fn from(centis: Centis) -> Self {
        centis.0
    }
}

impl fmt::Display for Centis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.duration())
    }
}
