//! The configuration: one TOML file for the whole cluster.
//!
//! A file is read in steps, each of which reports all that it finds before the next one starts:
//!
//! 1. `syntax`: TOML, and the sections, keys and types of `raw`;
//! 2. `support`: sections that this version does not know yet;
//! 3. `value`, by way of `node`, `virtual_router`, `check`, `api` and `supervisor`: each value by
//!    itself;
//! 4. `cluster`, `priority` and `transport`: what values mean to each other, and the result, `model`.
//!
//! Every problem names its line, the rule and what to do (`error`).

mod api;
mod check;
mod cluster;
mod error;
mod model;
mod node;
mod priority;
mod probe;
mod raw;
mod supervisor;
mod support;
mod syntax;
mod transport;
mod value;
mod virtual_router;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

pub use check::{Check, Tolerance};
pub use error::ConfigError;
pub use model::{Config, NodeConfig, NodeName, Role, VirtualRouter};
pub use probe::{Command, Endpoint, EtcdMember, Identity, Probe, Tls, Url};
pub use supervisor::{
    CgroupDriver, Docker, ETCD_CHECK, Etcd, Kubelet, Master, Pki, Runtime, Service, Snapshots,
    Supervised,
};

use error::Problems;

/// A larger file, in bytes, is not read.
const MAX_SIZE: u64 = 1 << 20;

/// Reads a time as `drain_timeout` of a virtual router has it.
///
/// # Errors
/// If it is none, or out of range; in words.
pub fn drain_timeout(text: &str) -> Result<Duration, String> {
    let time = value::duration_within(text, Duration::ZERO, virtual_router::MAX_DRAIN_TIMEOUT);
    time.map_err(error::Fault::in_words)
}

/// Reads how long a command may take: a second to an hour.
///
/// # Errors
/// If it is no time, or out of range; in words.
pub fn patience(text: &str) -> Result<Duration, String> {
    let time = value::duration_within(text, Duration::from_secs(1), Duration::from_secs(3600));
    time.map_err(error::Fault::in_words)
}

/// Reads and checks a file.
///
/// # Errors
/// If it cannot be read, or for everything that is wrong with what it says.
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    let unreadable = |source| ConfigError::Read { path: path.to_owned(), source };
    let mut text = String::new();
    let mut file = File::open(path).map_err(unreadable)?.take(MAX_SIZE + 1);
    file.read_to_string(&mut text).map_err(unreadable)?;
    if file.limit() == 0 {
        return Err(ConfigError::TooLarge { path: path.to_owned() });
    }
    parse(&text, &path.to_string_lossy())
}

/// Checks the text of a configuration. `file_name` is for the error messages.
///
/// # Errors
/// For everything that is wrong with it.
pub fn parse(text: &str, file_name: &str) -> Result<Config, ConfigError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut problems = Problems::default();
    match read(text, file_name, &mut problems) {
        Some(config) if problems.is_empty() => Ok(config),
        _ => Err(problems.into_error(file_name, text)),
    }
}

fn read(text: &str, file_name: &str, problems: &mut Problems) -> Option<Config> {
    let raw = syntax::read(text, problems)?;
    let parts = cluster::check(raw, problems)?;
    cluster::assemble(parts, file_name, problems)
}
