//! Ready-made plans.

use clap::ValueEnum;

use super::Job;
use crate::scenario::{Scenario, Setup, Spans};
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
    /// Ten runs of nearly everything: about 80 minutes for both daemons.
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
            (Scenario::ApiserverKilled, V4, SECOND, [10, 3, 1]),
            (Scenario::ApiserverKilled, V4, TENTH, [10, 3, 0]),
            (Scenario::ApiserverKilled, V4, HUNDREDTH, [10, 3, 1]),
            (Scenario::ApiserverKilled, V6, SECOND, [5, 0, 0]),
            (Scenario::KubeadmKilled, V4, SECOND, [2, 0, 0]),
            (Scenario::ApiserverHung, V4, SECOND, [10, 1, 1]),
            (Scenario::ApiserverFailing, V4, SECOND, [10, 1, 1]),
            (Scenario::AllKilled, V4, SECOND, [6, 1, 1]),
            (Scenario::KilledApart, V4, SECOND, [3, 0, 0]),
            (Scenario::Flapping, V4, SECOND, [1, 1, 1]),
            (Scenario::Overload, V4, SECOND, [3, 0, 0]),
            (Scenario::Returning, V4, SECOND, [3, 0, 0]),
            (Scenario::Hung, V4, HUNDREDTH, [3, 0, 1]),
            (Scenario::Drain, V4, SECOND, [10, 3, 1]),
            (Scenario::Drain, V6, SECOND, [5, 0, 0]),
            (Scenario::Drain, V4_MAC, SECOND, [5, 0, 0]),
            (Scenario::Stop, V4, SECOND, [10, 3, 1]),
            (Scenario::Stop, V4, HUNDREDTH, [10, 3, 0]),
            (Scenario::PriorityChange, V4, SECOND, [10, 1, 1]),
            (Scenario::DaemonStalled, V4, SECOND, [6, 0, 0]),
            (Scenario::NodeStalled, V4, SECOND, [6, 1, 1]),
            (Scenario::BackupStalled, V4, SECOND, [6, 0, 0]),
        ];
        let column = self as usize;
        let job = |(scenario, setup, interval, runs): (Scenario, Setup, Interval, [u32; 3])| {
            let runs = runs.get(column).copied().filter(|&runs| runs > 0)?;
            Some(Job { scenario, setup, interval, runs })
        };
        table.into_iter().filter_map(job).collect()
    }

    /// How long things last.
    pub const fn spans(self) -> Spans {
        match self {
            Self::Full => Spans { hog: 60, flood: 10, flap: 300, stall: 60 },
            Self::Demo => Spans { hog: 15, flood: 10, flap: 20, stall: 5 },
            Self::Quick => Spans { hog: 5, flood: 5, flap: 10, stall: 5 },
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
            let in_demo = ![Section::Cost, Section::Flood].contains(&section);
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
