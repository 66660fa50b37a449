//! An interface that is up and has a carrier. Changes are heard from the kernel.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use tokio::io::unix::AsyncFd;
use vrrp::linux::interface::LinkInfo;
use vrrp::linux::monitor::{Change, Monitor};
use vrrp::linux::netlink::Netlink;

use super::Progress;
use crate::health::sample::Sample;
use crate::health::slow::Slow;
use crate::health::status::micros;
use crate::vrrp_process::watch;

pub struct Interface {
    name: String,
    listing: Slow<io::Result<Vec<LinkInfo>>>,
    monitor: Option<(Monitor, AsyncFd<OwnedFd>)>,
    /// What the last probe saw.
    seen: Option<Seen>,
}

/// What counts about a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    index: u32,
    up: bool,
    carrier: bool,
}

impl Interface {
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), listing: Slow::default(), monitor: None, seen: None }
    }

    pub async fn attempt(&mut self, progress: &mut Progress) -> Result<Sample, Sample> {
        // Before the links are listed, so that nothing falls in between. Without it there is
        // still each probe.
        if self.monitor.is_none() {
            self.monitor = open_monitor().ok();
        }
        let start = progress.enter("the interfaces could not be listed");
        let list = || Netlink::open().and_then(|mut it| it.links()).map_err(io::Error::other);
        let links = self.listing.get(list).await.flatten();
        let links = links.map_err(|error| {
            Sample::timeout(format!("the interfaces cannot be listed: {error}"))
        })?;
        progress.latency.answer_us = Some(micros(start.elapsed()));
        let link = links.iter().find(|link| link.name == self.name);
        self.seen = link.map(Seen::from);
        let name = &self.name;
        match self.seen {
            Some(Seen { up: true, carrier: true, .. }) => Ok(Sample::pass(format!("{name} is up"))),
            Some(Seen { up: true, .. }) => Err(Sample::refused(format!("{name} has no carrier"))),
            Some(_) => Err(Sample::refused(format!("{name} is down"))),
            None => Err(Sample::refused(format!("there is no interface {name}"))),
        }
    }

    /// A change of the interface since the last probe.
    pub async fn alarm(&mut self) {
        let Some((monitor, readiness)) = &mut self.monitor else {
            return std::future::pending().await;
        };
        loop {
            let Ok(mut ready) = readiness.readable().await else { break };
            match monitor.recv() {
                Ok(Some(change)) if matters(&change, &self.name, self.seen) => return,
                Ok(Some(_)) => {}
                Ok(None) => ready.clear_ready(),
                Err(_) => break,
            }
        }
        // Anew with the next probe.
        self.monitor = None;
    }
}

impl From<&LinkInfo> for Seen {
    fn from(link: &LinkInfo) -> Self {
        Self { index: link.index, up: link.up, carrier: link.carrier }
    }
}

fn open_monitor() -> io::Result<(Monitor, AsyncFd<OwnedFd>)> {
    let monitor = Monitor::open_links()?;
    let readiness = watch(monitor.as_fd().try_clone_to_owned()?)?;
    Ok((monitor, readiness))
}

/// Whether the interface `name` is no longer what was seen.
fn matters(change: &Change, name: &str, seen: Option<Seen>) -> bool {
    match change {
        Change::Link(link) if link.name == name => Some(Seen::from(link)) != seen,
        // Renamed.
        Change::Link(link) => seen.is_some_and(|seen| seen.index == link.index),
        Change::LinkGone { index, .. } => seen.is_some_and(|seen| seen.index == *index),
        Change::Overrun => true,
        Change::AddressAdded(_) | Change::AddressRemoved(_) => false,
    }
}
