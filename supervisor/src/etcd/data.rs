//! What a data directory and its disk look like.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::wal;
use super::{ClusterId, MemberId};

/// Data that was moved out of the way stays in the data directory under a name that begins so.
pub const SET_ASIDE: &str = "set-aside-";
/// A restore that has not ended.
pub(super) const RESTORING: &str = "restoring-";

/// A data directory as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataDir {
    /// What is in it.
    pub content: Content,
    /// Where it is; that of the nearest folder above if it is missing. `None` if not even that can be told.
    pub place: Option<Place>,
}

/// What is in a data directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// There is no such directory.
    Missing,
    /// Nothing of etcd's.
    Empty,
    /// A member's data.
    Member {
        /// Of which cluster.
        cluster: ClusterId,
        /// Of which member.
        member: MemberId,
    },
    /// A member's folder that has no write-ahead log: a first start that was cut short, or what is left of a member.
    NoLog,
    /// Something that etcd must not be started on: why, in words.
    Unusable(String),
}

/// Where a directory is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The file system's UUID, where udev tells it.
    pub uuid: Option<String>,
    /// The file system's own number, where it outlives a reboot.
    pub fsid: Option<u64>,
    /// `ext4`, `xfs`, ...
    pub kind: String,
    /// Where it is mounted.
    pub mount_point: String,
    /// The directory's number in it.
    pub inode: u64,
}

/// Whether two places are on one file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameDisk {
    /// They are.
    Yes,
    /// They are not.
    No,
    /// That cannot be told.
    Unknown,
}

impl Place {
    /// Whether `other` is on the same file system.
    pub fn same_disk(&self, other: &Place) -> SameDisk {
        let same = |yes| if yes { SameDisk::Yes } else { SameDisk::No };
        match (&self.uuid, &other.uuid, self.fsid, other.fsid) {
            (Some(here), Some(there), ..) => same(here == there),
            _ if self.kind != other.kind => SameDisk::No,
            (_, _, Some(here), Some(there)) => same(here == there),
            _ => SameDisk::Unknown,
        }
    }

    /// `ext4 mounted at /var/lib/etcd, UUID 1234-...`
    pub fn words(&self) -> String {
        let name = match (&self.uuid, self.fsid) {
            (Some(uuid), _) => format!(", UUID {uuid}"),
            (None, Some(fsid)) => format!(", number {fsid:x}"),
            (None, None) => String::new(),
        };
        format!("{} mounted at {}{name}", self.kind, self.mount_point)
    }

    fn of(path: &Path) -> Option<Self> {
        let metadata = path.metadata().ok()?;
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
        let real = path.canonicalize().ok()?;
        let (mount_point, kind) = mount_of(&mounts, &real)?;
        let number = rustix::fs::statvfs(path).ok().map(|it| it.f_fsid);
        // Of these the number comes from the file system itself; others make it up from the device's.
        let lasting = ["ext2", "ext3", "ext4", "btrfs", "zfs", "tmpfs"].contains(&kind.as_str());
        let fsid = number.filter(|number| lasting && *number != 0);
        let uuid = uuid_of(metadata.dev());
        Some(Self { uuid, fsid, kind, mount_point, inode: metadata.ino() })
    }
}

impl DataDir {
    /// Looks at a data directory. Reads the disk, which may take as long as the disk does.
    pub fn observe(path: &Path) -> Self {
        let nearest = path.ancestors().find(|it| it.exists());
        Self { content: content(path), place: nearest.and_then(Place::of) }
    }
}

fn content(path: &Path) -> Content {
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(why) if why.kind() == ErrorKind::NotFound => return Content::Missing,
        Err(why) => return Content::Unusable(format!("it cannot be read: {why}")),
    };
    let mut others = Vec::new();
    for entry in entries {
        let name = match entry {
            Ok(entry) => entry.file_name().to_string_lossy().into_owned(),
            Err(why) => return Content::Unusable(format!("it cannot be read: {why}")),
        };
        let harmless = name == "lost+found"
            || name.starts_with('.')
            || name.starts_with(SET_ASIDE)
            || name.starts_with(RESTORING);
        if !harmless {
            others.push(name);
        }
    }
    if others.iter().any(|name| name == "member") {
        return member(&path.join("member"));
    }
    match others.first() {
        None => Content::Empty,
        Some(name) => Content::Unusable(format!("it holds {name}, which is not etcd's")),
    }
}

