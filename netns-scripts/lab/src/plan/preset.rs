//! Ready-made plans.

use clap::ValueEnum;

use super::Job;
use crate::scenario::{Scenario, Setup};
use crate::{Family, Interval};

const SECOND: Interval = Interval::from_millis(1000);
const TENTH: Interval = Interval::from_millis(100);
const HUNDREDTH: Interval = Interval::from_millis(10);

const V4: Setup = Setup { family: Family::Ipv4, virtual_mac: false };
const V6: Setup = Setup { family: Family::Ipv6, virtual_mac: false };
const V4_MAC: Setup = Setup { family: Family::Ipv4, virtual_mac: true };
const V6_MAC: Setup = Setup { family: Family::Ipv6, virtual_mac: true };

/// A ready-made list of jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Preset {
    /// Ten runs of nearly everything: about 40 minutes for both daemons.
    Full,
    /// The failovers of IPv4, ten runs of what is fast, fewer of what is slow: about six minutes.
    Demo,
    /// One or two runs of everything: about six minutes.
    Quick,
}

impl Preset {
    /// The jobs.
    pub fn jobs(self) -> Vec<Job> {
        // Runs in the three presets.
        let table = [
            (Scenario::NodeDeath, V4, SECOND, [10, 3, 1]),
            (Scenario::NodeDeath, V4, TENTH, [10, 10, 2]),
            (Scenario::NodeDeath, V4, HUNDREDTH, [10, 10, 2]),
            (Scenario::NodeDeath, V6, TENTH, [10, 0, 1]),
            (Scenario::NodeDeath, V6, HUNDREDTH, [10, 0, 1]),
            (Scenario::NodeDeath, V4_MAC, TENTH, [10, 0, 1]),
            (Scenario::NodeDeath, V6_MAC, TENTH, [10, 0, 1]),
            (Scenario::ChildKilled, V4, SECOND, [5, 3, 0]),
            (Scenario::ChildKilled, V4, TENTH, [10, 3, 1]),
            (Scenario::ChildKilled, V6, TENTH, [10, 0, 1]),
            (Scenario::ChildKilled, V4_MAC, TENTH, [10, 0, 1]),
            (Scenario::ChildKilled, V6_MAC, TENTH, [10, 0, 0]),
            (Scenario::BothKilled, V4, TENTH, [10, 2, 1]),
            (Scenario::Frozen, V4, TENTH, [10, 2, 0]),
            (Scenario::ParentKilled, V4, HUNDREDTH, [10, 3, 1]),
            (Scenario::Reload, V4, HUNDREDTH, [10, 3, 1]),
            (Scenario::Restart, V4, HUNDREDTH, [10, 3, 1]),
            (Scenario::Restart, V6_MAC, HUNDREDTH, [5, 0, 0]),
            (Scenario::Partition, V4, TENTH, [10, 4, 1]),
            (Scenario::Partition, V6, TENTH, [10, 0, 0]),
            (Scenario::VipDeleted, V4, TENTH, [10, 5, 1]),
            (Scenario::SourceAddress, V4, TENTH, [1, 1, 1]),
            (Scenario::Hogs, V4, HUNDREDTH, [1, 1, 1]),
            (Scenario::Cost, V4, HUNDREDTH, [10, 0, 3]),
            (Scenario::ManyCost, V4, HUNDREDTH, [10, 0, 3]),
            (Scenario::ManyCost, V6, HUNDREDTH, [5, 0, 0]),
            (Scenario::SlowFlood, V4, TENTH, [9, 0, 1]),
            (Scenario::SlowFlood, V6, TENTH, [9, 0, 0]),
            (Scenario::FastFlood, V4, TENTH, [9, 0, 2]),
            (Scenario::FastFlood, V6, TENTH, [9, 0, 1]),
            (Scenario::Scale, V4, TENTH, [10, 0, 0]),
        ];
        let column = self as usize;
        let job = |(scenario, setup, interval, runs): (Scenario, Setup, Interval, [u32; 3])| {
            let runs = runs.get(column).copied().filter(|&runs| runs > 0)?;
            Some(Job { scenario, setup, interval, runs })
        };
        table.into_iter().filter_map(job).collect()
    }

    /// For how long the hogs run, in seconds.
    pub const fn hog_seconds(self) -> u32 {
        match self {
            Self::Full => 60,
            Self::Demo => 15,
            Self::Quick => 5,
        }
    }

    /// How long a flood lasts, in seconds.
    pub const fn flood_seconds(self) -> u32 {
        match self {
            Self::Full | Self::Demo => 10,
            Self::Quick => 5,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Section;

    #[test]
    fn each_plan_has_its_sections() {
        let has = |preset: Preset, section| {
            preset.jobs().iter().any(|job| job.scenario.section() == section)
        };
        for section in Section::ALL {
            assert!(has(Preset::Full, section) && has(Preset::Quick, section), "{section}");
            let in_demo = [Section::Failover, Section::Jitter].contains(&section);
            assert_eq!(has(Preset::Demo, section), in_demo, "{section}");
        }
    }

    #[test]
    fn the_full_plan_has_every_scenario() {
        let jobs = Preset::Full.jobs();
        for scenario in Scenario::value_variants() {
            assert!(jobs.iter().any(|job| job.scenario == *scenario), "{scenario}");
        }
    }
}
