//! A snapshot becomes a new cluster of one member, which the other masters join.
//!
//! etcd's own tool writes the data directory: it knows etcd's formats. It is `etcdutl`, or `etcdctl` where that is not there
//! (before 3.5). What was in the data directory is moved aside, not removed.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::data::{RESTORING, SET_ASIDE};
use super::snapshot::{self, now, stamp};
use super::{Error, Node, Progress};
use crate::backend::Pending;

/// The tools that can restore, the better one first.
pub const PROGRAMS: [&str; 2] = ["etcdutl", "etcdctl"];

/// One run of etcd's own tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// What it is asked for.
    pub arguments: Vec<String>,
    /// A file on the host that it reads, under the same path.
    pub reads: PathBuf,
    /// A directory on the host that it writes in, under the same path.
    pub writes: PathBuf,
}

/// How a run of a tool ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ran {
    /// Well.
    Well,
    /// There is no such program.
    NoSuchProgram,
    /// Not well: with what status, and its last words.
    Failed(String),
}

/// Runs etcd's own tools: in a container of etcd's image, or as a process.
pub trait Tools: Send + Sync {
    /// Runs one to its end.
    fn run<'a>(&'a self, program: &'a str, call: &'a Call) -> Pending<'a, Ran>;
}

/// Runs tools that are installed on the host.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostTools;

impl Tools for HostTools {
    fn run<'a>(&'a self, program: &'a str, call: &'a Call) -> Pending<'a, Ran> {
        Box::pin(async move {
            let ended = tokio::process::Command::new(program)
                .args(&call.arguments)
                .env("ETCDCTL_API", "3")
                .stdin(Stdio::null())
                .kill_on_drop(true)
                .output()
                .await;
            match ended {
                Err(why) if why.kind() == std::io::ErrorKind::NotFound => Ran::NoSuchProgram,
                Err(why) => Ran::Failed(why.to_string()),
                Ok(output) if output.status.success() => Ran::Well,
                Ok(output) => {
                    let words = String::from_utf8_lossy(&output.stderr);
                    let last =
                        words.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
                    Ran::Failed(format!("{}: {last}", output.status))
                }
            }
        })
    }
}

/// Restores `file` as the data of `me`, the only member of a new cluster, in `data_dir`. etcd must stand still. Returns where
/// the data that was there has been moved to.
///
/// # Errors
/// If the snapshot is damaged, no tool is there or it fails, or the disk does not take it. The data directory is as it was
/// then.
pub(super) async fn restore(
    file: &Path,
    me: &Node,
    cluster: &str,
    data_dir: &Path,
    tools: &dyn Tools,
    progress: &Progress,
) -> Result<Option<PathBuf>, Error> {
    progress.step(format!("verifying {}", file.display()));
    let path = file.to_owned();
    blocking(move || snapshot::verify(&path)).await?;
    create(data_dir)?;
    let stamp = stamp(now());
    let new = data_dir.join(format!("{RESTORING}{stamp}"));
    progress.step("restoring it");
    let arguments = vec![
        "snapshot".to_owned(),
        "restore".to_owned(),
        file.display().to_string(),
        format!("--name={}", me.name),
        format!("--initial-cluster={}={}", me.name, me.peer_url()),
        format!("--initial-advertise-peer-urls={}", me.peer_url()),
        // Another cluster: members of the old one that still live somewhere do not take it for theirs.
        format!("--initial-cluster-token={cluster}-{stamp}"),
        format!("--data-dir={}", new.display()),
    ];
    let call = Call { arguments, reads: file.to_owned(), writes: data_dir.to_owned() };
    if let Err(why) = run(tools, &call).await {
        let _ = std::fs::remove_dir_all(&new);
        return Err(why);
    }
    let aside = set_aside(data_dir, &stamp)?;
    let (from, to) = (new.join("member"), data_dir.join("member"));
    std::fs::rename(&from, &to).map_err(Error::file("move the restored data to", &to))?;
    let _ = std::fs::remove_dir(&new);
    sync(data_dir)?;
    if let Some(aside) = &aside {
        progress.step(format!("the data that was there is now in {}", aside.display()));
    }
    Ok(aside)
}

async fn run(tools: &dyn Tools, call: &Call) -> Result<(), Error> {
    for program in PROGRAMS {
        match tools.run(program, call).await {
            Ran::Well => return Ok(()),
            Ran::NoSuchProgram => {}
            Ran::Failed(why) => return Err(Error::Tool { program: program.to_owned(), why }),
        }
    }
    Err(Error::Tool {
        program: PROGRAMS.join(" or "),
        why: "there is no such program; it comes with etcd's image, or as Debian's package etcd-client".to_owned(),
    })
}

/// Moves a member's data to `set-aside-STAMP` in its directory, which may be a mount point; `None` if there is none.
///
/// # Errors
/// If the disk does not take it.
pub fn set_aside(data_dir: &Path, stamp: &str) -> Result<Option<PathBuf>, Error> {
    let member = data_dir.join("member");
    if !member.exists() {
        return Ok(None);
    }
    let aside = data_dir.join(format!("{SET_ASIDE}{stamp}"));
    std::fs::rename(&member, &aside).map_err(Error::file("move away", &member))?;
    sync(data_dir)?;
    Ok(Some(aside))
}

/// A data directory that only root reads, as etcd wants it.
pub(super) fn create(data_dir: &Path) -> Result<(), Error> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data_dir)
        .map_err(Error::file("create", data_dir))
}

fn sync(folder: &Path) -> Result<(), Error> {
    std::fs::File::open(folder).and_then(|it| it.sync_all()).map_err(Error::file("write", folder))
}

/// Does what waits for a disk on a thread that may wait.
pub(super) async fn blocking<T: Send + 'static>(
    what: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(what).await.unwrap_or_else(|why| {
        Err(Error::File {
            what: "use",
            path: PathBuf::from("the disk"),
            source: std::io::Error::other(why),
        })
    })
}
