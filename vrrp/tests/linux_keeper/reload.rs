//! What a reload of the configuration does to virtual routers that stay.

use vrrp::proto::Request;
use vrrp::router::Eligibility;

use super::*;

fn unicast(peers: &[&str]) -> Transport {
    let peers = peers.iter().map(|peer| peer.parse().unwrap()).collect();
    Transport::Unicast { peers, source: None }
}

#[test]
fn other_unicast_peers_move_nothing() {
    let Some(peer) = namespaces() else { return };
    peer.run(|| ip("address add 10.0.0.3/24 dev there"));
    let hear = peer.run(raw_socket);
    let mut process = Process::start();
    let mut spec = RouterSpec { transport: unicast(&["10.0.0.2"]), ..router("a", 1, 255, vip(11)) };
    process.commit(&[spec.clone()]);
    process.wait_for_installation();
    wait_until("advert", || destination(&hear) == Some(THERE_IP));
    let before = process.status("a").last_transition;
    spec.transport = unicast(&["10.0.0.3"]);
    process.commit(&[spec]);
    wait_until("advert", || destination(&hear) == Some(Ipv4Addr::new(10, 0, 0, 3)));
    assert_eq!(process.status("a").last_transition, before);
}

/// Peers discard what comes from an address that they do not know.
#[test]
fn a_router_that_its_peers_know_by_an_address_waits_for_it() {
    let Some(_peer) = namespaces() else { return };
    let source = "10.0.0.4".parse().unwrap();
    let peers = vec![THERE_IP.into()];
    let transport = Transport::Unicast { peers, source: Some(source) };
    let mut process = Process::start();
    process.commit(&[RouterSpec { transport, ..router("a", 1, 255, vip(11)) }]);
    let before = process.status("a");
    assert_eq!((before.state, before.source), (State::Initialize, None));
    assert_eq!(
        before.interface_problem.as_deref(),
        Some("the interface does not have the address 10.0.0.4, which the unicast peers know")
    );
    ip("address add 10.0.0.4/24 dev here");
    process.wait_for_installation();
    assert_eq!(process.status("a").source, Some(source));
}

#[test]
fn another_transport_restarts_the_router_and_keeps_the_operators_verdict() {
    let Some(_peer) = namespaces() else { return };
    let mut process = Process::start();
    let spec = router("a", 1, 100, vip(11));
    process.commit(std::slice::from_ref(&spec));
    process.wait_for_state("a", State::Backup);
    let verdict = Eligibility::Drained;
    process.ask(&Request::Eligibility {
        router: "a".to_owned(),
        eligibility: verdict,
        ttl_ms: None,
    });
    process.commit(&[RouterSpec { transport: unicast(&["10.0.0.2"]), ..spec }]);
    process.wait_for_state("a", State::Initialize);
    process.wait_for_state("a", State::Backup);
    let status = process.status("a");
    assert_eq!(status.eligibility, verdict);
    assert_eq!(status.effective_priority, Some(Priority::DRAINED));
}

#[test]
fn a_virtual_mac_moves_the_addresses_to_the_macvlan_and_back() {
    let Some(_peer) = namespaces() else { return };
    make_macvlan();
    let mut process = Process::start();
    let plain = router("a", 7, 255, vip(11));
    let mut with_virtual_mac = plain.clone();
    with_virtual_mac.config.virtual_mac = true;
    process.commit(std::slice::from_ref(&plain));
    process.wait_for_installation();
    process.commit(&[with_virtual_mac]);
    process.wait_for_installation();
    wait_until("withdrawal", || !present().contains(&vip(11)));
    assert_eq!(present_on("vrrp7"), [vip(11)]);
    process.commit(&[plain]);
    process.wait_for_installation();
    wait_until("withdrawal", || !present_on("vrrp7").contains(&vip(11)));
    assert!(present().contains(&vip(11)));
    wait_until("macvlan down", || !link("vrrp7").unwrap().up);
}

/// A raw socket that hears every advertisement.
fn raw_socket() -> OwnedFd {
    let vrrp = rustix::net::Protocol::from_raw(112.try_into().unwrap());
    rustix::net::socket(AddressFamily::INET, SocketType::RAW, Some(vrrp)).unwrap()
}

/// Where the next packet that waits was sent to.
fn destination(socket: &OwnedFd) -> Option<Ipv4Addr> {
    let mut packet = [0; 64];
    let (_, length) = recv(socket, &mut packet, RecvFlags::DONTWAIT).ok()?;
    let destination: [u8; 4] = packet[..length].get(16..20)?.try_into().unwrap();
    Some(destination.into())
}
