//! What runs beneath the virtual IPs: `up`, `down`, `apply`, `init`, `join`, `leave` and `unit`.

use std::io::stdout;
use std::time::Duration;

use anyhow::Context;

use super::args::{
    ApplyArgs, DownArgs, Format, InitArgs, Instance, JoinArgs, LeaveArgs, LogsArgs, OutputArgs,
    UnitArgs, UnitCommand, UpArgs,
};
use super::client::{Client, block_on, encode};
use super::output::{self, Style};
use super::{follow, tree};
use crate::exit::{Exit, Failure};
use crate::timestamp::Timestamp;
use crate::units::{Operation, UnitOrder, UnitStatus};

const OPERATIONS: &str = "/v1/operations";

/// Brings all units up.
pub fn up(instance: &Instance, args: &UpArgs) -> Result<Exit, Failure> {
    operate(instance, &Operation::Up { timeout_ms: millis(args.timeout) }, args.output.output)
}

/// Stops all units.
pub fn down(instance: &Instance, args: &DownArgs) -> Result<Exit, Failure> {
    let operation = Operation::Down { force: args.force, timeout_ms: millis(args.timeout) };
    operate(instance, &operation, args.output.output)
}

/// Puts what the configuration says in force.
pub fn apply(instance: &Instance, args: &ApplyArgs) -> Result<Exit, Failure> {
    let ApplyArgs { units, force, timeout, output } = args;
    let (units, timeout_ms) = (units.clone(), millis(*timeout));
    operate(instance, &Operation::Apply { units, force: *force, timeout_ms }, output.output)
}

/// Starts a new etcd cluster.
pub fn init(instance: &Instance, args: &InitArgs) -> Result<Exit, Failure> {
    let timeout_ms = millis(args.up.timeout);
    operate(instance, &Operation::Init { timeout_ms }, args.up.output.output)
}

/// Joins the etcd cluster.
pub fn join(instance: &Instance, args: &JoinArgs) -> Result<Exit, Failure> {
    let timeout_ms = millis(args.up.timeout);
    operate(instance, &Operation::Join { timeout_ms }, args.up.output.output)
}

/// Leaves the etcd cluster.
pub fn leave(instance: &Instance, args: &LeaveArgs) -> Result<Exit, Failure> {
    operate(instance, &Operation::Leave { force: args.force }, args.output.output)
}

/// Acts on one unit, or looks at them.
pub fn unit(instance: &Instance, command: &UnitCommand) -> Result<Exit, Failure> {
    match command {
        UnitCommand::List(args) => list(instance, args),
        UnitCommand::Start(args) => order(instance, args, UnitOrder::Start),
        UnitCommand::Stop(args) => order(instance, args, UnitOrder::Stop),
        UnitCommand::Restart(args) => order(instance, args, UnitOrder::Restart),
        UnitCommand::Logs(args) => logs(instance, args),
    }
}

/// Has an operation done, and shows how it goes.
pub fn operate(
    instance: &Instance,
    operation: &Operation,
    format: Format,
) -> Result<Exit, Failure> {
    follow::run(instance, OPERATIONS, operation, format)
}

fn order(instance: &Instance, args: &UnitArgs, order: UnitOrder) -> Result<Exit, Failure> {
    let UnitArgs { unit, force, timeout, output } = args;
    let (unit, timeout_ms) = (unit.clone(), millis(*timeout));
    operate(instance, &Operation::Unit { unit, order, force: *force, timeout_ms }, output.output)
}

fn list(instance: &Instance, args: &OutputArgs) -> Result<Exit, Failure> {
    let client = Client::new(instance.runtime_dir()?.api_socket());
    let units: Vec<UnitStatus> = block_on(client.get("/v1/units"))?;
    let text = match args.output {
        Format::Text => tree::render(&units, Timestamp::now(), Style::of(&stdout())),
        Format::Json => serde_json::to_string_pretty(&units).context("cannot print them")? + "\n",
    };
    output::write(text.as_bytes())
}

fn logs(instance: &Instance, args: &LogsArgs) -> Result<Exit, Failure> {
    let LogsArgs { unit, lines, follow } = args;
    let client = Client::new(instance.runtime_dir()?.api_socket());
    let path = format!("/v1/units/{}/logs?lines={lines}&follow={follow}", encode(unit));
    block_on(async {
        let mut bytes = client.bytes(&path).await?;
        while let Some(bytes) = bytes.next().await? {
            output::write(&bytes)?;
        }
        Ok(Exit::Ok)
    })
}

/// In milliseconds.
pub fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
