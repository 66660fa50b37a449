//! What RFC 9568 and its documented extensions ask of one router, written a second time and kept
//! beside each router: any step that differs is an error, exact to the nanosecond.
//!
//! Of the RFC's text this holds 6.4.1 to 6.4.3 for the timers, the elections and the
//! advertisements, of the extensions: health bands, late wake-ups, the address that stays for a
//! moment, and the order of addresses and announcements.

mod timers;

use core::net::IpAddr;

pub use timers::{longest_hush, skew_time};
use vrrp::Priority;
use vrrp::config::{OnDegraded, Preempt, RouterConfig};
use vrrp::router::{Action, Cause, Eligibility, Heard, Report, State, Ticket};
use vrrp::time::{Centis, Duration, Instant};

use super::machine::Call;
use super::node::wants;
use super::rules::{Check, ensure};

/// The least time between two answers to routers that lose.
const ANSWER_PAUSE: Duration = Duration::from_millis(1);

pub struct Reference {
    config: RouterConfig,
    source: Option<IpAddr>,
    eligibility: Eligibility,
    state: State,
    /// Backup: when Active_Down_Timer fires, at which learned interval, watching which priority,
    /// and whether because of a priority 0.
    due: Instant,
    learned: Centis,
    watched: Option<(IpAddr, Priority)>,
    released: bool,
    /// Backup: when the addresses go at the latest.
    linger: Option<Instant>,
    /// Active: when Adver_Timer fires.
    next: Instant,
    answered: Option<Instant>,
    /// When those that spoke within a moment of an answer have theirs.
    answer: Option<Instant>,
    suspect: bool,
    /// When the first advertisement leaves at the latest, where it waits for the addresses.
    hushed: Option<Instant>,
    /// Whether the addresses were asked for and not withdrawn since.
    holding: bool,
    /// The newest request, and whether it was made after the last loss.
    newest: Option<Ticket>,
    asked_since_loss: bool,
    /// Whether the addresses may be announced.
    in_place: bool,
    /// Whether they were in place once since the takeover.
    installed: bool,
}

/// One step of a router.
pub struct Step<'a> {
    pub now: Instant,
    pub call: &'a Call,
    pub after: State,
    pub timeout: Option<Instant>,
    pub actions: &'a [Action],
}

impl Reference {
    pub fn new(config: RouterConfig) -> Self {
        Self {
            learned: config.interval,
            config,
            source: None,
            eligibility: Eligibility::Healthy,
            state: State::Initialize,
            due: Instant::default(),
            watched: None,
            released: false,
            linger: None,
            next: Instant::default(),
            answered: None,
            answer: None,
            suspect: false,
            hushed: None,
            holding: false,
            newest: None,
            asked_since_loss: false,
            in_place: false,
            installed: false,
        }
    }

    /// What it advertises; `None` if it gives up.
    pub fn priority(&self) -> Option<Priority> {
        match self.eligibility {
            Eligibility::Healthy => Some(self.config.priority),
            Eligibility::Degraded if self.config.on_degraded == OnDegraded::Release => None,
            Eligibility::Degraded => Some(self.config.degraded_priority),
            Eligibility::Drained => Priority::new(1),
        }
    }

    fn wants(&self, own: Priority, from: Priority) -> bool {
        wants(self.config.preempt, own, from)
    }

    /// Whether Skew_Time is enough: it is healthy, and hears a degraded Active where it knows of no
    /// healthy one.
    fn hastens(&self, own: Priority, source: IpAddr, priority: Priority) -> bool {
        let bands = self.config.preempt == Preempt::DegradedOnly;
        let watched = self.watched.filter(|&(other, _)| other != source && !self.released);
        let knows_better = watched.is_some_and(|(_, priority)| !priority.is_degraded());
        bands && priority.is_degraded() && !own.is_degraded() && !knows_better
    }

