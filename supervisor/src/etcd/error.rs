//! Why an operation on etcd could not be done, with what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use super::Refusal;
use super::guard::way_out;

/// Why something with etcd failed. Every text says what the operator can do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A guard forbids it.
    #[error("{0}")]
    Refused(#[from] Box<Refusal>),
    /// A certificate, a key or an authority is not usable.
    #[error("etcd's certificates: {files}: {why}; `mainstay certs check` says what is wrong")]
    Certificates {
        /// Which files.
        files: String,
        /// What is wrong with them.
        why: String,
    },
    /// A URL that is none.
    #[error(
        "{url} is no URL of an etcd member: {why}; correct the node's address in the configuration"
    )]
    Url {
        /// What was given.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// No connection, or it broke.
    #[error(
        "etcd at {url} cannot be reached: {why}; is it running (`mainstay status`), and is the way there open?"
    )]
    Unreachable {
        /// Where the member should be.
        url: String,
        /// What the connection came to.
        why: String,
    },
    /// There is a connection, but no answer.
    #[error(
        "etcd at {url} did not answer {method} within {seconds:.1} s: it has no quorum, or its disk is too slow \
         (`mainstay etcd status` shows the members)"
    )]
    Silent {
        /// Where the member is.
        url: String,
        /// The call.
        method: &'static str,
        /// How long it was waited for.
        seconds: f32,
    },
    /// etcd said no.
    #[error("etcd at {url} refused {method}: {message}{}", hint(message))]
    Rejected {
        /// Where the member is.
        url: String,
        /// The call.
        method: &'static str,
        /// etcd's words.
        message: String,
    },
    /// Of all members that are configured none told who the members are.
    #[error(
        "none of the masters' etcd members answers ({}); start etcd on at least a majority of them. {}",
        tried.join("; "), way_out(None)
    )]
    NobodyAnswers {
        /// What each said.
        tried: Vec<String>,
    },
    /// A member did not become what it had to in time.
    #[error("{what} did not happen within {seconds} s: {why}; {then}")]
    TooLate {
        /// What was waited for.
        what: String,
        /// For how long.
        seconds: u64,
        /// What was in the way last.
        why: String,
        /// What to do.
        then: &'static str,
    },
    /// A snapshot is not what etcd sent, or no snapshot at all.
    #[error(
        "{path} is no usable snapshot: {why}; use another one (`mainstay etcd snapshot` takes one)"
    )]
    BadSnapshot {
        /// The file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// etcd's own tool failed.
    #[error("{program} failed: {why}; the data directory is as it was before")]
    Tool {
        /// What was run.
        program: String,
        /// Its end and its last words.
        why: String,
    },
    /// A file or a directory.
    #[error(
        "cannot {what} {path}: {source}; see that it exists, is writable, and that its disk is mounted and not full"
    )]
    File {
        /// What was tried: `read`, `write`, ...
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl Error {
    /// What a guard forbade; the command line tells these apart by their exit code.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    /// Whether a learner was not promoted because it has not caught up yet.
    pub fn is_not_in_sync(&self) -> bool {
        matches!(self, Self::Rejected { message, .. } if message.contains("in sync with leader"))
    }

    /// Whether it may work in a moment: an election, or a membership change that is still on its way.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Silent { .. } => true,
            // etcd makes an id of the address and the second: one that was removed within the same second is not given again.
            Self::Rejected { method, message, .. }
                if method.ends_with("MemberAdd") && message.contains("member not found") =>
            {
                true
            }
            Self::Rejected { message, .. } => [
                "leader changed",
                "no leader",
                "timed out",
                "unhealthy cluster",
                "too many learner",
            ]
            .iter()
            .any(|passing| message.contains(passing)),
            _ => false,
        }
    }

    pub(super) fn file(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { what, path, source }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

/// What to do about what etcd says.
fn hint(message: &str) -> &'static str {
    const HINTS: [(&str, &str); 9] = [
        (
            "unhealthy cluster",
            "; wait until all members are healthy (`mainstay etcd status`), then try again",
        ),
        (
            "not enough started members",
            "; start the members that do not run first (`mainstay etcd status`)",
        ),
        ("no leader", "; a majority of the members has to run first (`mainstay etcd status`)"),
        ("database space exceeded", "; free space: mainstay etcd defrag"),
        ("too many learner", "; wait until the other learner is promoted, or remove it"),
        ("in sync with leader", "; wait until it has caught up"),
        (
            "Peer URLs already exists",
            "; a member has this node's address already: mainstay etcd replace",
        ),
        ("member not found", "; it is removed already"),
        ("permission denied", "; use a client certificate that may administer etcd"),
    ];
    HINTS.iter().find(|(words, _)| message.contains(words)).map_or(
        "; `mainstay etcd status` shows the members, and etcd's log says more (`mainstay unit logs etcd`)",
        |(_, hint)| hint,
    )
}
