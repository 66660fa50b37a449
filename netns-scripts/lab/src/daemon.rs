//! Which daemon runs on the routers, and how it is configured.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::Node;

/// The daemon that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// This project's.
    Mainstay,
    /// Debian's keepalived, for comparison.
    Keepalived,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mainstay => "mainstay",
            Self::Keepalived => "keepalived",
        })
    }
}

/// Advertisement_Interval, whole milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Interval(u32);

impl Interval {
    /// An interval of `millis` milliseconds.
    pub const fn from_millis(millis: u32) -> Self {
        Self(millis)
    }

    /// The interval as a time span.
    pub fn duration(self) -> Duration {
        Duration::from_millis(self.0.into())
    }

    /// Skew_Time of a router with `priority` (RFC 9568, 6.1).
    pub fn skew(self, priority: u8) -> Duration {
        self.duration() * (256 - u32::from(priority)) / 256
    }

    /// Active_Down_Interval of a router with `priority` (RFC 9568, 6.1).
    pub fn active_down(self, priority: u8) -> Duration {
        3 * self.duration() + self.skew(priority)
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_multiple_of(1000) {
            write!(f, "{}s", self.0 / 1000)
        } else {
            write!(f, "{}ms", self.0)
        }
    }
}

impl Serialize for Interval {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The text is no interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an interval is such as 1s, 100ms or 10ms: 10 ms to 40 s, in steps of 10 ms")]
pub struct IntervalError;

impl FromStr for Interval {
    type Err = IntervalError;

    fn from_str(text: &str) -> Result<Self, IntervalError> {
        let (digits, factor) = match text.strip_suffix("ms") {
            Some(digits) => (digits, 1),
            None => (text.strip_suffix('s').ok_or(IntervalError)?, 1000),
        };
        let millis: u32 = digits.parse().map_err(|_| IntervalError)?;
        match millis.checked_mul(factor) {
            Some(millis @ 10..=40_000) if millis.is_multiple_of(10) => Ok(Self(millis)),
            _ => Err(IntervalError),
        }
    }
}

/// From whom a Backup takes over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preempt {
    /// From no healthy Active: mainstay's default, keepalived's `nopreempt`.
    #[default]
    Default,
    /// From every Active of lower priority.
    Always,
    /// From no living Active.
    Never,
}

impl Preempt {
    /// As `lab.sh` takes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Always => "always",
            Self::Never => "never",
        }
    }
}

/// A daemon and its configuration; the same on every router.
#[derive(Clone, Debug)]
pub struct Daemon {
    /// Which daemon.
    pub kind: Kind,
    /// Its Advertisement_Interval.
    pub interval: Interval,
    /// Preempt_Mode.
    pub preempt: Preempt,
    /// Whole seconds of the kernel's lease on the VIP (mainstay only); `None` is no lease.
    pub lease_seconds: Option<u32>,
    /// The binary; `None` lets `lab.sh` find it.
    pub binary: Option<PathBuf>,
}

impl Daemon {
    /// A daemon with default settings.
    pub const fn new(kind: Kind, interval: Interval) -> Self {
        Self { kind, interval, preempt: Preempt::Default, lease_seconds: Some(3), binary: None }
    }

    /// Active_Down_Interval of `node`.
    pub fn active_down(&self, node: Node) -> Duration {
        self.interval.active_down(node.priority())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn timers_keep_their_skew_at_short_intervals() {
        let ten = Interval::from_millis(10);
        assert_eq!(ten.skew(254), Duration::from_nanos(78_125));
        assert_eq!(ten.active_down(244), Duration::from_nanos(30_468_750));
        assert_eq!(Interval::from_millis(1000).skew(1), Duration::from_nanos(996_093_750));
    }

    #[test]
    fn intervals_read_as_they_print() {
        for text in ["1s", "100ms", "10ms", "40s"] {
            assert_eq!(text.parse::<Interval>().unwrap().to_string(), text);
        }
        for text in ["", "1", "0ms", "15ms", "41s", "-1s", "ms", "s"] {
            assert!(text.parse::<Interval>().is_err(), "{text}");
        }
    }
}
