//! The state machine of one unit. Reads no clock and does no I/O: time is an argument, effects are [`Step`]s.

mod moves;

use std::time::Instant;

use super::backoff::Backoff;
use super::phase::{Due, Phase};
use super::{Name, Spec, State};
use crate::backend::{Ended, Fault, Identity, Readiness, Running};
use crate::core::{Observation, Order, Step};
use moves::LONGEST_LOOK;

/// What the operator wants of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    /// Nothing: it was not asked for yet, or has ended well.
    Nothing,
    Run,
    Stop {
        /// Not before what depends on it has stopped.
        in_order: bool,
    },
}

/// What a unit has to know of the others.
#[derive(Clone, Debug, Default)]
pub(crate) struct Circumstances {
    /// What keeps it from starting.
    pub unmet: Vec<Name>,
    /// Whether what depends on it has stopped.
    pub is_free: bool,
}

/// One unit in its life.
#[derive(Clone, Debug)]
pub(crate) struct Unit {
    spec: Spec,
    wish: Wish,
    phase: Phase,
    /// Grows with each phase: answers to older steps are void.
    ticket: u64,
    steps: Vec<Step>,
    backoff: Backoff,
    known: Option<Identity>,
    /// Whether it is certain that nothing of it runs.
    is_gone: bool,
    ran: bool,
    was_ready: bool,
    restarts: u32,
}

impl Unit {
    /// A unit that is not touched before it is told to. `known`: what ran for it according to the state on disk.
    pub fn new(spec: Spec, seed: u64, known: Option<Identity>) -> Self {
        let phase = if spec.enabled { Phase::Stopped } else { Phase::Disabled };
        Self {
            spec,
            wish: Wish::Nothing,
            phase,
            ticket: 0,
            steps: Vec::new(),
            backoff: Backoff::new(seed),
            known,
            is_gone: false,
            ran: false,
            was_ready: false,
            restarts: 0,
        }
    }

    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    pub fn ticket(&self) -> u64 {
        self.ticket
    }

    /// What is to be carried out, in order.
    pub fn take_steps(&mut self) -> Vec<Step> {
        std::mem::take(&mut self.steps)
    }

