//! Virtual addresses in the kernel: installed, leased, renewed, removed, never a source.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::disallowed_methods)] // The kernel's time is real.

mod linux_support;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::time::{Duration, Instant};

use linux_support::*;
use vrrp::Family;
use vrrp::config::Lease;
use vrrp::linux::interface::{AddressInfo, Scope};
use vrrp::linux::monitor::{Change, Monitor};
use vrrp::linux::netlink::{Install, Netlink, NetlinkError, Removed};
use vrrp::linux::source::choose_source;

fn lease(seconds: u32) -> Option<Lease> {
    Some(Lease::from_secs(seconds).unwrap())
}

fn has(netlink: &mut Netlink, address: IpAddr) -> bool {
    netlink.addresses(None).unwrap().iter().any(|info| info.address == address)
}

fn is_source(address: IpAddr) -> bool {
    ip("route get 10.0.0.2").contains(&format!("src {address} "))
        || ip("route get 10.0.0.77").contains(&format!("src {address} "))
        || udp_source() == Some(address)
}

/// The source that a socket gets when it connects to the other end.
fn udp_source() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.connect((THERE_IP, 9)).ok()?;
    Some(socket.local_addr().unwrap().ip())
}

#[test]
fn an_installed_address_is_a_host_address_that_is_ours() {
    let Some(_peer) = namespaces() else { return };
    let (mut netlink, here) = (Netlink::open().unwrap(), index(HERE));
    netlink.install(here, VIP, lease(3)).unwrap();
    let addresses = netlink.addresses(Some(here)).unwrap();
    let expected = AddressInfo {
        ifindex: here,
        address: VIP,
        prefix_len: 32,
        scope: Scope::Host,
        secondary: false,
        ours: true,
        usable: true,
    };
    assert!(addresses.contains(&expected), "{addresses:?}");
    assert!(addresses.iter().all(|info| info.ifindex == here));
    let shown = ip("address show dev here");
    assert!(shown.contains("10.0.0.10/32 scope host deprecated"), "{shown}");
    assert!(!ip("route show").contains("10.0.0.10"));

    // Again, without a lease: no error, and for ever.
    netlink.install(here, VIP, None).unwrap();
    let shown = ip("address show dev here to 10.0.0.10");
    assert!(shown.contains("valid_lft forever"), "{shown}");

    assert_eq!(netlink.remove(here, VIP), Ok(Removed::Deleted));
    assert_eq!(netlink.remove(here, VIP), Ok(Removed::WasAbsent));
    assert!(!has(&mut netlink, VIP));
}

#[test]
fn an_ipv6_address_serves_at_once_and_is_removed_whatever_its_prefix() {
    let Some(_peer) = namespaces() else { return };
    let (mut netlink, here) = (Netlink::open().unwrap(), index(HERE));
    let vip: IpAddr = "fd00::10".parse().unwrap();
    netlink.install(here, vip, lease(3)).unwrap();
    netlink.install(here, vip, lease(3)).unwrap();
    let shown = ip("-6 address show dev here to fd00::10");
    assert!(shown.contains("fd00::10/128"), "{shown}");
    assert!(shown.contains("nodad") && shown.contains("deprecated"), "{shown}");
    assert!(!shown.contains("tentative"), "{shown}");
    assert!(netlink.addresses(Some(here)).unwrap().iter().any(|i| i.address == vip && i.ours));
    assert_eq!(netlink.remove(here, vip), Ok(Removed::Deleted));
    ip("address add fd00::10/64 dev here nodad");
    assert_eq!(netlink.remove(here, vip), Ok(Removed::Deleted));
    assert_eq!(netlink.remove(here, vip), Ok(Removed::WasAbsent));
    assert!(!has(&mut netlink, vip));
}

/// DESIGN 2.5: a frozen daemon loses the address.
#[test]
fn a_lease_that_is_not_renewed_runs_out() {
    let Some(_peer) = namespaces() else { return };
    let (mut netlink, here) = (Netlink::open().unwrap(), index(HERE));
    let mut monitor = Monitor::open().unwrap();
    let vips = [VIP, "fd00::10".parse().unwrap()];
    let wanted = vips.map(|address| Install { ifindex: here, address, lease: lease(1) });
    let installed = Instant::now();
    assert!(netlink.install_many(&wanted).iter().all(Result::is_ok));
    for _ in vips {
        let change =
            wait_for_change(&mut monitor, "expiry", |c| matches!(c, Change::AddressRemoved(_)));
        let lived = installed.elapsed();
        let Change::AddressRemoved(AddressInfo { address: removed, .. }) = change else { return };
        eprintln!("{removed}: a lease of 1 s ran out after {lived:.1?}");
        assert!(vips.contains(&removed));
        // Never early. How late depends on who else holds the kernel's RTNL lock: the deadline is
        // that of the wait.
        assert!(lived >= Duration::from_millis(990), "{lived:?}");
    }
}

