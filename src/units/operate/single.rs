//! `mainstay unit start|stop|restart` and `mainstay apply`

use std::time::Duration;

use supervisor::run::Command;
use supervisor::unit::Name;

use super::super::operation::UnitOrder;
use super::super::progress::{End, Progress};
use super::super::{Units, compose, etcd};
use super::follow;

/// Acts on one unit.
pub async fn order(
    units: &Units,
    unit: &str,
    order: UnitOrder,
    force: bool,
    patience: Duration,
    progress: &Progress,
) -> Result<End, End> {
    let handle = units.running()?;
    let name = Name::new(unit).map_err(|error| End::refused(error.to_string()))?;
    if order != UnitOrder::Start && ends_etcd(unit) && units.is_up("etcd") {
        etcd::may_stop(units, &format!("stopping {unit}"), force, progress).await?;
        etcd::give_up_leadership(units, progress).await;
    }
    let (command, done) = match order {
        UnitOrder::Start => (Command::Start(name), "is ready"),
        UnitOrder::Stop => (Command::Stop(name), "is stopped"),
        UnitOrder::Restart => (Command::Restart(name), "is ready again"),
    };
    follow(&handle, command, patience, progress).await?;
    Ok(End::done(format!("{unit} {done}")).with(units.statuses()))
}

/// Restarts units that are not as the configuration says, one after the other.
pub async fn apply(
    units: &Units,
    names: &[String],
    force: bool,
    patience: Duration,
    progress: &Progress,
) -> Result<End, End> {
    let handle = units.running()?;
    let known = units.statuses();
    for name in names {
        if !known.iter().any(|it| it.name == *name) {
            let all: Vec<&str> = known.iter().map(|it| it.name.as_str()).collect();
            let all = all.join(", ");
            return Err(End::refused(format!("there is no unit {name}: name one of {all}")));
        }
    }
    let mut applied = Vec::new();
    for unit in known.iter().filter(|it| it.drift.is_some()) {
        if !names.is_empty() && !names.contains(&unit.name) {
            continue;
        }
        let name = &unit.name;
        progress.say_of(name, unit.drift.clone().unwrap_or_default());
        if ends_etcd(name) {
            etcd::may_stop(units, &format!("restarting {name}"), force, progress).await?;
            etcd::give_up_leadership(units, progress).await;
        }
        let unit = Name::new(name).map_err(|error| End::failed(error.to_string()))?;
        follow(&handle, Command::Apply(Some(unit)), patience, progress).await?;
        applied.push(name.as_str());
    }
    Ok(match applied.as_slice() {
        [] => End::done("all units are as the configuration says"),
        names => End::done(format!("restarted: {}", names.join(", "))),
    })
}

/// Whether etcd's member does not run while this unit does not: a container may end with dockerd.
fn ends_etcd(unit: &str) -> bool {
    matches!(unit, compose::ETCD | compose::DOCKERD)
}
