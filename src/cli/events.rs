//! `mainstay events`

use anyhow::Context;

use super::args::{EventsArgs, Format, Instance};
use super::client::{Client, block_on};
use super::output;
use crate::events::Record;
use crate::exit::{Exit, Failure};

/// Prints what happened, and with `--follow` what happens.
pub fn run(instance: &Instance, args: &EventsArgs) -> Result<Exit, Failure> {
    let client = Client::new(instance.runtime_dir()?.api_socket());
    block_on(show(&client, args))
}

async fn show(client: &Client, args: &EventsArgs) -> Result<Exit, Failure> {
    let path = format!("/v1/events?after={}&follow={}", args.after, args.follow);
    let mut lines = client.lines(&path).await?;
    loop {
        let line = match lines.next().await {
            Ok(Some(line)) => line,
            Ok(None) if !args.follow => return Ok(Exit::Ok),
            Err(failure) if !args.follow => return Err(failure),
            Ok(None) | Err(_) => {
                return Err(Failure::new(Exit::NotRunning, "mainstay has stopped"));
            }
        };
        let text = match args.output.output {
            Format::Json => line,
            Format::Text => {
                let record: Record =
                    serde_json::from_str(&line).context("the daemon's answer is not understood")?;
                record.line()
            }
        };
        output::write(format!("{text}\n").as_bytes())?;
    }
}
