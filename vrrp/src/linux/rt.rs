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
        "SCHED_RR refused ({0}), running at nice -20: adverts may be late on a busy node; \
         allow real-time scheduling (LimitRTPRIO=, cpu.rt_runtime_us)"
    )]
    Nice(io::Error),
    /// Neither SCHED_RR nor nice -20.
    #[error(
        "SCHED_RR and nice -20 refused ({0}): adverts may be late on a busy node; \
         run with CAP_SYS_NICE and allow real-time scheduling"
    )]
    Refused(io::Error),
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

/// Puts the calling thread under SCHED_RR at `priority`, 1 to 99, or else at nice -20. Threads and
/// processes it starts do not inherit that.
///
/// # Errors
/// If SCHED_RR is refused: without CAP_SYS_NICE, or in a cgroup v1 without `cpu.rt_runtime_us`.
pub fn set_realtime(priority: u8) -> Result<(), RtError> {
    let param = libc::sched_param { sched_priority: i32::from(priority) };
    let policy = libc::SCHED_RR | libc::SCHED_RESET_ON_FORK;
    // The system call and not the libc function: musl's refuses to work.
    // SAFETY: `param` is valid for the call, which only reads it; 0 is the calling thread.
    let result =
        unsafe { libc::syscall(libc::SYS_sched_setscheduler, 0, policy, &raw const param) };
    if result == 0 {
        return Ok(());
    }
    let refused = io::Error::last_os_error();
    match setpriority_process(None, -20) {
        Ok(()) => Err(RtError::Nice(refused)),
        Err(_) => Err(RtError::Refused(refused)),
    }
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
