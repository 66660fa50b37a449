//! The tables in a Markdown document, between marks that its author set:
//! `<!-- measured: flood -->` and `<!-- end of flood -->`.

use std::fmt::Write as _;
use std::time::Duration;

use super::{JobReport, Report, Row, Verdict, wanted};
use crate::host::Host;
use crate::scenario::Section;
use crate::{Kind, LabError};

impl Report {
    /// Puts the table of every section that was measured into `document`, in place of an earlier
    /// one.
    ///
    /// # Errors
    /// If a mark is missing.
    pub fn write_into(&self, document: &str, host: &Host) -> Result<String, LabError> {
        let mut text = document.to_owned();
        for section in Section::ALL {
            if self.section(section).next().is_some() {
                text = splice(&text, section, &self.markdown(section, host))?;
            }
        }
        Ok(text)
    }

    /// The table of one section.
    fn markdown(&self, section: Section, host: &Host) -> String {
        let jobs: Vec<&JobReport> = self.section(section).collect();
        let mut text = format!(
            "{}, {}, Linux {}; {}. Median [least .. greatest].\n\n",
            host.date,
            host.processor,
            host.kernel,
            host.daemons.join(", ")
        );
        text.push_str(
            "| what | adverts | mainstay | keepalived | wanted |\n|---|---|---|---|---|\n",
        );
        jobs.iter().for_each(|job| job.write_rows(&mut text));
        let machines = || jobs.iter().filter_map(|job| job.machine);
        let gap = machines().map(|machine| machine.largest_gap).max().unwrap_or_default();
        let stolen: Duration = machines().map(|machine| machine.stolen).sum();
        let _ = writeln!(
            text,
            "\nBeside it a bare SCHED_RR loop of 10 ms had gaps of up to {:.0} ms; the hypervisor \
             gave {:.0} s to others.",
            gap.as_secs_f64() * 1e3,
            stolen.as_secs_f64()
        );
        let title =
            |job: &&JobReport| format!("{}, {}, {} ", job.scenario, job.setup, job.interval);
        let failures = self
            .failures
            .iter()
            .filter(|failure| jobs.iter().any(|job| failure.starts_with(&title(job))));
        for (at, failure) in failures.enumerate() {
            text.push_str(if at == 0 { "\nRuns that failed or did not count:\n" } else { "" });
            let _ = writeln!(text, "* {failure}");
        }
        text
    }
}

impl JobReport {
    fn write_rows(&self, text: &mut String) {
        let runs = self.rows.iter().flat_map(|row| &row.cells).map(|cell| cell.stats.count).max();
        let runs = match runs {
            Some(1) => "1 run".to_owned(),
            runs => format!("{} runs", runs.unwrap_or(0)),
        };
        let mut first = format!("**{}**, {} ({runs}): ", self.scenario, self.setup);
        let mut interval = self.interval.to_string();
        for row in &self.rows {
            let _ = writeln!(
                text,
                "| {first}{} | {interval} | {} | {} | {} |",
                row.label(),
                row.cell(Kind::Mainstay),
                row.cell(Kind::Keepalived),
                row.wanted(),
            );
            first.clear();
            interval.clear();
        }
    }
}

impl Row {
    fn cell(&self, kind: Kind) -> String {
        let cell = self.cells.iter().find(|cell| cell.daemon == kind);
        cell.map_or_else(|| "-".to_owned(), super::Cell::text)
    }

    fn wanted(&self) -> String {
        let wanted = wanted(self.metric.bar);
        match self.verdict() {
            Verdict::Missed => format!("{wanted}, **missed**"),
            _ => wanted,
        }
    }
}

fn splice(document: &str, section: Section, table: &str) -> Result<String, LabError> {
    let (begin, end) =
        (format!("<!-- measured: {section} -->\n"), format!("<!-- end of {section} -->"));
    let missing = |mark: &str| LabError::Invalid(format!("the document has no '{}'", mark.trim()));
    let (before, rest) = document.split_once(&begin).ok_or_else(|| missing(&begin))?;
    let (_, after) = rest.split_once(&end).ok_or_else(|| missing(&end))?;
    Ok(format!("{before}{begin}{table}{end}{after}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::{Column, Machine};
    use super::*;
    use crate::Interval;
    use crate::scenario::{Bar, Metric, Scenario, Setup};

    static LATENESS: Metric = Metric { name: "lateness", unit: "ms", bar: Bar::Median(0.2) };

    fn report() -> Report {
        let mut rows = Vec::new();
        for (kind, value) in [(Kind::Mainstay, 0.25), (Kind::Keepalived, 3.0)] {
            let readings = vec![LATENESS.is(value)];
            Row::join(&mut rows, kind, &Column { readings, failures: Vec::new() });
        }
        let machine =
            Machine { largest_gap: Duration::from_millis(12), stolen: Duration::from_secs(2) };
        let job = JobReport {
            scenario: Scenario::NodeDeath,
            setup: Setup::default(),
            interval: Interval::from_millis(100),
            machine: Some(machine),
            rows,
        };
        Report {
            jobs: vec![job],
            failures: vec!["node death, IPv4, 100ms adverts, mainstay: no".into()],
        }
    }

    fn host() -> Host {
        Host {
            date: "2026-11-23".into(),
            processor: "2 cores of X".into(),
            kernel: "6.18".into(),
            daemons: vec!["mainstay 0.1.0".into(), "keepalived 2.2.7".into()],
        }
    }

    #[test]
    fn a_table_replaces_the_one_before_and_nothing_else() {
        let document = "# T\n<!-- measured: failover -->\nold\n<!-- end of failover -->\n\
                        <!-- measured: cost -->\nkept\n<!-- end of cost -->\nend\n";
        let text = report().write_into(document, &host()).unwrap();
        assert!(text.starts_with("# T\n<!-- measured: failover -->\n2026-11-23, 2 cores of X"));
        assert!(!text.contains("old"));
        assert!(text.contains(
            "| **node death**, IPv4 (1 run): lateness, ms | 100ms | 0.25 | 3 | <= 0.2, **missed** |"
        ));
        assert!(text.contains("gaps of up to 12 ms; the hypervisor gave 2 s"));
        assert!(text.contains("* node death, IPv4, 100ms adverts, mainstay: no\n"));
        assert!(text.ends_with("-->\n<!-- measured: cost -->\nkept\n<!-- end of cost -->\nend\n"));
        assert_eq!(report().write_into(&text, &host()).unwrap(), text);
    }

    #[test]
    fn a_missing_mark_is_named() {
        let error = report().write_into("<!-- measured: failover -->\n", &host()).unwrap_err();
        assert!(error.to_string().contains("'<!-- end of failover -->'"), "{error}");
    }
}
