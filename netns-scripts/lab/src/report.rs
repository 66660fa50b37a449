//! The table: what was measured, the daemons side by side, against what is wanted.

mod document;

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use crate::scenario::{Bar, Metric, Reading, Scenario, Section, Setup};
use crate::stats::Stats;
use crate::{Interval, Kind};

/// All that was measured.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// What was run.
    pub jobs: Vec<JobReport>,
    /// Runs that failed or did not count, and why.
    pub failures: Vec<String>,
}

/// One scenario at one interval.
#[derive(Debug, Serialize)]
pub struct JobReport {
    /// What happened.
    pub scenario: Scenario,
    /// To which kind of virtual router.
    pub setup: Setup,
    /// The daemons' Advertisement_Interval.
    pub interval: Interval,
    /// How good the machine itself was meanwhile.
    pub machine: Option<Machine>,
    /// One for each metric.
    pub rows: Vec<Row>,
}

/// How good the machine was while something was measured.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Machine {
    /// The largest gap of a bare 10 ms SCHED_RR loop.
    pub largest_gap: Duration,
    /// What the hypervisor gave to others, on all cores.
    pub stolen: Duration,
}

/// One metric of one job.
#[derive(Debug, Serialize)]
pub struct Row {
    /// What was measured.
    pub metric: &'static Metric,
    /// The figures of each daemon.
    pub cells: Vec<Cell>,
}

/// The figures of one daemon.
#[derive(Debug, Serialize)]
pub struct Cell {
    /// Whose they are.
    pub daemon: Kind,
    /// The summary of all runs that count.
    pub stats: Stats,
    /// Whether in some run it lasted for longer than was waited for.
    pub at_least: bool,
}

/// What one daemon gave in one job.
#[derive(Debug, Default)]
pub struct Column {
    /// The figures of all runs that count.
    pub readings: Vec<Reading>,
    /// The others: why they failed.
    pub failures: Vec<String>,
}

/// How a figure stands to its bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Nothing is wanted, or mainstay was not measured.
    None,
    /// As wanted.
    Met,
    /// The median is as wanted, the worst is not.
    MedianMet,
    /// Not as wanted.
    Missed,
}

impl Report {
    /// Whether mainstay met every bar, and none of its runs failed.
    pub fn is_met(&self) -> bool {
        let mut rows = self.jobs.iter().flat_map(|job| &job.rows);
        let missed = rows.any(|row| row.verdict() == Verdict::Missed);
        let failed = self.failures.iter().any(|text| text.contains(&Kind::Mainstay.to_string()));
        !missed && !failed
    }

    /// The table as text, coloured if `colour`.
    pub fn table(&self, colour: bool) -> String {
        let mut text = String::new();
        for job in &self.jobs {
            job.write(&mut text, colour);
        }
        if !self.failures.is_empty() {
            text.push_str("\nRuns that failed or did not count:\n");
        }
        for failure in &self.failures {
            let _ = writeln!(text, "  {failure}");
        }
        text
    }
}

impl Report {
    /// The jobs of one section.
    pub fn section(&self, section: Section) -> impl Iterator<Item = &JobReport> {
        self.jobs.iter().filter(move |job| job.scenario.section() == section)
    }
}

impl JobReport {
    fn write(&self, text: &mut String, colour: bool) {
        let title = format!("{}, {}, {} adverts", self.scenario, self.setup, self.interval);
        // The row with most figures: some are not of every run.
        let figures = |row: &&Row| row.cells.iter().map(|cell| cell.stats.count).sum::<usize>();
        let cells = self.rows.iter().max_by_key(figures).map(|row| &row.cells);
        let headings: Vec<String> =
            cells.into_iter().flatten().map(|cell| format!("{:>26}", cell.heading())).collect();
        let _ = writeln!(text, "\n{title:<48} {} {:>14}", headings.join(" "), "wanted");
        for row in &self.rows {
            let _ = writeln!(text, "{}", row.line(colour).trim_end());
        }
        if let Some(Machine { largest_gap, stolen }) = self.machine {
            let _ = writeln!(
                text,
                "  (beside it a bare 10 ms SCHED_RR loop: largest gap {largest_gap:.1?}; \
                 stolen by the hypervisor: {stolen:?})"
            );
        }
    }
}

