//! Real-time scheduling and locked memory. Each refusal is survivable: warn and go on.
#![allow(unsafe_code)] // sched_setscheduler(2) has no safe wrapper.

use std::hint::black_box;
use std::io;

use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{Resource, Rlimit, getrlimit, setpriority_process, setrlimit};

/// Why the process cannot be as punctual as it should be.
#[derive(Debug, thiserror::Error)]
pub enum RtError {
    /// No SCHED_RR; nice -20 instead.
    #[error(
        "SCHED_RR refused ({error}), running at nice -20: {at_stake} late on a busy node; \
         allow real-time scheduling (LimitRTPRIO=, cpu.rt_runtime_us)"
    )]
    Nice {
        /// Why.
        error: io::Error,
        /// What may happen late.
        at_stake: &'static str,
    },
    /// Neither SCHED_RR nor nice -20.
    #[error(
        "SCHED_RR and nice -20 refused ({error}): {at_stake} late on a busy node; \
         run with CAP_SYS_NICE and allow real-time scheduling"
    )]
    Refused {
        /// Why.
        error: io::Error,
        /// What may happen late.
        at_stake: &'static str,
    },
    /// What is mapped now is locked, but not what is mapped later: after CAP_IPC_LOCK is dropped,
    /// the limit would make the allocator fail.
    #[error(
        "RLIMIT_MEMLOCK could not be raised ({0}), memory mapped from now on is not locked; \
         set LimitMEMLOCK=infinity"
    )]
    LockedNowOnly(io::Error),
    /// Nothing is locked.
    #[error(
        "memory could not be locked ({0}): swapping may delay adverts; set LimitMEMLOCK=infinity"
    )]
    NotLocked(io::Error),
}

/// The advertising thread's priority: above everything ordinary, below the kernel's own threads.
/// All other threads stay below it.
pub const ADVERTISER: u8 = 50;

/// Puts the calling thread under SCHED_RR at `priority`, 1 to 99, or else at nice -20. Threads and
/// processes it starts do not inherit that. `at_stake` is what a refusal says may be late:
/// `adverts may be`.
///
/// # Errors
/// If SCHED_RR is refused: without CAP_SYS_NICE, or in a cgroup v1 without `cpu.rt_runtime_us`.
pub fn set_realtime(priority: u8, at_stake: &'static str) -> Result<(), RtError> {
    let Err(error) = schedule(libc::SCHED_RR, priority) else { return Ok(()) };
    // Allowed to everybody; where it is not, what this thread starts is as nice as it is.
    let _ = schedule(libc::SCHED_OTHER, 0);
    match setpriority_process(None, -20) {
        Ok(()) => Err(RtError::Nice { error, at_stake }),
        Err(_) => Err(RtError::Refused { error, at_stake }),
    }
}

/// Sets the calling thread's policy, which what it starts does not inherit, nor its nice value
/// below 0.
fn schedule(policy: i32, priority: u8) -> io::Result<()> {
    let param = libc::sched_param { sched_priority: i32::from(priority) };
    let policy = policy | libc::SCHED_RESET_ON_FORK;
    // The system call and not the libc function: musl's refuses to work.
    // SAFETY: `param` is valid for the call, which only reads it; 0 is the calling thread.
    let result =
        unsafe { libc::syscall(libc::SYS_sched_setscheduler, 0, policy, &raw const param) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Locks the pages that the process has touched and will touch; untouched pages stay out of
/// memory. Call it before CAP_SYS_RESOURCE and CAP_IPC_LOCK are dropped.
///
/// # Errors
/// If the limit on locked memory stands against it.
pub fn lock_memory() -> Result<(), RtError> {
    let touched = MlockAllFlags::CURRENT | MlockAllFlags::ONFAULT;
    let raised = match getrlimit(Resource::Memlock).current {
        None => Ok(()),
        Some(_) => setrlimit(Resource::Memlock, Rlimit { current: None, maximum: None }),
    };
    let flags = if raised.is_ok() { touched | MlockAllFlags::FUTURE } else { touched };
    mlockall(flags).map_err(|error| RtError::NotLocked(error.into()))?;
    raised.map_err(|error| RtError::LockedNowOnly(error.into()))
}

/// Touches `bytes` of the calling thread's stack, 512 KiB at most, so that they are in memory, and
/// stay there once locked.
pub fn touch_stack(bytes: usize) {
    const PAGE: usize = 4096;
    const MOST: usize = 512 * 1024;

    /// Goes down a page or more with each call, however large the compiler makes the frame.
    #[inline(never)]
    fn touch(top: usize, bytes: usize) {
        let mut page = [0_u8; PAGE];
        black_box(&mut page);
        if top.abs_diff(page.as_ptr().addr()) < bytes {
            touch(top, bytes);
        }
        black_box(&mut page);
    }

    let top = 0_u8;
    touch((&raw const top).addr(), bytes.min(MOST));
}
