//! A connection that is kept only to hear of its end: the kernel tells it at once.

use tokio::task::JoinHandle;

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
}

impl<T> Default for Held<T> {
    fn default() -> Self {
        Self { connection: None }
    }
}

impl<T> Held<T> {
    /// Holds the connection whose end is the end of `task`, instead of any other.
    pub fn hold(&mut self, task: Task, keep: T) {
        self.connection = Some((task, keep));
    }

    /// Waits for the connection's end, which is told once; for ever if there is none.
    pub async fn end(&mut self) {
        let Some((Task(end), _)) = &mut self.connection else {
            return std::future::pending().await;
        };
        // However it ended.
        let _ = end.await;
        self.connection = None;
    }
}
