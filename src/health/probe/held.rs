//! A connection that is kept only to hear of its end: the kernel tells it at once. Of the end of the
//! process that serves it the kernel tells sooner.

use tokio::task::JoinHandle;

use super::owner::{Ends, Owner};

/// Ends the task when it is dropped.
#[derive(Debug)]
pub struct Task(JoinHandle<()>);

impl Task {
    /// Starts it.
    pub fn spawn(work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(work))
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// At most one connection, and whatever has to be kept so that it stays open.
#[derive(Debug)]
pub struct Held<T> {
    connection: Option<(Task, T)>,
    owner: Owner,
}

impl<T> Default for Held<T> {
    fn default() -> Self {
        Self { connection: None, owner: Owner::default() }
    }
}

impl<T> Held<T> {
    /// Holds the connection whose end is the end of `task`, instead of any other.
    pub fn hold(&mut self, ends: Option<Ends>, task: Task, keep: T) {
        self.connection = Some((task, keep));
        self.owner.serve(ends);
    }

    /// Waits for the end of the connection or of who serves it, which are told once; for ever if there
    /// is none.
    pub async fn end(&mut self) {
        let Self { connection, owner } = self;
        tokio::select! {
            biased;
            () = owner.ended() => {}
            () = end(connection) => {}
        }
    }

    /// Waits until the process that serves is known to have died, and says so in words, once.
    pub async fn death(&mut self) -> String {
        loop {
            if let Some(words) = self.owner.take_death() {
                // Its end is no news.
                self.connection = None;
                return words;
            }
            self.owner.ended().await;
        }
    }

    /// Which process is watched.
    #[cfg(test)]
    pub fn watched(&self) -> Option<i32> {
        self.owner.watched()
    }
}

async fn end<T>(connection: &mut Option<(Task, T)>) {
    let Some((Task(end), _)) = connection else {
        return std::future::pending().await;
    };
    // However it ended.
    let _ = end.await;
    *connection = None;
}
