//! Interfaces that come, go and change under a running daemon.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::net::Ipv4Addr;

use lab::{Lab, Node, Observer, Stamp, VIP};
use support::{M1, M2, Net, mainstay};

/// VRRP.md G15.
#[test]
fn an_active_that_loses_its_carrier_releases_and_returns_as_backup() {
    let Some(net) = Net::settled(2, &mainstay()) else { return };
    net.lab().cut(M1).unwrap();
    net.owned_by(M2);
    let router = net.state(M1, "Initialize");
    assert!(router["problem"].as_str().unwrap().contains("no carrier"), "{router}");
    assert_eq!(router["last_transition"]["cause_code"], "interface_down");
    assert_eq!(router["installed"], false);
    assert!(!net.addresses(M1).contains(&VIP));

    let healed = net.lab().heal().unwrap();
    let router = net.state(M1, "Backup");
    assert!(router["problem"].is_null(), "{router}");
    net.backup_of(M1, M2);
    net.unmoved(M2, healed);
    assert_eq!(net.sent(M1, healed), 0);
}

#[test]
fn an_interface_that_is_set_down_is_left_and_found_again() {
    let Some(net) = Net::settled(2, &mainstay()) else { return };
    net.run(M1, "ip link set eth0 down");
    net.owned_by(M2);
    let router = net.state(M1, "Initialize");
    assert!(router["problem"].as_str().unwrap().contains("is down"), "{router}");
    net.run(M1, "ip link set eth0 up");
    net.state(M1, "Backup");
    net.backup_of(M1, M2);
    net.lab().stop(M2).unwrap();
    net.owned_by(M1);
}

/// DESIGN 8: run, say so, take part when it appears.
#[test]
fn an_interface_that_is_missing_at_the_start_is_used_when_it_appears() {
    let Some(net) = Net::up(1) else { return };
    net.run(M1, "ip link set eth0 down; ip link set eth0 name late0");
    net.start(&[M1], &mainstay());
    let router = net.router_until(M1, "the problem", |router| {
        router["problem"].as_str().is_some_and(|problem| problem.contains("does not exist"))
    });
    assert_eq!(router["state"], "Initialize");
    assert_eq!(net.mainstay(M1, &["status"]).code, Some(3));

    let appeared = Stamp::now();
    net.run(M1, "ip link set late0 name eth0; ip link set eth0 up");
    net.owned_by(M1);
    net.announced(M1, appeared);
    net.state(M1, "Active");
    assert_eq!(net.mainstay(M1, &["status"]).code, Some(0));
}

/// VRRP.md G8: sockets and groups are gone with the interface.
#[test]
fn an_interface_that_is_deleted_and_made_again_is_used_again() {
    let Some(net) = Net::settled(2, &mainstay()) else { return };
    net.run("bridge", "ip link delete m1");
    net.owned_by(M2);
    let router = net.state(M1, "Initialize");
    assert!(router["problem"].as_str().unwrap().contains("does not exist"), "{router}");
    make_link(net.lab(), M1);
    net.backup_of(M1, M2);
    // The port has another index now: another capture sees it.
    let observer = Observer::without_responders(net.lab(), lab::Family::Ipv4).unwrap();
    net.lab().stop(M2).unwrap();
    net.owned_by(M1);
    let seen = observer.timeline().wait(Stamp::now() + support::PATIENCE, |view| {
        let announced = |event: &lab::Event| {
            matches!(event, lab::Event::Arp(lab::Port::Node(M1), arp) if arp.is_gratuitous())
        };
        let advertised =
            |event: &lab::Event| matches!(event, lab::Event::Advert(M1, advert) if advert.priority == 254);
        let any = |test: &dyn Fn(&lab::Event) -> bool| view.events.iter().any(|it| test(&it.event));
        (any(&announced) && any(&advertised)).then_some(())
    });
    assert!(seen.is_some(), "nothing leaves by the new interface");
    assert!(net.addresses(M1).contains(&VIP));
}

/// The same while the other is there: the returning router is Backup and the VIP stays.
#[test]
fn another_interface_under_the_old_name_is_another_interface() {
    let Some(net) = Net::settled(2, &mainstay()) else { return };
    net.run(M1, "ip link set eth0 name old0");
    net.owned_by(M2);
    net.run("bridge", "ip link set m1 name m1old");
    make_link(net.lab(), M1);
    net.backup_of(M1, M2);
    assert!(!net.run(M1, "ip address show").contains("10.51.0.100"), "a VIP was left");
}

/// RFC 9568, 5.1.1.1: adverts come from the interface's primary address, whichever that is.
#[test]
fn adverts_follow_the_nodes_address() {
    let Some(net) = Net::settled(2, &mainstay()) else { return };
    let other = Ipv4Addr::new(10, 51, 1, 11);
    let start = Stamp::now();
    net.run(M1, "ip address add 10.51.1.11/24 dev eth0");
    net.adverts(M1, Stamp::now(), 3);
    net.advert(M1, Stamp::now(), |advert| advert.source == M1.address());
    net.run(M1, "ip address delete 10.51.0.11/24 dev eth0");
    net.advert(M1, start, |advert| advert.source == other);
    net.router_until(M2, "it hears the new address", |router| {
        router["active_router"] == "10.51.1.11"
    });
    net.unmoved(M1, start);
    assert_eq!(net.router(M1)["source"], "10.51.1.11");
}

/// VRRP.md A1: without an address of its own there is no source, and the VIP must not become one.
#[test]
fn a_node_without_an_address_of_its_own_takes_no_part_until_it_has_one() {
    let Some(net) = Net::settled(2, &mainstay()) else { return };
    let removed = Stamp::now();
    net.run(M1, "ip address delete 10.51.0.11/24 dev eth0");
    net.owned_by(M2);
    let router = net.state(M1, "Initialize");
    assert!(router["problem"].as_str().unwrap().contains("no IPv4 address"), "{router}");
    assert_eq!(net.mainstay(M1, &["status"]).code, Some(3));

    net.run(M1, "ip address add 10.51.0.11/24 dev eth0");
    net.backup_of(M1, M2);
    net.unmoved(M2, Stamp::now());
    let from_vip =
        |event: &lab::Event| matches!(event, lab::Event::Advert(_, advert) if advert.source == VIP);
    assert!(!net.events_seen().iter().any(|it| it.at >= removed && from_vip(&it.event)));
}

/// A new link between a router and the bridge, as the lab makes it.
fn make_link(lab: &Lab, node: Node) {
    let namespace = lab.namespace(node);
    let bridge = |command: &str| lab.exec("bridge", &["sh", "-ec", command]).unwrap();
    bridge(&format!(
        "ip link add {node} type veth peer name new0; ip link set {node} master br0 up"
    ));
    bridge(&format!("ip link set new0 netns {namespace}"));
    let address = node.address();
    let commands = format!(
        "ip link set new0 name eth0; ip link set eth0 up; ip address add {address}/24 dev eth0"
    );
    lab.exec(node, &["sh", "-ec", &commands]).unwrap();
}
