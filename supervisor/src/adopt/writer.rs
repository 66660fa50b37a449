//! Writes the state to disk without keeping the supervisor waiting: a disk may take seconds.

use std::path::PathBuf;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Record;

/// Writes the newest state; states in between are left out.
pub(crate) struct Writer {
    newest: watch::Sender<Option<Record>>,
    trouble: watch::Receiver<Option<String>>,
    task: JoinHandle<()>,
}

impl Writer {
    /// Writes to `path`. Needs a tokio runtime.
    pub fn new(path: PathBuf) -> Self {
        let (newest, mut states) = watch::channel(None::<Record>);
        let (tell, trouble) = watch::channel(None);
        let task = tokio::spawn(async move {
            while states.changed().await.is_ok() {
                let Some(record) = states.borrow_and_update().clone() else { continue };
                let target = path.clone();
                let saved = tokio::task::spawn_blocking(move || record.save(&target)).await;
                let trouble = match saved {
                    Ok(Ok(())) => None,
                    Ok(Err(error)) => Some(error.to_string()),
                    Err(error) => Some(error.to_string()),
                };
                tell.send_replace(trouble.map(|error| {
                    format!(
                        "the supervisor's state {} cannot be written ({error}): make room, or the directory writable",
                        path.display()
                    )
                }));
            }
        });
        Self { newest, trouble, task }
    }

    /// Has a state written, unless it is what was written last.
    pub fn write(&self, record: Record) {
        self.newest.send_if_modified(|newest| {
            let changed = newest.as_ref() != Some(&record);
            *newest = Some(record);
            changed
        });
    }

    /// Why the last state could not be written.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.borrow().clone()
    }

    /// Waits until the last state is on disk.
    pub async fn finish(self) {
        drop(self.newest);
        // It fails only together with the runtime.
        let _ = self.task.await;
    }
}
