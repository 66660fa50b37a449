//! What the daemon's host looks like meanwhile: groups, addresses, and a kernel that is strict.

use std::net::IpAddr;

use lab::Stamp;

use crate::rig::{Rig, Setup, Variant, matrix, poll};

/// The groups of which eth0 is a member, and with a virtual MAC the interface above it.
fn groups(rig: &Rig) -> Vec<IpAddr> {
    let text = rig.namespaces.exec("node", "ip maddress show");
    let words = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let kind = words.next()?;
        if kind.starts_with("inet") { words.next()?.parse().ok() } else { None }
    });
    words.collect()
}

/// The solicited-node group of an IPv6 address (RFC 4291, 2.7.1).
fn solicited_node(address: IpAddr) -> Option<IpAddr> {
    let IpAddr::V6(address) = address else { return None };
    let [.., a, b, c] = address.octets();
    format!("ff02::1:ff{a:02x}:{b:02x}{c:02x}").parse().ok()
}

/// RFC 9568, 5.1.1.2 and 5.1.2.2; and 6.4.2 and 6.4.3 for the solicited-node groups.
#[test]
fn the_host_is_in_the_routers_group_always_and_in_the_solicited_node_groups_as_active() {
    matrix(|variant| {
        let rig = variant.setup().start();
        assert!(groups(&rig).contains(&variant.group()));
        rig.active();
        assert!(groups(&rig).contains(&variant.group()));
        let solicited: Vec<IpAddr> =
            variant.vips().into_iter().filter_map(solicited_node).collect();
        poll("the solicited-node groups", || {
            let groups = groups(&rig);
            solicited.iter().all(|group| groups.contains(group)).then_some(())
        });
        let _feed = rig.feed(&[rig.greater(255)], rig.setup.half());
        rig.has_vips(false);
        poll("the solicited-node groups to be left", || {
            let groups = groups(&rig);
            (!solicited.iter().any(|group| groups.contains(group))).then_some(())
        });
        assert!(groups(&rig).contains(&variant.group()));
    });
}

/// Which address the node would send from to `destination`.
fn source_to(rig: &Rig, destination: &str) -> String {
    let route = rig.namespaces.exec("node", &format!("ip route get {destination}"));
    let words: Vec<&str> = route.split_whitespace().collect();
    let at = words.iter().position(|word| *word == "src").unwrap();
    words[at + 1].to_owned()
}

/// A virtual address serves, and is never what the node itself sends from.
#[test]
fn a_virtual_address_is_never_a_source_and_needs_no_duplicate_address_detection() {
    matrix(|variant| {
        let rig = variant.setup().start();
        rig.active();
        if variant.is_ipv4() {
            assert_eq!(source_to(&rig, "10.51.0.20"), "10.51.0.50");
            return;
        }
        assert_eq!(source_to(&rig, "fd51::20"), "fd51::50");
        let text = rig.namespaces.exec("node", "ip -6 -o address show");
        for vip in variant.vips() {
            let line = text.lines().find(|line| line.contains(&format!(" {vip}/"))).unwrap();
            assert!(line.contains("deprecated"), "{line}");
            assert!(!line.contains("tentative") && !line.contains("dadfailed"), "{line}");
        }
    });
}

/// Strict reverse path filtering is what many distributions ship.
#[test]
fn a_kernel_with_strict_reverse_path_filtering_lets_it_hear_and_serve() {
    matrix(|variant| {
        let before = "for c in all default eth0; do \
                      echo 1 >/proc/sys/net/ipv4/conf/$c/rp_filter; done";
        let rig = Setup { before: before.into(), ..variant.setup() }.start();
        rig.active();
        crate::neighbours::serves(&rig);
        let _feed = rig.feed(&[rig.greater(255)], rig.setup.half());
        rig.state("Backup");
        rig.has_vips(false);
    });
}

/// An IPv6 address that is still being checked is no source yet (RFC 4862, 5.4).
#[test]
fn a_link_local_address_in_duplicate_address_detection_is_waited_for() {
    crate::rig::among(&[crate::rig::V6, crate::rig::V6_VIRTUAL], |variant: Variant| {
        let before = "ip address delete fe80::50/64 dev eth0; \
                      echo 1 >/proc/sys/net/ipv6/conf/all/accept_dad; \
                      echo 1 >/proc/sys/net/ipv6/conf/eth0/accept_dad; \
                      ip address add fe80::50/64 dev eth0";
        let mut rig = Setup { before: before.into(), ..variant.setup() }.cable();
        let started = rig.start();
        let first = rig.advert(started);
        assert_eq!(first.advert.source, variant.node());
        let tentative = rig.namespaces.exec("node", "ip -6 address show dev eth0 tentative");
        assert_eq!(tentative, "", "it was used before its time");
        rig.active();
    });
}

/// A network as it is: the host's own addresses are made by the kernel.
#[test]
fn a_link_local_address_that_the_kernel_made_is_the_source() {
    crate::rig::among(&[crate::rig::V6, crate::rig::V6_VIRTUAL], |variant| {
        let before = "ip link set eth0 down; ip link set eth0 addrgenmode eui64; \
                      ip link set eth0 up";
        let rig = Setup { before: before.into(), ..variant.setup() }.start();
        rig.active();
        let sent = rig.sent(Stamp::from_nanos(0));
        let eui64: IpAddr = "fe80::51:ff:fe00:50".parse().unwrap();
        assert!(sent.iter().all(|it| it.advert.source == eui64), "{:?}", sent[0]);
    });
}
