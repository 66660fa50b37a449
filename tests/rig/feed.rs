//! A peer that keeps sending.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use lab::inject::Injector;
use lab::{Stamp, sleep_until};

/// Sends frames, one each interval in turn, until it is dropped.
pub struct Feed {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Feed {
    pub fn start(injector: Arc<Injector>, frames: Vec<Vec<u8>>, interval: Duration) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut due = Stamp::now();
            for frame in frames.iter().cycle() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                // Fails where the test takes the cable away.
                let _ = injector.send(frame);
                due = due + interval;
                sleep_until(due);
            }
        });
        Self { stop, thread: Some(thread) }
    }

    /// Ends it; nothing is sent after this.
    pub fn end(self) {}
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
