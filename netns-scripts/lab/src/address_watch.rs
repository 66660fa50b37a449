//! When the VIP comes and goes in each router's kernel, from rtnetlink's notifications.

mod ownership;

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use self::ownership::Ownership;
use crate::rtnetlink::{Change, Subscription};
use crate::timeline::{Event, Timeline};
use crate::{INSTRUMENT_PRIORITY, Lab, LabError, Node, Stamp, round_robin};

/// Watches all routers until it is dropped.
#[derive(Debug)]
pub(crate) struct AddressWatch {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What is known of one router's kernel.
#[derive(Debug)]
struct Kernel {
    node: Node,
    ownership: Ownership,
}

impl AddressWatch {
    /// Subscribes in every router's namespace; those that have the VIP already are reported
    /// first.
    pub(crate) fn start(lab: &Lab, timeline: Arc<Timeline>) -> Result<Self, LabError> {
        let mut kernels = Vec::new();
        for &node in lab.nodes() {
            let mut subscription = Subscription::open(&lab.namespace(node))?;
            let mut kernel = Kernel { node, ownership: Ownership::new(timeline.family().vip()) };
            subscription.learn(|change| kernel.apply(Stamp::now(), &change, &timeline))?;
            kernels.push((subscription, kernel));
        }
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            // Refused, the stamps are only a little later.
            let _ = round_robin(INSTRUMENT_PRIORITY);
            while !stopped.load(Ordering::Relaxed) {
                watch(&mut kernels, &timeline);
            }
        });
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for AddressWatch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Waits for notifications, 100 ms at most, and reports those about the VIP.
fn watch(kernels: &mut [(Subscription, Kernel)], timeline: &Timeline) {
    let mut ready: Vec<PollFd> =
        kernels.iter().map(|(socket, _)| PollFd::new(socket.as_fd(), PollFlags::POLLIN)).collect();
    let Ok(1..) = poll(&mut ready, PollTimeout::from(100u8)) else { return };
    let at = Stamp::now();
    for (subscription, kernel) in kernels {
        subscription.drain(|change| kernel.apply(at, &change, timeline));
    }
}

impl Kernel {
    fn apply(&mut self, at: Stamp, change: &Change, timeline: &Timeline) {
        match self.ownership.apply(change) {
            Some(true) => timeline.push(at, Event::Added(self.node)),
            Some(false) => timeline.push(at, Event::Removed(self.node)),
            None => {}
        }
    }
}
