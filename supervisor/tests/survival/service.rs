//! The same under a real systemd: whatever it does to the service, the children live on.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use supervisor::run::Snapshot;

use super::container::Container;
use super::{PATIENCE, pids};

/// Mainstay's own unit as it is delivered, but for what it runs: also its sandbox is inherited by the children.
const DELIVERED: &str = include_str!("../../../packaging/mainstay.service");
/// What an operator adds to run dockerd and kubelet as children.
const LIFTED: &str = include_str!("../../../packaging/exec-backend.conf");
const HOST: &str = "Type=exec\n\
    ExecStart=/opt/host --exact host --ignored\n\
    Environment=MSCORE_HOST=/var/lib/mainstay\n\
    RestartSec=100ms\n";

fn unit() -> String {
    let replaced = ["Type=", "Exec", "WatchdogSec=", "RestartSec="];
    let kept = DELIVERED.lines().filter(|line| !replaced.iter().any(|it| line.starts_with(it)));
    let kept: Vec<&str> = kept.collect();
    kept.join("\n").replace("[Service]\n", &format!("[Service]\n{HOST}"))
}

/// Containers of one process have one name: one at a time.
static ONE: Mutex<()> = Mutex::new(());

struct Service {
    container: Container,
    _one: MutexGuard<'static, ()>,
}

impl Service {
    fn start() -> Option<Self> {
        let Some(root) = std::env::var_os("MAINSTAY_SYSTEMD_ROOT").map(PathBuf::from) else {
            // Not eprintln!, which the test harness keeps to itself.
            let _ = writeln!(std::io::stderr(), "SKIPPED: MAINSTAY_SYSTEMD_ROOT is not set");
            return None;
        };
        let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let container = Container::boot(&root, &[("supervised.service", &unit())]);
        fs::create_dir_all(container.path("/opt")).unwrap();
        fs::copy(std::env::current_exe().unwrap(), container.path("/opt/host")).unwrap();
        let service = Self { container, _one: one };
        service.act("systemctl start supervised");
        Some(service)
    }

    /// Does this, and waits until a host says that all is ready.
    fn act(&self, command: &str) -> Vec<u32> {
        let path = self.container.path("/var/lib/mainstay/snapshot.json");
        let _ = fs::remove_file(&path);
        self.container.run(command);
        let end = std::time::Instant::now() + PATIENCE;
        loop {
            let snapshot = fs::read(&path).ok().and_then(|it| serde_json::from_slice(&it).ok());
            if let Some(snapshot) = snapshot.filter(Snapshot::is_ready) {
                return pids(&snapshot);
            }
            assert!(std::time::Instant::now() < end, "not ready after {command}");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

#[test]
fn whatever_systemd_does_to_the_service_the_children_live_on_and_are_adopted() {
    let Some(service) = Service::start() else { return };
    let first = service.act("systemctl restart supervised");
    for command in [
        "systemctl restart supervised",
        "systemctl kill --kill-whom=main --signal=KILL supervised",
        "systemctl kill --kill-whom=main --signal=ABRT supervised",
        "systemctl stop supervised && systemctl start supervised",
        "systemctl stop supervised && systemctl daemon-reload && systemctl reset-failed && systemctl start supervised",
        "systemctl daemon-reexec && systemctl restart supervised",
    ] {
        assert_eq!(service.act(command), first, "{command}");
    }
    let log = service.container.run("cat /var/lib/mainstay/*.ready | wc -l");
    assert_eq!(log.trim(), "3", "each was started once");
}

#[test]
fn children_are_not_in_the_sandbox_where_the_drop_in_lifts_it() {
    let Some(service) = Service::start() else { return };
    let run = |command: &str| service.container.run(command).trim().to_owned();
    // What runs already keeps what it was started with: stopped, it starts anew.
    let sandboxed = service.act("systemctl restart supervised");
    let mounts = |pid: &str| run(&format!("readlink /proc/{pid}/ns/mnt"));
    assert_ne!(mounts(&sandboxed[0].to_string()), mounts("1"));
    let drop_in = service.container.path("/etc/systemd/system/supervised.service.d");
    fs::create_dir_all(&drop_in).unwrap();
    fs::write(drop_in.join("exec-backend.conf"), LIFTED).unwrap();
    run("systemctl stop supervised; systemctl daemon-reload");
    for pid in sandboxed {
        run(&format!("kill -9 -{pid}; while [ -e /proc/{pid} ]; do :; done"));
    }
    let names = ["dockerd", "etcd", "kubelet"];
    run("rm /var/lib/mainstay/*.ready");
    for (pid, unit) in service.act("systemctl start supervised").into_iter().zip(names) {
        let pid = pid.to_string();
        assert_eq!(mounts(&pid), mounts("1"));
        for what in ["CapBnd", "NoNewPrivs"] {
            let of = |pid: &str| run(&format!("grep {what} /proc/{pid}/status"));
            assert_eq!(of(&pid), of("1"));
        }
        let cgroups = run(&format!("cat /proc/{pid}/cgroup"));
        let own = format!("/system.slice/supervised.service/mainstay-{unit}");
        assert!(cgroups.lines().any(|it| it.ends_with(&own)), "{cgroups}");
    }
}
