//! A world for the core: backends that answer what the test says, and a clock that the test moves.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::{Action, Core, Input, Memory, Observation, Order, Report, Step, What};
use crate::backend::{Ended, Fault, Identity, Readiness, Running};
use crate::graph::Graph;
use crate::unit::{Kind, Name, Spec, Word};

/// The core, what it has asked for and not been answered yet, and what it has reported.
pub struct World {
    pub core: Core,
    pub now: Instant,
    pub asked: VecDeque<(Name, u64, Step)>,
    pub reports: Vec<Report>,
    runs: u32,
}

pub fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub fn spec(unit: &str, requires: &[&str]) -> Spec {
    Spec::new(name(unit), Kind::Exec).requires(requires.iter().map(|it| name(it)))
}

pub fn identity(id: &str) -> Identity {
    Identity::Container { id: id.to_owned(), spec_hash: "h".to_owned() }
}

pub fn running(id: &str) -> Running {
    Running { identity: identity(id), age: None, drift: None }
}

impl World {
    pub fn new(specs: Vec<Spec>, memory: &BTreeMap<Name, Memory>) -> Self {
        let now = Instant::now() + Duration::from_secs(1_000_000);
        let core = Core::new(now, Graph::new(specs).unwrap(), 1, memory);
        let (asked, reports) = (VecDeque::new(), Vec::new());
        Self { core, now, asked, reports, runs: 0 }
    }

    /// One where nothing runs, and mainstay has just started.
    pub fn resumed(specs: Vec<Spec>) -> Self {
        let mut world = Self::new(specs, &BTreeMap::new());
        world.input(Input::Resume);
        world
    }

    pub fn input(&mut self, input: Input) {
        self.core.handle(self.now, input);
        self.drain();
    }

    pub fn drain(&mut self) {
        while let Some(action) = self.core.poll_action() {
            match action {
                Action::Carry { unit, ticket, step } => self.asked.push_back((unit, ticket, step)),
                Action::Report(report) => self.reports.push(report),
            }
        }
    }

    pub fn order(&mut self, unit: &str, order: Order) {
        self.input(Input::Command { unit: name(unit), order });
    }

    /// Moves the clock, firing what is due on the way.
    pub fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some(due) = self.core.poll_timeout().filter(|&due| due <= end) {
            self.now = self.now.max(due);
            self.input(Input::Tick);
        }
        self.now = end;
        self.input(Input::Tick);
    }

    /// Moves the clock to the unit's next attempt.
    pub fn pass_until_attempt(&mut self, unit: &str) {
        while !self.asks(unit, |it| matches!(it, Step::Adopt { .. })) {
            self.now = self.core.poll_timeout().unwrap();
            self.input(Input::Tick);
        }
    }

    /// Answers the oldest question of this kind about a unit.
    pub fn answer(&mut self, unit: &str, seen: Observation) {
        let fits = |step: &Step| match seen {
            Observation::Adopted(_) | Observation::Gone | Observation::Unknown(_) => {
                matches!(step, Step::Adopt { .. })
            }
            Observation::Started(_) | Observation::StartFailed(_) => matches!(step, Step::Start),
            Observation::Ended(_) => matches!(step, Step::Watch { .. }),
            Observation::Readiness(_) => matches!(step, Step::AskReadiness { .. }),
            Observation::Stopped | Observation::StopFailed(_) => matches!(step, Step::Stop { .. }),
        };
        let ticket = self.core.ticket(unit);
        // What was asked before the unit moved on is given up.
        self.asked.retain(|(name, it, _)| name.as_str() != unit || Some(*it) == ticket);
        let place =
            self.asked.iter().position(|(name, _, step)| name.as_str() == unit && fits(step));
        let place =
            place.unwrap_or_else(|| panic!("{unit}: nobody asked for {seen:?}: {:?}", self.asked));
        let (unit, ticket, _) = self.asked.remove(place).unwrap();
        self.input(Input::Observed { unit, ticket, seen });
    }

    /// Whether this is asked about a unit now.
    pub fn asks(&self, unit: &str, kind: impl Fn(&Step) -> bool) -> bool {
        let ticket = self.core.ticket(unit);
        self.asked
            .iter()
            .any(|(name, it, step)| name.as_str() == unit && Some(*it) == ticket && kind(step))
    }

    pub fn stops(&self, unit: &str) -> bool {
        self.asks(unit, |it| matches!(it, Step::Stop { .. }))
    }

    /// A unit that is looked for, not found, and starts; returns what runs.
    pub fn come_up(&mut self, unit: &str) -> Identity {
        if self.asks(unit, |it| matches!(it, Step::Adopt { .. })) {
            self.answer(unit, Observation::Gone);
        }
        self.runs += 1;
        let running = running(&format!("{unit}-{}", self.runs));
        self.answer(unit, Observation::Started(running.clone()));
        running.identity
    }

    /// The same, and becomes ready.
    pub fn become_ready(&mut self, unit: &str) -> Identity {
        let identity = self.come_up(unit);
        self.ready(unit);
        identity
    }

    pub fn ready(&mut self, unit: &str) {
        self.pass(Duration::ZERO);
        self.answer(unit, Observation::Readiness(Readiness::Ready));
    }

    pub fn not_ready(&mut self, unit: &str, reason: &str) {
        self.pass(Duration::ZERO);
        self.answer(unit, Observation::Readiness(Readiness::NotReady(reason.to_owned())));
    }

    pub fn end(&mut self, unit: &str, reason: &str) {
        self.answer(unit, Observation::Ended(Ended { reason: reason.to_owned(), success: false }));
    }

    pub fn refuse(&mut self, unit: &str, reason: &str) {
        self.answer(unit, Observation::StartFailed(Fault::refused(reason)));
    }

    pub fn state(&self, unit: &str) -> Word {
        let index = self.core.graph().position(unit).unwrap();
        self.core.members()[index].unit.state().word()
    }

    pub fn reason(&self, unit: &str) -> Option<String> {
        let index = self.core.graph().position(unit).unwrap();
        self.core.members()[index].unit.state().reason()
    }

    pub fn restarts(&self, unit: &str) -> u32 {
        let index = self.core.graph().position(unit).unwrap();
        self.core.members()[index].unit.restarts()
    }

    pub fn reported(&self, unit: &str, what: &What) -> bool {
        self.reports.iter().any(|it| it.unit.as_str() == unit && it.what == *what)
    }
}
