//! What a daemon leans on beside its apiserver, made to hang: the disk of its state, the journal, its
//! own standard error, and the resolution of names.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::Mode;

use crate::{Family, Lab, LabError, Node, within};

/// As little as a pipe can hold.
const PIPE: i32 = 4096;
const TURN: Duration = Duration::from_millis(20);
const HOSTS: &str = "127.0.0.1 localhost apiserver.lab\n";

/// The surroundings of daemons that are started with [`crate::Daemon::hangable`]. Released when
/// dropped.
#[derive(Debug)]
pub struct Surroundings {
    nodes: Vec<Around>,
    /// Takes questions and never answers.
    _resolver: UdpSocket,
}

impl Surroundings {
    /// Makes them for all routers of `lab`, before the daemons start.
    ///
    /// # Errors
    /// If something cannot be made.
    pub fn prepare(lab: &Lab) -> Result<Self, LabError> {
        let open = || UdpSocket::bind((Family::Ipv4.stranger(), 53));
        let resolver = within(&lab.namespace("stranger"), open)?
            .map_err(LabError::instrument("answering no questions"))?;
        let around = |&node: &Node| Around::prepare(&lab.directory(node));
        let nodes: io::Result<Vec<Around>> = lab.nodes().iter().map(around).collect();
        let nodes = nodes.map_err(LabError::instrument("making a daemon's surroundings"))?;
        Ok(Self { nodes, _resolver: resolver })
    }

    /// From now on writes to the disks do not return, nobody reads journal or standard error, and
    /// the name `apiserver.lab` is not resolved.
    ///
    /// # Errors
    /// If one of them cannot be made to hang.
    pub fn hang(&self) -> Result<(), LabError> {
        let hung: io::Result<()> = self.nodes.iter().try_for_each(Around::hang);
        hung.map_err(LabError::instrument("hanging a daemon's surroundings"))
    }

    /// Undoes it.
    ///
    /// # Errors
    /// If a disk stays frozen.
    pub fn release(&self) -> Result<(), LabError> {
        let released: Vec<io::Result<()>> = self.nodes.iter().map(Around::release).collect();
        let released: io::Result<()> = released.into_iter().collect();
        released.map_err(LabError::instrument("releasing a daemon's surroundings"))
    }
}

/// What is around one daemon.
#[derive(Debug)]
struct Around {
    directory: PathBuf,
    /// Nobody reads it: it is full after some messages.
    _journal: UnixDatagram,
    errors: Arc<Errors>,
    reader: Option<JoinHandle<()>>,
}

/// What the daemon writes to its standard error.
#[derive(Debug)]
struct Errors {
    fifo: File,
    hung: AtomicBool,
    ended: AtomicBool,
}

impl Around {
    fn prepare(directory: &Path) -> io::Result<Self> {
        fs::write(directory.join("hosts"), HOSTS)?;
        let nameserver = format!("nameserver {}\n", Family::Ipv4.stranger());
        fs::write(directory.join("resolv.conf"), nameserver)?;
        let journal = directory.join("journal");
        fs::create_dir_all(&journal)?;
        let journal = journal.join("socket");
        let fifo = directory.join("errors");
        for earlier in [&journal, &fifo] {
            // Mostly there is none.
            let _ = fs::remove_file(earlier);
        }
        nix::unistd::mkfifo(&fifo, Mode::S_IRWXU)?;
        // Open for both directions it never ends.
        let flags = OFlag::O_NONBLOCK.bits();
        let fifo = OpenOptions::new().read(true).write(true).custom_flags(flags).open(&fifo)?;
        fcntl(fifo.as_fd(), FcntlArg::F_SETPIPE_SZ(PIPE))?;
        let errors = Errors { fifo, hung: AtomicBool::new(false), ended: AtomicBool::new(false) };
        let errors = Arc::new(errors);
        let log = OpenOptions::new().append(true).create(true).open(directory.join("log"))?;
        let read = Arc::clone(&errors);
        Ok(Self {
            directory: directory.to_owned(),
            _journal: UnixDatagram::bind(journal)?,
            errors,
            reader: Some(thread::spawn(move || read.copy_to(log))),
        })
    }

    fn hang(&self) -> io::Result<()> {
        self.errors.hung.store(true, Ordering::Relaxed);
        // In place: it is mounted.
        fs::write(self.directory.join("hosts"), "127.0.0.1 localhost\n")?;
        self.freeze_disk("--freeze")?;
        // Until the pipe is full; the log has some dots.
        while (&self.errors.fifo).write(b".\n").is_ok() {}
        Ok(())
    }

    fn release(&self) -> io::Result<()> {
        if !self.errors.hung.swap(false, Ordering::Relaxed) {
            return Ok(());
        }
        fs::write(self.directory.join("hosts"), HOSTS)?;
        self.freeze_disk("--unfreeze")
    }

    fn freeze_disk(&self, how: &str) -> io::Result<()> {
        let disk = self.directory.join("state");
        let done = Command::new("fsfreeze").arg(how).arg(disk).stdin(Stdio::null()).status()?;
        if done.success() {
            Ok(())
        } else {
            Err(io::Error::other(format!("fsfreeze {how}: {done}")))
        }
    }
}

impl Errors {
    fn copy_to(&self, mut log: File) {
        let mut bytes = [0; 1024];
        while !self.ended.load(Ordering::Relaxed) {
            let read = if self.hung.load(Ordering::Relaxed) {
                Ok(0)
            } else {
                (&self.fifo).read(&mut bytes)
            };
            match read {
                Ok(length) if length > 0 => {
                    // What cannot be logged is lost.
                    let _ = log.write_all(bytes.get(..length).unwrap_or_default());
                }
                _ => thread::sleep(TURN),
            }
        }
    }
}

impl Drop for Around {
    fn drop(&mut self) {
        if let Err(error) = self.release() {
            eprintln!("the disk of {} stays frozen: {error}", self.directory.display());
        }
        self.errors.ended.store(true, Ordering::Relaxed);
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}
