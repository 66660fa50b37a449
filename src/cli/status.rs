//! `mainstay status`

use std::io::{IsTerminal, stdout};
use std::time::Duration;

use anyhow::Context;

use super::args::{Format, Instance, StatusArgs};
use super::client::{Client, block_on};
use super::output::{self, Style};
use super::status_text;
use crate::exit::{Exit, Failure};
use crate::status::Status;
use crate::timestamp::Timestamp;

const PERIOD: Duration = Duration::from_secs(1);
/// To the top left; what is there is written over, so that nothing flickers.
const HOME: &str = "\x1b[H";
/// Clears the rest of a line, and the rest of the screen.
const CLEAR_LINE: &str = "\x1b[K\n";
const CLEAR_BELOW: &str = "\x1b[J";

/// Prints the status, and with `--watch` each second anew.
pub fn run(instance: &Instance, args: &StatusArgs) -> Result<Exit, Failure> {
    let client = Client::new(instance.runtime_dir()?.api_socket());
    if args.watch { block_on(watch(&client, args)) } else { block_on(once(&client, args)) }
}

async fn once(client: &Client, args: &StatusArgs) -> Result<Exit, Failure> {
    let status: Status = client.get("/v1/status").await?;
    output::write(text(&status, args, true)?.as_bytes())?;
    Ok(if status.degradations().is_empty() { Exit::Ok } else { Exit::Degraded })
}

async fn watch(client: &Client, args: &StatusArgs) -> Result<Exit, Failure> {
    let is_screen = stdout().is_terminal() && args.output.output == Format::Text;
    loop {
        let shown = match client.get::<Status>("/v1/status").await {
            Ok(status) => text(&status, args, false)?,
            Err(failure) if is_screen => format!("{failure}\n"),
            Err(failure) => return Err(failure),
        };
        if is_screen {
            let screen = shown.replace('\n', CLEAR_LINE);
            output::write(format!("{HOME}{screen}{CLEAR_BELOW}").as_bytes())?;
        } else {
            let separator = if args.output.output == Format::Text { "\n" } else { "" };
            output::write(format!("{shown}{separator}").as_bytes())?;
        }
        tokio::time::sleep(PERIOD).await;
    }
}

fn text(status: &Status, args: &StatusArgs, is_pretty: bool) -> Result<String, Failure> {
    Ok(match args.output.output {
        Format::Text => status_text::render(status, Timestamp::now(), Style::of(&stdout())),
        Format::Json => {
            let write =
                if is_pretty { serde_json::to_string_pretty } else { serde_json::to_string };
            write(status).context("cannot print the status")? + "\n"
        }
    })
}
