//! One daemon at one end of a cable, the test at the other: raw frames in, captures out.
#![allow(dead_code, unused_imports)] // No binary uses all of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod expect;
mod feed;
mod namespaces;
mod setup;
mod stalls;
mod variant;

use std::fs::{self, File};
use std::net::IpAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use lab::inject::{AdvertFrame, Injector};
use lab::{Advert, Direction, Frame, MacAddr, Seen, Stamp, Tap};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use namespaces::Namespaces;

pub use expect::{on_time, regular};
pub use feed::Feed;
pub use namespaces::allowed;
pub use setup::Setup;
pub use variant::{
    Family, Mac, NODE_MAC, PEER_MAC, V4, V4_VIRTUAL, V6, V6_VIRTUAL, VRID, Variant, among, matrix,
};

/// How long anything may take, on a machine that is busy with other things.
pub const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(20);
const BINARY: &str = env!("CARGO_BIN_EXE_mainstay");
const BASE: &str = "/run/mainstay-conformance";

/// An advert of the daemon's.
#[derive(Clone, Debug)]
pub struct Sent {
    pub at: Stamp,
    pub advert: Advert,
}

pub struct Rig {
    pub setup: Setup,
    daemon: Option<Child>,
    tap: Tap,
    injector: Arc<Injector>,
    directory: PathBuf,
    // Last: it is dropped last.
    pub namespaces: Namespaces,
}

impl Rig {
    pub fn new(setup: Setup) -> Self {
        let namespaces = Namespaces::new(&setup);
        let wire = namespaces.of("wire");
        let tap = Tap::start(&wire, setup.keep).unwrap();
        let injector = Arc::new(Injector::open(&wire, "eth0").unwrap());
        let directory = PathBuf::from(BASE).join(namespaces.name());
        fs::create_dir_all(directory.join("run")).unwrap();
        fs::create_dir_all(directory.join("state")).unwrap();
        namespaces.exec("node", &setup.before);
        Self { setup, daemon: None, tap, injector, directory, namespaces }
    }

    // ---- The daemon ----

    /// Starts the daemon and waits until its virtual router takes part. The moment before.
    pub fn start(&mut self) -> Stamp {
        let started = self.spawn();
        self.until("the virtual router takes part", |router| {
            router["state"] == "Backup" || router["state"] == "Active"
        });
        started
    }

    /// Starts the daemon. The moment before.
    pub fn spawn(&mut self) -> Stamp {
        let path = |name: &str| self.directory.join(name);
        fs::write(path("mainstay.toml"), self.setup.toml()).unwrap();
        let log = File::options().create(true).append(true).open(path("log")).unwrap();
        let started = Stamp::now();
        let daemon = self
            .namespaces
            .command("node")
            .args([BINARY, "run", "--node", "n"])
            .arg("--config")
            .arg(path("mainstay.toml"))
            .arg("--runtime-dir")
            .arg(path("run"))
            .arg("--state-dir")
            .arg(path("state"))
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .process_group(0)
            .spawn();
        self.daemon = Some(daemon.unwrap());
        started
    }

