//! The events on disk: JSON lines in the state directory, in a few files of bounded size.
//!
//! Not synced: what a power cut takes is not worth making etcd beside it wait for the disk.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::Record;

/// The newest events are in this file; `.1` has older ones, and so on.
pub const NAME: &str = "events.jsonl";
/// A file that would become longer makes way for a new one.
const MAX_LEN: u64 = 1 << 20;
/// How many files of older events are kept.
const OLDER: usize = 3;

/// Where the events are written.
#[derive(Debug)]
pub struct Files {
    path: PathBuf,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    length: u64,
    /// Whether the file ends in a part of a line.
    is_torn: bool,
}

/// What earlier daemons wrote.
#[derive(Debug, Default)]
pub struct Earlier {
    /// The oldest first.
    pub records: Vec<Record>,
    /// How many lines could not be understood.
    pub damaged: usize,
}

impl Files {
    /// The files in a directory.
    pub fn new(directory: &Path) -> Self {
        Self { path: directory.join(NAME), open: None }
    }

    /// The newest of them.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads what earlier daemons wrote. What cannot be read is left out.
    pub fn read(&self) -> Earlier {
        let mut earlier = Earlier::default();
        for age in (0..=OLDER).rev() {
            // None so far, or not readable: then what is written now will not be either.
            let text = read_tail(&self.aged(age)).unwrap_or_default();
            // The last line may be half written where a crash or a power cut ended it.
            let whole = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
            for line in text[..whole].split(|&byte| byte == b'\n').filter(|it| !it.is_empty()) {
                match serde_json::from_slice(line) {
                    Ok(record) => earlier.records.push(record),
                    Err(_) => earlier.damaged += 1,
                }
            }
        }
        earlier
    }

