//! The same under a real systemd: whatever it does to the service, the children live on.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use supervisor::run::Snapshot;

use super::container::Container;
use super::{PATIENCE, pids};

/// As mainstay's own unit has it, as far as it is about children.
const SERVICE: &str = "[Unit]\nStartLimitIntervalSec=0\n[Service]\n\
    ExecStart=/opt/host --exact host --ignored\n\
    Environment=MSCORE_HOST=/opt/state\n\
    KillMode=process\n\
    OOMPolicy=continue\n\
    Delegate=yes\n\
    Restart=always\n\
    RestartSec=100ms\n";

struct Service {
    container: Container,
}

impl Service {
    fn start() -> Option<Self> {
        let Some(root) = std::env::var_os("MAINSTAY_SYSTEMD_ROOT").map(PathBuf::from) else {
            // Not eprintln!, which the test harness keeps to itself.
            let _ = writeln!(std::io::stderr(), "SKIPPED: MAINSTAY_SYSTEMD_ROOT is not set");
            return None;
        };
        let container = Container::boot(&root, &[("mscore.service", SERVICE)]);
        container.run("mkdir -p /opt/state");
        fs::copy(std::env::current_exe().unwrap(), container.path("/opt/host")).unwrap();
        let service = Self { container };
        service.act("systemctl start mscore");
        Some(service)
    }

    /// Does this, and waits until a host says that all is ready.
    fn act(&self, command: &str) -> Vec<u32> {
        let path = self.container.path("/opt/state/snapshot.json");
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
    let first = service.act("systemctl restart mscore");
    for command in [
        "systemctl restart mscore",
        "systemctl kill --kill-whom=main --signal=KILL mscore",
        "systemctl kill --kill-whom=main --signal=ABRT mscore",
        "systemctl stop mscore && systemctl start mscore",
        "systemctl stop mscore && systemctl daemon-reload && systemctl reset-failed && systemctl start mscore",
        "systemctl daemon-reexec && systemctl restart mscore",
    ] {
        assert_eq!(service.act(command), first, "{command}");
    }
    for pid in first {
        let cgroup = service.container.run(&format!("cat /proc/{pid}/cgroup"));
        let _ = writeln!(std::io::stderr(), "{pid}: {}", cgroup.trim().replace('\n', " "));
    }
    let log = service.container.run("cat /opt/state/*.ready | wc -l");
    assert_eq!(log.trim(), "3", "each was started once");
}
