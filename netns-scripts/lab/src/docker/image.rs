//! Images of binaries of this machine: no registry is needed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Dockerd, output};
use crate::LabError;

/// An image of a few programs and the libraries that they need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BinaryImage {
    /// Name and tag: `etcd:lab`.
    pub name: String,
    /// Programs, as absolute paths, which they have in the image too.
    pub programs: Vec<PathBuf>,
}

impl BinaryImage {
    /// An image of one program.
    pub fn new(name: impl Into<String>, program: impl Into<PathBuf>) -> Self {
        Self { name: name.into(), programs: vec![program.into()] }
    }

    /// Debian's etcd and etcdctl.
    pub fn etcd(name: impl Into<String>) -> Self {
        let programs = ["/usr/bin/etcd", "/usr/bin/etcdctl"].map(PathBuf::from);
        let programs = programs.into_iter().filter(|program| program.exists()).collect();
        Self { name: name.into(), programs }
    }

    /// Copies programs and libraries below `root`.
    ///
    /// # Errors
    /// If a program is not there.
    pub fn fill(&self, root: &Path) -> Result<(), LabError> {
        for program in &self.programs {
            copy(program, root).map_err(LabError::instrument("making an image"))?;
            // Fails for what is linked statically.
            let libraries = output(Command::new("ldd").arg(program)).unwrap_or_default();
            for library in libraries.split_whitespace().filter(|word| word.starts_with('/')) {
                copy(Path::new(library), root).map_err(LabError::instrument("making an image"))?;
            }
        }
        fs::create_dir_all(root.join("tmp")).map_err(LabError::instrument("making an image"))
    }
}

/// The file itself, where it is a link.
fn copy(file: &Path, root: &Path) -> io::Result<()> {
    let target = root.join(file.strip_prefix("/").unwrap_or(file));
    if let Some(directory) = target.parent() {
        fs::create_dir_all(directory)?;
    }
    fs::copy(file, target).map(drop)
}

impl Dockerd {
    /// Imports an image; its id.
    ///
    /// # Errors
    /// If a program is not there or dockerd refuses.
    pub fn import(&self, image: &BinaryImage) -> Result<String, LabError> {
        let error = LabError::instrument;
        let root = self.setup().directory.join("root");
        let _ = fs::remove_dir_all(&root);
        image.fill(&root)?;
        let mut tar = Command::new("tar")
            .args(["--create", "--file=-", "--directory"])
            .arg(&root)
            .arg(".")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(error("running tar"))?;
        let mut import = self.cli();
        import.args(["import", "--change", "ENV PATH=/usr/bin:/bin", "-", &image.name]);
        if let Some(archive) = tar.stdout.take() {
            import.stdin(archive);
        }
        let id = output(&mut import);
        tar.wait().map_err(error("running tar"))?;
        fs::remove_dir_all(&root).map_err(error("removing an image's root"))?;
        id
    }

    /// Writes an image to a tarball, as it is carried to a machine without a registry.
    ///
    /// # Errors
    /// If dockerd refuses.
    pub fn save(&self, image: &str, to: &Path) -> Result<(), LabError> {
        self.docker(&["save", "--output", &to.display().to_string(), image]).map(drop)
    }
}
