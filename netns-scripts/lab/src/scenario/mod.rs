//! What is measured. Each begins and ends with a lab that is whole.

mod client;
mod cost;
mod death;
mod drawn;
mod flood;
mod handover;
mod hogs;
mod hung;
mod killed;
mod partition;
mod sick;
mod stall;
mod together;
mod undisturbed;
mod vip;

use std::fmt;

pub use self::drawn::drawn;
use clap::ValueEnum;
use serde::Serialize;

use crate::{Bench, Checked, Daemon, Family, Interval, Lab, LabError};

/// What is measured.
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
    /// One virtual router, in peace.
    Cost,
    /// 255 virtual routers, in peace.
    ManyCost,
    /// 255 virtual routers on each of 16 links, in peace; then links are cut.
    Scale,
    /// Two CPU hogs for each core.
    Hogs,
    /// 50 malformed adverts a second.
    SlowFlood,
    /// 80,000 malformed adverts a second.
    FastFlood,
    /// The Active's apiserver is killed.
    ApiserverKilled,
    /// The same, keepalived set up as kubeadm's documentation has it.
    KubeadmKilled,
    /// The Active's apiserver accepts connections and answers nothing.
    ApiserverHung,
    /// The Active's apiserver answers HTTP 500.
    ApiserverFailing,
    /// All apiservers are killed at a time, and recover.
    AllKilled,
    /// The holder's apiserver is killed, 5 s later that of the next holder, and so on.
    KilledApart,
    /// One apiserver dies and comes back every 2 s.
    Flapping,
    /// All apiservers are too slow.
    Overload,
    /// The best router comes back.
    Returning,
    /// Apiservers, disks, journal and name resolution hang.
    Hung,
    /// The Active is drained.
    Drain,
    /// The Active's daemon is stopped.
    Stop,
    /// The Active's configured priority is lowered.
    PriorityChange,
    /// The Active's daemon, but not its VRRP process, stands still for a while.
    DaemonStalled,
    /// All processes of the Active's node stand still for a while.
    NodeStalled,
    /// All processes of the best Backup's node stand still for a while.
    BackupStalled,
}

/// The parts of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Section {
    /// Something dies, and another takes over or nobody notices.
    Failover,
    /// CPU and memory, with few and with many virtual routers.
    Cost,
    /// Adverts on time while others want the CPU.
    Jitter,
    /// Malformed adverts.
    Flood,
    /// Apiservers die, hang, fail and recover.
    Health,
    /// The VIP is given away, or a router stands still for a while.
    Handover,
}

/// Of which kind the virtual routers are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Setup {
    /// Their family.
    pub family: Family,
    /// Whether they use the virtual MAC.
    pub virtual_mac: bool,
}

impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mac = if self.virtual_mac { ", virtual MAC" } else { "" };
        write!(f, "{}{mac}", self.family)
    }
}

/// A lab's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// How many routers.
    pub routers: u8,
    /// How many links between them.
    pub links: u8,
}

/// What differs between two runs of one scenario.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// Counts from 0.
    pub number: u32,
    /// How long things last.
    pub spans: Spans,
}

/// How long things last, in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Spans {
    /// CPU hogs.
    pub hog: u32,
    /// A flood.
    pub flood: u32,
    /// An apiserver that flaps.
    pub flap: u32,
    /// A process that stands still, at most.
    pub stall: u32,
}

/// What a scenario gives.
type Measured = Result<Vec<Reading>, LabError>;

/// How a scenario is run.
pub(crate) enum Way {
    /// Run by run, with all instruments.
    Watched(fn(&Bench, Run) -> Measured),
    /// All runs at a time, each told of when it begins, with nothing that costs the machine
    /// anything.
    Calm(fn(&Lab, &Daemon, u32, &mut dyn FnMut(u32)) -> Measured),
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
            Self::Cost => "1 virtual router",
            Self::ManyCost => "255 virtual routers",
            Self::Scale => "4,080 virtual routers on 16 links",
            Self::Hogs => "two CPU hogs per core",
            Self::SlowFlood => "50 malformed adverts a second",
            Self::FastFlood => "80,000 malformed adverts a second",
            Self::ApiserverKilled => "apiserver killed",
            Self::KubeadmKilled => "apiserver killed, kubeadm's keepalived setup",
            Self::ApiserverHung => "apiserver hangs",
            Self::ApiserverFailing => "apiserver answers 500",
            Self::AllKilled => "all apiservers killed at a time",
            Self::KilledApart => "apiservers killed 5 s apart",
            Self::Flapping => "one apiserver flaps each 2 s",
            Self::Overload => "all apiservers too slow",
            Self::Returning => "the best router returns",
            Self::Hung => "apiservers, disk, journal and names hang",
            Self::Drain => "drain",
            Self::Stop => "orderly stop",
            Self::PriorityChange => "lower priority by reload",
            Self::DaemonStalled => "daemon stalled",
            Self::NodeStalled => "all processes stalled",
            Self::BackupStalled => "Backup stalled",
        })
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Failover => "failover",
            Self::Cost => "cost",
            Self::Jitter => "jitter",
            Self::Flood => "flood",
            Self::Health => "health",
            Self::Handover => "handover",
        })
    }
}

