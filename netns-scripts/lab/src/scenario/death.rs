//! The Active's link is cut: how soon the best Backup takes over.

use std::time::Duration;

use super::{Bar, Metric, Reading, Run, count};
use crate::timeline::adverts;
use crate::{Bench, LabError};

const PROBE: Duration = Duration::from_micros(250);
/// From how long before the takeover the probe's own lateness counts.
const EDGE: Duration = Duration::from_millis(1);

static FIRST_ADVERT: Metric = Metric {
    name: "first advert beyond Active_Down_Interval",
    unit: "ms",
    bar: Bar::MedianNeverNegative(0.2),
};
/// Part of the first answer's delay may be the probe's own.
static LATENESS: Metric =
    Metric { name: "the probe's own lateness then", unit: "ms", bar: Bar::None };
static WRONG_TAKER: Metric =
    Metric { name: "taken over by another than the best Backup", unit: "", bar: Bar::Every(0.0) };
static FIRST_ANSWER: Metric =
    Metric { name: "first answer beyond Active_Down_Interval", unit: "ms", bar: Bar::Median(1.0) };

/// Both figures count from the last advert of the dead Active, as the best Backup's timer does.
pub(super) fn node_death(bench: &Bench, run: Run) -> Result<Vec<Reading>, LabError> {
    let active = bench.converge()?;
    let heir = bench.heir(active)?;
    let probe = bench.probe(PROBE, active)?;
    bench.random_phase(run.number)?;
    let cut = bench.lab().cut(active)?;
    let deadline = bench.deadline();
    let served = probe.wait_served(deadline, |node| node != active);
    let log = probe.stop()?;
    served.ok_or_else(|| LabError::Deadline(format!("another than {active} to answer")))?;

    let events = bench.timeline().events();
    let last = adverts(&events).filter(|&(_, by)| by == active).map(|(at, _)| at).last();
    let last = last.ok_or_else(|| LabError::Invalid(format!("no advert of {active} seen")))?;
    let (first, taker) = adverts(&events)
        .find(|&(at, _)| at > last)
        .ok_or_else(|| LabError::Deadline("the new Active's advert".into()))?;
    let answer = log
        .first_answer(last, |node| node != active)
        .ok_or_else(|| LabError::Deadline("the new Active's answer".into()))?;
    if cut > first {
        return Err(LabError::Invalid("the takeover came before the cut".into()));
    }
    let due = last + bench.daemon().active_down(heir);
    let lateness = log.largest_lateness(due - EDGE, answer).as_secs_f64() * 1e3;
    Ok(vec![
        FIRST_ADVERT.is(first.millis_since(due)),
        FIRST_ANSWER.is(answer.millis_since(due)),
        LATENESS.is(lateness),
        WRONG_TAKER.is(count(usize::from(taker != heir))),
    ])
}