    /// Judges a step, and follows it.
    pub fn observe(&mut self, step: &Step) -> Check {
        let before = self.state;
        let own_before = self.priority();
        match *step.call {
            Call::Source(source) => self.source = source,
            Call::Eligibility(eligibility) => self.eligibility = eligibility,
            Call::AddressLost => (self.in_place, self.asked_since_loss) = (false, false),
            Call::Installed(ticket) if before == State::Active => {
                self.in_place |= self.newest == Some(ticket) && self.asked_since_loss;
                self.installed |= self.in_place;
            }
            _ => {}
        }
        self.check_transition(before, step)?;
        self.check_adverts(before, own_before, step)?;
        self.state = step.after;
        match step.after {
            State::Initialize => {}
            State::Backup => self.follow_backup(before, own_before, step),
            State::Active => self.follow_active(before, step),
        }
        self.check_addresses(before, step)?;
        self.check_timeout(step)
    }

    fn check_transition(&self, before: State, step: &Step) -> Check {
        let Step { now, after, .. } = *step;
        let mut state = before;
        for action in step.actions {
            if let Action::Report(Report::Transition { from, to, .. }) = *action {
                ensure!(from == state, "reports a transition from {from} in {state}");
                state = to;
            }
        }
        ensure!(state == after, "is {after} and reported {state}");
        ensure!(after != State::Active || self.source.is_some(), "is Active without a source");
        let interval = self.config.interval.duration();
        let must = match (before, *step.call) {
            (State::Active, Call::Advert(_, heard)) => {
                if self.loses_to(heard) {
                    State::Backup
                } else {
                    State::Active
                }
            }
            (State::Active, Call::Stall { late, overflowed }) => {
                let unsure = self.config.lease.is_some() || !self.in_place;
                let lapsed = unsure && after == State::Backup;
                let asleep = late > interval * 3 || (late > interval && (overflowed || lapsed));
                if asleep { State::Backup } else { State::Active }
            }
            (State::Backup, Call::Timeout) if self.due <= now => State::Active,
            (State::Backup, Call::Resumed { late })
                if late > interval
                    && self.is_owner()
                    && self.watched.is_none_or(|(_, p)| p != Priority::OWNER) =>
            {
                State::Active
            }
            (State::Backup, Call::Eligibility(_)) if self.becomes_owner(step) => State::Active,
            (State::Backup | State::Active, Call::Stop) => State::Initialize,
            (State::Backup | State::Active, _)
                if self.source.is_none() || self.priority().is_none() =>
            {
                State::Initialize
            }
            // It may give up for want of the addresses, or come back from that.
            (State::Active, Call::Timeout | Call::AddressLost) if after == State::Initialize => {
                after
            }
            (State::Initialize, _) if after != State::Initialize => {
                if self.is_owner() {
                    State::Active
                } else {
                    State::Backup
                }
            }
            _ => before,
        };
        ensure!(after == must, "is {after} and should be {must}");
        Ok(())
    }

    fn is_owner(&self) -> bool {
        self.priority() == Some(Priority::OWNER)
    }

    /// Whether the step is a change of the own priority to 255.
    fn becomes_owner(&self, step: &Step) -> bool {
        let reported = |action: &Action| matches!(action, Action::Report(Report::Priority { .. }));
        self.is_owner() && step.actions.iter().any(reported)
    }

    /// RFC 9568, 6.4.3: a greater priority, or an equal one from a greater address; and after a late
    /// wake-up any that is not 0.
    fn loses_to(&self, heard: Heard) -> bool {
        heard.priority.is_some()
            && (self.suspect
                || (heard.priority, Some(heard.source)) > (self.priority(), self.source))
    }

