//! How a command gets on.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use tokio::sync::watch;

use super::{Snapshot, UnitStatus};
use crate::unit::{Name, Word};

/// A unit has moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// Which.
    pub unit: Name,
    /// Where to.
    pub state: Word,
    /// Why, in words.
    pub reason: Option<String>,
}

/// What came of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All is as it was asked for.
    Done,
    /// These are not, and will not be soon.
    Trouble(Vec<Update>),
}

/// How a command gets on. The command is carried out whether or not this is read.
#[derive(Debug)]
pub struct Progress {
    snapshot: watch::Receiver<Arc<Snapshot>>,
    scope: Vec<Name>,
    is_start: bool,
    told: BTreeMap<Name, (Word, Option<String>)>,
    updates: VecDeque<Update>,
    outcome: Option<Outcome>,
}

impl Progress {
    pub(super) fn new(
        snapshot: watch::Receiver<Arc<Snapshot>>,
        before: &Snapshot,
        scope: Vec<Name>,
        is_start: bool,
    ) -> Self {
        let told = before.units.iter().map(|it| (it.name.clone(), (it.state, it.reason.clone())));
        let (told, updates) = (told.collect(), VecDeque::new());
        Self { snapshot, scope, is_start, told, updates, outcome: None }
    }

    /// What the command is about.
    pub fn scope(&self) -> &[Name] {
        &self.scope
    }

    /// The next move of a unit that the command is about; `None` once there is an outcome.
    pub async fn next(&mut self) -> Option<Update> {
        loop {
            if let Some(update) = self.updates.pop_front() {
                return Some(update);
            }
            if self.outcome.is_some() {
                return None;
            }
            let snapshot = Arc::clone(&self.snapshot.borrow_and_update());
            self.look(&snapshot);
            if self.updates.is_empty()
                && self.outcome.is_none()
                && self.snapshot.changed().await.is_err()
            {
                let ended = |unit: &Name| Update {
                    unit: unit.clone(),
                    state: Word::Stopped,
                    reason: Some("the supervisor has ended; what runs runs on".to_owned()),
                };
                self.outcome = Some(Outcome::Trouble(self.scope.iter().map(ended).collect()));
            }
        }
    }

    /// Waits for what comes of the command.
    pub async fn outcome(&mut self) -> Outcome {
        while self.next().await.is_some() {}
        self.outcome.clone().unwrap_or(Outcome::Done)
    }

    fn look(&mut self, snapshot: &Snapshot) {
        for unit in snapshot.units.iter().filter(|it| self.scope.contains(&it.name)) {
            let now = (unit.state, unit.reason.clone());
            if self.told.get(&unit.name) != Some(&now) {
                self.told.insert(unit.name.clone(), now);
                self.updates.push_back(update(unit));
            }
        }
        self.outcome = outcome(snapshot, &self.scope, self.is_start);
    }
}

fn update(unit: &UnitStatus) -> Update {
    Update { unit: unit.name.clone(), state: unit.state, reason: unit.reason.clone() }
}

/// What came of it; `None` while there is hope.
fn outcome(snapshot: &Snapshot, scope: &[Name], is_start: bool) -> Option<Outcome> {
    let mut trouble = Vec::new();
    for unit in scope.iter().filter_map(|it| snapshot.unit(it.as_str())) {
        match unit.state {
            Word::Disabled | Word::Stopped => {}
            Word::Ready if is_start => {}
            Word::Failed => trouble.push(update(unit)),
            _ if is_start && is_stuck(snapshot, unit) => trouble.push(update(unit)),
            _ => return None,
        }
    }
    Some(if trouble.is_empty() { Outcome::Done } else { Outcome::Trouble(trouble) })
}

/// Whether a unit waits for somebody to act.
fn is_stuck(snapshot: &Snapshot, unit: &UnitStatus) -> bool {
    match unit.state {
        Word::Failed | Word::CrashLooping | Word::Stopped => true,
        Word::Blocked => unit
            .blocked_on
            .iter()
            .filter_map(|it| snapshot.unit(it.as_str()))
            .any(|it| is_stuck(snapshot, it)),
        _ => false,
    }
}
