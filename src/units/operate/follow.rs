//! Telling how a command gets on.

use std::time::Duration;

use supervisor::run::{Command, Handle, Outcome, Update};
use supervisor::unit::Word;
use tokio::time::{Instant, timeout_at};

use super::super::progress::{End, Progress};

/// Has something done and waits until it is, telling each step.
pub async fn follow(
    handle: &Handle,
    command: Command,
    patience: Duration,
    progress: &Progress,
) -> Result<(), End> {
    let deadline = Instant::now() + patience;
    let mut steps =
        handle.command(command).await.map_err(|error| End::failed(error.to_string()))?;
    loop {
        match timeout_at(deadline, steps.next()).await {
            Ok(Some(update)) => progress.say_of(update.unit.as_str(), words(&update)),
            Ok(None) => break,
            Err(_) => {
                let snapshot = handle.snapshot();
                let scope = snapshot.units.iter().filter(|it| steps.scope().contains(&it.name));
                let states = scope.map(|it| format!("{} is {}", it.name, it.state));
                let states = states.collect::<Vec<_>>().join(", ");
                return Err(End::failed(format!(
                    "not done within {patience:?}, and still under way: {states}: see `mainstay \
                     status`"
                )));
            }
        }
    }
    match steps.outcome().await {
        Outcome::Done => Ok(()),
        Outcome::Trouble(updates) => Err(trouble(&updates)),
    }
}

/// What waits for another unit says less than that unit.
fn trouble(updates: &[Update]) -> End {
    let causes: Vec<&Update> = updates.iter().filter(|it| it.state != Word::Blocked).collect();
    let words = causes.iter().map(|it| format!("{} is {}", it.unit, words(it)));
    let words = words.collect::<Vec<_>>().join("\n");
    let is_refused = !causes.is_empty() && causes.iter().all(|it| it.state == Word::Failed);
    if is_refused { End::refused(words) } else { End::failed(words) }
}

fn words(update: &Update) -> String {
    match &update.reason {
        Some(reason) => format!("{}: {reason}", update.state),
        None => update.state.to_string(),
    }
}
