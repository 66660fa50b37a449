//! The command line.

mod args;
mod check;
mod client;
mod drain;
mod events;
mod explain;
mod explain_text;
mod fence;
mod log;
mod output;
mod reload;
mod run;
mod status;
mod status_text;
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
        Command::Completions { shell } => completions(shell),
        Command::Vrrp => vrrp::run(log),
    }
}

fn completions(shell: clap_complete::Shell) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "mainstay", &mut script);
    output::write(&script)
}
