//! Draining virtual routers as the operator asks for it: does what [`super::drain`] decides.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use supervisor::state_file::move_aside;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};
use vrrp::router::State;

use super::actor::Daemon;
use super::drain::{
    Active, Answers, DrainRequest, Drains, Holder, Mark, Marks, Order, Outcome, Step, Steps,
    UndrainRequest, Writer,
};
use super::plan::Terms;
use super::stop::Stopping;
use super::vrrp::{Stage, Vrrp};
use crate::events::Entry;

/// No longer drain is waited for, in milliseconds: ten minutes, as the configuration has it.
const LONGEST_MS: u64 = 600_000;
/// A longer name of who asks is cut off, in characters.
const MAX_BY: usize = 64;

/// Why nothing was drained, or undrained.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DrainError {
    /// No virtual router has that name.
    #[error("no virtual router is named `{name}`; this node has: {known}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// The node has none.
    #[error("this node has no virtual routers: there is nothing to drain")]
    Nothing,
    /// The VRRP process does not understand it.
    #[error(
        "the VRRP process is of another version and takes no orders of this daemon: stop and start \
         the unit instead"
    )]
    Foreign,
    /// The daemon is on its way out.
    #[error("mainstay is stopping, which hands the addresses over anyway")]
    Stopping,
}

/// All drains, and who waits for them.
#[derive(Debug)]
pub(super) struct Draining {
    drains: Drains,
    answers: Answers,
}

/// What happens to drains.
#[derive(Debug)]
pub(super) enum Happening {
    /// The marks are written, or cannot be.
    Written(io::Result<()>),
    /// Something is due.
    Due,
}

impl Draining {
    /// With the marks that an earlier daemon wrote to `file`, and an event if they cannot be read.
    pub(super) fn load(file: std::path::PathBuf) -> (Self, Option<Entry>) {
        let (marks, entry) = match Marks::load(&file) {
            Ok(marks) => (marks, None),
            Err(error) => {
                let aside = move_aside(&file);
                let what = format!("{} made no sense: {aside}", file.display());
                let why = format!("{error}; what was drained takes part again");
                (Marks::default(), Some(Entry::now("state_corrupt", what).because(why)))
            }
        };
        (Self { drains: Drains::new(marks), answers: Answers::new(Writer::new(file)) }, entry)
    }

    /// What happens next. Loses nothing when it is cancelled.
    pub(super) async fn next(&mut self) -> Happening {
        let deadline = self.drains.deadline().into_iter().chain(self.answers.deadline()).min();
        let due = async {
            match deadline {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            written = self.answers.written() => Happening::Written(written),
            () = due => Happening::Due,
        }
    }

    /// The mark of a virtual router that is drained.
    pub(super) fn mark(&self, router: &str) -> Option<&Mark> {
        self.drains.marks().get(router)
    }

    /// Whether a virtual router is drained, or about to be.
    pub(super) fn is_drained(&self, router: &str) -> bool {
        self.drains.is_drained(router)
    }

    /// Why the marks would not outlive a restart.
    pub(super) fn problem(&self) -> Option<&str> {
        self.answers.problem()
    }
}

impl Daemon {
    /// `vip drain`
    pub(super) fn on_drain(
        &mut self,
        request: &DrainRequest,
        reply: oneshot::Sender<Result<Steps, DrainError>>,
    ) {
        let steps = self.to_drain(request.router.as_deref()).map(|routers| {
            let steps = self.draining.answers.listen(routers.clone());
            let mark = Mark::now(&who(request.by.as_deref()));
            routers.iter().for_each(|router| self.drain(router, &mark, request));
            self.tell_eligibilities();
            steps
        });
        // Whoever asked may have gone: the drain goes on.
        let _ = reply.send(steps);
    }

    /// `vip undrain`
    pub(super) fn on_undrain(
        &mut self,
        request: &UndrainRequest,
        reply: oneshot::Sender<Result<Steps, DrainError>>,
    ) {
        let steps = self.to_undrain(request.router.as_deref()).map(|routers| {
            let by = who(request.by.as_deref());
            let undrained: Vec<Step> =
                routers.iter().map(|router| self.undrain(router, &by)).collect();
            if undrained.iter().any(|step| step.outcome == Outcome::Undrained) {
                self.write_marks();
            }
            let steps = self.draining.answers.listen(routers);
            undrained.into_iter().for_each(|step| self.take_step(step));
            self.tell_eligibilities();
            steps
        });
        let _ = reply.send(steps);
    }

    /// A drain has come to an end, or its mark is on disk.
    pub(super) fn on_draining(&mut self, happening: Happening) {
        match happening {
            Happening::Written(written) => {
                if let Some(problem) = self.draining.answers.confirm(written) {
                    self.note(Entry::now("state_unwritable", problem));
                }
            }
            Happening::Due => {
                let now = Instant::now();
                self.draining.answers.give_up(now);
                let steps = self.draining.drains.due(now);
                if steps.iter().any(|step| !step.is_refused()) {
                    self.write_marks();
                }
                steps.into_iter().for_each(|step| self.take_step(step));
                self.tell_eligibilities();
            }
        }
    }

    /// The VRRP process has said something, or is there no more: who has which addresses.
    pub(super) fn observe_holders(&mut self) {
        let now = Instant::now();
        for router in self.draining.drains.waiting() {
            let holder = self.holder(&router);
            self.draining.drains.observe(now, &router, holder);
        }
    }

