//! Somebody on the link sends malformed adverts: nothing may come of it.

use std::time::Duration;

use nix::unistd::Pid;

use super::{Bar, Metric, Reading, Run, count};
use crate::inject::Injector;
use crate::timeline::{adverts, moves};
use crate::{
    Bench, Flood, LabError, Malformed, Node, Port, Stamp, Usage, lower_priority, sleep_until,
};

const PROBE: Duration = Duration::from_millis(1);
/// How long the daemons' own use of CPU is watched before.
const BEFORE: Duration = Duration::from_secs(1);
/// How often a right advert is sent, of lower priority, and how soon the answer is due.
const QUESTION: Duration = Duration::from_secs(1);
const ANSWER: Duration = Duration::from_millis(30);

static MOVED: Metric =
    Metric { name: "VIP installed or removed, times", unit: "", bar: Bar::Every(0.0) };
static LEFT_OUT: Metric = Metric { name: "adverts left out", unit: "", bar: Bar::Every(0.0) };
static GAP: Metric = Metric { name: "largest advert gap", unit: "intervals", bar: Bar::Every(1.3) };
static LOST: Metric = Metric { name: "1 kHz probes lost", unit: "", bar: Bar::Every(0.0) };
static UNANSWERED: Metric =
    Metric { name: "right adverts of lower priority not answered", unit: "", bar: Bar::Every(0.0) };
static RATE: Metric = Metric { name: "malformed adverts sent", unit: "per s", bar: Bar::None };

/// Microseconds of CPU per packet that are as good as none. keepalived has the
/// kernel judge the checksums of IPv6, which costs it nothing.
const NEARLY_NOTHING: f64 = 0.2;

/// CPU per malformed advert and router. Of a bad checksum no simple filter can tell.
static EACH: [Metric; 9] = {
    const fn each(name: &'static str, bar: Bar) -> Metric {
        Metric { name, unit: "us", bar }
    }
    const FILTERED: Bar = Bar::ShareOr(1.0 / 3.0, NEARLY_NOTHING);
    const JUDGED: Bar = Bar::ShareOr(0.5, NEARLY_NOTHING);
    [
        each("CPU per packet: all kinds in turn", JUDGED),
        each("CPU per packet: checksum", JUDGED),
        each("CPU per packet: version", FILTERED),
        each("CPU per packet: type", FILTERED),
        each("CPU per packet: TTL", FILTERED),
        each("CPU per packet: length", FILTERED),
        each("CPU per packet: VRID", FILTERED),
        each("CPU per packet: interval 0", FILTERED),
        each("CPU per packet: empty", FILTERED),
    ]
};

/// From how many frames a second on a flood is more than a trickle.
const FAST: u32 = 10_000;
/// How many runs show every kind.
pub(super) const KINDS: u32 = 9;

/// The first run sends all kinds in turn, each later one a kind of its own, of a trickle for half as
/// long. Also sends right adverts
/// of lower priority, midway between two of the Active's, which it must answer at once (RFC 9568,
/// 6.4.3).
pub(super) fn flood(bench: &Bench, run: Run, rate: u32) -> Result<Vec<Reading>, LabError> {
    let number = usize::try_from(run.number % KINDS).unwrap_or(0);
    let kinds = match number.checked_sub(1).and_then(|at| Malformed::ALL.get(at)) {
        Some(&kind) => vec![kind],
        None => Malformed::ALL.to_vec(),
    };
    let mut span = Duration::from_secs(run.spans.flood.into());
    if kinds.len() == 1 && rate < FAST {
        span /= 2;
    }
    let active = bench.converge()?;
    let probe = bench.probe(PROBE, active)?;
    let pids = pids(bench)?;
    let idle = used(&pids)?;
    sleep_until(Stamp::now() + BEFORE);
    let before = used(&pids)?;

    let frames = kinds.iter().map(|kind| kind.frame(bench.family())).collect();
    let start = Stamp::now();
    let flood = Flood::start(bench.lab(), frames, rate, span)?;
    let unanswered = ask(bench, start + span)?;
    let report = flood.wait()?;
    let after = used(&pids)?;
    let end = Stamp::now();
    // Answers that are under way are not lost.
    let log = probe.stop()?;

    let idle = (before - idle).as_secs_f64() / BEFORE.as_secs_f64() * (end - start).as_secs_f64();
    let busy = ((after - before).as_secs_f64() - idle).max(0.0);
    let packets = report.sent as f64 * count(bench.lab().nodes().len());
    let events = bench.timeline().events();
    let interval = bench.daemon().interval.duration().as_secs_f64();
    let gaps = gaps(&adverts(&events).collect::<Vec<_>>(), active, start, end);
    let gaps: Vec<f64> = gaps.iter().map(|gap| gap.as_secs_f64() / interval).collect();
    let mut readings = vec![
        MOVED.is(count(moves(&events, start))),
        LEFT_OUT.is(gaps.iter().map(|gap| (gap.round() - 1.0).max(0.0)).sum()),
        GAP.is(gaps.iter().copied().fold(0.0, f64::max)),
        LOST.is(count(log.lost(start, end))),
        UNANSWERED.is(count(unanswered)),
        RATE.is(report.rate()),
    ];
    // Of a trickle it would be mere noise.
    if let (FAST.., Some(metric)) = (rate, EACH.get(number)) {
        readings.push(metric.is(busy / packets * 1e6));
    }
    Ok(readings)
}

/// All VRRP processes.
fn pids(bench: &Bench) -> Result<Vec<Pid>, LabError> {
    bench.lab().nodes().iter().map(|&node| bench.lab().pids(node)?.vrrp()).collect()
}

/// The CPU they have used together.
fn used(pids: &[Pid]) -> Result<Duration, LabError> {
    pids.iter().map(|&pid| Ok(Usage::of(pid)?.cpu)).sum()
}

/// The times between the adverts of `active`, and from the last of them to the end.
fn gaps(adverts: &[(Stamp, Node)], active: Node, from: Stamp, until: Stamp) -> Vec<Duration> {
    let own = adverts.iter().filter(|&&(at, by)| by == active && (from..until).contains(&at));
    let times: Vec<Stamp> =
        [from].into_iter().chain(own.map(|&(at, _)| at)).chain([until]).collect();
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

/// Sends a right advert each second until `end`, nine in ten seconds. How many were not answered.
fn ask(bench: &Bench, end: Stamp) -> Result<usize, LabError> {
    let injector = Injector::open(&bench.lab().namespace(Port::Stranger), "eth0")?;
    let interval = bench.daemon().interval;
    let question = lower_priority(bench.family(), interval);
    let mut unanswered = 0;
    let mut next = Stamp::now() + QUESTION / 2;
    while next + QUESTION / 2 < end {
        sleep_until(next);
        // An advert that does not come for so long is no schedule to keep clear of.
        let after = |at: Stamp| {
            move |view: &crate::timeline::View| {
                adverts(&view.events).map(|(sent, _)| sent).find(|&sent| sent >= at)
            }
        };
        let seen = bench.timeline().wait(next + 3 * interval.duration(), after(next));
        sleep_until(seen.unwrap_or(next) + interval.duration() / 2);
        let asked = Stamp::now();
        injector.send(&question)?;
        let answer = bench.timeline().wait(asked + ANSWER, after(asked));
        unanswered += usize::from(answer.is_none());
        next = next + QUESTION;
    }
    sleep_until(end);
    Ok(unanswered)
}
