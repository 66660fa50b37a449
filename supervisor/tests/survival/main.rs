//! What the supervisor starts outlives it: a small host process of it is killed, and its successor adopts everything.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../systemd/container.rs"]
#[allow(dead_code, reason = "the tests of the backend for systemd's units use all of it")]
mod container;
mod service;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use supervisor::backend::exec::{Exec, ExecSpec, Place};
use supervisor::backend::{Backend, Identity};
use supervisor::readiness::Probe;
use supervisor::run::{Command, Outcome, Snapshot, Supervisor, Units};
use supervisor::unit::{Kind, Name, Spec};

const PATIENCE: Duration = Duration::from_secs(60);
/// Makes this test program a host, with this directory.
const HOST: &str = "MSCORE_HOST";
/// Makes a host stop all and end.
const DOWN: &str = "MSCORE_DOWN";
const UNITS: [&str; 3] = ["dockerd", "etcd", "kubelet"];

/// Each notes its process id in a file and becomes ready.
fn units(directory: &Path) -> Units {
    let name = |text: &str| Name::new(text).unwrap();
    let mut before = Vec::new();
    let mut units: Units = Vec::new();
    for unit in UNITS {
        let ready = directory.join(format!("{unit}.ready"));
        let mut exec = ExecSpec::new("/bin/sh");
        let lines = "echo $$ >> \"$1\"; while :; do sleep 0.2; done";
        exec.args = ["-c", lines, "sh"].map(str::to_owned).to_vec();
        exec.args.push(ready.display().to_string());
        let place = Place { instance: directory.to_path_buf(), logs: directory.join("logs") };
        let backend: Arc<dyn Backend> =
            Arc::new(Exec::new(name(unit), exec, Probe::File(ready), place));
        units.push((Spec::new(name(unit), Kind::Exec).requires(before), backend));
        before = vec![name(unit)];
    }
    units
}

/// Not a test: what [`Rig::host`] starts.
#[tokio::test]
#[ignore = "the host process of the other tests"]
async fn host() {
    let Some(directory) = std::env::var_os(HOST).map(PathBuf::from) else { return };
    let (handle, _events) = Supervisor::start(units(&directory), &directory).unwrap();
    if std::env::var_os(DOWN).is_some() {
        let mut down = handle.command(Command::Down).await.unwrap();
        assert_eq!(down.outcome().await, Outcome::Done);
        return handle.leave().await;
    }
    let mut snapshots = handle.watch();
    loop {
        let snapshot = snapshots.borrow_and_update().clone();
        let path = directory.join("snapshot.json");
        let temporary = directory.join("snapshot.new");
        fs::write(&temporary, serde_json::to_vec(&*snapshot).unwrap()).unwrap();
        fs::rename(temporary, path).unwrap();
        snapshots.changed().await.unwrap();
    }
}

/// A directory for hosts that come one after the other. What they started is killed in the end.
struct Rig {
    directory: PathBuf,
    host: Option<Child>,
}

