//! Every core is overloaded: adverts must still leave in time.

use std::time::Duration;

use super::{Bar, Metric, Reading, Run, count};
use crate::timeline::largest_gap;
use crate::{Bench, Event, Hogs, LabError, RrLoop, Stamp, sleep_until};

static TAKEOVERS: Metric = Metric { name: "false takeovers", unit: "", bar: Bar::Every(0.0) };
static GAP: Metric = Metric { name: "largest advert gap", unit: "ms", bar: Bar::None };
static LOOP: Metric = Metric { name: "bare SCHED_RR loop's gap", unit: "ms", bar: Bar::None };
static BEYOND_LOOP: Metric =
    Metric { name: "largest gap beyond the bare loop's", unit: "ms", bar: Bar::Every(5.0) };

/// A bare loop of the same period runs beside it, to tell the daemon from the machine.
pub(super) fn hogs(bench: &Bench, run: Run) -> Result<Vec<Reading>, LabError> {
    bench.converge()?;
    let span = Duration::from_secs(run.spans.hog.into());
    let bare = RrLoop::start(bench.daemon().interval.duration(), 2 * span);
    let hogs = Hogs::two_per_core(span + Duration::from_secs(1))?;
    let start = Stamp::now();
    sleep_until(start + span);
    let end = Stamp::now();
    drop(hogs);
    let bare = bare.stop()?.largest_gap.as_secs_f64() * 1e3;

    let events = bench.timeline().events();
    let takeovers = events.iter().filter(|timed| matches!(timed.event, Event::Added(_))).count();
    let gap = largest_gap(&events, start, end).as_secs_f64() * 1e3;
    Ok(vec![TAKEOVERS.is(count(takeovers)), GAP.is(gap), LOOP.is(bare), BEYOND_LOOP.is(gap - bare)])
}