#[test]
fn a_lease_that_is_renewed_does_not_run_out() {
    let Some(_peer) = namespaces() else { return };
    let (mut netlink, here) = (Netlink::open().unwrap(), index(HERE));
    netlink.install(here, VIP, lease(1)).unwrap();
    let mut monitor = Monitor::open().unwrap();
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(2500) {
        netlink.install(here, VIP, lease(1)).unwrap();
        readable(&monitor, Duration::ZERO);
        while let Some(change) = monitor.recv().unwrap() {
            assert!(!matches!(change, Change::AddressRemoved(_)), "{change:?}");
        }
        std::thread::sleep(Duration::from_millis(333));
    }
    assert!(has(&mut netlink, VIP));
}

/// Left by keepalived or by a person, as the subnet's primary or not.
#[test]
fn an_address_is_removed_whatever_prefix_lengths_it_has() {
    let Some(_peer) = namespaces() else { return };
    let (mut netlink, here) = (Netlink::open().unwrap(), index(HERE));
    for prefixes in [&[24][..], &[32], &[24, 32, 16], &[25]] {
        for prefix in prefixes {
            ip(&format!("address add 10.0.0.10/{prefix} dev here"));
        }
        assert_eq!(netlink.remove(here, VIP), Ok(Removed::Deleted));
        assert!(!has(&mut netlink, VIP));
        assert!(has(&mut netlink, HERE_IP.into()), "the node's own address");
    }
}

/// The kernel wants to be told the prefix length of an IPv6 address.
#[test]
fn addresses_of_both_families_and_any_prefix_go_in_one_batch() {
    let Some(_peer) = namespaces() else { return };
    let (mut netlink, here) = (Netlink::open().unwrap(), index(HERE));
    netlink.install(here, VIP_LINK_LOCAL, None).unwrap();
    ip("address add fd00::10/64 dev here nodad");
    ip("address add 10.0.0.10/24 dev here");
    let absent: IpAddr = "fd00::11".parse().unwrap();
    let unwanted = [VIP, VIP_V6, VIP_LINK_LOCAL, absent].map(|vip| (here, vip));
    let deleted = Ok(Removed::Deleted);
    let expected = [deleted, deleted, deleted, Ok(Removed::WasAbsent)];
    assert_eq!(netlink.remove_many(&unwanted), expected);
    assert!([VIP, VIP_V6, VIP_LINK_LOCAL].iter().all(|&vip| !has(&mut netlink, vip)));
    assert!(has(&mut netlink, HERE_LINK_LOCAL.into()) && has(&mut netlink, HERE_IP.into()));
}

/// What the daemon sets `promote_secondaries` for.
#[test]
fn removing_a_subnets_primary_spares_the_others_only_if_they_are_promoted() {
    let Some(_peer) = namespaces() else { return };
    let (mut netlink, here) = (Netlink::open().unwrap(), index(HERE));
    for promote in [true, false] {
        sysctl("ipv4/conf/here/promote_secondaries", if promote { "1" } else { "0" });
        sysctl("ipv4/conf/all/promote_secondaries", if promote { "1" } else { "0" });
        ip("address flush dev here scope global");
        ip("address add 10.0.0.10/24 dev here");
        ip("address add 10.0.0.1/24 dev here");
        assert_eq!(netlink.remove(here, VIP), Ok(Removed::Deleted));
        assert_eq!(has(&mut netlink, HERE_IP.into()), promote);
    }
}

/// Why a stale address must be removed, not installed over.
#[test]
fn installing_over_a_foreign_address_leaves_its_scope() {
    let Some(_peer) = namespaces() else { return };
    let (mut netlink, here) = (Netlink::open().unwrap(), index(HERE));
    ip("address add 10.0.0.10/32 dev here");
    netlink.install(here, VIP, None).unwrap();
    let addresses = netlink.addresses(Some(here)).unwrap();
    let vip = addresses.iter().find(|info| info.address == VIP).unwrap();
    assert_eq!(vip.scope, Scope::Global);
    netlink.remove(here, VIP).unwrap();
    netlink.install(here, VIP, None).unwrap();
    let addresses = netlink.addresses(Some(here)).unwrap();
    assert_eq!(addresses.iter().find(|info| info.address == VIP).unwrap().scope, Scope::Host);
}

