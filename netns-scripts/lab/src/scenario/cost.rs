//! What the daemons use while nothing happens, and that nothing happens.

use std::time::Duration;

use nix::unistd::Pid;

use super::{Bar, Metric, Reading, count};
use crate::{
    Daemon, Families, Holdings, Lab, LabError, Memory, Node, Stamp, Usage, sleep_until, traffic,
};

/// How long thousands of virtual routers may take to begin.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long after its start a Backup is watched: keepalived repeats its gratuitous ARP 5 s after a
/// takeover.
const WARM: Duration = Duration::from_secs(8);

/// How long a router that comes back is given to hear the others.
const SETTLE: Duration = Duration::from_secs(4);

static LEFT: Metric =
    Metric { name: "adverts that left, of those due", unit: "%", bar: Bar::AtLeast(99.9) };
static MOVED: Metric = Metric { name: "VIPs that moved meanwhile", unit: "", bar: Bar::Every(0.0) };
static ACTIVE_CPU: Metric =
    Metric { name: "Active: CPU of the VRRP process", unit: "% of a core", bar: Bar::None };
static BACKUP_CPU: Metric =
    Metric { name: "Backup: CPU of the VRRP process", unit: "% of a core", bar: Bar::None };
static ACTIVE_SWITCHES: Metric =
    Metric { name: "Active: context switches", unit: "per s", bar: Bar::None };
static BACKUP_SWITCHES: Metric =
    Metric { name: "Backup: context switches", unit: "per s", bar: Bar::None };
static ACTIVE_EACH: Metric = Metric { name: "Active: CPU per advert", unit: "us", bar: Bar::None };
static BACKUP_EACH: Metric = Metric { name: "Backup: CPU per advert", unit: "us", bar: Bar::None };
/// With 255 virtual routers.
static ACTIVE_EACH_MANY: Metric =
    Metric { name: "Active: CPU per advert", unit: "us", bar: Bar::Share(1.0 / 3.0) };
static BACKUP_EACH_MANY: Metric =
    Metric { name: "Backup: CPU per advert", unit: "us", bar: Bar::Share(0.5) };
static PSS: Metric =
    Metric { name: "memory of the VRRP process (PSS)", unit: "MB", bar: Bar::None };
/// With one virtual router.
static PSS_ONE: Metric =
    Metric { name: "memory of the VRRP process (PSS)", unit: "MB", bar: Bar::Every(5.0) };
static RSS: Metric =
    Metric { name: "memory of the VRRP process (RSS)", unit: "MB", bar: Bar::None };
static PSS_PARENT: Metric =
    Metric { name: "memory of its parent (PSS)", unit: "MB", bar: Bar::None };
static TAKEN: Metric =
    Metric { name: "link cut until all VIPs are on the other router", unit: "ms", bar: Bar::None };

/// Three seconds, `runs` times.
pub(super) fn in_peace(
    lab: &Lab,
    daemon: &Daemon,
    runs: u32,
    progress: &mut dyn FnMut(u32),
) -> Result<Vec<Reading>, LabError> {
    let calm = Calm::start(lab, daemon)?;
    let mut readings = Vec::new();
    for run in 1..=runs {
        progress(run);
        readings.extend(calm.watch(Duration::from_secs(3))?);
    }
    lab.stop_all()?;
    Ok(readings)
}

/// Half a minute once, and then `runs` failovers.
pub(super) fn at_scale(
    lab: &Lab,
    daemon: &Daemon,
    runs: u32,
    progress: &mut dyn FnMut(u32),
) -> Result<Vec<Reading>, LabError> {
    let mut calm = Calm::start(lab, daemon)?;
    let mut readings = calm.watch(Duration::from_secs(30))?;
    for run in 1..=runs {
        progress(run);
        readings.push(calm.fail_over()?);
    }
    Ok(readings)
}

/// An Active and a Backup that have nothing to do but their adverts.
#[derive(Debug)]
struct Calm<'a> {
    lab: &'a Lab,
    daemon: &'a Daemon,
    holdings: Holdings,
    active: Node,
    backup: Node,
}

impl<'a> Calm<'a> {
    /// Starts the daemon on the first router, which gets all virtual routers, and then on the
    /// second.
    fn start(lab: &'a Lab, daemon: &'a Daemon) -> Result<Self, LabError> {
        let [active, backup, ..] = *lab.nodes() else {
            return Err(LabError::Invalid("a Backup needs a second router".into()));
        };
        let calm = Self { lab, daemon, holdings: Holdings::start(lab)?, active, backup };
        lab.start(&[active], daemon)?;
        calm.holdings.wait(active, calm.virtual_routers(), Stamp::now() + PATIENCE)?;
        lab.start(&[backup], daemon)?;
        sleep_until(Stamp::now() + WARM);
        Ok(calm)
    }

