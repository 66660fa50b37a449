//! The calls of backends that are under way.

use std::collections::BTreeMap;
use std::mem::{Discriminant, discriminant};
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::backend::{Backend, Fault};
use crate::core::{Input, Observation, Step};
use crate::unit::Name;

/// The calls of backends that are under way. They are given up when this is dropped.
pub(super) struct Tasks {
    answers: mpsc::UnboundedSender<Input>,
    under_way: BTreeMap<Name, Vec<Task>>,
}

struct Task {
    ticket: u64,
    kind: Discriminant<Step>,
    handle: JoinHandle<()>,
}

impl Tasks {
    /// Answers go to `answers`.
    pub fn new(answers: mpsc::UnboundedSender<Input>) -> Self {
        Self { answers, under_way: BTreeMap::new() }
    }

    /// Starts a call. Those of the unit under older tickets, and one of the same kind, are given up first, and it
    /// begins when they are gone.
    pub fn carry(&mut self, unit: Name, ticket: u64, step: Step, backend: Arc<dyn Backend>) {
        let kind = discriminant(&step);
        let old = self.give_up(&unit, |task| task.ticket < ticket || task.kind == kind);
        let (answers, name) = (self.answers.clone(), unit.clone());
        let handle = tokio::spawn(async move {
            for task in old {
                // An error is how a task that was given up ends.
                let _ = task.await;
            }
            let seen = call(&*backend, step).await;
            // An error means that the supervisor has ended.
            let _ = answers.send(Input::Observed { unit: name, ticket, seen });
        });
        self.under_way.entry(unit).or_default().push(Task { ticket, kind, handle });
    }

    /// Gives up what was started under an older ticket: nobody waits for its answer.
    pub fn give_up_older(&mut self, unit: &Name, ticket: u64) {
        let old = self.give_up(unit, |task| task.ticket < ticket);
        // Whoever comes next has to wait for them.
        let tasks = old.into_iter().map(|handle| Task {
            ticket: 0,
            kind: discriminant(&Step::Start),
            handle,
        });
        self.under_way.entry(unit.clone()).or_default().extend(tasks);
    }

    fn give_up(&mut self, unit: &Name, which: impl Fn(&Task) -> bool) -> Vec<JoinHandle<()>> {
        let Some(tasks) = self.under_way.get_mut(unit) else { return Vec::new() };
        let mut old = Vec::new();
        for task in std::mem::take(tasks) {
            if task.handle.is_finished() {
                continue;
            }
            if which(&task) {
                task.handle.abort();
                old.push(task.handle);
            } else {
                tasks.push(task);
            }
        }
        old
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.under_way.values().flatten().for_each(|task| task.handle.abort());
    }
}

async fn call(backend: &dyn Backend, step: Step) -> Observation {
    match step {
        Step::Adopt { known } => match backend.adopt(known.as_ref()).await {
            Ok(Some(running)) => Observation::Adopted(running),
            Ok(None) => Observation::Gone,
            Err(fault) => Observation::Unknown(fault),
        },
        Step::Start => match backend.start().await {
            Ok(running) => Observation::Started(running),
            Err(fault) => Observation::StartFailed(fault),
        },
        Step::Stop { what, patience } => {
            let stopped = match what {
                Some(what) => backend.stop(&what, patience).await,
                None => stop_what_is_found(backend, patience).await,
            };
            match stopped {
                Ok(()) => Observation::Stopped,
                Err(fault) => Observation::StopFailed(fault),
            }
        }
        Step::Watch { what } => Observation::Ended(backend.ended(&what).await),
        Step::AskReadiness { what } => Observation::Readiness(backend.readiness(&what).await),
    }
}

async fn stop_what_is_found(
    backend: &dyn Backend,
    patience: std::time::Duration,
) -> Result<(), Fault> {
    match backend.adopt(None).await? {
        Some(running) => backend.stop(&running.identity, patience).await,
        None => Ok(()),
    }
}
