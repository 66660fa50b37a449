//! `mainstay down`: first the virtual IPs, then etcd's leadership, then the units in reverse.

use std::time::Duration;

use serde_json::json;
use supervisor::run::Command;
use supervisor::unit::{Kind, Name, Spec, Word};
use tokio::sync::oneshot;

use super::super::progress::{End, Progress};
use super::super::{Units, etcd};
use super::follow;
use crate::daemon::{self, DrainError, DrainRequest, Steps, UndrainRequest};
use crate::events::Entry;

/// How long one unit may take when the machine stops.
const STOP: Duration = Duration::from_secs(30);
/// Who has drained, for the record; what it drained `up` lets take part again.
const BY: &str = "mainstay down";

/// Stops all units.
pub async fn down(
    units: &Units,
    force: bool,
    patience: Duration,
    progress: &Progress,
) -> Result<End, End> {
    let handle = units.running()?;
    etcd::may_stop(units, "mainstay down", force, progress).await?;
    drain(units, force, progress).await?;
    etcd::give_up_leadership(units, progress).await;
    if let Err(error) = units.0.wanted.set(false) {
        progress.say(format!("the units would come up after a reboot: {error}"));
    }
    follow(&handle, Command::Down, patience, progress).await?;
    Ok(End::done("all units are stopped; `mainstay up` brings them up").with(units.statuses()))
}

/// The machine stops, and the virtual IPs are elsewhere. What systemd runs it stops itself, and only
/// once mainstay has ended. The units that were stopped here, and not by the operator before.
pub async fn shut_down(units: &Units) -> Vec<Name> {
    let Ok(handle) = units.running() else { return Vec::new() };
    let (progress, mut steps) = Progress::new();
    etcd::give_up_leadership(units, &progress).await;
    // Nobody waits for an answer: for the record.
    while let Ok(step) = steps.try_recv() {
        let entry = Entry { at: step.at, ..Entry::now("etcd_leadership", step.text) };
        units.0.log.push(entry.with(json!({ "unit": step.unit })));
    }
    let snapshot = handle.snapshot();
    let is_stopped =
        |name: &str| snapshot.unit(name).is_some_and(|unit| unit.state == Word::Stopped);
    let own = |spec: &&Spec| spec.enabled && spec.kind != Kind::Systemd;
    let parts = units.parts();
    let own = parts.specs().filter(own).map(|spec| spec.name.clone());
    let own: Vec<Name> = own.filter(|name| !is_stopped(name.as_str())).collect();
    for name in own.iter().rev() {
        // One that does not stop keeps none of the others from it.
        if let Err(end) = follow(&handle, Command::Stop(name.clone()), STOP, &progress).await {
            tracing::warn!("{name}: {}", end.text);
        }
    }
    own
}

/// Hands the virtual IPs over; refused where nobody takes them.
async fn drain(units: &Units, force: bool, progress: &Progress) -> Result<(), End> {
    let request = DrainRequest { router: None, force, timeout_ms: None, by: Some(BY.to_owned()) };
    let (reply, answer) = oneshot::channel();
    let sent = units.0.daemon.send(daemon::Command::Drain(request, reply)).await;
    let steps = match (sent, answer.await) {
        (Ok(()), Ok(Ok(steps))) => steps,
        // A worker, or a node without virtual IPs.
        (Ok(()), Ok(Err(DrainError::Nothing))) => return Ok(()),
        (Ok(()), Ok(Err(error))) => return Err(End::refused(error.to_string())),
        (Err(_), _) | (_, Err(_)) => return Err(End::failed("mainstay is stopping")),
    };
    let refused = tell(steps, progress).await;
    if refused.is_empty() {
        return Ok(());
    }
    undrain(units, progress).await;
    Err(End::refused(format!(
        "{}; nothing was stopped. Bring another master up first, or insist with --force",
        refused.join("; ")
    )))
}

/// Lets virtual routers that `down` has drained take part again.
pub async fn undrain(units: &Units, progress: &Progress) {
    let (reply, answer) = oneshot::channel();
    if units.0.daemon.send(daemon::Command::Status(reply)).await.is_err() {
        return;
    }
    let Ok(status) = answer.await else { return };
    let drained = status
        .virtual_routers
        .into_iter()
        .filter(|it| it.drained.as_ref().is_some_and(|mark| mark.by == BY));
    for router in drained {
        let request = UndrainRequest { router: Some(router.name), by: Some(BY.to_owned()) };
        let (reply, answer) = oneshot::channel();
        if units.0.daemon.send(daemon::Command::Undrain(request, reply)).await.is_ok()
            && let Ok(Ok(steps)) = answer.await
        {
            tell(steps, progress).await;
        }
    }
}

/// Tells the steps; those that were refused, in words.
async fn tell(mut steps: Steps, progress: &Progress) -> Vec<String> {
    let mut refused = Vec::new();
    while let Some(step) = steps.recv().await {
        let words = format!("{}: {}", step.router, step.text);
        if step.is_refused() {
            refused.push(words);
        } else {
            progress.say_of("VIP", words);
        }
    }
    refused
}
