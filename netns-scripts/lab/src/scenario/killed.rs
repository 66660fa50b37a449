//! Processes of the Active die or freeze while its kernel lives.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Bar, Metric, Reading, Run};
use crate::timeline::{added, removed, two_owners};
use crate::{Bench, LabError, Node, Part, Stamp, sleep_until};

const PROBE: Duration = Duration::from_millis(1);
/// How long is waited beyond a lease for a VIP that should be gone.
const GRACE: Duration = Duration::from_millis(2500);

static VIP_GONE: Metric =
    Metric { name: "VIP gone from the node", unit: "ms", bar: Bar::Median(10.0) };
static SERVED: Metric =
    Metric { name: "served by another, beyond Skew_Time", unit: "ms", bar: Bar::Median(15.0) };
static SILENCE: Metric = Metric { name: "silence for the client", unit: "ms", bar: Bar::None };
static TWO_OWNERS: Metric =
    Metric { name: "two owners at the same time", unit: "ms", bar: Bar::None };
static TWO_OWNERS_LEASE: Metric =
    Metric { name: "two owners (lease 3 s)", unit: "s", bar: Bar::Every(3.5) };

/// The VRRP process is killed.
pub(super) fn child_killed(bench: &Bench, run: Run) -> Result<Vec<Reading>, LabError> {
    let active = bench.converge()?;
    let heir = bench.heir(active)?;
    let pids = bench.lab().pids(active)?;
    let probe = bench.probe(PROBE, active)?;
    bench.random_phase(run.number)?;
    let killed = pids.signal(Part::Child, nix::sys::signal::Signal::SIGKILL)?;
    let settled = bench.settle();
    // The client hears of the new Active a little later than the wire shows it.
    sleep_until(Stamp::now() + Duration::from_millis(200));
    let end = Stamp::now();
    let log = probe.stop()?;
    settled?;

    let events = bench.timeline().events();
    let gone = match removed(&events, active, killed) {
        Some(at) => VIP_GONE.is(at.millis_since(killed)),
        None => VIP_GONE.is_at_least(end.millis_since(killed)),
    };
    let skew = killed + bench.daemon().interval.skew(heir.priority());
    let taken = match log.first_answer(killed, |node| node != active) {
        Some(at) => SERVED.is(at.millis_since(skew)),
        None => SERVED.is_at_least(end.millis_since(skew)),
    };
    let both = two_owners(&events, BTreeSet::from([active]), end);
    Ok(vec![
        gone,
        taken,
        SILENCE.is(log.silence(killed, end).as_secs_f64() * 1e3),
        TWO_OWNERS.is(both.as_secs_f64() * 1e3),
    ])
}

/// All processes are killed at once.
pub(super) fn both_killed(bench: &Bench, run: Run) -> Result<Vec<Reading>, LabError> {
    without_processes(bench, run, nix::sys::signal::Signal::SIGKILL)
}

/// All processes are frozen at once.
pub(super) fn frozen(bench: &Bench, run: Run) -> Result<Vec<Reading>, LabError> {
    without_processes(bench, run, nix::sys::signal::Signal::SIGSTOP)
}

fn without_processes(
    bench: &Bench,
    run: Run,
    signal: nix::sys::signal::Signal,
) -> Result<Vec<Reading>, LabError> {
    let active = bench.converge()?;
    let pids = bench.lab().pids(active)?;
    let probe = bench.probe(PROBE, active)?;
    bench.random_phase(run.number)?;
    let at = pids.signal(Part::Both, signal)?;
    let taken = bench.wait(bench.deadline(), "another router to take the VIP", |view| {
        view.owners.iter().copied().find(|&node| node != active)
    });
    let gone = taken.and_then(|taker| wait_gone(bench, active, taker, at));
    // The client's silence may end later than the second owner.
    sleep_until(Stamp::now() + Duration::from_millis(500));
    let end = Stamp::now();
    let log = probe.stop()?;
    let gone = gone?;

    let events = bench.timeline().events();
    let both = two_owners(&events, BTreeSet::from([active]), end).as_secs_f64();
    let both = if gone { TWO_OWNERS_LEASE.is(both) } else { TWO_OWNERS_LEASE.is_at_least(both) };
    Ok(vec![both, SILENCE.is(log.silence(at, end).as_secs_f64() * 1e3)])
}

/// Whether the VIP leaves `active` within a lease and some grace, from `at` or from when `taker`
/// had it, whichever is later.
fn wait_gone(bench: &Bench, active: Node, taker: Node, at: Stamp) -> Result<bool, LabError> {
    let lease = Duration::from_secs(bench.daemon().lease_seconds.unwrap_or(3).into());
    let taken = added(&bench.timeline().events(), taker, at)
        .ok_or_else(|| LabError::Invalid(format!("{taker} had the VIP before")))?;
    let deadline = taken.max(at) + lease + GRACE;
    Ok(bench.wait(deadline, "", |view| (!view.owners.contains(&active)).then_some(())).is_ok())
}
