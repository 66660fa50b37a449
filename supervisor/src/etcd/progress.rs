//! What long work is at, in words.

use std::fmt;
use std::sync::Arc;

use tokio::sync::mpsc::UnboundedSender;

/// Takes one line per step of an operation, for the person who waits for it.
#[derive(Clone, Default)]
pub struct Progress(Option<Arc<dyn Fn(String) + Send + Sync>>);

impl Progress {
    /// Nobody waits.
    pub fn none() -> Self {
        Self(None)
    }

    /// Calls `take` for each step; it must not block.
    pub fn calling(take: impl Fn(String) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(take)))
    }

    /// Tells that a step begins or has ended.
    pub fn step(&self, words: impl Into<String>) {
        if let Some(take) = &self.0 {
            take(words.into());
        }
    }
}

impl From<UnboundedSender<String>> for Progress {
    /// Steps that nobody receives any more are dropped.
    fn from(sender: UnboundedSender<String>) -> Self {
        Self::calling(move |words| {
            let _ = sender.send(words);
        })
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Progress(told)" } else { "Progress(none)" })
    }
}
