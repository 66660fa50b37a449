//! Images without a registry: a folder of tarballs, as `docker save` makes them.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bollard::models::BuildInfo;
use bollard::query_parameters::ImportImageOptions;
use futures_util::{StreamExt, stream};
use hyper::body::Bytes;
use tokio::fs::File;
use tokio::io::AsyncReadExt;
use tokio::sync::Mutex;

use super::record::{Look, Record, Tarball};
use super::{Client, Error};
use crate::backend::Fault;
use crate::backend::hash::spec_hash;
use crate::backend::task::{Repeat, Task};
use crate::digest;

/// What a tarball's name ends with.
const ENDINGS: [&str; 7] = [".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst", ".txz"];
/// So much is sent at a time, in bytes.
const PIECE: usize = 1 << 18;
/// Loading one tarball may take so long: gigabytes onto a slow disk.
const LOAD: Duration = Duration::from_secs(1800);

/// A folder of tarballs and the record of those that have been loaded.
#[derive(Clone, Debug)]
pub struct Images {
    folder: PathBuf,
    record: PathBuf,
    /// Held by whoever loads: nobody loads the same beside it.
    turn: Arc<Mutex<()>>,
}

/// What has become of the tarballs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Names, or ids where there are none, of images that were loaded now.
    pub loaded: Vec<String>,
    /// Those that were there already.
    pub present: Vec<String>,
    /// Tarballs that could not be loaded, and why.
    pub failed: Vec<(PathBuf, String)>,
}

impl Images {
    /// The tarballs in `folder`; `record` is the file, in the state directory, that says which have been loaded.
    pub fn new(folder: impl Into<PathBuf>, record: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), record: record.into(), turn: Arc::default() }
    }

    /// Where tarballs are looked for.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Loads each tarball that dockerd does not have the images of. One that cannot be loaded does not keep the others from
    /// it. No folder is as an empty one.
    ///
    /// # Errors
    /// If the folder cannot be read, or dockerd does not answer.
    pub async fn load(&self, client: &Client) -> Result<Loaded, Fault> {
        let _turn = self.turn.lock().await;
        let tarballs = tarballs(&self.folder).map_err(|error| {
            Fault::passing(format!("cannot read {}: {error}", self.folder.display()))
        })?;
        let mut record = Record::read(&self.record);
        let mut outcome = Loaded::default();
        for path in tarballs {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            match one(client, &path, record.tarballs.get(&name)).await {
                Ok((tarball, is_new)) => {
                    let list = if is_new { &mut outcome.loaded } else { &mut outcome.present };
                    list.extend(tarball.images.iter().cloned());
                    record.tarballs.insert(name, tarball);
                    // After each: whoever is stopped between two does not load the first one twice.
                    if let Err(error) = record.write(&self.record) {
                        tracing::warn!("cannot write {}: {error}", self.record.display());
                    }
                }
                Err(Problem::Docker(error)) if error.is_away() => {
                    return Err(error.while_doing("cannot load images"));
                }
                Err(problem) => outcome.failed.push((path, problem.to_string())),
            }
        }
        Ok(outcome)
    }
}

impl Images {
    /// The unit `images`: loads what is missing each time that mainstay starts. A tarball that cannot be loaded is logged; the
    /// unit that misses its image says so.
    pub fn task(self, client: Client) -> Task {
        let folder = spec_hash(&self.folder.to_string_lossy());
        Task::new(folder, Repeat::EachStart, move || {
            let (images, client) = (self.clone(), client.clone());
            async move {
                for (path, problem) in images.load(&client).await?.failed {
                    tracing::warn!(
                        "{} holds no image that docker takes: {problem}",
                        path.display()
                    );
                }
                Ok(())
            }
        })
    }
}

/// The id of an image by its name and tag; `None` if dockerd does not have it.
///
/// # Errors
/// If dockerd does not answer.
pub async fn image_id(client: &Client, image: &str) -> Result<Option<String>, Error> {
    match client.ask(async |docker| docker.inspect_image(image).await).await {
        Ok(inspected) => Ok(inspected.id),
        Err(error) if error.is_absent() => Ok(None),
        Err(error) => Err(error),
    }
}

