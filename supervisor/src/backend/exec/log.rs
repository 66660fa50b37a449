//! A unit's log file. The unit itself writes to it, so that it goes on when mainstay does not; mainstay keeps it short.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::backend::Logs;

/// A file of more bytes is rotated.
const LONGEST: u64 = 10 * 1024 * 1024;
/// So many rotated files are kept, the newest with `.1`.
const KEPT: u32 = 5;
/// So many pieces wait for a slow reader.
const QUEUE: usize = 16;
/// How often it is looked for more.
const PACE: Duration = Duration::from_millis(200);
/// A file is read in pieces of so many bytes.
const PIECE: u64 = 64 * 1024;
/// Of all that was written, no more than this many bytes are shown as the last lines.
const MOST_SHOWN: u64 = 8 * 1024 * 1024;

/// Shortens the file if it has grown too long.
///
/// The unit has it open to append: so its content is copied away and the file cut to nothing. What is written between
/// the copy's last byte and the cut is lost, microseconds.
///
/// # Errors
/// If a file cannot be written.
pub fn rotate(path: &Path) -> io::Result<()> {
    rotate_at(path, LONGEST)
}

fn rotate_at(path: &Path, longest: u64) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.len() > longest => {}
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    }
    for number in (1..KEPT).rev() {
        match fs::rename(rotated(path, number), rotated(path, number + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    let mut from = OpenOptions::new().read(true).write(true).open(path)?;
    let mut to = File::create(rotated(path, 1))?;
    io::copy(&mut from, &mut to)?;
    from.set_len(0)
}

fn rotated(path: &Path, number: u32) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".{number}"));
    PathBuf::from(name)
}

/// The last `lines` lines, and with `follow` what comes after.
pub fn read(path: PathBuf, lines: usize, follow: bool) -> Logs {
    let (pieces, logs) = mpsc::channel(QUEUE);
    tokio::spawn(async move {
        let start = path.clone();
        let Ok(Ok((last, mut end))) =
            tokio::task::spawn_blocking(move || last_lines(&start, lines)).await
        else {
            return;
        };
        if !last.is_empty() && pieces.send(last).await.is_err() {
            return;
        }
        if !follow {
            return;
        }
        loop {
            tokio::select! {
                () = pieces.closed() => return,
                () = tokio::time::sleep(PACE) => {}
            }
            loop {
                let (path, from) = (path.clone(), end);
                let more = tokio::task::spawn_blocking(move || since(&path, from)).await;
                let Ok(Ok((more, now))) = more else { break };
                end = now;
                if more.is_empty() {
                    break;
                }
                if pieces.send(more).await.is_err() {
                    return;
                }
            }
        }
    });
    logs
}

/// The last lines, those of rotated files too, and how much of the file itself was read.
fn last_lines(path: &Path, lines: usize) -> io::Result<(Vec<u8>, u64)> {
    let (mut text, end) = tail(path, lines)?;
    let mut number = 1;
    while number <= KEPT && counted(&text) < lines {
        let (older, _) = tail(&rotated(path, number), lines - counted(&text))?;
        if older.is_empty() {
            break;
        }
        text.splice(0..0, older);
        number += 1;
    }
    Ok((text, end))
}

fn newlines(text: &[u8]) -> usize {
    text.iter().filter(|&&byte| byte == b'\n').count()
}

/// How many lines there are. One that is being written counts.
fn counted(text: &[u8]) -> usize {
    newlines(text) + usize::from(text.last().is_some_and(|&byte| byte != b'\n'))
}

/// The last lines of one file, read backwards, and its length; nothing if there is no file.
fn tail(path: &Path, lines: usize) -> io::Result<(Vec<u8>, u64)> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), 0)),
        Err(error) => return Err(error),
    };
    let end = file.metadata()?.len();
    let (mut start, mut text) = (end, Vec::new());
    // The newline before the first line wanted has to be found as well.
    while start > 0 && newlines(&text) <= lines && end - start < MOST_SHOWN {
        let length = start.min(PIECE);
        start -= length;
        file.seek(SeekFrom::Start(start))?;
        let mut piece = Vec::new();
        file.by_ref().take(length).read_to_end(&mut piece)?;
        text.splice(0..0, piece);
    }
    let cut = match counted(&text).saturating_sub(lines) {
        0 => 0,
        surplus => {
            let mut ends = text.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
            ends.nth(surplus - 1).map_or(text.len(), |(index, _)| index + 1)
        }
    };
    Ok((text.split_off(cut), end))
}

