//! News of links and addresses from the kernel.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::disallowed_methods)] // The kernel's time is real.

mod linux_support;

use std::time::Instant;

use linux_support::*;
use vrrp::linux::interface::{LinkInfo, LinkKind};
use vrrp::linux::monitor::{Change, Monitor};
use vrrp::linux::netlink::{Netlink, NetlinkError};

fn expect_link(monitor: &mut Monitor, what: &str, wanted: impl Fn(&LinkInfo) -> bool) {
    wait_for_change(monitor, what, |change| matches!(change, Change::Link(link) if wanted(link)));
}

#[test]
fn links_are_listed() {
    let Some(_peer) = namespaces() else { return };
    ip("link set here mtu 1400 address 02:00:00:00:00:07");
    let here = link(HERE).unwrap();
    assert!(here.up && here.carrier);
    assert_eq!((here.mtu, here.mac), (1400, Some([2, 0, 0, 0, 0, 7])));
    assert!(link("lo").unwrap().index > 0);
}

/// How the keeper finds a virtual router's interface.
#[test]
fn a_macvlan_and_what_is_below_it_are_listed() {
    let Some(_peer) = namespaces() else { return };
    let mut monitor = Monitor::open().unwrap();
    ip("link add link here name vrrp4 address 00:00:5e:00:01:33 type macvlan mode bridge");
    let here = index(HERE);
    let is_it = |link: &LinkInfo| {
        link.kind == LinkKind::Macvlan
            && link.lower == Some(here)
            && link.mac == Some([0, 0, 0x5e, 0, 1, 0x33])
            && !link.up
    };
    expect_link(&mut monitor, "the macvlan", is_it);
    assert!(is_it(&link("vrrp4").unwrap()));
    let here = link(HERE).unwrap();
    // A veth's other end is in another namespace.
    assert_eq!((here.kind, here.lower), (LinkKind::Other, None));
}

#[test]
fn an_interface_is_set_up_and_down() {
    let Some(_peer) = namespaces() else { return };
    ip("link add link here name vrrp6 address 00:00:5e:00:02:33 type macvlan mode bridge");
    ip("link set vrrp6 addrgenmode none");
    let (mut netlink, vrrp) = (Netlink::open().unwrap(), index("vrrp6"));
    let mut monitor = Monitor::open().unwrap();
    for up in [true, true, false, false, true] {
        netlink.set_up(vrrp, up).unwrap();
        assert_eq!(link("vrrp6").unwrap().up, up);
    }
    expect_link(&mut monitor, "up", |link| link.index == vrrp && link.up && link.carrier);
    assert!(link(HERE).unwrap().up);
    assert_eq!(netlink.set_up(9999, true), Err(NetlinkError::NoDevice));
    let mut samples = Vec::new();
    for up in [false, true].repeat(50) {
        let start = Instant::now();
        netlink.set_up(vrrp, up).unwrap();
        samples.push(start.elapsed());
    }
    eprintln!("macvlan down or up: {}", figures(samples));
}

/// RFC 4862, 5.4: an address is usable once duplicate address detection is over and has not failed.
#[test]
fn an_addresss_duplicate_detection_is_told() {
    let Some(peer) = namespaces() else { return };
    peer.run(|| ip("address add fd00::8/64 dev there nodad"));
    let mut monitor = Monitor::open().unwrap();
    let added = |address: &'static str, usable: bool| {
        move |change: &Change| {
            matches!(change, Change::AddressAdded(info)
                if info.address.to_string() == address && info.usable == usable)
        }
    };
    ip("address add fd00::7/64 dev here");
    wait_for_change(&mut monitor, "tentative", added("fd00::7", false));
    wait_for_change(&mut monitor, "usable", added("fd00::7", true));
    ip("address add fd00::8/64 dev here");
    wait_for_change(&mut monitor, "tentative", added("fd00::8", false));
    wait_until("failure", || ip("address show dev here to fd00::8").contains("dadfailed"));
    let addresses = Netlink::open().unwrap().addresses(Some(index(HERE))).unwrap();
    let duplicate = addresses.iter().find(|info| info.address.to_string() == "fd00::8");
    assert!(!duplicate.unwrap().usable);
}