impl Row {
    /// Adds a daemon's figures to the rows of a job.
    pub(crate) fn join(rows: &mut Vec<Self>, kind: Kind, column: &Column) {
        for reading in &column.readings {
            if !rows.iter().any(|row| row.metric == reading.metric) {
                rows.push(Self { metric: reading.metric, cells: Vec::new() });
            }
        }
        for row in rows {
            let readings = column.readings.iter().filter(|reading| reading.metric == row.metric);
            let values: Vec<f64> = readings.clone().map(|reading| reading.value).collect();
            let at_least = readings.clone().any(|reading| reading.at_least);
            let cell = Stats::of(&values).map(|stats| Cell { daemon: kind, stats, at_least });
            row.cells.extend(cell);
        }
    }

    /// How mainstay's figures stand to the bar.
    pub fn verdict(&self) -> Verdict {
        let Some(cell) = self.cells.iter().find(|cell| cell.daemon == Kind::Mainstay) else {
            return Verdict::None;
        };
        let Stats { median, min, max, .. } = cell.stats;
        let met = match self.metric.bar {
            Bar::None => return Verdict::None,
            Bar::Median(limit) => (median <= limit, max <= limit),
            Bar::MedianNeverNegative(limit) => (median <= limit && min >= 0.0, max <= limit),
            Bar::Every(limit) => (max <= limit, true),
            Bar::AtLeast(limit) => (median >= limit, min >= limit),
            Bar::Share(share) => return self.beside_keepalived(cell, share, 0.0),
            Bar::ShareOr(share, floor) => return self.beside_keepalived(cell, share, floor),
        };
        cell.verdict(met)
    }

    fn beside_keepalived(&self, cell: &Cell, share: f64, floor: f64) -> Verdict {
        let other = self.cells.iter().find(|cell| cell.daemon == Kind::Keepalived);
        let Some(Stats { median, min, .. }) = other.map(|cell| cell.stats) else {
            return Verdict::None;
        };
        let limits = [median, min].map(|theirs| (share * theirs).max(floor));
        cell.verdict((cell.stats.median <= limits[0], cell.stats.max <= limits[1]))
    }

    fn label(&self) -> String {
        let Metric { name, unit, .. } = self.metric;
        if unit.is_empty() { (*name).to_owned() } else { format!("{name}, {unit}") }
    }

    fn line(&self, colour: bool) -> String {
        let label = self.label();
        let cells: Vec<String> =
            self.cells.iter().map(|cell| format!("{:>26}", cell.text())).collect();
        let verdict = self.verdict().text(colour);
        format!("  {label:<46} {} {:>14}  {verdict}", cells.join(" "), wanted(self.metric.bar))
    }
}

impl Cell {
    /// `met`: whether the figure that counts is as wanted, and whether every run is.
    fn verdict(&self, met: (bool, bool)) -> Verdict {
        match met {
            _ if self.at_least => Verdict::Missed,
            (true, true) => Verdict::Met,
            (true, false) => Verdict::MedianMet,
            (false, _) => Verdict::Missed,
        }
    }

    /// The daemon and how many runs counted.
    fn heading(&self) -> String {
        format!("{} ({})", self.daemon, self.stats.count)
    }

    /// Median, least and greatest.
    fn text(&self) -> String {
        let Stats { median, min, max, count } = self.stats;
        let sign = if self.at_least { ">" } else { "" };
        if count == 1 {
            return format!("{sign}{}", figure(median));
        }
        format!("{sign}{} [{} .. {}]", figure(median), figure(min), figure(max))
    }
}

