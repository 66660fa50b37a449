//! One daemon per runtime directory.

use std::fmt;
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// How long a lock that is held is tried again: a fence holds it for some seconds at most.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// Follows the process id of a fence.
const FENCE: &str = " fence";
/// Pause between two attempts.
pub const RETRY: Duration = Duration::from_millis(20);

/// Held as long as the daemon, or a fence, works in a runtime directory.
#[derive(Debug)]
pub struct Lock(#[allow(dead_code, reason = "held, not used")] File);

/// Who takes the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A daemon, for as long as it runs.
    Daemon,
    /// A fence, for some seconds: worth waiting for.
    Fence,
}

/// Who holds the lock, as the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its process id, in words where it is not known.
    pub pid: String,
    /// What it is; a daemon where it is not known.
    pub role: Role,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.role {
            Role::Daemon => "mainstay runs already in this runtime directory",
            Role::Fence => "a fence is at work in this runtime directory",
        };
        write!(f, "{what}, as process {}", self.pid)
    }
}

/// Why the lock was not had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it.
    #[error("{0}")]
    Held(Holder),
    /// Anything else.
    #[error("cannot lock the runtime directory: {0}")]
    Io(#[from] io::Error),
}

impl Lock {
    /// Takes the lock; never waits.
    ///
    /// # Errors
    /// [`LockError::Held`] names the process that holds it.
    pub fn acquire(path: &Path, role: Role) -> Result<Self, LockError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = options.open(path)?;
        // Who can open a file can lock it; one of an earlier version was readable to all.
        file.set_permissions(Permissions::from_mode(0o600))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(LockError::Held(holder(&mut file))),
            Err(error) => return Err(LockError::Io(error.into())),
        }
        // For people only: a full file system is no reason not to start.
        let _ = sign(&mut file, role);
        Ok(Self(file))
    }
}

fn sign(file: &mut File, role: Role) -> io::Result<()> {
    let role = match role {
        Role::Daemon => "",
        Role::Fence => FENCE,
    };
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}{role}", std::process::id())
}

fn holder(file: &mut File) -> Holder {
    let mut text = String::new();
    let text = file.read_to_string(&mut text).map_or("", |_| text.trim());
    let (pid, role) = match text.strip_suffix(FENCE) {
        Some(pid) => (pid, Role::Fence),
        None => (text, Role::Daemon),
    };
    Holder { pid: if pid.is_empty() { "(unknown)" } else { pid }.to_owned(), role }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_told_who_the_first_is() {
        let path = std::env::temp_dir().join(format!("mainstay-lock-{}", std::process::id()));
        std::fs::write(&path, "").unwrap();
        let first = Lock::acquire(&path, Role::Daemon).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let held = || match Lock::acquire(&path, Role::Daemon) {
            Err(LockError::Held(holder)) => holder,
            _ => unreachable!("the lock was had twice"),
        };
        let pid = std::process::id().to_string();
        assert_eq!(held(), Holder { pid: pid.clone(), role: Role::Daemon });
        drop(first);
        let _fence = Lock::acquire(&path, Role::Fence).unwrap();
        assert_eq!(held(), Holder { pid, role: Role::Fence });
        std::fs::remove_file(path).unwrap();
    }
}
