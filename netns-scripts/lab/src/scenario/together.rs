//! Several apiservers fail and recover: how often the VIP moves.

use std::time::Duration;

use super::client::Clients;
use super::{Bar, Metric, Reading, Run, count};
use crate::{Answer, Bench, Event, Kind, LabError, Node, Stamp, sleep_until};

/// How long is watched for a move that must not be.
const CALM: Duration = Duration::from_secs(5);
/// Between two deaths, so that each move is over.
const APART: Duration = Duration::from_secs(5);
/// Between two recoveries at most.
const RECOVERY: Duration = Duration::from_secs(2);
/// How long everything is too slow.
const OVERLOAD: Duration = Duration::from_secs(20);
/// Slower than any check waits.
const TOO_SLOW: Duration = Duration::from_secs(3);
/// Half a period of one that flaps.
const FLAP: Duration = Duration::from_secs(1);

static NO_MOVE: Metric = Metric { name: "moves of the VIP", unit: "", bar: Bar::Every(0.0) };
static RECOVERED: Metric =
    Metric { name: "moves while all recover in random order", unit: "", bar: Bar::Every(1.0) };
static BESIDE_ONE_EACH: Metric = Metric {
    name: "moves more or less than one per holder killed while a healthy one remained",
    unit: "",
    bar: Bar::Every(0.0),
};
static LAST: Metric =
    Metric { name: "moves after the last was killed", unit: "", bar: Bar::Every(0.0) };
static NOWHERE: Metric = Metric { name: "VIP on no router", unit: "s", bar: Bar::Every(0.0) };
static FEW_MOVES: Metric = Metric { name: "moves of the VIP", unit: "", bar: Bar::Every(5.0) };
static RETURNED: Metric =
    Metric { name: "moves when the better one returns", unit: "", bar: Bar::Every(0.0) };

/// All die within the best Backup's Skew_Time, in random order, and recover in random order.
pub(super) fn all_fail(bench: &Bench, run: Run) -> Result<Vec<Reading>, LabError> {
    let active = bench.converge()?;
    let heir = bench.heir(active)?;
    let skew = bench.daemon().interval.skew(bench.daemon().priority(heir));
    bench.random_phase(run.number)?;
    let at = Stamp::now();
    let order = shuffled(bench.lab().nodes(), run.number);
    for (&node, due) in order.iter().zip([0.0, 0.45, 0.9]) {
        sleep_until(at + skew.mul_f64(due));
        bench.apiservers()?.kill(node)?;
    }
    sleep_until(Stamp::now() + CALM);
    let back = Stamp::now();
    let recovered = recover_in_random_order(bench, run.number)?;
    Ok(vec![
        NO_MOVE.is(count(takeovers(bench, at, back))),
        NOWHERE.is(nowhere(bench, active, at, Stamp::now())),
        RECOVERED.is(recovered),
    ])
}

/// The holder's dies, then that of the new holder, and so on.
pub(super) fn killed_apart(bench: &Bench, run: Run) -> Result<Vec<Reading>, LabError> {
    let active = bench.converge()?;
    bench.random_phase(run.number)?;
    let begin = Stamp::now();
    let mut at = begin;
    let mut holder = active;
    for _ in bench.lab().nodes() {
        at = Stamp::now();
        bench.apiservers()?.kill(holder)?;
        sleep_until(at + APART);
        // keepalived may have left it nowhere.
        let owners = bench.timeline().owners();
        holder = owners.into_iter().next_back().unwrap_or(holder);
        if let Some(living) = next_alive(bench, holder) {
            holder = living;
        }
    }
    let back = Stamp::now();
    let due = bench.lab().nodes().len() - 1;
    let moved = takeovers(bench, begin, at);
    let last = takeovers(bench, at, back);
    let gone = nowhere(bench, active, begin, back);
    let recovered = recover_in_random_order(bench, run.number)?;
    Ok(vec![
        BESIDE_ONE_EACH.is(count(moved.abs_diff(due))),
        LAST.is(count(last)),
        NOWHERE.is(gone),
        RECOVERED.is(recovered),
    ])
}

/// `holder` if its apiserver lives, else another whose does.
fn next_alive(bench: &Bench, holder: Node) -> Option<Node> {
    let servers = bench.apiservers().ok()?;
    let nodes = std::iter::once(&holder).chain(bench.lab().nodes());
    nodes.copied().find(|&node| servers.is_running(node))
}

/// The apiserver of the first holder dies and is started again, every two seconds.
pub(super) fn flapping(bench: &Bench, run: Run) -> Result<Vec<Reading>, LabError> {
    let active = bench.converge()?;
    let clients = Clients::start(bench, active)?;
    bench.random_phase(run.number)?;
    let at = Stamp::now();
    let end = at + Duration::from_secs(run.spans.flap.into());
    while Stamp::now() < end {
        let flap = bench.apiservers()?.kill(active)?;
        sleep_until(flap + FLAP);
        bench.apiservers()?.revive(active)?;
        sleep_until(flap + 2 * FLAP);
    }
    let seen = clients.stop()?;
    let mut readings = vec![FEW_MOVES.is(count(takeovers(bench, at, seen.end)))];
    readings.extend(seen.harmed(at));
    Ok(readings)
}

