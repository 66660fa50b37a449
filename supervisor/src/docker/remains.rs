//! What a dockerd that was killed leaves behind, and what would keep the next one from starting.
//!
//! dockerd refuses to start while the process that its pid file names exists, whichever program that is, and also if it has
//! ended and nobody has reaped it. And it takes the containerd that its own pid file names for one that it can use, though that
//! dies with its dockerd, a moment later: then it waits for it in vain, and ends.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::timeout;

use crate::backend::exec::Process;

/// Where dockerd writes its process id unless told otherwise.
pub(super) const PID_FILE: &str = "/run/docker.pid";
/// Where it keeps what lives no longer than it runs, unless told otherwise.
const EXEC_ROOT: &str = "/run/docker";
/// How long the kernel may take to end a containerd whose dockerd was killed.
const DYING: Duration = Duration::from_secs(10);

/// The files in which a dockerd says which processes are its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remains {
    dockerd: PathBuf,
    /// None if it uses a containerd that somebody else starts.
    containerd: Option<PathBuf>,
}

impl Remains {
    /// Of a dockerd that is started with these arguments.
    pub fn of(arguments: &[String]) -> Self {
        // `--name=value` or `--name value`; of several the last counts.
        let joined = arguments.iter().filter_map(|it| it.split_once('='));
        let apart = arguments.windows(2).filter_map(|pair| match pair {
            [name, value] => Some((name.as_str(), value.as_str())),
            _ => None,
        });
        let all: Vec<(&str, &str)> = joined.chain(apart).collect();
        let value = |names: &[&str]| {
            all.iter()
                .rfind(|(name, _)| names.contains(name))
                .map(|(_, value)| PathBuf::from(value))
        };
        let exec_root = value(&["--exec-root"]).unwrap_or_else(|| EXEC_ROOT.into());
        let own_containerd = value(&["--containerd"]).is_none();
        Self {
            dockerd: value(&["--pidfile", "-p"]).unwrap_or_else(|| PID_FILE.into()),
            containerd: own_containerd.then(|| exec_root.join("containerd/containerd.pid")),
        }
    }

    /// Before a start: waits for the end of what is dying, and removes files that name nothing of dockerd's that lives. Where a
    /// dockerd lives nothing is touched.
    pub async fn clear(&self) {
        if living(&self.dockerd, "dockerd").is_some() {
            return;
        }
        forget(&self.dockerd);
        let Some(file) = &self.containerd else { return };
        if let Some(process) = living(file, "containerd") {
            let ended = async {
                // An error is that it is gone already.
                if let Ok(handle) = process.watch() {
                    let _ = handle.readable().await;
                }
            };
            if timeout(DYING, ended).await.is_err() {
                // One that outlives its dockerd serves the next one.
                return;
            }
        }
        forget(file);
    }
}

/// The process that a file names, if it lives and runs a program whose name begins so.
fn living(file: &Path, program: &str) -> Option<Process> {
    let pid = fs::read_to_string(file).ok()?.trim().parse().ok()?;
    let process = Process::of(pid).filter(|it| it.is_alive())?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    name.starts_with(program).then_some(process)
}

fn forget(file: &Path) {
    if fs::remove_file(file).is_ok() {
        tracing::info!("removed {}, which an earlier dockerd had left", file.display());
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn of(arguments: &[&str]) -> Remains {
        Remains::of(&arguments.iter().map(|&it| it.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn the_files_are_where_the_arguments_say() {
        let remains = |dockerd: &str, containerd: Option<&str>| Remains {
            dockerd: dockerd.into(),
            containerd: containerd.map(PathBuf::from),
        };
        let usual = Some("/run/docker/containerd/containerd.pid");
        assert_eq!(of(&["--live-restore"]), remains("/run/docker.pid", usual));
        assert_eq!(of(&["-p", "/a.pid"]), remains("/a.pid", usual));
        assert_eq!(
            of(&["--pidfile=/a.pid", "--exec-root", "/exec"]),
            remains("/a.pid", Some("/exec/containerd/containerd.pid"))
        );
        assert_eq!(of(&["--containerd=/c.sock"]), remains("/run/docker.pid", None));
    }

    #[tokio::test]
    async fn files_that_name_no_docker_of_ours_go() {
        let folder = std::env::temp_dir().join(format!("mainstay-remains-{}", std::process::id()));
        fs::create_dir_all(folder.join("containerd")).unwrap();
        let (pid, own) = (folder.join("docker.pid"), folder.join("containerd/containerd.pid"));
        let arguments =
            [format!("--pidfile={}", pid.display()), format!("--exec-root={}", folder.display())];
        let remains = Remains::of(&arguments);
        // This test, which has the number that a dockerd had once; one that cannot be; no number.
        for content in [std::process::id().to_string(), "999999999".to_owned(), String::new()] {
            fs::write(&pid, &content).unwrap();
            fs::write(&own, &content).unwrap();
            remains.clear().await;
            assert!(!pid.exists() && !own.exists(), "{content}");
        }
        // An end that nobody has asked for yet.
        let mut child = std::process::Command::new("true").spawn().unwrap();
        fs::write(&pid, child.id().to_string()).unwrap();
        remains.clear().await;
        assert!(!pid.exists());
        child.wait().unwrap();
        fs::remove_dir_all(folder).unwrap();
    }
}