#[test]
fn the_virtual_address_is_never_a_source() {
    let Some(_peer) = namespaces() else { return };
    let (mut netlink, here) = (Netlink::open().unwrap(), index(HERE));
    let source = |netlink: &mut Netlink| {
        choose_source(&netlink.addresses(None).unwrap(), here, Family::Ipv4, &[VIP], &[])
    };
    netlink.install(here, VIP, lease(60)).unwrap();
    assert!(!is_source(VIP));
    assert_eq!(udp_source(), Some(HERE_IP.into()));
    assert_eq!(source(&mut netlink), Some(HERE_IP.into()));

    // The node's address goes, and comes back behind the virtual one.
    ip("address delete 10.0.0.1/24 dev here");
    assert_eq!(source(&mut netlink), None);
    ip("route add 10.0.0.0/24 dev here");
    assert!(!is_source(VIP), "{}", ip("route get 10.0.0.2"));
    ip("route delete 10.0.0.0/24 dev here");
    ip("address add 10.0.0.1/24 dev here");
    assert!(!is_source(VIP));
    assert_eq!(udp_source(), Some(HERE_IP.into()));
    assert_eq!(source(&mut netlink), Some(HERE_IP.into()));

    // Renewed, removed and installed again meanwhile.
    netlink.install(here, VIP, lease(60)).unwrap();
    assert!(!is_source(VIP));
    netlink.remove(here, VIP).unwrap();
    netlink.install(here, VIP, None).unwrap();
    assert!(!is_source(VIP));
}

/// As kube-proxy sets it. It makes scope host count as scope link for routes without a gateway.
#[test]
fn with_route_localnet_unicast_still_has_the_nodes_source() {
    let Some(_peer) = namespaces() else { return };
    sysctl("ipv4/conf/all/route_localnet", "1");
    let (mut netlink, here) = (Netlink::open().unwrap(), index(HERE));
    ip("route add default via 10.0.0.254");
    netlink.install(here, VIP, None).unwrap();
    for _ in 0..2 {
        assert!(!is_source(VIP));
        assert!(ip("route get 192.0.2.1").contains("src 10.0.0.1 "));
        ip("address delete 10.0.0.1/24 dev here");
        ip("address add 10.0.0.1/24 dev here");
    }
}

/// A host address stands before the node's in the kernel's list. Its label hides it from programs
/// that ask for "the address of the interface".
#[test]
fn the_interfaces_first_address_is_still_the_nodes() {
    let Some(_peer) = namespaces() else { return };
    Netlink::open().unwrap().install(index(HERE), VIP, None).unwrap();
    assert!(ip("address show dev here").contains("here:vip"));
    let of_here: Vec<_> = nix::ifaddrs::getifaddrs()
        .unwrap()
        .filter(|entry| entry.interface_name == HERE)
        .filter_map(|entry| entry.address?.as_sockaddr_in().map(|address| address.ip()))
        .collect();
    assert_eq!(of_here, [HERE_IP]);
    // The longest names leave no room.
    for (name, label) in [("a23456789012", "a23456789012:vi"), ("a23456789012345", "")] {
        ip(&format!("link add {name} type veth peer name p{}", &name[3..]));
        ip(&format!("link set {name} up"));
        Netlink::open().unwrap().install(index(name), VIP, None).unwrap();
        let shown = ip(&format!("address show dev {name} to 10.0.0.10"));
        assert!(label.is_empty() || shown.contains(label), "{shown}");
        assert!(shown.contains("10.0.0.10/32"), "{shown}");
    }
}

#[test]
fn the_virtual_address_answers_although_it_is_no_source() {
    let Some(peer) = namespaces() else { return };
    let mut netlink = Netlink::open().unwrap();
    netlink.install(index(HERE), VIP, lease(60)).unwrap();
    let server = UdpSocket::bind((VIP, 7000)).unwrap();
    let client = peer.run(|| {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        socket.connect((VIP, 7000)).unwrap();
        socket.send(b"ping").unwrap();
        socket
    });
    let mut bytes = [0; 16];
    server.set_read_timeout(Some(DEADLINE)).unwrap();
    let (length, from) = server.recv_from(&mut bytes).unwrap();
    server.send_to(&bytes[..length], from).unwrap();
    assert_eq!(client.recv(&mut bytes).unwrap(), 4);
}

