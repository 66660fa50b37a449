//! Virtual router MAC addresses (RFC 9568, 7.3): addresses on a macvlan that another makes.

use std::net::{SocketAddrV6, TcpListener, TcpStream};

use vrrp::Family;
use vrrp::linux::neighbour::{Announcer, Claim, Listener};
use vrrp::proto::Request;

use super::*;

const MAC: [u8; 6] = [0x00, 0x00, 0x5e, 0x00, 0x01, 0x07];
const MACVLAN: &str = "vrrp7";

fn with_virtual_mac(priority: u8) -> RouterSpec {
    let mut spec = router("a", 7, priority, vip(11));
    spec.config.virtual_mac = true;
    spec
}

fn is_up() -> bool {
    link(MACVLAN).is_some_and(|link| link.up)
}

#[test]
fn a_router_starts_when_its_macvlan_appears_and_has_its_addresses_there() {
    let Some(_peer) = namespaces() else { return };
    let mut process = Process::start();
    process.commit(&[with_virtual_mac(255)]);
    let before = process.status("a");
    assert_eq!(before.state, State::Initialize);
    assert_eq!(
        before.interface_problem.as_deref(),
        Some("the macvlan with the virtual MAC address 00:00:5e:00:01:07 does not exist (yet)")
    );
    make_macvlan();
    process.wait_for_installation();
    assert!(is_up());
    assert_eq!(present_on(MACVLAN), [vip(11)]);
    assert!(!present().contains(&vip(11)));
    let after = process.status("a");
    assert_eq!((after.source, after.interface_problem), (Some(HERE_IP.into()), None));

    process.ask(&Request::Shutdown);
    process.wait("end", |reply| matches!(reply, Reply::Bye).then_some(()));
    assert!(!is_up());
    assert!(present_on(MACVLAN).is_empty());
}

#[test]
fn a_macvlan_that_is_deleted_ends_the_router_until_it_is_back() {
    let Some(_peer) = namespaces() else { return };
    make_macvlan();
    let mut process = Process::start();
    process.commit(&[with_virtual_mac(255)]);
    process.wait_for_installation();
    for _ in 0..2 {
        ip("link del vrrp7");
        process.wait_for_state("a", State::Initialize);
        make_macvlan();
        process.wait_for_installation();
        assert!(is_up() && present_on(MACVLAN) == [vip(11)]);
    }
}

#[test]
fn an_interface_that_is_deleted_takes_the_macvlan_along_and_both_come_back() {
    let Some(_peer) = namespaces() else { return };
    make_macvlan();
    let mut process = Process::start();
    process.commit(&[with_virtual_mac(255)]);
    process.wait_for_installation();
    ip("link del here");
    process.wait_for_state("a", State::Initialize);
    let missing = process.status("a").interface_problem;
    assert_eq!(missing.as_deref(), Some("the interface does not exist"));
    ip("link add here type veth peer name other");
    ip("address add 10.0.0.1/24 dev here");
    ip("link set here up");
    ip("link set other up");
    make_macvlan();
    process.wait_for_installation();
    assert!(is_up() && present_on(MACVLAN) == [vip(11)]);
}

/// Down by itself or by the lack of its addresses, it would not serve.
#[test]
fn a_macvlan_that_somebody_takes_down_is_brought_up_again() {
    let Some(_peer) = namespaces() else { return };
    make_macvlan();
    let mut process = Process::start();
    process.commit(&[with_virtual_mac(255)]);
    process.wait_for_installation();
    ip("link set vrrp7 down");
    process.wait_for_event("repair", |kind| matches!(kind, EventKind::Router(Report::Repaired)));
    assert!(is_up() && present_on(MACVLAN) == [vip(11)]);
}

