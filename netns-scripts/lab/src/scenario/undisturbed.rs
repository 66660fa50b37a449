//! Things that must not be noticed from outside: restarts and reloads of the Active.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::{Bar, Metric, Reading, Run, count};
use crate::timeline::{largest_gap, moves};
use crate::{Bench, Daemon, Kind, LabError, Node, Part, Stamp, sleep_until};

const PROBE: Duration = Duration::from_millis(1);
/// How long is watched before and after.
const WINDOW: Duration = Duration::from_secs(1);

static MOVES: Metric =
    Metric { name: "VIP installed or removed, times", unit: "", bar: Bar::Every(0.0) };
static LOST: Metric = Metric { name: "1 kHz probes lost", unit: "", bar: Bar::Every(0.0) };
static GAP: Metric = Metric { name: "largest advert gap", unit: "intervals", bar: Bar::Every(1.3) };

/// SIGKILL to the parent, which is then started again.
pub(super) fn parent_killed(bench: &Bench, run: Run) -> Result<Vec<Reading>, LabError> {
    unnoticed(bench, run, |active| {
        bench.lab().kill(active, Part::Parent)?;
        bench.restart_dead()
    })
}

/// SIGHUP to the parent.
pub(super) fn reload(bench: &Bench, run: Run) -> Result<Vec<Reading>, LabError> {
    unnoticed(bench, run, |active| bench.lab().reload(active).map(drop))
}

/// A copy of the binary replaces the running one. Without systemd, which tells a restart from a
/// stop, mainstay's parent is killed; keepalived is stopped and started.
pub(super) fn restart(bench: &Bench, run: Run) -> Result<Vec<Reading>, LabError> {
    let daemon = bench.daemon().clone();
    unnoticed(bench, run, |active| {
        if daemon.kind == Kind::Keepalived {
            bench.lab().stop(active)?;
            return bench.lab().start(&[active], &daemon);
        }
        let binary = copied_binary(bench, active)?;
        bench.lab().kill(active, Part::Parent)?;
        bench.lab().start(&[active], &Daemon { binary: Some(binary), ..daemon })
    })
}

/// Copies the binary that runs on `node`.
fn copied_binary(bench: &Bench, node: Node) -> Result<PathBuf, LabError> {
    let pids = bench.lab().pids(node)?;
    let parent = pids.parent.ok_or_else(|| LabError::Invalid(format!("nothing runs on {node}")))?;
    let new = bench.lab().directory(node).join("mainstay");
    let copy = || -> std::io::Result<()> {
        // Beside and then in place: a running binary cannot be written to.
        fs::copy(format!("/proc/{parent}/exe"), new.with_extension("new"))?;
        fs::rename(new.with_extension("new"), &new)
    };
    copy().map_err(LabError::instrument("copying the binary"))?;
    Ok(new)
}

fn unnoticed(
    bench: &Bench,
    run: Run,
    trouble: impl FnOnce(Node) -> Result<(), LabError>,
) -> Result<Vec<Reading>, LabError> {
    let active = bench.converge()?;
    let probe = bench.probe(PROBE, active)?;
    let start = Stamp::now();
    sleep_until(start + WINDOW);
    bench.random_phase(run.number)?;
    let troubled = trouble(active);
    let settled = bench.settle();
    sleep_until(Stamp::now() + WINDOW);
    let end = Stamp::now();
    let log = probe.stop()?;
    troubled?;
    settled?;

    let events = bench.timeline().events();
    let gap = largest_gap(&events, start, end).as_secs_f64();
    Ok(vec![
        MOVES.is(count(moves(&events, start))),
        LOST.is(count(log.lost(start, end))),
        GAP.is(gap / bench.daemon().interval.duration().as_secs_f64()),
    ])
}
