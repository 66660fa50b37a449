//! The timers of RFC 9568, 6.1, and what the extensions do to them.

use vrrp::Priority;
use vrrp::config::Preempt;
use vrrp::router::{Eligibility, Heard, State};
use vrrp::time::{Centis, Duration, Instant};

use super::{Reference, Step};
use crate::machine::Call;

impl Reference {
    /// Adver_Timer.
    pub(super) fn follow_active(&mut self, before: State, step: &Step) {
        let interval = self.config.interval.duration();
        if before != State::Active {
            self.next = step.now + interval;
            (self.answered, self.answer) = (None, None);
            (self.suspect, self.linger, self.installed) = (false, None, false);
            return;
        }
        match *step.call {
            Call::Timeout if self.next <= step.now => {
                let next = self.next + interval;
                self.next = if next <= step.now { step.now + interval } else { next };
            }
            Call::Advert(arrived, Heard { priority: None, .. }) => self.next = arrived + interval,
            Call::Stall { late, .. } => self.suspect |= late > interval,
            Call::Resumed { .. } => self.suspect = false,
            _ => {}
        }
    }

    /// Active_Down_Timer.
    pub(super) fn follow_backup(
        &mut self,
        before: State,
        own_before: Option<Priority>,
        step: &Step,
    ) {
        let own = self.priority().unwrap_or(Priority::DRAINED);
        if before != State::Backup {
            (self.learned, self.watched) = (self.config.interval, None);
            let mut since = step.now;
            if let Call::Advert(arrived, heard) = *step.call {
                self.learned = heard.interval;
                self.watched = heard.priority.map(|priority| (heard.source, priority));
                since = arrived;
                let linger = if self.eligibility == Eligibility::Drained { 50 } else { 10 };
                let may = self.installed && !self.suspect;
                self.linger = may.then(|| arrived + Duration::from_millis(linger));
            }
            self.watch(since, own);
            return;
        }
        match *step.call {
            Call::Advert(arrived, Heard { priority: None, .. }) => {
                self.due = arrived + skew_time(self.learned, own);
                self.released = true;
            }
            Call::Advert(arrived, heard) => {
                let Some(priority) = heard.priority else { return };
                let accepts = !self.wants(own, priority);
                let at_once = self.hastens(own, heard.source, priority);
                if accepts || at_once {
                    self.learned = heard.interval;
                    self.watched = Some((heard.source, priority));
                }
                if accepts {
                    self.watch(arrived, own);
                } else if at_once {
                    self.hasten(arrived, own);
                }
            }
            Call::Eligibility(_) => {
                let was = own_before.unwrap_or(own);
                let (less, more) = (skew_time(self.learned, was), skew_time(self.learned, own));
                if was != own {
                    self.due = self.due + more - less;
                }
                let Some((_, watched)) = self.watched.filter(|_| was != own && !self.released)
                else {
                    return;
                };
                if self.config.preempt != Preempt::DegradedOnly || !watched.is_degraded() {
                    return;
                }
                if !own.is_degraded() {
                    self.hasten(step.now, own);
                } else if !was.is_degraded() {
                    self.watch(step.now, own);
                }
            }
            Call::Resumed { late } if late > self.config.interval.duration() => {
                self.watch(step.now, own);
            }
            _ => {}
        }
    }

    /// Active_Down_Timer starts anew.
    fn watch(&mut self, since: Instant, own: Priority) {
        self.due = since + self.learned.duration() * 3 + skew_time(self.learned, own);
        self.released = false;
    }

    /// The lesser of what it is and Skew_Time.
    fn hasten(&mut self, since: Instant, own: Priority) {
        let at = since + skew_time(self.learned, own);
        if at < self.due {
            self.due = at;
            self.released = false;
        }
    }
}

/// RFC 9568, 6.1.
pub fn skew_time(interval: Centis, priority: Priority) -> Duration {
    interval.duration() * (256 - u32::from(priority.get())) / 256
}

/// How long the first advertisement waits for the addresses at most: less than the Skew_Time of a
/// priority lower by 4.
pub fn longest_hush(interval: Centis) -> Duration {
    (interval.duration() / 64).min(Duration::from_millis(5))
}
