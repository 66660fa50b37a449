//! Snapshots: taken from a member, verified while they come in and again whenever one is used, and only so many kept.
//!
//! A snapshot is the member's database with its SHA-256 behind it, as `etcdctl snapshot save` writes it: etcd's own tools read
//! it. Beside it, `NAME.json` says where it is from.

use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use time::{Date, Month, OffsetDateTime};

use super::rpc::Client;
use super::rpc::messages::RangeRequest;
use super::schedule;
use super::{ClusterId, Error, MemberId, Progress, Refusal};

const PREFIX: &str = "etcd-";
const SUFFIX: &str = ".db";
const DIGEST: u64 = 32;
/// bbolt writes whole pages; the smallest page size that it knows.
const PAGE: u64 = 512;
/// Progress is told each time so much has come in.
const TOLD: u64 = 64 << 20;

/// Where a snapshot is from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The cluster.
    pub cluster: ClusterId,
    /// The member.
    pub member: MemberId,
    /// etcd's version.
    pub version: String,
    /// A revision that it certainly holds.
    pub revision: i64,
    /// When it was taken, in seconds since 1970.
    pub taken: u64,
    /// The SHA-256 of the database, in hexadecimal digits.
    pub sha256: String,
}

/// A snapshot that is on the disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Snapshot {
    /// The file.
    pub path: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
    /// When it was taken, in seconds since 1970.
    pub taken: u64,
    /// Where it is from, if that is known.
    pub origin: Option<Origin>,
}

/// A snapshot that was taken, and those that went for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Taken {
    /// The new one.
    pub snapshot: Snapshot,
    /// Files that were removed because enough newer ones are there.
    pub removed: Vec<PathBuf>,
}

/// A folder of snapshots.
#[derive(Clone, Debug)]
pub struct Snapshots {
    folder: PathBuf,
    keep: usize,
}

impl Snapshots {
    /// In `folder`, the `keep` newest, of which there is at least one.
    pub fn new(folder: PathBuf, keep: usize) -> Self {
        Self { folder, keep }
    }

    /// Takes a snapshot of the member that `client` speaks to.
    ///
    /// # Errors
    /// If the member is a learner, is lost on the way, what came is not what it sent, or the disk does not take it. Nothing is
    /// left behind then, and no old snapshot goes.
    pub async fn take(&self, client: &Client, progress: &Progress) -> Result<Taken, Error> {
        let status = client.status().await?;
        if status.is_learner {
            return Err(Refusal::LearnerSnapshot { url: client.url().to_owned() }.into());
        }
        let header = status.header.unwrap_or_default();
        let revision = match catch_up(client).await {
            Ok(revision) => revision.max(header.revision),
            Err(why) => {
                progress
                    .step(format!("writes that others acknowledged last may not be in it: {why}"));
                header.revision
            }
        };
        let taken = now();
        std::fs::create_dir_all(&self.folder).map_err(Error::file("create", &self.folder))?;
        let path = self.folder.join(format!("{PREFIX}{}{SUFFIX}", stamp(taken)));
        let part = Part::create(&path)?;
        progress.step(format!("receiving the database of {}", client.url()));
        let received = receive(client, part, progress).await?;
        progress.step("its checksum is right");
        let origin = Origin {
            cluster: ClusterId(header.cluster_id),
            member: MemberId(header.member_id),
            version: status.version,
            revision,
            taken: taken.as_secs(),
            sha256: received.sha256.clone(),
        };
        let bytes = received.keep(&path, &origin)?;
        let removed = self.prune()?;
        let snapshot = Snapshot { path, bytes, taken: taken.as_secs(), origin: Some(origin) };
        Ok(Taken { snapshot, removed })
    }

    /// The snapshots in the folder, the newest first. Files that are none of ours are left out.
    ///
    /// # Errors
    /// If the folder cannot be read; one that does not exist holds none.
    pub fn list(&self) -> Result<Vec<Snapshot>, Error> {
        let mut found: Vec<Snapshot> = self
            .entries()?
            .into_iter()
            .filter_map(|(taken, name)| {
                let path = self.folder.join(name);
                let bytes = path.metadata().ok()?.len();
                let origin = origin_of(&path);
                Some(Snapshot { path, bytes, taken: taken.as_secs(), origin })
            })
            .collect();
        found.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.taken));
        Ok(found)
    }

    /// When the newest one was taken that is not from the future.
    pub(super) fn newest(&self, now: Duration) -> Option<Duration> {
        let entries = self.entries().unwrap_or_default();
        entries.into_iter().map(|(taken, _)| taken).filter(|taken| *taken <= now).max()
    }

    fn prune(&self) -> Result<Vec<PathBuf>, Error> {
        let mut removed = Vec::new();
        for name in schedule::outlived(self.entries()?, self.keep) {
            let path = self.folder.join(name);
            std::fs::remove_file(&path).map_err(Error::file("remove", &path))?;
            // One that was put here by hand has none.
            let _ = std::fs::remove_file(beside(&path));
            removed.push(path);
        }
        Ok(removed)
    }

    fn entries(&self) -> Result<Vec<(Duration, String)>, Error> {
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(why) => return Err(Error::file("read", &self.folder)(why)),
        };
        let names =
            entries.filter_map(Result::ok).filter_map(|it| it.file_name().into_string().ok());
        Ok(names.filter_map(|name| Some((read_stamp(&name)?, name))).collect())
    }
}

