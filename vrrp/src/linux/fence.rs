//! Removing virtual addresses that a dead VRRP process has left, from the daemon's tokio runtime.
//! The only user of the `rtnetlink` crate.

use core::net::IpAddr;
use core::time::Duration;
use std::collections::BTreeMap;
use std::io;

use netlink_packet_route::address::AddressMessage;
use nix::net::if_::if_nametoindex;
use rtnetlink::Handle;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use super::clock;
use super::netlink::{Netlink, exact_removal, removal};
use super::tcp::{Local, Tcp};

/// How long one answer of the kernel is waited for.
const TIMEOUT: Duration = Duration::from_millis(500);
/// How long a removal waits at most for its clients' connections to be ended, and how long what came
/// about meanwhile is ended after it.
const CONNECTIONS_TIME: Duration = Duration::from_millis(20);
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
    /// Only if mainstay installed it (before Linux 5.18 nobody knows, and it stays): for an address
    /// owner, whose interface may have it from elsewhere.
    pub only_ours: bool,
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

    /// Removes the addresses, all at a time, whatever prefix length they have. One that is not on
    /// its interface, which may have been renamed or have given it to a macvlan above, is removed
    /// from all others where mainstay installed it (before Linux 5.18 nobody knows: name the
    /// macvlan as an interface). Their clients' connections are reset where the kernel can do that.
    /// The outcomes are in the order of `addresses`.
    pub async fn remove(&self, addresses: &[Fenced]) -> Vec<FenceOutcome> {
        // Where it cannot be had, the VRRP process has said so.
        let mut tcp = Tcp::open().ok();
        let mut outcomes: Vec<_> = addresses.iter().map(|_| FenceOutcome::Absent).collect();
        let indices: Vec<_> =
            addresses.iter().map(|fenced| if_nametoindex(fenced.interface.as_str()).ok()).collect();
        // First those that are most likely to be there, without a look.
        let named =
            addresses.iter().zip(&indices).enumerate().filter_map(|(i, (fenced, index))| {
                let ifindex = index.filter(|_| !fenced.only_ours)?;
                Some(Target { i, request: removal(ifindex, fenced.address, 128) })
            });
        self.remove_targets(named.collect(), addresses, tcp.as_mut(), &mut outcomes).await;
        let others = others(addresses, &indices, &outcomes);
        self.remove_targets(others, addresses, tcp.as_mut(), &mut outcomes).await;
        outcomes
    }

    async fn remove_targets(
        &self,
        targets: Vec<Target>,
        addresses: &[Fenced],
        mut tcp: Option<&mut Tcp>,
        outcomes: &mut [FenceOutcome],
    ) {
        let local = |target: &Target| Local {
            address: addresses[target.i].address,
            ifindex: target.request.header.index,
        };
        let locals: Vec<Local> = targets.iter().map(local).collect();
        end_connections(tcp.as_deref_mut(), &locals);
        let mut tasks = JoinSet::new();
        for Target { i, request } in targets {
            let handle = self.handle.clone();
            tasks.spawn(async move { (i, remove_twins(&handle, &request).await) });
        }
        while let Some(finished) = tasks.join_next().await {
            // One failure is not undone by a twin's removal.
            if let Ok((i, outcome)) = finished
                && !matches!(outcome, FenceOutcome::Absent)
                && !matches!(outcomes[i], FenceOutcome::Failed(_))
            {
                outcomes[i] = outcome;
            }
        }
        end_connections(tcp, &locals);
    }
}

fn end_connections(tcp: Option<&mut Tcp>, locals: &[Local]) {
    if let (Some(tcp), false) = (tcp, locals.is_empty()) {
        // Of no consequence for the addresses, which have to go.
        let _ = tcp.end(locals, clock::now() + CONNECTIONS_TIME);
    }
}

/// An address of the list, by its place there, and the request that removes it.
struct Target {
    i: usize,
    request: AddressMessage,
}

/// What has to be looked for: IPv6 addresses with another prefix length than /128, addresses that
/// must be ours, and mainstay's own that are not on their interface.
fn others(addresses: &[Fenced], indices: &[Option<u32>], outcomes: &[FenceOutcome]) -> Vec<Target> {
    let is_absent = |i: usize| matches!(outcomes[i], FenceOutcome::Absent);
    let is_open = |(i, fenced): (usize, &Fenced)| fenced.address.is_ipv6() || is_absent(i);
    if !addresses.iter().enumerate().any(is_open) {
        return Vec::new();
    }
    let mut places: BTreeMap<IpAddr, Vec<usize>> = BTreeMap::new();
    for (i, fenced) in addresses.iter().enumerate() {
        places.entry(fenced.address).or_default().push(i);
    }
    // The kernel answers while it takes the request: waiting for it blocks no longer than that.
    let present = Netlink::open().and_then(|mut netlink| netlink.addresses(None));
    let present = present.unwrap_or_default();
    let targets = present.iter().filter_map(|info| {
        let mut places = places.get(&info.address)?.iter().copied();
        let i = places.find(|&i| {
            if indices[i] == Some(info.ifindex) {
                info.ours || !addresses[i].only_ours
            } else {
                info.ours && is_absent(i)
            }
        })?;
        Some(Target { i, request: exact_removal(info) })
    });
    targets.collect()
}

impl Drop for Fence {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Removes the address until it is not there.
async fn remove_twins(handle: &Handle, request: &AddressMessage) -> FenceOutcome {
    let mut outcome = FenceOutcome::Absent;
    for _ in 0..MAX_TWINS {
        let removal = handle.address().del(request.clone()).execute();
        match timeout(TIMEOUT, removal).await {
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
