//! `mainstay certs`: needs no daemon.

use std::fmt::Write;
use std::io::stdout;
use std::time::SystemTime;

use anyhow::Context;
use serde::Serialize;
use supervisor::certs::{self, Issued, Mode, Report, Severity};

use super::args::{CertsCommand, Format, Instance, IssueArgs, OutputArgs};
use super::output::{self, Colour, Style};
use crate::config::{self, Role};
use crate::exit::{Exit, Failure};
use crate::timestamp::{Timestamp, span};
use crate::units::cert_settings;

/// Does what is asked for.
pub fn run(instance: &Instance, command: &CertsCommand) -> Result<Exit, Failure> {
    match command {
        CertsCommand::Issue(args) => issue(instance, args),
        CertsCommand::Check(args) => check(instance, args),
    }
}

fn settings(instance: &Instance) -> Result<certs::Settings, Failure> {
    let config = config::load(&instance.config).map_err(Failure::usage)?;
    let node = config.for_node(&instance.node()?).map_err(Failure::usage)?;
    if node.role == Role::Worker {
        let error =
            format!("{} is a worker: only masters have certificates of the cluster", node.name);
        return Err(Failure::usage(error));
    }
    Ok(cert_settings(&config, node))
}

fn issue(instance: &Instance, args: &IssueArgs) -> Result<Exit, Failure> {
    let mode = if args.new_ca { Mode::First } else { Mode::Joining };
    let settings = settings(instance)?;
    let Issued { written, kept } = certs::issue(&settings, mode, SystemTime::now())
        .map_err(|error| Failure::new(Exit::Refused, error.to_string()))?;
    let text = match args.output.output {
        Format::Json => {
            let document = serde_json::json!({ "written": written, "kept": kept });
            serde_json::to_string_pretty(&document).context("cannot print it")? + "\n"
        }
        Format::Text => {
            let mut text = String::new();
            for (what, files) in [("wrote", &written), ("kept ", &kept)] {
                for file in files {
                    // Writing to a String cannot fail.
                    let _ = writeln!(text, "{what} {}", file.display());
                }
            }
            text
        }
    };
    output::write(text.as_bytes())
}

/// A report with the text of each problem.
#[derive(Serialize)]
struct Document<'a> {
    folder: &'a std::path::Path,
    is_sound: bool,
    certificates: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    name: &'a str,
    expires: Option<Timestamp>,
    names: Vec<String>,
    problems: Vec<String>,
}

fn check(instance: &Instance, args: &OutputArgs) -> Result<Exit, Failure> {
    let report = certs::check(&settings(instance)?, SystemTime::now());
    let text = match args.output {
        Format::Json => {
            serde_json::to_string_pretty(&document(&report)).context("cannot print it")? + "\n"
        }
        Format::Text => render(&report, Timestamp::now(), Style::of(&stdout())),
    };
    output::write(text.as_bytes())?;
    let is_well = report.items.iter().all(|it| it.problems.is_empty());
    Ok(if is_well { Exit::Ok } else { Exit::Degraded })
}

fn document(report: &Report) -> Document<'_> {
    let certificates = report.items.iter().map(|item| Entry {
        name: &item.name,
        expires: item.expires.map(time),
        names: item.names.iter().map(ToString::to_string).collect(),
        problems: item.problems.iter().map(ToString::to_string).collect(),
    });
    Document {
        folder: &report.folder,
        is_sound: report.is_sound(),
        certificates: certificates.collect(),
    }
}

fn render(report: &Report, now: Timestamp, style: Style) -> String {
    let mut text = format!("{}\n", report.folder.display());
    for item in &report.items {
        let expires = item.expires.map(time).map(|at| match at.since(now) {
            left if left.is_zero() => format!("expired at {at}"),
            left => format!("expires in {} ({at})", span(left)),
        });
        let expires = expires.unwrap_or_default();
        let _ = writeln!(text, "  {:<26} {expires}", item.name);
        for problem in &item.problems {
            let (colour, label) = match problem.severity() {
                Severity::Warning => (Colour::Yellow, "warning:"),
                Severity::Error => (Colour::Red, "error:"),
            };
            let _ = writeln!(text, "    {} {} {problem}", style.paint(colour, label), item.name);
        }
    }
    text
}

/// From seconds since 1970.
fn time(seconds: i64) -> Timestamp {
    let seconds = u64::try_from(seconds).unwrap_or_default();
    Timestamp::from_unix_nanos(seconds.saturating_mul(1_000_000_000))
}
