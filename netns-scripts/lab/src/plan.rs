//! Which scenarios run, at which intervals and how often, and running them.

mod preset;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::report::{Column, JobReport, Machine, Report, Row};
use crate::scenario::{Reading, Run, Scenario, Setup, Spans, Way};
use crate::{Bench, Daemon, Interval, Kind, Lab, LabError, RrLoop, Stamp};

pub use self::preset::Preset;

/// How often runs that do not count are repeated, for each run that must count.
const RETRIES: u32 = 3;

/// One scenario with one kind of virtual router at one interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Job {
    /// What happens.
    pub scenario: Scenario,
    /// To which kind of virtual router.
    pub setup: Setup,
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
    /// How long things last.
    pub spans: Spans,
    /// The daemons that are measured, one after the other in each job.
    pub daemons: Vec<Kind>,
    /// The mainstay to run; `None` lets `lab.sh` find it.
    pub mainstay: Option<PathBuf>,
}

impl Plan {
    /// Runs all jobs, in labs named `name`. `progress` hears what is being done.
    ///
    /// # Errors
    /// If a lab cannot be made.
    pub fn run(&self, name: &str, mut progress: impl FnMut(&str)) -> Result<Report, LabError> {
        let mut report = Report::default();
        let mut made = None;
        let start = Stamp::now();
        for (at, job) in (1..).zip(&self.jobs) {
            let mut progress = |text: &str| {
                let seconds = (Stamp::now() - start).as_secs();
                let (minutes, seconds) = (seconds / 60, seconds % 60);
                progress(&format!("{minutes:>2}:{seconds:02} [{at}/{}] {text}", self.jobs.len()));
            };
            let shape = job.scenario.shape();
            let lab = match made.take() {
                Some((lab, made_as)) if made_as == shape => lab,
                // The one before must be gone first: they share the name.
                other => {
                    drop(other);
                    Lab::with_links(name, shape.routers, shape.links)?
                }
            };
            let (job, failures) = self.job(&lab, job, &mut progress);
            report.jobs.push(job);
            report.failures.extend(failures);
            made = Some((lab, shape));
        }
        Ok(report)
    }

    fn job(
        &self,
        lab: &Lab,
        job: &Job,
        progress: &mut impl FnMut(&str),
    ) -> (JobReport, Vec<String>) {
        let Job { scenario, setup, interval, .. } = *job;
        let (mut rows, mut failures): (Vec<Row>, _) = (Vec::new(), Vec::new());
        // Hours: it ends with the job.
        let stolen = stolen();
        let bare = RrLoop::start(Duration::from_millis(10), Duration::from_secs(36_000));
        for &kind in &self.daemons {
            let title = format!("{scenario}, {setup}, {interval} adverts, {kind}");
            let column = self.column(lab, job, kind, &mut |run| {
                progress(&format!("{title}: run {run} of {}", job.runs));
            });
            failures.extend(column.failures.iter().map(|why| format!("{title}: {why}")));
            Row::join(&mut rows, kind, &column);
        }
        let largest_gap = bare.stop().map(|report| report.largest_gap).ok();
        let stolen = self::stolen().saturating_sub(stolen);
        let machine = largest_gap.map(|largest_gap| Machine { largest_gap, stolen });
        (JobReport { scenario, setup, interval, machine, rows }, failures)
    }

    fn column(&self, lab: &Lab, job: &Job, kind: Kind, progress: &mut dyn FnMut(u32)) -> Column {
        let daemon = Daemon {
            binary: self.mainstay.clone(),
            families: job.setup.family.into(),
            virtual_mac: job.setup.virtual_mac,
            routers: job.scenario.virtual_routers(),
            links: job.scenario.shape().links,
            checked: job.scenario.checked(job.interval),
            ..Daemon::new(kind, job.interval)
        };
        let mut column = Column::default();
        let done = match job.scenario.way() {
            Way::Watched(measure) => {
                self.run_by_run(lab, job, daemon, measure, &mut column, progress)
            }
            Way::Calm(measure) => measure(lab, &daemon, job.runs, progress)
                .map(|readings| column.readings.extend(readings)),
        };
        if let Err(error) = done {
            column.failures.push(error.to_string());
        }
        // The next daemon needs free ground, however this one ended.
        if let Err(error) = lab.clear() {
            column.failures.push(error.to_string());
        }
        column
    }

    /// An error ends the column: the lab did not recover.
    fn run_by_run(
        &self,
        lab: &Lab,
        job: &Job,
        daemon: Daemon,
        measure: fn(&Bench, Run) -> Result<Vec<Reading>, LabError>,
        column: &mut Column,
        progress: &mut dyn FnMut(u32),
    ) -> Result<(), LabError> {
        let bench = Bench::start(lab, daemon)?;
        let (mut done, mut retries) = (0, 0);
        while done < job.runs && retries <= RETRIES * job.runs {
            progress(done + 1);
            let result = measure(&bench, Run { number: done, spans: self.spans });
            bench.recover()?;
            match result {
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
