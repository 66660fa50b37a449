//! The VRRP process as the daemon sees it: addresses that move, that others add, and new names.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::disallowed_methods)] // The kernel's time is real.

mod linux_support;

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
use vrrp::linux::monitor::{Change, Monitor};
use vrrp::linux::neighbour::Listener;
use vrrp::linux::netlink::Netlink;
use vrrp::proto::{EventKind, Reply, Request, RouterSpec, RouterStatus};
use vrrp::router::{Report, State};
use vrrp::time::Centis;
use vrrp::{Family, Priority, Vrid};

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
    };
    RouterSpec {
        name: name.to_owned(),
        interface: HERE.to_owned(),
        config,
        transport: Transport::Multicast,
        virtual_mac: false,
    }
}

fn present() -> Vec<IpAddr> {
    let addresses = Netlink::open().unwrap().addresses(Some(index(HERE))).unwrap();
    addresses.into_iter().map(|info| info.address).collect()
}

#[test]
fn addresses_that_two_routers_swap_stay() {
    let Some(_peer) = namespaces() else { return };
    let mut process = Process::start();
    process.commit(&[router("a", 1, 255, vip(11)), router("b", 2, 255, vip(12))]);
    process.wait_for_installation();
    process.wait_for_installation();
    let mut monitor = Monitor::open().unwrap();
    process.commit(&[router("a", 1, 255, vip(12)), router("b", 2, 255, vip(11))]);
    process.wait_for_installation();
    process.wait_for_installation();
    assert!(process.status("a").installed && process.status("b").installed);
    while let Some(change) = monitor.recv().unwrap() {
        assert!(!matches!(change, Change::AddressRemoved(_)), "{change:?}");
    }
    assert!(present().contains(&vip(11)) && present().contains(&vip(12)));
}

#[test]
fn a_new_name_moves_nothing() {
    let Some(_peer) = namespaces() else { return };
    let mut process = Process::start();
    process.commit(&[router("old", 1, 255, vip(11))]);
    process.wait_for_installation();
    let before = process.status("old").last_transition;
    process.commit(&[router("new", 1, 255, vip(11))]);
    let after = process.status("new");
    assert_eq!((after.state, after.installed), (State::Active, true));
    assert_eq!(after.last_transition, before);
}

/// An earlier run's address, and what another program adds later.
#[test]
fn an_address_that_a_backup_has_is_removed() {
    let Some(_peer) = namespaces() else { return };
    ip("address add 10.0.0.11/32 dev here");
    let mut process = Process::start();
    let removed = |kind: &EventKind| matches!(kind, EventKind::StaleRemoved { addresses, .. } if *addresses == [vip(11)]);
    process.commit(&[router("a", 1, 100, vip(11))]);
    process.wait_for_event("removal", removed);
    for _ in 0..3 {
        ip("address add 10.0.0.11/32 dev here");
        process.wait_for_event("removal", removed);
        assert!(!present().contains(&vip(11)));
    }
    assert!(present().contains(&HERE_IP.into()));
}

/// Every neighbour has the old Ethernet address in its cache.
#[test]
fn another_ethernet_address_is_announced() {
    const NEW_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0x77];
    let Some(peer) = namespaces() else { return };
    let listener = peer.run(|| Listener::open(index(THERE), Family::Ipv4, &[vip(11)]).unwrap());
    let mut process = Process::start();
    let mut spec = router("a", 1, 255, vip(11));
    spec.config.lease = None;
    process.commit(&[spec]);
    let hear = || wait_for("announcement", &listener, || listener.recv().unwrap()).mac;
    // At once, after 0.1 s and after 1 s: from then on nothing is planned.
    for _ in 0..3 {
        assert_eq!(hear(), link(HERE).unwrap().mac.unwrap());
    }
    ip("link set here address 02:00:00:00:00:77");
    assert_eq!(hear(), NEW_MAC);
}
