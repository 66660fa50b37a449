//! `vip drain`: a virtual router hands its addresses over and takes no more.
//!
//! It advertises priority 1 and goes on serving until another router is heard to be Active; then
//! it is marked as drained. If nobody takes over in time it is as before, unless that was forced.
//! Pure: [`super::draining`] does what is decided here.

mod answers;
mod marks;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use vrrp::router::LONGEST_LINGER;

pub use answers::{Answers, Steps};
pub use marks::{Mark, Marks, Writer};

use super::plan::Keeps;
use crate::timestamp::Timestamp;

/// How long the addresses may stay once another router is Active. Nobody who waits for a drain is
/// told before they are gone, so that whatever comes next loses nothing.
pub const LINGER: Duration = LONGEST_LINGER;

/// What `POST /v1/drain` asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DrainRequest {
    /// The virtual router; all of this node if there is none.
    pub router: Option<String>,
    /// Whether it is drained even if nobody takes over.
    pub force: bool,
    /// How long a successor is waited for, in milliseconds; each one's `drain_timeout` if not given.
    pub timeout_ms: Option<u64>,
    /// Who asks, for people.
    pub by: Option<String>,
}

/// What `POST /v1/undrain` asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UndrainRequest {
    /// The virtual router; all of this node if there is none.
    pub router: Option<String>,
    /// Who asks, for people.
    pub by: Option<String>,
}

/// How far a drain of one virtual router is: a line of the answer to `POST /v1/drain`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The virtual router.
    pub router: String,
    /// What became of it.
    pub outcome: Outcome,
    /// The same for people, and what to do about it.
    pub text: String,
    /// Who asked for it.
    pub by: String,
    /// The router that is Active now, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub successor: Option<IpAddr>,
    /// After how long it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<u64>,
    /// How long a successor is waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

/// What became of a virtual router that was to be drained or undrained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It advertises priority 1 and waits for a successor. Another step follows.
    Waiting,
    /// It is drained; another router is Active.
    HandedOver,
    /// It is drained; it was not Active.
    Drained,
    /// It was drained before.
    AlreadyDrained,
    /// It is drained by force, and Active for want of a successor.
    Kept,
    /// It is as before: nobody takes over.
    Refused,
    /// The drain was taken back by somebody else before it had come to an end.
    Cancelled,
    /// It is no longer drained.
    Undrained,
    /// It was not drained.
    NotDrained,
}

/// Who has the addresses of a virtual router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// The VRRP process has not said.
    Unknown,
    /// This node.
    Here,
    /// Not this node; the Active, if it is known.
    Elsewhere(Option<Active>),
}

/// An Active that was heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Active {
    /// Its address.
    pub source: IpAddr,
    /// Which node it is, if the configuration tells.
    pub node: Option<String>,
    /// What it advertised, if that is known.
    pub priority: Option<u8>,
}

/// An order to drain one virtual router.
#[derive(Clone, Debug)]
pub struct Order {
    /// Who gave it.
    pub mark: Mark,
    /// How long a successor is waited for.
    pub patience: Duration,
    /// Whether it is drained even without one.
    pub force: bool,
    /// Why nobody would take over, if that is so.
    pub keeps: Option<Keeps>,
}

/// All drains of this node.
#[derive(Debug, Default)]
pub struct Drains {
    marks: Marks,
    waits: BTreeMap<String, Wait>,
}

/// A drain that has not come to an end.
#[derive(Debug)]
struct Wait {
    order: Order,
    asked: Instant,
    until: Instant,
    /// Whether it was Active here since.
    was_active: bool,
    /// Since when it no longer is, and who is instead.
    left: Option<(Instant, Option<Active>)>,
}

impl Drains {
    /// With the marks of an earlier daemon.
    pub fn new(marks: Marks) -> Self {
        Self { marks, waits: BTreeMap::new() }
    }

    /// The marks in force.
    pub fn marks(&self) -> &Marks {
        &self.marks
    }

    /// Whether a virtual router is drained, or about to be.
    pub fn is_drained(&self, router: &str) -> bool {
        self.marks.get(router).is_some() || self.waits.contains_key(router)
    }

    /// Begins to drain a virtual router, or joins a drain that is under way.
    pub fn drain(&mut self, now: Instant, router: &str, order: Order, holder: Holder) -> Step {
        let patience = order.patience;
        if order.keeps == Some(Keeps::Owner) {
            return Step::new(router, Outcome::Refused, words::OWNER, &order.mark.by);
        }
        if let Some(wait) = self.waits.get_mut(router) {
            wait.until = wait.until.max(now + patience);
            wait.order.force |= order.force;
            let patience = wait.until.saturating_duration_since(now);
            return Step::waiting(router, patience, &order.mark.by);
        }
        let known = self.marks.get(router);
        let was_active = holder == Holder::Here;
        match (holder, known) {
            (Holder::Elsewhere(_), Some(mark)) => {
                let by = &order.mark.by;
                Step::new(router, Outcome::AlreadyDrained, words::already(mark), by)
            }
            (Holder::Elsewhere(active), None) => {
                let text = words::drained(active.as_ref());
                let step = Step::new(router, Outcome::Drained, text, &order.mark.by);
                self.marks.set(router, order.mark);
                step.to(active.as_ref())
            }
            (Holder::Here | Holder::Unknown, known) => {
                let step = Step::waiting(router, patience, &order.mark.by);
                let mark = known.cloned().unwrap_or_else(|| order.mark.clone());
                // In vain where nobody would take over.
                let until = if order.keeps.is_some() { now } else { now + patience };
                let wait = Wait {
                    order: Order { mark, ..order },
                    asked: now,
                    until,
                    was_active,
                    left: None,
                };
                self.waits.insert(router.to_owned(), wait);
                step
            }
        }
    }

