//! When a snapshot is due, and which old ones go. Pure: times are durations since 1970, as the clock on the wall has them.

use std::time::Duration;

/// Snapshots at fixed times of the day's clock, so that a restart neither forgets nor repeats one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    every: Duration,
    offset: Duration,
}

impl Schedule {
    /// One each `every`, a second at least. The masters take turns, so that not all disks are busy at once: `index` is this
    /// one's place among `masters`.
    pub fn new(every: Duration, index: usize, masters: usize) -> Self {
        let every = Duration::from_secs(every.as_secs().max(1));
        let masters = u32::try_from(masters.max(1)).unwrap_or(u32::MAX);
        let index = u32::try_from(index).unwrap_or(0) % masters;
        Self { every, offset: every / masters * index }
    }

    /// When the next one is due, given the last one: `now` if one has been missed, or none was ever taken.
    pub fn next(&self, now: Duration, last: Option<Duration>) -> Duration {
        let every = self.every.as_nanos();
        let since = now.saturating_sub(self.offset);
        let into = Duration::from_nanos(u64::try_from(since.as_nanos() % every).unwrap_or(0));
        let slot = now.saturating_sub(into);
        match last {
            // One from the future was taken before the clock was set back: it says nothing.
            Some(last) if last >= slot && last <= now => slot + self.every,
            _ => now,
        }
    }
}

/// Of snapshots by the time they were taken, those that go: all but the `keep` newest, of which there is at least one.
pub fn outlived(mut taken: Vec<(Duration, String)>, keep: usize) -> Vec<String> {
    taken.sort();
    let surplus = taken.len().saturating_sub(keep.max(1));
    taken.into_iter().take(surplus).map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn masters_take_turns() {
        let due = |index| {
            let now = HOUR * 1000 + Duration::from_secs(1);
            let schedule = Schedule::new(HOUR * 3, index, 3);
            let slot = schedule.next(now, Some(now)).as_secs() / 3600;
            slot % 3
        };
        assert_eq!([due(0), due(1), due(2)], [0, 1, 2]);
    }

    #[test]
    fn one_that_was_missed_is_taken_at_once_and_one_that_was_taken_is_not_repeated() {
        let schedule = Schedule::new(HOUR, 0, 3);
        let now = HOUR * 10 + HOUR / 2;
        assert_eq!(schedule.next(now, None), now);
        assert_eq!(schedule.next(now, Some(HOUR * 9)), now);
        assert_eq!(schedule.next(now, Some(HOUR * 10)), HOUR * 11);
        assert_eq!(schedule.next(now, Some(now)), HOUR * 11);
        assert_eq!(schedule.next(HOUR * 11, Some(now)), HOUR * 11);
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_stop_the_snapshots() {
        let schedule = Schedule::new(HOUR, 0, 1);
        assert_eq!(schedule.next(HOUR * 10, Some(HOUR * 5000)), HOUR * 10);
    }

    #[test]
    fn the_newest_are_kept_and_never_none() {
        let taken = |hours: &[u32]| -> Vec<(Duration, String)> {
            hours.iter().map(|hour| (HOUR * *hour, format!("{hour}"))).collect()
        };
        assert_eq!(outlived(taken(&[3, 1, 4, 2]), 2), ["1", "2"]);
        assert_eq!(outlived(taken(&[3, 1]), 0), ["1"]);
        assert!(outlived(taken(&[3, 1]), 5).is_empty());
    }
}
