//! The configuration: one TOML file for the whole cluster.
//!
//! A file is read in steps, each of which reports all that it finds before the next one starts:
//!
//! 1. `syntax`: TOML, and the sections, keys and types of `raw`;
//! 2. `support`: what this version cannot do yet;
//! 3. `value`, by way of `node`, `virtual_router`, `check` and `api`: each value by itself;
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

pub use check::{Check, Tolerance};
pub use error::ConfigError;
pub use model::{Config, NodeConfig, NodeName, Role, VirtualRouter};
pub use probe::{Command, Endpoint, Identity, Probe, Tls, Url};

use error::Problems;
use raw::Raw;

/// A larger file, in bytes, is not read.
const MAX_SIZE: u64 = 1 << 20;

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
    parse_with(text, file_name, support::refuse_values)
}

/// What a version refuses although it can read it.
type Refuse = fn(&Raw, &mut Problems);

fn parse_with(text: &str, file_name: &str, refuse: Refuse) -> Result<Config, ConfigError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut problems = Problems::default();
    match read(text, file_name, refuse, &mut problems) {
        Some(config) if problems.is_empty() => Ok(config),
        _ => Err(problems.into_error(file_name, text)),
    }
}

fn read(text: &str, file_name: &str, refuse: Refuse, problems: &mut Problems) -> Option<Config> {
    let raw = syntax::read(text, problems)?;
    refuse(&raw, problems);
    let parts = cluster::check(raw, problems)?;
    cluster::assemble(parts, file_name, problems)
}
