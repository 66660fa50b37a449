//! IPv6, beside IPv4.

use std::net::Ipv6Addr;

use vrrp::Family;
use vrrp::linux::neighbour::{Claim, Heard, Listener};

use super::*;

const LINK_LOCAL: &str = "fe80::1";

fn vip6(last: u16) -> IpAddr {
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0x51, last).into()
}

/// Two namespaces whose first has no IPv6 address.
fn without_link_local() -> Option<Peer> {
    let peer = namespaces()?;
    ip("link set here addrgenmode none");
    ip("-6 address flush dev here");
    Some(peer)
}

/// RFC 9568, 5.1.2.1: from a link-local address, and not from one that may be another host's.
#[test]
fn an_ipv6_router_waits_for_a_link_local_address() {
    let Some(_peer) = without_link_local() else { return };
    let mut process = Process::start();
    process.commit(&[router("six", 1, 255, vip6(1))]);
    let before = process.status("six");
    assert_eq!(before.state, State::Initialize);
    assert_eq!(
        before.interface_problem.as_deref(),
        Some("the interface has no link-local IPv6 address that is ready")
    );
    ip("address add fe80::1/64 dev here nodad");
    process.wait_for_installation();
    let after = process.status("six");
    assert_eq!((after.state, after.interface_problem), (State::Active, None));
    assert_eq!(after.source, Some(LINK_LOCAL.parse().unwrap()));
    assert!(present().contains(&vip6(1)));
}

/// RFC 9568, 1.
#[test]
fn the_same_vrid_in_both_families_is_two_virtual_routers() {
    let Some(_peer) = without_link_local() else { return };
    ip("address add fe80::1/64 dev here nodad");
    let mut process = Process::start();
    process.commit(&[router("four", 7, 255, vip(11)), router("six", 7, 255, vip6(1))]);
    process.wait_for_installation();
    process.wait_for_installation();
    assert!(present().contains(&vip(11)) && present().contains(&vip6(1)));
    let four = process.status("four").last_transition;

    ip("address del fe80::1/64 dev here");
    process.wait_for_state("six", State::Initialize);
    wait_until("withdrawal", || !present().contains(&vip6(1)));
    ip("address add fe80::1/64 dev here nodad");
    process.wait_for_state("six", State::Active);
    process.wait_for_installation();
    assert!(present().contains(&vip(11)) && present().contains(&vip6(1)));
    assert_eq!(process.status("four").last_transition, four);
}

/// RFC 9568, 6.4.2: an unsolicited neighbour advertisement for each address.
#[test]
fn an_ipv6_takeover_is_announced_for_each_address() {
    let Some(peer) = without_link_local() else { return };
    ip("address add fe80::1/64 dev here nodad");
    let vips = [vip6(1), vip6(2)];
    let listener = peer.run(move || Listener::open(index(THERE), Family::Ipv6, &vips).unwrap());
    let mut process = Process::start();
    let mut spec = router("six", 1, 255, vip6(1));
    spec.config.addresses = Addresses::new(vips.to_vec()).unwrap();
    process.commit(&[spec]);
    let mac = link(HERE).unwrap().mac.unwrap();
    for address in vips {
        let heard = wait_for("announcement", &listener, || listener.recv().unwrap());
        assert_eq!(heard, Heard { address, mac, claim: Claim::Has });
    }
}

/// RFC 9568, 6.4.2, for a process that was killed.
#[test]
fn an_ipv6_address_that_a_backup_has_is_removed() {
    let Some(_peer) = without_link_local() else { return };
    ip("address add fe80::1/64 dev here nodad");
    let mut process = Process::start();
    process.commit(&[router("six", 1, 100, vip6(1))]);
    process.wait_for_state("six", State::Backup);
    // Whatever its prefix length is.
    for prefix_len in [128, 64] {
        ip(&format!("address add {}/{prefix_len} dev here nodad", vip6(1)));
        process.wait_for_event("removal", |kind| {
            matches!(kind, EventKind::StaleRemoved { addresses, .. } if *addresses == [vip6(1)])
        });
        assert!(!present().contains(&vip6(1)));
    }
}
