//! The VRRP process as the daemon sees it, with the kernel under it.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::disallowed_methods)] // The kernel's time is real.

#[path = "../linux_support/mod.rs"]
mod linux_support;

mod addresses;
mod announcements;
mod ipv6;
mod owner;
mod reload;
mod scale;
mod virtual_mac;

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use linux_support::*;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketType, bind, connect, listen, recv,
    send, socket,
};
use vrrp::config::{Addresses, Checksum, Lease, OnDegraded, Preempt, RouterConfig, Transport};
use vrrp::linux::netlink::Netlink;
use vrrp::proto::{EventKind, Reply, Request, RouterSpec, RouterStatus};
use vrrp::router::{Report, State};
use vrrp::time::Centis;
use vrrp::{Priority, Vrid};

const SOCKET: &str = "VRRP_TEST_SOCKET";

/// Not a test: what [`Process::start`] runs, as the process confines itself for good.
#[test]
#[ignore = "the other tests start it"]
fn the_process() {
    let Ok(path) = std::env::var(SOCKET) else { return };
    let listener = socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).unwrap();
    bind(&listener, &SocketAddrUnix::new(&path).unwrap()).unwrap();
    listen(&listener, 8).unwrap();
    vrrp::linux::run(listener, "test").unwrap();
}

struct Process {
    child: Child,
    connection: OwnedFd,
    path: PathBuf,
    revision: u64,
}

impl Process {
    fn start() -> Self {
        let name = format!("vrrp-{}-{}", std::process::id(), nix::unistd::gettid());
        let path = std::env::temp_dir().join(name);
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_process", "--ignored"])
            .env(SOCKET, &path)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let connection = socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).unwrap();
        let address = SocketAddrUnix::new(Path::new(&path)).unwrap();
        wait_until("process", || connect(&connection, &address).is_ok());
        Self { child, connection, path, revision: 0 }
    }

    fn ask(&self, request: &Request) {
        let message = serde_json::to_vec(request).unwrap();
        send(&self.connection, &message, SendFlags::empty()).unwrap();
    }

    fn commit(&mut self, specs: &[RouterSpec]) {
        self.revision += 1;
        specs.iter().for_each(|spec| self.ask(&Request::Router(spec.clone())));
        self.ask(&Request::Commit { revision: self.revision });
    }

    fn wait<T>(&self, what: &str, wanted: impl Fn(Reply) -> Option<T>) -> T {
        let start = Instant::now();
        let mut buffer = vec![0; vrrp::proto::MAX_MESSAGE];
        loop {
            let left = DEADLINE.checked_sub(start.elapsed());
            let left = left.unwrap_or_else(|| panic!("no {what} within {DEADLINE:?}"));
            if !readable(&self.connection, left) {
                continue;
            }
            let (_, length) = recv(&self.connection, &mut *buffer, RecvFlags::empty()).unwrap();
            assert!(length > 0, "the process has ended");
            if let Some(found) = wanted(serde_json::from_slice(&buffer[..length]).unwrap()) {
                return found;
            }
        }
    }

    fn wait_for_event(&self, what: &str, wanted: impl Fn(&EventKind) -> bool) {
        self.wait(what, |reply| match reply {
            Reply::Event(event) if wanted(&event.kind) => Some(()),
            _ => None,
        });
    }

    fn wait_for_installation(&self) {
        let installed = |kind: &EventKind| matches!(kind, EventKind::Router(Report::Installed));
        self.wait_for_event("installation", installed);
    }

    fn wait_for_state(&self, name: &str, state: State) {
        self.wait("state", |reply| match reply {
            Reply::Event(event) if event.router.as_deref() == Some(name) => match event.kind {
                EventKind::Router(Report::Transition { to, .. }) if to == state => Some(()),
                _ => None,
            },
            _ => None,
        });
    }

    fn status(&self, name: &str) -> RouterStatus {
        self.ask(&Request::Status);
        self.wait("status", |reply| match reply {
            Reply::Router(status) if status.name == name => Some(status),
            _ => None,
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.path);
    }
}

fn vip(last: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, last).into()
}

/// Priority 255 is Active at once; any other waits for two minutes.
fn router(name: &str, vrid: u8, priority: u8, address: IpAddr) -> RouterSpec {
    let config = RouterConfig {
        vrid: Vrid::new(vrid).unwrap(),
        priority: Priority::new(priority).unwrap(),
        degraded_priority: Priority::new(1).unwrap(),
        on_degraded: OnDegraded::Advertise,
        preempt: Preempt::Always,
        interval: if priority == 255 { Centis::DEFAULT } else { Centis::MAX },
        addresses: Addresses::new(vec![address]).unwrap(),
        lease: Some(Lease::from_secs(3).unwrap()),
        checksum: Checksum::Auto,
        virtual_mac: false,
    };
    RouterSpec {
        name: name.to_owned(),
        interface: HERE.to_owned(),
        config,
        transport: Transport::Multicast,
    }
}

/// A macvlan for VRID 7, as the daemon makes it: down, without addresses, and known by its MAC
/// address only once it is set up so that it will make itself none.
fn make_macvlan() {
    ip(&format!("link add link {HERE} name vrrp7 type macvlan mode bridge"));
    ip("link set vrrp7 addrgenmode none");
    ip("link set vrrp7 address 00:00:5e:00:01:07");
}

/// The addresses on [`HERE`].
fn present() -> Vec<IpAddr> {
    present_on(HERE)
}

fn present_on(interface: &str) -> Vec<IpAddr> {
    let addresses = Netlink::open().unwrap().addresses(Some(index(interface))).unwrap();
    addresses.into_iter().map(|info| info.address).collect()
}
