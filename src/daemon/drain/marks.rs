//! Which virtual routers are drained: marks that outlive the daemon and the node's reboot.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::runtime_dir::write_durably;
use crate::timestamp::Timestamp;

/// That a virtual router is drained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Since when.
    pub since: Timestamp,
    /// Who asked for it.
    pub by: String,
}

/// The drained virtual routers, by name. One that the configuration does not name keeps its mark:
/// it may come back.
///
/// On disk it is a contract between versions: fields are added, with a default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marks {
    #[serde(default)]
    routers: BTreeMap<String, Mark>,
}

impl Marks {
    /// Reads what [`Marks::save`] wrote; none if there is no file.
    ///
    /// # Errors
    /// If the file cannot be read or is none of ours.
    pub fn load(path: &Path) -> io::Result<Self> {
        match std::fs::read(path) {
            Ok(content) => Ok(serde_json::from_slice(&content)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    /// Writes the file; it is on disk when this returns.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        write_durably(path, &serde_json::to_vec_pretty(self)?)
    }

    /// The mark of a virtual router.
    pub fn get(&self, router: &str) -> Option<&Mark> {
        self.routers.get(router)
    }

    /// The names of all that are marked.
    pub fn names(&self) -> BTreeSet<String> {
        self.routers.keys().cloned().collect()
    }

    /// Marks a virtual router.
    pub fn set(&mut self, router: &str, mark: Mark) {
        self.routers.insert(router.to_owned(), mark);
    }

    /// Takes the mark away; `None` if there is none.
    pub fn remove(&mut self, router: &str) -> Option<Mark> {
        self.routers.remove(router)
    }
}

/// Writes the marks beside the daemon's loop: a disk may hang.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    running: Option<JoinHandle<io::Result<()>>>,
    /// What is to be written after that.
    next: Option<Marks>,
}

impl Writer {
    /// Writes to the file at `path`.
    pub fn new(path: PathBuf) -> Self {
        Self { path, running: None, next: None }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Has the marks written; [`Writer::written`] tells when they are.
    pub fn write(&mut self, marks: Marks) {
        self.next = Some(marks);
        if self.running.is_none() {
            self.go_on();
        }
    }

    /// Whether all is written.
    pub fn is_idle(&self) -> bool {
        self.running.is_none()
    }

    /// Waits until all is written, or the last attempt has failed. Loses nothing when it is
    /// cancelled.
    ///
    /// # Errors
    /// If the last marks could not be written.
    pub async fn written(&mut self) -> io::Result<()> {
        loop {
            let Some(running) = &mut self.running else { return std::future::pending().await };
            let outcome = running.await.unwrap_or_else(|error| Err(io::Error::other(error)));
            self.running = None;
            if self.next.is_none() {
                return outcome;
            }
            self.go_on();
        }
    }

    fn go_on(&mut self) {
        if let Some(marks) = self.next.take() {
            let path = self.path.clone();
            self.running = Some(spawn_blocking(move || marks.save(&path)));
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn mark(by: &str) -> Mark {
        Mark { since: Timestamp::from_unix_nanos(1_700_000_000_000_000_000), by: by.to_owned() }
    }

    fn file(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("mainstay-{name}-{}", std::process::id()))
    }

    #[test]
    fn the_file_reads_back_and_a_missing_one_is_empty() {
        let path = file("marks");
        assert_eq!(Marks::load(&path).unwrap(), Marks::default());
        let mut marks = Marks::default();
        marks.set("api", mark("alice"));
        marks.save(&path).unwrap();
        assert_eq!(Marks::load(&path).unwrap(), marks);
        assert_eq!(marks.remove("api"), Some(mark("alice")));
        assert_eq!(marks.remove("api"), None);
        std::fs::write(&path, r#"{"routers": {"api": {"since": "2023-"#).unwrap();
        assert!(Marks::load(&path).is_err());
        std::fs::remove_file(&path).unwrap();
    }

    /// The marks outlive an upgrade.
    #[test]
    fn a_file_of_this_version_is_understood_later() {
        let text = r#"{"routers": {"api": {"since": "2023-11-14T22:13:20.000Z", "by": "bob"}},
                       "later": 1}"#;
        let marks: Marks = serde_json::from_str(text).unwrap();
        assert_eq!(marks.get("api"), Some(&mark("bob")));
        assert_eq!(marks.names().len(), 1);
    }

    #[tokio::test]
    async fn of_many_marks_the_last_are_written() {
        let path = file("writer");
        let mut writer = Writer::new(path.clone());
        for by in ["a", "b", "c"] {
            let mut marks = Marks::default();
            marks.set("api", mark(by));
            writer.write(marks);
        }
        writer.written().await.unwrap();
        assert!(writer.is_idle());
        assert_eq!(Marks::load(&path).unwrap().get("api"), Some(&mark("c")));
        std::fs::remove_file(&path).unwrap();
        let mut lost = Writer::new(path.join("nowhere"));
        lost.write(Marks::default());
        assert!(lost.written().await.is_err());
    }
}
