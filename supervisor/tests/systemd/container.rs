//! A Debian that systemd has booted, seen from outside.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Killed when dropped, with all that runs in it.
pub struct Container {
    nspawn: Child,
    /// Its first process, as the host sees it.
    init: i32,
    /// A folder that the container sees, too, under the same path.
    pub directory: PathBuf,
}

impl Container {
    /// Boots `root`, of which nothing is changed, with these unit files beside its own.
    pub fn boot(root: &Path, units: &[(&str, &str)]) -> Self {
        let name = format!("mshost-systemd-{}", std::process::id());
        let directory = std::env::temp_dir().join(&name);
        fs::create_dir_all(&directory).unwrap();
        let log = File::create(directory.join("log")).unwrap();
        let mut command = Command::new("systemd-nspawn");
        command
            .arg("--directory")
            .arg(root)
            .args(["--volatile=overlay", "--boot", "--quiet", "--private-network"])
            .args(["--capability=all", "--register=no", "--keep-unit"])
            .arg("--system-call-filter=add_key keyctl bpf")
            .arg(format!("--machine={name}"));
        command.arg(format!("--bind={}", directory.display()));
        for (unit, text) in units {
            let path = directory.join(unit.replace('/', "-"));
            fs::write(&path, text).unwrap();
            command.arg(format!("--bind-ro={}:/usr/lib/systemd/system/{unit}", path.display()));
        }
        let nspawn = command
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
        let this = Self { nspawn, init, directory };
        poll("the boot", || {
            let state = this.try_run("systemctl is-system-running");
            let (Ok(text) | Err(text)) = &state;
            matches!(text.trim(), "running" | "degraded").then_some(())
        });
        this
    }

    /// A path in the container, as the host sees it.
    pub fn path(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.init))
    }

    /// Its bus.
    pub fn bus(&self) -> String {
        format!("unix:path={}", self.path("/run/dbus/system_bus_socket").display())
    }

    /// Runs a shell command in the container; what it prints. If it fails, also as an error.
    pub fn try_run(&self, command: &str) -> Result<String, String> {
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

    /// A property of a unit.
    #[track_caller]
    pub fn show(&self, unit: &str, property: &str) -> String {
        self.run(&format!("systemctl show --property {property} --value {unit}")).trim().to_owned()
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

fn poll<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "{what} did not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let journal = self.try_run("journalctl --no-pager | tail -60");
            eprintln!("---- the journal\n{}", journal.unwrap_or_else(|error| error));
        }
        // The first process of a process namespace takes all others with it.
        let _ = Pid::from_raw(self.init).map(|init| kill_process(init, Signal::KILL));
        let _ = self.nspawn.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}