/// Checks a snapshot, which may take as long as it takes to read it, and tells its size in bytes.
///
/// # Errors
/// If it cannot be read, is cut short, has no checksum or another one, or is no database.
pub fn verify(path: &Path) -> Result<u64, Error> {
    let bad = |why: String| Error::BadSnapshot { path: path.display().to_string(), why };
    let file = File::open(path).map_err(Error::file("read", path))?;
    let bytes = file.metadata().map_err(Error::file("read", path))?.len();
    if bytes % PAGE != DIGEST {
        return Err(bad(format!(
            "its size, {bytes} bytes, is not that of a database with its checksum: it is cut short, or a copied database"
        )));
    }
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let mut running = Running::default();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match reader.read(&mut buffer).map_err(Error::file("read", path))? {
            0 => break,
            n => running.take(buffer.get(..n).unwrap_or_default()),
        }
    }
    running.finish().map_err(bad)?;
    Ok(bytes)
}

/// Where a snapshot is from, if that was written down.
pub fn origin_of(path: &Path) -> Option<Origin> {
    serde_json::from_slice(&std::fs::read(beside(path)).ok()?).ok()
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".json");
    name.into()
}

/// Waits until the member has all that the cluster has acknowledged so far; its revision then. A member sends what it has
/// applied, and may be behind a majority of the others.
async fn catch_up(client: &Client) -> Result<i64, Error> {
    let any = RangeRequest { key: vec![0], count_only: true, ..RangeRequest::default() };
    Ok(client.range(any).await?.header.unwrap_or_default().revision)
}

async fn receive(client: &Client, mut part: Part, progress: &Progress) -> Result<Received, Error> {
    let bad = |why: String| Error::BadSnapshot { path: client.url().to_owned(), why };
    let mut stream = client.snapshot().await?;
    let mut running = Running::default();
    let mut told = 0;
    while let Some(message) = stream.next().await? {
        running.take(&message.blob);
        // Some tens of kilobytes into the page cache; the disk is waited for at the end, by a thread that may wait.
        part.write(&message.blob)?;
        if part.bytes - told >= TOLD {
            told = part.bytes;
            progress.step(format!("{} MiB, {} to go", told >> 20, message.remaining_bytes >> 20));
        }
    }
    if part.bytes % PAGE != DIGEST {
        return Err(bad(format!("it ended after {} bytes, in the middle of a page", part.bytes)));
    }
    let sha256 = running.finish().map_err(bad)?;
    Ok(Received { part, sha256 })
}

/// A file that is removed unless it is kept.
#[derive(Debug)]
struct Part {
    file: File,
    path: PathBuf,
    bytes: u64,
}

impl Part {
    fn create(target: &Path) -> Result<Self, Error> {
        use std::os::unix::fs::OpenOptionsExt;
        let path = target.with_extension("part");
        // The database holds every Secret of the cluster.
        let file = File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .map_err(Error::file("write", &path))?;
        Ok(Self { file, path, bytes: 0 })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all(bytes).map_err(Error::file("write", &self.path))?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // Gone already if it was kept.
        let _ = std::fs::remove_file(&self.path);
    }
}

#[derive(Debug)]
struct Received {
    part: Part,
    sha256: String,
}

impl Received {
    fn keep(self, path: &Path, origin: &Origin) -> Result<u64, Error> {
        let keep = || {
            self.part.file.sync_all()?;
            std::fs::write(beside(path), serde_json::to_vec_pretty(origin)?)?;
            std::fs::rename(&self.part.path, path)?;
            File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
        };
        keep().map_err(Error::file("write", path))?;
        Ok(self.part.bytes)
    }
}

/// Sums up a database while its parts go by; the last 32 bytes are its sum.
struct Running {
    sum: Context,
    head: Vec<u8>,
    tail: Vec<u8>,
}

impl Default for Running {
    fn default() -> Self {
        Self { sum: Context::new(&SHA256), head: Vec::new(), tail: Vec::new() }
    }
}

