//! The writes that etcd acknowledged, and whether they are still there.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use super::Access;
use super::base64::encode;
use super::connection::{Connection, Pair};
use crate::{LabError, Node, Stamp, within};

/// How many keys are asked for at a time.
const PAGE: u64 = 1000;

/// A write that etcd said it has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// Its key, which is its value too and is written once.
    pub key: String,
    /// The revision that etcd gave it.
    pub revision: u64,
    /// When the answer came.
    pub at: Stamp,
}

/// All writes that etcd said it has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written(Vec<Acknowledged>);

/// What a member has of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// How many were looked for.
    pub acknowledged: usize,
    /// Those that are not there, or not as they were written.
    pub lost: Vec<Acknowledged>,
}

/// The key of a write: the writer, the member that it was sent to, its number.
pub fn key(run: &str, node: Node, number: u64) -> String {
    format!("/written/{run}/{node}/{number:010}")
}

impl fmt::Display for Acknowledged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, revision, at } = self;
        write!(f, "{key} {revision} {}", at.nanos())
    }
}

impl FromStr for Acknowledged {
    type Err = io::Error;

    fn from_str(line: &str) -> io::Result<Self> {
        let words: Vec<&str> = line.split(' ').collect();
        let parsed = match words[..] {
            [key, revision, at] => {
                revision.parse().ok().zip(at.parse().ok()).map(|(revision, at)| Self {
                    key: key.to_owned(),
                    revision,
                    at: Stamp::from_nanos(at),
                })
            }
            _ => None,
        };
        parsed.ok_or_else(|| io::Error::other(format!("no line of a writer's log: {line:?}")))
    }
}

impl Written {
    /// Reads the logs of a writer.
    ///
    /// # Errors
    /// If one cannot be read. A last line that is cut short is left out: its writer was killed.
    pub fn read(folder: &Path) -> Result<Self, LabError> {
        let read = || -> io::Result<Self> {
            let mut all: Vec<Acknowledged> = Vec::new();
            for entry in std::fs::read_dir(folder)? {
                let text = std::fs::read_to_string(entry?.path())?;
                let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
                for line in whole.lines() {
                    all.push(line.parse()?);
                }
            }
            all.sort_by_key(|write| write.at);
            Ok(Self(all))
        };
        read().map_err(LabError::instrument("reading a writer's logs"))
    }

    /// The writes, in the order of their acknowledgement.
    pub fn writes(&self) -> &[Acknowledged] {
        &self.0
    }

    /// The longest time between two acknowledgements since `start`, of whichever members.
    pub fn longest_silence(&self, start: Stamp) -> Duration {
        let since = self.0.iter().filter(|write| write.at >= start);
        let mut last = start;
        let gap = since.map(|write| {
            let gap = write.at - last;
            last = write.at;
            gap
        });
        gap.max().unwrap_or_default()
    }

    /// Those up to a moment.
    pub fn until(&self, end: Stamp) -> Self {
        Self(self.0.iter().filter(|write| write.at <= end).cloned().collect())
    }

    /// Looks for all of them on a member, which asks the others for what it may have missed.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn find(&self, access: &Access, node: Node) -> Result<Found, LabError> {
        let look = || self.look(Connection::new(access.call(node)));
        within(&access.namespace, look)?.map_err(LabError::instrument("looking for writes"))
    }

    fn look(&self, mut connection: Connection) -> io::Result<Found> {
        // The greatest number of each writer and member.
        let mut last: BTreeMap<&str, u64> = BTreeMap::new();
        for write in &self.0 {
            let (prefix, number) = write.key.rsplit_once('/').unwrap_or_default();
            let number = number.parse::<u64>().map_err(io::Error::other)?;
            let greatest = last.entry(prefix).or_default();
            *greatest = number.max(*greatest);
        }
        let mut there: HashMap<String, Pair> = HashMap::new();
        for (prefix, greatest) in last {
            let mut first = 0;
            while first <= greatest {
                let end = first + PAGE;
                let of = |number| format!("{prefix}/{number:010}");
                let pairs = connection.range(&of(first), &of(end))?;
                there.extend(pairs.into_iter().map(|pair| (pair.key.clone(), pair)));
                first = end;
            }
        }
        let is_there = |write: &&Acknowledged| {
            let key = encode(&write.key);
            let found = there.get(&key);
            found.is_some_and(|pair| pair.value == key && pair.revision == write.revision)
        };
        let lost = self.0.iter().filter(|write| !is_there(write)).cloned().collect();
        Ok(Found { acknowledged: self.0.len(), lost })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn write(number: u64, at: i64) -> Acknowledged {
        let node = Node::new(1).unwrap();
        Acknowledged {
            key: key("run", node, number),
            revision: number + 2,
            at: Stamp::from_nanos(at),
        }
    }

    #[test]
    fn a_log_is_read_as_it_was_written() {
        let folder = std::env::temp_dir().join(format!("lab-written-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let lines = format!("{}\n{}\n{}", write(0, 5), write(1, 9), "/written/cut");
        std::fs::write(folder.join("m1.log"), lines).unwrap();
        let written = Written::read(&folder).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(written.writes(), [write(0, 5), write(1, 9)]);
    }

    #[test]
    fn the_longest_silence_counts_from_the_start() {
        let written = Written(vec![write(0, 5), write(1, 9), write(2, 30), write(3, 40)]);
        assert_eq!(written.longest_silence(Stamp::from_nanos(0)).as_nanos(), 21);
        assert_eq!(written.longest_silence(Stamp::from_nanos(10)).as_nanos(), 20);
    }
}
