//! Keeps what is wanted as it should be, beside the daemon's loop.

use std::future::pending;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use tokio::io::unix::AsyncFd;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};
use vrrp::linux::monitor::{Change, Monitor};

use super::macvlans::{Macvlans, Others, Outcome};
use super::wanted::Wanted;
use crate::events::Entry;
use crate::vrrp_process;

/// The least time between two looks that news of links lead to.
const PAUSE: Duration = Duration::from_millis(100);
/// How soon what failed is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// What the task is asked to do.
#[derive(Debug)]
pub enum Command {
    /// Make these; what becomes of others.
    Want(Vec<Wanted>, Others),
    /// Undo everything, and end.
    CleanUp(oneshot::Sender<()>),
}

/// Where the task tells what it does.
pub struct Output {
    /// Each thing that is done.
    pub said: mpsc::UnboundedSender<Entry>,
    /// What is not as it should be.
    pub warn: watch::Sender<Vec<String>>,
}

impl Output {
    /// Tells of an outcome; of a problem once, until it is solved.
    fn tell(&self, entries: Vec<Entry>, problems: Vec<String>) {
        let known = self.warn.send_replace(problems.clone());
        let new = problems.into_iter().filter(|problem| !known.contains(problem));
        for entry in entries.into_iter().chain(new.map(|it| Entry::now("host_problem", it))) {
            // Fails only if the daemon has ended.
            let _ = self.said.send(entry);
        }
    }
}

/// Serves until everything is undone or the daemon has ended.
pub async fn serve(
    mut macvlans: Macvlans,
    mut commands: mpsc::UnboundedReceiver<Command>,
    output: Output,
) {
    let mut wanted = Vec::new();
    let mut others = Others::Keep;
    let mut links = Links::default();
    let mut looked = Instant::now();
    let mut due = None;
    loop {
        tokio::select! {
            command = commands.recv() => match command {
                None => return,
                Some(Command::Want(next, rest)) => {
                    (wanted, others) = (next, rest);
                    due = Some(Instant::now());
                }
                Some(Command::CleanUp(done)) => {
                    let cleaned = spawn_blocking(move || macvlans.clean_up()).await;
                    if let Ok(Outcome { entries, problems, .. }) = cleaned {
                        output.tell(entries, problems);
                    }
                    // Nobody need wait for it.
                    let _ = done.send(());
                    return;
                }
            },
            () = links.changed() => {
                let at = (looked + PAUSE).max(Instant::now());
                due = Some(due.map_or(at, |due| at.min(due)));
            }
            () = until(due) => {
                due = None;
                looked = Instant::now();
                if wanted.is_empty() && macvlans.is_idle() {
                    output.tell(Vec::new(), Vec::new());
                    continue;
                }
                if let Err(error) = links.open() {
                    tracing::warn!("links are not watched: {error}");
                }
                let list = wanted.clone();
                let applied = spawn_blocking(move || {
                    let outcome = macvlans.apply(&list, others);
                    (macvlans, outcome)
                });
                // It panics or the daemon has ended: nothing to go on with.
                let Ok((back, mut outcome)) = applied.await else { return };
                macvlans = back;
                if !outcome.problems.is_empty() {
                    due = Some(Instant::now() + RETRY);
                }
                let entries = std::mem::take(&mut outcome.entries);
                let problems = std::mem::take(&mut outcome.problems);
                links.last = outcome;
                output.tell(entries, problems);
            }
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => pending().await,
    }
}

/// News of the links that matter.
#[derive(Default)]
struct Links {
    monitor: Option<(Monitor, AsyncFd<OwnedFd>)>,
    last: Outcome,
}

impl Links {
    /// Hears what changes from now on. Does nothing if it does already.
    fn open(&mut self) -> io::Result<()> {
        if self.monitor.is_none() {
            let monitor = Monitor::open_links()?;
            let readiness = vrrp_process::watch(monitor.as_fd().try_clone_to_owned()?)?;
            self.monitor = Some((monitor, readiness));
        }
        Ok(())
    }

    /// Waits until a link changes that matters. Loses nothing when it is cancelled.
    async fn changed(&mut self) {
        let Some((monitor, readiness)) = &mut self.monitor else { return pending().await };
        loop {
            let Ok(mut ready) = readiness.readable().await else { return pending().await };
            loop {
                match monitor.recv() {
                    Ok(Some(change)) if matters(&change, &self.last) => return,
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    // Whatever was lost: look, and listen anew.
                    Err(_) => {
                        self.monitor = None;
                        return;
                    }
                }
            }
            ready.clear_ready();
        }
    }
}

fn matters(change: &Change, last: &Outcome) -> bool {
    match change {
        Change::Link(link) => match last.watched.get(&link.index) {
            Some((name, mac)) => *name != link.name || *mac != link.mac,
            None => last.awaited.contains(&link.name),
        },
        Change::LinkGone { index, .. } => last.watched.contains_key(index),
        Change::Overrun => true,
        Change::AddressAdded(_) | Change::AddressRemoved(_) => false,
    }
}