/// What was written after the first `from` bytes, a piece of it, and where it ends. A file that is shorter was rotated.
fn since(path: &Path, from: u64) -> io::Result<(Vec<u8>, u64)> {
    let mut file = File::open(path)?;
    let from = if file.metadata()?.len() < from { 0 } else { from };
    file.seek(SeekFrom::Start(from))?;
    let mut piece = Vec::new();
    let length = file.take(PIECE).read_to_end(&mut piece)?;
    Ok((piece, from + u64::try_from(length).unwrap_or(0)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write;

    use super::*;

    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("log-test-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn log(&self) -> PathBuf {
            self.0.join("unit.log")
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn text(path: &Path, lines: usize) -> String {
        String::from_utf8(last_lines(path, lines).unwrap().0).unwrap()
    }

    #[test]
    fn the_last_lines_are_those_of_rotated_files_too() {
        let scratch = Scratch::new("lines");
        let log = scratch.log();
        assert_eq!(text(&log, 3), "");
        fs::write(rotated(&log, 2), "1\n2\n").unwrap();
        fs::write(rotated(&log, 1), "3\n4\n").unwrap();
        fs::write(&log, "5\n6\n7").unwrap();
        assert_eq!(text(&log, 0), "");
        assert_eq!(text(&log, 1), "7");
        assert_eq!(text(&log, 2), "6\n7");
        assert_eq!(text(&log, 100), "1\n2\n3\n4\n5\n6\n7");
        fs::write(&log, "5\n6\n7\n").unwrap();
        assert_eq!(text(&log, 1), "7\n");
        assert_eq!(text(&log, 4), "4\n5\n6\n7\n");
    }

    #[test]
    fn long_files_are_read_from_their_end() {
        let scratch = Scratch::new("long");
        let lines: Vec<String> = (0..100_000).map(|it| format!("line {it}\n")).collect();
        fs::write(scratch.log(), lines.concat()).unwrap();
        assert_eq!(text(&scratch.log(), 20_000), lines[80_000..].concat());
    }

    #[test]
    fn a_writer_goes_on_in_the_file_that_was_cut() {
        let scratch = Scratch::new("cut");
        let log = scratch.log();
        let mut writer = OpenOptions::new().append(true).create(true).open(&log).unwrap();
        for round in 0..8 {
            writeln!(writer, "round {round}").unwrap();
            rotate_at(&log, 5).unwrap();
            assert_eq!(fs::metadata(&log).unwrap().len(), 0);
        }
        writer.write_all(b"end\n").unwrap();
        rotate_at(&log, 5).unwrap();
        assert_eq!(fs::read_to_string(&log).unwrap(), "end\n");
        for number in 1..=KEPT {
            let content = fs::read_to_string(rotated(&log, number)).unwrap();
            assert_eq!(content, format!("round {}\n", 8 - number));
        }
        assert!(!rotated(&log, KEPT + 1).exists());
    }

    #[tokio::test]
    async fn who_follows_reads_on_over_a_rotation_and_ends_when_nobody_listens() {
        let scratch = Scratch::new("follow");
        let log = scratch.log();
        fs::write(&log, "first\nsecond\n").unwrap();
        let mut logs = read(log.clone(), 1, true);
        assert_eq!(logs.recv().await.unwrap(), b"second\n");
        let mut writer = OpenOptions::new().append(true).open(&log).unwrap();
        writer.write_all(b"third\n").unwrap();
        assert_eq!(logs.recv().await.unwrap(), b"third\n");
        rotate_at(&log, 1).unwrap();
        writer.write_all(b"fourth\n").unwrap();
        assert_eq!(logs.recv().await.unwrap(), b"fourth\n");
        let mut once = read(log, 10, false);
        assert_eq!(once.recv().await.unwrap(), b"first\nsecond\nthird\nfourth\n");
        assert_eq!(once.recv().await, None);
    }
}
