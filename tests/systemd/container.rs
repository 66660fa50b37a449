//! A Debian that systemd has booted, in the namespace of the rig's node.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::rig::{Rig, poll};

const BINARY: &str = env!("CARGO_BIN_EXE_mainstay");
const UNIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/mainstay.service");

/// Killed when dropped, with all that runs in it.
pub struct Container {
    nspawn: Child,
    /// Its first process, as the host sees it.
    init: i32,
    configuration: PathBuf,
}

impl Container {
    /// Boots `root`, of which nothing is changed, with mainstay and its unit installed.
    pub fn boot(root: &Path, rig: &Rig) -> Self {
        let directory = rig.directory();
        let configuration = directory.join("etc");
        let override_ = directory.join("override");
        for directory in [&configuration, &override_] {
            fs::create_dir_all(directory).unwrap();
        }
        fs::write(configuration.join("mainstay.toml"), rig.setup.toml()).unwrap();
        // The node's name in the configuration.
        fs::write(directory.join("hostname"), "n\n").unwrap();
        // Sooner than in production.
        fs::write(override_.join("watchdog.conf"), "[Service]\nWatchdogSec=2s\n").unwrap();
        let log = File::create(directory.join("log")).unwrap();
        let bind = |from: &Path, to: &str| format!("--bind-ro={}:{to}", from.display());
        let nspawn = Command::new("systemd-nspawn")
            .arg("--directory")
            .arg(root)
            .args(["--volatile=overlay", "--boot", "--quiet", "--hostname=n", "--capability=all"])
            .args(["--register=no", "--keep-unit", "--system-call-filter=add_key keyctl bpf"])
            .arg(format!("--machine={}", rig.namespaces.name()))
            .arg(format!("--network-namespace-path=/run/netns/{}", rig.namespaces.of("node")))
            .arg(bind(Path::new(BINARY), "/usr/bin/mainstay"))
            .arg(bind(Path::new(UNIT), "/etc/systemd/system/mainstay.service"))
            .arg(bind(&override_, "/etc/systemd/system/mainstay.service.d"))
            .arg(bind(&configuration, "/etc/mainstay"))
            .arg(bind(&directory.join("hostname"), "/etc/hostname"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .process_group(0)
            .spawn()
            .unwrap();
        let children = format!("/proc/{0}/task/{0}/children", nspawn.id());
        let init = poll("the container's first process", || {
            let children = fs::read_to_string(&children).ok()?;
            children.split_whitespace().find(|pid| is_first(pid))?.parse().ok()
        });
        let this = Self { nspawn, init, configuration };
        poll("the boot", || {
            let state = this.try_run("systemctl is-system-running");
            let text = match &state {
                Ok(text) | Err(text) => text.trim(),
            };
            matches!(text, "running" | "degraded").then_some(())
        });
        this
    }

    /// Runs a shell command in the container; what it prints. If it fails, also as an error.
    pub fn try_run(&self, command: &str) -> Result<String, String> {
        // No command takes that long, but `systemctl start` of a unit that cannot start.
        let output = Command::new("timeout")
            .args(["30", "nsenter", "--target", &self.init.to_string(), "--all"])
            .args(["sh", "-c", command])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            Ok(text)
        } else {
            Err(text + &String::from_utf8_lossy(&output.stderr))
        }
    }

    #[track_caller]
    pub fn run(&self, command: &str) -> String {
        self.try_run(command).unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    pub fn try_systemctl(&self, arguments: &str) -> Result<String, String> {
        self.try_run(&format!("systemctl {arguments}"))
    }

    /// `systemctl`; if it fails, with what the unit has to say.
    #[track_caller]
    pub fn systemctl(&self, arguments: &str) -> String {
        self.try_systemctl(arguments).unwrap_or_else(|error| {
            let journal = self.try_run("journalctl --no-pager -u mainstay");
            panic!("systemctl {arguments}: {error}\n{journal:?}")
        })
    }

    /// Rewrites the configuration.
    pub fn configure(&self, text: &str) {
        fs::write(self.configuration.join("mainstay.toml"), text).unwrap();
    }

    /// The daemon's process id in the container; 0 while there is none.
    pub fn main_pid(&self) -> String {
        self.run("systemctl show --property MainPID --value mainstay").trim().to_owned()
    }

    /// The VRRP process's id in the container.
    pub fn vrrp_pid(&self) -> String {
        let text = self.run("cat /run/mainstay/vrrp.pid");
        let identity: serde_json::Value = serde_json::from_str(&text).unwrap();
        identity["pid"].to_string()
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

impl Drop for Container {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let journal = self.try_run("journalctl --no-pager -u mainstay");
            eprintln!("---- the unit\n{}", journal.unwrap_or_else(|error| error));
        }
        // The first process of a process namespace takes all others with it.
        let _ = kill(Pid::from_raw(self.init), Signal::SIGKILL);
        let _ = self.nspawn.wait();
    }
}
