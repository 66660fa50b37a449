//! Which process the VRRP process is, in a way that outlives a reuse of its process id.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::{Deserialize, Serialize};

use crate::runtime_dir::write_atomically;

/// A process id and when that process started: together they name one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The process id.
    pub pid: u32,
    /// In clock ticks since boot, as `/proc/PID/stat` has it.
    start_time: u64,
}

impl Identity {
    /// The process that has `pid` now; `None` if there is none, or only its remains.
    pub fn of(pid: u32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        Some(Self { pid, start_time: start_time(&stat)? })
    }

    /// What [`Identity::save`] wrote; `None` if there is nothing to be read.
    pub fn load(path: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(path).ok()?).ok()
    }

    /// Writes it to a file for other processes.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        write_atomically(path, &serde_json::to_vec(self)?)
    }

    /// A handle of this very process; `None` if it has ended.
    pub fn open(&self) -> Option<OwnedFd> {
        let pid = Pid::from_raw(i32::try_from(self.pid).ok()?)?;
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        // Looked at after the handle is open: from now on the process id stays this process's.
        (Self::of(self.pid) == Some(*self)).then_some(pidfd)
    }
}

/// Whether the process has ended or is just ending: it will run no more.
pub(super) fn is_ending(pid: u32) -> bool {
    ends(Path::new(&format!("/proc/{pid}/stat")))
}

/// The same of the process or the thread that has this file `stat`.
pub fn ends(stat: &Path) -> bool {
    match std::fs::read_to_string(stat) {
        Ok(stat) => says_ending(&stat),
        Err(error) => says_gone(&error),
    }
}

/// Whether this is what `/proc` answers about a process that is gone. Any other error, such as
/// the want of a descriptor, says nothing about the process.
pub fn says_gone(error: &io::Error) -> bool {
    let gone = [Errno::NOENT, Errno::SRCH].map(Errno::raw_os_error);
    error.raw_os_error().is_some_and(|error| gone.contains(&error))
}

/// What a line of `/proc/PID/stat` says about it: the state, or `PF_EXITING` among the flags.
fn says_ending(stat: &str) -> bool {
    const PF_EXITING: u32 = 4;
    let Some((_, rest)) = stat.rsplit_once(')') else { return false };
    let mut fields = rest.split_ascii_whitespace();
    let is_gone = fields.next().is_some_and(|state| matches!(state, "Z" | "X"));
    let flags = fields.nth(5).and_then(|flags| flags.parse::<u32>().ok());
    is_gone || flags.is_some_and(|flags| flags & PF_EXITING != 0)
}

/// The start time in a line of `/proc/PID/stat`; `None` for a process that has ended.
fn start_time(stat: &str) -> Option<u64> {
    // The program's name may hold blanks and parentheses; the last one ends it.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") { None } else { fields.nth(18)?.parse().ok() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_itself_and_no_other() {
        let this = Identity::of(std::process::id()).unwrap();
        assert!(this.open().is_some());
        assert!(Identity { start_time: this.start_time + 1, ..this }.open().is_none());
        assert!(Identity { pid: u32::MAX, ..this }.open().is_none());
    }

    #[test]
    fn a_process_that_is_ending_is_known_by_its_flags() {
        assert!(!is_ending(std::process::id()));
        assert!(is_ending(u32::MAX));
        assert!(!says_gone(&Errno::MFILE.into()));
        assert!(says_ending("7 (a) S 1 7 7 0 -1 4194308 0"));
        assert!(!says_ending("7 (a) S 1 7 7 0 -1 4194304 0"));
        assert!(says_ending("7 (a) Z 1 7 7 0 -1 4194304 0"));
    }

    #[test]
    fn the_start_time_is_the_22nd_field_whatever_the_name() {
        let line = "7 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20 21";
        assert_eq!(start_time(line), Some(4711));
        assert_eq!(start_time(&line.replace(" S ", " Z ")), None);
        assert_eq!(start_time("7"), None);
    }
}
