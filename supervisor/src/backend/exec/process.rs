//! One process among all others: by its id and when it started, read from `/proc`.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, kill_process_group, pidfd_open};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::unit::Name;

/// In the environment of what is started: which unit it is.
pub const UNIT: &str = "MAINSTAY_UNIT";
/// In the environment of what is started: which mainstay started it.
pub const INSTANCE: &str = "MAINSTAY_STATE_DIR";
/// In the environment of what is started: from what specification.
pub const SPEC: &str = "MAINSTAY_SPEC";

/// A process that leads a process group. Its number may be another's later; together with when it started it is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    pub pid: u32,
    /// In clock ticks since the machine started.
    pub start_time: u64,
}

/// What a line of `/proc/PID/stat` says.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    has_ended: bool,
    group: u32,
    start_time: u64,
}

impl Process {
    /// The process that has this number, also one that has ended and was not reaped.
    pub fn of(pid: u32) -> Option<Self> {
        let stat = stat(pid)?;
        Some(Self { pid, start_time: stat.start_time })
    }

    /// Whether it runs.
    pub fn is_alive(self) -> bool {
        stat(self.pid).is_some_and(|it| it.start_time == self.start_time && !it.has_ended)
    }

    /// A descriptor that becomes readable when it ends. Needs a tokio runtime.
    ///
    /// # Errors
    /// If it has ended and was reaped, or there is no descriptor left.
    #[expect(
        deprecated,
        reason = "its successor is unsafe, for types that can change their descriptor; OwnedFd cannot"
    )]
    pub fn watch(self) -> io::Result<AsyncFd<OwnedFd>> {
        let pid = self.number().ok_or(Errno::SRCH)?;
        let handle = pidfd_open(pid, PidfdFlags::NONBLOCK)?;
        // Looked at after the descriptor is open: from now on it is this process's.
        if Self::of(self.pid) != Some(self) {
            return Err(Errno::SRCH.into());
        }
        AsyncFd::with_interest(handle, Interest::READABLE)
    }

    /// Sends a signal to it alone, if it is still there.
    pub fn signal(self, signal: Signal) {
        if let Some(pid) = self.number().filter(|_| self.is_alive()) {
            // Fails only if it has just ended.
            let _ = kill_process(pid, signal);
        }
    }

    /// Sends a signal to all of its group, if there is any left.
    pub fn signal_group(self, signal: Signal) {
        if let Some(pid) = self.number() {
            // Fails only if nobody is left.
            let _ = kill_process_group(pid, signal);
        }
    }

    /// Whether others of its group live.
    pub fn group_has_others(self) -> bool {
        processes().is_ok_and(|mut pids| {
            pids.any(|pid| {
                pid != self.pid && stat(pid).is_some_and(|it| it.group == self.pid && !it.has_ended)
            })
        })
    }

    /// How long it has been running.
    pub fn age(self) -> Option<Duration> {
        let uptime = fs::read_to_string("/proc/uptime").ok()?;
        let uptime: f64 = uptime.split_ascii_whitespace().next()?.parse().ok()?;
        let ticks = rustix::param::clock_ticks_per_second();
        let started = Duration::from_millis(self.start_time.saturating_mul(1000) / ticks.max(1));
        Some(Duration::from_secs_f64(uptime).saturating_sub(started))
    }

    fn number(self) -> Option<Pid> {
        i32::try_from(self.pid).ok().and_then(Pid::from_raw)
    }
}

/// The process that was started for `unit` by the mainstay whose state directory is `instance`, and the hash of what it
/// was started from. It runs `program`, or a script of that name.
///
/// # Errors
/// If `/proc` cannot be read.
pub fn find(unit: &Name, instance: &Path, program: &Path) -> io::Result<Option<(Process, String)>> {
    for pid in processes()? {
        // What it starts itself inherits its environment, but leads no group of this number, or is another program: as
        // containerd and its shims, which outlive a dockerd.
        let Some(stat) = stat(pid).filter(|it| it.group == pid && !it.has_ended) else { continue };
        let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else { continue };
        let of = |name| variable(&environment, name);
        let is_it = of(UNIT) == Some(OsStr::new(unit.as_str()))
            && of(INSTANCE) == Some(instance.as_os_str())
            && runs(pid, program);
        if is_it {
            let spec = of(SPEC).unwrap_or_default().to_string_lossy().into_owned();
            return Ok(Some((Process { pid, start_time: stat.start_time }, spec)));
        }
    }
    Ok(None)
}

fn runs(pid: u32, program: &Path) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    // The first word of a script is its interpreter.
    line.split(|&byte| byte == 0).take(2).any(|word| word == program.as_os_str().as_bytes())
}

fn variable<'a>(environment: &'a [u8], name: &str) -> Option<&'a OsStr> {
    let value = |entry: &'a [u8]| entry.strip_prefix(name.as_bytes())?.strip_prefix(b"=");
    environment.split(|&byte| byte == 0).find_map(value).map(OsStr::from_bytes)
}

fn processes() -> io::Result<impl Iterator<Item = u32>> {
    let entries = fs::read_dir("/proc")?;
    Ok(entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()))
}

fn stat(pid: u32) -> Option<Stat> {
    parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Reads state, group and start time: fields 3, 5 and 22.
fn parse(stat: &str) -> Option<Stat> {
    // The program's name may hold blanks and parentheses; the last one ends it.
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    Some(Stat {
        has_ended: matches!(*fields.first()?, "Z" | "X"),
        group: fields.get(2)?.parse().ok()?,
        start_time: fields.get(19)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_whatever_the_name() {
        let line = "7 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20 21";
        let stat = Stat { has_ended: false, group: 2, start_time: 4711 };
        assert_eq!(parse(line), Some(stat));
        assert_eq!(parse(&line.replace(" S ", " Z ")).map(|it| it.has_ended), Some(true));
        assert_eq!(parse("7"), None);
    }

    #[test]
    fn variables_are_found_by_their_whole_name() {
        let environment = b"XMAINSTAY_UNIT=a\0MAINSTAY_UNIT=b=c\0E";
        assert_eq!(variable(environment, UNIT), Some(OsStr::new("b=c")));
        assert_eq!(variable(environment, "E"), None);
    }

    #[test]
    fn a_number_that_was_used_again_is_another_process() {
        let this = Process::of(std::process::id());
        assert!(this.is_some_and(Process::is_alive));
        let other = this.map(|it| Process { start_time: it.start_time + 1, ..it });
        assert!(other.is_some_and(|it| !it.is_alive()));
    }
}
