//! The moves of the state machine from one phase to the next.

use std::time::{Duration, Instant};

use super::{Unit, Wish};
use crate::backend::{Ended, Fault, Running};
use crate::core::Step;
use crate::unit::phase::{Due, Phase, Up};
use crate::unit::{Name, Restart};

/// How long it may take to look for what runs.
pub(super) const LONGEST_LOOK: Duration = Duration::from_secs(30);
/// A stop may take this much longer than the unit's own stop timeout: for the force after it.
const FORCE: Duration = Duration::from_secs(30);
/// So many attempts are made to stop a unit.
const STOP_ATTEMPTS: u32 = 3;
/// The pause between them.
const STOP_PAUSE: Duration = Duration::from_secs(1);
/// How often the guard of a unit that was refused is asked again.
const ASK_GUARD: Duration = Duration::from_secs(60);

impl Unit {
    pub(super) fn enter(&mut self, phase: Phase) {
        self.ticket += 1;
        self.phase = phase;
    }

    pub(super) fn wait(&mut self) {
        self.enter(Phase::Waiting { on: Vec::new(), looked: false });
    }

    pub(super) fn look(&mut self, now: Instant, failed: Option<String>) {
        self.enter(Phase::Looking { since: now, deadline: now + LONGEST_LOOK, failed });
        self.steps.push(Step::Adopt { known: self.known.clone() });
    }

    pub(super) fn start(&mut self, now: Instant, failed: Option<String>) {
        self.is_gone = false;
        let deadline = now + self.spec.start_timeout;
        self.enter(Phase::Starting { since: now, deadline, failed });
        self.steps.push(Step::Start);
    }

    pub(super) fn come_up(&mut self, now: Instant, running: Running) {
        if self.ran {
            self.restarts = self.restarts.saturating_add(1);
        }
        self.ran = true;
        self.is_gone = false;
        self.known = Some(running.identity.clone());
        self.steps.push(Step::Watch { what: running.identity.clone() });
        self.enter(Phase::Up(Up::new(now, running)));
    }

    pub(super) fn ended(&mut self, now: Instant, ended: Ended) {
        let Phase::Up(up) = &self.phase else { return };
        self.backoff.ran(now.saturating_duration_since(up.started));
        self.is_gone = true;
        self.known = None;
        let again = match self.spec.restart {
            Restart::Always => true,
            Restart::OnFailure => !ended.success,
            Restart::Never => false,
        };
        if again {
            self.pause(now, ended.reason, false);
        } else if ended.success {
            self.wish = Wish::Nothing;
            self.enter(Phase::Stopped);
        } else {
            self.enter(Phase::Failed { reason: ended.reason, again: None });
        }
    }

    pub(super) fn failed(&mut self, now: Instant, fault: Fault, unmet: &[Name]) {
        if fault.refused {
            let again = Some(now + ASK_GUARD);
            self.enter(Phase::Failed { reason: fault.reason, again });
        } else if unmet.is_empty() {
            self.pause(now, fault.reason, true);
        } else {
            // No wonder.
            self.enter(Phase::Waiting { on: unmet.to_vec(), looked: false });
        }
    }

    pub(super) fn pause(&mut self, now: Instant, reason: String, fault: bool) {
        let until = now + self.backoff.failed();
        self.enter(Phase::Pausing { until, reason, fault });
    }

    pub(super) fn stop(&mut self, now: Instant) {
        let (since, what, failures) = match &self.phase {
            Phase::Stopping { since, what, failures, .. } => (*since, what.clone(), *failures),
            Phase::Up(up) => (now, Some(up.running.identity.clone()), 0),
            _ if self.is_gone => return self.enter(Phase::Stopped),
            _ => (now, self.known.clone(), 0),
        };
        let patience = self.spec.stop_timeout;
        let due = Due::Out(now + patience + FORCE);
        self.enter(Phase::Stopping { since, what: what.clone(), failures, due });
        self.steps.push(Step::Stop { what, patience });
    }

    pub(super) fn stop_failed(&mut self, now: Instant, fault: &Fault) {
        let Phase::Stopping { since, what, failures, .. } = &self.phase else { return };
        let (since, what, failures) = (*since, what.clone(), failures + 1);
        if failures < STOP_ATTEMPTS {
            let due = Due::At(now + STOP_PAUSE);
            self.enter(Phase::Stopping { since, what, failures, due });
        } else {
            let reason = format!("it could not be stopped: {fault}");
            let again = (self.wish == Wish::Run).then(|| now + ASK_GUARD);
            self.enter(Phase::Failed { reason, again });
        }
    }
}
