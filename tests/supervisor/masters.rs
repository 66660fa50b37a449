//! Three masters with real units, and a writer whose writes must not be lost.

use std::io::Write as _;
use std::ops::Deref;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lab::bring_up::{self, BringUp};
use lab::etcd::{Access, Found, Writer, Written};
use lab::{Beneath, Daemon, Node, Stamp, Units};
use serde_json::Value;

use crate::support::{M1, M2, Net, mainstay};

/// How long a unit may take, with a backoff of a minute before it.
pub const PATIENCE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(100);
/// So many writes have been acknowledged before anything is harmed.
const FIRST_WRITES: u64 = 50;
/// The folder of etcd's data on each node.
pub const DATA: &str = "etcd";

/// Three dockerds and etcds at a time are enough for one machine.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Three masters of which m1 has the VIP. All is gone when they are dropped.
pub struct Masters {
    writer: Option<Writer>,
    access: Option<Access>,
    logs: PathBuf,
    pub daemon: Daemon,
    // Dropped after the writer.
    net: Net,
    _turn: MutexGuard<'static, ()>,
}

/// A daemon with units up to `beneath`; containers outlive dockerd.
pub fn with_units(beneath: Beneath) -> Daemon {
    Daemon { units: Some(Units { beneath, live_restore: true }), ..mainstay() }
}

/// Whether a kubelet was built; says so if not.
pub fn has_kubelet() -> bool {
    let path = |name| std::env::var_os(name).map(PathBuf::from);
    let cache = path("MAINSTAY_LAB_CACHE").unwrap_or_else(|| "/var/cache/mainstay-lab".into());
    let kubelet = path("MAINSTAY_KUBELET").unwrap_or_else(|| cache.join("kubelet"));
    if !kubelet.exists() {
        let kubelet = kubelet.display();
        skipped(&format!("kubelet: it is not at {kubelet} (netns-scripts/kubelet.sh makes it)"));
    }
    kubelet.exists()
}

fn skipped(what: &str) {
    // Not eprintln!, which the test harness keeps to itself.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {what}");
}