    fn check_adverts(&mut self, before: State, own_before: Option<Priority>, step: &Step) -> Check {
        let own = self.priority();
        let (mut sent, mut given_up) = (0, 0);
        for (i, action) in step.actions.iter().enumerate() {
            let Action::SendAdvert { priority, source } = *action else { continue };
            *(if priority.is_none() { &mut given_up } else { &mut sent }) += 1;
            let usable = Some(source) == self.source || step.after == State::Initialize;
            ensure!(usable, "advertises from {source}");
            ensure!(priority.is_none() || priority == own, "advertises {priority:?}");
            let touches = |action: &Action| {
                matches!(action, Action::Install(_) | Action::Withdraw | Action::Announce(_))
            };
            let late = step.actions[..i].iter().any(touches);
            ensure!(!late, "advertises after it touched the addresses");
        }
        let leaves = before == State::Active && step.after == State::Initialize;
        ensure!(given_up == usize::from(leaves), "gives up {given_up} times");
        let stays = before == State::Active && step.after == State::Active;
        let must = match *step.call {
            Call::Timeout if stays => {
                let first = self.hushed.is_some_and(|by| by <= step.now);
                self.next <= step.now || self.answer_is_due(step.now) || first
            }
            Call::Advert(arrived, heard) if stays => {
                heard.priority.is_none() || self.answered_lately(arrived).is_none()
            }
            // After a late wake-up not before it is known whether another took over.
            Call::Eligibility(_) if stays => own != own_before && !self.suspect,
            Call::Installed(_) if stays => self.hushed.is_some() && self.in_place && !self.suspect,
            _ if stays || step.after != State::Active => false,
            _ => {
                self.hushed = self.hush(step);
                self.hushed.is_none()
            }
        };
        ensure!(sent == usize::from(must), "sends {sent} advertisements");
        if sent > 0 || step.after != State::Active {
            self.hushed = None;
        }
        match *step.call {
            Call::Advert(arrived, _) if stays && must => {
                (self.answered, self.answer) = (Some(arrived), None);
            }
            Call::Advert(arrived, _) if stays => self.answer = self.answered_lately(arrived),
            Call::Timeout if self.answer_is_due(step.now) => {
                (self.answered, self.answer) = (Some(step.now), None);
            }
            Call::Timeout if self.next <= step.now => self.answer = None,
            _ => {}
        }
        Ok(())
    }

    /// With a virtual MAC address, and from an Active that lives: the addresses before the first
    /// advertisement, which switches follow.
    fn hush(&self, step: &Step) -> Option<Instant> {
        let from_living = step.actions.iter().any(|action| match action {
            Action::Report(Report::Transition { cause, .. }) => {
                matches!(cause, Cause::ActiveDegraded { .. } | Cause::Preempts { .. })
            }
            _ => false,
        });
        let longest = longest_hush(self.config.interval);
        (self.config.virtual_mac && from_living).then(|| step.now + longest)
    }

    fn answer_is_due(&self, now: Instant) -> bool {
        self.answer.is_some_and(|at| at <= now)
    }

    /// When the next answer may leave, if that is not now.
    fn answered_lately(&self, now: Instant) -> Option<Instant> {
        self.answered.map(|at| at + ANSWER_PAUSE).filter(|&at| now < at)
    }

    fn check_addresses(&mut self, before: State, step: &Step) -> Check {
        if step.after != State::Active {
            self.in_place = false;
        }
        for action in step.actions {
            match *action {
                Action::Install(ticket) => {
                    ensure!(step.after == State::Active, "installs in {}", step.after);
                    self.holding = true;
                    self.newest = Some(ticket);
                    self.asked_since_loss = true;
                }
                Action::Withdraw => {
                    ensure!(step.after != State::Active, "withdraws as Active");
                    self.holding = false;
                }
                Action::Announce(_) => ensure!(self.in_place, "announces what is not in place"),
                Action::Probe => {
                    ensure!(before == State::Active, "probes though it was {before}");
                }
                _ => {}
            }
        }
        let lingers = match (step.after, self.linger, step.call) {
            (State::Initialize, ..) | (_, None, _) | (_, _, Call::Claimed) => false,
            (_, Some(linger), Call::Timeout) => step.now < linger,
            _ => true,
        };
        if step.after != State::Active {
            ensure!(!self.holding || lingers, "is {} and keeps the addresses", step.after);
        }
        if !self.holding || step.after != State::Backup {
            self.linger = None;
        }
        Ok(())
    }

    fn check_timeout(&self, step: &Step) -> Check {
        let Step { timeout, .. } = *step;
        match step.after {
            State::Initialize => {}
            State::Backup => {
                let due = self.linger.map_or(self.due, |at| at.min(self.due));
                ensure!(timeout == Some(due), "wakes at {timeout:?}, Active_Down_Timer: {due:?}");
            }
            State::Active => {
                let next = self.hushed.map_or(self.next, |by| by.min(self.next));
                ensure!(
                    timeout <= Some(next) && timeout.is_some(),
                    "wakes at {timeout:?}, Adver_Timer: {next:?}"
                );
            }
        }
        Ok(())
    }
}
