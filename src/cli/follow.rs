//! Requests that take their time: shows how they go, and ends as they do.

use std::time::Duration;

use anyhow::Context;
use serde::Serialize;
use tokio::time::timeout;

use super::args::{Format, Instance};
use super::client::{Client, block_on};
use super::output;
use crate::exit::{Exit, Failure};
use crate::timestamp::Timestamp;
use crate::units::{Outcome, Step};

/// The daemon shows this often at least that it is there.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is printed with `-o json`.
#[derive(Serialize)]
struct Document<'a> {
    outcome: Outcome,
    text: &'a str,
    #[serde(skip_serializing_if = "serde_json::Value::is_null")]
    data: &'a serde_json::Value,
    steps: &'a [Step],
}

/// Asks, prints the steps as they come, and gives back the last one.
pub fn follow(
    instance: &Instance,
    path: &str,
    request: &impl Serialize,
    format: Format,
) -> Result<Step, Failure> {
    let client = Client::new(instance.runtime_dir()?.api_socket());
    block_on(ask(&client, path, request, format))
}

/// The same, for requests of which nothing but how they end is to be shown.
pub fn run(
    instance: &Instance,
    path: &str,
    request: &impl Serialize,
    format: Format,
) -> Result<Exit, Failure> {
    let last = follow(instance, path, request, format)?;
    if format == Format::Text && !last.text.is_empty() {
        output::write(format!("{}\n", last.text).as_bytes())?;
    }
    Ok(Exit::Ok)
}

async fn ask(
    client: &Client,
    path: &str,
    request: &impl Serialize,
    format: Format,
) -> Result<Step, Failure> {
    let mut lines = client.post_lines(path, request, Exit::Refused).await?;
    let mut steps: Vec<Step> = Vec::new();
    let start = Timestamp::now();
    loop {
        let line = timeout(PATIENCE, lines.next()).await.map_err(|_| client.silent())??;
        let Some(line) = line else {
            let error = "mainstay ended before it was done: see `mainstay status`";
            return Err(Failure::new(Exit::Failed, error));
        };
        let step: Step =
            serde_json::from_str(&line).context("the daemon's answer is not understood")?;
        let Some(outcome) = step.outcome else {
            if !step.text.is_empty() {
                if format == Format::Text {
                    output::write(line_of(&step, start).as_bytes())?;
                }
                steps.push(step);
            }
            continue;
        };
        if format == Format::Json {
            let Step { text, data, .. } = &step;
            let document = Document { outcome, text, data, steps: &steps };
            let text = serde_json::to_string_pretty(&document).context("cannot print it")?;
            output::write(format!("{text}\n").as_bytes())?;
        }
        return match outcome {
            Outcome::Done => Ok(step),
            Outcome::Failed => Err(Failure::new(Exit::Failed, step.text)),
            Outcome::Refused => Err(Failure::new(Exit::Refused, step.text)),
        };
    }
}

/// How long after the start, about which unit, what.
fn line_of(step: &Step, start: Timestamp) -> String {
    let seconds = step.at.since(start).as_secs_f64();
    let unit = step.unit.as_deref().unwrap_or("-");
    format!("{seconds:>7.2}s  {unit:<10}  {}\n", step.text)
}
