//! Which scenarios run, at which intervals and how often, and running them.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;

use crate::report::{Column, JobReport, Machine, Report, Row};
use crate::scenario::{Run, Scenario};
use crate::{Bench, Daemon, Interval, Kind, Lab, LabError, RrLoop};

/// How often runs that do not count are repeated, for each run that must count.
const RETRIES: u32 = 3;
const SECOND: Interval = Interval::from_millis(1000);
const TENTH: Interval = Interval::from_millis(100);
const HUNDREDTH: Interval = Interval::from_millis(10);

/// A ready-made list of jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Preset {
    /// Ten runs of everything, hogs for a minute: about half an hour for both daemons.
    Full,
    /// Ten runs of what is fast, fewer of what is slow: about five minutes.
    Demo,
    /// One or two runs of everything: about two minutes.
    Quick,
}

/// One scenario at one interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Job {
    /// What happens.
    pub scenario: Scenario,
    /// The daemons' Advertisement_Interval.
    pub interval: Interval,
    /// How many runs must count.
    pub runs: u32,
}

/// Jobs in order, and what they share.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What is run.
    pub jobs: Vec<Job>,
    /// How long CPU hogs run.
    pub hog_seconds: u32,
    /// The daemons that are measured, one after the other in each job.
    pub daemons: Vec<Kind>,
    /// The mainstay to run; `None` lets `lab.sh` find it.
    pub mainstay: Option<PathBuf>,
}

impl Preset {
    /// The jobs and for how long the hogs run, in seconds.
    pub fn jobs(self) -> (Vec<Job>, u32) {
        // Runs in the three presets.
        let table = [
            (Scenario::NodeDeath, SECOND, [10, 3, 1]),
            (Scenario::NodeDeath, TENTH, [10, 10, 2]),
            (Scenario::NodeDeath, HUNDREDTH, [10, 10, 2]),
            (Scenario::ChildKilled, SECOND, [10, 3, 1]),
            (Scenario::ChildKilled, TENTH, [10, 3, 1]),
            (Scenario::BothKilled, TENTH, [10, 2, 1]),
            (Scenario::Frozen, TENTH, [10, 2, 1]),
            (Scenario::ParentKilled, HUNDREDTH, [10, 3, 1]),
            (Scenario::Reload, HUNDREDTH, [10, 3, 1]),
            (Scenario::Restart, HUNDREDTH, [10, 3, 1]),
            (Scenario::Partition, TENTH, [10, 4, 2]),
            (Scenario::VipDeleted, TENTH, [10, 5, 1]),
            (Scenario::SourceAddress, TENTH, [2, 1, 1]),
            (Scenario::Hogs, HUNDREDTH, [10, 1, 1]),
        ];
        let column = self as usize;
        let job = |(scenario, interval, runs): (Scenario, Interval, [u32; 3])| {
            runs.get(column).map(|&runs| Job { scenario, interval, runs })
        };
        (table.into_iter().filter_map(job).collect(), [60, 15, 5][column])
    }
}

impl Plan {
    /// Runs all jobs in one lab. `progress` hears what is being done.
    pub fn run(&self, lab: &Lab, mut progress: impl FnMut(&str)) -> Report {
        let mut report = Report::default();
        for job in &self.jobs {
            let mut rows: Vec<Row> = Vec::new();
            // Hours: it ends with the job.
            let stolen = stolen();
            let bare = RrLoop::start(Duration::from_millis(10), Duration::from_secs(36_000));
            for &kind in &self.daemons {
                let title = format!("{}, {} adverts, {kind}", job.scenario, job.interval);
                let column = self.column(lab, job, kind, |run| {
                    progress(&format!("{title}: run {run} of {}", job.runs));
                });
                report.failures.extend(column.failures.iter().map(|why| format!("{title}: {why}")));
                Row::join(&mut rows, kind, &column);
            }
            let largest_gap = bare.stop().map(|report| report.largest_gap).ok();
            let stolen = self::stolen().saturating_sub(stolen);
            let machine = largest_gap.map(|largest_gap| Machine { largest_gap, stolen });
            let Job { scenario, interval, .. } = *job;
            report.jobs.push(JobReport { scenario, interval, machine, rows });
        }
        report
    }

    fn column(&self, lab: &Lab, job: &Job, kind: Kind, progress: impl FnMut(u32)) -> Column {
        let mut daemon = Daemon::new(kind, job.interval);
        daemon.binary.clone_from(&self.mainstay);
        let mut column = Column::default();
        if let Err(error) = self.fill(lab, job, daemon, &mut column, progress) {
            column.failures.push(error.to_string());
        }
        // The next daemon needs free ground, however this one ended.
        if let Err(error) = lab.clear() {
            column.failures.push(error.to_string());
        }
        column
    }

    /// An error ends the column: the lab did not recover.
    fn fill(
        &self,
        lab: &Lab,
        job: &Job,
        daemon: Daemon,
        column: &mut Column,
        mut progress: impl FnMut(u32),
    ) -> Result<(), LabError> {
        let bench = Bench::start(lab, daemon)?;
        let (mut done, mut retries) = (0, 0);
        while done < job.runs && retries <= RETRIES * job.runs {
            progress(done + 1);
            let run = Run { number: done, hog_seconds: self.hog_seconds };
            match job.scenario.run(&bench, run) {
                Ok(readings) => {
                    column.readings.extend(readings);
                    done += 1;
                }
                Err(error @ (LabError::Invalid(_) | LabError::Deadline(_))) => {
                    column.failures.push(error.to_string());
                    retries += 1;
                }
                Err(error) => return Err(error),
            }
        }
        bench.stop()
    }
}

/// What the hypervisor gave to others since the machine started: the eighth figure of the first
/// line of /proc/stat, in hundredths of a second. None if it does not tell.
fn stolen() -> Duration {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let figure = text.lines().next().and_then(|line| line.split_whitespace().nth(8));
    Duration::from_millis(10 * figure.and_then(|text| text.parse::<u64>().ok()).unwrap_or(0))
}
