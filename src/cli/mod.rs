//! The command line.

mod args;
mod certs;
mod check;
mod client;
mod drain;
mod etcd;
mod events;
mod explain;
mod explain_text;
mod fence;
mod follow;
mod log;
#[cfg(test)]
mod named_tests;
mod output;
mod reload;
mod run;
mod status;
mod status_text;
mod tree;
mod units;
mod vrrp;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use args::{Cli, Command, VipCommand};

use crate::exit::{Exit, Failure};

/// The version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Does what the command line asks for.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match dispatch(cli) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            output::complain(&failure);
            failure.exit.into()
        }
    }
}

fn dispatch(cli: Cli) -> Result<Exit, Failure> {
    let (log, instance) = (&cli.log, &cli.instance);
    match cli.command {
        Command::Run => run::run(instance, log),
        Command::Check => check::run(instance),
        Command::Status(args) => status::run(instance, &args),
        Command::Events(args) => events::run(instance, &args),
        Command::Explain(args) => explain::run(instance, &args),
        Command::Reload => reload::run(instance),
        Command::Vip { command } => match command {
            VipCommand::Drain(args) => drain::drain(instance, &args),
            VipCommand::Undrain(args) => drain::undrain(instance, &args),
            VipCommand::Fence(args) => fence::run(instance, &args),
        },
        Command::Up(args) => units::up(instance, &args),
        Command::Down(args) => units::down(instance, &args),
        Command::Apply(args) => units::apply(instance, &args),
        Command::Init(args) => units::init(instance, &args),
        Command::Join(args) => units::join(instance, &args),
        Command::Leave(args) => units::leave(instance, &args),
        Command::Unit { command } => units::unit(instance, &command),
        Command::Etcd { command } => etcd::run(instance, &command),
        Command::Certs { command } => certs::run(instance, &command),
        Command::Completions { shell } => completions(shell),
        Command::Vrrp => vrrp::run(log),
    }
}

fn completions(shell: clap_complete::Shell) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "mainstay", &mut script);
    output::write(&script)
}
