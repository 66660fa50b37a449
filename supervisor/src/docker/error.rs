//! Why dockerd did not do what was asked.

use std::path::{Path, PathBuf};

use bollard::errors::Error as Bollard;

use crate::backend::Fault;

/// Why a request to dockerd failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody answers on the socket, or the connection broke.
    #[error("dockerd does not answer on {}: {why}; is docker running?", socket.display())]
    Away {
        /// The socket.
        socket: PathBuf,
        /// What the system said.
        why: String,
    },
    /// No answer came in time.
    #[error("dockerd took too long to answer on {}; look at its log and at the disk", socket.display())]
    Silent {
        /// The socket.
        socket: PathBuf,
    },
    /// It is older than what mainstay can work with.
    #[error("docker {version} is too old (API {api}): install docker 20.10 or later")]
    TooOld {
        /// Of the server.
        version: String,
        /// The newest API that it speaks.
        api: String,
    },
    /// dockerd refused, in its own words.
    #[error("{message}")]
    Answered {
        /// The HTTP status.
        status: u16,
        /// What dockerd said.
        message: String,
    },
    /// The answer made no sense.
    #[error("dockerd answered in a way that mainstay does not understand: {0}")]
    Odd(String),
}

impl Error {
    /// Whether dockerd says that there is no such thing.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Answered { status: 404, .. })
    }

    /// Whether nobody answered.
    pub fn is_away(&self) -> bool {
        matches!(self, Self::Away { .. } | Self::Silent { .. })
    }

    /// As a fault that may pass, after what was tried.
    pub fn while_doing(self, what: &str) -> Fault {
        match self {
            Self::TooOld { .. } => Fault::refused(self.to_string()),
            Self::Away { .. } | Self::Silent { .. } => Fault::passing(self.to_string()),
            Self::Answered { .. } | Self::Odd(_) => Fault::passing(format!("{what}: {self}")),
        }
    }

    pub(super) fn away(socket: &Path, why: impl Into<String>) -> Self {
        Self::Away { socket: socket.to_owned(), why: why.into() }
    }

    pub(crate) fn from_bollard(socket: &Path, error: Bollard) -> Self {
        match error {
            Bollard::DockerResponseServerError { status_code: status, message } => {
                Self::Answered { status, message: message.trim().to_owned() }
            }
            Bollard::DockerStreamError { error } => Self::Answered { status: 500, message: error },
            Bollard::RequestTimeoutError => Self::Silent { socket: socket.to_owned() },
            Bollard::SocketNotFoundError(_) => Self::away(socket, "there is no such file"),
            Bollard::HyperLegacyError { err } => Self::away(socket, innermost(&err)),
            Bollard::HyperResponseError { err } => Self::away(socket, innermost(&err)),
            Bollard::IOError { err } => Self::away(socket, innermost(&err)),
            other => Self::Odd(other.to_string()),
        }
    }
}

/// The cause at the bottom, which says most: "Connection refused (os error 111)".
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