    /// The VRRP process says who has the addresses of a virtual router.
    pub fn observe(&mut self, now: Instant, router: &str, holder: Holder) {
        let Some(wait) = self.waits.get_mut(router) else { return };
        match holder {
            Holder::Unknown => {}
            Holder::Here => {
                wait.was_active = true;
                wait.left = None;
            }
            Holder::Elsewhere(active) => {
                let (_, successor) = wait.left.get_or_insert((now, None));
                // The one that it yielded to is better known later, if at all.
                *successor = successor.take().or(active);
            }
        }
    }

    /// When [`Drains::due`] has something to say.
    pub fn deadline(&self) -> Option<Instant> {
        self.waits.values().map(Wait::deadline).min()
    }

    /// The drains that come to an end now.
    pub fn due(&mut self, now: Instant) -> Vec<Step> {
        let ended = self.waits.extract_if(.., |_, wait| wait.deadline() <= now);
        let ended: Vec<_> = ended.collect();
        ended.into_iter().map(|(router, wait)| self.end(&router, wait)).collect()
    }

    fn end(&mut self, router: &str, wait: Wait) -> Step {
        let Wait { order, asked, was_active, left, .. } = wait;
        let Order { mark, patience, force, keeps } = order;
        let by = mark.by.clone();
        let was_drained = self.marks.get(router).is_some();
        if left.is_some() || force {
            self.marks.set(router, mark);
        }
        match left {
            None if force => Step::new(router, Outcome::Kept, words::kept(keeps, patience), &by),
            None => {
                let text = words::refused(keeps, was_active, was_drained, patience);
                Step::new(router, Outcome::Refused, text, &by)
            }
            Some((at, active)) if was_active => {
                let took = at.saturating_duration_since(asked);
                let text = words::handed_over(active.as_ref(), took);
                let took_ms = u64::try_from(took.as_millis()).ok();
                let step = Step::new(router, Outcome::HandedOver, text, &by);
                Step { took_ms, ..step.to(active.as_ref()) }
            }
            Some((_, active)) => {
                let text = words::drained(active.as_ref());
                Step::new(router, Outcome::Drained, text, &by).to(active.as_ref())
            }
        }
    }

    /// No longer drains a virtual router, as somebody asks. Also the last step of a drain that this
    /// ends.
    pub fn undrain(&mut self, router: &str, by: &str) -> (Step, Option<Step>) {
        let marked = self.marks.remove(router).is_some();
        let cancelled = self.waits.remove(router);
        let step = |outcome, text| Step::new(router, outcome, text, by);
        let cancelled = cancelled.map(|_| step(Outcome::Cancelled, words::CANCELLED));
        let undrained = if marked || cancelled.is_some() {
            step(Outcome::Undrained, words::UNDRAINED)
        } else {
            step(Outcome::NotDrained, words::NOT_DRAINED)
        };
        (undrained, cancelled)
    }

    /// The virtual routers that wait for a successor.
    pub fn waiting(&self) -> Vec<String> {
        self.waits.keys().cloned().collect()
    }

    /// The virtual routers that are drained or about to be.
    pub fn names(&self) -> BTreeSet<String> {
        self.marks.names().into_iter().chain(self.waits.keys().cloned()).collect()
    }
}

impl Wait {
    fn deadline(&self) -> Instant {
        match self.left {
            Some((at, _)) if self.was_active => at + LINGER,
            Some((at, _)) => at,
            None => self.until,
        }
    }
}

impl Step {
    fn new(router: &str, outcome: Outcome, text: impl Into<String>, by: &str) -> Self {
        Self {
            router: router.to_owned(),
            outcome,
            text: text.into(),
            by: by.to_owned(),
            successor: None,
            took_ms: None,
            timeout_ms: None,
        }
    }

    fn waiting(router: &str, patience: Duration, by: &str) -> Self {
        let timeout_ms = u64::try_from(patience.as_millis()).ok();
        Self { timeout_ms, ..Self::new(router, Outcome::Waiting, words::waiting(patience), by) }
    }

    fn to(self, active: Option<&Active>) -> Self {
        Self { successor: active.map(|active| active.source), ..self }
    }

    /// Whether no other step of this virtual router follows.
    pub fn is_last(&self) -> bool {
        self.outcome != Outcome::Waiting
    }

    /// Whether it is not as it was asked to be.
    pub fn is_refused(&self) -> bool {
        matches!(self.outcome, Outcome::Refused | Outcome::Cancelled)
    }
}

impl Mark {
    /// One that is set now.
    pub fn now(by: &str) -> Self {
        Self { since: Timestamp::now(), by: by.to_owned() }
    }
}

#[cfg(test)]
mod tests;