#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("cannot read it: {0}")]
    File(#[from] io::Error),
    #[error("{0}")]
    Docker(#[from] Error),
    #[error("there is no image in it: make it with docker save")]
    Empty,
}

/// Loads one tarball unless `known` says that it has been and its images are still there; whether it was loaded.
async fn one(
    client: &Client,
    path: &Path,
    known: Option<&Tarball>,
) -> Result<(Tarball, bool), Problem> {
    let look = Look::from(&tokio::fs::metadata(path).await?);
    let known = match known {
        Some(known) if are_present(client, &known.images).await? => Some(known),
        _ => None,
    };
    if let Some(known) = known.filter(|known| known.look == look) {
        return Ok((known.clone(), false));
    }
    let file = path.to_owned();
    let digest = tokio::task::spawn_blocking(move || digest::of_file(&file)).await;
    let digest = digest.map_err(io::Error::other)??;
    if let Some(known) = known.filter(|known| known.digest == digest) {
        return Ok((Tarball { look, ..known.clone() }, false));
    }
    let images = load(client, path).await?;
    if images.is_empty() {
        return Err(Problem::Empty);
    }
    tracing::info!(images = images.join(", "), "loaded {}", path.display());
    Ok((Tarball { look, digest, images }, true))
}

async fn are_present(client: &Client, images: &[String]) -> Result<bool, Error> {
    for image in images {
        if image_id(client, image).await?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// As `docker load`; what dockerd calls the images.
async fn load(client: &Client, path: &Path) -> Result<Vec<String>, Problem> {
    let file = File::open(path).await?;
    let pieces = stream::try_unfold(file, |mut file| async move {
        let mut piece = vec![0; PIECE];
        let length = file.read(&mut piece).await?;
        piece.truncate(length);
        Ok::<_, io::Error>((length > 0).then(|| (Bytes::from(piece), file)))
    });
    let messages = client
        .ask_patiently(LOAD, async |docker| {
            let answers = docker.import_image_stream(ImportImageOptions::default(), pieces, None);
            let answers: Vec<_> = answers.collect().await;
            answers.into_iter().collect::<Result<Vec<BuildInfo>, _>>()
        })
        .await?;
    let lines = messages.iter().filter_map(|message| message.stream.as_deref());
    Ok(lines.filter_map(loaded_image).map(str::to_owned).collect())
}

/// dockerd says `Loaded image: etcd:v3.5.21`, or `Loaded image ID: sha256:...` where it has no name.
fn loaded_image(line: &str) -> Option<&str> {
    let image = line.strip_prefix("Loaded image")?;
    let image = image.strip_prefix(" ID").unwrap_or(image).strip_prefix(":")?.trim();
    (!image.is_empty()).then_some(image)
}

/// In the order of their names.
fn tarballs(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut tarballs = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_tarball =
            !name.starts_with('.') && ENDINGS.iter().any(|ending| name.ends_with(ending));
        if is_tarball && entry.path().is_file() {
            tarballs.push(entry.path());
        }
    }
    tarballs.sort();
    Ok(tarballs)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_docker_has_loaded_is_read_from_its_words() {
        assert_eq!(loaded_image("Loaded image: etcd:v3.5.21\n"), Some("etcd:v3.5.21"));
        assert_eq!(loaded_image("Loaded image ID: sha256:0a\n"), Some("sha256:0a"));
        assert_eq!(loaded_image("Loading layer"), None);
    }

    #[test]
    fn tarballs_are_taken_in_order_and_nothing_else() {
        let folder = std::env::temp_dir().join(format!("mainstay-images-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("dir.tar")).unwrap();
        for name in ["b.tar", "a.tgz", ".c.tar", "README", "d.tar.gz"] {
            std::fs::write(folder.join(name), "").unwrap();
        }
        let found = tarballs(&folder).unwrap();
        let names: Vec<_> = found.iter().map(|path| path.file_name().unwrap()).collect();
        assert_eq!(names, ["a.tgz", "b.tar", "d.tar.gz"]);
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(tarballs(&folder).unwrap().is_empty());
    }
}
