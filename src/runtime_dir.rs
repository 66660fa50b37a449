//! What lies in the runtime directory.

use std::fs::{File, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
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

/// Why a directory cannot be trusted with what decides about the addresses.
#[derive(Debug, thiserror::Error)]
pub enum Untrusted {
    /// It cannot be looked at.
    #[error("the runtime directory {} cannot be used: {error}", path.display())]
    Io { path: PathBuf, error: io::Error },
    /// It is a link, or a file.
    #[error("the runtime directory {} is no directory: remove it, or give another --runtime-dir", .0.display())]
    NoDirectory(PathBuf),
    /// Somebody else's.
    #[error("the runtime directory {} belongs to user {uid}: remove it, or give another --runtime-dir", path.display())]
    Foreign { path: PathBuf, uid: u32 },
    /// Others may change what is in it.
    #[error("others may write to the runtime directory {path}: `chmod go-w {path}`, or give another --runtime-dir", path = .0.display())]
    Writable(PathBuf),
}

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

    /// Checks that nobody but this user can change what is in it.
    ///
    /// # Errors
    /// [`Untrusted`], also if there is no such directory.
    pub fn check(&self) -> Result<(), Untrusted> {
        let metadata = std::fs::symlink_metadata(&self.0)
            .map_err(|error| Untrusted::Io { path: self.0.clone(), error })?;
        self.judge(&metadata, rustix::process::geteuid().as_raw())
    }

    fn judge(&self, metadata: &Metadata, own: u32) -> Result<(), Untrusted> {
        let path = || self.0.clone();
        if !metadata.is_dir() {
            return Err(Untrusted::NoDirectory(path()));
        }
        if metadata.uid() != own {
            return Err(Untrusted::Foreign { path: path(), uid: metadata.uid() });
        }
        if metadata.mode() & 0o022 != 0 {
            return Err(Untrusted::Writable(path()));
        }
        Ok(())
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

    /// What has to be undone of this host's macvlans and sysctls.
    pub fn host(&self) -> PathBuf {
        self.0.join("host.json")
    }
}

/// Writes a file so that a reader sees the old content or the new, never a part.
///
/// # Errors
/// If the file or its temporary neighbour cannot be written.
pub fn write_atomically(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("new");
    std::fs::write(&temporary, content)?;
    std::fs::rename(&temporary, path)
}

/// The same, and on disk when it returns, so that it outlives a crash of the node too. May take as
/// long as the disk does.
///
/// # Errors
/// As [`write_atomically`].
pub fn write_durably(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("new");
    let mut file = File::create(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)?;
    let directory = path.parent().filter(|it| !it.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
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

    #[test]
    fn a_directory_that_others_can_change_is_not_trusted() {
        use std::os::unix::fs::PermissionsExt;

        let path = std::env::temp_dir().join(format!("mainstay-dir-{}", std::process::id()));
        let directory = RuntimeDir::new(path.clone()).unwrap();
        assert!(matches!(directory.check(), Err(Untrusted::Io { .. })));
        std::fs::create_dir(&path).unwrap();
        let allow = |mode| {
            let permissions = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(&path, permissions).unwrap();
            directory.check()
        };
        assert!(allow(0o755).is_ok());
        assert!(matches!(allow(0o775), Err(Untrusted::Writable(_))));
        assert!(matches!(allow(0o1777), Err(Untrusted::Writable(_))));
        allow(0o700).unwrap();
        let metadata = std::fs::symlink_metadata(&path).unwrap();
        let judged = directory.judge(&metadata, metadata.uid() + 1);
        assert!(matches!(judged, Err(Untrusted::Foreign { .. })));
        let link = RuntimeDir::new(path.with_extension("link")).unwrap();
        std::os::unix::fs::symlink(&path, link.path()).unwrap();
        assert!(matches!(link.check(), Err(Untrusted::NoDirectory(_))));
        std::fs::remove_file(link.path()).unwrap();
        std::fs::remove_dir(path).unwrap();
    }
}
