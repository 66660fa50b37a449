//! The process at the other end of a connection, if it is one of this node: when it is killed, that is
//! known before its sockets are closed.
//!
//! A process that is killed first gives its memory back, and then closes its sockets. With some hundred
//! megabytes that takes the kernel tens of milliseconds, in which it goes on accepting connections for it.
//! Its threads are gone after less than one.

mod search;
mod threads;

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use tokio::io::unix::AsyncFd;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use self::search::{Process, Seen, Sight};
use crate::vrrp_process::watch;

/// All processes are searched no more often. It doubles with each time that nobody is found.
const PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(640);
/// A thread has ended: after so long it is looked again whether the others have too, then after twice
/// as long, until it is ...
const FIRST_DOUBT: Duration = Duration::from_millis(1);
const LAST_DOUBT: Duration = Duration::from_millis(16);

/// The two ends of a connection of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    local: SocketAddr,
    peer: SocketAddr,
}

impl Ends {
    /// `None` if it is broken.
    pub fn of(stream: &TcpStream) -> Option<Self> {
        Some(Self { local: stream.local_addr().ok()?, peer: stream.peer_addr().ok()? })
    }
}

/// Watches the process that serves a connection. Where there is nothing to watch (another host, a
/// process with one thread, a kernel before 6.9), it never ends.
#[derive(Debug, Default)]
pub struct Owner {
    /// Of the connection that is held now.
    ends: Option<Ends>,
    looking: Option<JoinHandle<io::Result<Sight>>>,
    /// Before that all processes are not searched again, and how long that lasts.
    pause: Option<(Instant, Duration)>,
    /// The kernel lacks what it takes.
    hopeless: bool,
    /// Who served last.
    known: Option<Process>,
    /// Who serves the connection that is held, if that is certain.
    seen: Option<Seen>,
    threads: Vec<AsyncFd<OwnedFd>>,
    doubt: Option<Doubt>,
    death: Option<String>,
}

/// A thread has ended, others not yet.
#[derive(Clone, Copy, Debug)]
struct Doubt {
    until: Instant,
    lasts: Duration,
}

impl Owner {
    /// Another connection is held. Who serves it is found out on a thread of its own.
    pub fn serve(&mut self, ends: Option<Ends>) {
        self.ends = ends;
        let Some(ends) = ends.filter(|_| !self.hopeless && self.looking.is_none()) else { return };
        let known = self.known.clone();
        let may_search = self.pause.is_none_or(|(until, _)| until <= Instant::now());
        self.looking =
            Some(tokio::task::spawn_blocking(move || search::look(ends, known, may_search)));
    }

    /// That the process has died, in words, once.
    pub fn take_death(&mut self) -> Option<String> {
        self.death.take()
    }

    /// Waits until the process is ending, which is told once. That it has died is certain only if
    /// [`Owner::take_death`] says so. Nothing is lost if the wait is given up.
    pub async fn ended(&mut self) {
        loop {
            let doubt = self.doubt;
            tokio::select! {
                biased;
                () = threads::end_of_one(&mut self.threads) => {
                    if self.is_ending() {
                        return;
                    }
                    self.doubt = Some(Doubt::new(FIRST_DOUBT));
                }
                lasted = over(doubt) => {
                    if self.is_ending() {
                        return;
                    }
                    self.doubt = Some(2 * lasted).filter(|&it| it <= LAST_DOUBT).map(Doubt::new);
                }
                sight = finished(&mut self.looking) => self.take(sight),
            }
        }
    }

    fn take(&mut self, sight: io::Result<Sight>) {
        (self.seen, self.threads) = (None, Vec::new());
        match sight {
            Ok(Sight { known, seen, threads, searched }) => {
                self.known = known;
                if searched {
                    let longer = self.pause.map_or(PAUSE, |(_, last)| LONGEST_PAUSE.min(2 * last));
                    let pause = if seen.is_some() { PAUSE } else { longer };
                    self.pause = Some((Instant::now() + pause, pause));
                }
                let threads: io::Result<Vec<_>> = threads.into_iter().map(watch).collect();
                // Out of memory: the next connection is another try.
                self.threads = threads.unwrap_or_default();
                self.seen = seen;
            }
            Err(error) => self.hopeless = threads::are_unknown(&error),
        }
    }

    /// Whether all threads of the process are exiting: no other end of one says anything.
    fn is_ending(&mut self) -> bool {
        let Some(seen) = self.seen.take_if(|seen| threads::all_end(seen.process.pid)) else {
            return false;
        };
        self.threads.clear();
        (self.doubt, self.looking) = (None, None);
        if self.ends.is_some_and(|ends| search::serves(ends, &seen)) {
            self.death = Some(format!("the server's {} has died", seen.process));
        }
        true
    }

    /// Which process is watched.
    #[cfg(test)]
    pub fn watched(&self) -> Option<i32> {
        let seen = self.seen.as_ref().filter(|_| !self.threads.is_empty())?;
        Some(seen.process.pid.as_raw_nonzero().get())
    }
}

impl Doubt {
    fn new(lasts: Duration) -> Self {
        Self { until: Instant::now() + lasts, lasts }
    }
}

/// How long the doubt lasted, when it is over.
async fn over(doubt: Option<Doubt>) -> Duration {
    let Some(Doubt { until, lasts }) = doubt else { return std::future::pending().await };
    sleep_until(until).await;
    lasts
}

async fn finished(looking: &mut Option<JoinHandle<io::Result<Sight>>>) -> io::Result<Sight> {
    let Some(running) = looking else { return std::future::pending().await };
    let sight = running.await;
    *looking = None;
    sight.map_err(io::Error::other).flatten()
}
