//! The state on disk.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::backend::Identity;
use crate::core::Memory;
use crate::state_file::move_aside;
use crate::unit::Name;

/// Newer files are not understood.
const VERSION: u32 = 1;

/// What is on disk. A contract between versions: fields are added, with a default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    version: u32,
    /// Which start of the machine wrote it.
    boot: String,
    units: BTreeMap<Name, Remembered>,
}

/// What is on disk of one unit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    /// What runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
    /// Whether the operator has stopped it. Holds until the machine boots.
    #[serde(default)]
    pub stopped: bool,
}

/// What was found on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// What is known of units.
    pub memory: BTreeMap<Name, Memory>,
    /// What the operator should know of the file.
    pub warning: Option<String>,
}

impl Record {
    /// What the core remembers, in this start of the machine.
    pub fn new(boot: &str, memory: BTreeMap<Name, Memory>) -> Self {
        let remembered = |it: Memory| Remembered { identity: it.known, stopped: it.stopped };
        let units = memory.into_iter().map(|(name, it)| (name, remembered(it))).collect();
        Self { version: VERSION, boot: boot.to_owned(), units }
    }

    /// Writes the file: whole or not at all, whenever the machine may stop.
    ///
    /// # Errors
    /// If it cannot be written; the old file stands.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        let mut name = OsString::from(path);
        name.push(".new");
        let temporary = PathBuf::from(name);
        let mut options = OpenOptions::new();
        let mut file =
            options.write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(&serde_json::to_vec_pretty(self)?)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        let directory = path.parent().unwrap_or(Path::new("."));
        File::open(directory)?.sync_all()
    }

    fn memory(self, boot: &str) -> BTreeMap<Name, Memory> {
        let same_boot = self.boot == boot;
        let memory =
            |it: Remembered| Memory { known: it.identity, stopped: it.stopped && same_boot };
        self.units.into_iter().map(|(name, it)| (name, memory(it))).collect()
    }
}

/// Reads what [`Record::save`] wrote. A file that cannot be understood is moved aside: what runs is found without it.
pub fn load(path: &Path, boot: &str) -> Loaded {
    let broken = match fs::read(path) {
        Ok(content) => match serde_json::from_slice::<Record>(&content) {
            Ok(record) if record.version == VERSION => {
                return Loaded { memory: record.memory(boot), warning: None };
            }
            Ok(record) => format!("it is of version {}", record.version),
            Err(error) => error.to_string(),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Loaded::default(),
        Err(error) => error.to_string(),
    };
    let shown = path.display();
    let aside = move_aside(path);
    let warning = format!(
        "the supervisor's state {shown} could not be read ({broken}): {aside}, and what runs was looked up instead: \
         check `mainstay unit list` for units that you had stopped"
    );
    Loaded { memory: BTreeMap::new(), warning: Some(warning) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::super::FILE;
    use super::*;

    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Self {
            let name = format!("record-test-{name}-{}", std::process::id());
            let path = std::env::temp_dir().join(name);
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn memory() -> BTreeMap<Name, Memory> {
        let identity = Identity::Container { id: "c1".to_owned(), spec_hash: "h".to_owned() };
        let name = |text| Name::new(text).unwrap();
        BTreeMap::from([
            (name("etcd"), Memory { known: Some(identity), stopped: false }),
            (name("kubelet"), Memory { known: None, stopped: true }),
        ])
    }

    #[test]
    fn the_state_reads_back() {
        let directory = Directory::new("back");
        let path = directory.0.join(FILE);
        assert_eq!(load(&path, "b1"), Loaded::default());
        Record::new("b1", memory()).save(&path).unwrap();
        assert_eq!(load(&path, "b1"), Loaded { memory: memory(), warning: None });
    }

    #[test]
    fn what_an_operator_stopped_starts_again_when_the_machine_boots() {
        let directory = Directory::new("boot");
        let path = directory.0.join(FILE);
        Record::new("b1", memory()).save(&path).unwrap();
        let loaded = load(&path, "b2");
        assert!(loaded.memory.values().all(|it| !it.stopped));
        assert!(loaded.memory["etcd"].known.is_some());
    }

    #[test]
    fn a_file_that_cannot_be_understood_is_moved_aside_each_time_and_reported() {
        let directory = Directory::new("corrupt");
        let path = directory.0.join(FILE);
        let newer = r#"{"version": 2, "boot": "b", "units": {}}"#;
        for (number, content) in ["{\"ver", "", "[1]", newer].iter().enumerate() {
            fs::write(&path, content).unwrap();
            let loaded = load(&path, "b1");
            assert!(loaded.memory.is_empty());
            let aside = directory.0.join(format!("{FILE}.corrupt-{}", number + 1));
            assert!(loaded.warning.unwrap().contains(aside.to_str().unwrap()));
            assert_eq!(fs::read_to_string(aside).unwrap(), *content);
            assert!(!path.exists());
        }
    }

    proptest! {
        #[test]
        fn whatever_a_file_holds_it_is_read_or_moved_aside(content in prop::collection::vec(any::<u8>(), 0..200)) {
            let directory = Directory::new("any");
            let path = directory.0.join(FILE);
            fs::write(&path, &content).unwrap();
            let loaded = load(&path, "b1");
            prop_assert_eq!(loaded.warning.is_some(), !path.exists());
        }
    }
}
