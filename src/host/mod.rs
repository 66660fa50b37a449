//! What virtual routers with their own MAC address (RFC 9568, 7.3) need of this host: a macvlan
//! each, above the interface, and some sysctls. The VRRP process, which has no file system, finds
//! the macvlans and uses them.
//!
//! What was changed is on record before it is changed, and undone at an orderly stop, when it is
//! no longer configured, or by `mainstay vip fence`. A restart of the daemon touches nothing.

mod macvlans;
mod record;
mod survey;
pub mod sysctl;
mod task;
#[cfg(test)]
mod tests;
mod wanted;

use std::io;
use std::path::PathBuf;

use tokio::sync::{mpsc, oneshot, watch};

use macvlans::Outcome;
pub use macvlans::{Macvlans, Others};
pub use wanted::{Wanted, device_name};

use crate::events::Entry;
use task::Command;

/// What [`undo`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Undone {
    /// Each thing, in a sentence.
    pub done: Vec<String>,
    /// What is left, and why; it stays on record.
    pub problems: Vec<String>,
}

impl Undone {
    /// Whether there was nothing to undo.
    pub fn is_empty(&self) -> bool {
        self.done.is_empty() && self.problems.is_empty()
    }
}

/// Undoes what `record` says was done, when no daemon runs.
///
/// # Errors
/// If the process has no descriptor left.
pub fn undo(record: PathBuf) -> io::Result<Undone> {
    let Outcome { entries, problems, .. } = Macvlans::open(record)?.clean_up();
    Ok(Undone { done: entries.into_iter().map(|entry| entry.what).collect(), problems })
}

/// Keeps the host as the virtual routers need it, beside the daemon's loop: the kernel may take
/// its time for it.
#[derive(Debug)]
pub struct Host {
    commands: mpsc::UnboundedSender<Command>,
    news: mpsc::UnboundedReceiver<Entry>,
    warnings: watch::Receiver<Vec<String>>,
}

impl Host {
    /// Starts with what `record` says was done before. Needs a tokio runtime.
    ///
    /// # Errors
    /// If the process has no descriptor left.
    pub fn start(record: PathBuf) -> io::Result<Self> {
        let (commands, inbox) = mpsc::unbounded_channel();
        let (said, news) = mpsc::unbounded_channel();
        let (warn, warnings) = watch::channel(Vec::new());
        let macvlans = Macvlans::open(record)?;
        tokio::spawn(task::serve(macvlans, inbox, task::Output { said, warn }));
        Ok(Self { commands, news, warnings })
    }

    /// Makes what is wanted and does not exist; [`Others`] says what becomes of the rest.
    pub fn want(&self, wanted: Vec<Wanted>, others: Others) {
        // Fails only if the task has ended, which it does with the daemon.
        let _ = self.commands.send(Command::Want(wanted, others));
    }

    /// What was done, as it is done. Loses nothing when it is cancelled.
    pub async fn news(&mut self) -> Entry {
        match self.news.recv().await {
            Some(entry) => entry,
            None => std::future::pending().await,
        }
    }

    /// What is not as it should be.
    pub fn warnings(&self) -> Vec<String> {
        self.warnings.borrow().clone()
    }

    /// Undoes everything, and returns what was done. What could not be undone stays on record.
    pub async fn clean_up(&mut self) -> Vec<Entry> {
        let (done, is_done) = oneshot::channel();
        if self.commands.send(Command::CleanUp(done)).is_ok() {
            // Fails only if the task has ended.
            let _ = is_done.await;
        }
        let mut entries = Vec::new();
        while let Ok(entry) = self.news.try_recv() {
            entries.push(entry);
        }
        entries
    }
}
