//! Whether the VRRP process still answers, judged by a daemon that may itself be late.

use std::time::Duration;

use tokio::time::Instant;

/// How often the VRRP process is asked.
pub const INTERVAL: Duration = Duration::from_millis(250);
/// It may be silent this long, or three advertisement intervals or two thirds of the lease if that
/// is more: answers pass its keeper, which may wait for the kernel while advertisements go on.
const SHORTEST_PATIENCE: Duration = Duration::from_secs(1);
/// A tick later than this says that the daemon stood still, and proves nothing about the other.
const STALL: Duration = Duration::from_millis(100);

/// What is known of the VRRP process's answers.
#[derive(Debug)]
pub struct Heartbeat {
    patience: Duration,
    last_ping: u64,
    /// Since when an answer has been missing; `None` if all came.
    waiting_since: Option<Instant>,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Ask with this number.
    Ping(u64),
    /// It has not answered for so long.
    Dead(Duration),
}

impl Heartbeat {
    /// A VRRP process with these shortest advertisement interval and lease.
    pub fn new(advert_interval: Option<Duration>, lease: Option<Duration>) -> Self {
        Self { patience: patience(advert_interval, lease), last_ping: 0, waiting_since: None }
    }

    /// The shortest advertisement interval or lease may have changed.
    pub fn set_times(&mut self, advert_interval: Option<Duration>, lease: Option<Duration>) {
        self.patience = patience(advert_interval, lease);
    }

    /// To be called each [`INTERVAL`]: at `now`, when it was to be called at `scheduled`.
    pub fn tick(&mut self, scheduled: Instant, now: Instant) -> Verdict {
        let stalled = now.saturating_duration_since(scheduled) > STALL;
        match self.waiting_since {
            Some(_) if stalled => self.waiting_since = Some(now),
            Some(since) => {
                let silent = now.saturating_duration_since(since);
                if silent >= self.patience {
                    return Verdict::Dead(silent);
                }
            }
            None => self.waiting_since = Some(now),
        }
        self.last_ping += 1;
        Verdict::Ping(self.last_ping)
    }

    /// An answer has come: the process lived after ping `seq` was sent.
    pub fn pong(&mut self, seq: u64, now: Instant) {
        if seq == self.last_ping {
            self.waiting_since = None;
        } else if seq < self.last_ping {
            self.waiting_since = Some(now);
        }
    }

    /// Counts anew: what was asked on a connection that is lost stays unanswered.
    pub fn reset(&mut self) {
        self.waiting_since = None;
    }

    /// How long an answer has been missing; zero if none is.
    pub fn silence(&self, now: Instant) -> Duration {
        self.waiting_since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    /// Since when an answer has been missing.
    pub fn waiting_since(&self) -> Option<Instant> {
        self.waiting_since
    }

    /// How long the VRRP process may be silent.
    pub fn patience(&self) -> Duration {
        self.patience
    }
}

/// The longest that a long lease makes it wait.
const LONGEST_FOR_LEASE: Duration = Duration::from_secs(5);

fn patience(advert_interval: Option<Duration>, lease: Option<Duration>) -> Duration {
    let intervals = advert_interval.map(|interval| interval * 3);
    let lease = lease.map(|lease| (lease * 2 / 3).min(LONGEST_FOR_LEASE));
    intervals.into_iter().chain(lease).fold(SHORTEST_PATIENCE, Duration::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tick(heartbeat: &mut Heartbeat, now: Instant) -> Verdict {
        heartbeat.tick(now, now)
    }

    #[test]
    fn a_process_that_answers_is_asked_again() {
        let mut now = Instant::now();
        let mut heartbeat = Heartbeat::new(None, None);
        for seq in 1..100 {
            assert_eq!(tick(&mut heartbeat, now), Verdict::Ping(seq));
            heartbeat.pong(seq, now);
            now += INTERVAL;
        }
    }

    #[test]
    fn a_second_of_silence_is_death() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(Some(Duration::from_millis(10)), None);
        for n in 0..4 {
            assert_eq!(tick(&mut heartbeat, start + INTERVAL * n), Verdict::Ping(u64::from(n) + 1));
        }
        assert_eq!(
            tick(&mut heartbeat, start + INTERVAL * 4),
            Verdict::Dead(Duration::from_secs(1))
        );
    }

    #[test]
    fn a_new_connection_counts_anew() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(None, None);
        tick(&mut heartbeat, start);
        let end = start + Duration::from_secs(1);
        assert_eq!(heartbeat.silence(end), Duration::from_secs(1));
        heartbeat.reset();
        assert_eq!(heartbeat.silence(end), Duration::ZERO);
        assert_eq!(tick(&mut heartbeat, end), Verdict::Ping(2));
    }

    #[test]
    fn three_advertisement_intervals_are_waited_for() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(Some(Duration::from_secs(1)), None);
        tick(&mut heartbeat, start);
        assert_eq!(tick(&mut heartbeat, start + Duration::from_millis(2900)), Verdict::Ping(2));
        let end = start + Duration::from_secs(3);
        assert_eq!(tick(&mut heartbeat, end), Verdict::Dead(Duration::from_secs(3)));
    }

    #[test]
    fn two_thirds_of_the_lease_are_waited_for() {
        let heartbeat = Heartbeat::new(None, Some(Duration::from_secs(3)));
        assert_eq!(heartbeat.patience(), Duration::from_secs(2));
        let heartbeat = Heartbeat::new(None, Some(Duration::from_secs(1)));
        assert_eq!(heartbeat.patience(), SHORTEST_PATIENCE);
    }

    #[test]
    fn a_daemon_that_stood_still_blames_nobody() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(None, None);
        tick(&mut heartbeat, start);
        let late = start + Duration::from_secs(60);
        assert_eq!(heartbeat.tick(start + INTERVAL, late), Verdict::Ping(2));
        assert_eq!(tick(&mut heartbeat, late + INTERVAL), Verdict::Ping(3));
        assert_eq!(
            tick(&mut heartbeat, late + Duration::from_secs(1)),
            Verdict::Dead(Duration::from_secs(1))
        );
    }

    #[test]
    fn an_answer_to_an_older_ping_is_a_sign_of_life_too() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(None, None);
        tick(&mut heartbeat, start);
        tick(&mut heartbeat, start + Duration::from_millis(900));
        heartbeat.pong(1, start + Duration::from_millis(900));
        assert_eq!(tick(&mut heartbeat, start + Duration::from_millis(1200)), Verdict::Ping(3));
    }
}
