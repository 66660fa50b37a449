//! `mainstay run`

use super::args::Instance;
use super::log;
use crate::daemon::{self, Options};
use crate::exit::{Exit, Failure};

/// Runs the daemon.
pub fn run(instance: &Instance, filter: &str) -> Result<Exit, Failure> {
    let log = log::start_lossy(filter)?;
    let ended = daemon::run(Options {
        node: instance.node()?,
        config: std::path::absolute(&instance.config).map_err(Failure::usage)?,
        runtime_dir: instance.runtime_dir()?,
        state_dir: instance.state_dir.clone(),
    });
    log.finish();
    ended
}
