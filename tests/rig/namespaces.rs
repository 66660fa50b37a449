//! Two network namespaces and the cable between them.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

use super::setup::Setup;
use super::variant::{Family, NODE_MAC, PEER_MAC};

const PREFIX: &str = "cf";

/// The namespace of the daemon, `NAME-node`, and of the test, `NAME-wire`. Deleted when dropped,
/// with all processes in them.
#[derive(Debug)]
pub struct Namespaces {
    name: String,
}

/// Whether namespaces may be made; says so once if not.
pub fn allowed() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        // Not eprintln!, which the test harness keeps to itself.
        let _ = writeln!(std::io::stderr(), "SKIPPED: network namespaces need root");
    }
    is_root
}

impl Namespaces {
    pub fn new(setup: &Setup) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        static SWEPT: Once = Once::new();
        SWEPT.call_once(sweep);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let this = Self { name: format!("{PREFIX}{}-{number}", std::process::id()) };
        for member in ["node", "wire"] {
            run(Command::new("ip").args(["netns", "add", &this.of(member)]));
        }
        this.exec(
            "node",
            "cd /proc/sys/net; for c in all default; do \
               echo 0 >ipv6/conf/$c/accept_dad; echo 0 >ipv4/conf/$c/rp_filter; done; \
             ip link set lo up",
        );
        // The test's end stays silent: it has no address and speaks no IPv6 of its own.
        this.exec("wire", "echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6");
        this.plug(setup);
        this
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The namespace of `node` or `wire`.
    pub fn of(&self, member: &str) -> String {
        format!("{}-{member}", self.name)
    }

    /// Makes the cable: eth0 at both ends, with the node's addresses.
    pub fn plug(&self, setup: &Setup) {
        let (wire, mtu) = (self.of("wire"), setup.mtu);
        let mut commands = format!(
            "ip link add eth0 mtu {mtu} address {NODE_MAC} type veth \
               peer name eth0 mtu {mtu} address {PEER_MAC} netns {wire}; \
             ip link set eth0 addrgenmode none; ip link set eth0 up; \
             ip address add 10.51.0.50/24 dev eth0; \
             ip address add fe80::50/64 dev eth0 nodad; \
             ip address add fd51::50/64 dev eth0 nodad; "
        );
        for owned in &setup.owned {
            let length = if setup.variant.family == Family::V4 { 24 } else { 64 };
            commands += &format!("ip address add {owned}/{length} dev eth0; ");
        }
        self.exec("wire", "! ip link delete eth0 2>&-");
        self.exec("node", &commands);
        self.exec("wire", "ip link set eth0 up");
    }

    /// A second cable, eth1 at both ends; the node has no address there.
    pub fn plug_second(&self) {
        let wire = self.of("wire");
        self.exec(
            "node",
            &format!(
                "ip link add eth1 type veth peer name eth1 netns {wire}; \
                 ip link set eth1 up; ip address add 10.52.0.50/24 dev eth1; \
                 ip address add fe80::50/64 dev eth1 nodad"
            ),
        );
        self.exec("wire", "ip link set eth1 up");
    }

    /// Runs shell commands in `node` or `wire`; what they print.
    #[track_caller]
    pub fn exec(&self, member: &str, commands: &str) -> String {
        run(self.command(member).args(["sh", "-ec", commands]))
    }

    /// A command in `node` or `wire`, to be given its arguments.
    pub fn command(&self, member: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{}", self.of(member))).stdin(Stdio::null());
        command
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for member in ["node", "wire"] {
            remove(&self.of(member));
        }
    }
}

/// Deletes what test processes that were killed left behind.
fn sweep() {
    for entry in std::fs::read_dir("/run/netns").into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name.strip_prefix(PREFIX).and_then(|rest| rest.split_once('-')?.0.parse().ok());
        if pid.is_some_and(|pid: u32| !Path::new(&format!("/proc/{pid}")).exists()) {
            remove(&name);
        }
    }
}

fn remove(namespace: &str) {
    let output = Command::new("ip").args(["netns", "pids", namespace]).output().unwrap();
    for pid in String::from_utf8_lossy(&output.stdout).split_whitespace() {
        let pid = nix::unistd::Pid::from_raw(pid.parse().unwrap());
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
    }
    let _ = Command::new("ip").args(["netns", "delete", namespace]).output();
}

#[track_caller]
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {error}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