    /// SIGTERM, and waits for its end. The moment before.
    pub fn stop(&mut self) -> Stamp {
        let mut daemon = self.daemon.take().unwrap();
        let stopped = Stamp::now();
        kill(Pid::from_raw(daemon.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
        assert!(daemon.wait().unwrap().success());
        stopped
    }

    /// SIGKILL to the daemon and its VRRP process. The moment before.
    pub fn kill(&mut self) -> Stamp {
        let vrrp = self.vrrp_pid();
        let mut daemon = self.daemon.take().unwrap();
        let killed = Stamp::now();
        daemon.kill().unwrap();
        kill(vrrp, Signal::SIGKILL).unwrap();
        daemon.wait().unwrap();
        killed
    }

    /// Where its files are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Signals the VRRP process. The moment before.
    pub fn signal_vrrp(&self, signal: Signal) -> Stamp {
        let vrrp = self.vrrp_pid();
        let at = Stamp::now();
        kill(vrrp, signal).unwrap();
        at
    }

    /// Signals the daemon and its VRRP process. The moment before.
    pub fn signal_both(&self, signal: Signal) -> Stamp {
        let vrrp = self.vrrp_pid();
        let at = Stamp::now();
        kill(self.daemon_pid(), signal).unwrap();
        kill(vrrp, signal).unwrap();
        at
    }

    /// Signals the daemon alone, and waits for its end.
    pub fn end_daemon(&mut self, signal: Signal) {
        kill(self.daemon_pid(), signal).unwrap();
        self.daemon.take().unwrap().wait().unwrap();
    }

    fn daemon_pid(&self) -> Pid {
        let daemon = self.daemon.as_ref().unwrap();
        Pid::from_raw(daemon.id().try_into().unwrap())
    }

    /// By the file that it writes: the daemon may be stopped.
    fn vrrp_pid(&self) -> Pid {
        let text = fs::read_to_string(self.directory.join("run/vrrp.pid")).unwrap();
        let identity: Value = serde_json::from_str(&text).unwrap();
        Pid::from_raw(identity["pid"].as_i64().unwrap().try_into().unwrap())
    }

    /// Writes another configuration and has it put in force.
    #[track_caller]
    pub fn reload(&mut self, change: impl FnOnce(&mut Setup)) {
        change(&mut self.setup);
        fs::write(self.directory.join("mainstay.toml"), self.setup.toml()).unwrap();
        let ran = self.mainstay(&["reload"]).output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    }

    /// The command `mainstay` for this daemon, in its namespace.
    pub fn mainstay(&self, arguments: &[&str]) -> Command {
        let mut command = self.namespaces.command("node");
        command.arg(BINARY).args(arguments);
        command.arg("--runtime-dir").arg(self.directory.join("run"));
        command
    }

    /// `status -o json`; null while the daemon does not answer.
    pub fn status(&self) -> Value {
        let ran = self.mainstay(&["status", "-o", "json"]).output().unwrap();
        serde_json::from_slice(&ran.stdout).unwrap_or_default()
    }

    /// The first virtual router in the status.
    pub fn router(&self) -> Value {
        self.status()["virtual_routers"].get(0).cloned().unwrap_or_default()
    }

    /// Waits for a status of the first virtual router that `wanted` accepts.
    #[track_caller]
    pub fn until(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        poll(what, || {
            last = self.router();
            wanted(&last).then(|| last.clone())
        })
    }

    #[track_caller]
    pub fn state(&self, state: &str) {
        self.until(state, |router| router["state"] == state);
    }

    /// Which virtual addresses the node's kernel has now, on whatever interface.
    pub fn installed(&self) -> Vec<IpAddr> {
        let text = self.namespaces.exec("node", "ip -j address show");
        let links: Value = serde_json::from_str(&text).unwrap();
        let infos = links.as_array().unwrap().iter().flat_map(|link| link["addr_info"].as_array());
        let addresses = infos.flatten().filter_map(|info| info["local"].as_str()?.parse().ok());
        let found: Vec<IpAddr> = addresses.collect();
        self.setup.vips.iter().copied().filter(|vip| found.contains(vip)).collect()
    }

    /// Waits until the node has all virtual addresses, or none.
    #[track_caller]
    pub fn has_vips(&self, wanted: bool) {
        poll(&format!("the virtual addresses: {wanted}"), || {
            let count = self.installed().len();
            (count == if wanted { self.setup.vips.len() } else { 0 }).then_some(())
        });
    }

    // ---- What the daemon sends ----

    /// All frames of the cable since then.
    pub fn frames(&self, since: Stamp) -> Vec<Seen> {
        self.tap.frames().into_iter().filter(|seen| seen.at >= since).collect()
    }

    /// The frames that the node sent since then.
    pub fn emitted(&self, since: Stamp) -> Vec<Seen> {
        let incoming = |seen: &Seen| seen.direction == Direction::In;
        self.frames(since).into_iter().filter(incoming).collect()
    }

    /// The daemon's adverts since then. Each VRRP packet of it must be one.
    #[track_caller]
    pub fn sent(&self, since: Stamp) -> Vec<Sent> {
        self.emitted(since).into_iter().filter_map(|seen| self.advert_in(&seen)).collect()
    }

    /// Waits for the daemon's next advert after `since` that `wanted` accepts.
    #[track_caller]
    pub fn advert_where(&self, since: Stamp, wanted: impl Fn(&Advert) -> bool) -> Sent {
        self.wait("an advert", |frames| {
            let since = |seen: &&Seen| seen.at >= since && seen.direction == Direction::In;
            let adverts = frames.iter().filter(since).filter_map(|seen| self.advert_in(seen));
            adverts.into_iter().find(|it| wanted(&it.advert))
        })
    }

    /// Waits for the daemon's next advert after `since`.
    #[track_caller]
    pub fn advert(&self, since: Stamp) -> Sent {
        self.advert_where(since, |_| true)
    }

    /// Waits until `found` finds something among all frames.
    #[track_caller]
    pub fn wait<T>(&self, what: &str, found: impl FnMut(&[Seen]) -> Option<T>) -> T {
        let seen = self.tap.wait(Stamp::now() + PATIENCE, found);
        seen.unwrap_or_else(|| panic!("waited in vain for {what}"))
    }

    /// Waits until the daemon is Active and has its addresses. Its last advert.
    #[track_caller]
    pub fn active(&self) -> Sent {
        self.until("Active", |router| router["state"] == "Active" && router["installed"] == true);
        self.advert(Stamp::from_nanos(0));
        self.sent(Stamp::from_nanos(0)).pop().expect("one was just seen")
    }

    /// The same, right after an advert, so that the next is an interval away.
    #[track_caller]
    pub fn freshly_active(&self) -> Sent {
        self.active();
        self.advert(Stamp::now())
    }

    /// Panics if the daemon has advertised since.
    #[track_caller]
    pub fn silent(&self, since: Stamp) {
        let sent = self.sent(since);
        assert!(sent.is_empty(), "it advertised at {}: {:?}", sent[0].at, sent[0].advert);
    }

    /// The advert of the daemon's virtual router in a frame. Each VRRP packet of it is an advert.
    fn advert_in(&self, seen: &Seen) -> Option<Sent> {
        match &seen.frame {
            Some(Frame::Advert(advert)) if advert.vrid == self.setup.vrid => {
                Some(Sent { at: seen.at, advert: advert.clone() })
            }
            frame => {
                assert!(frame.is_some() || !is_vrrp(&seen.bytes), "malformed: {:02x?}", seen.bytes);
                None
            }
        }
    }

    // ---- What the daemon hears ----

    /// A right advert of a peer of the same kind, with the daemon's interval and addresses.
    pub fn peer(&self, source: IpAddr, priority: u8) -> AdvertFrame {
        let mac = self.setup.variant.peer_mac();
        AdvertFrame {
            priority,
            interval: u16::try_from(self.setup.interval / 10).unwrap(),
            ..AdvertFrame::new(mac, source, self.setup.vrid, &self.setup.vips)
        }
    }

    /// That of the peer with the greater address.
    pub fn greater(&self, priority: u8) -> AdvertFrame {
        self.peer(self.setup.variant.greater(), priority)
    }

    /// That of the peer with the smaller address.
    pub fn smaller(&self, priority: u8) -> AdvertFrame {
        self.peer(self.setup.variant.smaller(), priority)
    }

    /// Sends an advert; when it left.
    #[track_caller]
    pub fn send(&self, frame: &AdvertFrame) -> Stamp {
        self.send_bytes(&frame.bytes())
    }

    /// Sends a frame; when it left.
    #[track_caller]
    pub fn send_bytes(&self, bytes: &[u8]) -> Stamp {
        let before = Stamp::now() - Duration::from_millis(1);
        self.injector.send(bytes).unwrap();
        self.wait("the frame that was sent", |frames| {
            let own = |seen: &&Seen| seen.direction == Direction::Out && seen.bytes == bytes;
            frames.iter().rev().take_while(|seen| seen.at >= before).find(own).map(|seen| seen.at)
        })
    }

    /// Keeps sending these adverts in turn, one each interval.
    pub fn feed(&self, frames: &[AdvertFrame], interval: Duration) -> Feed {
        let frames = frames.iter().map(AdvertFrame::bytes).collect();
        Feed::start(Arc::clone(&self.injector), frames, interval)
    }

    /// For a [`Feed`] of other frames.
    pub fn injector(&self) -> Arc<Injector> {
        Arc::clone(&self.injector)
    }

    /// The injector is made anew: the cable is another.
    pub fn replug(&mut self) {
        self.namespaces.plug(&self.setup);
        self.injector = Arc::new(Injector::open(&self.namespaces.of("wire"), "eth0").unwrap());
    }

    /// An injector at the second cable.
    pub fn second(&self) -> Injector {
        self.namespaces.plug_second();
        Injector::open(&self.namespaces.of("wire"), "eth1").unwrap()
    }

    /// The Ethernet address of the virtual router.
    pub fn mac(&self) -> MacAddr {
        self.setup.variant.router_mac()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.tell();
        }
        if let Some(mut daemon) = self.daemon.take() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

impl Rig {
    /// What was seen, for whoever looks at a failure.
    fn tell(&self) {
        eprintln!("---- {} at {}: the last frames", self.setup.variant, self.namespaces.name());
        let frames = self.tap.frames();
        for seen in &frames[frames.len().saturating_sub(40)..] {
            let what = match &seen.frame {
                Some(frame) => format!("{frame:?}"),
                None => format!("{:02x?}", &seen.bytes[..seen.bytes.len().min(64)]),
            };
            eprintln!("{} {:?} {what}", seen.at, seen.direction);
        }
        let log = fs::read_to_string(self.directory.join("log")).unwrap_or_default();
        eprintln!("---- its log\n{log}");
    }
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

/// Whether it is IPv4 or IPv6 with protocol 112.
pub fn is_vrrp(frame: &[u8]) -> bool {
    let protocol = match frame.get(12..14) {
        Some([0x08, 0x00]) => frame.get(23),
        Some([0x86, 0xdd]) => frame.get(20),
        _ => None,
    };
    protocol == Some(&112)
}
