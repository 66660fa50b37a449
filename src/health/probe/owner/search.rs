//! From a connection to the process that serves it. Reads much of `/proc`: not for a thread that is in a
//! hurry.
//!
//! It has to be that process alone. Where several share a socket (workers of one server, the old and
//! the new one during its reload), the end of one is not the end of the service.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, DirEntry};
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::process::Pid;
use vrrp::linux::tcp::{Serving, serving};

use super::{Ends, threads};
use crate::vrrp_process::says_gone;

/// A process that serves.
#[derive(Clone, Debug)]
pub struct Process {
    pub pid: Pid,
    /// As the kernel calls it.
    name: String,
    /// Its sockets that listen.
    listening: Vec<u32>,
    proof: Proof,
}

/// By what it is known as the one that serves.
#[derive(Clone, Debug)]
enum Proof {
    /// By its descriptor of the socket: this was the number of the last one.
    Descriptor(String),
    /// Its descriptors may not be read (that takes CAP_SYS_PTRACE): it is alone in the cgroup in which
    /// the socket was made.
    Cgroup(PathBuf),
}

/// A process that serves a connection.
#[derive(Clone, Debug)]
pub struct Seen {
    pub process: Process,
    serving: Serving,
}

/// What a look has found.
#[derive(Debug, Default)]
pub struct Sight {
    /// Who served last.
    pub known: Option<Process>,
    pub seen: Option<Seen>,
    pub threads: Vec<OwnedFd>,
    /// All processes were searched.
    pub searched: bool,
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} ({})", self.pid.as_raw_nonzero(), self.name)
    }
}

/// Who serves the connection: `known`, as before, or else, if `may_search`, any process.
///
/// # Errors
/// If the kernel does not tell; it may be one that never will ([`threads::are_unknown`]).
pub fn look(ends: Ends, known: Option<Process>, may_search: bool) -> io::Result<Sight> {
    // A connection that nobody has accepted is nobody's yet, and one that is gone is no news.
    let serving = serving(ends.local, ends.peer)?.filter(|it| it.accepted != 0);
    let Some(serving) = serving else { return Ok(Sight { known, ..Sight::default() }) };
    let mut process = known.and_then(|it| it.still(&serving));
    let searched = process.is_none() && may_search;
    if searched {
        // An error says as little as that nobody was found.
        process = search(&serving).unwrap_or_default();
    }
    let Some(process) = process else { return Ok(Sight { searched, ..Sight::default() }) };
    let threads = threads::open(process.pid)?;
    let known = Some(process.clone());
    // Its socket is still there, and so is the process: its number is no other's.
    let seen = Some(Seen { process, serving }).filter(|seen| serves(ends, seen));
    Ok(Sight { known, seen, threads, searched })
}

/// Whether nothing but that process served this connection, and does not any more when it is gone. Fast.
pub fn serves(ends: Ends, seen: &Seen) -> bool {
    let is_same =
        serving(ends.local, ends.peer).is_ok_and(|now| now.as_ref() == Some(&seen.serving));
    is_same
        && match &seen.process.proof {
            Proof::Descriptor(_) => true,
            // Those of the cgroup are not told from each other.
            Proof::Cgroup(path) => {
                processes(path).is_ok_and(|all| all.iter().all(|&it| it == Some(seen.process.pid)))
            }
        }
}

/// The one process that serves.
fn search(serving: &Serving) -> io::Result<Option<Process>> {
    let found = match by_descriptor(serving) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => by_cgroup(serving)?,
        found => found?,
    };
    // Of the end of this process nobody here will hear.
    let own = rustix::process::getpid();
    Ok(found.filter(|it| it.pid != own))
}

/// The process that has the accepted socket and, it alone, those that listen.
fn by_descriptor(serving: &Serving) -> io::Result<Option<Process>> {
    let accepted = socket(serving.accepted);
    let listening: BTreeSet<PathBuf> = serving.listening.iter().map(|&it| socket(it)).collect();
    let mut owner = None;
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = number(&entry?) else { continue };
        let (mut has, mut found) = (BTreeSet::new(), None);
        let read = descriptors(pid, |name, target| {
            if *target == accepted {
                found = Some(name.to_owned());
            } else if let Some(socket) = listening.get(target) {
                has.insert(socket);
            }
        });
        match read {
            // Often nobody may look at init's. It has sockets that it gave to others, and serves none.
            Err(error) if pid.is_init() && error.kind() == ErrorKind::PermissionDenied => continue,
            read => read?,
        }
        if has.is_empty() {
            continue;
        }
        if owner.is_some() || has.len() < listening.len() {
            // There is another that has such a socket.
            return Ok(None);
        }
        owner = Some((pid, found));
    }
    let Some((pid, Some(found))) = owner else { return Ok(None) };
    Ok(Some(Process::new(pid, serving, Proof::Descriptor(found))))
}

