//! What lies in the runtime directory.

use std::path::{Path, PathBuf};

/// The longest path that a unix socket can have, in bytes.
const MAX_SOCKET_PATH: usize = 107;

/// The directory of the lock, the sockets and what is known of the VRRP process.
///
/// It outlives the daemon: the VRRP process may run on, and its addresses may have to be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuntimeDir(PathBuf);

/// The path is too long for the sockets in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the runtime directory {} is too long a path for a unix socket: give a shorter --runtime-dir", .0.display())]
pub struct PathTooLong(PathBuf);

impl RuntimeDir {
    /// The runtime directory at `path`, which need not exist yet.
    ///
    /// # Errors
    /// If a unix socket in it would have too long a path.
    pub fn new(path: PathBuf) -> Result<Self, PathTooLong> {
        let directory = Self(path);
        let longest = directory.vrrp_socket().as_os_str().len();
        if longest > MAX_SOCKET_PATH { Err(PathTooLong(directory.0)) } else { Ok(directory) }
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Locked by the daemon as long as it runs; holds its process id.
    pub fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }

    /// Where the daemon answers the command line.
    pub fn api_socket(&self) -> PathBuf {
        self.0.join("api.sock")
    }

    /// Where the VRRP process answers the daemon.
    pub fn vrrp_socket(&self) -> PathBuf {
        self.0.join("vrrp.sock")
    }

    /// Which process the VRRP process is.
    pub fn vrrp_pid(&self) -> PathBuf {
        self.0.join("vrrp.pid")
    }

    /// What has to be removed should the VRRP process die.
    pub fn vips(&self) -> PathBuf {
        self.0.join("vips.json")
    }
}

/// Writes a file so that a reader sees the old content or the new, never a part.
///
/// # Errors
/// If the file or its temporary neighbour cannot be written.
pub fn write_atomically(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let temporary = path.with_extension("new");
    std::fs::write(&temporary, content)?;
    std::fs::rename(&temporary, path)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_too_long_for_a_socket_is_refused() {
        assert!(RuntimeDir::new(PathBuf::from("/").join("x".repeat(96))).is_ok());
        assert!(RuntimeDir::new(PathBuf::from("/").join("x".repeat(97))).is_err());
    }
}
