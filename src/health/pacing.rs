//! When to probe. Reads no clock: time is an argument.

use std::time::{Duration, Instant};

/// Nobody is asked more often, whoever wants it.
const SHORTEST: Duration = Duration::from_millis(10);
/// Between two probes after the first false alarm.
const FIRST_GAP: Duration = Duration::from_millis(50);

/// When to probe: each interval, and sooner if there is reason to.
///
/// An *alarm* (the held connection has ended, a link has changed) starts a probe at once. Where alarms
/// turn out false, as with a server that closes whatever is idle, each of them waits twice as long
/// as the one before, up to the interval; one quiet interval and the next is answered at once again.
#[derive(Clone, Debug)]
pub struct Pacing {
    interval: Duration,
    next: Instant,
    started: Option<Instant>,
    /// From the start of a probe to one that an alarm starts.
    gap: Duration,
    alarmed: bool,
}

impl Pacing {
    /// The first probe is due at once.
    pub const fn new(now: Instant, interval: Duration) -> Self {
        Self { interval, next: now, started: None, gap: Duration::ZERO, alarmed: false }
    }

    /// When the next probe is due.
    pub const fn due(&self) -> Instant {
        self.next
    }

    /// A probe starts.
    pub fn start(&mut self, now: Instant) {
        self.started = Some(now);
        self.next = now + self.interval;
    }

    /// The daemon wants to know.
    pub fn hurry(&mut self, now: Instant) {
        self.bring_forward(now, SHORTEST);
    }

    /// Something has happened to what the check looks at.
    pub fn alarm(&mut self, now: Instant) {
        self.alarmed = true;
        self.bring_forward(now, self.gap);
    }

    /// A probe has passed or not.
    pub fn end(&mut self, passed: bool) {
        let false_alarm = std::mem::take(&mut self.alarmed) && passed;
        self.gap = if false_alarm {
            (2 * self.gap).max(FIRST_GAP).min(self.interval)
        } else {
            Duration::ZERO
        };
    }

    fn bring_forward(&mut self, now: Instant, gap: Duration) {
        let allowed = self.started.map_or(now, |started| now.max(started + gap));
        self.next = self.next.min(allowed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(1);

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// Probes for `span`, all of which pass; after each, the connection that it leaves is closed
    /// `lifetime` later. When the probes started.
    fn probes(lifetime: Option<Duration>, span: Duration) -> Vec<Duration> {
        let origin = Instant::now();
        let mut pacing = Pacing::new(origin, INTERVAL);
        let mut starts = Vec::new();
        while pacing.due() < origin + span {
            let now = pacing.due();
            starts.push(now - origin);
            pacing.start(now);
            pacing.end(true);
            if let Some(lifetime) = lifetime.filter(|&it| now + it < pacing.due()) {
                pacing.alarm(now + lifetime);
            }
        }
        starts
    }

    #[test]
    fn without_alarms_it_is_each_interval() {
        let starts = probes(None, ms(3500));
        assert_eq!(starts, [ms(0), ms(1000), ms(2000), ms(3000)]);
    }

    #[test]
    fn a_probe_that_takes_longer_than_the_interval_is_followed_at_once() {
        let now = Instant::now();
        let mut pacing = Pacing::new(now, INTERVAL);
        pacing.start(now);
        assert!(pacing.due() < now + ms(1500));
    }

    #[test]
    fn the_first_alarm_is_answered_at_once() {
        let now = Instant::now();
        let mut pacing = Pacing::new(now, INTERVAL);
        pacing.start(now);
        pacing.end(true);
        pacing.alarm(now + ms(1));
        assert_eq!(pacing.due(), now + ms(1));
    }

    #[test]
    fn a_server_that_closes_idle_connections_is_not_stormed() {
        for lifetime in [0, 1, 20, 70, 999] {
            let starts = probes(Some(ms(lifetime)), ms(60_000));
            assert!(starts.len() <= 60 + 6, "{lifetime}: {}", starts.len());
            let last = starts.windows(2).last();
            assert!(last.is_some_and(|pair| pair[1] - pair[0] >= ms(999)), "{lifetime}");
        }
    }

    #[test]
    fn a_quiet_interval_or_a_true_alarm_makes_up_for_false_ones() {
        for (alarmed, passed) in [(false, true), (true, false)] {
            let now = Instant::now();
            let mut pacing = Pacing::new(now, INTERVAL);
            for _ in 0..8 {
                pacing.start(now);
                pacing.alarm(now);
                pacing.end(true);
            }
            pacing.alarm(now + ms(1));
            assert_eq!(pacing.due(), now + INTERVAL);
            pacing.end(true);
            pacing.start(now);
            if alarmed {
                pacing.alarm(now);
            }
            pacing.end(passed);
            pacing.alarm(now + ms(1));
            assert_eq!(pacing.due(), now + ms(1));
        }
    }

    #[test]
    fn who_asks_often_is_answered_each_ten_milliseconds_at_most() {
        let origin = Instant::now();
        let mut pacing = Pacing::new(origin, INTERVAL);
        let mut starts = 0;
        for millis in 0..1000 {
            let now = origin + ms(millis);
            pacing.hurry(now);
            if pacing.due() <= now {
                pacing.start(now);
                pacing.end(true);
                starts += 1;
            }
        }
        assert_eq!(starts, 100);
    }
}
