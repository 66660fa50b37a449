//! `mainstay explain`

use std::io::stdout;

use anyhow::Context;

use super::args::{ExplainArgs, Format, Instance};
use super::client::{Client, block_on, encode};
use super::explain_text;
use super::output::{self, Style};
use crate::config;
use crate::daemon::spec;
use crate::events::Log;
use crate::exit::{Exit, Failure};
use crate::explain::{Explanation, Setup, explain};
use crate::status::{ConfigStatus, Status, VirtualRouterStatus, VrrpStatus};
use crate::timestamp::Timestamp;

/// Prints why the addresses are where they are. If no daemon runs, what the last one wrote has to
/// do, and the exit code says so.
pub fn run(instance: &Instance, args: &ExplainArgs) -> Result<Exit, Failure> {
    let client = Client::new(instance.runtime_dir()?.api_socket());
    match block_on(ask(&client, args)) {
        Ok(explanation) => show(&explanation, args),
        Err(failure) if failure.exit == Exit::NotRunning => {
            match from_disk(instance, args, &failure) {
                Some(explanation) => {
                    output::complain(&failure);
                    show(&explanation, args)?;
                    Ok(Exit::NotRunning)
                }
                None => Err(failure),
            }
        }
        Err(failure) => Err(failure),
    }
}

async fn ask(client: &Client, args: &ExplainArgs) -> Result<Explanation, Failure> {
    let path = match &args.router {
        Some(name) => format!("/v1/explain?router={}", encode(name)),
        None => "/v1/explain".to_owned(),
    };
    client.get(&path).await
}

fn show(explanation: &Explanation, args: &ExplainArgs) -> Result<Exit, Failure> {
    let text = match args.output.output {
        Format::Text => explain_text::render(explanation, Style::of(&stdout())),
        Format::Json => {
            serde_json::to_string_pretty(explanation).context("cannot print the explanation")?
                + "\n"
        }
    };
    output::write(text.as_bytes())
}

/// What the events of the last daemon tell; `None` if its files or the configuration cannot be had.
fn from_disk(instance: &Instance, args: &ExplainArgs, failure: &Failure) -> Option<Explanation> {
    let (config, node) = (config::load(&instance.config).ok()?, instance.node().ok()?);
    let own = config.for_node(&node).ok()?;
    let records = Log::read(&instance.state_dir).history();
    let last = records.last()?;
    let is_wanted = |name: &str| args.router.as_deref().is_none_or(|wanted| wanted == name);
    let wanted = own.virtual_routers.iter().filter(|it| is_wanted(&it.name));
    let problem = format!("mainstay does not run; its last event was at {}", last.at);
    let routers = wanted.map(|it| VirtualRouterStatus::unknown(&spec(it), &problem));
    let status = Status {
        node: node.to_string(),
        role: own.role.to_string(),
        config: ConfigStatus { path: instance.config.clone(), error: None },
        vrrp: VrrpStatus { problem: Some(failure.to_string()), ..VrrpStatus::default() },
        virtual_routers: routers.collect(),
        ..Status::default()
    };
    Some(explain(&status, &records, &Setup::of(&config, &node), Timestamp::now()))
}
