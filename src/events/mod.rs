//! What happened: one record per event with the chain of its causes, a ring of the last of them,
//! and the same on disk and in the journal.

mod causes;
mod file;
mod filter;
mod journal;
mod record;
mod start;
mod words;
mod writer;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

pub use file::NAME as FILE_NAME;
use file::{Earlier, Files};
pub use filter::Filter;
use journal::Journal;
pub use record::{CauseLink, Entry, Record};
pub use start::boot_id;
use writer::Writer;

use crate::timestamp::Timestamp;

/// How many events are kept.
pub const KEPT: usize = 1024;
/// How long a start waits for the events of earlier daemons. They come later where the disk hangs.
const READING: Duration = Duration::from_millis(300);
/// How long an end waits for the last events to be written.
const WRITING: Duration = Duration::from_millis(500);

/// The last events, shared by the daemon, which writes, and the API, which reads.
#[derive(Clone, Debug)]
pub struct Log {
    ring: Arc<Mutex<Ring>>,
    newest: watch::Sender<u64>,
    writer: Option<Writer>,
    journal: Option<Arc<Journal>>,
}

/// The last event of each kind of each virtual router, or of none, that is needed for longer than
/// others.
type Landmarks = BTreeMap<(String, &'static str), Record>;

#[derive(Debug)]
struct Ring {
    records: VecDeque<Record>,
    /// What [`Log::history`] needs although it may be long ago: by virtual router and kind.
    landmarks: Landmarks,
    newest: u64,
}

impl Log {
    /// An empty log, kept in memory alone, of a daemon that starts at `start`.
    pub fn new(start: Timestamp) -> Self {
        let newest = start.unix_millis();
        let ring = Ring { records: VecDeque::new(), landmarks: BTreeMap::new(), newest };
        Self {
            ring: Arc::new(Mutex::new(ring)),
            newest: watch::Sender::new(newest),
            writer: None,
            journal: None,
        }
    }

    /// A log that goes on where that of earlier daemons in `directory` ended, is written there, and
    /// to the journal if standard error goes there.
    ///
    /// # Errors
    /// If no thread can be had. What is wrong with the disk is told by [`Log::problem`].
    pub fn open(directory: &Path, start: Timestamp) -> io::Result<Self> {
        let log = Self { journal: Journal::of_this_service().map(Arc::new), ..Self::new(start) };
        let (ring, (done, is_done)) = (Arc::clone(&log.ring), sync_channel(1));
        let writer = Writer::start(directory, move |earlier| {
            lock(&ring).prepend(earlier);
            // A start that did not wait any longer has them all the same.
            let _ = done.send(());
        })?;
        let _ = is_done.recv_timeout(READING);
        Ok(Self { writer: Some(writer), ..log })
    }

    /// What an earlier daemon wrote to `directory`, for when none runs.
    pub fn read(directory: &Path) -> Self {
        let log = Self::new(Timestamp::from_unix_nanos(0));
        lock(&log.ring).prepend(Files::new(directory).read());
        log
    }

    /// Adds an event, gives it the next number and finds its causes.
    pub fn push(&self, entry: Entry) {
        let is_alarming = entry.is_alarming();
        let record = lock(&self.ring).push(entry);
        self.newest.send_replace(record.seq);
        self.tell(&record, is_alarming);
        if let Some(writer) = &self.writer {
            writer.write(record);
        }
    }

    /// The kept events with numbers above `seq`, in order.
    pub fn after(&self, seq: u64) -> Vec<Record> {
        lock(&self.ring).records.iter().filter(|record| record.seq > seq).cloned().collect()
    }

    /// The kept events in order, and before them those that tell where each virtual router's
    /// addresses went last.
    pub fn history(&self) -> Vec<Record> {
        let ring = lock(&self.ring);
        let oldest = ring.records.front().map_or(u64::MAX, |record| record.seq);
        let mut old: Vec<&Record> =
            ring.landmarks.values().filter(|record| record.seq < oldest).collect();
        old.sort_by_key(|record| record.seq);
        old.into_iter().chain(&ring.records).cloned().collect()
    }

    /// Tells the number of the newest event whenever it changes.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// Why events are not written to disk, if they are not.
    pub fn problem(&self) -> Option<String> {
        self.writer.as_ref()?.problem()
    }

    /// Waits for a moment until the last events are written.
    pub fn finish(&self) {
        if let Some(writer) = &self.writer {
            writer.finish(WRITING);
        }
    }

    /// Logs an event: to the journal with all its fields, to a terminal as a line.
    fn tell(&self, record: &Record, is_alarming: bool) {
        let is_wanted = if is_alarming {
            tracing::enabled!(tracing::Level::WARN)
        } else {
            tracing::enabled!(tracing::Level::INFO)
        };
        if !is_wanted {
            return;
        }
        if let Some(journal) = &self.journal
            && journal.send(record, is_alarming).is_ok()
        {
            return;
        }
        let sentence = record.sentence();
        if is_alarming {
            tracing::warn!("{sentence}");
        } else {
            tracing::info!("{sentence}");
        }
    }
}

impl Ring {
    fn push(&mut self, entry: Entry) -> Record {
        let causes = causes::chain(&entry, &self.records, &self.landmarks);
        let Entry { at, monotonic, router, code, what, why, detail } = entry;
        self.newest += 1;
        let seq = self.newest;
        let record = Record { seq, at, monotonic, router, code, what, why, causes, detail };
        self.remember(&record);
        if self.records.len() == KEPT {
            self.records.pop_front();
        }
        self.records.push_back(record.clone());
        record
    }

    /// Puts what earlier daemons wrote before what is there.
    fn prepend(&mut self, earlier: Earlier) {
        let Earlier { mut records, damaged } = earlier;
        records.sort_by_key(|record| record.seq);
        match self.records.front().map(|it| it.seq) {
            // A clock that was set back.
            Some(first) => records.retain(|record| record.seq < first),
            None => {
                let last = records.last().map_or(0, |record| record.seq);
                self.newest = self.newest.max(last);
            }
        }
        let own = std::mem::take(&mut self.records);
        records.iter().chain(&own).for_each(|record| self.remember(record));
        let room = KEPT - own.len();
        self.records = records.split_off(records.len().saturating_sub(room)).into();
        self.records.extend(own);
        if damaged > 0 {
            self.push(damage(damaged));
        }
    }

    /// Keeps an event that tells where a virtual router's addresses went, or why.
    fn remember(&mut self, record: &Record) {
        if let Some(kind) = record.landmark() {
            let router = record.router.clone().unwrap_or_default();
            self.landmarks.insert((router, kind), record.clone());
        }
    }
}

fn damage(lines: usize) -> Entry {
    Entry::now("events_damaged", format!("{lines} lines of {FILE_NAME} were left out"))
        .because("they are damaged, as after a power cut")
}

fn lock(ring: &Mutex<Ring>) -> MutexGuard<'_, Ring> {
    ring.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Addresses as a sentence has them.
pub fn list(addresses: &[IpAddr]) -> String {
    let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    texts.join(", ")
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
