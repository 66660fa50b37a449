//! Points in time as people and programs read them: RFC 3339 in UTC, with milliseconds.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

const MILLIS_PER_DAY: u64 = 86_400_000;

/// Milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timestamp(u64);

/// A text that is no timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a time such as 2026-01-31T12:00:00.000Z")]
pub struct TimestampError;

impl Timestamp {
    /// The time by the system's clock.
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    /// The time `nanos` nanoseconds after the start of 1970.
    pub const fn from_unix_nanos(nanos: u64) -> Self {
        Self(nanos / 1_000_000)
    }

    /// Milliseconds since the start of 1970.
    pub const fn unix_millis(self) -> u64 {
        self.0
    }

    /// The time `span` later.
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
    }

    /// The time so long before; that of 1970 at the earliest.
    pub fn before(self, span: Duration) -> Self {
        let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_sub(millis))
    }

    /// The time from `earlier` to `self`; zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = date(self.0 / MILLIS_PER_DAY);
        let millis = self.0 % MILLIS_PER_DAY;
        let seconds = millis / 1000;
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60,
            millis % 1000
        )
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    /// Reads what [`Timestamp`] writes.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let separators = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'.')];
        let bytes = text.as_bytes();
        let shaped = bytes.len() == 24
            && bytes[23] == b'Z'
            && separators.iter().all(|&(at, separator)| bytes[at] == separator);
        if !shaped {
            return Err(TimestampError);
        }
        let number = |from: usize, to: usize| {
            let digits = text.get(from..to).ok_or(TimestampError)?;
            digits.parse::<u64>().map_err(|_| TimestampError)
        };
        let days = days(number(0, 4)?, number(5, 7)?, number(8, 10)?).ok_or(TimestampError)?;
        let seconds = number(11, 13)? * 3600 + number(14, 16)? * 60 + number(17, 19)?;
        Ok(Self(days * MILLIS_PER_DAY + seconds * 1000 + number(20, 23)?))
    }
}

impl TryFrom<String> for Timestamp {
    type Error = TimestampError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Timestamp> for String {
    fn from(timestamp: Timestamp) -> Self {
        timestamp.to_string()
    }
}

const fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

const fn month_lengths(year: u64) -> [u64; 12] {
    [31, if is_leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
}

/// Days from the start of 1970 to the start of `year`.
const fn days_before(year: u64) -> u64 {
    let past = year - 1;
    past * 365 + past / 4 - past / 100 + past / 400 - 719_162
}

/// Year, month and day of the day `days` days after the start of 1970.
fn date(days: u64) -> (u64, usize, u64) {
    let mut year = 1970 + days / 366;
    while days_before(year + 1) <= days {
        year += 1;
    }
    let mut rest = days - days_before(year);
    let mut month = 1;
    for length in month_lengths(year) {
        if rest < length {
            break;
        }
        rest -= length;
        month += 1;
    }
    (year, month, rest + 1)
}

fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let lengths = month_lengths(year);
    let month = usize::try_from(month).ok()?.checked_sub(1)?;
    let length = *lengths.get(month)?;
    if year < 1970 || day == 0 || day > length {
        return None;
    }
    Some(days_before(year) + lengths[..month].iter().sum::<u64>() + day - 1)
}

/// A time span as people say it: `0.4s`, `12s`, `3m12s`, `2h05m`, `3d04h`.
pub fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..10 => format!("{seconds}.{}s", span.subsec_millis() / 100),
        10..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn known_times_are_written_as_rfc_3339() {
        let text = |seconds: u64| Timestamp::from_unix_nanos(seconds * 1_000_000_000).to_string();
        assert_eq!(text(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(text(951_827_696), "2000-02-29T12:34:56.000Z");
        assert_eq!(text(1_700_000_000), "2023-11-14T22:13:20.000Z");
        assert_eq!(text(4_102_444_799), "2099-12-31T23:59:59.000Z");
    }

    #[test]
    fn each_day_of_two_centuries_reads_back() {
        for day in 0..73_050 {
            let timestamp = Timestamp(day * MILLIS_PER_DAY + 45_296_789);
            assert_eq!(timestamp.to_string().parse(), Ok(timestamp));
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "2023-11-14", "2023-13-14T22:13:20.000Z", "2023-02-29T00:00:00.000Z"] {
            assert_eq!(text.parse::<Timestamp>(), Err(TimestampError), "{text}");
        }
        assert_eq!("1969-01-01T00:00:00.000Z".parse::<Timestamp>(), Err(TimestampError));
        assert_eq!("2023-11-14T22:1ä:20.00Z".parse::<Timestamp>(), Err(TimestampError));
    }

    #[test]
    fn spans_are_written_in_two_units_at_most() {
        let cases = [
            (400, "0.4s"),
            (12_000, "12s"),
            (192_000, "3m12s"),
            (7_500_000, "2h05m"),
            (273_600_000, "3d04h"),
        ];
        for (millis, text) in cases {
            assert_eq!(span(Duration::from_millis(millis)), text);
        }
    }
}