#[test]
fn refusals_say_what_is_wrong() {
    let Some(_peer) = namespaces() else { return };
    let mut netlink = Netlink::open().unwrap();
    assert_eq!(netlink.install(9999, VIP, None), Err(NetlinkError::NoDevice));
    assert_eq!(netlink.remove(9999, VIP), Ok(Removed::WasAbsent));
    let multicast = IpAddr::V4(Ipv4Addr::BROADCAST);
    let _ = netlink.install(index(HERE), multicast, None);
    // One bad request among good ones does not harm them.
    let here = index(HERE);
    let wanted = [(here, 1), (9999, 2), (here, 3)].map(|(ifindex, last)| Install {
        ifindex,
        address: Ipv4Addr::new(10, 0, 9, last).into(),
        lease: None,
    });
    let answers = netlink.install_many(&wanted);
    assert_eq!(answers, [Ok(()), Err(NetlinkError::NoDevice), Ok(())]);
}

#[test]
fn without_the_capability_an_install_is_denied() {
    let Some(_peer) = namespaces() else { return };
    let here = index(HERE);
    let result = std::thread::spawn(move || {
        caps::drop(None, caps::CapSet::Effective, caps::Capability::CAP_NET_ADMIN).unwrap();
        Netlink::open().unwrap().install(here, VIP, None)
    });
    assert_eq!(result.join().unwrap(), Err(NetlinkError::Denied));
}

#[test]
fn two_hundred_and_fifty_five_addresses_go_at_once() {
    let Some(_peer) = namespaces() else { return };
    let (mut netlink, here) = (Netlink::open().unwrap(), index(HERE));
    let ipv4 = (1..=255).map(|last| Ipv4Addr::new(10, 0, 1, last).into());
    let ipv6 = (1..=255).map(|last| Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 1, last).into());
    for addresses in [ipv4.collect::<Vec<_>>(), ipv6.collect()] {
        figures_of_many(&mut netlink, here, &addresses);
    }
}

fn figures_of_many(netlink: &mut Netlink, here: u32, addresses: &[IpAddr]) {
    let family = Family::of(addresses[0]);
    let wanted: Vec<Install> = addresses
        .iter()
        .map(|&address| Install { ifindex: here, address, lease: lease(3) })
        .collect();
    let unwanted: Vec<(u32, IpAddr)> = addresses.iter().map(|&address| (here, address)).collect();
    let (mut installs, mut renewals, mut removals) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..20 {
        let start = Instant::now();
        assert!(netlink.install_many(&wanted).iter().all(Result::is_ok));
        installs.push(start.elapsed());
        let start = Instant::now();
        assert!(netlink.install_many(&wanted).iter().all(Result::is_ok));
        renewals.push(start.elapsed());
        assert_eq!(netlink.addresses(Some(here)).unwrap().iter().filter(|i| i.ours).count(), 255);
        let start = Instant::now();
        let removed = netlink.remove_many(&unwanted);
        removals.push(start.elapsed());
        assert!(removed.iter().all(|answer| *answer == Ok(Removed::Deleted)));
        assert!(netlink.addresses(Some(here)).unwrap().iter().all(|i| !i.ours));
    }
    eprintln!("{family}, 255 installs: {}", figures(installs));
    eprintln!("{family}, 255 renewals: {}", figures(renewals));
    eprintln!("{family}, 255 removals: {}", figures(removals));
}

#[test]
fn one_address_comes_and_goes_again_and_again() {
    let Some(_peer) = namespaces() else { return };
    let (mut netlink, here) = (Netlink::open().unwrap(), index(HERE));
    let (mut installs, mut renewals, mut removals) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..500 {
        let start = Instant::now();
        netlink.install(here, VIP, lease(3)).unwrap();
        installs.push(start.elapsed());
        let start = Instant::now();
        netlink.install(here, VIP, lease(3)).unwrap();
        renewals.push(start.elapsed());
        let start = Instant::now();
        netlink.remove(here, VIP).unwrap();
        removals.push(start.elapsed());
    }
    eprintln!("install: {}", figures(installs));
    eprintln!("renewal: {}", figures(renewals));
    eprintln!("removal: {}", figures(removals));
}
