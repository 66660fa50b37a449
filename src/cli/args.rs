//! What the command line can say.

mod certs;
mod etcd;
mod units;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

pub use certs::{CertsCommand, IssueArgs};
pub use etcd::{
    AdoptArgs, DefragArgs, EtcdCommand, JoinArgs, LeaveArgs, RemoveArgs, ReplaceArgs, RestoreArgs,
    SnapshotArgs,
};
pub use units::{ApplyArgs, DownArgs, InitArgs, LogsArgs, UnitArgs, UnitCommand, UpArgs};

use crate::config::{self, NodeName};
use crate::exit::Failure;
use crate::runtime_dir::RuntimeDir;
use crate::timestamp::Timestamp;

const EXIT_CODES: &str = "Exit codes: 0 ok, 1 failed, 2 usage or configuration, 3 degraded, \
                          4 not running, 5 refused because it would do harm.";

/// Owns a Kubernetes API server's virtual IP by VRRPv3.
#[derive(Debug, Parser)]
#[command(name = "mainstay", version, after_help = EXIT_CODES, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,

    #[command(flatten)]
    pub instance: Instance,

    /// What is logged: error, warn, info, debug, trace, or a filter such as mainstay=debug
    #[arg(long, global = true, env = "MAINSTAY_LOG", value_name = "LEVEL", default_value = "info")]
    pub log: String,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the daemon
    #[command(after_help = RUN_HELP)]
    Run,
    /// Check a configuration file and show what this node would do
    #[command(after_help = CHECK_HELP)]
    Check,
    /// Show the virtual routers: who is Active, since when and why
    Status(StatusArgs),
    /// Show what happened, and why
    Events(EventsArgs),
    /// Explain in words why the virtual IPs are where they are, and what would move them
    Explain(ExplainArgs),
    /// Have the daemon read its configuration again; a wrong one is refused
    #[command(after_help = RELOAD_HELP)]
    Reload,
    /// Act on the virtual IPs of this node
    Vip {
        #[command(subcommand)]
        command: VipCommand,
    },
    /// Bring up what runs beneath the virtual IPs, and wait until it is ready
    Up(UpArgs),
    /// Hand the virtual IPs over and stop what runs beneath them, in reverse order
    Down(DownArgs),
    /// Put what the configuration says now in force where units differ from it
    Apply(ApplyArgs),
    /// Found a new etcd cluster of all masters, and bring this one up
    Init(InitArgs),
    /// Make this node a further member of the etcd cluster, and bring it up
    Join(JoinArgs),
    /// Take this node's member out of the etcd cluster
    Leave(LeaveArgs),
    /// Look at units and act on single ones
    Unit {
        #[command(subcommand)]
        command: UnitCommand,
    },
    /// Look after etcd
    Etcd {
        #[command(subcommand)]
        command: EtcdCommand,
    },
    /// Issue and check certificates
    Certs {
        #[command(subcommand)]
        command: CertsCommand,
    },
    /// Print a completion script for a shell
    #[command(after_help = COMPLETIONS_HELP)]
    Completions { shell: Shell },
    /// The VRRP process; `mainstay run` starts it
    #[command(hide = true)]
    Vrrp,
}

#[derive(Debug, Subcommand)]
pub enum VipCommand {
    /// Hand the virtual IPs over to another node and take no more, until `vip undrain`
    Drain(DrainArgs),
    /// Take part again after `vip drain`
    Undrain(UndrainArgs),
    /// Remove the virtual IPs that a dead daemon has left on this node, and tell the peers
    Fence(FenceArgs),
}

const RUN_HELP: &str = "\
Signals:
  SIGTERM, SIGINT  stop: the virtual IPs go to a peer. Under systemd, SIGTERM for a restart of the
                   unit leaves them where they are.
  SIGUSR1          exit and leave the VRRP process and the virtual IPs alone: the next `mainstay
                   run` takes them over. For restarts without systemd.
  SIGHUP           read the configuration again; a wrong one is refused and the old one stays

Examples:
  mainstay run
  mainstay run --config ./mainstay.toml --node m1 --runtime-dir /run/m1 --state-dir /var/lib/m1";

const CHECK_HELP: &str = "\
Examples:
  mainstay check
  mainstay check --config ./mainstay.toml --node m1";

const STATUS_HELP: &str = "\
Exit codes: 0 all is well, 3 degraded, 4 the daemon does not run.

Examples:
  mainstay status
  mainstay status --watch
  mainstay status -o json | jq -r '.virtual_routers[] | .name + \" \" + .state'";

#[derive(Debug, Args)]
#[command(after_help = STATUS_HELP)]
pub struct StatusArgs {
    #[command(flatten)]
    pub output: OutputArgs,
    /// Show it anew each second
    #[arg(long, short)]
    pub watch: bool,
}

const EVENTS_HELP: &str = "\
Examples:
  mainstay events
  mainstay events --follow
  mainstay events --router apiserver --code transition,check_sick --since 2h
  mainstay events -o json | jq 'select(.code == \"transition\")'";

#[derive(Debug, Args)]
#[command(after_help = EVENTS_HELP)]
pub struct EventsArgs {
    #[command(flatten)]
    pub output: OutputArgs,
    /// Wait for more
    #[arg(long, short)]
    pub follow: bool,
    /// Only those with a higher number
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    pub after: u64,
    /// Only those about this virtual router, its checks included
    #[arg(long, value_name = "NAME")]
    pub router: Option<String>,
    /// Only those with these codes, as `-o json` shows them; with commas between
    #[arg(long, value_name = "CODES")]
    pub code: Option<String>,
    /// Only those since this time, or of so long: 2026-01-31T12:00:00.000Z, 90s, 15m, 2h, 3d
    #[arg(long, value_name = "TIME", value_parser = since)]
    pub since: Option<Timestamp>,
}