impl Verdict {
    fn text(self, colour: bool) -> String {
        let (text, code) = match self {
            Self::None => return String::new(),
            Self::Met => ("ok", 32),
            Self::MedianMet => ("ok, not the worst", 33),
            Self::Missed => ("MISSED", 31),
        };
        if colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Two digits below ten, fewer above.
fn figure(value: f64) -> String {
    match value.abs() {
        size if size == size.round() => format!("{value:.0}"),
        size if size < 10.0 => format!("{value:.2}"),
        size if size < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

fn wanted(bar: Bar) -> String {
    match bar {
        Bar::None => String::new(),
        Bar::Median(limit) | Bar::Every(limit) if limit == 0.0 => "0".into(),
        Bar::Median(limit) | Bar::Every(limit) => format!("<= {limit}"),
        Bar::MedianNeverNegative(limit) => format!("0..{limit}"),
        Bar::AtLeast(limit) => format!(">= {limit}"),
        Bar::Share(share) => format!("<= x/{}", figure((1.0 / share).round())),
        Bar::ShareOr(share, floor) => format!("{} or {floor}", wanted(Bar::Share(share))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    static LATENESS: Metric =
        Metric { name: "lateness", unit: "ms", bar: Bar::MedianNeverNegative(0.2) };

    fn row(values: &[f64]) -> Row {
        let readings = values.iter().map(|&value| LATENESS.is(value)).collect();
        let mut rows = Vec::new();
        Row::join(&mut rows, Kind::Mainstay, &Column { readings, failures: Vec::new() });
        rows.pop().unwrap()
    }

    #[test]
    fn the_median_is_judged_and_nothing_may_be_too_early() {
        assert_eq!(row(&[0.1, 0.1, 0.2]).verdict(), Verdict::Met);
        assert_eq!(row(&[0.1, 0.1, 0.3]).verdict(), Verdict::MedianMet);
        assert_eq!(row(&[0.1, 0.3, 0.3]).verdict(), Verdict::Missed);
        assert_eq!(row(&[-0.1, 0.1, 0.1]).verdict(), Verdict::Missed);
    }

    #[test]
    fn a_share_is_judged_beside_keepalived_only() {
        static COST: Metric = Metric { name: "cost", unit: "us", bar: Bar::Share(0.5) };
        let mut rows = Vec::new();
        let column = |value| Column { readings: vec![COST.is(value)], failures: Vec::new() };
        Row::join(&mut rows, Kind::Mainstay, &column(5.0));
        assert_eq!(rows[0].verdict(), Verdict::None);
        let mut worse = Vec::new();
        Row::join(&mut worse, Kind::Mainstay, &column(5.1));
        Row::join(&mut worse, Kind::Keepalived, &column(10.0));
        assert_eq!(worse[0].verdict(), Verdict::Missed);
        Row::join(&mut rows, Kind::Keepalived, &column(10.0));
        assert_eq!(rows[0].verdict(), Verdict::Met);
        assert!(rows[0].line(false).contains("<= x/2"));
    }

    #[test]
    fn what_is_nearly_nothing_needs_no_share() {
        static COST: Metric = Metric { name: "cost", unit: "us", bar: Bar::ShareOr(0.5, 0.2) };
        let judge = |ours, theirs| {
            let mut rows = Vec::new();
            for (kind, value) in [(Kind::Mainstay, ours), (Kind::Keepalived, theirs)] {
                let readings = vec![COST.is(value)];
                Row::join(&mut rows, kind, &Column { readings, failures: Vec::new() });
            }
            rows[0].verdict()
        };
        assert_eq!(judge(0.1, 0.0), Verdict::Met);
        assert_eq!(judge(0.3, 0.0), Verdict::Missed);
        assert_eq!(judge(2.0, 4.0), Verdict::Met);
    }

    #[test]
    fn the_table_shows_median_and_extremes() {
        let job = JobReport {
            scenario: Scenario::NodeDeath,
            setup: Setup::default(),
            interval: Interval::from_millis(100),
            machine: None,
            rows: vec![row(&[0.1, 0.15, 12.34])],
        };
        let table = Report { jobs: vec![job], failures: Vec::new() }.table(false);
        assert!(table.contains("0.15 [0.10 .. 12.3]"), "{table}");
        assert!(table.contains("node death, IPv4, 100ms adverts"), "{table}");
    }
}