    fn drain(&mut self, router: &str, mark: &Mark, request: &DrainRequest) {
        let Some(&Terms { drain_timeout, keeps, .. }) = self.plan.terms.get(router) else { return };
        let patience = request.timeout_ms.map(|it| Duration::from_millis(it.min(LONGEST_MS)));
        let order = Order {
            mark: mark.clone(),
            patience: patience.unwrap_or(drain_timeout),
            force: request.force,
            keeps,
        };
        let holder = self.holder(router);
        let step = self.draining.drains.drain(Instant::now(), router, order, holder);
        if step.outcome == Outcome::Drained {
            self.write_marks();
        }
        self.take_step(step);
    }

    fn undrain(&mut self, router: &str, by: &str) -> Step {
        let (step, cancelled) = self.draining.drains.undrain(router, by);
        if let Some(cancelled) = cancelled {
            self.draining.answers.tell_now(&cancelled);
        }
        step
    }

    fn write_marks(&mut self) {
        let marks = self.draining.drains.marks().clone();
        self.draining.answers.write(Instant::now(), marks);
    }

    /// Records a step, has it take effect, and tells whoever waits for it.
    fn take_step(&mut self, step: Step) {
        let Step { router, outcome, text, by, .. } = &step;
        self.eligibilities.set_drained(router, self.draining.is_drained(router));
        let code = match outcome {
            Outcome::Waiting => Some("draining"),
            Outcome::HandedOver | Outcome::Drained | Outcome::Kept => Some("drained"),
            Outcome::Refused => Some("drain_refused"),
            Outcome::Undrained => Some("undrained"),
            Outcome::AlreadyDrained | Outcome::Cancelled | Outcome::NotDrained => None,
        };
        if let Some(code) = code {
            self.note(Entry::now(code, text).of(router).because(format!("{by} asked for it")));
        }
        self.draining.answers.tell(step);
    }

    /// Who has the addresses of a virtual router, as far as this daemon knows.
    fn holder(&self, router: &str) -> Holder {
        let is_gone = !self.plan.terms.contains_key(router);
        let known = match &self.vrrp {
            Vrrp::Idle | Vrrp::Waiting { .. } => return Holder::Elsewhere(None),
            Vrrp::Running(_) if is_gone => return Holder::Elsewhere(None),
            Vrrp::Running(_) => self.known.routers.get(router),
        };
        match known {
            None => Holder::Unknown,
            Some(known) if known.state == State::Active => Holder::Here,
            Some(known) => Holder::Elsewhere(known.active_router.map(|source| {
                let priority = known.active_priority.map(vrrp::Priority::get);
                let node = self.plan.setup.advertiser(router, source, priority);
                let node = node.filter(|it| *it != self.options.node.to_string());
                Active { source, node: node.map(ToOwned::to_owned), priority }
            })),
        }
    }

    fn to_drain(&self, name: Option<&str>) -> Result<Vec<String>, DrainError> {
        if !matches!(self.stopping, Stopping::No | Stopping::Asking(_)) {
            return Err(DrainError::Stopping);
        }
        if let Vrrp::Running(running) = &self.vrrp
            && running.stage == Stage::Foreign
        {
            return Err(DrainError::Foreign);
        }
        let known: Vec<String> = self.plan.terms.keys().cloned().collect();
        choose(name, known)
    }

    /// Marks of virtual routers that are not configured can be taken away too.
    fn to_undrain(&self, name: Option<&str>) -> Result<Vec<String>, DrainError> {
        let mut known: BTreeSet<String> = self.plan.terms.keys().cloned().collect();
        known.extend(self.draining.drains.names());
        choose(name, known.into_iter().collect())
    }
}

fn choose(name: Option<&str>, known: Vec<String>) -> Result<Vec<String>, DrainError> {
    match name {
        _ if known.is_empty() => Err(DrainError::Nothing),
        None => Ok(known),
        Some(name) if known.iter().any(|it| it == name) => Ok(vec![name.to_owned()]),
        Some(name) => Err(DrainError::Unknown { name: name.to_owned(), known: known.join(", ") }),
    }
}

/// Who asks, fit to be shown.
fn who(by: Option<&str>) -> String {
    let name: String =
        by.unwrap_or_default().chars().filter(|it| !it.is_control()).take(MAX_BY).collect();
    if name.trim().is_empty() { "somebody".to_owned() } else { name }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn all_are_drained_unless_one_is_named_that_exists() {
        let known = || vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(choose(None, known()), Ok(known()));
        assert_eq!(choose(Some("b"), known()), Ok(vec!["b".to_owned()]));
        assert_eq!(choose(None, Vec::new()), Err(DrainError::Nothing));
        let error = choose(Some("c"), known()).unwrap_err();
        assert_eq!(error.to_string(), "no virtual router is named `c`; this node has: a, b");
    }

    #[test]
    fn a_name_is_shown_without_what_a_terminal_would_obey() {
        assert_eq!(who(Some("al\u{1b}ice")), "alice");
        assert_eq!(who(Some(&"x".repeat(100))).len(), MAX_BY);
        assert_eq!(who(Some(" ")), "somebody");
        assert_eq!(who(None), "somebody");
    }
}