/// Every apiserver answers more slowly than any check waits.
pub(super) fn overload(bench: &Bench, run: Run) -> Result<Vec<Reading>, LabError> {
    let active = bench.converge()?;
    bench.random_phase(run.number)?;
    let at = Stamp::now();
    for node in shuffled(bench.lab().nodes(), run.number) {
        bench.apiservers()?.answer(node, Answer::Slow(TOO_SLOW))?;
    }
    sleep_until(at + OVERLOAD);
    let end = Stamp::now();
    Ok(vec![
        NO_MOVE.is(count(takeovers(bench, at, end))),
        NOWHERE.is(nowhere(bench, active, at, end)),
    ])
}

/// The best router was away and returns while a worse one serves.
pub(super) fn returning(bench: &Bench, _run: Run) -> Result<Vec<Reading>, LabError> {
    let best =
        bench.lab().nodes().iter().copied().max_by_key(|&node| bench.daemon().priority(node));
    let best = best.ok_or_else(|| LabError::Invalid("the lab has no routers".into()))?;
    bench.converge()?;
    bench.lab().stop(best)?;
    bench.wait(bench.deadline(), "the VIP to be on another router alone", |view| {
        (!view.owners.is_empty() && !view.owners.contains(&best)).then_some(())
    })?;
    bench.settle()?;
    let at = Stamp::now();
    bench.restart_dead()?;
    bench.healthy()?;
    sleep_until(Stamp::now() + CALM);
    let returned = takeovers(bench, at, Stamp::now());
    Ok(vec![RETURNED.is(count(returned))])
}

/// Starts all apiservers again, one after the other; how often the VIP moves until all is calm.
fn recover_in_random_order(bench: &Bench, seed: u32) -> Result<f64, LabError> {
    let back = Stamp::now();
    for (at, node) in (0..).zip(shuffled(bench.lab().nodes(), seed.wrapping_add(1))) {
        bench.apiservers()?.revive(node)?;
        sleep_until(Stamp::now() + RECOVERY.mul_f64(spread(seed + at)));
    }
    bench.healthy()?;
    bench.settle()?;
    let moved = takeovers(bench, back, Stamp::now());
    // keepalived's first takeover is none from another.
    let from_nowhere = bench.daemon().kind == Kind::Keepalived;
    Ok(count(if from_nowhere { moved.saturating_sub(1) } else { moved }))
}

/// How often a router got the VIP in `from..until`.
fn takeovers(bench: &Bench, from: Stamp, until: Stamp) -> usize {
    let events = bench.timeline().events();
    let added = events.iter().filter(|timed| matches!(timed.event, Event::Added(_)));
    added.filter(|timed| (from..until).contains(&timed.at)).count()
}

/// For how many seconds nobody had the VIP in `from..until`; `active` had it at first.
fn nowhere(bench: &Bench, active: Node, from: Stamp, until: Stamp) -> f64 {
    let mut owners = std::collections::BTreeSet::from([active]);
    let (mut since, mut total) = (None, Duration::ZERO);
    for timed in bench.timeline().events() {
        match timed.event {
            Event::Added(node) => owners.insert(node),
            Event::Removed(node) => owners.remove(&node),
            Event::Advert(..) | Event::Arp(..) => continue,
        };
        if owners.is_empty() {
            since = Some(timed.at.max(from));
        } else if let Some(start) = since.take() {
            total += timed.at - start;
        }
    }
    (total + since.map_or(Duration::ZERO, |start| until - start)).as_secs_f64()
}

/// Multiples of the golden ratio: 0 to 1, spread evenly.
fn spread(number: u32) -> f64 {
    (f64::from(number) * 0.618_033_988_75).fract()
}

/// An order that differs from run to run; all orders of three come in six runs.
fn shuffled(nodes: &[Node], seed: u32) -> Vec<Node> {
    let mut left = nodes.to_vec();
    let mut seed = usize::try_from(seed).unwrap_or(0);
    let mut order = Vec::new();
    while !left.is_empty() {
        order.push(left.remove(seed % left.len()));
        seed /= left.len() + 1;
    }
    order
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn six_runs_have_all_orders_of_three() {
        let nodes: Vec<Node> = (1..=3).map(|number| Node::new(number).unwrap()).collect();
        let orders: BTreeSet<Vec<Node>> = (0..6).map(|seed| shuffled(&nodes, seed)).collect();
        assert_eq!(orders.len(), 6);
    }
}
