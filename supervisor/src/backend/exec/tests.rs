use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::timeout;

use super::process::Process;
use super::{Exec, ExecSpec, Place};
use crate::backend::{Backend, Identity, Readiness, Running};
use crate::readiness::Probe;
use crate::unit::Name;

const PATIENCE: Duration = Duration::from_secs(30);

struct Rig {
    /// The unit's: of this test alone, for its cgroups are named after it.
    name: Name,
    directory: PathBuf,
}

impl Drop for Rig {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

impl Rig {
    fn new(name: &str) -> Self {
        let name = format!("exec-test-{name}-{}", std::process::id());
        let directory = std::env::temp_dir().join(&name);
        fs::create_dir_all(&directory).unwrap();
        Self { name: Name::new(&name).unwrap(), directory }
    }

    /// A unit that runs these lines in a shell.
    fn unit(&self, lines: &str) -> Exec {
        let mut spec = ExecSpec::new("/bin/sh");
        spec.args = vec!["-c".to_owned(), lines.to_owned()];
        self.exec(spec)
    }

    fn exec(&self, spec: ExecSpec) -> Exec {
        let place = Place { instance: self.directory.clone(), logs: self.directory.join("logs") };
        Exec::new(self.name.clone(), spec, Probe::File(self.directory.join("ready")), place)
    }