    /// When [`Unit::timeout`] is due next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.phase.timeout()
    }

    pub fn state(&self) -> State {
        match &self.phase {
            Phase::Disabled => State::Disabled,
            Phase::Waiting { on, .. } => State::Blocked { on: on.clone() },
            Phase::Looking { failed: Some(reason), .. }
            | Phase::Starting { failed: Some(reason), .. }
            | Phase::Failed { reason, .. } => State::Failed { reason: reason.clone() },
            Phase::Looking { since, .. } | Phase::Starting { since, .. } => {
                State::Starting { since: *since }
            }
            Phase::Up(up) if up.ready => State::Ready { since: up.since },
            Phase::Up(up) => State::Running { since: up.since, reason: up.reason.clone() },
            Phase::Pausing { until, reason, .. } => {
                let (attempt, until, reason) = (self.backoff.failures(), *until, reason.clone());
                if self.backoff.is_crash_loop() {
                    State::CrashLooping { attempt, until, reason }
                } else {
                    State::Backoff { attempt, until, reason }
                }
            }
            Phase::Stopping { since, .. } => State::Stopping { since: *since },
            Phase::Stopped => State::Stopped,
        }
    }

    /// What runs for it now.
    pub fn running(&self) -> Option<&Running> {
        match &self.phase {
            Phase::Up(up) => Some(&up.running),
            _ => None,
        }
    }

    /// When what runs was started.
    pub fn started(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Up(up) => Some(up.started),
            _ => None,
        }
    }

    /// What a later mainstay should look for.
    pub fn known(&self) -> Option<&Identity> {
        self.known.as_ref()
    }

    /// Whether the operator has stopped it.
    pub fn is_unwanted(&self) -> bool {
        self.spec.enabled && matches!(self.wish, Wish::Stop { .. })
    }

    /// How often it came up again.
    pub fn restarts(&self) -> u32 {
        self.restarts
    }

    /// Whether nothing of it runs, or nothing more can be done about it.
    pub fn is_at_rest(&self) -> bool {
        self.phase.is_at_rest()
    }

    /// Whether it keeps one that requires it from starting; `ran`: that one has run before.
    ///
    /// What has run before does not wait for what has been given up: nothing is gained if a broken unit keeps one
    /// down that worked beside it.
    pub fn keeps_waiting(&self, ran: bool) -> bool {
        let given_up = match &self.phase {
            Phase::Disabled => return false,
            Phase::Up(up) => return !up.was_ready,
            Phase::Stopped if self.wish == Wish::Nothing => return !self.was_ready,
            Phase::Failed { .. }
            | Phase::Looking { failed: Some(_), .. }
            | Phase::Starting { failed: Some(_), .. } => true,
            _ => self.backoff.is_crash_loop(),
        };
        !(given_up && ran && self.was_ready && self.wish == Wish::Run)
    }

    /// Whether it has run, in this life of mainstay.
    pub fn ran(&self) -> bool {
        self.ran
    }

    /// Whether it is ready.
    pub fn is_ready(&self) -> bool {
        matches!(&self.phase, Phase::Up(up) if up.ready)
    }

    /// Takes what the operator wants.
    pub fn order(&mut self, now: Instant, order: Order) {
        if !self.spec.enabled {
            return;
        }
        let drifted = self.running().is_some_and(|it| it.drift.is_some());
        self.backoff.reset();
        match order {
            Order::Stop => self.wish = Wish::Stop { in_order: false },
            Order::StopInOrder => self.wish = Wish::Stop { in_order: true },
            Order::Start | Order::Restart | Order::Apply => self.wish = Wish::Run,
        }
        match (order, &self.phase) {
            (Order::Restart, Phase::Up(_)) => self.stop(now),
            (Order::Apply, Phase::Up(_)) if drifted => self.stop(now),
            (
                Order::Start | Order::Restart | Order::Apply,
                Phase::Pausing { .. } | Phase::Failed { .. },
            ) => {
                self.wait();
            }
            // What could not be stopped is tried again.
            (Order::Stop | Order::StopInOrder, Phase::Failed { again: None, .. })
                if !self.is_gone =>
            {
                self.wait();
            }
            _ => {}
        }
    }

    /// Puts another specification in force. What runs is compared with it at once, and left alone.
    pub fn respecify(&mut self, now: Instant, spec: Spec) {
        let was_enabled = std::mem::replace(&mut self.spec, spec).enabled;
        match (was_enabled, self.spec.enabled) {
            (true, false) => self.enter(Phase::Disabled),
            (false, true) => {
                self.wish = Wish::Run;
                self.enter(Phase::Stopped);
            }
            _ => {}
        }
        match &mut self.phase {
            Phase::Up(up) => up.look = Due::At(now),
            // What was refused may be right now.
            Phase::Failed { again: Some(_), .. } => self.wait(),
            _ => {}
        }
    }

    /// It may run, contrary to what was believed.
    pub fn doubt(&mut self) {
        if self.spec.enabled {
            self.wait();
        }
    }

    /// Something that it requires has become ready: what failed without it may work now.
    pub fn encourage(&mut self) {
        if matches!(self.phase, Phase::Pausing { fault: true, .. }) {
            self.wait();
        }
    }

    /// Does what can be done without an answer from outside.
    pub fn advance(&mut self, now: Instant, circumstances: &Circumstances) {
        match (self.wish, &mut self.phase) {
            (Wish::Nothing, _) | (_, Phase::Disabled | Phase::Stopping { .. }) => {}
            (Wish::Stop { .. }, phase) if phase.is_at_rest() => {}
            (Wish::Stop { in_order }, _) if !in_order || circumstances.is_free => self.stop(now),
            (Wish::Stop { .. }, _) => {}
            // What runs already is found before anything is waited for.
            (Wish::Run, Phase::Stopped) => self.look(now, None),
            (Wish::Run, Phase::Waiting { on, looked }) => {
                if !circumstances.unmet.is_empty() {
                    on.clone_from(&circumstances.unmet);
                    *looked = false;
                } else if *looked {
                    self.start(now, None);
                } else {
                    self.look(now, None);
                }
            }
            (Wish::Run, _) => {}
        }
    }

    /// Does what is due.
    pub fn timeout(&mut self, now: Instant) {
        match &mut self.phase {
            Phase::Looking { deadline, .. } if *deadline <= now => {
                self.failed(
                    now,
                    Fault::passing(format!(
                        "not found out within {LONGEST_LOOK:?} whether it runs"
                    )),
                    &[],
                );
            }
            Phase::Starting { deadline, .. } if *deadline <= now => {
                let patience = self.spec.start_timeout;
                self.failed(
                    now,
                    Fault::passing(format!("it did not start within {patience:?}")),
                    &[],
                );
            }
            Phase::Up(up) => {
                let what = up.running.identity.clone();
                if up.ask.time() <= now {
                    up.asked(now);
                    self.steps.push(Step::AskReadiness { what: what.clone() });
                }
                if up.look.time() <= now {
                    up.looked(now);
                    self.steps.push(Step::Adopt { known: Some(what) });
                }
            }
            Phase::Pausing { until, .. } if *until <= now => self.wait(),
            Phase::Failed { again: Some(again), reason } if *again <= now => {
                let failed = Some(std::mem::take(reason));
                self.look(now, failed);
            }
            Phase::Stopping { due, .. } if due.time() <= now => match *due {
                Due::At(_) => self.stop(now),
                Due::Out(_) => {
                    self.stop_failed(now, &Fault::passing("it did not say that it has stopped"));
                }
            },
            _ => {}
        }
    }

    /// Takes what was seen. Answers to steps of an earlier phase are void.
    pub fn observe(&mut self, now: Instant, ticket: u64, seen: Observation, unmet: &[Name]) {
        if ticket != self.ticket {
            return;
        }
        match (&mut self.phase, seen) {
            (Phase::Looking { .. }, Observation::Adopted(running))
            | (Phase::Starting { .. }, Observation::Started(running)) => self.come_up(now, running),
            (Phase::Looking { failed, .. }, Observation::Gone) => {
                let failed = failed.take();
                self.is_gone = true;
                self.known = None;
                if failed.is_some() && unmet.is_empty() {
                    self.start(now, failed);
                } else {
                    self.enter(Phase::Waiting { on: unmet.to_vec(), looked: true });
                }
            }
            (Phase::Looking { .. }, Observation::Unknown(fault))
            | (Phase::Starting { .. }, Observation::StartFailed(fault)) => {
                self.failed(now, fault, unmet);
            }
            (Phase::Up(up), Observation::Readiness(answer)) => {
                up.answered(
                    now,
                    match answer {
                        Readiness::Ready => None,
                        Readiness::NotReady(reason) => Some(reason),
                    },
                );
                self.was_ready |= up.was_ready;
            }
            (Phase::Up(up), Observation::Adopted(running)) => {
                up.compared(now);
                if up.running.identity == running.identity {
                    up.running.drift = running.drift;
                } else {
                    self.come_up(now, running);
                }
            }
            (Phase::Up(up), Observation::Unknown(_)) => up.compared(now),
            (Phase::Up(_), Observation::Gone) => {
                let reason = "it is gone, and nothing told how it ended".to_owned();
                self.ended(now, Ended { reason, success: false });
            }
            (Phase::Up(_), Observation::Ended(ended)) => self.ended(now, ended),
            (Phase::Stopping { .. }, Observation::Stopped) => {
                self.is_gone = true;
                self.known = None;
                match self.wish {
                    Wish::Run => self.wait(),
                    Wish::Stop { .. } | Wish::Nothing => self.enter(Phase::Stopped),
                }
            }
            (Phase::Stopping { .. }, Observation::StopFailed(fault)) => {
                self.stop_failed(now, &fault);
            }
            _ => {}
        }
    }
}
