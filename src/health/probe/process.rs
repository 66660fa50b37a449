//! A program that runs. Its end is heard from a pidfd.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::unix::AsyncFd;

use super::Progress;
use crate::health::sample::Sample;
use crate::health::slow::Slow;
use crate::health::status::micros;
use crate::vrrp_process::watch;

/// The kernel keeps so many bytes of a program's name.
const COMM: usize = 15;
/// Of a command line so many bytes are read.
const LONGEST_PROGRAM: u64 = 4096;

pub struct Process {
    name: String,
    searching: Slow<io::Result<Option<Found>>>,
    found: Option<(Pid, AsyncFd<OwnedFd>)>,
}

/// A process and its descriptor, which is no other's even when the number is used again.
struct Found {
    pid: Pid,
    handle: OwnedFd,
}

impl Process {
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), searching: Slow::default(), found: None }
    }

    pub async fn attempt(&mut self, progress: &mut Progress) -> Result<Sample, Sample> {
        if let Some((pid, handle)) = &self.found
            && !has_ended(handle.get_ref())
        {
            return Ok(self.runs(*pid));
        }
        self.found = None;
        let start = progress.enter("the processes could not be listed");
        let name = self.name.clone();
        let found = self.searching.get(move || find(&name)).await.flatten();
        let found = found
            .map_err(|error| Sample::timeout(format!("the processes cannot be listed: {error}")))?;
        progress.latency.answer_us = Some(micros(start.elapsed()));
        let Some(Found { pid, handle }) = found else {
            return Err(Sample::refused(format!("no process {} runs", self.name)));
        };
        match watch(handle) {
            Ok(handle) => self.found = Some((pid, handle)),
            Err(error) => return Err(Sample::timeout(format!("out of resources: {error}"))),
        }
        Ok(self.runs(pid))
    }

    fn runs(&self, pid: Pid) -> Sample {
        Sample::pass(format!("{} runs as process {}", self.name, pid.as_raw_nonzero()))
    }

    /// Its end.
    pub async fn alarm(&mut self) {
        let Some((_, handle)) = &self.found else { return std::future::pending().await };
        // An error tells it as well.
        let _ = handle.readable().await;
        self.found = None;
    }
}

/// Whether the process of a pidfd has ended.
fn has_ended(handle: &OwnedFd) -> bool {
    let mut poll_fd = [PollFd::new(handle, PollFlags::IN)];
    let ready = poll(&mut poll_fd, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
    !matches!(ready, Ok(0))
}

/// The first process of this name.
fn find(name: &str) -> io::Result<Option<Found>> {
    for entry in fs::read_dir("/proc")? {
        let pid = entry?.file_name().to_str().and_then(|it| Pid::from_raw(it.parse().ok()?));
        let Some(pid) = pid.filter(|&pid| is_named(pid, name)) else { continue };
        // It may have ended meanwhile, and its number may be another's: look again, now that it is held.
        let Ok(handle) = pidfd_open(pid, PidfdFlags::NONBLOCK) else { continue };
        if is_named(pid, name) && !has_ended(&handle) {
            return Ok(Some(Found { pid, handle }));
        }
    }
    Ok(None)
}

/// Whether the kernel calls the process so, or its command line starts with a program of that name.
fn is_named(pid: Pid, name: &str) -> bool {
    let directory = format!("/proc/{}", pid.as_raw_nonzero());
    let Ok(comm) = fs::read(format!("{directory}/comm")) else { return false };
    if name.len() <= COMM && comm.trim_ascii_end() == name.as_bytes() {
        return true;
    }
    let mut line = Vec::new();
    let read = File::open(format!("{directory}/cmdline"))
        .and_then(|it| it.take(LONGEST_PROGRAM).read_to_end(&mut line));
    if read.is_err() {
        return false;
    }
    let program = line.split(|&byte| byte == 0).next().unwrap_or_default();
    program.rsplit(|&byte| byte == b'/').next() == Some(name.as_bytes())
}
