//! A bare SCHED_RR timer loop: what the machine gives at best while a scenario runs.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use rustix::mm::{MlockAllFlags, mlockall};
use serde::Serialize;

use crate::{DAEMON_PRIORITY, LabError, Stamp, round_robin};

/// What the loop saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LoopReport {
    /// How often it woke up.
    pub ticks: u64,
    /// The largest time between two wake-ups.
    pub largest_gap: Duration,
}

/// Runs the loop for `bound` or until `stop`, at mainstay's SCHED_RR priority and with locked memory.
///
/// # Errors
/// If priority, lock or timer is refused.
pub fn rr_loop(period: Duration, bound: Duration, stop: &AtomicBool) -> io::Result<LoopReport> {
    round_robin(DAEMON_PRIORITY)?;
    mlockall(MlockAllFlags::CURRENT | MlockAllFlags::ONFAULT)?;
    let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_CLOEXEC)?;
    let every = Expiration::Interval(TimeSpec::from_duration(period));
    timer.set(every, TimerSetTimeFlags::empty())?;
    let mut report = LoopReport::default();
    timer.wait()?;
    let mut last = Stamp::now();
    let end = last + bound;
    while last < end && !stop.load(Ordering::Relaxed) {
        timer.wait()?;
        let now = Stamp::now();
        report.largest_gap = report.largest_gap.max(now - last);
        report.ticks += 1;
        last = now;
    }
    Ok(report)
}

/// The loop in a thread of its own.
#[derive(Debug)]
pub struct RrLoop {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<io::Result<LoopReport>>,
}

impl RrLoop {
    /// Starts the loop, for `bound` at most.
    pub fn start(period: Duration, bound: Duration) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || rr_loop(period, bound, &stopped));
        Self { stop, thread }
    }

    /// Ends the loop.
    ///
    /// # Errors
    /// If it could not run as it must.
    pub fn stop(self) -> Result<LoopReport, LabError> {
        self.stop.store(true, Ordering::Relaxed);
        let joined = self.thread.join();
        joined
            .unwrap_or_else(|_| Err(io::Error::other("its thread panicked")))
            .map_err(LabError::instrument("the SCHED_RR loop"))
    }
}
