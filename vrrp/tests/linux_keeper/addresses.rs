//! Addresses that move, that others add, and new names.

use vrrp::linux::monitor::{Change, Monitor};
use vrrp::proto::EventKind;
use vrrp::router::State;

use super::*;

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
