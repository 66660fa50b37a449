//! Which virtual addresses each router's kernel has, however many there are.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::rtnetlink::{Change, Subscription};
use crate::{Lab, LabError, Node, Stamp, VIP, VIP6};

/// Watches the virtual addresses of a lab until it is dropped. Of an IPv6 virtual router the
/// link-local one does not count.
#[derive(Debug)]
pub struct Holdings {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    seen: Mutex<BTreeMap<Node, Seen>>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Seen {
    held: BTreeSet<(u32, IpAddr)>,
    /// How often one came or went.
    moves: u64,
    /// When one last came or went.
    last: Option<Stamp>,
}

impl Holdings {
    /// Starts to watch; what is there already counts as held, not as moved.
    ///
    /// # Errors
    /// If rtnetlink is refused.
    pub fn start(lab: &Lab) -> Result<Self, LabError> {
        let shared = Arc::new(Shared::default());
        let mut subscriptions = Vec::new();
        for &node in lab.nodes() {
            let mut subscription = Subscription::open(&lab.namespace(node))?;
            let mut seen = Seen::default();
            subscription.learn(|change| seen.apply(Stamp::now(), &change))?;
            shared.lock().insert(node, Seen { moves: 0, ..seen });
            subscriptions.push((node, subscription));
        }
        let theirs = Arc::clone(&shared);
        let thread = std::thread::spawn(move || theirs.watch(&mut subscriptions));
        Ok(Self { shared, thread: Some(thread) })
    }

    /// How many virtual addresses came or went on any router so far.
    pub fn moves(&self) -> u64 {
        self.shared.lock().values().map(|seen| seen.moves).sum()
    }

    /// How many virtual addresses `node` has.
    pub fn held(&self, node: Node) -> usize {
        self.shared.lock().get(&node).map_or(0, |seen| seen.held.len())
    }

    /// Waits until `node` has `count` virtual addresses; when the last of them came or went.
    ///
    /// # Errors
    /// If `deadline` comes first.
    pub fn wait(&self, node: Node, count: usize, deadline: Stamp) -> Result<Stamp, LabError> {
        let mut seen = self.shared.lock();
        loop {
            let of_node = seen.get(&node);
            let held = of_node.map_or(0, |seen| seen.held.len());
            if held == count {
                return Ok(of_node.and_then(|seen| seen.last).unwrap_or_else(Stamp::now));
            }
            let left = deadline - Stamp::now();
            if left == Duration::ZERO {
                let what = format!("{count} virtual addresses on {node}, which has {held}");
                return Err(LabError::Deadline(what));
            }
            let waited = self.shared.changed.wait_timeout(seen, left);
            seen = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Holdings {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn watch(&self, subscriptions: &mut [(Node, Subscription)]) {
        while !self.stop.load(Ordering::Relaxed) {
            let mut ready: Vec<PollFd> = subscriptions
                .iter()
                .map(|(_, socket)| PollFd::new(socket.as_fd(), PollFlags::POLLIN))
                .collect();
            let Ok(1..) = poll(&mut ready, PollTimeout::from(100u8)) else { continue };
            let at = Stamp::now();
            let mut all = self.lock();
            for (node, subscription) in &mut *subscriptions {
                let seen = all.entry(*node).or_default();
                subscription.drain(|change| seen.apply(at, &change));
            }
            drop(all);
            self.changed.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Node, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn apply(&mut self, at: Stamp, change: &Change) {
        let before = self.held.len();
        match *change {
            // A lease that is prolonged is told of too, and changes nothing.
            Change::Added(index, address) if is_virtual(address) => {
                self.held.insert((index, address));
            }
            Change::Removed(index, address) if is_virtual(address) => {
                self.held.remove(&(index, address));
            }
            Change::Unlinked(index) => self.held.retain(|&(other, _)| other != index),
            _ => {}
        }
        let moved = before.abs_diff(self.held.len());
        if moved > 0 {
            self.moves += moved as u64;
            self.last = Some(at);
        }
    }
}

/// The first VIP of each family, 10.61.0.0/16 and fd61::/16.
fn is_virtual(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address == VIP || address.octets()[..2] == [10, 61],
        IpAddr::V6(address) => address == VIP6 || address.segments()[0] == 0xfd61,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moves_are_counted_and_renewals_are_not() {
        let mut seen = Seen::default();
        let other: IpAddr = [10, 61, 3, 255].into();
        for (millis, change) in [
            (1, Change::Added(2, VIP.into())),
            (2, Change::Added(2, VIP.into())),
            (3, Change::Added(3, other)),
            (4, Change::Added(3, [10, 51, 0, 11].into())),
            (5, Change::Removed(2, VIP.into())),
            (6, Change::Unlinked(3)),
            (7, Change::Removed(3, other)),
        ] {
            seen.apply(Stamp::from_nanos(millis), &change);
        }
        assert_eq!((seen.held.len(), seen.moves), (0, 4));
        assert_eq!(seen.last, Some(Stamp::from_nanos(6)));
    }
}
