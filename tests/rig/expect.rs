//! Judging times.

use std::time::Duration;

use lab::Stamp;

/// Stamps of two directions differ by a little.
const CLOCKS: Duration = Duration::from_millis(3);

/// `at` is `after` later than `from`: never earlier, and later by `slack` at most.
#[track_caller]
pub fn on_time(what: &str, from: Stamp, after: Duration, at: Stamp, slack: Duration) {
    let took = at - from;
    assert!(took + CLOCKS >= after, "{what}: after {took:?}, too early for {after:?}");
    assert!(took <= after + slack, "{what}: after {took:?}, too late for {after:?}");
}

/// The times follow each other by `interval`, give or take half of it.
#[track_caller]
pub fn regular(times: &[Stamp], interval: Duration) {
    for pair in times.windows(2) {
        let gap = pair[1] - pair[0];
        assert!(
            gap > interval / 2 && gap < interval * 3 / 2,
            "{gap:?} and not {interval:?} between the adverts of {} and {}",
            pair[0],
            pair[1]
        );
    }
}