/// Reads a point in time, or how long ago it is.
fn since(text: &str) -> Result<Timestamp, String> {
    if let Ok(at) = text.parse() {
        return Ok(at);
    }
    let ago = || {
        let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            _ => return None,
        };
        number.parse::<u64>().ok()?.checked_mul(seconds)
    };
    let ago =
        ago().ok_or("neither a time such as 2026-01-31T12:00:00.000Z nor 90s, 15m, 2h, 3d")?;
    Ok(Timestamp::now().before(Duration::from_secs(ago)))
}

const EXPLAIN_HELP: &str = "\
Where the addresses are and since when, why they are there, how they came there with every cause
that this node knows of, what would move them, and what is wrong now. Works on each master, whoever
has the addresses. If mainstay does not run, what it wrote last has to do.

Exit codes: 0 explained, 4 the daemon does not run.

Examples:
  mainstay explain
  mainstay explain apiserver
  mainstay explain -o json | jq -r '.virtual_routers[].last_move.causes[].what'";

#[derive(Debug, Args)]
#[command(after_help = EXPLAIN_HELP)]
pub struct ExplainArgs {
    /// Only this virtual router
    #[arg(value_name = "ROUTER")]
    pub router: Option<String>,
    #[command(flatten)]
    pub output: OutputArgs,
}

const RELOAD_HELP: &str = "\
Waits until the new configuration is in force. No virtual IP moves unless the change asks for it.

Examples:
  mainstay check && mainstay reload";

const DRAIN_HELP: &str = "\
Advertises priority 1 and goes on serving until another router is Active: no request is lost. The
drain is kept over restarts of mainstay and of the node. If nobody takes over in time, the virtual
IP stays, nothing has changed, and the exit code is 5.

Exit codes: 0 drained, 4 the daemon does not run, 5 nobody takes over.

Examples:
  mainstay vip drain && reboot
  mainstay vip drain --router apiserver --timeout 30s
  mainstay vip drain --force        drained even if nobody takes over; the VIP stays until then";

#[derive(Debug, Args)]
#[command(after_help = DRAIN_HELP)]
pub struct DrainArgs {
    /// The virtual router [default: all of this node]
    #[arg(long, value_name = "NAME")]
    pub router: Option<String>,
    /// Drain it even if nobody takes over
    #[arg(long)]
    pub force: bool,
    /// How long another router is waited for, such as 5s or 1m, 10m at most [default: each
    /// virtual router's drain_timeout]
    #[arg(long, value_name = "TIME", value_parser = parse_timeout)]
    pub timeout: Option<Duration>,
    #[command(flatten)]
    pub output: OutputArgs,
}

const UNDRAIN_HELP: &str = "\
The virtual IP does not come back by itself: a healthy Active keeps it, unless `preempt` is
\"always\".

Examples:
  mainstay vip undrain";

#[derive(Debug, Args)]
#[command(after_help = UNDRAIN_HELP)]
pub struct UndrainArgs {
    /// The virtual router [default: all of this node]
    #[arg(long, value_name = "NAME")]
    pub router: Option<String>,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Reads how long something may take.
fn patience(text: &str) -> Result<Duration, String> {
    config::patience(text)
}

fn parse_timeout(text: &str) -> Result<Duration, String> {
    config::drain_timeout(text)
}

const FENCE_HELP: &str = "\
For use when mainstay is dead. While its VRRP process lives, this is refused with exit code 5: the
addresses would be put back at once; stop the daemon instead. If the record of the addresses is
damaged, those of the configuration file are removed.

Examples:
  mainstay vip fence
  mainstay vip fence --if-dead     as ExecStopPost= of the unit";

#[derive(Debug, Args)]
#[command(after_help = FENCE_HELP)]
pub struct FenceArgs {
    /// Do nothing, and succeed, while the VRRP process lives; kill it first if it is frozen
    #[arg(long)]
    pub if_dead: bool,
}

const COMPLETIONS_HELP: &str = "\
Examples:
  mainstay completions bash > /etc/bash_completion.d/mainstay
  mainstay completions zsh > /usr/share/zsh/site-functions/_mainstay";

/// The same for every command, so that several instances can live on one host.
#[derive(Debug, Args)]
#[command(next_help_heading = "Instance")]
pub struct Instance {
    /// Configuration file of the cluster
    #[arg(long, global = true, value_name = "FILE", default_value = "/etc/mainstay/mainstay.toml")]
    pub config: PathBuf,
    /// Which of its nodes this is [default: the host name]
    #[arg(long, global = true, value_name = "NAME")]
    pub node: Option<String>,
    /// Directory of the daemon's sockets
    #[arg(long, global = true, value_name = "DIR", default_value = "/run/mainstay")]
    runtime_dir: PathBuf,
    /// Directory of what is remembered across reboots
    #[arg(long, global = true, value_name = "DIR", default_value = "/var/lib/mainstay")]
    pub state_dir: PathBuf,
}

impl Instance {
    /// The runtime directory.
    pub fn runtime_dir(&self) -> Result<RuntimeDir, Failure> {
        RuntimeDir::new(self.runtime_dir.clone()).map_err(Failure::usage)
    }

    /// The node that was asked for, or the one named as the host.
    pub fn node(&self) -> Result<NodeName, Failure> {
        match &self.node {
            Some(name) => name.parse().map_err(Failure::usage),
            None => NodeName::from_host().map_err(Failure::usage),
        }
    }
}

#[derive(Debug, Args)]
pub struct OutputArgs {
    /// How to print it
    #[arg(long, short, value_enum, value_name = "FORMAT", default_value_t = Format::Text)]
    pub output: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// For programs; a contract
    Json,
}
