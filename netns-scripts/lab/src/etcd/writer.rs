//! Writes to all members at once, each at its own pace.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::Access;
use super::connection::Connection;
use super::written::{Acknowledged, Written, key};
use crate::{LabError, Node, Stamp, sleep_until, within};

/// Between two writes to one member.
const PACE: Duration = Duration::from_millis(20);
/// After one that failed.
const PAUSE: Duration = Duration::from_millis(100);

/// Writes until it is stopped. Every write that etcd acknowledged is in a log before the next one
/// begins.
#[derive(Debug)]
pub struct Writer {
    folder: PathBuf,
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
    threads: Vec<JoinHandle<io::Result<()>>>,
}

impl Writer {
    /// Begins to write to `nodes`, one thread for each, so that one that hangs delays no other. The
    /// logs are in `folder`, which is made.
    ///
    /// # Errors
    /// If the folder cannot be made or the namespace is not there.
    pub fn start(access: &Access, nodes: &[Node], folder: &Path) -> Result<Self, LabError> {
        let error = LabError::instrument::<io::Error>;
        std::fs::create_dir_all(folder).map_err(error("making a folder for logs"))?;
        // Keys of another writer are others.
        let run = format!("{}-{}", std::process::id(), Stamp::now().nanos());
        let mut writer = Self {
            folder: folder.to_owned(),
            stop: Arc::default(),
            acknowledged: Arc::default(),
            threads: Vec::new(),
        };
        for &node in nodes {
            let log = folder.join(format!("{node}.log"));
            let log = File::options().create(true).append(true).open(log);
            let log = log.map_err(error("opening a log"))?;
            let one = One {
                node,
                run: run.clone(),
                connection: Connection::new(access.call(node)),
                log,
                stop: Arc::clone(&writer.stop),
                acknowledged: Arc::clone(&writer.acknowledged),
            };
            // Its sockets are in the namespace where it begins.
            let begin = || thread::Builder::new().spawn(move || one.write());
            let thread = within(&access.namespace, begin)?;
            writer.threads.push(thread.map_err(error("starting a writer"))?);
        }
        Ok(writer)
    }

    /// How many writes were acknowledged so far.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// What was acknowledged so far.
    ///
    /// # Errors
    /// If a log cannot be read.
    pub fn written(&self) -> Result<Written, LabError> {
        Written::read(&self.folder)
    }

    /// Ends it, after the last answers; what was acknowledged.
    ///
    /// # Errors
    /// If a write was acknowledged that could not be logged.
    pub fn stop(mut self) -> Result<Written, LabError> {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let ended = thread.join();
            let ended = ended.map_err(|_| LabError::Invalid("a writer panicked".to_owned()))?;
            ended.map_err(LabError::instrument("logging a write"))?;
        }
        Written::read(&self.folder)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// The writer of one member.
struct One {
    node: Node,
    run: String,
    connection: Connection,
    log: File,
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
}

impl One {
    fn write(mut self) -> io::Result<()> {
        for number in 0_u64.. {
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            let begun = Stamp::now();
            let key = key(&self.run, self.node, number);
            let pause = match self.connection.put(&key, &key) {
                Ok(revision) => {
                    let line = Acknowledged { key, revision, at: Stamp::now() };
                    self.log.write_all(format!("{line}\n").as_bytes())?;
                    self.acknowledged.fetch_add(1, Ordering::Relaxed);
                    PACE
                }
                Err(_) => PAUSE,
            };
            sleep_until(begun + pause);
        }
        Ok(())
    }
}
