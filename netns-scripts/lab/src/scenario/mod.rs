//! The failovers that are measured. Each begins and ends with a lab that is whole.

mod death;
mod hogs;
mod killed;
mod partition;
mod undisturbed;
mod vip;

use std::fmt;

use clap::ValueEnum;
use serde::Serialize;

use crate::{Bench, LabError};

/// A kind of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Scenario {
    /// The Active's link is cut.
    NodeDeath,
    /// The VRRP process of the Active is killed.
    ChildKilled,
    /// All processes of the Active are killed; its kernel lives.
    BothKilled,
    /// All processes of the Active are frozen.
    Frozen,
    /// The parent of the Active is killed and started again.
    ParentKilled,
    /// The Active reloads its configuration.
    Reload,
    /// The Active is restarted with a new binary.
    Restart,
    /// The network is parted and heals.
    Partition,
    /// Someone deletes the VIP.
    VipDeleted,
    /// Which source addresses the Active's kernel chooses.
    SourceAddress,
    /// Two CPU hogs for each core.
    Hogs,
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NodeDeath => "node death",
            Self::ChildKilled => "VRRP process killed",
            Self::BothKilled => "all processes killed",
            Self::Frozen => "all processes frozen",
            Self::ParentKilled => "parent killed and restarted",
            Self::Reload => "reload",
            Self::Restart => "restart with a new binary",
            Self::Partition => "partition and heal",
            Self::VipDeleted => "VIP deleted by hand",
            Self::SourceAddress => "source addresses",
            Self::Hogs => "two CPU hogs per core",
        })
    }
}

/// What differs between two runs of one scenario.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// Counts from 0.
    pub number: u32,
    /// How long the hogs run, in seconds.
    pub hog_seconds: u32,
}

impl Scenario {
    /// Every scenario, in the order of the table.
    pub const ALL: [Self; 11] = [
        Self::NodeDeath,
        Self::ChildKilled,
        Self::BothKilled,
        Self::Frozen,
        Self::ParentKilled,
        Self::Reload,
        Self::Restart,
        Self::Partition,
        Self::VipDeleted,
        Self::SourceAddress,
        Self::Hogs,
    ];

    /// Runs it once and makes the lab whole again.
    ///
    /// # Errors
    /// If something that must happen does not, the run does not count, or the lab does not
    /// recover.
    pub fn run(self, bench: &Bench, run: Run) -> Result<Vec<Reading>, LabError> {
        let result = self.measure(bench, run);
        bench.recover()?;
        result
    }

    fn measure(self, bench: &Bench, run: Run) -> Result<Vec<Reading>, LabError> {
        match self {
            Self::NodeDeath => death::node_death(bench, run),
            Self::ChildKilled => killed::child_killed(bench, run),
            Self::BothKilled => killed::both_killed(bench, run),
            Self::Frozen => killed::frozen(bench, run),
            Self::ParentKilled => undisturbed::parent_killed(bench, run),
            Self::Reload => undisturbed::reload(bench, run),
            Self::Restart => undisturbed::restart(bench, run),
            Self::Partition => partition::partition_heal(bench, run),
            Self::VipDeleted => vip::deleted(bench, run),
            Self::SourceAddress => vip::source_address(bench),
            Self::Hogs => hogs::hogs(bench, run),
        }
    }
}

/// Something that is measured, and what is wanted of it.
#[derive(Debug, PartialEq, Serialize)]
pub struct Metric {
    /// What it is.
    pub name: &'static str,
    /// Its unit; empty for a count.
    pub unit: &'static str,
    /// What is wanted.
    pub bar: Bar,
}

/// What is wanted of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bar {
    /// Nothing: for information.
    None,
    /// The median at most this.
    Median(f64),
    /// The median at most this, and nothing below zero.
    MedianNeverNegative(f64),
    /// Every run at most this.
    Every(f64),
}

/// One figure of one run.
#[derive(Clone, Debug)]
pub struct Reading {
    /// What was measured.
    pub metric: &'static Metric,
    /// How much.
    pub value: f64,
    /// Whether it went on for longer than was waited for.
    pub at_least: bool,
}

impl Metric {
    pub(crate) const fn is(&'static self, value: f64) -> Reading {
        Reading { metric: self, value, at_least: false }
    }

    pub(crate) const fn is_at_least(&'static self, value: f64) -> Reading {
        Reading { metric: self, value, at_least: true }
    }
}

/// A count as a figure.
#[expect(clippy::cast_precision_loss, reason = "counts of a run are small")]
pub(crate) fn count(number: usize) -> f64 {
    number as f64
}
