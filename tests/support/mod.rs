//! What the end-to-end tests share: a lab of their own, and waiting for what it shows.
//!
//! Nothing here sleeps and hopes: every wait is for something that is seen, with [`PATIENCE`].
#![allow(dead_code, clippy::expect_used, clippy::panic)] // No file of tests uses all of it.

pub mod steady;

use std::collections::BTreeSet;
use std::io::Write;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use lab::timeline::{Timed, View, moves};
use lab::{
    Advert, Arp, Daemon, Event, Family, Interval, Kind, Lab, Node, Observer, Port, Preempt, Stamp,
    VIP, within,
};
use serde_json::Value;

/// How long anything may take, on a machine that is busy with other things.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// How often a state is asked for that nobody announces.
const POLL: Duration = Duration::from_millis(30);
const BINARY: &str = env!("CARGO_BIN_EXE_mainstay");

pub const M1: Node = node(1);
pub const M2: Node = node(2);
pub const M3: Node = node(3);

const fn node(number: u8) -> Node {
    Node::new(number).expect("1 to 12")
}

/// A lab, watched. Torn down when dropped; after a panic it first says what it saw.
pub struct Net {
    // Before the lab: it is dropped first.
    observer: Observer,
    lab: Lab,
}

/// What a command printed, and its exit code.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// This project's daemon with adverts each 200 ms, which leave a busy machine time, and without a
/// lease, so that what is removed is not removed by the kernel.
pub fn mainstay() -> Daemon {
    Daemon {
        binary: Some(BINARY.into()),
        lease_seconds: None,
        ..Daemon::new(Kind::Mainstay, Interval::from_millis(200))
    }
}

/// The same with `preempt = "always"`.
pub fn preempting() -> Daemon {
    Daemon { preempt: Preempt::Always, ..mainstay() }
}

/// The same with the shortest lease.
pub fn leased() -> Daemon {
    Daemon { lease_seconds: Some(2), ..mainstay() }
}

/// keepalived, which takes over from lower priorities.
pub fn keepalived(interval: Interval) -> Daemon {
    Daemon { preempt: Preempt::Always, ..Daemon::new(Kind::Keepalived, interval) }
}

/// Polls until `found` finds something.
#[track_caller]
pub fn poll<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let deadline = Stamp::now() + PATIENCE;
    loop {
        if let Some(result) = found() {
            return result;
        }
        assert!(Stamp::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(POLL);
    }
}

impl Net {
    /// A lab of its own with routers m1 to m`routers` and nothing running, watched for IPv4.
    /// `None`, after saying so, without root.
    pub fn up(routers: u8) -> Option<Self> {
        Self::up_for(routers, Family::Ipv4)
    }

    /// The same, watched for `family`.
    pub fn up_for(routers: u8, family: Family) -> Option<Self> {
        static LABS: AtomicU32 = AtomicU32::new(0);
        if !rustix::process::geteuid().is_root() {
            // Not eprintln!, which the test harness keeps to itself.
            let _ = writeln!(std::io::stderr(), "SKIPPED: network namespaces need root");
            return None;
        }
        static SWEPT: Once = Once::new();
        SWEPT.call_once(sweep);
        let number = LABS.fetch_add(1, Ordering::Relaxed);
        let name = format!("t{}-{number}", std::process::id());
        let lab = Lab::up(&name, routers).expect("a lab");
        let observer = Observer::start_for(&lab, family).expect("an observer");
        Some(Self { observer, lab })
    }

    /// A lab where `daemon` runs on all routers and m1 has the VIP. The others are Backup.
    pub fn settled(routers: u8, daemon: &Daemon) -> Option<Self> {
        let net = Self::up(routers)?;
        net.start(&[M1], daemon);
        net.owned_by(M1);
        net.start(&net.lab.nodes()[1..], daemon);
        for &node in &net.lab.nodes()[1..] {
            net.backup_of(node, M1);
        }
        Some(net)
    }

    pub fn lab(&self) -> &Lab {
        &self.lab
    }

    #[track_caller]
    pub fn start(&self, nodes: &[Node], daemon: &Daemon) {
        self.lab.start(nodes, daemon).expect("the daemon starts");
    }

    /// Runs a command in the namespace of a router, of `client` or of `bridge`.
    #[track_caller]
    pub fn run(&self, member: impl std::fmt::Display, command: &str) -> String {
        self.lab.exec(member, &["sh", "-ec", command]).expect("the command succeeds")
    }