impl Section {
    /// All of them, in the order of the report.
    pub const ALL: [Self; 6] =
        [Self::Failover, Self::Health, Self::Handover, Self::Cost, Self::Jitter, Self::Flood];
}

impl Scenario {
    /// To which part of the report it belongs.
    pub const fn section(self) -> Section {
        match self {
            Self::NodeDeath
            | Self::ChildKilled
            | Self::BothKilled
            | Self::Frozen
            | Self::ParentKilled
            | Self::Reload
            | Self::Restart
            | Self::Partition
            | Self::VipDeleted
            | Self::SourceAddress => Section::Failover,
            Self::Cost | Self::ManyCost | Self::Scale => Section::Cost,
            Self::Hogs => Section::Jitter,
            Self::SlowFlood | Self::FastFlood => Section::Flood,
            Self::ApiserverKilled
            | Self::KubeadmKilled
            | Self::ApiserverHung
            | Self::ApiserverFailing
            | Self::AllKilled
            | Self::KilledApart
            | Self::Flapping
            | Self::Overload
            | Self::Returning
            | Self::Hung => Section::Health,
            Self::Drain
            | Self::Stop
            | Self::PriorityChange
            | Self::DaemonStalled
            | Self::NodeStalled
            | Self::BackupStalled => Section::Handover,
        }
    }

    /// The lab it needs.
    pub const fn shape(self) -> Shape {
        match self.section() {
            Section::Failover | Section::Jitter | Section::Health | Section::Handover => {
                Shape { routers: 3, links: 1 }
            }
            // What is sent goes to few, so that the machine is measured less than the daemon.
            Section::Cost if matches!(self, Self::Scale) => Shape { routers: 2, links: 16 },
            Section::Cost | Section::Flood => Shape { routers: 2, links: 1 },
        }
    }

    /// How many virtual routers are on each link.
    pub const fn virtual_routers(self) -> u8 {
        match self {
            Self::ManyCost | Self::Scale => 255,
            _ => 1,
        }
    }

    /// How the daemons follow the apiservers, at this interval. keepalived's own scripts run each
    /// second at most.
    pub fn checked(self, interval: Interval) -> Checked {
        const SECOND: Interval = Interval::from_millis(1000);
        match self.section() {
            _ if self == Self::KubeadmKilled => Checked::Kubeadm,
            Section::Health | Section::Handover if interval < SECOND => {
                Checked::Each(Interval::from_millis(100))
            }
            Section::Health | Section::Handover => Checked::Each(SECOND),
            Section::Failover | Section::Cost | Section::Jitter | Section::Flood => Checked::No,
        }
    }

    pub(crate) fn way(self) -> Way {
        match self {
            Self::NodeDeath => Way::Watched(death::node_death),
            Self::ChildKilled => Way::Watched(killed::child_killed),
            Self::BothKilled => Way::Watched(killed::both_killed),
            Self::Frozen => Way::Watched(killed::frozen),
            Self::ParentKilled => Way::Watched(undisturbed::parent_killed),
            Self::Reload => Way::Watched(undisturbed::reload),
            Self::Restart => Way::Watched(undisturbed::restart),
            Self::Partition => Way::Watched(partition::partition_heal),
            Self::VipDeleted => Way::Watched(vip::deleted),
            Self::SourceAddress => Way::Watched(|bench, _| vip::source_address(bench)),
            Self::Hogs => Way::Watched(hogs::hogs),
            Self::SlowFlood => Way::Watched(|bench, run| flood::flood(bench, run, 50)),
            Self::FastFlood => Way::Watched(|bench, run| flood::flood(bench, run, 80_000)),
            Self::ApiserverKilled | Self::KubeadmKilled => Way::Watched(sick::killed),
            Self::ApiserverHung => Way::Watched(sick::hung),
            Self::ApiserverFailing => Way::Watched(sick::failing),
            Self::AllKilled => Way::Watched(together::all_fail),
            Self::KilledApart => Way::Watched(together::killed_apart),
            Self::Flapping => Way::Watched(together::flapping),
            Self::Overload => Way::Watched(together::overload),
            Self::Returning => Way::Watched(together::returning),
            Self::Hung => Way::Calm(hung::hung),
            Self::Drain => Way::Watched(handover::drain),
            Self::Stop => Way::Watched(handover::stop),
            Self::PriorityChange => Way::Watched(handover::priority),
            Self::DaemonStalled => Way::Watched(stall::daemon),
            Self::NodeStalled => Way::Watched(stall::tree),
            Self::BackupStalled => Way::Watched(stall::backup),
            Self::Cost | Self::ManyCost => Way::Calm(cost::in_peace),
            Self::Scale => Way::Calm(cost::at_scale),
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
    /// The median at least this.
    AtLeast(f64),
    /// The median at most this share of keepalived's.
    Share(f64),
    /// The median at most this share of keepalived's, or at most that.
    ShareOr(f64, f64),
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
