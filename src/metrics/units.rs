//! The metrics of the units beneath the virtual IPs.

use std::fmt;

use super::encoder::{Encoder, Labels, about, seconds};
use super::families::flag;
use crate::units::UnitStatus;

const STATES: [&str; 10] = [
    "disabled",
    "blocked",
    "starting",
    "running",
    "ready",
    "backoff",
    "crash-looping",
    "stopping",
    "stopped",
    "failed",
];

/// All of them.
pub(super) fn encode(units: &[UnitStatus], encoder: &mut Encoder<'_>) -> fmt::Result {
    let infos = units.iter().map(|it| vec![("unit", it.name.clone()), ("kind", it.kind.clone())]);
    encoder.infos(about("unit", "The units beneath the virtual IPs."), infos)?;
    let states = units.iter().flat_map(|unit| {
        STATES.map(|state| {
            let labels = vec![("unit", unit.name.clone()), ("state", state.to_owned())];
            (labels, flag(unit.state == state))
        })
    });
    encoder.gauges(about("unit_state", "1 for the state that the unit is in."), states)?;
    let ready = units.iter().map(|it| (of(it), flag(it.is_ready())));
    encoder.gauges(about("unit_ready", "Whether the unit does its work."), ready)?;
    let drifted = units.iter().map(|it| (of(it), flag(it.drift.is_some())));
    let help = "Whether the unit runs otherwise than the configuration says now.";
    encoder.gauges(about("unit_drift", help), drifted)?;
    let restarts = units.iter().map(|it| (of(it), it.restarts));
    let help = "How often the unit was started again after it ended by itself.";
    encoder.counters(about("unit_restarts", help), restarts)?;
    let since = units.iter().filter_map(|it| Some((of(it), it.since?.unix_millis() as f64 / 1e3)));
    let help = "When the unit last changed its state, since 1970.";
    encoder.gauges(seconds("unit_state_timestamp", help), since)
}

fn of(unit: &UnitStatus) -> Labels {
    vec![("unit", unit.name.clone())]
}