#[test]
fn an_address_deleted_by_hand_is_heard_of() {
    let Some(_peer) = namespaces() else { return };
    let (mut netlink, here) = (Netlink::open().unwrap(), index(HERE));
    let mut monitor = Monitor::open().unwrap();
    netlink.install(here, VIP, None).unwrap();
    let ours = |change: &Change| matches!(change, Change::AddressAdded(info) if info.address == VIP && info.ours);
    wait_for_change(&mut monitor, "the address", ours);
    ip("address delete 10.0.0.10/32 dev here");
    let gone = |change: &Change| {
        matches!(change, Change::AddressRemoved(info)
            if info.address == VIP && info.ours && info.ifindex == here)
    };
    wait_for_change(&mut monitor, "the deletion", gone);
}

/// DESIGN 2.7: repaired at once.
#[test]
fn a_deleted_address_is_back_within_a_millisecond_or_so() {
    let Some(_peer) = namespaces() else { return };
    let (mut netlink, here) = (Netlink::open().unwrap(), index(HERE));
    let mut hand = Netlink::open().unwrap();
    netlink.install(here, VIP, None).unwrap();
    let mut monitor = Monitor::open().unwrap();
    let mut samples = Vec::new();
    for _ in 0..200 {
        let start = Instant::now();
        hand.remove(here, VIP).unwrap();
        wait_for_change(&mut monitor, "the deletion", |c| matches!(c, Change::AddressRemoved(_)));
        netlink.install(here, VIP, None).unwrap();
        samples.push(start.elapsed());
    }
    eprintln!("removed by hand to installed again: {}", figures(samples));
}

#[test]
fn down_and_up_and_carrier_are_told_apart() {
    let Some(peer) = namespaces() else { return };
    let mut monitor = Monitor::open().unwrap();
    ip("link set here down");
    expect_link(&mut monitor, "down", |link| link.name == HERE && !link.up && !link.carrier);
    ip("link set here up");
    expect_link(&mut monitor, "up", |link| link.name == HERE && link.up && link.carrier);
    peer.run(|| ip("link set there down"));
    expect_link(&mut monitor, "no carrier", |link| link.name == HERE && link.up && !link.carrier);
    peer.run(|| ip("link set there up"));
    expect_link(&mut monitor, "carrier", |link| link.name == HERE && link.up && link.carrier);
}

#[test]
fn a_link_that_is_deleted_and_made_again_is_heard_of() {
    let Some(_peer) = namespaces() else { return };
    let mut monitor = Monitor::open().unwrap();
    let old = index(HERE);
    ip("link delete here");
    let gone = Change::LinkGone { index: old, name: HERE.to_owned() };
    wait_for_change(&mut monitor, "the deletion", |change| *change == gone);
    ip("link add here type veth peer name other");
    expect_link(&mut monitor, "the new link", |link| link.name == HERE && link.index != old);
    ip("link set here name renamed");
    expect_link(&mut monitor, "the new name", |link| link.name == "renamed");
}

/// The kernel reports a port that leaves its bridge with the message type of a deleted link.
#[test]
fn a_port_that_leaves_its_bridge_is_not_gone() {
    let Some(_peer) = namespaces() else { return };
    ip("link add bridge type bridge");
    let mut monitor = Monitor::open().unwrap();
    ip("link set here master bridge");
    ip("link set here nomaster");
    ip("link delete bridge");
    let gone = wait_for_change(&mut monitor, "the bridge's end", |change| {
        matches!(change, Change::LinkGone { .. })
    });
    assert!(matches!(gone, Change::LinkGone { name, .. } if name == "bridge"));
}

#[test]
fn lost_news_are_an_overrun() {
    let Some(_peer) = namespaces() else { return };
    let mut monitor = Monitor::open().unwrap();
    rustix::net::sockopt::set_socket_recv_buffer_size(&monitor, 4096).unwrap();
    let (mut netlink, here) = (Netlink::open().unwrap(), index(HERE));
    for _ in 0..100 {
        netlink.install(here, VIP, None).unwrap();
    }
    wait_for_change(&mut monitor, "the overrun", |change| *change == Change::Overrun);
    while monitor.recv().unwrap().is_some() {}
    netlink.remove(here, VIP).unwrap();
    wait_for_change(&mut monitor, "news after it", |change| {
        matches!(change, Change::AddressRemoved(_))
    });
}
