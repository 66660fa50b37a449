//! Where the checks leave what they know for the daemon's thread.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc::UnboundedSender;

use super::News;
use super::status::{CheckStatus, Verdict};

/// The state of all checks. The lock is held only to copy.
#[derive(Debug, Default)]
pub struct Board(Mutex<BTreeMap<String, CheckStatus>>);

impl Board {
    /// All states by name.
    pub fn all(&self) -> Vec<CheckStatus> {
        self.lock().values().cloned().collect()
    }

    /// A check is no more.
    pub fn remove(&self, check: &str) {
        self.lock().remove(check);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, CheckStatus>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a check has to tell others by.
#[derive(Clone, Debug)]
pub struct Outlet {
    pub board: Arc<Board>,
    /// Unbounded, yet a check tells only when it changes its mind, which takes it a probe.
    pub news: UnboundedSender<News>,
}

impl Outlet {
    /// Replaces the state of a check.
    pub fn show(&self, status: &CheckStatus) {
        self.board.lock().insert(status.name.clone(), status.clone());
    }

    /// Tells the daemon.
    pub fn tell(&self, verdict: Verdict) {
        // Nobody listens when the daemon ends.
        let _ = self.news.send(News::Verdict(verdict));
    }
}
