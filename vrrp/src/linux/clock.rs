//! The clock of the protocol, `CLOCK_MONOTONIC`, and a timer on it.
//!
//! The clock stands still while the machine is suspended, and so do all deadlines.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
    timerfd_create, timerfd_settime,
};

use crate::time::{Duration, Instant};

const NANOS_PER_SEC: u64 = 1_000_000_000;

/// The time now.
pub fn now() -> Instant {
    Instant::from_nanos(nanos(clock_gettime(ClockId::Monotonic)))
}

/// The wall clock since 1970, which the kernel stamps packets with. It can jump.
pub(super) fn realtime() -> Duration {
    Duration::from_nanos(nanos(clock_gettime(ClockId::Realtime)))
}

/// Negative times, of a clock set before 1970, count as zero.
fn nanos(time: Timespec) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(NANOS_PER_SEC).saturating_add(nanos)
}

/// One deadline, for epoll: the descriptor is readable from the deadline on, until [`Self::ack`]
/// or the next [`Self::arm`].
#[derive(Debug)]
pub struct Timer(OwnedFd);

impl Timer {
    /// An unarmed timer.
    ///
    /// # Errors
    /// If the process has no descriptor left.
    pub fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        Ok(Self(timerfd_create(TimerfdClockId::Monotonic, flags)?))
    }

    /// Sets the deadline, or none. One in the past fires at once.
    ///
    /// # Errors
    /// None that a valid timer can have.
    pub fn arm(&self, deadline: Option<Instant>) -> io::Result<()> {
        // The kernel takes zero for "disarm".
        let nanos = deadline.map_or(0, |deadline| deadline.as_nanos().max(1));
        let it_value = Timespec {
            tv_sec: i64::try_from(nanos / NANOS_PER_SEC).unwrap_or(i64::MAX),
            tv_nsec: i64::try_from(nanos % NANOS_PER_SEC).unwrap_or(0),
        };
        let it_interval = Timespec { tv_sec: 0, tv_nsec: 0 };
        let timer = Itimerspec { it_interval, it_value };
        timerfd_settime(&self.0, TimerfdTimerFlags::ABSTIME, &timer)?;
        Ok(())
    }

    /// Whether the deadline has passed since the last call; the descriptor is not readable after.
    ///
    /// # Errors
    /// None that a valid timer can have.
    pub fn ack(&self) -> io::Result<bool> {
        let mut expirations = [0; 8];
        match rustix::io::read(&self.0, &mut expirations) {
            Ok(_) => Ok(true),
            Err(rustix::io::Errno::AGAIN) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
