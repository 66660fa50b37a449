//! From a host and a port to a connection.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Progress;
use crate::config::Endpoint;
use crate::health::sample::{Outcome, Sample};
use crate::health::slow::Kept;
use crate::health::status::micros;

/// Of so many addresses of a name one has to answer.
const MAX_ADDRESSES: usize = 8;

/// Connects to an endpoint.
#[derive(Debug)]
pub struct Connector {
    endpoint: Endpoint,
    addresses: Kept<Vec<SocketAddr>>,
}

/// A connection, and what to warn of.
pub struct Connected {
    pub stream: TcpStream,
    pub warning: Option<String>,
}

impl Connector {
    pub fn new(endpoint: &Endpoint) -> Self {
        Self { endpoint: endpoint.clone(), addresses: Kept::default() }
    }

    /// Connects to the first address that lets it.
    pub async fn connect(
        &mut self,
        progress: &mut Progress,
        limit: Duration,
    ) -> Result<Connected, Sample> {
        let deadline = progress.started + limit;
        let literal = self.endpoint.host.parse::<IpAddr>();
        let (addresses, warning) = match literal {
            Ok(address) => (vec![SocketAddr::new(address, self.endpoint.port)], None),
            Err(_) => self.resolve(progress).await?,
        };
        let start = progress.enter("the connection was not accepted");
        let mut failure: Option<Sample> = None;
        let mut left = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
        for address in addresses {
            let share = (deadline - tokio::time::Instant::now()) / left.max(1);
            left -= 1;
            let attempt = match timeout(share, TcpStream::connect(address)).await {
                Ok(attempt) => attempt,
                Err(_) => Err(ErrorKind::TimedOut.into()),
            };
            match attempt {
                Ok(stream) => {
                    progress.latency.connect_us = Some(micros(start.elapsed()));
                    // Only a matter of latency.
                    let _ = stream.set_nodelay(true);
                    return Ok(Connected { stream, warning });
                }
                // Refused by all, or else what the others say.
                Err(error) => {
                    let sample = not_connected(address, &error);
                    if failure.as_ref().is_none_or(|it| it.outcome == Outcome::Refused) {
                        failure = Some(sample);
                    }
                }
            }
        }
        let host = &self.endpoint.host;
        Err(failure.unwrap_or_else(|| Sample::fail(format!("the name {host} has no address"))))
    }

    async fn resolve(
        &mut self,
        progress: &mut Progress,
    ) -> Result<(Vec<SocketAddr>, Option<String>), Sample> {
        let start = progress.enter("the name was not resolved");
        let Endpoint { host, port } = self.endpoint.clone();
        let name = host.clone();
        let call =
            move || Ok((name.as_str(), port).to_socket_addrs()?.take(MAX_ADDRESSES).collect());
        let have = self.addresses.get(call).await.map_err(|error| {
            Sample::fail(format!("the name {host} cannot be resolved: {error}"))
        })?;
        progress.latency.resolve_us = Some(micros(start.elapsed()));
        let warning = have.stale.map(|why| {
            format!("the name {host} cannot be resolved ({why}); its last addresses are used")
        });
        Ok((have.value.clone(), warning))
    }
}

/// Why there is no connection.
fn not_connected(address: SocketAddr, error: &io::Error) -> Sample {
    match error.kind() {
        ErrorKind::ConnectionRefused => Sample::refused(format!("connection refused by {address}")),
        // The other side is at work on it: it accepted, and is gone again.
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted => {
            Sample::new(Outcome::Broken, format!("connection reset by {address}"))
        }
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => {
            Sample::fail(format!("{address} cannot be reached: {error}"))
        }
        ErrorKind::TimedOut => Sample::timeout(format!("{address} did not accept the connection")),
        // Out of descriptors, ports or memory: nothing is known about the other side.
        _ => Sample::timeout(format!("no connection to {address} could be made: {error}")),
    }
}

/// What an error of a connection that was there means, if it is one of those that end it.
pub fn is_hang_up(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe
            | ErrorKind::UnexpectedEof
            | ErrorKind::NotConnected
    )
}
