//! A bounded queue from one thread to the other, with an eventfd to wake the receiver.
//!
//! Neither side ever waits, locks or allocates: not even for the other to finish a push, as the
//! advertising thread must not spin for a keeper that is not scheduled.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rtrb::{Consumer, Producer, PushError, RingBuffer};
use rustix::event::{EventfdFlags, eventfd};

/// Opens a mailbox for `capacity` messages.
///
/// # Errors
/// If the process has no file descriptor left.
pub(super) fn mailbox<T>(capacity: usize) -> rustix::io::Result<(Sender<T>, Receiver<T>)> {
    let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
    let (producer, consumer) = RingBuffer::new(capacity);
    let sender = Sender { queue: producer, wake: Arc::clone(&wake), unseen: false };
    Ok((sender, Receiver { queue: consumer, wake }))
}

#[derive(Debug)]
pub(super) struct Sender<T> {
    queue: Producer<T>,
    wake: Arc<OwnedFd>,
    /// Whether something was pushed since the receiver was last woken.
    unseen: bool,
}

impl<T> Sender<T> {
    /// Puts a message in the queue; the receiver sees it after [`Sender::wake`].
    ///
    /// # Errors
    /// Gives the message back if the queue is full.
    pub(super) fn push(&mut self, message: T) -> Result<(), T> {
        self.queue.push(message).map_err(|PushError::Full(message)| message)?;
        self.unseen = true;
        Ok(())
    }

    /// The same, but leaves room for `reserve` more messages.
    ///
    /// # Errors
    /// Gives the message back if the room would not be left.
    pub(super) fn push_reserving(&mut self, message: T, reserve: usize) -> Result<(), T> {
        if self.queue.slots() <= reserve {
            return Err(message);
        }
        self.push(message)
    }

    /// Wakes the receiver if there is something new.
    pub(super) fn wake(&mut self) {
        if self.unseen {
            // Fails only when the counter is at its end: then the receiver is awake already.
            let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
            self.unseen = false;
        }
    }
}

#[derive(Debug)]
pub(super) struct Receiver<T> {
    queue: Consumer<T>,
    wake: Arc<OwnedFd>,
}

impl<T> Receiver<T> {
    /// Clears the wake-up; to be called before the messages are taken.
    pub(super) fn clear_wake(&self) {
        // Fails only when there was no wake-up.
        let _ = rustix::io::read(&self.wake, &mut [0_u8; 8]);
    }

    /// The next message.
    pub(super) fn pop(&mut self) -> Option<T> {
        self.queue.pop().ok()
    }

    /// Wakes the receiver itself once more: there is more than it took.
    pub(super) fn wake_again(&self) {
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }
}

impl<T> AsFd for Receiver<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}
