//! The start of a conversation with a VRRP process that may or may not be there.

use std::path::Path;
use std::time::Duration;

use tokio::time::timeout;
use vrrp::proto::{self, Reply, Request};

use super::{ConnectError, Link};

/// What became of the attempt to talk to a VRRP process.
#[derive(Debug)]
pub enum Greeting {
    /// None is there.
    Absent,
    /// One is there and does not answer in time.
    Stuck,
    /// One is there and answers.
    Alive {
        /// The connection.
        link: Box<Link>,
        /// What it says of itself.
        welcome: Welcome,
        /// What it said before: events that had waited for somebody to listen.
        earlier: Vec<Reply>,
    },
}

/// What the VRRP process says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// The version of its messages.
    pub version: u16,
    /// The version of its program.
    pub build: String,
    /// Its process id.
    pub pid: u32,
    /// The revision of the configuration that it has in force.
    pub revision: Option<u64>,
}

impl Welcome {
    /// Whether this program and the VRRP process understand each other.
    pub const fn is_compatible(&self) -> bool {
        self.version == proto::VERSION
    }
}

/// Connects to the VRRP process at `path` and waits at most `patience` for its answer.
///
/// # Errors
/// If no socket can be had.
pub async fn greet(path: &Path, patience: Duration) -> std::io::Result<Greeting> {
    let mut link = match Link::connect(path) {
        Ok(link) => link,
        Err(ConnectError::Absent) => return Ok(Greeting::Absent),
        Err(ConnectError::Stuck) => return Ok(Greeting::Stuck),
        Err(ConnectError::Io(error)) => return Err(error),
    };
    if link.send(&Request::Hello { version: proto::VERSION }).is_err() {
        return Ok(Greeting::Absent);
    }
    let mut earlier = Vec::new();
    let welcome = async {
        loop {
            match link.next().await? {
                Reply::Welcome { version, build, pid, revision } => {
                    return Ok::<_, super::LinkError>(Welcome { version, build, pid, revision });
                }
                reply => earlier.push(reply),
            }
        }
    };
    match timeout(patience, welcome).await {
        Ok(Ok(welcome)) => Ok(Greeting::Alive { link: Box::new(link), welcome, earlier }),
        Ok(Err(_)) => Ok(Greeting::Absent),
        Err(_) => Ok(Greeting::Stuck),
    }
}
