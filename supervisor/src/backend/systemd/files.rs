//! Unit files and drop-ins that are ours.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

/// Where an administrator's units are; ours are among them, so that they can be looked at where one looks.
pub const UNIT_FOLDER: &str = "/etc/systemd/system";
/// The first line of what is ours; what does not begin with it is never overwritten.
const MARK: &str =
    "# Written by mainstay: changes here are lost. See [supervisor] in mainstay's configuration.\n";

/// Something of a unit that mainstay writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ours {
    /// The whole unit.
    Unit(String),
    /// What is to be different from the unit that somebody else wrote.
    DropIn(String),
}

impl Ours {
    /// Where it is written.
    pub(super) fn path(&self, folder: &Path, unit: &str) -> PathBuf {
        match self {
            Self::Unit(_) => folder.join(unit),
            // After kubeadm's, which is 10-kubeadm.conf.
            Self::DropIn(_) => folder.join(format!("{unit}.d")).join("90-mainstay.conf"),
        }
    }

    /// The text of the file.
    pub(super) fn text(&self) -> String {
        let (Self::Unit(text) | Self::DropIn(text)) = self;
        format!("{MARK}{text}")
    }
}

/// A file of ours, as it is on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum OnDisk {
    Missing,
    /// It is as it should be, since then (since 1970).
    Same(Duration),
    /// It has another text.
    Other,
    /// It was written by somebody else.
    Foreign,
}

pub(super) fn look(path: &Path, text: &str) -> io::Result<OnDisk> {
    let found = match fs::read_to_string(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(OnDisk::Missing),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => return Ok(OnDisk::Foreign),
        Err(error) => return Err(error),
    };
    if found == text {
        let written = fs::metadata(path)?.modified()?;
        return Ok(OnDisk::Same(written.duration_since(UNIX_EPOCH).unwrap_or_default()));
    }
    Ok(if found.starts_with(MARK) { OnDisk::Other } else { OnDisk::Foreign })
}

/// Whether a file is one of ours, or gone meanwhile.
pub(super) fn is_ours(path: &Path) -> io::Result<bool> {
    let found = look(path, "")?;
    Ok(matches!(found, OnDisk::Other | OnDisk::Missing))
}

/// Writes a file in the place of the one that is there.
pub(super) fn replace(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // systemd reads no file of such a name.
    let temporary = folder.join(format!(".{name}.new"));
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(&temporary)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    File::open(folder)?.sync_all()
}
