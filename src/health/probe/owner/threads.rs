//! The threads of another process, and their end.

use std::future::poll_fn;
use std::io;
use std::os::fd::OwnedFd;
use std::task::Poll;

use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::unix::AsyncFd;

use crate::vrrp_process::{ends, says_gone};

/// PIDFD_THREAD, since Linux 6.9: of this thread, not of its process.
const THREAD: PidfdFlags = PidfdFlags::from_bits_retain(OFlags::EXCL.bits());
/// So many are watched. The last thread to end is the one that gives back the memory, so one more
/// than one would do.
const MAX_WATCHED: usize = 8;

/// Descriptors of some threads of a process, its first ones; none if it has only one.
///
/// # Errors
/// If it has gone, or [`are_unknown`].
pub fn open(pid: Pid) -> io::Result<Vec<OwnedFd>> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero()))?;
    let mut threads = Vec::new();
    for task in tasks.take(MAX_WATCHED) {
        let name = task?.file_name();
        let thread = name.to_str().and_then(|it| Pid::from_raw(it.parse().ok()?));
        match thread.map(|it| pidfd_open(it, THREAD | PidfdFlags::NONBLOCK)) {
            Some(Ok(descriptor)) => threads.push(descriptor),
            // It has ended meanwhile.
            None | Some(Err(Errno::SRCH)) => {}
            Some(Err(error)) => return Err(error.into()),
        }
    }
    if threads.len() < 2 {
        threads.clear();
    }
    Ok(threads)
}

/// Whether it is the kernel that has no descriptors of threads.
pub fn are_unknown(error: &io::Error) -> bool {
    let unknown = [Errno::INVAL, Errno::NOSYS].map(Errno::raw_os_error);
    error.raw_os_error().is_some_and(|error| unknown.contains(&error))
}

/// Waits until one of them has ended, and puts it away; for ever if there is none.
pub async fn end_of_one(threads: &mut Vec<AsyncFd<OwnedFd>>) {
    poll_fn(|context| {
        // An error tells it as well.
        let ended = threads.iter().position(|it| it.poll_read_ready(context).is_ready());
        match ended {
            Some(index) => {
                threads.swap_remove(index);
                Poll::Ready(())
            }
            None => Poll::Pending,
        }
    })
    .await;
}

/// Whether each thread of the process is exiting or gone. No process comes back from there.
pub fn all_end(pid: Pid) -> bool {
    let directory = format!("/proc/{}/task", pid.as_raw_nonzero());
    match std::fs::read_dir(&directory) {
        Ok(mut tasks) => tasks.all(|task| match task {
            Ok(task) => ends(&task.path().join("stat")),
            Err(error) => says_gone(&error),
        }),
        Err(error) => says_gone(&error),
    }
}
