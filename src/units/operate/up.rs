//! `mainstay up`

use std::time::{Duration, Instant};

use supervisor::run::Command;

use super::super::Units;
use super::super::progress::{End, Progress};
use super::down;
use super::follow;
use crate::timestamp::span;

/// Brings all units up and waits until they are ready.
pub async fn up(units: &Units, patience: Duration, progress: &Progress) -> Result<End, End> {
    let start = Instant::now();
    if let Err(error) = units.0.wanted.set(true) {
        progress.say(format!("the units will not come up after a reboot: {error}"));
    }
    down::undrain(units, progress).await;
    let handle = units.handle().map_err(|error| End::failed(error.to_string()))?;
    follow(&handle, Command::Up, patience, progress).await?;
    let count = handle.snapshot().units.len();
    let time = span(start.elapsed());
    Ok(End::done(format!("{count} units are ready, after {time}")).with(units.statuses()))
}