    /// Watches for `window`.
    fn watch(&self, window: Duration) -> Result<Vec<Reading>, LabError> {
        let pids = self.pids()?;
        let before = self.sample(pids)?;
        sleep_until(before.at + window);
        if self.pids()? != pids {
            return Err(LabError::Invalid("a VRRP process was replaced meanwhile".into()));
        }
        let after = self.sample(pids)?;

        let span = (after.at - before.at).as_secs_f64();
        let sent = figure(after.sent.saturating_sub(before.sent));
        let due =
            span * count(self.virtual_routers()) / self.daemon.interval.duration().as_secs_f64();
        let (active, backup) = (after.active - before.active, after.backup - before.backup);
        let percent = |usage: Usage| usage.cpu.as_secs_f64() / span * 100.0;
        let each = |usage: Usage| usage.cpu.as_secs_f64() / sent.max(1.0) * 1e6;
        let switches = |usage: Usage| figure(usage.switches) / span;
        // Of thousands nothing is wanted but that they work.
        let many = self.virtual_routers() == 255;
        let mut readings = vec![
            LEFT.is(sent / due * 100.0),
            MOVED.is(figure(after.moves - before.moves)),
            ACTIVE_CPU.is(percent(active)),
            if many { &ACTIVE_EACH_MANY } else { &ACTIVE_EACH }.is(each(active)),
            ACTIVE_SWITCHES.is(switches(active)),
            BACKUP_CPU.is(percent(backup)),
            if many { &BACKUP_EACH_MANY } else { &BACKUP_EACH }.is(each(backup)),
            BACKUP_SWITCHES.is(switches(backup)),
        ];
        readings.extend(self.memory()?);
        Ok(readings)
    }

    /// Cuts the Active off, waits until the other router has all VIPs, and heals. The roles are
    /// changed then.
    fn fail_over(&mut self) -> Result<Reading, LabError> {
        let cut = self.lab.cut(self.active)?;
        let deadline = Stamp::now() + PATIENCE;
        let taken = self.holdings.wait(self.backup, self.virtual_routers(), deadline);
        let gone = self.holdings.wait(self.active, 0, deadline);
        self.lab.heal()?;
        (self.active, self.backup) = (self.backup, self.active);
        let taken = taken?;
        gone?;
        sleep_until(Stamp::now() + SETTLE);
        Ok(TAKEN.is(taken.millis_since(cut)))
    }

    fn virtual_routers(&self) -> usize {
        let families = if self.daemon.families == Families::Both { 2 } else { 1 };
        families * usize::from(self.daemon.routers) * usize::from(self.daemon.links)
    }

    /// Of the VRRP processes that run now.
    fn pids(&self) -> Result<[Pid; 2], LabError> {
        Ok([self.lab.pids(self.active)?.vrrp()?, self.lab.pids(self.backup)?.vrrp()?])
    }

    fn sample(&self, [active, backup]: [Pid; 2]) -> Result<Sample, LabError> {
        let active = Usage::of(active)?;
        let backup = Usage::of(backup)?;
        let moves = self.holdings.moves();
        let sent = traffic::sent_by(self.lab, self.active)?;
        Ok(Sample { at: Stamp::now(), sent, active, backup, moves })
    }

    fn memory(&self) -> Result<[Reading; 3], LabError> {
        let pids = self.lab.pids(self.active)?;
        let Memory { rss, pss } = Memory::of(pids.vrrp()?)?;
        let parent = pids.parent.map(Memory::of).transpose()?.unwrap_or_default();
        let megabytes = |kilobytes: u64| figure(kilobytes) / 1024.0;
        let metric = if self.virtual_routers() == 1 { &PSS_ONE } else { &PSS };
        Ok([
            metric.is(megabytes(pss)),
            RSS.is(megabytes(rss)),
            PSS_PARENT.is(megabytes(parent.pss)),
        ])
    }
}

/// What had been used by a moment.
#[derive(Debug)]
struct Sample {
    at: Stamp,
    /// Packets of the Active.
    sent: u64,
    active: Usage,
    backup: Usage,
    moves: u64,
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn figure(number: u64) -> f64 {
    number as f64
}
