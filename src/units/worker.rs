//! A thread for what takes its time.

use std::io;

use rustix::process::setpriority_process;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

/// The thread. It ends when this is dropped.
#[derive(Debug)]
pub struct Worker {
    runtime: Handle,
    _alive: oneshot::Sender<()>,
}

impl Worker {
    /// Starts it.
    ///
    /// # Errors
    /// If there is no thread or no descriptor left.
    pub fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .thread_name("units-slow")
            .on_thread_start(|| {
                let _ = setpriority_process(None, 0);
            })
            .build()?;
        let handle = runtime.handle().clone();
        let (alive, gone) = oneshot::channel::<()>();
        std::thread::Builder::new().name("units".to_owned()).spawn(move || {
            // The daemon is in more of a hurry.
            let _ = setpriority_process(None, 0);
            let _ = runtime.block_on(gone);
            // Calls that hang are left behind.
            runtime.shutdown_background();
        })?;
        Ok(Self { runtime: handle, _alive: alive })
    }

    /// Has something done on the thread. It goes on without being looked at.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        self.runtime.spawn(work).abort_handle()
    }
}
