//! What signals ask of the daemon.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// SIGTERM: stop, unless systemd is restarting the unit.
    Terminate,
    /// SIGINT, Ctrl-C: stop.
    Interrupt,
    /// SIGUSR1: exit and leave the VRRP process and its addresses alone.
    Leave,
    /// SIGHUP: read the configuration again.
    Reload,
}

/// The signals that the daemon listens to.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    leave: Signal,
    reload: Signal,
}

impl Signals {
    /// Listens from now on.
    ///
    /// # Errors
    /// If a handler cannot be installed.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            leave: signal(SignalKind::user_defined1())?,
            reload: signal(SignalKind::hangup())?,
        })
    }

    /// The next signal. Loses nothing when it is cancelled.
    pub async fn next(&mut self) -> Asked {
        tokio::select! {
            Some(()) = self.terminate.recv() => Asked::Terminate,
            Some(()) = self.interrupt.recv() => Asked::Interrupt,
            Some(()) = self.leave.recv() => Asked::Leave,
            Some(()) = self.reload.recv() => Asked::Reload,
            else => std::future::pending().await,
        }
    }
}
