//! One daemon per runtime directory.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// Held as long as the daemon, or a fence, works in a runtime directory.
#[derive(Debug)]
pub struct Lock(#[allow(dead_code, reason = "held, not used")] File);

/// Why the lock was not had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it.
    #[error("mainstay runs already in this runtime directory, as process {0}")]
    Held(String),
    /// Anything else.
    #[error("cannot lock the runtime directory: {0}")]
    Io(#[from] io::Error),
}

impl Lock {
    /// Takes the lock; never waits.
    ///
    /// # Errors
    /// [`LockError::Held`] names the process that holds it.
    pub fn acquire(path: &Path) -> Result<Self, LockError> {
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(LockError::Held(holder(&mut file))),
            Err(error) => return Err(LockError::Io(error.into())),
        }
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())?;
        Ok(Self(file))
    }
}

/// Who holds the lock, if somebody does. Nothing is created.
pub fn held_by(path: &Path) -> Option<String> {
    let mut file = File::open(path).ok()?;
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Err(Errno::WOULDBLOCK) => Some(holder(&mut file)),
        _ => None,
    }
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    match file.read_to_string(&mut text) {
        Ok(_) if !text.trim().is_empty() => text.trim().to_owned(),
        _ => "(unknown)".to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_told_who_the_first_is() {
        let path = std::env::temp_dir().join(format!("mainstay-lock-{}", std::process::id()));
        let first = Lock::acquire(&path).unwrap();
        let Err(LockError::Held(pid)) = Lock::acquire(&path) else {
            unreachable!("the lock was had twice");
        };
        assert_eq!(pid, std::process::id().to_string());
        assert_eq!(held_by(&path), Some(pid));
        drop(first);
        assert_eq!(held_by(&path), None);
        assert!(Lock::acquire(&path).is_ok());
        std::fs::remove_file(path).unwrap();
    }
}
