//! Which tarballs have been loaded, on disk, so that a restart does not load them again.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::state_file::move_aside;

/// What is known of the tarballs in the folder, by file name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) tarballs: BTreeMap<String, Tarball>,
}

/// One that has been loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tarball {
    /// What it looked like; while it does it is not read again.
    pub(super) look: Look,
    /// Its SHA-256.
    pub(super) digest: String,
    /// Names, or ids where it has no names, of the images in it.
    pub(super) images: Vec<String>,
}

/// What a file looks like without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Look {
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl From<&Metadata> for Look {
    fn from(of: &Metadata) -> Self {
        Self { inode: of.ino(), size: of.size(), changed: (of.ctime(), of.ctime_nsec()) }
    }
}

impl Record {
    /// As it was saved. Without one, or with one that cannot be read, nothing is known: everything is loaded again.
    pub(super) fn read(path: &Path) -> Self {
        let Ok(bytes) = fs::read(path) else { return Self::default() };
        serde_json::from_slice(&bytes).unwrap_or_else(|error| {
            let aside = move_aside(path);
            let path = path.display();
            tracing::warn!("{path} is no record of images ({error}): {aside}; loading all again");
            Self::default()
        })
    }

    /// Saves it, whole or not at all.
    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        let aside = path.with_extension("tmp");
        let mut file = File::create(&aside)?;
        file.write_all(&serde_json::to_vec_pretty(self)?)?;
        file.sync_all()?;
        fs::rename(&aside, path)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_record_is_read_back_and_a_broken_one_is_none() {
        let directory =
            std::env::temp_dir().join(format!("mainstay-record-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let path = directory.join("images.json");
        assert_eq!(Record::read(&path), Record::default());
        let look = Look::from(&fs::metadata(&directory).unwrap());
        let images = vec!["etcd:1".to_owned()];
        let tarball = Tarball { look, digest: "abc".to_owned(), images };
        let record = Record { tarballs: BTreeMap::from([("etcd.tar".to_owned(), tarball)]) };
        record.write(&path).unwrap();
        assert_eq!(Record::read(&path), record);
        fs::write(&path, "{").unwrap();
        assert_eq!(Record::read(&path), Record::default());
        assert!(directory.join("images.json.corrupt-1").exists());
        fs::remove_dir_all(&directory).unwrap();
    }
}
