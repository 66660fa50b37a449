//! Waiting for a descriptor in tokio.

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::unix::AsyncFd;

/// A descriptor that tokio watches. Needs a tokio runtime.
///
/// # Errors
/// If it cannot be watched.
#[expect(
    deprecated,
    reason = "its successor is unsafe, for types that can change their descriptor; OwnedFd cannot"
)]
pub fn watch(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::new(descriptor)
}
