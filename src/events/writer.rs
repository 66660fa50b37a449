//! The thread that writes the events to disk, so that a disk that hangs stops nobody.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::file::{Earlier, Files};
use super::{Entry, Record};

/// How many events may wait for a slow disk; further ones are not written.
const MAX_WAITING: usize = 1024;
/// A disk that takes longer is told of.
const SLOW: Duration = Duration::from_secs(2);

/// Hands events to the thread.
#[derive(Clone, Debug)]
pub struct Writer {
    queue: SyncSender<Message>,
    state: Arc<State>,
}

enum Message {
    /// An event, and how many before it found no room.
    Record(Box<Record>, u64),
    /// Answered once everything before it was tried.
    Flush(SyncSender<()>),
}

/// What the thread is about.
#[derive(Debug, Default)]
struct State {
    /// How many events found no room since the last one that did.
    lost: AtomicU64,
    work: Mutex<Work>,
}

#[derive(Debug, Default)]
struct Work {
    /// Since when the thread has waited for the disk.
    busy_since: Option<Instant>,
    /// Why the last event was not written.
    error: Option<String>,
    /// How many were not written since the last one that was.
    unwritten: u64,
}

impl Writer {
    /// Starts the thread. It first hands what earlier daemons wrote to `take`.
    ///
    /// # Errors
    /// If no thread can be had.
    pub fn start(
        directory: &Path,
        take: impl FnOnce(Earlier) + Send + 'static,
    ) -> io::Result<Self> {
        let (queue, messages) = sync_channel(MAX_WAITING);
        let writer = Self { queue, state: Arc::default() };
        let (mut files, state) = (Files::new(directory), Arc::clone(&writer.state));
        std::thread::Builder::new().name("events".to_owned()).spawn(move || {
            state.work().busy_since = Some(Instant::now());
            take(files.read());
            state.work().busy_since = None;
            state.serve(&mut files, &messages);
        })?;
        Ok(writer)
    }

    /// Has an event written. Never waits: if there is no room it is counted as lost.
    pub fn write(&self, record: Record) {
        let lost = self.state.lost.swap(0, Ordering::Relaxed);
        if self.queue.try_send(Message::Record(Box::new(record), lost)).is_err() {
            self.state.lost.fetch_add(lost + 1, Ordering::Relaxed);
        }
    }

    /// Waits until what was handed over is written, for `patience` at most.
    pub fn finish(&self, patience: Duration) {
        let (done, is_done) = sync_channel(1);
        if self.queue.try_send(Message::Flush(done)).is_ok() {
            // A disk that hangs has to do without the last events.
            let _ = is_done.recv_timeout(patience);
        }
    }

    /// Why events are not written, if they are not.
    pub fn problem(&self) -> Option<String> {
        let work = self.state.work();
        let lost = match self.state.lost.load(Ordering::Relaxed) + work.unwritten {
            0 => String::new(),
            lost => format!("; {lost} are lost so far"),
        };
        if let Some(busy) = work.busy_since.map(|since| since.elapsed())
            && busy >= SLOW
        {
            return Some(format!("the disk has not taken an event for {}s{lost}", busy.as_secs()));
        }
        work.error.as_ref().map(|error| format!("{error}{lost}"))
    }
}

impl State {
    fn serve(&self, files: &mut Files, messages: &Receiver<Message>) {
        for message in messages {
            match message {
                Message::Record(record, lost) => self.write(files, &record, lost),
                // Whoever waited may have given up.
                Message::Flush(done) => drop(done.send(())),
            }
        }
    }

    fn write(&self, files: &mut Files, record: &Record, lost: u64) {
        let missing = {
            let mut work = self.work();
            work.busy_since = Some(Instant::now());
            lost + work.unwritten
        };
        let told = if missing == 0 { Ok(()) } else { files.append(&gap(missing, record)) };
        let still_missing = if told.is_ok() { 0 } else { missing };
        let written = told.and_then(|()| files.append(record));
        let directory = files.path().parent().unwrap_or(files.path()).display();
        *self.work() = Work {
            busy_since: None,
            unwritten: if written.is_ok() { 0 } else { still_missing + 1 },
            error: written.err().map(|error| format!("{error}: look after {directory}")),
        };
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Stands in the file where events are missing, before `next`.
fn gap(lost: u64, next: &Record) -> Record {
    let Entry { code, what, .. } =
        Entry::now("events_lost", format!("{lost} events are missing in this file"));
    Record {
        seq: next.seq.saturating_sub(1),
        at: next.at,
        monotonic: next.monotonic,
        router: None,
        code,
        what,
        why: Some("the disk was full, or did not take them in time".to_owned()),
        causes: Vec::new(),
        detail: serde_json::json!({ "lost": lost }),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::events::Log;
    use crate::timestamp::Timestamp;

    fn record(seq: u64) -> Record {
        let log = Log::new(Timestamp::from_unix_nanos(0));
        log.push(Entry::now("test", "it happens"));
        Record { seq, ..log.after(0).pop().unwrap() }
    }

    fn scratch(test: &str) -> std::path::PathBuf {
        std::env::temp_dir().join(format!("mainstay-writer-{}-{test}", std::process::id()))
    }

    #[test]
    fn a_disk_that_hangs_stops_nobody_and_what_is_lost_is_told() {
        let path = scratch("hung");
        std::fs::create_dir_all(&path).unwrap();
        let (unhang, hangs) = sync_channel::<()>(0);
        // Reading back is what hangs here.
        let writer = Writer::start(&path, move |_| hangs.recv().unwrap()).unwrap();
        for seq in 0..2000 {
            writer.write(record(seq));
        }
        writer.finish(Duration::ZERO);
        unhang.send(()).unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while Files::new(&path).read().records.len() < MAX_WAITING {
            assert!(Instant::now() < deadline, "the queue is not written");
            std::thread::sleep(Duration::from_millis(5));
        }
        writer.write(record(2000));
        writer.finish(Duration::from_secs(20));
        let earlier = Files::new(&path).read();
        let [.., gap, last] = earlier.records.as_slice() else { unreachable!("two at least") };
        assert_eq!((gap.code.as_str(), last.seq), ("events_lost", 2000));
        assert_eq!(gap.detail["lost"], 2000 - MAX_WAITING);
        assert_eq!(writer.problem(), None);
        std::fs::remove_dir_all(&path).unwrap();
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_named_until_it_can() {
        let path = scratch("absent");
        let writer = Writer::start(&path, drop).unwrap();
        writer.write(record(1));
        writer.finish(Duration::from_secs(20));
        let problem = writer.problem().unwrap();
        assert!(problem.contains("1 are lost") && problem.contains("absent"), "{problem}");
        std::fs::create_dir_all(&path).unwrap();
        writer.write(record(2));
        writer.finish(Duration::from_secs(20));
        assert_eq!(writer.problem(), None);
        assert_eq!(Files::new(&path).read().records.len(), 2);
        std::fs::remove_dir_all(&path).unwrap();
    }
}
