//! What was changed on this host, as a file: on disk before the change, so that whoever comes after
//! a crash can undo it.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::runtime_dir::write_atomically;

/// What has to be undone. A contract between versions: fields are added, with a default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The names of the macvlans that were made, or are about to be.
    #[serde(default)]
    pub macvlans: BTreeSet<String>,
    /// The sysctls that were changed, or are about to be.
    #[serde(default)]
    pub sysctls: Vec<Changed>,
}

/// A sysctl of an interface that was there before mainstay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// The interface's index: under the same name there may be another one later.
    pub ifindex: u32,
    /// Such as `ipv4/arp_ignore`.
    pub key: String,
    /// Its value before.
    pub original: i32,
    /// Its value since. If it has yet another one, somebody else has changed it.
    pub set: i32,
}

impl Record {
    /// Reads what [`Record::save`] wrote; nothing if there is no file.
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

    /// Writes the file; removes it if nothing has to be undone.
    ///
    /// # Errors
    /// If it cannot be written or removed.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        if !self.is_empty() {
            return write_atomically(path, &serde_json::to_vec_pretty(self)?);
        }
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Whether there is nothing to undo.
    pub fn is_empty(&self) -> bool {
        self.macvlans.is_empty() && self.sysctls.is_empty()
    }

    /// What was changed of an interface.
    pub fn changed(&self, ifindex: u32, key: &str) -> Option<&Changed> {
        self.sysctls.iter().find(|it| it.ifindex == ifindex && it.key == key)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_file_reads_back_and_vanishes_with_the_last_entry() {
        let path = std::env::temp_dir().join(format!("mainstay-host-{}", std::process::id()));
        assert!(Record::load(&path).unwrap().is_empty());
        let changed =
            Changed { ifindex: 2, key: "ipv4/arp_ignore".to_owned(), original: 0, set: 1 };
        let record =
            Record { macvlans: BTreeSet::from(["ms4.51.2".to_owned()]), sysctls: vec![changed] };
        record.save(&path).unwrap();
        assert_eq!(Record::load(&path).unwrap(), record);
        assert_eq!(record.changed(2, "ipv4/arp_ignore").map(|it| it.set), Some(1));
        assert_eq!(record.changed(3, "ipv4/arp_ignore"), None);
        Record::default().save(&path).unwrap();
        assert!(!path.exists());
        std::fs::write(&path, "{").unwrap();
        assert!(Record::load(&path).is_err());
        std::fs::write(&path, r#"{"later": 1}"#).unwrap();
        assert!(Record::load(&path).unwrap().is_empty());
        std::fs::remove_file(&path).unwrap();
    }
}
