//! When the kernel takes an address whose lease is over: how late, with others beside it.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::disallowed_methods)] // The kernel's time is real.

mod linux_support;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use linux_support::*;
use vrrp::config::Lease;
use vrrp::linux::monitor::{Change, Monitor};
use vrrp::linux::netlink::{Install, Netlink};

const LEASE: Duration = Duration::from_secs(3);

fn vips(count: u8) -> Vec<IpAddr> {
    let ipv4 = (1..=count).map(|last| Ipv4Addr::new(10, 0, 7, last).into());
    let ipv6 = (1..=count).map(|last| Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 7, last.into()).into());
    ipv4.chain(ipv6).collect()
}

struct Leases {
    netlink: Netlink,
    monitor: Monitor,
    ifindex: u32,
    /// When each was renewed last.
    renewed: BTreeMap<IpAddr, Instant>,
}

impl Leases {
    fn new() -> Self {
        let (netlink, ifindex) = (Netlink::open().unwrap(), index(HERE));
        Self { netlink, monitor: Monitor::open().unwrap(), ifindex, renewed: BTreeMap::new() }
    }

    fn renew(&mut self, vips: &[IpAddr]) {
        let lease = Some(Lease::from_secs(3).unwrap());
        let wanted: Vec<_> =
            vips.iter().map(|&address| Install { ifindex: self.ifindex, address, lease }).collect();
        self.renewed.extend(vips.iter().map(|&vip| (vip, Instant::now())));
        assert!(self.netlink.install_many(&wanted).iter().all(Result::is_ok));
    }

    /// Waits until all are gone and prints how long each stayed after its last renewal.
    fn run_out(mut self, what: &str) {
        let mut stayed = Vec::new();
        while !self.renewed.is_empty() {
            let change = wait_for_change(&mut self.monitor, "expiry", |change| {
                matches!(change, Change::AddressRemoved(_))
            });
            let Change::AddressRemoved(info) = change else { panic!() };
            stayed.extend(self.renewed.remove(&info.address).map(|at| at.elapsed()));
        }
        eprintln!("{what}: a lease of {LEASE:?} lasted {}", figures(stayed));
    }
}

#[test]
fn leases_renewed_together_run_out_together() {
    let Some(_peer) = namespaces() else { return };
    let mut leases = Leases::new();
    leases.renew(&vips(20));
    leases.renew(&vips(20));
    leases.run_out("renewed together");
}

/// The kernel looks for what has run out once a second at most.
#[test]
fn leases_renewed_one_by_one_run_out_one_after_the_other() {
    let Some(_peer) = namespaces() else { return };
    let mut leases = Leases::new();
    for vip in vips(5) {
        leases.renew(&[vip]);
        std::thread::sleep(Duration::from_millis(100));
    }
    leases.run_out("renewed each 100 ms");
}

/// Anybody's address has the kernel look, and it looks again no sooner than a second later: the
/// worst case.
#[test]
fn a_lease_runs_out_although_others_add_addresses() {
    let Some(_peer) = namespaces() else { return };
    let mut leases = Leases::new();
    leases.renew(&vips(1));
    std::thread::sleep(LEASE - Duration::from_millis(1050));
    ip("address add 192.0.2.1/24 dev here");
    ip("address add fd00:1::1/64 dev here nodad");
    leases.run_out("with others added 1.05 s before");
}
