//! Three masters with real units, and a writer whose writes must not be lost.

use std::io::Write as _;
use std::ops::Deref;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lab::bring_up::{self, OWN_PART};
use lab::etcd::{Access, Found, Writer, Written};
use lab::{Beneath, Daemon, Node, Stamp, Units};
use serde_json::Value;

use crate::support::steady::{says, steady, without_machine};
use crate::support::{M1, M2, M3, Net, mainstay};

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
    let path = std::env::var_os("MAINSTAY_KUBELET")
        .map_or_else(|| PathBuf::from("/var/cache/mainstay-lab/kubelet"), PathBuf::from);
    if !path.exists() {
        skipped(&format!("{} (netns-scripts/kubelet.sh makes it)", path.display()));
    }
    path.exists()
}

fn skipped(missing: &str) {
    // Not eprintln!, which the test harness keeps to itself.
    let _ = writeln!(std::io::stderr(), "SKIPPED: real units need {missing}");
}

impl Masters {
    /// mainstay runs on all three, and its units are not wanted yet. `None`, after saying so, where
    /// something is not installed.
    pub fn down(daemon: Daemon) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        if !lab::docker::is_installed() || !std::path::Path::new("/usr/bin/etcd").exists() {
            skipped("docker.io and etcd-server");
            return None;
        }
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let net = Net::up(3)?;
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let logs = std::env::temp_dir().join(format!("mssup-{}-{number}", std::process::id()));
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
    pub fn bring_up(&mut self) {
        let masters = bring_up::bring_up(self.lab(), "init").unwrap();
        println!("{}", bring_up::table(&masters));
        self.settle();
    }

    /// Waits until all is well, gives m1 the VIP and begins to write.
    pub fn settle(&mut self) {
        for &node in self.lab().nodes() {
            self.well(node);
        }
        self.give_the_vip_to_m1();
        self.write();
    }

    /// Begins to write to all members.
    pub fn write(&mut self) {
        let access = Access::new(self.lab(), M1).unwrap();
        let logs = self.logs.join(format!("{}", Stamp::now().nanos()));
        let writer = Writer::start(&access, self.lab().nodes(), &logs).unwrap();
        until("the first writes", || (writer.acknowledged() >= FIRST_WRITES).then_some(()));
        (self.writer, self.access) = (Some(writer), Some(access));
    }

    /// Ends the writer; what was acknowledged to it.
    pub fn stop_writing(&mut self) -> Written {
        self.writer.take().unwrap().stop().unwrap()
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

    // ---- What an operator reads ----

    /// `explain` on a node, without what differs from run to run.
    pub fn explained(&self, node: Node) -> String {
        self.steady(node, &without_machine(&steady(&self.mainstay(node, &["explain"]).stdout)))
    }

    /// The units of `status` on a node, without what differs from run to run.
    pub fn units_shown(&self, node: Node) -> String {
        let text = self.mainstay(node, &["status"]).stdout;
        let block = text.split("\n\n").find(|block| block.starts_with("units"));
        self.steady(node, &(steady(block.unwrap_or_default()).trim_end().to_owned() + "\n"))
    }

    /// A command ends with `code` and says this on standard error.
    #[track_caller]
    pub fn fails(&self, node: Node, command: &[&str], code: i32, expected: &str) {
        let ran = self.mainstay(node, command);
        assert_eq!(ran.code, Some(code), "{ran:?}");
        self.compare(node, expected, &self.steady(node, &steady(&ran.stderr)));
    }

    #[track_caller]
    fn compare(&self, node: Node, expected: &str, said: &str) {
        if expected == "?" {
            let at = std::panic::Location::caller();
            println!("TEXT {at} {node}\n{said}ENDTEXT");
            return;
        }
        assert_eq!(said, expected, "on {node}:\n{said}");
    }

    /// Waits until `explain` on `node` says this.
    #[track_caller]
    pub fn explains(&self, node: Node, expected: &str) {
        if expected == "?" {
            std::thread::sleep(Duration::from_secs(2));
            return self.compare(node, expected, &self.explained(node));
        }
        says(node, expected, || self.explained(node));
    }

    /// Waits until the units of `status` on `node` are these.
    #[track_caller]
    pub fn shows(&self, node: Node, expected: &str) {
        if expected == "?" {
            std::thread::sleep(Duration::from_secs(2));
            return self.compare(node, expected, &self.units_shown(node));
        }
        says(node, expected, || self.units_shown(node));
    }

    fn steady(&self, node: Node, text: &str) -> String {
        // What the machine has for a disk.
        let text = match text.split_once("than its data was (") {
            Some((before, after)) => {
                let rest = after.split_once(')').map_or("", |(_, rest)| rest);
                &format!("{before}than its data was (DISK){rest}")
            }
            None => text,
        };
        let text = text.replace(&self.lab().directory(node).display().to_string(), "DIR");
        let line = |line: &str| {
            let word = |word: &str| {
                let core = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
                if is_id(core) { word.replacen(core, "ID", 1) } else { word.to_owned() }
            };
            line.split(' ').map(word).collect::<Vec<_>>().join(" ") + "\n"
        };
        text.lines().map(line).collect()
    }
}

/// An id of etcd's or docker's, or a UUID: in hexadecimal digits.
fn is_id(word: &str) -> bool {
    let digits = word.chars().filter(char::is_ascii_hexdigit).count();
    digits >= 12 && word.chars().all(|c| c.is_ascii_hexdigit() || c == '-')
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

#[test]
fn masters_come_up_from_nothing_and_the_supervisor_takes_little_of_the_time() {
    let beneath = if has_kubelet() { Beneath::Kubelet } else { Beneath::Etcd };
    let Some(mut masters) = Masters::down(with_units(beneath)) else { return };
    let took = bring_up::bring_up(masters.lab(), "init").unwrap();
    println!("{}", bring_up::table(&took));
    for master in &took {
        // A machine that is busy delays everything alike; this is not about time.
        assert_eq!(master.own_parts().len() + 1, master.units.len());
        assert!(master.own_parts().iter().all(|part| *part < 20 * OWN_PART), "{master}");
    }
    masters.settle();
    masters.nothing_is_lost();
    let tree = "\
units
  dockerd            ready for SPAN (exec)
  └─ images          ready for SPAN (task)
     └─ etcd         ready for SPAN (container)
        └─ kubelet   ready for SPAN (exec)
";
    let tree = match beneath {
        Beneath::Kubelet => tree.to_owned(),
        Beneath::Etcd => tree.lines().take(4).map(|line| line.to_owned() + "\n").collect(),
    };
    for &node in masters.lab().nodes() {
        masters.shows(node, &tree);
    }
    // All is stopped in reverse, the VIP first.
    let ran = masters.mainstay(M1, &["down"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let place = |unit: &str, text: &str| {
        ran.stdout
            .lines()
            .position(|line| line.contains(&format!("  {unit} ")) && line.contains(text))
    };
    let order = [
        place("VIP", "drained"),
        place("kubelet", "stopped"),
        place("etcd", "stopped"),
        place("dockerd", "stopped"),
    ];
    assert!(order.iter().flatten().is_sorted(), "{}", ran.stdout);
    masters.nothing_is_lost_on(&[M2, M3]);
    let ran = masters.mainstay(M1, &["up"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    masters.well(M1);
    masters.nothing_is_lost();
}
