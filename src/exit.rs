//! How the program ends: the exit codes that scripts may rely on.

use std::fmt;
use std::process::ExitCode;

/// An exit code and its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done, and all is well.
    Ok = 0,
    /// It failed.
    Failed = 1,
    /// The command line or the configuration is wrong, or a privilege is missing.
    Usage = 2,
    /// The daemon runs, and something is not as it should be.
    Degraded = 3,
    /// No daemon runs.
    NotRunning = 4,
    /// Refused because it would do harm.
    Refused = 5,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command did not succeed; the text is for the operator and says what to do.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    message: String,
}

impl Failure {
    /// A failure that ends the program with `exit`.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }

    /// The command line or the configuration is wrong.
    pub fn usage(error: impl fmt::Display) -> Self {
        Self::new(Exit::Usage, error.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        // `{:#}` adds the causes.
        Self::new(Exit::Failed, format!("{error:#}"))
    }
}
