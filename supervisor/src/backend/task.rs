//! Something that is done once, and then is done: settings of the host, certificates, images.

use std::sync::LazyLock;
use std::time::Duration;

use tokio::sync::watch;

use super::hash::spec_hash;
use super::{Backend, Ended, Fault, Identity, Pending, Readiness, Running};

/// When a task is done again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Repeat {
    /// Each time that mainstay starts: for what is quick, and changes nothing where nothing has to be changed.
    #[default]
    EachStart,
    /// When the machine has booted, or what is to be done has changed.
    EachBoot,
    /// When what is to be done has changed.
    Once,
}

/// What tells this run of mainstay from others: a configuration that is read again changes nothing about it.
static LIFE: LazyLock<String> = LazyLock::new(|| format!("{:?}", std::time::SystemTime::now()));

type Work = Box<dyn Fn() -> Pending<'static, Result<(), Fault>> + Send + Sync>;

/// A unit that is a piece of work.
pub struct Task {
    work: Work,
    spec_hash: String,
    repeat: Repeat,
    /// What tells the run of mainstay, or of the machine, from others that it is to be done again in.
    life: String,
    progress: Option<watch::Receiver<String>>,
}

impl Task {
    /// Work that may be given up by dropping its future, and be begun again. `spec_hash` names what is to be done.
    pub fn new<F>(
        spec_hash: String,
        repeat: Repeat,
        work: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<(), Fault>> + Send + 'static,
    {
        let life = match repeat {
            Repeat::EachStart => LIFE.clone(),
            // Without it the task is done once too often at most.
            Repeat::EachBoot => crate::adopt::boot_id().unwrap_or_default(),
            Repeat::Once => String::new(),
        };
        let work: Work = Box::new(move || Box::pin(work()));
        Self { work, spec_hash, repeat, life, progress: None }
    }

    /// The same, with words from the work itself on how far it has come; empty while there are none.
    #[must_use]
    pub fn reporting(self, progress: watch::Receiver<String>) -> Self {
        Self { progress: Some(progress), ..self }
    }

    /// What says that this very work has been done.
    fn identity(&self) -> Identity {
        let spec_hash = match self.repeat {
            Repeat::Once => self.spec_hash.clone(),
            Repeat::EachStart | Repeat::EachBoot => {
                spec_hash(&format!("{} {}", self.spec_hash, self.life))
            }
        };
        Identity::Task { spec_hash }
    }

    fn running(&self) -> Running {
        Running { identity: self.identity(), age: None, drift: None }
    }
}

impl Backend for Task {
    fn adopt<'a>(
        &'a self,
        known: Option<&'a Identity>,
    ) -> Pending<'a, Result<Option<Running>, Fault>> {
        let done = known == Some(&self.identity());
        Box::pin(async move { Ok(done.then(|| self.running())) })
    }

    fn start(&self) -> Pending<'_, Result<Running, Fault>> {
        Box::pin(async {
            (self.work)().await?;
            Ok(self.running())
        })
    }

    /// Nothing runs; what was done stays done.
    fn stop<'a>(&'a self, _: &'a Identity, _: Duration) -> Pending<'a, Result<(), Fault>> {
        Box::pin(async { Ok(()) })
    }

    /// What is done does not end.
    fn ended<'a>(&'a self, _: &'a Identity) -> Pending<'a, Ended> {
        Box::pin(std::future::pending())
    }

    fn readiness<'a>(&'a self, _: &'a Identity) -> Pending<'a, Readiness> {
        Box::pin(async { Readiness::Ready })
    }

    fn progress(&self) -> Option<String> {
        let words = self.progress.as_ref()?.borrow().clone();
        (!words.is_empty()).then_some(words)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn counting(hash: &str, repeat: Repeat, done: &Arc<AtomicU32>) -> Task {
        let done = Arc::clone(done);
        Task::new(hash.to_owned(), repeat, move || {
            let done = Arc::clone(&done);
            async move {
                done.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
        })
    }

    #[tokio::test]
    async fn what_was_done_once_is_done_until_it_changes() {
        let done = Arc::new(AtomicU32::new(0));
        let task = counting("a", Repeat::Once, &done);
        assert_eq!(task.adopt(None).await, Ok(None));
        let running = task.start().await.unwrap();
        assert_eq!(done.load(Ordering::Relaxed), 1);
        let successor = counting("a", Repeat::Once, &done);
        assert_eq!(successor.adopt(Some(&running.identity)).await, Ok(Some(running.clone())));
        let changed = counting("b", Repeat::Once, &done);
        assert_eq!(changed.adopt(Some(&running.identity)).await, Ok(None));
    }

    #[tokio::test]
    async fn what_is_done_at_each_start_is_not_adopted_from_an_earlier_one() {
        let done = Arc::new(AtomicU32::new(0));
        let task = counting("a", Repeat::EachStart, &done);
        let running = task.start().await.unwrap();
        assert_eq!(task.adopt(Some(&running.identity)).await, Ok(Some(running.clone())));
        // The configuration is read again.
        let again = counting("a", Repeat::EachStart, &done);
        assert_eq!(again.adopt(Some(&running.identity)).await, Ok(Some(running.clone())));
        let successor = Task { life: "later".to_owned(), ..again };
        assert_eq!(successor.adopt(Some(&running.identity)).await, Ok(None));
        let boot = counting("a", Repeat::EachBoot, &done);
        let again = counting("a", Repeat::EachBoot, &done);
        assert_eq!(boot.identity(), again.identity());
    }
}