    /// Adds one event.
    ///
    /// # Errors
    /// If it could not be written whole; the file is in order again with the next one.
    pub fn append(&mut self, record: &Record) -> io::Result<()> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        let length = u64::try_from(line.len()).unwrap_or(u64::MAX);
        let is_full = |open: &Open| open.length > 0 && open.length + length > MAX_LEN;
        if is_full(self.opened()?) {
            self.rotate()?;
        }
        let open = self.opened()?;
        if open.is_torn {
            line.insert(0, b'\n');
        }
        open.is_torn = true;
        open.file.write_all(&line)?;
        open.is_torn = false;
        open.length += length;
        Ok(())
    }

    fn opened(&mut self) -> io::Result<&mut Open> {
        // Somebody may have removed it, to make room.
        let is_gone = |open: &Open| open.file.metadata().map_or(true, |it| it.nlink() == 0);
        if self.open.as_ref().is_some_and(is_gone) {
            self.open = None;
        }
        match self.open.take() {
            Some(open) => Ok(self.open.insert(open)),
            None => Ok(self.open.insert(Open::new(&self.path)?)),
        }
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.open = None;
        for age in (0..OLDER).rev() {
            match std::fs::rename(self.aged(age), self.aged(age + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    fn aged(&self, age: usize) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        if age > 0 {
            path.push(format!(".{age}"));
        }
        path.into()
    }
}

impl Open {
    fn new(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let mut file = options.read(true).append(true).create(true).mode(0o600).open(path)?;
        let length = file.metadata()?.len();
        let mut last = [b'\n'];
        if length > 0 {
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
        }
        Ok(Self { file, length, is_torn: last != *b"\n" })
    }
}

/// The end of a file, no more than is ever written to it.
fn read_tail(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(2 * MAX_LEN)))?;
    let mut text = Vec::new();
    file.take(2 * MAX_LEN).read_to_end(&mut text)?;
    Ok(text)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::events::{Entry, Log};
    use crate::timestamp::Timestamp;

    struct Scratch(PathBuf);

    impl Scratch {
        fn new(test: &str) -> Self {
            let name = format!("mainstay-events-{}-{test}", std::process::id());
            let path = std::env::temp_dir().join(name);
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn file(&self, name: &str) -> PathBuf {
            self.0.join(name)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn record(seq: u64, what: &str) -> Record {
        let log = Log::new(Timestamp::from_unix_nanos(0));
        log.push(Entry::now("test", what));
        Record { seq, ..log.after(0).pop().unwrap() }
    }

    fn numbers(earlier: &Earlier) -> Vec<u64> {
        earlier.records.iter().map(|it| it.seq).collect()
    }

    #[test]
    fn what_is_written_is_read_back_in_order() {
        let scratch = Scratch::new("order");
        let mut files = Files::new(&scratch.0);
        assert!(files.read().records.is_empty());
        for seq in 1..=3 {
            files.append(&record(seq, "it\nhappens")).unwrap();
        }
        let mut next = Files::new(&scratch.0);
        next.append(&record(4, "x")).unwrap();
        let earlier = next.read();
        assert_eq!(numbers(&earlier), [1, 2, 3, 4]);
        assert_eq!((earlier.records[0].what.as_str(), earlier.damaged), ("it\nhappens", 0));
        let mode = std::fs::metadata(next.path()).unwrap().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn four_files_of_a_megabyte_at_most_are_kept() {
        let scratch = Scratch::new("rotation");
        let mut files = Files::new(&scratch.0);
        let long = "x".repeat(100_000);
        for seq in 0..60 {
            files.append(&record(seq, &long)).unwrap();
        }
        let lengths: Vec<u64> = std::fs::read_dir(&scratch.0)
            .unwrap()
            .map(|it| it.unwrap().metadata().unwrap().len())
            .collect();
        assert_eq!(lengths.len(), 4);
        assert!(lengths.iter().all(|&length| length <= MAX_LEN), "{lengths:?}");
        let read = numbers(&files.read());
        assert_eq!(read.last(), Some(&59));
        assert!(read.is_sorted() && read.len() > 30, "{read:?}");
    }

    #[test]
    fn what_is_damaged_is_left_out_and_counted() {
        let scratch = Scratch::new("damage");
        let mut files = Files::new(&scratch.0);
        files.append(&record(1, "a")).unwrap();
        let mut file = OpenOptions::new().append(true).open(files.path()).unwrap();
        file.write_all(b"\0\0\0\n\xff\xfe{}\n[1]\n").unwrap();
        files.append(&record(2, "b")).unwrap();
        let earlier = files.read();
        assert_eq!((numbers(&earlier), earlier.damaged), (vec![1, 2], 3));
    }

    #[test]
    fn a_line_that_a_crash_cut_off_spoils_no_other() {
        let scratch = Scratch::new("torn");
        std::fs::write(scratch.file(NAME), "{\"seq\":1,\"at\":\"2026-").unwrap();
        let mut files = Files::new(&scratch.0);
        assert_eq!(files.read().damaged, 0, "it is no news that a crash cuts off");
        files.append(&record(2, "b")).unwrap();
        assert_eq!(numbers(&files.read()), [2]);
    }

    #[test]
    fn files_that_somebody_removes_are_made_again() {
        let scratch = Scratch::new("removed");
        let mut files = Files::new(&scratch.0);
        files.append(&record(1, "a")).unwrap();
        std::fs::remove_file(files.path()).unwrap();
        files.append(&record(2, "b")).unwrap();
        assert_eq!(numbers(&files.read()), [2]);
    }

    #[test]
    fn a_directory_that_is_not_there_is_an_error_until_it_is() {
        let scratch = Scratch::new("absent");
        let directory = scratch.file("later");
        let mut files = Files::new(&directory);
        assert!(files.append(&record(1, "a")).is_err());
        std::fs::create_dir(&directory).unwrap();
        files.append(&record(2, "b")).unwrap();
        assert_eq!(numbers(&files.read()), [2]);
    }
}
