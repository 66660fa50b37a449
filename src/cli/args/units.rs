//! What runs beneath the virtual IPs.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::{OutputArgs, patience};

const UP_HELP: &str = "\
Starts the units in order, each once what it needs is ready, and shows how it goes. What runs already
is taken over as it is. From then on they are brought up at each start of mainstay, until `down`.
A virtual router that `down` has drained takes part again.

Exit codes: 0 all units are ready, 1 some are not in time, 4 the daemon does not run, 5 a unit
refuses to start before somebody has acted.

Examples:
  mainstay up
  mainstay up --timeout 10m";

#[derive(Debug, Args)]
#[command(after_help = UP_HELP)]
pub struct UpArgs {
    /// How long to wait for all units, such as 90s or 10m; they are started in any case
    #[arg(long, value_name = "TIME", value_parser = patience, default_value = "5m")]
    pub timeout: Duration,
    #[command(flatten)]
    pub output: OutputArgs,
}

const DOWN_HELP: &str = "\
First the virtual IPs go to another node, then etcd's leadership, then the units are stopped in
reverse order. Refused where nobody takes the virtual IPs over, and where etcd would lose its quorum.
They stay down, over reboots too, until `up`.

Exit codes: 0 all units are stopped, 1 some are not, 4 the daemon does not run, 5 refused.

Examples:
  mainstay down
  mainstay down --force       whatever becomes of the virtual IPs and of etcd's quorum";

#[derive(Debug, Args)]
#[command(after_help = DOWN_HELP)]
pub struct DownArgs {
    /// Stop them even if nobody takes over, or etcd loses its quorum
    #[arg(long)]
    pub force: bool,
    /// How long to wait for all units to stop
    #[arg(long, value_name = "TIME", value_parser = patience, default_value = "5m")]
    pub timeout: Duration,
    #[command(flatten)]
    pub output: OutputArgs,
}

const APPLY_HELP: &str = "\
`mainstay status` shows which units run otherwise than the configuration says now. This restarts
those, one after the other, and each only once the one before it is ready again.

Exit codes: 0 all is as the configuration says, 1 it is not, 4 the daemon does not run, 5 refused.

Examples:
  mainstay apply
  mainstay apply kubelet";

#[derive(Debug, Args)]
#[command(after_help = APPLY_HELP)]
pub struct ApplyArgs {
    /// Only these
    #[arg(value_name = "UNIT")]
    pub units: Vec<String>,
    /// Restart etcd's member even if that costs the quorum
    #[arg(long)]
    pub force: bool,
    /// How long to wait until they are ready again
    #[arg(long, value_name = "TIME", value_parser = patience, default_value = "5m")]
    pub timeout: Duration,
    #[command(flatten)]
    pub output: OutputArgs,
}

const INIT_HELP: &str = "\
On each master, once in the life of a cluster: etcd becomes ready once most of them have been told.
Masters that come later `mainstay join`. Refused where there are data of etcd already. The certificates
have to be there, of the same CAs on all masters: see `mainstay certs issue`.

Exit codes: as `mainstay up`.

Examples:
  mainstay certs issue && mainstay init";

#[derive(Debug, Args)]
#[command(after_help = INIT_HELP)]
pub struct InitArgs {
    #[command(flatten)]
    pub up: UpTimeArgs,
}

/// How long to wait, and how to print it.
#[derive(Debug, Args)]
pub struct UpTimeArgs {
    /// How long to wait until all units are ready
    #[arg(long, value_name = "TIME", value_parser = patience, default_value = "5m")]
    pub timeout: Duration,
    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Debug, Subcommand)]
pub enum UnitCommand {
    /// List the units with their states
    List(OutputArgs),
    /// Start a unit, and wait until it is ready
    Start(UnitArgs),
    /// Stop a unit; what depends on it runs on
    Stop(UnitArgs),
    /// Stop a unit and start it again
    Restart(UnitArgs),
    /// Show what a unit has written
    Logs(LogsArgs),
}

const UNIT_HELP: &str = "\
Exit codes: 0 done, 1 it did not become so in time, 4 the daemon does not run, 5 refused.

Examples:
  mainstay unit restart kubelet
  mainstay unit stop etcd --force      although etcd loses its quorum";

#[derive(Debug, Args)]
#[command(after_help = UNIT_HELP)]
pub struct UnitArgs {
    /// The unit's name, as `mainstay unit list` shows it
    #[arg(value_name = "UNIT")]
    pub unit: String,
    /// Do it even if etcd loses its quorum
    #[arg(long)]
    pub force: bool,
    /// How long to wait
    #[arg(long, value_name = "TIME", value_parser = patience, default_value = "2m")]
    pub timeout: Duration,
    #[command(flatten)]
    pub output: OutputArgs,
}

const LOGS_HELP: &str = "\
Examples:
  mainstay unit logs etcd
  mainstay unit logs kubelet -n 500 -f";

#[derive(Debug, Args)]
#[command(after_help = LOGS_HELP)]
pub struct LogsArgs {
    /// The unit's name, as `mainstay unit list` shows it
    #[arg(value_name = "UNIT")]
    pub unit: String,
    /// How many of the last lines
    #[arg(long, short = 'n', value_name = "LINES", default_value_t = 100)]
    pub lines: u32,
    /// Wait for more
    #[arg(long, short)]
    pub follow: bool,
}
