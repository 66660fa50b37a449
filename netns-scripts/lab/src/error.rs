//! Why the lab cannot do what was asked.

use std::io;

/// Why the lab, an instrument or a scenario failed.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// `lab.sh` could not be run at all.
    #[error("cannot run {script}: {source}; set LAB_SCRIPT to netns-scripts/lab.sh")]
    Script {
        /// The script.
        script: String,
        /// Why.
        source: io::Error,
    },
    /// A command of `lab.sh` failed.
    #[error("lab.sh {command}: {message}")]
    Command {
        /// The command and its arguments.
        command: String,
        /// What it said.
        message: String,
    },
    /// The system refused something to an instrument.
    #[error("{what}: {source}")]
    Instrument {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// Something that must happen did not, in time.
    #[error("waited in vain for {0}")]
    Deadline(String),
    /// The run happened, but its figures would not mean what they should.
    #[error("the run does not count: {0}")]
    Invalid(String),
}

impl LabError {
    /// For `map_err`: names what was tried.
    pub(crate) fn instrument<E: Into<io::Error>>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::Instrument { what, source: source.into() }
    }
}
