//! `mainstay run`

use super::args::{ConfigArgs, RunArgs};
use super::output;
use crate::config::NodeName;
use crate::daemon::{self, Options};
use crate::exit::{Exit, Failure};

/// Runs the daemon.
pub fn run(args: RunArgs, log: &str) -> Result<Exit, Failure> {
    output::log(log)?;
    let config = std::path::absolute(&args.config.config).map_err(Failure::usage)?;
    daemon::run(Options {
        node: node(&args.config)?,
        config,
        runtime_dir: args.runtime.directory()?,
        state_dir: args.state_dir,
    })
}

/// The node that was asked for, or the one named as the host.
pub fn node(args: &ConfigArgs) -> Result<NodeName, Failure> {
    match &args.node {
        Some(name) => name.parse().map_err(Failure::usage),
        None => NodeName::from_host().map_err(Failure::usage),
    }
}