/// The only process of the cgroup in which the sockets were made.
fn by_cgroup(serving: &Serving) -> io::Result<Option<Process>> {
    if serving.listening.len() != 1 {
        // Who made the others is not known.
        return Ok(None);
    }
    let (Some(id), Some(mount)) = (serving.cgroup, mount()?) else { return Ok(None) };
    let Some(path) = cgroup(mount, id)? else { return Ok(None) };
    Ok(match processes(&path)?[..] {
        [Some(pid)] => Some(Process::new(pid, serving, Proof::Cgroup(path))),
        _ => None,
    })
}

impl Process {
    fn new(pid: Pid, serving: &Serving, proof: Proof) -> Self {
        let name = fs::read_to_string(format!("/proc/{}/comm", pid.as_raw_nonzero()));
        let name = crate::health::words::shown(&name.unwrap_or_default(), 64);
        Self { pid, name, listening: serving.listening.clone(), proof }
    }

    /// This process, if it serves a further connection too.
    fn still(self, serving: &Serving) -> Option<Self> {
        if self.listening != serving.listening {
            return None;
        }
        let proof = match self.proof {
            Proof::Descriptor(last) => {
                Proof::Descriptor(descriptor(self.pid, &last, serving.accepted)?)
            }
            Proof::Cgroup(path) => {
                let is_of_it = fs::metadata(&path).is_ok_and(|it| Some(it.ino()) == serving.cgroup);
                let is_alone = processes(&path).is_ok_and(|all| all == [Some(self.pid)]);
                Some(Proof::Cgroup(path)).filter(|_| is_of_it && is_alone)?
            }
        };
        Some(Self { proof, ..self })
    }
}

/// The process's descriptor of a socket, which often is the one that was its `last`: the kernel gives the
/// lowest that is free.
fn descriptor(pid: Pid, last: &str, inode: u32) -> Option<String> {
    let socket = socket(inode);
    let link = format!("/proc/{}/fd/{last}", pid.as_raw_nonzero());
    if fs::read_link(link).is_ok_and(|target| target == socket) {
        return Some(last.to_owned());
    }
    let mut found = None;
    let read = descriptors(pid, |name, target| {
        if *target == socket {
            found = Some(name.to_owned());
        }
    });
    read.ok().and(found)
}

/// Tells the name and the target of each descriptor of a process; none of one that has ended.
fn descriptors(pid: Pid, mut tell: impl FnMut(&str, &PathBuf)) -> io::Result<()> {
    let directory = match fs::read_dir(format!("/proc/{}/fd", pid.as_raw_nonzero())) {
        Err(error) if says_gone(&error) => return Ok(()),
        directory => directory?,
    };
    for entry in directory {
        let entry = match entry {
            Err(error) if says_gone(&error) => return Ok(()),
            entry => entry?,
        };
        match fs::read_link(entry.path()) {
            Err(error) if says_gone(&error) => {}
            target => tell(entry.file_name().to_str().unwrap_or_default(), &target?),
        }
    }
    Ok(())
}

/// The target of a descriptor of this socket.
fn socket(inode: u32) -> PathBuf {
    format!("socket:[{inode}]").into()
}

/// The process of a directory in `/proc`.
fn number(entry: &DirEntry) -> Option<Pid> {
    Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)
}

/// Where the cgroups of version 2 are.
fn mount() -> io::Result<Option<PathBuf>> {
    let table = fs::read_to_string("/proc/self/mountinfo")?;
    Ok(table.lines().find_map(|line| {
        let (mount, system) = line.split_once(" - ")?;
        let mut fields = mount.split(' ').skip(3);
        let (root, path) = (fields.next()?, fields.next()?);
        (system.starts_with("cgroup2 ") && root == "/").then(|| path.into())
    }))
}

/// The cgroup of this number, which is that of its directory's inode, at `path` or below.
fn cgroup(path: PathBuf, id: u64) -> io::Result<Option<PathBuf>> {
    if fs::metadata(&path)?.ino() == id {
        return Ok(Some(path));
    }
    let mut above = vec![path];
    while let Some(path) = above.pop() {
        let entries = match fs::read_dir(&path) {
            Err(error) if says_gone(&error) => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            if entry.ino() == id {
                return Ok(Some(entry.path()));
            }
            if entry.file_type()?.is_dir() {
                above.push(entry.path());
            }
        }
    }
    Ok(None)
}

/// The processes of a cgroup; `None` for those that this process cannot see.
fn processes(cgroup: &Path) -> io::Result<Vec<Option<Pid>>> {
    let text = fs::read_to_string(cgroup.join("cgroup.procs"))?;
    Ok(text.lines().map(|line| Pid::from_raw(line.parse().ok()?)).collect())
}
