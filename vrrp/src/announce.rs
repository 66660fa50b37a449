//! When an Active announces its addresses by gratuitous ARP or unsolicited NA.

use crate::config::Lease;
use crate::router::Announcement;
use crate::time::{Duration, Instant};

/// A takeover is announced again after these, in case a switch or a client missed the first.
const REPEATS: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(1)];
/// How long after the lease the last announcement follows: by then a former owner that froze has
/// lost the address.
const AFTER_LEASE: Duration = Duration::from_millis(500);

/// An announcement this late may come from a process that was frozen and is no longer Active.
const LATE: Duration = Duration::from_millis(50);
/// So it waits for so long: by then the router has said what it is now.
const PAUSE: Duration = Duration::from_millis(20);

/// The announcements of one virtual router that are still to be made.
#[derive(Clone, Copy, Debug, Default)]
pub struct Schedule {
    due: [Option<Instant>; 4],
}

impl Schedule {
    /// Nothing to announce.
    pub const fn new() -> Self {
        Self { due: [None; 4] }
    }

    /// Plans an announcement: at once, and after a takeover again at 0.1 s, 1 s and half a second
    /// after `lease`.
    pub fn start(&mut self, now: Instant, announcement: Announcement, lease: Option<Lease>) {
        self.due[0] = Some(now);
        if announcement == Announcement::Takeover {
            let after_lease = lease.map(|lease| now + lease.duration() + AFTER_LEASE);
            self.due[1..].copy_from_slice(&[
                Some(now + REPEATS[0]),
                Some(now + REPEATS[1]),
                after_lease,
            ]);
        }
    }

    /// Plans one announcement at `at`, in place of one that was to come at once.
    pub fn plan(&mut self, at: Instant) {
        self.due[0] = Some(at);
    }

    /// Forgets what is planned: the router is no longer Active.
    pub fn stop(&mut self) {
        *self = Self::new();
    }

    /// When the next announcement is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.due.iter().flatten().min().copied()
    }

    /// Whether an announcement is due; what was due is then done. One that is late by more than
    /// 50 ms is put off by 20 ms instead: [`Self::stop`] may be on its way.
    pub fn poll_due(&mut self, now: Instant) -> bool {
        let mut due = false;
        for slot in &mut self.due {
            let Some(at) = slot.filter(|&at| at <= now) else {
                continue;
            };
            let late = now.saturating_since(at) > LATE;
            *slot = late.then(|| now + PAUSE);
            due |= !late;
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Instant = Instant::from_nanos(1_000_000_000);

    fn times(mut schedule: Schedule) -> Vec<Duration> {
        core::iter::from_fn(|| {
            let at = schedule.poll_timeout()?;
            assert!(!schedule.poll_due(at - Duration::from_nanos(1)));
            assert!(schedule.poll_due(at));
            Some(at.saturating_since(START))
        })
        .collect()
    }

    #[test]
    fn a_takeover_is_announced_at_0_and_100_ms_and_1_s_and_half_a_second_after_the_lease() {
        let mut schedule = Schedule::new();
        schedule.start(START, Announcement::Takeover, Lease::from_secs(3).ok());
        assert_eq!(times(schedule), [0, 100, 1000, 3500].map(Duration::from_millis));
    }

    #[test]
    fn a_reassertion_is_announced_once_and_keeps_what_was_planned() {
        let mut schedule = Schedule::new();
        schedule.start(START, Announcement::Takeover, None);
        assert!(schedule.poll_due(START));
        schedule.start(START + Duration::from_millis(50), Announcement::Reassert, None);
        assert_eq!(times(schedule), [50, 100, 1000].map(Duration::from_millis));
    }

    #[test]
    fn a_router_that_left_active_announces_nothing() {
        let mut schedule = Schedule::new();
        schedule.start(START, Announcement::Takeover, None);
        schedule.stop();
        assert_eq!(schedule.poll_timeout(), None);
    }

    #[test]
    fn what_is_late_waits_for_a_moment() {
        let mut schedule = Schedule::new();
        schedule.start(START, Announcement::Reassert, None);
        assert!(schedule.poll_due(START + LATE));
        schedule.start(START, Announcement::Takeover, None);
        assert!(schedule.poll_due(START));

        // Frozen past the repeats at 100 ms and 1 s.
        let thaw = START + Duration::from_secs(2);
        assert!(!schedule.poll_due(thaw));
        assert_eq!(schedule.poll_timeout(), Some(thaw + PAUSE));
        let mut stopped = schedule;
        stopped.stop();
        assert!(!stopped.poll_due(thaw + PAUSE));
        assert!(schedule.poll_due(thaw + PAUSE));
        assert_eq!(schedule.poll_timeout(), None);
    }

    #[test]
    fn what_a_full_queue_refused_is_planned_again() {
        let mut schedule = Schedule::new();
        schedule.start(START, Announcement::Reassert, None);
        assert!(schedule.poll_due(START));
        schedule.plan(START + Duration::from_millis(10));
        assert_eq!(times(schedule), [Duration::from_millis(10)]);
    }
}
