//! What goes into the core and what comes out.

use std::time::Duration;

use crate::backend::{Ended, Fault, Identity, Readiness, Running};
use crate::unit::{Name, Word};

/// Something that the core has to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Mainstay has started: every unit that the operator has not stopped is to run.
    Resume,
    /// Every unit is to run.
    Start,
    /// Every unit is to stop, each after what depends on it.
    Stop,
    /// Every unit that is not as its specification asks for is to stop and start again: one after the other, each when
    /// the one before is ready. It ends at the first one that does not become so.
    Apply,
    /// The operator wants something of one unit.
    Command {
        /// Which.
        unit: Name,
        /// What.
        order: Order,
    },
    /// Something was seen of one unit.
    Observed {
        /// Which.
        unit: Name,
        /// The ticket of the step that it answers.
        ticket: u64,
        /// What.
        seen: Observation,
    },
    /// Time has passed; see [`Core::poll_timeout`](super::Core::poll_timeout).
    Tick,
}

/// What the operator may want of one unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// It is to run. What waits for its next attempt does so no longer.
    Start,
    /// It is to stop at once, and stay so until it is started or the machine boots. What depends on it runs on.
    Stop,
    /// It is to stop after all that depends on it.
    StopInOrder,
    /// It is to stop and start again.
    Restart,
    /// If what runs is not what the specification asks for, it is to stop and start again.
    Apply,
}

/// What was seen of a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observation {
    /// This runs, and was not started by this step.
    Adopted(Running),
    /// Nothing runs.
    Gone,
    /// It could not be found out what runs.
    Unknown(Fault),
    /// It was started.
    Started(Running),
    /// It was not started.
    StartFailed(Fault),
    /// What ran has ended.
    Ended(Ended),
    /// Its readiness.
    Readiness(Readiness),
    /// It was stopped.
    Stopped,
    /// It was not stopped.
    StopFailed(Fault),
}

/// What is to be done. Effects of one unit are to be carried out in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A unit's backend is to do something.
    Carry {
        /// Which unit.
        unit: Name,
        /// What the answer has to carry. What was to be done under a smaller ticket is to be given up.
        ticket: u64,
        /// What.
        step: Step,
    },
    /// Something has happened.
    Report(Report),
}

/// One call of a [`Backend`](crate::backend::Backend).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Look for what runs. Answer: adopted, gone or unknown.
    Adopt {
        /// What ran last, if that is known.
        known: Option<Identity>,
    },
    /// Answer: started or start failed.
    Start,
    /// Stop it; if `what` is `None`, whatever is found. Answer: stopped or stop failed.
    Stop {
        /// What runs, if that is known.
        what: Option<Identity>,
        /// How long to be polite.
        patience: Duration,
    },
    /// Wait for its end. Answer: ended.
    Watch {
        /// What runs.
        what: Identity,
    },
    /// Answer: readiness.
    AskReadiness {
        /// What runs.
        what: Identity,
    },
}

/// Something that has happened to a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Which.
    pub unit: Name,
    /// What.
    pub what: What,
}

/// What has happened to a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Its state has changed.
    State {
        /// Before.
        from: Word,
        /// Now.
        to: Word,
        /// Why, in words.
        reason: Option<String>,
    },
    /// It was found running, and is left alone.
    Adopted(Identity),
    /// It was started.
    Started(Identity),
    /// What runs is no longer what the specification asks for, or is so again: `None`.
    Drift(Option<String>),
    /// It is no unit of this node any more. What runs of it runs on.
    Left,
}
