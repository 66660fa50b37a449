//! The Active gives the VIP away, or is told to have another priority: nobody may notice.

use std::time::Duration;

use super::client::Clients;
use super::{Bar, Metric, Reading, Run, count};
use crate::timeline::moves;
use crate::{Bench, Daemon, Endless, Event, Kind, LabError, Node, Stamp, sleep_until};

/// How long is watched after the VIP has moved, or would have.
const AFTER: Duration = Duration::from_millis(1500);
/// The Active's new priority: still a healthy one.
const LOWER: u8 = 140;
const CUT_OFF: Duration = Duration::from_secs(5);

static RESET: Metric = Metric {
    name: "a connection that lasts is cut off, after the move",
    unit: "ms",
    bar: Bar::Every(50.0),
};
static MOVED: Metric =
    Metric { name: "another has the VIP, after the order", unit: "ms", bar: Bar::None };
static NOT_MOVED: Metric =
    Metric { name: "VIP installed or removed, times", unit: "", bar: Bar::Every(0.0) };

/// `mainstay vip drain`. keepalived has no such thing: it is stopped.
pub(super) fn drain(bench: &Bench, run: Run) -> Result<Vec<Reading>, LabError> {
    if bench.daemon().kind == Kind::Keepalived {
        return stop(bench, run);
    }
    let mut drained = None;
    let readings = given_away(bench, run, |active| {
        drained = Some(active);
        mainstay(bench, active, &["vip", "drain"])
    });
    if let Some(active) = drained {
        mainstay(bench, active, &["vip", "undrain"])?;
    }
    readings
}

/// SIGTERM.
pub(super) fn stop(bench: &Bench, run: Run) -> Result<Vec<Reading>, LabError> {
    given_away(bench, run, |active| bench.lab().stop(active))
}

fn mainstay(bench: &Bench, node: Node, arguments: &[&str]) -> Result<(), LabError> {
    let said = bench.lab().mainstay(node, arguments)?;
    if said.code == Some(0) {
        return Ok(());
    }
    let command = arguments.join(" ");
    Err(LabError::Command { command, message: format!("{:?}: {}", said.code, said.stderr) })
}

fn given_away(
    bench: &Bench,
    run: Run,
    order: impl FnOnce(Node) -> Result<(), LabError>,
) -> Result<Vec<Reading>, LabError> {
    let active = bench.converge()?;
    let clients = Clients::start(bench, active)?;
    let endless = Endless::start(bench.lab(), bench.family())?;
    if endless.by() != active {
        return Err(LabError::Invalid(format!("{} serves the connection", endless.by())));
    }
    bench.random_phase(run.number)?;
    let at = Stamp::now();
    let ordered = order(active);
    let moved = bench.wait(bench.deadline(), "another router to take the VIP", |view| {
        let other = |event: &Event| matches!(event, Event::Added(node) if *node != active);
        view.events.iter().find(|timed| other(&timed.event)).map(|timed| timed.at)
    });
    sleep_until(Stamp::now() + AFTER);
    let seen = clients.stop()?;
    let (_, moved) = (ordered?, moved?);

    let mut readings = seen.unharmed(at);
    readings.push(match endless.wait_ended(moved + CUT_OFF) {
        Some((end, _)) => RESET.is(end.millis_since(moved)),
        None => RESET.is_at_least(super::client::millis(CUT_OFF)),
    });
    readings.push(MOVED.is(moved.millis_since(at)));
    Ok(readings)
}

/// A lower priority in the configuration, and a reload.
pub(super) fn priority(bench: &Bench, run: Run) -> Result<Vec<Reading>, LabError> {
    let active = bench.converge()?;
    let clients = Clients::start(bench, active)?;
    let nodes = bench.lab().nodes();
    let priority = |&node: &Node| (node, if node == active { LOWER } else { node.priority() });
    let lower =
        Daemon { priorities: nodes.iter().map(priority).collect(), ..bench.daemon().clone() };
    bench.random_phase(run.number)?;
    let at = Stamp::now();
    let told = bench.lab().configure(nodes, &lower);
    sleep_until(Stamp::now() + AFTER);
    let seen = clients.stop()?;
    let moved = moves(&bench.timeline().events(), at);
    bench.lab().configure(nodes, bench.daemon())?;
    told?;
    let mut readings = vec![NOT_MOVED.is(count(moved))];
    readings.extend(seen.unharmed(at));
    Ok(readings)
}
