//! Every frame at one end of a cable, both ways, for tests that judge what a host sends.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::{SockFilter, Socket};

use super::{next, socket};
use crate::{Frame, LabError, Stamp, decode, within};

/// The largest frame, and what a receiver may merge into one.
const FRAME: usize = 65_600;
const OUTGOING: u8 = 4;

/// Whether a frame came or went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The other end sent it.
    In,
    /// This end sent it.
    Out,
}

/// A frame that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// When, by the kernel's clock.
    pub at: Stamp,
    /// Which way.
    pub direction: Direction,
    /// The index of the interface here.
    pub interface: usize,
    /// All its bytes.
    pub bytes: Vec<u8>,
    /// What it is, if the lab knows such frames.
    pub frame: Option<Frame>,
}

/// Which frames are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// All.
    All,
    /// What the other end sends.
    Incoming,
}

/// Records the frames on all interfaces of a namespace until it is dropped.
#[derive(Debug)]
pub struct Tap {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    frames: Mutex<Vec<Seen>>,
    changed: Condvar,
}

impl Tap {
    /// Starts to record in the named network namespace.
    ///
    /// # Errors
    /// If there is no such namespace, or the socket is refused.
    pub fn start(namespace: &str, keep: Keep) -> Result<Self, LabError> {
        let open = || socket(&filter(keep));
        let socket = within(namespace, open)?.map_err(LabError::instrument("capturing"))?;
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let thread = std::thread::spawn(move || theirs.record(&socket));
        Ok(Self { shared, thread: Some(thread) })
    }

    /// The frames so far, in the order they were seen.
    pub fn frames(&self) -> Vec<Seen> {
        self.shared.lock().clone()
    }

    /// Forgets the frames so far.
    pub fn clear(&self) {
        self.shared.lock().clear();
    }

    /// Waits until `found` finds something among all frames; `None` if `deadline` comes first.
    pub fn wait<T>(
        &self,
        deadline: Stamp,
        mut found: impl FnMut(&[Seen]) -> Option<T>,
    ) -> Option<T> {
        let mut frames = self.shared.lock();
        loop {
            if let Some(result) = found(&frames) {
                return Some(result);
            }
            let left = deadline - Stamp::now();
            if left == Duration::ZERO {
                return None;
            }
            let waited = self.shared.changed.wait_timeout(frames, left);
            frames = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn record(&self, socket: &Socket) {
        let mut buffer = vec![0; FRAME];
        while !self.stop.load(Ordering::Relaxed) {
            let Some((at, from, frame)) = next(socket, &mut buffer) else { continue };
            let direction = if from.pkttype() == OUTGOING { Direction::Out } else { Direction::In };
            let seen = Seen {
                at,
                direction,
                interface: from.ifindex(),
                bytes: frame.to_vec(),
                frame: decode(frame),
            };
            self.lock().push(seen);
            self.changed.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn filter(keep: Keep) -> Vec<SockFilter> {
    const LOAD_BYTE: u16 = 0x30;
    const JUMP_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    const PACKET_TYPE: u32 = 0xffff_f004;
    let all = SockFilter::new(RETURN, 0, 0, u32::MAX);
    match keep {
        Keep::All => vec![all],
        Keep::Incoming => vec![
            SockFilter::new(LOAD_BYTE, 0, 0, PACKET_TYPE),
            SockFilter::new(JUMP_EQUAL, 0, 1, OUTGOING.into()),
            SockFilter::new(RETURN, 0, 0, 0),
            all,
        ],
    }
}
