//! A cgroup for each unit, below mainstay's own, in whatever hierarchies can be written to.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::unit::Name;

/// Of the first version's hierarchies these are used: the others refuse processes until they are configured.
const CONTROLLERS: [&str; 4] = ["memory", "pids", "cpu", "name=systemd"];

/// Moves a process to the unit's cgroup: `mainstay-UNIT`.
///
/// # Errors
/// If there is no cgroup file system, or none can be written to.
pub fn place(unit: &Name, pid: u32) -> io::Result<()> {
    let mut outcome = Err(io::Error::new(io::ErrorKind::NotFound, "no cgroup file system"));
    for directory in of(unit)? {
        match join(&directory, pid) {
            Ok(()) => outcome = Ok(()),
            Err(error) if outcome.is_err() => outcome = Err(error),
            Err(_) => {}
        }
    }
    outcome
}

/// Removes the unit's cgroups, as far as nothing runs in them.
pub fn remove(unit: &Name) {
    for directory in of(unit).unwrap_or_default() {
        // What is not there, or is used, stays so.
        let _ = fs::remove_dir(directory);
    }
}

/// Where the unit's cgroups are, or would be.
fn of(unit: &Name) -> io::Result<Vec<PathBuf>> {
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let own = fs::read_to_string("/proc/self/cgroup")?;
    let name = format!("mainstay-{unit}");
    Ok(directories(&mounts, &own).into_iter().map(|it| it.join(&name)).collect())
}

fn join(directory: &Path, pid: u32) -> io::Result<()> {
    match fs::create_dir(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    fs::write(directory.join("cgroup.procs"), pid.to_string())
}

/// Where our own cgroups are, given `/proc/self/mountinfo` and `/proc/self/cgroup`.
fn directories(mounts: &str, own: &str) -> Vec<PathBuf> {
    own.lines()
        .filter_map(|line| {
            let mut fields = line.splitn(3, ':');
            let (_, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
            let is_used = |it: &str| CONTROLLERS.contains(&it);
            if !controllers.is_empty() && !controllers.split(',').any(is_used) {
                return None;
            }
            let (root, point) = mounts.lines().find_map(|mount| mounted(mount, controllers))?;
            let below = Path::new(path).strip_prefix(root).ok()?;
            Some(Path::new(point).join(below))
        })
        .collect()
}

/// The root and the mount point in a line of mountinfo, if it is the hierarchy of these controllers; none: version 2.
fn mounted<'a>(line: &'a str, controllers: &str) -> Option<(&'a str, &'a str)> {
    let (place, kind) = line.split_once(" - ")?;
    let mut kind = kind.split(' ');
    let (file_system, options) = (kind.next()?, kind.nth(1)?);
    let matches = match file_system {
        "cgroup2" => controllers.is_empty(),
        "cgroup" => {
            !controllers.is_empty()
                && controllers.split(',').all(|it| options.split(',').any(|has| has == it))
        }
        _ => false,
    };
    let mut place = place.split(' ').skip(3);
    matches.then(|| Some((place.next()?, place.next()?))).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_two_is_found_alone_and_beside_version_one() {
        let mounts =
            "29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate";
        let own = "0::/system.slice/mainstay.service";
        let directory = PathBuf::from("/sys/fs/cgroup/system.slice/mainstay.service");
        assert_eq!(directories(mounts, own), [directory]);

        let mounts = "30 23 0:26 / /c/memory rw - cgroup cgroup rw,memory\n\
                      31 23 0:27 /docker/x /c/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
                      32 23 0:28 / /c/cpuset rw - cgroup cgroup rw,cpuset\n\
                      33 23 0:29 / /c/unified rw - cgroup2 cgroup2 rw\n";
        let own = "4:memory:/a\n3:cpuset:/\n2:cpu,cpuacct:/docker/x/b\n1:pids:/\n0::/\n";
        let expected = ["/c/memory/a", "/c/cpu,cpuacct/b", "/c/unified/"].map(PathBuf::from);
        assert_eq!(directories(mounts, own), expected);
    }
}
