//! The Backup state (RFC 9568, 6.4.2): watching the Active.

use core::net::IpAddr;

use super::action::{Action, Report};
use super::others::Others;
use super::phase::{Backup, Expecting, Phase, active_down_interval, skew_time};
use super::{Heard, Router};
use crate::Priority;
use crate::config::Preempt;
use crate::time::{Centis, Instant};

impl Router {
    /// A Backup that has heard nobody yet.
    pub(super) fn backup_from(&self, now: Instant, interval: Centis) -> Backup {
        Backup {
            down_at: now + active_down_interval(interval, self.skew_priority()),
            expecting: Expecting::Silence,
            interval,
            heard: None,
            outranked: None,
            linger_until: None,
            others: Others::new(now),
        }
    }

    pub(super) fn advert_in_backup(&mut self, now: Instant, heard: Heard) {
        self.note_change(now, heard);
        let own = self.skew_priority();
        let accepts = self.accepts(heard.priority);
        let hastens = heard.priority.is_some_and(|priority| self.hastens(own, priority));
        let Phase::Backup(backup) = &mut self.phase else {
            return;
        };
        let Some(priority) = heard.priority else {
            backup.down_at = now + skew_time(backup.interval, own);
            backup.expecting = Expecting::Released(heard.source);
            return;
        };
        if accepts {
            backup.interval = heard.interval;
            backup.heard = Some((heard.source, priority));
            backup.outranked = None;
            self.restart_active_down(now);
        } else if !hastens {
            backup.outranked = Some((heard.source, priority));
        } else if !backup.knows_better_than(heard.source) {
            // It may yet be watched in full, should this router degrade too.
            backup.interval = heard.interval;
            backup.heard = Some((heard.source, priority));
            self.hasten(now, heard.source, priority);
        }
    }

    /// Tells what is new about the router that is heard.
    fn note_change(&mut self, now: Instant, heard: Heard) {
        let Phase::Backup(backup) = &mut self.phase else {
            return;
        };
        let Heard { source, priority, interval } = heard;
        if let Some(change) = backup.others.hear(now, source, priority, interval) {
            let from = change.from;
            self.actions.push(Action::Report(match priority {
                Some(to) => Report::ActivePriority { source, from, to },
                None => Report::ActiveReleased { source },
            }));
        }
    }

    /// Whether a Backup restarts its timer on an advertisement of this priority: Preempt_Mode
    /// False, or a priority at least its own (6.4.2).
    pub(super) fn accepts(&self, priority: Option<Priority>) -> bool {
        let own = self.skew_priority();
        let Some(priority) = priority else {
            return false;
        };
        match self.config.preempt {
            // The owner of the addresses always preempts (6.1).
            _ if own.is_owner() => priority >= own,
            Preempt::Never => true,
            Preempt::Always => priority >= own,
            Preempt::DegradedOnly => !self.hastens(own, priority),
        }
    }

    /// Whether a Backup of priority `own` takes over from a living Active of this priority after
    /// Skew_Time: where preemption is `degraded-only`, a healthy one from a degraded one.
    pub(super) fn hastens(&self, own: Priority, priority: Priority) -> bool {
        self.config.preempt == Preempt::DegradedOnly && priority.is_degraded() && !own.is_degraded()
    }

    /// Active_Down_Timer to the lesser of what it is and Skew_Time.
    pub(super) fn hasten(&mut self, now: Instant, source: IpAddr, priority: Priority) {
        let own = self.skew_priority();
        if let Phase::Backup(backup) = &mut self.phase {
            let at = now + skew_time(backup.interval, own);
            if at < backup.down_at {
                backup.down_at = at;
                backup.expecting = Expecting::Degraded(source, priority);
            }
        }
    }

    pub(super) fn restart_active_down(&mut self, now: Instant) {
        let own = self.skew_priority();
        if let Phase::Backup(backup) = &mut self.phase {
            backup.down_at = now + active_down_interval(backup.interval, own);
            backup.expecting = Expecting::Silence;
        }
    }

    /// Active_Down_Timer follows the new Skew_Time; what has run of it stays run. Only where the
    /// Active lives and did not restart it, being degraded, does it start anew once this router
    /// is no better.
    pub(super) fn priority_changed_in_backup(&mut self, now: Instant, before: Option<Priority>) {
        let own = self.skew_priority();
        let before = before.unwrap_or(own);
        let Phase::Backup(backup) = &mut self.phase else {
            return;
        };
        let living = match backup.expecting {
            Expecting::Released(_) => None,
            Expecting::Silence | Expecting::Degraded(..) => backup.heard,
        };
        let skew_before = skew_time(backup.interval, before);
        backup.down_at = backup.down_at + skew_time(backup.interval, own) - skew_before;
        let Some((source, priority)) = living else {
            return;
        };
        if self.hastens(own, priority) {
            self.hasten(now, source, priority);
        } else if self.hastens(before, priority) {
            self.restart_active_down(now);
        }
    }

    /// While nobody has been heard, Active_Adver_Interval is the local interval (6.4.1). A timer
    /// that runs is shortened at most: nobody is known who would need more.
    pub(super) fn interval_changed_in_backup(&mut self, now: Instant) {
        let interval = self.config.interval;
        let down_at = now + active_down_interval(interval, self.skew_priority());
        if let Phase::Backup(backup) = &mut self.phase
            && backup.heard.is_none()
        {
            backup.interval = interval;
            backup.down_at = backup.down_at.min(down_at);
        }
    }

    pub(super) fn end_linger(&mut self) {
        if let Phase::Backup(backup) = &mut self.phase
            && backup.linger_until.take().is_some()
        {
            self.actions.push(Action::Withdraw);
        }
    }
}
