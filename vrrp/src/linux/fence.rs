//! Removing virtual addresses that a dead VRRP process has left, from the daemon's tokio runtime.
//! The only user of the `rtnetlink` crate.

use core::net::IpAddr;
use core::time::Duration;
use std::io;

use nix::net::if_::if_nametoindex;
use rtnetlink::Handle;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use super::netlink::removal;

/// How long one answer of the kernel is waited for.
const TIMEOUT: Duration = Duration::from_millis(500);
/// An address can be on an interface once for each prefix length.
const MAX_TWINS: usize = 33;

/// An open connection to the kernel, made beforehand so that a fence costs no more than the
/// removal itself.
pub struct Fence {
    handle: Handle,
    driver: JoinHandle<()>,
}

/// An address to remove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fenced {
    /// The interface's name.
    pub interface: String,
    /// The virtual address.
    pub address: IpAddr,
}

/// What became of an address.
#[derive(Debug)]
pub enum FenceOutcome {
    /// It was there.
    Removed,
    /// It was not, or its interface is gone.
    Absent,
    /// It may still be there.
    Failed(FenceError),
}

/// Why an address could not be removed.
#[derive(Debug, thiserror::Error)]
pub enum FenceError {
    /// The kernel refused.
    #[error(
        "the kernel refuses to remove the address ({0}): remove it by hand with `ip address del`"
    )]
    Refused(io::Error),
    /// The kernel or the connection to it did not answer.
    #[error("the kernel did not answer: remove the address by hand with `ip address del`")]
    NoAnswer,
}

impl Fence {
    /// Opens the connection. Must be called in a tokio runtime with I/O and time enabled, which
    /// then drives it.
    ///
    /// # Errors
    /// If the process has no descriptor left.
    pub fn open() -> io::Result<Self> {
        let (connection, handle, _) = rtnetlink::new_connection()?;
        Ok(Self { handle, driver: tokio::spawn(connection) })
    }

    /// Removes the addresses, all at a time, whoever installed them: IPv4 whatever prefix length
    /// they have, IPv6 as /128. The outcomes are in the order of `addresses`.
    pub async fn remove(&self, addresses: &[Fenced]) -> Vec<FenceOutcome> {
        let mut tasks = JoinSet::new();
        for (i, fenced) in addresses.iter().enumerate() {
            // An interface that is gone has taken its addresses along.
            let Ok(ifindex) = if_nametoindex(fenced.interface.as_str()) else { continue };
            let (handle, address) = (self.handle.clone(), fenced.address);
            tasks.spawn(async move { (i, remove_twins(&handle, ifindex, address).await) });
        }
        let mut outcomes: Vec<_> = addresses.iter().map(|_| FenceOutcome::Absent).collect();
        while let Some(finished) = tasks.join_next().await {
            if let Ok((i, outcome)) = finished {
                outcomes[i] = outcome;
            }
        }
        outcomes
    }
}

impl Drop for Fence {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Removes the address until it is not there.
async fn remove_twins(handle: &Handle, ifindex: u32, address: IpAddr) -> FenceOutcome {
    let mut outcome = FenceOutcome::Absent;
    for _ in 0..MAX_TWINS {
        let request = handle.address().del(removal(ifindex, address, 128)).execute();
        match timeout(TIMEOUT, request).await {
            Ok(Ok(())) => outcome = FenceOutcome::Removed,
            Ok(Err(rtnetlink::Error::NetlinkError(message))) => {
                let error = message.to_io();
                return match error.raw_os_error() {
                    Some(libc::EADDRNOTAVAIL | libc::ENODEV) => outcome,
                    _ => FenceOutcome::Failed(FenceError::Refused(error)),
                };
            }
            Ok(Err(_)) | Err(_) => return FenceOutcome::Failed(FenceError::NoAnswer),
        }
    }
    outcome
}
