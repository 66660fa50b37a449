//! Health checks: is what this node's virtual IP leads to alive?
//!
//! All of them run on one thread of their own, so that nothing they wait for keeps the daemon, and
//! above all its guard, from running. Each is a task that waits until a probe is due ([`pacing`]), looks
//! ([`probe`]) and judges what it saw ([`policy`]). Between probes it listens: a connection that it holds
//! open and the process at its other end, a pidfd or the kernel's news of links tell of a death at once,
//! and start a probe.
//!
//! That thread is a real-time one, below the advertising thread: on a busy node an ordinary one may learn
//! of a death 20 ms late. What it starts is not.
//!
//! No check logs or prints: what it has to say goes to the daemon as [`News`], or to its status.

mod board;
mod pacing;
mod policy;
mod probe;
mod routine;
mod sample;
mod slow;
mod stall;
mod status;
mod ward;
mod words;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use rustix::process::setpriority_process;
use tokio::sync::mpsc;
use vrrp::linux::rt;

pub use status::{CheckStatus, Counts, Histogram, Standing, Verdict};

use crate::config::Check;
use board::{Board, Outlet};
use ward::{Command, Ward};

/// Below the advertising thread, which may not wait for anybody.
const RT_PRIORITY: u8 = rt::ADVERTISER - 10;
const AT_STAKE: &str = "what the checks find may be known";

/// What the checks tell the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// A check has changed its mind, or has something new to warn of.
    Verdict(Verdict),
}

/// The daemon's side of the checks. They end when it is dropped.
#[derive(Debug)]
pub struct Health {
    commands: mpsc::UnboundedSender<Command>,
    news: mpsc::UnboundedReceiver<News>,
    board: Arc<Board>,
    warning: Option<String>,
}

impl Health {
    /// Starts the thread, and the first probe of each check.
    ///
    /// # Errors
    /// If there is no thread or no descriptor left.
    pub fn start(checks: &[Check]) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .thread_name("health-slow")
            // Of the threads that wait for what may hang; what they start inherits it. The daemon's own
            // would be passed on where real-time scheduling is refused.
            .on_thread_start(|| {
                let _ = setpriority_process(None, 0);
            })
            .build()?;
        let (commands, incoming) = mpsc::unbounded_channel();
        let (outgoing, news) = mpsc::unbounded_channel();
        let board = Arc::new(Board::default());
        let ward = Ward::new(Outlet { board: Arc::clone(&board), news: outgoing });
        let (begun, beginning) = std::sync::mpsc::channel();
        std::thread::Builder::new().name("health".to_owned()).spawn(move || {
            let refused = rt::set_realtime(RT_PRIORITY, AT_STAKE).err();
            // The other side waits for exactly this.
            let _ = begun.send(refused.map(|error| error.to_string()));
            runtime.block_on(ward.run(incoming));
            // Calls that hang are left behind.
            runtime.shutdown_background();
        })?;
        let warning = beginning.recv().unwrap_or_default();
        let health = Self { commands, news, board, warning };
        health.reconfigure(checks);
        Ok(health)
    }

    /// Waits for the next news. Nothing is lost if the wait is given up.
    pub async fn news(&mut self) -> News {
        match self.news.recv().await {
            Some(news) => news,
            // The thread ends with its handle only.
            None => std::future::pending().await,
        }
    }

    /// Goes on with these checks. One that did not change is not disturbed; one that did keeps what
    /// it believes until its samples say otherwise; a new one knows nothing yet.
    pub fn reconfigure(&self, checks: &[Check]) {
        self.command(Command::Reconfigure(checks.to_vec()));
    }

    /// Probes all at once: the Active was heard to be degraded. On a node that is not the holder no
    /// failure is tolerated until the next probe has passed.
    pub fn probe_now(&self) {
        self.command(Command::ProbeNow);
    }

    /// The checks of the virtual routers that are Active here: they are judged with the tolerance of
    /// the holder, the others without. Until this is said all are judged with it.
    pub fn set_holder(&self, checks: BTreeSet<String>) {
        self.command(Command::SetHolder(checks));
    }

    /// What the checks do without, in words.
    pub fn warning(&self) -> Option<&str> {
        self.warning.as_deref()
    }

    /// The state of all checks, by name. Never waits for a probe.
    pub fn statuses(&self) -> Vec<CheckStatus> {
        self.board.all()
    }

    fn command(&self, command: Command) {
        // The thread ends with its handle only.
        let _ = self.commands.send(command);
    }
}
