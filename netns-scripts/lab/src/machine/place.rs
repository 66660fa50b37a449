//! Where a machine's file system is: an overlay over the root, with what is changed in memory.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::LabError;

const BASE: &str = "/run/mainstay-machines";
/// What a machine may change, images and containers included.
const SIZE: &str = "size=2g,mode=755";

/// The folder of one machine. Its mounts and cgroups go when it is dropped.
#[derive(Debug)]
pub struct Place {
    id: String,
    folder: PathBuf,
}

impl Place {
    /// Mounts it. What machines of dead processes left is removed first.
    pub fn new(root: &Path, id: &str) -> Result<Self, LabError> {
        sweep();
        let place = Self { id: id.to_owned(), folder: Path::new(BASE).join(id) };
        let error = || LabError::instrument::<io::Error>("mounting a machine's file system");
        fs::create_dir_all(&place.folder).map_err(error())?;
        mount(&["-t", "tmpfs", "-o", SIZE, "tmpfs"], &place.folder).map_err(error())?;
        for name in ["changes", "work", "root", "docker"] {
            fs::create_dir(place.folder.join(name)).map_err(error())?;
        }
        let folder = place.folder.display();
        let lower = root.display();
        let layers = format!("lowerdir={lower},upperdir={folder}/changes,workdir={folder}/work");
        mount(&["-t", "overlay", "-o", &layers, "overlay"], &place.root()).map_err(error())?;
        Ok(place)
    }

    /// What tells it from others.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The machine's `/`.
    pub fn root(&self) -> PathBuf {
        self.folder.join("root")
    }

    /// For docker's images and containers.
    pub fn docker(&self) -> PathBuf {
        self.folder.join("docker")
    }

    /// What the machine's console shows.
    pub fn log(&self) -> PathBuf {
        self.folder.join("console")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        remove(&self.id);
    }
}

fn mount(arguments: &[&str], at: &Path) -> io::Result<()> {
    let output = Command::new("mount").args(arguments).arg(at).stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}

/// Machines die with the process that booted them, which their names end in.
fn sweep() {
    for entry in fs::read_dir(BASE).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name.rsplit('-').next().and_then(|pid| pid.parse::<u32>().ok());
        if owner.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            remove(&name);
        }
    }
}

fn remove(id: &str) {
    let folder = Path::new(BASE).join(id);
    for mounted in [folder.join("root"), folder.clone()] {
        let mut umount = Command::new("umount");
        let _ = umount.arg("--lazy").arg(mounted).stdin(Stdio::null()).output();
    }
    // Fails where something is mounted still: nothing is deleted then.
    let _ = fs::remove_dir(&folder);
    let hierarchies = fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten();
    for hierarchy in hierarchies.map(|it| it.path()).chain(["/sys/fs/cgroup".into()]) {
        remove_cgroup(&hierarchy.join(id));
    }
}

fn remove_cgroup(path: &Path) {
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|it| it.is_dir()) {
            remove_cgroup(&entry.path());
        }
    }
    let _ = fs::remove_dir(path);
}
