//! Processes stand still for a while and then go on.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Bar, Metric, Reading, Run, count};
use crate::timeline::{adverts, two_owners};
use crate::{Bench, Event, LabError, Node, Part, Stamp, sleep_until};

/// How long, in turn, in seconds.
const SPANS: [u64; 6] = [1, 2, 5, 10, 30, 60];
/// For so long its VRRP process believes what a daemon last said of its health.
const BELIEF: Duration = Duration::from_secs(15);
/// How long is watched after the thaw.
const AFTER: Duration = Duration::from_secs(5);

static TWO_OWNERS: Metric =
    Metric { name: "two owners (lease 3 s)", unit: "s", bar: Bar::Every(3.5) };
static SENT: Metric = Metric {
    name: "adverts of the thawed node though another took over",
    unit: "",
    bar: Bar::Every(0.0),
};
static AFTERWARDS: Metric = Metric { name: "moves after the thaw", unit: "", bar: Bar::Every(0.0) };
static FALSE: Metric = Metric { name: "false takeovers", unit: "", bar: Bar::Every(0.0) };

/// The Active's daemon alone. Its VRRP process serves on, and after a while counts as degraded.
pub(super) fn daemon(bench: &Bench, run: Run) -> Result<Vec<Reading>, LabError> {
    let stalled = Stalled::watch(bench, run, bench.converge()?, Part::Parent, false)?;
    // Then it is no false one: nobody knows how the node is.
    let expected = usize::from(stalled.span > BELIEF);
    let mut readings = vec![FALSE.is(count(stalled.taken.saturating_sub(expected)))];
    readings.extend(stalled.readings(bench));
    Ok(readings)
}

/// All processes of the Active's node, its apiserver too.
pub(super) fn tree(bench: &Bench, run: Run) -> Result<Vec<Reading>, LabError> {
    Stalled::watch(bench, run, bench.converge()?, Part::Both, true)
        .map(|stalled| stalled.readings(bench))
}

/// All processes of the best Backup's node.
pub(super) fn backup(bench: &Bench, run: Run) -> Result<Vec<Reading>, LabError> {
    let heir = bench.heir(bench.converge()?)?;
    let stalled = Stalled::watch(bench, run, heir, Part::Both, true)?;
    let after = stalled.after.saturating_add(stalled.taken);
    Ok(vec![FALSE.is(count(after))])
}

struct Stalled {
    node: Node,
    owner: Node,
    span: Duration,
    /// How often another got the VIP while `node` stood still, and how often anyone after that.
    taken: usize,
    after: usize,
    thawed: Stamp,
    end: Stamp,
}

impl Stalled {
    fn watch(
        bench: &Bench,
        run: Run,
        node: Node,
        part: Part,
        apiserver: bool,
    ) -> Result<Self, LabError> {
        let owner = bench.settle()?;
        let turn = usize::try_from(run.number).unwrap_or(0) % SPANS.len();
        let span =
            Duration::from_secs(SPANS.get(turn).copied().unwrap_or(1).min(run.spans.stall.into()));
        bench.random_phase(run.number)?;
        let at = bench.lab().freeze(node, part)?;
        if apiserver {
            bench.apiservers()?.freeze(node)?;
        }
        sleep_until(at + span);
        if apiserver {
            bench.apiservers()?.thaw(node)?;
        }
        let thawed = bench.lab().thaw(node, part)?;
        sleep_until(thawed + AFTER);
        let end = Stamp::now();
        let events = bench.timeline().events();
        let added = |from: Stamp, until: Stamp| {
            let added = events.iter().filter(|timed| matches!(timed.event, Event::Added(_)));
            added.filter(|timed| (from..until).contains(&timed.at)).count()
        };
        let (taken, after) = (added(at, thawed), added(thawed, end));
        Ok(Self { node, owner, span, taken, after, thawed, end })
    }

    fn readings(&self, bench: &Bench) -> Vec<Reading> {
        let events = bench.timeline().events();
        let both = two_owners(&events, BTreeSet::from([self.owner]), self.end);
        let mut readings =
            vec![TWO_OWNERS.is(both.as_secs_f64()), AFTERWARDS.is(count(self.after))];
        if self.taken > 0 {
            let own = |&(at, by): &(Stamp, Node)| by == self.node && at >= self.thawed;
            readings.push(SENT.is(count(adverts(&events).filter(own).count())));
        }
        readings
    }
}
