//! CPU hogs, bounded in time whatever becomes of their parent.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::LabError;

/// Hogs that run; they end when dropped, and at their bound.
#[derive(Debug)]
pub struct Hogs(Vec<Child>);

impl Hogs {
    /// Starts `count` busy loops, each in a session of its own, so that the scheduler's
    /// per-session groups do not count them as one. They end with the thread that starts them.
    ///
    /// # Errors
    /// If one cannot be started.
    pub fn start(count: usize, bound: Duration) -> Result<Self, LabError> {
        let seconds = bound.as_secs().max(1).to_string();
        let mut hogs = Self(Vec::new());
        for _ in 0..count {
            let hog = Command::new("setsid")
                .args(["setpriv", "--pdeathsig", "TERM", "timeout", &seconds])
                .args(["sh", "-c", "while :; do :; done"])
                .stdin(Stdio::null())
                .spawn()
                .map_err(LabError::instrument("starting a CPU hog"))?;
            hogs.0.push(hog);
        }
        Ok(hogs)
    }

    /// Two for each core.
    ///
    /// # Errors
    /// If one cannot be started.
    pub fn two_per_core(bound: Duration) -> Result<Self, LabError> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::start(2 * cores, bound)
    }

    /// Waits until all have reached their bound.
    pub fn wait(mut self) {
        for hog in &mut self.0 {
            let _ = hog.wait();
        }
    }
}

impl Drop for Hogs {
    fn drop(&mut self) {
        for hog in &mut self.0 {
            // SIGTERM, which timeout(1) passes on; SIGKILL would leave the loop running.
            if let (Ok(None), Ok(id)) = (hog.try_wait(), i32::try_from(hog.id())) {
                let pid = nix::unistd::Pid::from_raw(id);
                let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
            }
            let _ = hog.wait();
        }
    }
}
