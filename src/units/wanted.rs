//! Whether the units are to run, remembered across restarts and reboots: since `mainstay up`, and
//! until `mainstay down`.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};
use supervisor::state_file::move_aside;

use crate::runtime_dir::write_durably;

/// What is wanted, and where it is written down.
#[derive(Debug)]
pub struct Wanted {
    file: PathBuf,
    up: AtomicBool,
}

#[derive(Serialize, Deserialize)]
struct Written {
    up: bool,
}

impl Wanted {
    /// What was written last: nothing is wanted before somebody has said so. Where it cannot be
    /// read also why, in words; what runs is then looked after rather than forgotten.
    pub fn load(file: PathBuf) -> (Self, Option<String>) {
        let (up, problem) = match std::fs::read(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => (false, None),
            Err(error) => (true, Some(format!("cannot read {}: {error}", file.display()))),
            Ok(text) => match serde_json::from_slice::<Written>(&text) {
                Ok(written) => (written.up, None),
                Err(error) => {
                    let aside = move_aside(&file);
                    (true, Some(format!("{} is damaged ({error}): {aside}", file.display())))
                }
            },
        };
        (Self { file, up: AtomicBool::new(up) }, problem)
    }

    /// Whether the units are to run.
    pub fn is_up(&self) -> bool {
        self.up.load(Ordering::Relaxed)
    }

    /// Writes down what is wanted from now on.
    ///
    /// # Errors
    /// If it cannot be written; it counts all the same until the next start.
    pub fn set(&self, up: bool) -> io::Result<()> {
        self.up.store(up, Ordering::Relaxed);
        let text = serde_json::to_vec(&Written { up })?;
        write_durably(&self.file, &text)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_outlives_a_restart() {
        let file = std::env::temp_dir().join(format!("mainstay-wanted-{}", std::process::id()));
        let load = || Wanted::load(file.clone());
        assert!(!load().0.is_up());
        load().0.set(true).unwrap();
        assert!(load().0.is_up());
        load().0.set(false).unwrap();
        assert!(!load().0.is_up());
        std::fs::write(&file, "{").unwrap();
        let (wanted, problem) = load();
        assert!(wanted.is_up() && problem.is_some_and(|it| it.contains(".corrupt-1")));
        assert!(!load().0.is_up(), "it was moved aside");
        for entry in std::fs::read_dir(std::env::temp_dir()).unwrap().flatten() {
            if entry.path().to_string_lossy().starts_with(&*file.to_string_lossy()) {
                std::fs::remove_file(entry.path()).unwrap();
            }
        }
    }
}
