//! How the daemon ends: with its VRRP process, or without it so that a restart moves nothing.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use vrrp::proto::Request;

use super::actor::Daemon;
use super::{remove, systemd};
use crate::events::Entry;

/// How long the VRRP process may take to stop all virtual routers, and the host to be as before.
const PATIENCE: Duration = Duration::from_secs(5);

/// How far the daemon is on its way out.
#[derive(Debug)]
pub enum Stopping {
    /// It is not.
    No,
    /// It has asked systemd which job is under way.
    Asking(JoinHandle<Option<String>>),
    /// The VRRP process was told to stop.
    Ending {
        /// When it has to have stopped.
        deadline: Instant,
    },
    /// The VRRP process runs on, and what it needs stays.
    Left,
    /// The VRRP process has ended and its addresses are gone.
    Done,
}

/// What happens to the VRRP process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It runs on: the next daemon takes it over.
    Leave,
    /// It stops and gives up its addresses.
    Stop,
}

impl Decision {
    /// What the job that systemd has for our unit means. Without a word that this is a restart,
    /// the addresses must not be left behind.
    pub fn by_job(job: Option<&str>) -> Self {
        match job {
            Some("restart" | "try-restart") => Self::Leave,
            _ => Self::Stop,
        }
    }
}

impl Daemon {
    /// Somebody wants the daemon to stop. A second time means at once.
    pub(super) fn on_stop(&mut self, ask_systemd: bool) {
        match self.stopping {
            Stopping::No if ask_systemd => {
                systemd::notify(&[NotifyState::Stopping]);
                self.stopping = Stopping::Asking(tokio::spawn(systemd::pending_job()));
            }
            Stopping::No | Stopping::Asking(_) => {
                systemd::notify(&[NotifyState::Stopping]);
                self.end_vrrp();
            }
            Stopping::Ending { .. } => {
                self.stopping = Stopping::Ending { deadline: Instant::now() };
            }
            Stopping::Left | Stopping::Done => {}
        }
    }

    /// systemd has said which job is under way.
    pub(super) fn on_job(&mut self, job: Option<&str>) {
        match Decision::by_job(job) {
            Decision::Leave => self.leave("systemd restarts the unit"),
            Decision::Stop => self.end_vrrp(),
        }
    }

    /// Exits and leaves the VRRP process and its addresses to the next daemon.
    pub(super) fn leave(&mut self, why: &str) {
        systemd::notify(&[NotifyState::Stopping]);
        self.note(Entry::now("left", "the daemon exits, the VRRP process runs on").because(why));
        self.stopping = Stopping::Left;
    }

    fn end_vrrp(&mut self) {
        self.note(Entry::now("stopping", "stopping all virtual routers"));
        let is_attached = self.vrrp.is_attached();
        match self.vrrp.running() {
            None => self.finish(),
            Some(running) if is_attached => {
                running.send(&Request::Shutdown);
                self.stopping = Stopping::Ending { deadline: Instant::now() + PATIENCE };
            }
            // Nobody to talk to; the fence does the rest.
            Some(_) => self.stopping = Stopping::Ending { deadline: Instant::now() },
        }
    }

    /// The VRRP process has ended and its addresses are gone. If some are not, their record stays
    /// for `mainstay vip fence` and the next daemon.
    pub(super) fn finish(&mut self) {
        let directory = &self.options.runtime_dir;
        for path in [directory.vrrp_socket(), directory.vrrp_pid()] {
            remove(&path);
        }
        if self.record.unremoved.is_empty() {
            remove(&directory.vips());
        }
        self.stopping = Stopping::Done;
    }

    /// Undoes what the virtual routers needed of the host, and says goodbye. What is not undone in
    /// time stays on record too.
    pub(super) async fn tidy_up(&mut self) {
        match timeout(PATIENCE, self.host.clean_up()).await {
            Ok(entries) => entries.into_iter().for_each(|entry| self.note(entry)),
            Err(_) => tracing::warn!("macvlans or sysctls are left: see `mainstay vip fence`"),
        }
        self.note(Entry::now("stopped", "the daemon exits"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_restart_leaves_the_vrrp_process() {
        assert_eq!(Decision::by_job(Some("restart")), Decision::Leave);
        assert_eq!(Decision::by_job(Some("try-restart")), Decision::Leave);
        for job in [Some("stop"), Some("start"), Some("nop"), None] {
            assert_eq!(Decision::by_job(job), Decision::Stop);
        }
    }
}
