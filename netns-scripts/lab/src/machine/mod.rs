//! A Debian that systemd has booted in a container: a machine that can be powered off and booted again.

mod place;
mod root;

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

pub use root::root;

use crate::{LabError, Stamp, sleep_until};
use place::Place;

/// A boot takes some ten seconds.
const PATIENCE: Duration = Duration::from_secs(90);
const PACE: Duration = Duration::from_millis(50);
/// No command takes that long, but one that waits for what cannot come.
const COMMAND_SECONDS: &str = "60";

/// Enters cgroups of its own in every hierarchy, so that the systemds of several machines do not meet, and dies
/// with whoever started it. Arguments: the cgroups' name, then the command.
const ENTER: &str = r#"
name=$1
shift
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then set -- /sys/fs/cgroup -- "$@"; else set -- /sys/fs/cgroup/* -- "$@"; fi
while [ "$1" != -- ]; do
  if [ -e "$1/cgroup.procs" ]; then
    mkdir -p "$1/$name"
    for limit in cpuset.cpus cpuset.mems; do
      [ ! -e "$1/$limit" ] || cat "$1/$limit" >"$1/$name/$limit"
    done
    echo $$ >"$1/$name/cgroup.procs"
  fi
  shift
done
shift
exec setpriv --pdeathsig KILL "$@"
"#;

/// What stands in the file system of each machine: docker makes its cgroups where nspawn leaves them read-only.
const WRITABLE_CGROUPS: &str = r"[Service]
ExecStartPre=+/bin/sh -c 'for it in /sys/fs/cgroup /sys/fs/cgroup/*; do ! mountpoint -q $it || mount -o remount,bind,rw $it; done'
";

/// A machine. What is changed in it stays over its boots, in memory, and is gone when it is dropped; the root it was
/// made from is never changed.
#[derive(Debug)]
pub struct Machine {
    arguments: Vec<String>,
    running: Option<Running>,
    place: Place,
}

#[derive(Debug)]
struct Running {
    nspawn: Child,
    /// Its first process, as the host sees it.
    init: i32,
}

impl Machine {
    /// A machine that does not run yet, with the file system of `root`. `name` is its host name, `id` tells it from all
    /// others and has to end in this process's id, so that what a killed test leaves can be told.
    ///
    /// # Errors
    /// If there is no memory for it, or it may not be mounted.
    pub fn new(root: &Path, id: &str, name: &str) -> Result<Self, LabError> {
        let place = Place::new(root, id)?;
        let mut machine = Self { arguments: Vec::new(), running: None, place };
        machine.arguments = [
            "--boot",
            "--quiet",
            "--capability=all",
            "--register=no",
            "--keep-unit",
            "--system-call-filter=add_key keyctl bpf",
        ]
        .map(str::to_owned)
        .to_vec();
        machine.arguments.push(format!("--machine={id}"));
        machine.arguments.push(format!("--hostname={name}"));
        machine.arguments.push(format!("--directory={}", machine.place.root().display()));
        // Docker's layers cannot lie on an overlay.
        machine.bind(&machine.place.docker(), "/var/lib/docker");
        machine.write("/etc/hostname", &format!("{name}\n"))?;
        machine.write("/etc/systemd/system/docker.service.d/cgroups.conf", WRITABLE_CGROUPS)?;
        Ok(machine)
    }

    /// In a network namespace, as `ip netns` knows it.
    #[must_use]
    pub fn in_namespace(mut self, namespace: &str) -> Self {
        self.arguments.push(format!("--network-namespace-path=/run/netns/{namespace}"));
        self
    }

    /// Without a network.
    #[must_use]
    pub fn alone(mut self) -> Self {
        self.arguments.push("--private-network".to_owned());
        self
    }

    /// Shows it a file or folder of this machine.
    pub fn bind(&mut self, from: &Path, to: &str) {
        self.arguments.push(format!("--bind={}:{to}", from.display()));
    }

    /// The same, read-only.
    pub fn bind_read_only(&mut self, from: &Path, to: &str) {
        self.arguments.push(format!("--bind-ro={}:{to}", from.display()));
    }

    /// Writes a file of the machine's, running or not.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, path: &str, text: &str) -> Result<(), LabError> {
        let path = self.path(path);
        let folder = path.parent().unwrap_or(Path::new("/"));
        let written = fs::create_dir_all(folder).and_then(|()| fs::write(&path, text));
        written.map_err(LabError::instrument("writing a machine's file"))
    }

    /// A path of the machine's as this process sees it; what is mounted in the machine is seen only while it runs.
    pub fn path(&self, path: &str) -> PathBuf {
        let inner = path.trim_start_matches('/');
        match &self.running {
            Some(running) => PathBuf::from(format!("/proc/{}/root", running.init)).join(inner),
            None => self.place.root().join(inner),
        }
    }

    /// Boots it and waits until systemd has started what is to be started.
    ///
    /// # Errors
    /// If it does not come up within a minute and a half; with the end of its console.
    pub fn boot(&mut self) -> Result<(), LabError> {
        let error = || LabError::instrument::<io::Error>("booting a machine");
        let log = File::create(self.place.log()).map_err(error())?;
        let mut nspawn = Command::new("sh")
            .args(["-ec", ENTER, "enter", self.place.id(), "systemd-nspawn"])
            .args(&self.arguments)
            // Sysctls of its network namespace are its own.
            .env("SYSTEMD_NSPAWN_API_VFS_WRITABLE", "network")
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(error())?)
            .stderr(log)
            .process_group(0)
            .spawn()
            .map_err(error())?;
        let children = format!("/proc/{0}/task/{0}/children", nspawn.id());
        let init = wait("the machine's first process", || {
            if !matches!(nspawn.try_wait(), Ok(None)) {
                return Some(None);
            }
            let children = fs::read_to_string(&children).ok()?;
            children.split_whitespace().find(|pid| is_first(pid))?.parse().ok().map(Some)
        });
        let Ok(Some(init)) = init else {
            let _ = nspawn.kill();
            let _ = nspawn.wait();
            return Err(self.trouble("a machine to boot"));
        };
        self.running = Some(Running { nspawn, init });
        let is_up = wait("the boot", || {
            // A unit that failed makes it "degraded", and the command fail.
            let asked = "systemctl is-system-running || true";
            let state = self.run(asked).unwrap_or_default();
            matches!(state.trim(), "running" | "degraded").then_some(())
        });
        is_up.map_err(|_| self.trouble("a machine to have booted"))
    }

    /// Runs a shell command in it, for a minute at most; what it prints.
    ///
    /// # Errors
    /// If it fails; with what it prints.
    pub fn run(&self, command: &str) -> Result<String, LabError> {
        let error = LabError::instrument("running a command in a machine");
        let Some(running) = &self.running else {
            return Err(error(io::Error::other(format!("{command}: it does not run"))));
        };
        let output = Command::new("timeout")
            .args([COMMAND_SECONDS, "nsenter", "--all", "--root", "--wd", "--target"])
            .arg(running.init.to_string())
            .args(["sh", "-c", command])
            .stdin(Stdio::null())
            .output();
        let output = match output {
            Ok(output) => output,
            Err(why) => return Err(error(why)),
        };
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            return Ok(text);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(error(io::Error::other(format!("{command}: {}: {text}{said}", output.status))))
    }

    /// A property of a unit.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn show(&self, unit: &str, property: &str) -> Result<String, LabError> {
        let text = self.run(&format!("systemctl show --property {property} --value {unit}"))?;
        Ok(text.trim().to_owned())
    }

    /// Waits until it has powered itself off; it can be booted again then.
    ///
    /// # Errors
    /// If it has not after a minute and a half.
    pub fn wait_until_off(&mut self) -> Result<(), LabError> {
        let Some(running) = &mut self.running else { return Ok(()) };
        let nspawn = &mut running.nspawn;
        wait("the machine to be off", || matches!(nspawn.try_wait(), Ok(Some(_))).then_some(()))?;
        self.running = None;
        Ok(())
    }

    fn trouble(&self, what: &str) -> LabError {
        let log = fs::read_to_string(self.place.log()).unwrap_or_default();
        let end: Vec<&str> = log.lines().rev().take(15).collect();
        LabError::Deadline(format!("{what}; its console, last line first: {end:#?}"))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Some(mut running) = self.running.take() {
            // The first process of a process namespace takes all others with it.
            let _ = kill(Pid::from_raw(running.init), Signal::SIGKILL);
            let _ = running.nspawn.wait();
        }
    }
}

/// Whether a process is the first of a process namespace of its own. Before it, systemd-nspawn
/// has another child, which prepares the root.
fn is_first(pid: &str) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
    let ids: Vec<&str> = ids.split_whitespace().collect();
    ids.len() > 1 && ids.last() == Some(&"1")
}

fn wait<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> Result<T, LabError> {
    let end = Stamp::now() + PATIENCE;
    loop {
        if let Some(found) = found() {
            return Ok(found);
        }
        let now = Stamp::now();
        if now > end {
            return Err(LabError::Deadline(what.to_owned()));
        }
        sleep_until(now + PACE);
    }
}