/// What an earlier run left, on the macvlan or without one, and what others add.
#[test]
fn a_backup_has_the_addresses_nowhere_and_its_macvlan_is_down() {
    let Some(_peer) = namespaces() else { return };
    make_macvlan();
    ip("address add 10.0.0.11/32 dev vrrp7");
    ip("address add 10.0.0.11/32 dev here");
    ip("link set vrrp7 up");
    let mut process = Process::start();
    process.commit(&[with_virtual_mac(100)]);
    process.wait_for_state("a", State::Backup);
    assert!(present_on(MACVLAN).is_empty());
    assert!(!present().contains(&vip(11)));
    wait_until("macvlan down", || !is_up());
    for device in [MACVLAN, HERE] {
        ip(&format!("address add 10.0.0.11/32 dev {device}"));
        process.wait_for_event(
            "removal",
            |kind| matches!(kind, EventKind::StaleRemoved { interface, .. } if interface == device),
        );
    }
    ip("link set vrrp7 up");
    wait_until("macvlan down", || !is_up());
}

/// On the interface below too, the interface would answer for the address with its own MAC
/// address (RFC 9568, 8.1.2).
#[test]
fn an_active_with_a_virtual_mac_has_the_address_on_the_macvlan_only() {
    let Some(_peer) = namespaces() else { return };
    make_macvlan();
    let mut process = Process::start();
    process.commit(&[with_virtual_mac(255)]);
    process.wait_for_installation();
    // An owner's address there would be the node's own.
    let spec = RouterSpec { name: "b".to_owned(), ..with_virtual_mac(100) };
    process.commit(&[spec]);
    ip("address add 10.0.0.11/32 dev here");
    process.wait_for_event(
        "removal",
        |kind| matches!(kind, EventKind::StaleRemoved { interface, .. } if interface == HERE),
    );
    assert_eq!(present_on(MACVLAN), [vip(11)]);
    assert_eq!(process.status("b").state, State::Active);
}

/// RFC 9568, 8.1.2: gratuitous ARP with the virtual MAC address. The successor's come from the
/// same, and are heard.
#[test]
fn announcements_come_from_the_virtual_mac_address_and_are_heard_from_it() {
    let Some(peer) = namespaces() else { return };
    let listener = peer.run(|| Listener::open(index(THERE), Family::Ipv4, &[vip(11)]).unwrap());
    make_macvlan();
    let mut process = Process::start();
    let mut spec = with_virtual_mac(255);
    spec.config.lease = None;
    process.commit(&[spec]);
    let hear = || {
        let heard = wait_for("announcement", &listener, || listener.recv().unwrap());
        assert_eq!((heard.mac, heard.claim), (MAC, Claim::Has));
    };
    // At once, after 0.1 s and after 1 s: from then on nothing is planned.
    (0..3).for_each(|_| hear());
    peer.run(|| {
        let mac = link(THERE).unwrap().mac.unwrap();
        let mut announcer = Announcer::open(index(THERE), THERE, mac).unwrap();
        announcer.announce_as(MAC, vip(11), None).unwrap();
    });
    hear();
}

/// A link-local address is reached through the interface that it is on.
#[test]
fn ipv6_addresses_with_a_virtual_mac_are_reached_link_local_or_not() {
    let Some(peer) = namespaces() else { return };
    ip("address add fd00::1/64 dev here nodad");
    peer.run(|| ip("address add fd00::2/64 dev there nodad"));
    ip("link add link here name vrrp7 type macvlan mode bridge");
    ip("link set vrrp7 addrgenmode none");
    ip("link set vrrp7 address 00:00:5e:00:02:07");
    let vips: [IpAddr; 2] = ["fe80::51:1".parse().unwrap(), "fd00::51:1".parse().unwrap()];
    let mut process = Process::start();
    let mut spec = with_virtual_mac(255);
    spec.config.addresses = Addresses::new(vips.to_vec()).unwrap();
    process.commit(&[spec]);
    process.wait_for_installation();
    let listener = TcpListener::bind(("::", 9000)).unwrap();
    peer.run(move || {
        for vip in vips {
            let IpAddr::V6(vip) = vip else { panic!() };
            let target = SocketAddrV6::new(vip, 9000, 0, index(THERE)).into();
            TcpStream::connect_timeout(&target, DEADLINE).unwrap();
        }
    });
    drop(listener);
}
