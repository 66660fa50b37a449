//! One failover, to be drawn.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use super::client::Clients;
use crate::picture::Picture;
use crate::{Bench, Checked, Daemon, Interval, Kind, Lab, LabError, Node, Stamp, sleep_until};

/// What is seen before and after the apiserver's death.
const BEFORE: Duration = Duration::from_millis(100);
const AFTER: Duration = Duration::from_millis(300);
/// The kill comes so long after an advert, for both to be seen.
const PHASE: Duration = Duration::from_millis(60);
/// What is worth a note of what a daemon says.
const CODES: [&str; 3] = ["check_sick", "transition", "active_priority"];

/// The picture of an apiserver's death at adverts of 1 s, as SVG, in the lab named `name`.
///
/// # Errors
/// If the lab cannot be made, or nobody takes over.
pub fn drawn(name: &str, binary: Option<std::path::PathBuf>) -> Result<String, LabError> {
    let lab = Lab::up(name, 3)?;
    let second = Interval::from_millis(1000);
    let daemon =
        Daemon { binary, checked: Checked::Each(second), ..Daemon::new(Kind::Mainstay, second) };
    let bench = Bench::start(&lab, daemon)?;
    let active = bench.converge()?;
    let clients = Clients::start(&bench, active)?;
    bench.random_phase(0)?;
    sleep_until(Stamp::now() + PHASE);
    let zero = bench.apiservers()?.kill(active)?;
    let served = clients.probe().wait_served(bench.deadline(), |node| node != active);
    sleep_until(zero + AFTER);
    let seen = clients.stop()?;
    served.ok_or_else(|| LabError::Deadline("another router to serve the client".into()))?;
    let mut notes = vec![(zero, active, "apiserver killed".to_owned())];
    for &node in lab.nodes() {
        notes.extend(said(&lab, node)?);
    }
    let events = bench.timeline().events();
    let picture = Picture {
        title: "The apiserver of the Active is killed; adverts each second",
        zero,
        from: zero - BEFORE,
        until: zero + AFTER,
        nodes: lab.nodes(),
        owners: BTreeSet::from([active]),
        events: &events,
        notes: &notes,
        probe: &seen.probe,
        https: &seen.https,
    };
    let svg = picture.svg();
    bench.stop()?;
    Ok(svg)
}

/// What the daemon of `node` has told, with the time of CLOCK_MONOTONIC, which is that of all
/// instruments.
fn said(lab: &Lab, node: Node) -> Result<Vec<(Stamp, Node, String)>, LabError> {
    let said = lab.mainstay(node, &["events", "-o", "json"])?;
    let note = |line: &str| {
        let event: Value = serde_json::from_str(line).ok()?;
        let code = event["code"].as_str().filter(|code| CODES.contains(code))?;
        let at = Stamp::from_nanos(event["monotonic"].as_i64()?);
        let text = match code {
            "check_sick" => "its check fails".to_owned(),
            "transition" => format!("becomes {}", event["detail"]["to"].as_str()?),
            _ => "hears that the Active is degraded".to_owned(),
        };
        Some((at, node, text))
    };
    Ok(said.stdout.lines().filter_map(note).collect())
}
