//! The start of a conversation with a VRRP process that may or may not be there.

use std::path::Path;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use vrrp::proto::{self, Reply, Request};

use super::{ConnectError, Link, LinkError};

/// Pause before a connection that failed is made anew.
const RETRY: Duration = Duration::from_millis(20);

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
/// The process has one connection at a time: one that ends may have given way to another's, and
/// says nothing about the process. It is made anew until `patience` is over.
///
/// # Errors
/// If no socket can be had.
pub async fn greet(path: &Path, patience: Duration) -> std::io::Result<Greeting> {
    let attempts = async {
        loop {
            match Link::connect(path) {
                Ok(link) => {
                    if let Ok(greeting) = introduce(link).await {
                        return Ok(greeting);
                    }
                }
                Err(ConnectError::Absent) => return Ok(Greeting::Absent),
                Err(ConnectError::Stuck) => {}
                Err(ConnectError::Io(error)) => return Err(error),
            }
            sleep(RETRY).await;
        }
    };
    timeout(patience, attempts).await.unwrap_or(Ok(Greeting::Stuck))
}

async fn introduce(mut link: Link) -> Result<Greeting, LinkError> {
    link.send(&Request::Hello { version: proto::VERSION })?;
    let mut earlier = Vec::new();
    loop {
        match link.next().await? {
            Reply::Welcome { version, build, pid, revision } => {
                let welcome = Welcome { version, build, pid, revision };
                return Ok(Greeting::Alive { link: Box::new(link), welcome, earlier });
            }
            reply => earlier.push(reply),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rustix::net::{
        AddressFamily, SocketAddrUnix, SocketFlags, SocketType, accept, bind, listen, send,
        socket_with,
    };

    use super::*;

    #[tokio::test]
    async fn a_connection_that_is_closed_is_no_death() {
        let path = std::env::temp_dir().join(format!("mainstay-greet-{}", std::process::id()));
        let patience = Duration::from_millis(500);
        assert!(matches!(greet(&path, patience).await.unwrap(), Greeting::Absent));

        let flags = SocketFlags::CLOEXEC;
        let listener =
            socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
        bind(&listener, &SocketAddrUnix::new(&path).unwrap()).unwrap();
        listen(&listener, 8).unwrap();
        let welcome = Reply::Welcome { version: 1, build: "1".to_owned(), pid: 7, revision: None };
        let process = std::thread::spawn(move || {
            // The first two give way to others.
            for _ in 0..2 {
                drop(accept(&listener).unwrap());
            }
            let connection = accept(&listener).unwrap();
            let message = serde_json::to_vec(&welcome).unwrap();
            send(&connection, &message, rustix::net::SendFlags::empty()).unwrap();
            (listener, connection)
        });
        let greeting = greet(&path, patience).await.unwrap();
        assert!(matches!(greeting, Greeting::Alive { welcome, .. } if welcome.pid == 7));
        drop(process.join().unwrap());
        assert!(matches!(greet(&path, patience).await.unwrap(), Greeting::Absent));
        std::fs::remove_file(path).unwrap();
    }
}
