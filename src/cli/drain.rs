//! `mainstay vip drain` and `mainstay vip undrain`

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Context;
use serde::Serialize;
use tokio::time::timeout;

use super::args::{DrainArgs, Format, Instance, UndrainArgs};
use super::client::{Client, block_on};
use super::output;
use crate::daemon::{DrainRequest, Step, UndrainRequest};
use crate::exit::{Exit, Failure};

/// How much longer than it says the daemon may take for a step.
const PATIENCE: Duration = Duration::from_secs(8);

/// What is printed with `-o json`: the last step of each virtual router.
#[derive(Serialize)]
struct Drained {
    virtual_routers: Vec<Step>,
}

/// Hands the virtual IPs over, and tells how it goes.
pub fn drain(instance: &Instance, args: &DrainArgs) -> Result<Exit, Failure> {
    let DrainArgs { router, force, timeout, output } = args;
    let request = DrainRequest {
        router: router.clone(),
        force: *force,
        timeout_ms: timeout.and_then(|it| u64::try_from(it.as_millis()).ok()),
        by: login(),
    };
    ask(instance, "/v1/drain", &request, output.output)
}

/// Lets the virtual routers take part again.
pub fn undrain(instance: &Instance, args: &UndrainArgs) -> Result<Exit, Failure> {
    let request = UndrainRequest { router: args.router.clone(), by: login() };
    ask(instance, "/v1/undrain", &request, args.output.output)
}

fn ask(
    instance: &Instance,
    path: &str,
    request: &impl Serialize,
    format: Format,
) -> Result<Exit, Failure> {
    let client = Client::new(instance.runtime_dir()?.api_socket());
    let steps = block_on(follow(&client, path, request, format))?;
    let refused: Vec<String> = steps.iter().filter(|step| step.is_refused()).map(line_of).collect();
    if format == Format::Json {
        let document = Drained { virtual_routers: steps };
        let text = serde_json::to_string_pretty(&document).context("cannot print the answer")?;
        output::write(format!("{text}\n").as_bytes())?;
    }
    if refused.is_empty() {
        Ok(Exit::Ok)
    } else {
        Err(Failure::new(Exit::Refused, refused.join("\n")))
    }
}

/// The last step of each virtual router. The steps are printed as they come, but for those that
/// will be complained about.
async fn follow(
    client: &Client,
    path: &str,
    request: &impl Serialize,
    format: Format,
) -> Result<Vec<Step>, Failure> {
    let mut lines = client.post_lines(path, request, Exit::Refused).await?;
    let mut open = BTreeSet::new();
    let mut ended = Vec::new();
    let mut patience = PATIENCE;
    loop {
        let line = timeout(patience, lines.next());
        let Some(line) = line.await.map_err(|_| client.silent())?? else { break };
        let step: Step =
            serde_json::from_str(&line).context("the daemon's answer is not understood")?;
        patience = patience.max(PATIENCE + Duration::from_millis(step.timeout_ms.unwrap_or(0)));
        if format == Format::Text && !step.is_refused() {
            output::write(format!("{}\n", line_of(&step)).as_bytes())?;
        }
        if step.is_last() {
            open.remove(&step.router);
            ended.push(step);
        } else {
            open.insert(step.router);
        }
    }
    if open.is_empty() {
        return Ok(ended);
    }
    let open = Vec::from_iter(open).join(", ");
    Err(Failure::new(
        Exit::Failed,
        format!("mainstay ended before it had drained {open}: see `mainstay status`"),
    ))
}

fn line_of(step: &Step) -> String {
    format!("{}: {}", step.router, step.text)
}

/// Who asks, for the record: behind sudo too.
fn login() -> Option<String> {
    ["SUDO_USER", "USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok())
}
