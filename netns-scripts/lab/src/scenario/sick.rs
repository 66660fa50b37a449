//! The apiserver of the Active dies, hangs or fails, and another's does not.

use std::time::Duration;

use super::client::Clients;
use super::{Bar, Metric, Reading, Run};
use crate::{Answer, Apiservers, Bench, Checked, LabError, Node, Stamp};

/// kubeadm's setup takes half a minute.
const PATIENCE: Duration = Duration::from_secs(60);
/// What mainstay's check is left at by default: `interval`, `timeout`, `fall` and, on the holder,
/// the timeouts that it tolerates.
const EACH: Duration = Duration::from_secs(1);
const FALL: u32 = 3;
const HOLDER_TIMEOUTS: u32 = 6;

static SERVED: Metric =
    Metric { name: "served by another, beyond Skew_Time", unit: "ms", bar: Bar::Median(15.0) };
static SERVED_ALL: Metric =
    Metric { name: "served by another, from the death on", unit: "ms", bar: Bar::None };
static TOLERATED: Metric = Metric {
    name: "served by another, beyond what is tolerated and Skew_Time",
    unit: "ms",
    bar: Bar::Median(100.0),
};
static ANSWERED: Metric = Metric { name: "first HTTPS answer", unit: "ms", bar: Bar::None };

/// SIGKILL.
pub(super) fn killed(bench: &Bench, run: Run) -> Result<Vec<Reading>, LabError> {
    let none = Duration::ZERO;
    harmed(bench, run, Some(&SERVED), none, Apiservers::kill)
}

/// SIGSTOP: connections are accepted, and nothing answers. At worst a probe had just begun well.
pub(super) fn hung(bench: &Bench, run: Run) -> Result<Vec<Reading>, LabError> {
    harmed(bench, run, Some(&TOLERATED), EACH * HOLDER_TIMEOUTS + EACH, Apiservers::freeze)
}

/// HTTP 500.
pub(super) fn failing(bench: &Bench, run: Run) -> Result<Vec<Reading>, LabError> {
    harmed(bench, run, Some(&TOLERATED), EACH * FALL, |servers, node| {
        servers.answer(node, Answer::Status(500))
    })
}

fn harmed(
    bench: &Bench,
    run: Run,
    judged: Option<&'static Metric>,
    tolerated: Duration,
    harm: impl FnOnce(&Apiservers, Node) -> Result<Stamp, LabError>,
) -> Result<Vec<Reading>, LabError> {
    let active = bench.converge()?;
    let heir = bench.heir(active)?;
    let clients = Clients::start(bench, active)?;
    bench.random_phase(run.number)?;
    let at = harm(bench.apiservers()?, active)?;
    let deadline = Stamp::now() + PATIENCE;
    let served = clients.probe().wait_served(deadline, |node| node != active);
    let seen = clients.stop()?;
    served.ok_or_else(|| LabError::Deadline("another router to serve the client".into()))?;

    let missed = || LabError::Deadline("an answer of another router".into());
    let another = |node| node != active;
    let first = seen.probe.first_answer(at, another).ok_or_else(missed)?;
    let due = at + tolerated + bench.daemon().interval.skew(bench.daemon().priority(heir));
    let mut readings = Vec::new();
    // Of kubeadm's setup only the whole is of interest.
    let judged = judged.filter(|_| bench.daemon().checked != Checked::Kubeadm);
    readings.extend(judged.map(|metric| metric.is(first.millis_since(due))));
    readings.push(SERVED_ALL.is(first.millis_since(at)));
    readings
        .extend(seen.https.first_answer(at, another).map(|it| ANSWERED.is(it.millis_since(at))));
    readings.extend(seen.harmed(at));
    Ok(readings)
}
