//! Real-time priority for the threads that stamp or answer.

use std::io;
use std::process::{Command, Stdio};

use nix::unistd::gettid;

/// The instruments' SCHED_RR priority: above all ordinary work, below a tuned daemon's.
pub const INSTRUMENT_PRIORITY: u8 = 5;

/// The SCHED_RR priority of the bare loop: mainstay's own.
pub const DAEMON_PRIORITY: u8 = 50;

/// Gives the calling thread SCHED_RR, by chrt(1), so that no unsafe call is needed here.
///
/// # Errors
/// If it is refused, or chrt is missing.
pub fn round_robin(priority: u8) -> io::Result<()> {
    let status = Command::new("chrt")
        .args(["--rr", "--pid", &priority.to_string(), &gettid().to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::new(io::ErrorKind::PermissionDenied, "SCHED_RR is refused"))
    }
}
