//! `mainstay events`

use anyhow::Context;

use super::args::{EventsArgs, Format, Instance};
use super::client::{Client, block_on, encode};
use super::output;
use crate::events::Record;
use crate::exit::{Exit, Failure};

/// Prints what happened, and with `--follow` what happens.
pub fn run(instance: &Instance, args: &EventsArgs) -> Result<Exit, Failure> {
    let client = Client::new(instance.runtime_dir()?.api_socket());
    block_on(show(&client, args))
}

async fn show(client: &Client, args: &EventsArgs) -> Result<Exit, Failure> {
    let mut lines = client.lines(&path(args)).await?;
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

fn path(args: &EventsArgs) -> String {
    let EventsArgs { follow, after, router, code, since, .. } = args;
    let since = since.map(|it| it.to_string());
    let conditions =
        [("router", router.as_ref()), ("code", code.as_ref()), ("since", since.as_ref())];
    let conditions = conditions
        .into_iter()
        .filter_map(|(key, value)| value.map(|value| format!("&{key}={}", encode(value))));
    format!("/v1/events?after={after}&follow={follow}{}", conditions.collect::<String>())
}
