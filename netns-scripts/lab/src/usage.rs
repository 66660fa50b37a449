//! What a process costs: CPU, context switches, memory, as the kernel counts them.

use std::fs;
use std::io;
use std::ops::Sub;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::Pid;

use crate::LabError;

/// What a process has used since it began, all its threads together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Time on a CPU, with the kernel's work in its name.
    pub cpu: Duration,
    /// How often it was switched from.
    pub switches: u64,
}

/// Memory of a process, in kilobytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Resident set.
    pub rss: u64,
    /// The same, but of what is shared only its share.
    pub pss: u64,
}

impl Usage {
    /// Of the process `pid`.
    ///
    /// # Errors
    /// If it is gone.
    pub fn of(pid: Pid) -> Result<Self, LabError> {
        let directory = PathBuf::from(format!("/proc/{pid}/task"));
        read(&directory).map_err(|_| LabError::Invalid(format!("the process {pid} has ended")))
    }
}

impl Sub for Usage {
    type Output = Self;

    /// What was used since `earlier`.
    fn sub(self, earlier: Self) -> Self {
        Self {
            cpu: self.cpu.saturating_sub(earlier.cpu),
            switches: self.switches.saturating_sub(earlier.switches),
        }
    }
}

impl Memory {
    /// Of the process `pid`.
    ///
    /// # Errors
    /// If it is gone.
    pub fn of(pid: Pid) -> Result<Self, LabError> {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))
            .map_err(LabError::instrument("reading a process's memory"))?;
        Ok(Self { rss: figure(&text, "Rss:"), pss: figure(&text, "Pss:") })
    }
}

fn read(directory: &Path) -> io::Result<Usage> {
    let mut usage = Usage::default();
    for thread in fs::read_dir(directory)? {
        let thread = thread?.path();
        // A thread may end between.
        let Ok(schedstat) = fs::read_to_string(thread.join("schedstat")) else { continue };
        let Ok(status) = fs::read_to_string(thread.join("status")) else { continue };
        let nanos = schedstat.split_whitespace().next().and_then(|text| text.parse().ok());
        usage.cpu += Duration::from_nanos(nanos.unwrap_or(0));
        usage.switches += figure(&status, "voluntary_ctxt_switches:");
        usage.switches += figure(&status, "nonvoluntary_ctxt_switches:");
    }
    Ok(usage)
}

/// The figure of the line that begins with `name`; 0 if there is none.
fn figure(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn work_and_memory_of_this_process_are_seen() {
        let before = Usage::of(Pid::this()).unwrap();
        let end = crate::Stamp::now() + Duration::from_millis(5);
        while crate::Stamp::now() < end {}
        let used = Usage::of(Pid::this()).unwrap() - before;
        assert!(used.cpu > Duration::ZERO);
        let memory = Memory::of(Pid::this()).unwrap();
        assert!(memory.pss > 0 && memory.rss >= memory.pss);
    }

    #[test]
    fn a_figure_is_found_by_the_whole_name() {
        let text = "nonvoluntary_ctxt_switches:\t9\nvoluntary_ctxt_switches:\t4\n";
        assert_eq!(figure(text, "voluntary_ctxt_switches:"), 4);
        assert_eq!(figure(text, "Pss:"), 0);
    }
}
