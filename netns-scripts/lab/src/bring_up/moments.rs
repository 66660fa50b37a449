//! Moments as mainstay, the kernel and dockerd write them, in milliseconds since 1970.

use std::time::{SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// The kernel counts the starts of processes in ticks of so many milliseconds.
const TICK: i64 = 10;

/// This moment.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The end of a tick since the machine's start, as in field 22 of `/proc/PID/stat`.
pub fn end_of_tick(ticks: u64) -> Option<i64> {
    let since_boot = clock_gettime(ClockId::Boottime);
    let boot = now() - since_boot.tv_sec * 1000 - since_boot.tv_nsec / 1_000_000;
    Some(boot + (i64::try_from(ticks).ok()? + 1) * TICK)
}

/// A time such as 2026-01-31T12:01:03.059Z, with any number of digits after the point.
pub fn millis(text: &str) -> Option<i64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let numbers = |text: &str, at: char| -> Option<Vec<i64>> {
        text.split(at).map(|part| part.parse().ok()).collect()
    };
    let [year, month, day] = numbers(date, '-')?[..] else { return None };
    let (clock, fraction) = time.split_once('.').unwrap_or((time, ""));
    let [hour, minute, second] = numbers(clock, ':')?[..] else { return None };
    let millis: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    // Years that begin in March, so that a leap day is the last one.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days =
        365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 719_469;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1000 + millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        assert_eq!(millis("1970-01-01T00:00:00.000Z"), Some(0));
        assert_eq!(millis("2023-11-14T22:13:20.123Z"), Some(1_700_000_000_123));
        assert_eq!(millis("2023-11-14T22:13:20.123999999Z"), Some(1_700_000_000_123));
        assert_eq!(millis("2023-11-14T22:13:20.1Z"), Some(1_700_000_000_100));
        assert_eq!(millis("2024-02-29T00:00:00Z"), Some(1_709_164_800_000));
        assert_eq!(millis("2024-02-29"), None);
    }

    #[test]
    fn this_process_began_before_now() {
        let ticks = clock_gettime(ClockId::Boottime).tv_sec * 100;
        let at = end_of_tick(u64::try_from(ticks).unwrap_or_default());
        assert!(at.is_some_and(|at| (now() - 1100..now() + 100).contains(&at)));
    }
}
