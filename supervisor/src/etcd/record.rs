//! What mainstay remembers of etcd on this node: what an operator has asked for, then which member it became.
//!
//! `etcd.json` in the state directory. It is what tells an empty disk from a new master.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::data::Place;
use super::{ClusterId, Error, MemberId};
use crate::state_file::move_aside;

const FILE: &str = "etcd.json";

/// What is remembered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Record {
    /// Nothing: etcd has never run here under mainstay, and nobody has asked for it.
    #[default]
    Nothing,
    /// `mainstay init`: a new cluster of all masters in the configuration.
    Bootstrap,
    /// `mainstay join` or `etcd replace`: this node was added to a cluster.
    Join(Joining),
    /// etcd has run here.
    Member(Identity),
}

/// As what this node was added to a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joining {
    /// Which cluster.
    pub cluster: ClusterId,
    /// The member that this node is.
    pub member: MemberId,
    /// etcd's `--initial-cluster`: the members then, and this node.
    pub initial_cluster: String,
}

/// Which member this node is, and where its data lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Which cluster.
    pub cluster: ClusterId,
    /// Which member of it.
    pub member: MemberId,
    /// Where its data lies; `None` if that could not be told.
    pub place: Option<Place>,
}

/// A record that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// What it says.
    pub record: Record,
    /// Where a file that made no sense was moved to; the record is empty then.
    pub moved_aside: Option<PathBuf>,
}

impl Record {
    /// Reads the record of a state directory. One that makes no sense is moved aside, to `etcd.json.corrupt-N`.
    ///
    /// # Errors
    /// If the file is there but cannot be read, or moved aside.
    pub fn load(state_dir: &Path) -> Result<Read, Error> {
        let path = state_dir.join(FILE);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(why) if why.kind() == ErrorKind::NotFound => {
                return Ok(Read { record: Self::Nothing, moved_aside: None });
            }
            Err(why) => return Err(Error::file("read", &path)(why)),
        };
        if let Ok(record) = serde_json::from_slice(&text) {
            return Ok(Read { record, moved_aside: None });
        }
        let aside = move_aside(&path).path().map_err(Error::file("move aside", &path))?;
        Ok(Read { record: Self::Nothing, moved_aside: Some(aside) })
    }

    /// Writes the record, so that it outlives a crash of the node. A reader sees the old one or the new one.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn save(&self, state_dir: &Path) -> Result<(), Error> {
        let path = state_dir.join(FILE);
        let temporary = state_dir.join(format!("{FILE}.new"));
        let write = || {
            std::fs::create_dir_all(state_dir)?;
            let mut file = File::create(&temporary)?;
            file.write_all(&serde_json::to_vec_pretty(self)?)?;
            file.sync_all()?;
            std::fs::rename(&temporary, &path)?;
            File::open(state_dir)?.sync_all()
        };
        write().map_err(Error::file("write", &path))
    }
}
