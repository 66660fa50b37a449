//! Removing virtual addresses that a dead VRRP process has left, from the daemon's tokio runtime.
//! The only user of the `rtnetlink` crate.

use core::net::IpAddr;
use core::time::Duration;
use std::io;

use nix::net::if_::if_nametoindex;
use rtnetlink::Handle;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use super::netlink::{Netlink, removal};

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
    /// It was not.
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
    /// they have, IPv6 as /128. One that is not on its interface, which may have been renamed, is
    /// removed from all others where mainstay installed it (before Linux 5.18 nobody knows). The
    /// outcomes are in the order of `addresses`.
    pub async fn remove(&self, addresses: &[Fenced]) -> Vec<FenceOutcome> {
        let mut outcomes: Vec<_> = addresses.iter().map(|_| FenceOutcome::Absent).collect();
        let named = addresses.iter().enumerate().filter_map(|(i, fenced)| {
            let ifindex = if_nametoindex(fenced.interface.as_str()).ok()?;
            Some(Target { i, ifindex, address: fenced.address })
        });
        self.remove_targets(named, &mut outcomes).await;
        self.remove_targets(strays(addresses, &outcomes), &mut outcomes).await;
        outcomes
    }

    async fn remove_targets(
        &self,
        targets: impl IntoIterator<Item = Target>,
        outcomes: &mut [FenceOutcome],
    ) {
        let mut tasks = JoinSet::new();
        for Target { i, ifindex, address } in targets {
            let handle = self.handle.clone();
            tasks.spawn(async move { (i, remove_twins(&handle, ifindex, address).await) });
        }
        while let Some(finished) = tasks.join_next().await {
            if let Ok((i, outcome)) = finished
                && !matches!(outcome, FenceOutcome::Absent)
            {
                outcomes[i] = outcome;
            }
        }
    }
}

/// An address of the list, by its place there, on an interface.
struct Target {
    i: usize,
    ifindex: u32,
    address: IpAddr,
}

/// Where mainstay's own addresses are that were not found on their interface.
fn strays(addresses: &[Fenced], outcomes: &[FenceOutcome]) -> Vec<Target> {
    let absent: Vec<_> = addresses
        .iter()
        .zip(outcomes)
        .enumerate()
        .filter(|(_, (_, outcome))| matches!(outcome, FenceOutcome::Absent))
        .map(|(i, (fenced, _))| (i, fenced.address))
        .collect();
    if absent.is_empty() {
        return Vec::new();
    }
    // The kernel answers while it takes the request: waiting for it blocks no longer than that.
    let present = Netlink::open().and_then(|mut netlink| netlink.addresses(None));
    let ours = present.unwrap_or_default().into_iter().filter(|info| info.ours);
    ours.filter_map(|info| {
        let &(i, address) = absent.iter().find(|(_, address)| *address == info.address)?;
        Some(Target { i, ifindex: info.ifindex, address })
    })
    .collect()
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
