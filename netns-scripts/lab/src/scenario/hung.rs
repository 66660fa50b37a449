//! All that the Active's daemon leans on hangs: adverts must still leave in time.

use std::time::Duration;

use super::client::millis;
use super::{Bar, Metric, Reading, count};
use crate::timeline::adverts;
use crate::{Bench, Daemon, Event, Lab, LabError, RrLoop, Stamp, Surroundings, sleep_until};

/// 3,000 adverts of 10 ms.
const SPAN: Duration = Duration::from_secs(30);
/// Before it all begins.
const CALM: Duration = Duration::from_secs(1);

static TAKEOVERS: Metric = Metric { name: "moves of the VIP", unit: "", bar: Bar::Every(0.0) };
static LATENESS: Metric =
    Metric { name: "adverts late, 99.9th percentile", unit: "ms", bar: Bar::Every(1.0) };
static WORST: Metric = Metric { name: "adverts late, the latest", unit: "ms", bar: Bar::None };
static LOOP: Metric =
    Metric { name: "bare SCHED_RR loop late, the latest", unit: "ms", bar: Bar::None };

/// The apiservers of all routers, their disks, the journal and the resolution of names hang.
pub(super) fn hung(
    lab: &Lab,
    daemon: &Daemon,
    runs: u32,
    progress: &mut dyn FnMut(u32),
) -> Result<Vec<Reading>, LabError> {
    let surroundings = Surroundings::prepare(lab)?;
    let bench = Bench::start(lab, Daemon { hangable: true, ..daemon.clone() })?;
    let mut readings = Vec::new();
    for run in 1..=runs {
        progress(run);
        let measured = measure(&bench, &surroundings);
        surroundings.release()?;
        bench.recover()?;
        readings.extend(measured?);
    }
    bench.stop()?;
    Ok(readings)
}

fn measure(bench: &Bench, surroundings: &Surroundings) -> Result<Vec<Reading>, LabError> {
    let active = bench.converge()?;
    let period = bench.daemon().interval.duration();
    sleep_until(Stamp::now() + CALM);
    let bare = RrLoop::start(period, 2 * SPAN);
    let start = Stamp::now();
    for &node in bench.lab().nodes() {
        bench.apiservers()?.freeze(node)?;
    }
    surroundings.hang()?;
    sleep_until(start + SPAN);
    let end = Stamp::now();
    let bare = bare.stop()?.largest_gap.saturating_sub(period);

    let events = bench.timeline().events();
    let takeovers = events.iter().filter(|timed| matches!(timed.event, Event::Added(_))).count();
    let sent: Vec<Stamp> = adverts(&events)
        .filter(|&(at, by)| by == active && (start..end).contains(&at))
        .map(|(at, _)| at)
        .collect();
    let mut late: Vec<Duration> =
        sent.windows(2).map(|pair| (pair[1] - pair[0]).saturating_sub(period)).collect();
    late.sort_unstable();
    let (Some(&latest), Some(&nearly)) = (late.last(), late.get(late.len() * 999 / 1000)) else {
        return Err(LabError::Deadline(format!("adverts of {active}")));
    };
    Ok(vec![
        TAKEOVERS.is(count(takeovers)),
        LATENESS.is(millis(nearly)),
        WORST.is(millis(latest)),
        LOOP.is(millis(bare)),
    ])
}