    /// Runs `mainstay` with `arguments` for the daemon of `node`.
    pub fn mainstay(&self, node: Node, arguments: &[&str]) -> Ran {
        let output = self.command(node, arguments).output().expect("mainstay runs");
        Ran {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The command `mainstay` with `arguments` for the daemon of `node`, in its namespace.
    pub fn command(&self, node: Node, arguments: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{}", self.lab.namespace(node)));
        command.arg(BINARY).args(arguments);
        command.arg("--runtime-dir").arg(self.lab.directory(node).join("run"));
        command.stdin(Stdio::null());
        command
    }

    /// Rewrites the configuration of `node`.
    pub fn configure(&self, node: Node, change: impl FnOnce(&str) -> String) {
        let path = self.lab.directory(node).join("mainstay.toml");
        let text = std::fs::read_to_string(&path).expect("a configuration");
        std::fs::write(path, change(&text)).expect("the configuration is written");
    }

    /// Rewrites the configuration of `node` and has it put in force.
    #[track_caller]
    pub fn reconfigure(&self, node: Node, change: impl FnOnce(&str) -> String) {
        self.configure(node, change);
        let ran = self.mainstay(node, &["reload"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }

    // ---- What the wire and the kernels show ----

    /// Waits until `found` finds something in what the observers saw.
    #[track_caller]
    pub fn wait<T>(&self, what: &str, found: impl FnMut(&View) -> Option<T>) -> T {
        let seen = self.observer.timeline().wait(Stamp::now() + PATIENCE, found);
        seen.unwrap_or_else(|| panic!("waited in vain for {what}"))
    }

    /// Waits until `node` alone has the VIP.
    #[track_caller]
    pub fn owned_by(&self, node: Node) {
        let only = BTreeSet::from([node]);
        self.wait(&format!("{node} alone to have the VIP"), |view| {
            (view.owners == only).then_some(())
        });
    }

    /// Waits until exactly these have the VIP.
    #[track_caller]
    pub fn owners(&self, nodes: &[Node]) {
        let wanted: BTreeSet<Node> = nodes.iter().copied().collect();
        self.wait(&format!("{nodes:?} to have the VIP"), |view| {
            (view.owners == wanted).then_some(())
        });
    }

    /// Waits for an advert of `node` after `since` that `wanted` accepts.
    #[track_caller]
    pub fn advert(&self, node: Node, since: Stamp, wanted: impl Fn(&Advert) -> bool) -> Timed {
        self.wait(&format!("an advert of {node}"), |view| {
            view.events
                .iter()
                .find(|timed| timed.at >= since && is_advert(timed, node, &wanted))
                .cloned()
        })
    }

    /// Waits until `node` has sent `count` adverts of nonzero priority after `since`.
    #[track_caller]
    pub fn adverts(&self, node: Node, since: Stamp, count: usize) {
        self.wait(&format!("{count} adverts of {node}"), |view| {
            (sent(&view.events, node, since) >= count).then_some(())
        });
    }

    /// Waits for ten adverts of `node`, while which the VIP must not have moved since `since`.
    #[track_caller]
    pub fn unmoved(&self, node: Node, since: Stamp) {
        self.adverts(node, Stamp::now(), 10);
        let events = self.events_seen();
        assert_eq!(moves(&events, since), 0, "the VIP moved");
        assert_eq!(self.observer.timeline().owners(), BTreeSet::from([node]));
    }

    /// Waits for ARP of `port` after `since` that `wanted` accepts.
    #[track_caller]
    pub fn arp(&self, port: Port, since: Stamp, wanted: impl Fn(&Arp) -> bool) -> Stamp {
        self.wait(&format!("ARP of {port}"), |view| {
            let found = view.events.iter().find(|timed| {
                timed.at >= since
                    && matches!(&timed.event, Event::Arp(from, arp) if *from == port && wanted(arp))
            });
            found.map(|timed| timed.at)
        })
    }

    /// Waits for a gratuitous ARP of `node` for the VIP after `since`.
    #[track_caller]
    pub fn announced(&self, node: Node, since: Stamp) -> Stamp {
        self.arp(Port::Node(node), since, |arp| arp.is_gratuitous() && arp.sender == VIP)
    }

    /// Waits until `node` has made all announcements of a takeover after `since`, so that the next
    /// one has another reason. Without a lease they are three, within a second.
    #[track_caller]
    pub fn done_announcing(&self, node: Node, since: Stamp) {
        self.wait(&format!("three announcements of {node}"), |view| {
            let own = |timed: &&Timed| {
                timed.at >= since
                    && matches!(&timed.event, Event::Arp(Port::Node(from), arp)
                        if *from == node && arp.is_gratuitous())
            };
            (view.events.iter().filter(own).count() >= 3).then_some(())
        });
    }

    /// How many adverts of nonzero priority `node` sent after `since`.
    pub fn sent(&self, node: Node, since: Stamp) -> usize {
        sent(&self.events_seen(), node, since)
    }

    /// Whether `node` sent priority 0 after `since`.
    pub fn gave_up(&self, node: Node, since: Stamp) -> bool {
        let zero = |advert: &Advert| advert.priority == 0;
        self.events_seen().iter().any(|timed| timed.at >= since && is_advert(timed, node, zero))
    }

    pub fn events_seen(&self) -> Vec<Timed> {
        self.observer.timeline().events()
    }

    /// The IPv4 addresses of `node` on eth0.
    pub fn addresses(&self, node: Node) -> Vec<Ipv4Addr> {
        let text = self.run(node, "ip -j -4 address show dev eth0");
        let value: Value = serde_json::from_str(&text).expect("JSON of ip");
        let infos = value[0]["addr_info"].as_array().cloned().unwrap_or_default();
        infos.iter().filter_map(|info| info["local"].as_str()?.parse().ok()).collect()
    }

    /// The address that `node` would send from to `destination`, of an unbound socket.
    pub fn source_to(&self, node: Node, destination: Ipv4Addr) -> Option<Ipv4Addr> {
        let connect = || -> std::io::Result<Ipv4Addr> {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
            socket.connect((destination, 9))?;
            match socket.local_addr()?.ip() {
                std::net::IpAddr::V4(address) => Ok(address),
                std::net::IpAddr::V6(_) => Err(std::io::ErrorKind::Unsupported.into()),
            }
        };
        within(&self.lab.namespace(node), connect).expect("the namespace").ok()
    }

    // ---- What the daemon says ----

    /// `status -o json`; null while the daemon does not answer.
    pub fn status(&self, node: Node) -> Value {
        let ran = self.mainstay(node, &["status", "-o", "json"]);
        serde_json::from_str(&ran.stdout).unwrap_or_default()
    }

    /// The first virtual router in the status; null while the daemon does not answer.
    pub fn router(&self, node: Node) -> Value {
        let mut status = self.status(node);
        status.pointer_mut("/virtual_routers/0").map(Value::take).unwrap_or_default()
    }

    /// Waits until the first virtual router of `node` is in `state`; its status.
    #[track_caller]
    pub fn state(&self, node: Node, state: &str) -> Value {
        self.router_until(node, state, |router| router["state"] == state)
    }

    /// Waits until `node` is Backup and hears `active`.
    #[track_caller]
    pub fn backup_of(&self, node: Node, active: Node) {
        self.backup_of_source(node, &active.address().to_string());
    }

    /// Waits until `node` is Backup and hears an Active with this source.
    #[track_caller]
    pub fn backup_of_source(&self, node: Node, source: &str) {
        self.router_until(node, &format!("Backup of {source}"), |router| {
            router["state"] == "Backup" && router["active_router"] == source
        });
    }

    /// Waits for a status of the first virtual router of `node` that `wanted` accepts.
    #[track_caller]
    pub fn router_until(&self, node: Node, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        poll(&format!("{node}: {what}"), || Some(self.router(node)).filter(&wanted))
    }

    /// All events that the daemon of `node` remembers.
    pub fn events(&self, node: Node) -> Vec<Value> {
        let ran = self.mainstay(node, &["events", "-o", "json"]);
        ran.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// Waits for an event of the daemon of `node` with this code that `wanted` accepts.
    #[track_caller]
    pub fn event_where(&self, node: Node, code: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        poll(&format!("the event {code} of {node}"), || {
            self.events(node).into_iter().find(|event| event["code"] == code && wanted(event))
        })
    }

    /// Waits for an event of the daemon of `node` with this code.
    #[track_caller]
    pub fn event(&self, node: Node, code: &str) -> Value {
        self.event_where(node, code, |_| true)
    }

    /// Waits until the daemon of `node` has told of a conflict of this kind.
    #[track_caller]
    pub fn conflict(&self, node: Node, kind: &str) -> Value {
        self.event_where(node, "conflict", |event| event["detail"]["conflict"] == kind)
    }

    /// How often the daemon of `node` has told of a change of state.
    pub fn transitions(&self, node: Node) -> usize {
        self.events(node).iter().filter(|event| event["code"] == "transition").count()
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let events = self.events_seen();
        eprintln!("---- what was seen in {}", self.lab.name());
        for (i, Timed { at, event }) in events.iter().enumerate() {
            // An advert that says the same as one of the last two says nothing new.
            let recent = &events[i.saturating_sub(2)..i];
            let repeats = recent.iter().any(|earlier| earlier.event == *event);
            if !(repeats && matches!(event, Event::Advert(..))) {
                eprintln!("{at} {event}");
            }
        }
        for &node in self.lab.nodes() {
            let log = std::fs::read_to_string(self.lab.directory(node).join("log"));
            eprintln!("---- log of {node}\n{}", log.unwrap_or_default());
        }
    }
}

/// Tears down the labs of test processes that were killed.
fn sweep() {
    let base = std::env::var_os("LAB_RUN_DIR").unwrap_or_else(|| "/run/mainstay-lab".into());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/netns-scripts/lab.sh");
    for entry in std::fs::read_dir(base).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid =
            name.strip_prefix('t').and_then(|rest| rest.split_once('-')?.0.parse::<u32>().ok());
        if pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            let _ = Command::new(script).args(["--lab", &name, "down"]).status();
        }
    }
}

fn is_advert(timed: &Timed, node: Node, wanted: impl Fn(&Advert) -> bool) -> bool {
    matches!(&timed.event, Event::Advert(from, advert) if *from == node && wanted(advert))
}

fn sent(events: &[Timed], node: Node, since: Stamp) -> usize {
    let nonzero = |advert: &Advert| advert.priority != 0;
    events.iter().filter(|timed| timed.at >= since && is_advert(timed, node, nonzero)).count()
}
