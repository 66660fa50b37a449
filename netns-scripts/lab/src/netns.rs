//! Work inside a network namespace.

use std::fs::File;
use std::io;
use std::path::Path;
use std::thread;

use nix::sched::{CloneFlags, setns};

use crate::LabError;

/// Runs `work` in the named network namespace, in a thread of its own, so that the caller stays
/// where it is. A socket made there stays in that namespace wherever it is used.
///
/// # Errors
/// If there is no such namespace, or entering it is refused.
pub fn within<T: Send>(namespace: &str, work: impl FnOnce() -> T + Send) -> Result<T, LabError> {
    let path = Path::new("/run/netns").join(namespace);
    let enter = || -> io::Result<T> {
        setns(File::open(path)?, CloneFlags::CLONE_NEWNET)?;
        Ok(work())
    };
    thread::scope(|scope| scope.spawn(enter).join())
        .unwrap_or_else(|_| Err(io::Error::other("the thread in the namespace panicked")))
        .map_err(LabError::instrument("entering a network namespace"))
}
