//! Calls that may never return: name resolution, files on a disk that hangs.

use std::io;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How long a newer value is waited for where an older one will do.
const PATIENCE: Duration = Duration::from_millis(100);

/// A call that runs on a thread of its own, one at a time. Whoever gives up waiting leaves it
/// running; the next one waits for the same call and takes what it gives.
#[derive(Debug)]
pub struct Slow<T> {
    running: Option<JoinHandle<T>>,
}

impl<T> Default for Slow<T> {
    fn default() -> Self {
        Self { running: None }
    }
}

impl<T: Send + 'static> Slow<T> {
    /// What the call gives: that of an earlier one which is still running, or else a new one.
    ///
    /// # Errors
    /// If the call panicked.
    pub async fn get(&mut self, call: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
        let running = self.running.get_or_insert_with(|| tokio::task::spawn_blocking(call));
        let outcome = running.await;
        self.running = None;
        outcome.map_err(io::Error::other)
    }

    /// Whether an earlier call has not returned.
    #[cfg(test)]
    pub fn is_running(&self) -> bool {
        self.running.as_ref().is_some_and(|it| !it.is_finished())
    }
}

/// A value from a call that may never return or may fail, and the last one that it gave.
#[derive(Debug)]
pub struct Kept<T> {
    slow: Slow<io::Result<T>>,
    last: Option<T>,
}

/// A value, and why it is not a new one.
#[derive(Debug)]
pub struct Have<'a, T> {
    /// The value.
    pub value: &'a T,
    /// `None`: it is new.
    pub stale: Option<String>,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { slow: Slow::default(), last: None }
    }
}

impl<T: Send + 'static> Kept<T> {
    /// A new value, or the last one if that takes too long or fails. Without a last one it waits.
    ///
    /// # Errors
    /// The call's, where there is no value from before.
    pub async fn get(
        &mut self,
        call: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<Have<'_, T>> {
        let call = self.slow.get(call);
        let answer = match &self.last {
            None => call.await.flatten(),
            Some(_) => match timeout(PATIENCE, call).await {
                Ok(answer) => answer.flatten(),
                Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "no answer")),
            },
        };
        let stale = match answer {
            Ok(value) => {
                self.last = Some(value);
                None
            }
            Err(error) if self.last.is_none() => return Err(error),
            Err(error) => Some(error.to_string()),
        };
        match &self.last {
            Some(value) => Ok(Have { value, stale }),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// The last value.
    pub const fn last(&self) -> Option<&T> {
        self.last.as_ref()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// A call that returns what is sent to it.
    fn call<T: Send + 'static>() -> (mpsc::Sender<T>, impl FnOnce() -> T + Send + 'static) {
        let (sender, receiver) = mpsc::channel();
        (sender, move || receiver.recv().unwrap())
    }

    #[tokio::test]
    async fn a_call_that_hangs_is_not_made_again() {
        let mut slow = Slow::default();
        let (answer, first) = call();
        assert!(timeout(Duration::from_millis(1), slow.get(first)).await.is_err());
        assert!(slow.is_running());
        answer.send(7).unwrap();
        assert_eq!(slow.get(|| unreachable!()).await.unwrap(), 7);
        assert_eq!(slow.get(|| 8).await.unwrap(), 8);
    }

    #[tokio::test]
    async fn the_last_value_serves_while_the_call_hangs_or_fails() {
        let mut kept = Kept::default();
        assert!(kept.get(|| Err::<i32, _>(io::ErrorKind::NotFound.into())).await.is_err());
        let have = kept.get(|| Ok(1)).await.unwrap();
        assert_eq!((*have.value, have.stale), (1, None));
        let have = kept.get(|| Err(io::Error::other("gone"))).await.unwrap();
        assert_eq!((*have.value, have.stale.as_deref()), (1, Some("gone")));
        let (answer, hanging) = call();
        let have = kept.get(hanging).await.unwrap();
        assert_eq!((*have.value, have.stale.as_deref()), (1, Some("no answer")));
        answer.send(Ok(2)).unwrap();
        let have = kept.get(|| unreachable!()).await.unwrap();
        assert_eq!((*have.value, have.stale), (2, None));
    }

    #[tokio::test]
    async fn a_call_that_panics_is_an_error() {
        let mut slow = Slow::<()>::default();
        assert!(slow.get(|| std::panic::resume_unwind(Box::new(()))).await.is_err());
        assert!(slow.get(|| ()).await.is_ok());
    }
}