    /// Waits until the unit has made this file.
    async fn made(&self, file: &str) -> String {
        let path = self.directory.join(file);
        let read = async {
            loop {
                match fs::read_to_string(&path) {
                    Ok(content) if content.ends_with('\n') => return content.trim().to_owned(),
                    _ => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        };
        timeout(PATIENCE, read).await.unwrap()
    }
}

/// The cgroups of a process that are named after the unit.
fn cgroups(pid: u32) -> Vec<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let named = text.lines().filter(|it| it.contains("/mainstay-exec-test-"));
    named.map(str::to_owned).collect()
}

fn pid(running: &Running) -> u32 {
    match running.identity {
        Identity::Process { pid, .. } => pid,
        _ => panic!("{running:?} is no process"),
    }
}

async fn ended(exec: &Exec, running: &Running) -> (String, bool) {
    let ended = timeout(PATIENCE, exec.ended(&running.identity)).await.unwrap();
    (ended.reason, ended.success)
}

#[tokio::test]
async fn how_it_ended_is_told() {
    let rig = Rig::new("ended");
    for (lines, words, success) in [
        ("exit 0", "exited with code 0", true),
        ("exit 3", "exited with code 3", false),
        ("kill -KILL $$", "killed by SIGKILL", false),
    ] {
        let exec = rig.unit(lines);
        let running = exec.start().await.unwrap();
        assert_eq!(ended(&exec, &running).await, (words.to_owned(), success));
        assert_eq!(exec.adopt(Some(&running.identity)).await, Ok(None));
    }
}

#[tokio::test]
async fn what_cannot_be_run_says_what_to_do() {
    let rig = Rig::new("cannot");
    let fault = rig.exec(ExecSpec::new("/nonexistent/kubelet")).start().await.unwrap_err();
    assert!(!fault.refused);
    assert!(fault.reason.contains("/nonexistent/kubelet is not installed: install it"));
    let spec = ExecSpec { dir: PathBuf::from("/nonexistent"), ..ExecSpec::new("/bin/true") };
    let fault = rig.exec(spec).start().await.unwrap_err();
    assert!(fault.reason.contains("there is no directory /nonexistent"), "{fault}");
    let fault = rig.exec(ExecSpec::new("/etc/passwd")).start().await.unwrap_err();
    assert!(fault.reason.contains("make it executable"), "{fault}");
}

#[tokio::test]
async fn it_has_its_own_group_environment_and_log_and_nothing_of_ours() {
    let rig = Rig::new("own");
    let mut spec = ExecSpec::new("/bin/sh");
    spec.args =
        vec!["-c".to_owned(), "env; pwd; ulimit -n; cut -d' ' -f5 /proc/$$/stat".to_owned()];
    spec.env.insert("ETCD_NAME".to_owned(), "m 1".to_owned());
    spec.dir = PathBuf::from("/proc");
    let exec = rig.exec(spec);
    let running = exec.start().await.unwrap();
    ended(&exec, &running).await;
    let mut logs = exec.logs(100, false).await.unwrap();
    let log = String::from_utf8(logs.recv().await.unwrap()).unwrap();
    assert!(
        log.contains("ETCD_NAME=m 1\n") && log.contains(&format!("MAINSTAY_UNIT={}\n", rig.name)),
        "{log}"
    );
    assert!(!log.contains("CARGO") && !log.contains("HOME="), "{log}");
    assert!(log.contains("\n/proc\n"), "{log}");
    assert!(log.ends_with(&format!("\n{}\n", pid(&running))), "{log}");
    assert_eq!(logs.recv().await, None);
}

#[tokio::test]
async fn limits_are_set_and_refused_ones_do_not_keep_it_from_running() {
    let rig = Rig::new("limits");
    let mut spec = ExecSpec::new("/bin/sleep");
    spec.args = vec!["600".to_owned()];
    spec.oom_score_adj = Some(500);
    spec.open_files = Some(512);
    let exec = rig.exec(spec.clone());
    let running = exec.start().await.unwrap();
    let about = |file: &str| fs::read_to_string(format!("/proc/{}/{file}", pid(&running))).unwrap();
    assert_eq!(about("oom_score_adj").trim(), "500");
    let limits = about("limits");
    let files = limits.lines().find(|it| it.starts_with("Max open files")).unwrap();
    assert_eq!(files.split_ascii_whitespace().collect::<Vec<_>>()[3..5], ["512", "512"]);
    // Where there is a cgroup file system that we may write to.
    let moved = cgroups(pid(&running));
    exec.stop(&running.identity, PATIENCE).await.unwrap();
    for line in moved {
        let path = line.rsplit(':').next().unwrap();
        for root in ["/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/memory"] {
            assert!(!PathBuf::from(format!("{root}{path}")).exists(), "{root}{path} is left");
        }
    }
    spec.oom_score_adj = Some(-30_000);
    spec.open_files = Some(u64::MAX - 1);
    let exec = rig.exec(spec);
    let running = exec.start().await.unwrap();
    exec.stop(&running.identity, PATIENCE).await.unwrap();
}

#[tokio::test]
async fn a_stop_is_polite_to_the_whole_group() {
    let rig = Rig::new("polite");
    let dir = rig.directory.display().to_string();
    let exec = rig.unit(&format!(
        "(trap 'echo child > {dir}/child; exit' TERM; echo $$ > {dir}/up; while :; do sleep 0.01; done) &
         trap 'wait; echo parent > {dir}/parent; exit 0' TERM; while :; do sleep 0.01; done"
    ));
    let running = exec.start().await.unwrap();
    rig.made("up").await;
    exec.stop(&running.identity, PATIENCE).await.unwrap();
    assert!(Process::of(pid(&running)).is_none());
    assert_eq!(
        (rig.made("child").await, rig.made("parent").await),
        ("child".into(), "parent".into())
    );
    // What does not run is stopped already.
    exec.stop(&running.identity, PATIENCE).await.unwrap();
}

#[tokio::test]
async fn what_ignores_a_stop_is_killed_with_all_of_its_group() {
    let rig = Rig::new("stubborn");
    let dir = rig.directory.display().to_string();
    let exec = rig.unit(&format!(
        "trap '' TERM; sleep 600 & echo $! > {dir}/child; echo > {dir}/ready; while :; do wait; done"
    ));
    let running = exec.start().await.unwrap();
    let child: u32 = rig.made("child").await.parse().unwrap();
    rig.made("ready").await;
    exec.stop(&running.identity, Duration::from_millis(50)).await.unwrap();
    assert!(!Process::of(pid(&running)).is_some_and(Process::is_alive));
    assert!(!Process::of(child).is_some_and(Process::is_alive));
}

#[tokio::test]
async fn what_a_dead_leader_leaves_behind_is_not_in_the_way_of_the_next_one() {
    let rig = Rig::new("orphan");
    let dir = rig.directory.display().to_string();
    let exec = rig.unit(&format!("sleep 600 & echo $! > {dir}/child; exit 1"));
    let running = exec.start().await.unwrap();
    let child: u32 = rig.made("child").await.parse().unwrap();
    assert_eq!(ended(&exec, &running).await.0, "exited with code 1");
    let gone = async {
        while Process::of(child).is_some_and(Process::is_alive) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, gone).await.unwrap();
}

#[tokio::test]
async fn a_successor_finds_it_with_and_without_the_state_and_sees_drift() {
    let rig = Rig::new("successor");
    let exec = rig.unit("sleep 600; exit");
    assert_eq!(exec.adopt(None).await, Ok(None));
    let running = exec.start().await.unwrap();
    let Identity::Process { pid, start_time, boot, spec_hash } = running.identity.clone() else {
        panic!("no process");
    };
    let other_boot = Identity::Process {
        pid,
        start_time,
        boot: "other".to_owned(),
        spec_hash: spec_hash.clone(),
    };
    let used_again = Identity::Process { pid, start_time: start_time + 1, boot, spec_hash };
    for known in [Some(&running.identity), None, Some(&other_boot), Some(&used_again)] {
        let successor = rig.unit("sleep 600; exit");
        let found = successor.adopt(known).await.unwrap().unwrap();
        assert_eq!((&found.identity, &found.drift), (&running.identity, &None));
        assert!(found.age.is_some_and(|age| age < PATIENCE));
    }
    let changed = rig.unit("sleep 601; exit");
    let found = changed.adopt(None).await.unwrap().unwrap();
    assert_eq!(found.identity, running.identity);
    assert!(found.drift.is_some());
    // Another mainstay on the machine does not take it for its own.
    let place = Place { instance: PathBuf::from("/other"), logs: rig.directory.clone() };
    let foreign = Exec::new(rig.name.clone(), ExecSpec::new("/bin/sh"), Probe::Runs, place);
    assert_eq!(foreign.adopt(None).await, Ok(None));

    assert!(matches!(exec.readiness(&running.identity).await, Readiness::NotReady(_)));
    fs::write(rig.directory.join("ready"), "").unwrap();
    assert_eq!(exec.readiness(&running.identity).await, Readiness::Ready);
    changed.stop(&found.identity, PATIENCE).await.unwrap();
    // Whoever started it reaps it.
    assert_eq!(ended(&exec, &running).await.0, "killed by SIGTERM");
    assert_eq!(ended(&exec, &running).await.0, "it had ended");
}