impl Masters {
    /// mainstay runs on all three, and its units are not wanted yet. `None`, after saying so, where
    /// something is not installed.
    pub fn down(daemon: Daemon) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        if !lab::docker::is_installed() || !std::path::Path::new("/usr/bin/etcd").exists() {
            skipped("real units need docker.io and etcd-server");
            return None;
        }
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let net = Net::up(3)?;
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let logs =
            std::env::temp_dir().join(format!("mainstay-written-{}-{number}", std::process::id()));
        net.start(net.lab().nodes(), &daemon);
        Some(Self { writer: None, access: None, logs, daemon, net, _turn: turn })
    }

    /// All units are ready, m1 has the VIP, and the writer writes.
    pub fn up(daemon: Daemon) -> Option<Self> {
        let mut masters = Self::down(daemon)?;
        masters.bring_up();
        Some(masters)
    }

    /// Brings up what [`Self::down`] has left down.
    pub fn bring_up(&mut self) -> Vec<BringUp> {
        let took = bring_up::bring_up(self.lab(), "init").unwrap();
        println!("{}", bring_up::table(&took));
        for &node in self.lab().nodes() {
            self.well(node);
        }
        self.give_the_vip_to_m1();
        self.write();
        took
    }

    /// Begins to write to all members.
    pub fn write(&mut self) {
        let access = Access::new(self.lab(), M1).unwrap();
        let logs = self.logs.join(format!("{}", Stamp::now().nanos()));
        let writer = Writer::start(&access, self.lab().nodes(), &logs).unwrap();
        until("the first writes", || (writer.acknowledged() >= FIRST_WRITES).then_some(()));
        (self.writer, self.access) = (Some(writer), Some(access));
    }

    /// What was acknowledged to the writer so far.
    pub fn written(&self) -> Written {
        self.writer.as_ref().expect("a writer").written().unwrap()
    }

    /// Ends the writer.
    pub fn stop_writing(&mut self) {
        self.writer.take().expect("a writer").stop().unwrap();
    }

    /// By way of m2, so that the last move is the same in each run.
    fn give_the_vip_to_m1(&self) {
        for holder in [M2, M1] {
            let others = self.lab().nodes().iter().filter(|&&node| node != holder);
            for step in ["drain", "undrain"] {
                for &other in others.clone() {
                    let ran = self.mainstay(other, &["vip", step]);
                    assert_eq!(ran.code, Some(0), "{ran:?}");
                }
                self.owned_by(holder);
            }
        }
    }

    // ---- What is there ----

    /// A unit as the status of a node has it.
    pub fn unit(&self, node: Node, name: &str) -> Value {
        let status = self.status(node);
        let units = status["units"].as_array().cloned().unwrap_or_default();
        units.into_iter().find(|unit| unit["name"] == name).unwrap_or_default()
    }

    /// Waits for a unit that `wanted` accepts.
    #[track_caller]
    pub fn unit_until(
        &self,
        node: Node,
        name: &str,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        let what = format!("{name} on {node} {what}");
        let seen = || self.unit(node, name);
        until_or(&what, || Some(seen()).filter(&wanted), || seen().to_string())
    }

    /// Waits until a unit is in `state`.
    #[track_caller]
    pub fn unit_is(&self, node: Node, name: &str, state: &str) -> Value {
        self.unit_until(node, name, &format!("to be {state}"), |unit| unit["state"] == state)
    }

    /// Waits until a unit is ready again, after a restart or several: a dockerd that follows a killed
    /// one may find the containerd of that one, and end.
    #[track_caller]
    pub fn restarted(&self, node: Node, name: &str) -> Value {
        self.unit_until(node, name, "to be ready, after a restart", |unit| {
            unit["state"] == "ready" && unit["restarts"].as_u64() > Some(0)
        })
    }

    /// Waits until all units of a node are ready, and it is a healthy place for the VIP.
    #[track_caller]
    pub fn well(&self, node: Node) {
        let seen = || self.status(node);
        let is_well = |status: &Value| {
            let units = status["units"].as_array().cloned().unwrap_or_default();
            let router = &status["virtual_routers"][0];
            !units.is_empty()
                && units.iter().all(|unit| unit["state"] == "ready")
                && router["effective_priority"] == router["priority"]
        };
        let what = format!("all to be well on {node}");
        until_or(
            &what,
            || Some(seen()).filter(is_well).map(drop),
            || self.mainstay(node, &["status"]).stdout,
        );
    }

    /// Waits until a node is a worse place for the VIP than it could be.
    #[track_caller]
    pub fn degraded(&self, node: Node) {
        self.router_until(node, "degraded", |it| {
            it["effective_priority"].is_u64() && it["effective_priority"] != it["priority"]
        });
    }

    /// What runs for the units of a node: all but the loading of images, which runs each time that
    /// mainstay starts.
    pub fn identities(&self, node: Node) -> Vec<(String, Value)> {
        let status = self.status(node);
        let units = status["units"].as_array().cloned().unwrap_or_default();
        let name = |unit: &Value| unit["name"].as_str().unwrap().to_owned();
        let lasting = units.iter().filter(|unit| unit["name"] != "images");
        lasting.map(|unit| (name(unit), unit["identity"].clone())).collect()
    }

    /// The process id of etcd in its container.
    pub fn etcd_pid(&self, node: Node) -> String {
        let format = "--format={{.Id}} {{.State.Pid}}";
        self.lab().docker(node, &["inspect", format, "mainstay-etcd"]).unwrap()
    }

    /// The process that a unit runs as.
    pub fn pid(&self, node: Node, unit: &str) -> String {
        let identity = self.unit(node, unit)["identity"].clone();
        let pid = identity["pid"].as_u64();
        pid.unwrap_or_else(|| panic!("{unit} on {node} is no process: {identity}")).to_string()
    }

    /// Kills the process of a unit.
    pub fn kill_unit(&self, node: Node, unit: &str) {
        self.run(node, &format!("kill -KILL {}", self.pid(node, unit)));
    }

    /// A file or folder of a node.
    pub fn path(&self, node: Node, name: &str) -> String {
        self.lab().directory(node).join(name).display().to_string()
    }

    /// Begins a command on a node, for the daemon that runs there.
    pub fn spawn(&self, node: Node, arguments: &[&str]) -> Child {
        self.command(node, arguments).stdout(Stdio::null()).spawn().unwrap()
    }

    // ---- What must hold ----

    /// Every write that was acknowledged so far is on `nodes`, and etcd acknowledges more.
    #[track_caller]
    pub fn nothing_is_lost_on(&self, nodes: &[Node]) {
        let writer = self.writer.as_ref().expect("a writer");
        let count = writer.acknowledged();
        let is_going_on = || (writer.acknowledged() >= count + FIRST_WRITES).then_some(());
        until("further writes", is_going_on);
        self.holds(&writer.written().unwrap(), nodes);
    }

    /// Each of `nodes` has all that was written.
    #[track_caller]
    pub fn holds(&self, written: &Written, nodes: &[Node]) {
        for &node in nodes {
            let access = self.access.as_ref().expect("access");
            let Found { acknowledged, lost } = written.find(access, node).unwrap();
            assert!(acknowledged > 0);
            assert!(lost.is_empty(), "{node}: {} of {acknowledged}: {lost:?}", lost.len());
        }
    }

    /// The same on all masters.
    #[track_caller]
    pub fn nothing_is_lost(&self) {
        self.nothing_is_lost_on(self.lab().nodes());
    }
}

impl Deref for Masters {
    type Target = Net;

    fn deref(&self) -> &Net {
        &self.net
    }
}

impl Drop for Masters {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for &node in self.lab().nodes() {
                eprintln!("---- {node}\n{}", self.mainstay(node, &["status"]).stdout);
                let log = self.mainstay(node, &["unit", "logs", "etcd", "-n", "15"]);
                eprintln!("---- etcd of {node}\n{}", log.stdout);
            }
        }
        if let Some(writer) = self.writer.take() {
            let _ = writer.stop();
        }
        let _ = std::fs::remove_dir_all(&self.logs);
    }
}

/// Waits until `found` finds something.
#[track_caller]
pub fn until<T>(what: &str, found: impl FnMut() -> Option<T>) -> T {
    until_or(what, found, String::new)
}

/// The same; says what is seen instead when it is too late.
#[track_caller]
fn until_or<T>(
    what: &str,
    mut found: impl FnMut() -> Option<T>,
    instead: impl Fn() -> String,
) -> T {
    let deadline = Stamp::now() + PATIENCE;
    loop {
        if let Some(result) = found() {
            return result;
        }
        assert!(Stamp::now() < deadline, "waited in vain for {what}: {}", instead());
        std::thread::sleep(POLL);
    }
}