fn member(path: &Path) -> Content {
    match wal::owner(&path.join("wal")) {
        Err(why) => Content::Unusable(why),
        Ok(None) => Content::NoLog,
        Ok(Some(_)) if !path.join("snap/db").exists() => {
            Content::Unusable(format!("{} has a write-ahead log but no database", path.display()))
        }
        Ok(Some((cluster, member))) => Content::Member { cluster, member },
    }
}

/// The mount point that a path is below, and its file system's type, from the text of `/proc/self/mountinfo`: the last one
/// of the longest, since a later mount hides an earlier one.
fn mount_of(mounts: &str, path: &Path) -> Option<(String, String)> {
    let below = mounts.lines().filter_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        // Spaces and the like are octal escapes.
        let point = left.split(' ').nth(4)?.replace("\\040", " ");
        let kind = right.split(' ').next()?;
        path.starts_with(&point).then(|| (point, kind.to_owned()))
    });
    below.max_by_key(|(point, _)| point.len())
}

/// The UUID of the file system on a block device, as udev has written it down.
fn uuid_of(device: u64) -> Option<String> {
    let links = std::fs::read_dir("/dev/disk/by-uuid").ok()?.filter_map(Result::ok);
    let is_it =
        |link: &std::fs::DirEntry| link.path().metadata().is_ok_and(|it| it.rdev() == device);
    Some(links.into_iter().find(is_it)?.file_name().to_string_lossy().into_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn place(uuid: Option<&str>, fsid: Option<u64>, kind: &str) -> Place {
        let uuid = uuid.map(str::to_owned);
        Place { uuid, fsid, kind: kind.into(), mount_point: "/var/lib/etcd".into(), inode: 2 }
    }

    #[test]
    fn a_file_system_is_known_by_its_uuid_then_by_its_number() {
        let disk = place(Some("a"), Some(1), "ext4");
        assert_eq!(disk.same_disk(&place(Some("a"), Some(1), "ext4")), SameDisk::Yes);
        assert_eq!(disk.same_disk(&place(Some("b"), Some(1), "ext4")), SameDisk::No);
        assert_eq!(disk.same_disk(&place(None, Some(1), "ext4")), SameDisk::Yes);
        assert_eq!(disk.same_disk(&place(None, Some(2), "ext4")), SameDisk::No);
        assert_eq!(disk.same_disk(&place(None, Some(1), "tmpfs")), SameDisk::No);
        assert_eq!(
            place(None, None, "xfs").same_disk(&place(None, None, "xfs")),
            SameDisk::Unknown
        );
        assert_eq!(place(None, None, "xfs").same_disk(&disk), SameDisk::No);
    }

    #[test]
    fn the_innermost_and_latest_mount_counts() {
        let mounts = "\
            21 1 254:0 / / rw - ext4 /dev/vda rw\n\
            30 21 0:30 / /var/lib rw shared:1 - xfs /dev/vdb rw\n\
            31 30 0:31 / /var/lib/my\\040etcd rw - ext4 /dev/vdc rw\n\
            32 30 0:32 / /var/lib/my\\040etcd rw - tmpfs tmpfs rw\n";
        let of = |path: &str| mount_of(mounts, Path::new(path)).unwrap();
        assert_eq!(of("/var/lib/my etcd/member"), ("/var/lib/my etcd".into(), "tmpfs".into()));
        assert_eq!(of("/var/lib/my"), ("/var/lib".into(), "xfs".into()));
        assert_eq!(of("/var"), ("/".into(), "ext4".into()));
    }
}