impl Running {
    const TAIL: usize = 32;
    /// The header of bbolt's first page, and its magic number and version behind it.
    const HEAD: usize = 24;

    fn take(&mut self, bytes: &[u8]) {
        let wanted = Self::HEAD.saturating_sub(self.head.len()).min(bytes.len());
        self.head.extend_from_slice(bytes.get(..wanted).unwrap_or_default());
        self.tail.extend_from_slice(bytes);
        let surplus = self.tail.len().saturating_sub(Self::TAIL);
        self.sum.update(self.tail.get(..surplus).unwrap_or_default());
        self.tail.drain(..surplus);
    }

    /// The sum in hexadecimal digits if it is right.
    fn finish(self) -> Result<String, String> {
        // bbolt: `magic = 0xED0CDAED`, `version = 2`, in the machine's order of bytes.
        let magic = [0xed0c_daed_u32.to_ne_bytes(), 2_u32.to_ne_bytes()].concat();
        if self.head.get(16..) != Some(magic.as_slice()) {
            return Err("it is no etcd database".to_owned());
        }
        let sum = self.sum.finish();
        if sum.as_ref() != self.tail {
            return Err("its checksum is wrong: it has been damaged".to_owned());
        }
        Ok(sum.as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

/// The time of day, since 1970.
pub(super) fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// `20261123T133000Z`
pub(super) fn stamp(time: Duration) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or_default();
    let at = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (hour, minute, second) = at.to_hms();
    let (year, month, day) = (at.year(), u8::from(at.month()), at.day());
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

/// When a snapshot of that file name was taken.
fn read_stamp(name: &str) -> Option<Duration> {
    let stamp = name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
    let (day, time) = stamp.strip_suffix('Z')?.split_once('T')?;
    let number = |text: &str, at: std::ops::Range<usize>| text.get(at)?.parse::<u8>().ok();
    if day.len() != 8 || time.len() != 6 {
        return None;
    }
    let month = Month::try_from(number(day, 4..6)?).ok()?;
    let date =
        Date::from_calendar_date(day.get(..4)?.parse().ok()?, month, number(day, 6..8)?).ok()?;
    let at = date.with_hms(number(time, 0..2)?, number(time, 2..4)?, number(time, 4..6)?).ok()?;
    u64::try_from(at.assume_utc().unix_timestamp()).ok().map(Duration::from_secs)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_says_when_the_snapshot_was_taken() {
        assert_eq!(stamp(Duration::from_secs(951_782_400)), "20000229T000000Z");
        assert_eq!(stamp(Duration::from_secs(1_795_440_845)), "20261123T133405Z");
        for seconds in (0..4_000_000_000_u64).step_by(12_345_679) {
            let time = Duration::from_secs(seconds);
            assert_eq!(read_stamp(&format!("etcd-{}.db", stamp(time))), Some(time));
        }
        for other in ["etcd-20261123T133405Z.part", "etcd-.db", "member.db", "etcd-2026-11-23.db"] {
            assert_eq!(read_stamp(other), None, "{other}");
        }
    }

    fn database(pages: u8) -> Vec<u8> {
        let mut bytes = vec![7; 512 * usize::from(pages)];
        bytes[16..20].copy_from_slice(&0xed0c_daed_u32.to_ne_bytes());
        bytes[20..24].copy_from_slice(&2_u32.to_ne_bytes());
        let sum = aws_lc_rs::digest::digest(&SHA256, &bytes);
        bytes.extend_from_slice(sum.as_ref());
        bytes
    }

    #[test]
    fn a_checksum_is_right_however_the_database_comes_in_parts() {
        let bytes = database(3);
        for size in [1, 7, 31, 32, 33, 512, 10_000] {
            let mut running = Running::default();
            bytes.chunks(size).for_each(|part| running.take(part));
            assert!(running.finish().is_ok(), "in parts of {size}");
        }
    }

    #[test]
    fn a_snapshot_that_is_cut_changed_or_something_else_is_refused() {
        let path =
            std::env::temp_dir().join(format!("mainstay-etcd-verify-{}", std::process::id()));
        let verdict = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            verify(&path).map_err(|why| why.to_string())
        };
        let bytes = database(4);
        assert_eq!(verdict(&bytes), Ok(4 * 512 + 32));
        let mut changed = bytes.clone();
        changed[1000] ^= 1;
        assert!(verdict(&changed).unwrap_err().contains("checksum is wrong"));
        assert!(verdict(&bytes[..1500]).unwrap_err().contains("cut short"));
        assert!(verdict(&bytes[..4 * 512]).unwrap_err().contains("copied database"));
        let mut other = bytes;
        other[16] = 0;
        assert!(verdict(&other).unwrap_err().contains("no etcd database"));
        std::fs::remove_file(path).unwrap();
    }
}
