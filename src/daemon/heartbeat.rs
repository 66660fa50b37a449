//! Whether the VRRP process still answers, judged by a daemon that may itself be late.

use std::time::Duration;

use tokio::time::Instant;

/// How often the VRRP process is asked.
pub const INTERVAL: Duration = Duration::from_millis(250);
/// It may be silent this long, or three advertisement intervals if that is more.
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
    /// A VRRP process whose shortest advertisement interval is `advert_interval`.
    pub fn new(advert_interval: Option<Duration>) -> Self {
        Self { patience: patience(advert_interval), last_ping: 0, waiting_since: None }
    }

    /// The shortest advertisement interval has changed.
    pub fn set_advert_interval(&mut self, advert_interval: Option<Duration>) {
        self.patience = patience(advert_interval);
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

    /// Since when an answer has been missing.
    pub fn waiting_since(&self) -> Option<Instant> {
        self.waiting_since
    }

    /// How long the VRRP process may be silent.
    pub fn patience(&self) -> Duration {
        self.patience
    }
}

fn patience(advert_interval: Option<Duration>) -> Duration {
    advert_interval.map_or(SHORTEST_PATIENCE, |interval| SHORTEST_PATIENCE.max(interval * 3))
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
        let mut heartbeat = Heartbeat::new(None);
        for seq in 1..100 {
            assert_eq!(tick(&mut heartbeat, now), Verdict::Ping(seq));
            heartbeat.pong(seq, now);
            now += INTERVAL;
        }
    }

    #[test]
    fn a_second_of_silence_is_death() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(Some(Duration::from_millis(10)));
        for n in 0..4 {
            assert_eq!(tick(&mut heartbeat, start + INTERVAL * n), Verdict::Ping(u64::from(n) + 1));
        }
        assert_eq!(
            tick(&mut heartbeat, start + INTERVAL * 4),
            Verdict::Dead(Duration::from_secs(1))
        );
    }

    #[test]
    fn three_advertisement_intervals_are_waited_for() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(Some(Duration::from_secs(1)));
        tick(&mut heartbeat, start);
        assert_eq!(tick(&mut heartbeat, start + Duration::from_millis(2900)), Verdict::Ping(2));
        let end = start + Duration::from_secs(3);
        assert_eq!(tick(&mut heartbeat, end), Verdict::Dead(Duration::from_secs(3)));
    }

    #[test]
    fn a_daemon_that_stood_still_blames_nobody() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(None);
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
        let mut heartbeat = Heartbeat::new(None);
        tick(&mut heartbeat, start);
        tick(&mut heartbeat, start + Duration::from_millis(900));
        heartbeat.pong(1, start + Duration::from_millis(900));
        assert_eq!(tick(&mut heartbeat, start + Duration::from_millis(1200)), Verdict::Ping(3));
    }
}
