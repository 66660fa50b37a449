//! Starting, watching and ending the VRRP process.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with,
};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::io::unix::AsyncFd;

use super::identity::is_ending;
use super::{Identity, watch};

/// What the daemon hears from its service manager and the VRRP process must not.
const NOT_INHERITED: [&str; 5] =
    ["NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "LISTEN_PID", "LISTEN_FDS"];

/// A VRRP process that runs, or has just ended.
#[derive(Debug)]
pub struct VrrpProcess {
    pid: u32,
    pidfd: AsyncFd<OwnedFd>,
    /// `None` if an earlier daemon started it.
    child: Option<Child>,
}

/// How a VRRP process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It returned from main with this code.
    Exited(i32),
    /// A signal ended it.
    Killed(i32),
    /// It was not our child, so that nobody told us.
    Unknown,
}

impl VrrpProcess {
    /// Starts one that listens at `path`. Needs a tokio runtime.
    ///
    /// # Errors
    /// If the socket cannot be made or the program not be started.
    pub fn spawn(path: &Path) -> io::Result<Self> {
        // The very program that runs, though its file may have been replaced: the daemon and its
        // VRRP process then speak the same version.
        let mut command = Command::new("/proc/self/exe");
        command.arg0("mainstay").arg("vrrp");
        command.stdin(Stdio::from(listener(path)?)).stdout(Stdio::null());
        // Ctrl-C on the terminal is for the daemon alone, which then ends this one in order.
        command.process_group(0);
        for name in NOT_INHERITED {
            command.env_remove(name);
        }
        let mut child = command.spawn()?;
        let pid = child.id();
        match open(pid) {
            Ok(pidfd) => Ok(Self { pid, pidfd, child: Some(child) }),
            Err(error) => {
                end(&mut child);
                Err(error)
            }
        }
    }

    /// Takes over one that an earlier daemon started and that has just said its `pid`.
    ///
    /// # Errors
    /// If there is no such process any more.
    pub fn adopt(pid: u32) -> io::Result<Self> {
        Ok(Self { pid, pidfd: open(pid)?, child: None })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Its identity for other processes; `None` if it has ended.
    pub fn identity(&self) -> Option<Identity> {
        Identity::of(self.pid)
    }

    /// Waits until it has ended. Loses nothing when it is cancelled.
    pub async fn ended(&mut self) -> End {
        // An error would mean that the descriptor is not watched; then the connection tells.
        if self.pidfd.readable().await.is_err() {
            std::future::pending::<()>().await;
        }
        match self.child.as_mut().map(Child::wait) {
            Some(Ok(status)) => End::from(status),
            Some(Err(_)) | None => End::Unknown,
        }
    }

    /// Whether it is ending. True some milliseconds before [`VrrpProcess::ended`]: closing a packet
    /// socket takes the kernel that long.
    pub fn is_ending(&self) -> bool {
        is_ending(self.pid)
    }

    /// Ends one that has just been started, and waits until it is gone.
    pub fn discard(mut self) {
        if let Some(child) = &mut self.child {
            end(child);
        }
    }

    /// Ends it at once. A process that has ended already is left alone.
    pub fn kill(&self) {
        // Fails only if it has ended.
        let _ = pidfd_send_signal(self.pidfd.get_ref(), Signal::KILL);
    }
}

impl End {
    /// Whether it stopped its virtual routers before it ended.
    pub fn is_orderly(self) -> bool {
        self == Self::Exited(0)
    }
}

impl From<ExitStatus> for End {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Exited(code),
            (None, Some(signal)) => Self::Killed(signal),
            (None, None) => Self::Unknown,
        }
    }
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "it exited with code {code}"),
            Self::Killed(signal) => match nix::sys::signal::Signal::try_from(*signal) {
                Ok(name) => write!(f, "it was killed by signal {signal} ({name})"),
                Err(_) => write!(f, "it was killed by signal {signal}"),
            },
            Self::Unknown => {
                f.write_str("an earlier daemon started it, so its exit code is unknown")
            }
        }
    }
}

/// Fails only for a child that has ended.
fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

fn open(pid: u32) -> io::Result<AsyncFd<OwnedFd>> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| io::Error::other("not a process id"))?;
    let pidfd = pidfd_open(pid, PidfdFlags::NONBLOCK)?;
    watch(pidfd)
}

/// A listening socket at `path`, for this user alone. Who connects before it is accepted waits.
fn listener(path: &Path) -> io::Result<OwnedFd> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let socket =
        socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    bind(&socket, &SocketAddrUnix::new(path)?)?;
    // Before it listens nobody can connect.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    listen(&socket, 8)?;
    Ok(socket)
}
