//! The network is parted, both sides have an Active, and it heals.

use std::time::Duration;

use super::{Bar, Metric, Reading, Run};
use crate::{Bench, LabError, Stamp, sleep_until};

const PROBE: Duration = Duration::from_millis(1);
/// How long the client is watched after the lab has settled.
const WINDOW: Duration = Duration::from_secs(1);

static REACHED: Metric =
    Metric { name: "the client reaches the winner", unit: "ms", bar: Bar::Every(200.0) };

/// The client is on the loser's side in even runs and on the winner's in odd ones. It has reached
/// the winner when every later request is answered, and by it.
pub(super) fn partition_heal(bench: &Bench, run: Run) -> Result<Vec<Reading>, LabError> {
    let active = bench.converge()?;
    let heir = bench.heir(active)?;
    let winner = active.min(heir);
    let loser = active.max(heir);
    let by_client = if run.number.is_multiple_of(2) { loser } else { winner };
    let others: Vec<String> = bench
        .lab()
        .nodes()
        .iter()
        .filter(|&&node| node != active)
        .map(ToString::to_string)
        .collect();
    let mut groups = [active.to_string(), others.join(",")];
    groups[usize::from(by_client != active)].push_str(",client");

    let probe = bench.probe(PROBE, active)?;
    bench.lab().partition(&[&groups[0], &groups[1]])?;
    let parted = bench.wait(bench.deadline(), "an Active on both sides", |view| {
        (view.owners.len() == 2).then_some(())
    });
    let served = probe.wait_served(bench.deadline(), |node| node == by_client);
    bench.random_phase(run.number)?;
    let healed = bench.lab().heal()?;
    let settled = bench.settle();
    sleep_until(Stamp::now() + WINDOW);
    let end = Stamp::now();
    let log = probe.stop()?;
    parted?;
    served.ok_or_else(|| LabError::Deadline(format!("{by_client} to answer the client")))?;
    if settled? != winner {
        return Err(LabError::Invalid(format!("{winner} did not win")));
    }
    Ok(vec![match log.settled(healed, winner) {
        Some(at) => REACHED.is(at.millis_since(healed)),
        None => REACHED.is_at_least(end.millis_since(healed)),
    }])
}