impl Rig {
    fn new(name: &str) -> Self {
        let name = format!("mainstay-survival-{name}-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir_all(&directory).unwrap();
        Self { directory, host: None }
    }

    fn host(&mut self) {
        let _ = fs::remove_file(self.directory.join("snapshot.json"));
        self.host = Some(self.command().spawn().unwrap());
    }

    fn command(&self) -> process::Command {
        let mut command = process::Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "host", "--ignored"])
            .env(HOST, &self.directory)
            .stdout(Stdio::null())
            .process_group(0);
        command
    }

    /// Kills the host; a successor stops all.
    fn down(&mut self) {
        self.kill();
        assert!(self.command().env(DOWN, "1").status().unwrap().success());
        for pid in self.starts().into_values().flatten() {
            assert!(!is_alive(pid, &self.directory), "{pid}");
        }
    }

    fn kill(&mut self) {
        let mut host = self.host.take().unwrap();
        host.kill().unwrap();
        host.wait().unwrap();
    }

    fn wait_until<T>(&self, what: &str, mut seen: impl FnMut() -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(seen) = seen() {
                return seen;
            }
            assert!(Instant::now() < end, "no {what}: {:#?}", self.snapshot());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn snapshot(&self) -> Option<Snapshot> {
        let content = fs::read(self.directory.join("snapshot.json")).ok()?;
        serde_json::from_slice(&content).ok()
    }

    /// Waits until all units are ready.
    fn ready(&self) -> Snapshot {
        self.wait_until("readiness", || self.snapshot().filter(Snapshot::is_ready))
    }

    /// Prints how long it took from the moment in which one unit was ready to that in which the next one was.
    fn show_steps(&self) {
        let ready = |unit: &str| {
            let metadata = fs::metadata(self.directory.join(format!("{unit}.ready"))).unwrap();
            metadata.modified().unwrap()
        };
        for pair in UNITS.windows(2) {
            let step = ready(pair[1]).duration_since(ready(pair[0])).unwrap();
            let _ = writeln!(
                std::io::stderr(),
                "from {} ready to {} ready, asking and starting a shell included: {step:?}",
                pair[0],
                pair[1]
            );
        }
    }

    /// How often each unit's process was started, ever.
    fn starts(&self) -> BTreeMap<&'static str, Vec<u32>> {
        let pids = |unit| {
            let path = self.directory.join(format!("{unit}.ready"));
            let lines = fs::read_to_string(path).unwrap_or_default();
            lines.lines().map(|it| it.parse().unwrap()).collect()
        };
        UNITS.map(|unit| (unit, pids(unit))).into()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if self.host.is_some() {
            self.kill();
        }
        for pid in self.starts().into_values().flatten() {
            if is_alive(pid, &self.directory) {
                let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
                let _ = kill_process_group(pid, Signal::KILL);
            }
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn pids(snapshot: &Snapshot) -> Vec<u32> {
    let pid = |identity: &Option<Identity>| match identity {
        Some(Identity::Process { pid, .. }) => *pid,
        other => panic!("{other:?} is no process"),
    };
    snapshot.units.iter().map(|it| pid(&it.identity)).collect()
}

/// Whether this process is one of those that were started for this directory.
fn is_alive(pid: u32, directory: &Path) -> bool {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let mark = format!("MAINSTAY_STATE_DIR={}", directory.display());
    environment.split(|&byte| byte == 0).any(|it| it == mark.as_bytes())
}

#[test]
fn a_killed_supervisor_leaves_its_children_and_its_successor_adopts_them() {
    let mut rig = Rig::new("killed");
    rig.host();
    let first = pids(&rig.ready());
    rig.show_steps();
    let corrupt: fn(&Path) = |path| fs::write(path, "{\"version\":").unwrap();
    let gone: fn(&Path) = |path| fs::remove_file(path).unwrap();
    for (what, harm) in [("kept", None), ("corrupt", Some(corrupt)), ("gone", Some(gone))] {
        rig.kill();
        assert!(first.iter().all(|&pid| is_alive(pid, &rig.directory)));
        let state = rig.directory.join("supervisor.json");
        if let Some(harm) = harm {
            harm(&state);
        }
        let start = Instant::now();
        rig.host();
        let snapshot = rig.ready();
        assert_eq!(pids(&snapshot), first, "the state was {what}");
        assert!(snapshot.units.iter().all(|it| it.restarts == 0 && it.drift.is_none()));
        assert_eq!(snapshot.warnings.len(), usize::from(what == "corrupt"));
        let mut out = std::io::stderr();
        let _ = writeln!(
            out,
            "state {what}: {first:?} adopted and ready {:?} after the start of a host",
            start.elapsed()
        );
    }
    for (unit, starts) in rig.starts() {
        assert_eq!(starts.len(), 1, "{unit}: {starts:?}");
    }
    rig.down();
}

#[test]
fn a_supervisor_that_is_killed_at_any_moment_of_a_bring_up_starts_nothing_twice() {
    let mut rig = Rig::new("moments");
    for round in 0..12 {
        rig.host();
        // From before the first start to after the last.
        std::thread::sleep(Duration::from_millis(round * 7));
        rig.kill();
        // One that was being started may not have noted itself yet; it is alive nevertheless.
    }
    rig.host();
    let pids = pids(&rig.ready());
    for ((unit, starts), pid) in rig.starts().into_iter().zip(pids) {
        assert_eq!(starts, [pid], "{unit}");
    }
    rig.down();
}

#[tokio::test]
async fn a_stop_at_any_moment_of_a_start_leaves_no_process_behind() {
    let rig = Rig::new("stop");
    let (handle, _events) = Supervisor::start(units(&rig.directory), &rig.directory).unwrap();
    for round in 0..40 {
        let _ = handle.command(Command::Up).await.unwrap();
        // From before the fork to after the last readiness.
        tokio::time::sleep(Duration::from_micros(round * 1500)).await;
        let mut down = handle.command(Command::Down).await.unwrap();
        assert_eq!(down.outcome().await, Outcome::Done);
        let left = fs::read_dir("/proc").unwrap().filter_map(|entry| {
            let pid = entry.unwrap().file_name().to_str()?.parse().ok()?;
            is_alive(pid, &rig.directory).then_some(pid)
        });
        assert_eq!(left.collect::<Vec<u32>>(), Vec::<u32>::new(), "round {round}");
    }
    handle.leave().await;
}
