//! Address owners (RFC 9568, 1.2): the node's own addresses are used as they are.

use vrrp::linux::interface::AddressInfo;
use vrrp::proto::Request;

use super::*;

/// The form in which [`HERE`] has an address.
fn forms(address: IpAddr) -> Vec<AddressInfo> {
    let all = Netlink::open().unwrap().addresses(Some(index(HERE))).unwrap();
    all.into_iter().filter(|info| info.address == address).collect()
}

/// RFC 9568, 6.4.1 and 6.4.3: Active at once, and what is the node's own outlasts it.
#[test]
fn an_owners_own_address_is_neither_installed_nor_removed() {
    let Some(_peer) = namespaces() else { return };
    ip("address add 10.0.0.11/24 dev here");
    let own = forms(vip(11));
    let mut process = Process::start();
    let mut spec = router("a", 1, 255, vip(11));
    spec.config.addresses = Addresses::new(vec![vip(11), vip(12)]).unwrap();
    process.commit(&[spec]);
    process.wait_for_installation();
    assert_eq!(forms(vip(11)), own);
    assert!(forms(vip(12)).iter().all(|info| info.prefix_len == 32));
    assert!(process.status("a").installed);

    process.ask(&Request::Shutdown);
    process.wait("end", |reply| matches!(reply, Reply::Bye).then_some(()));
    assert_eq!(forms(vip(11)), own);
    assert_eq!(forms(vip(12)), []);
}

/// RFC 9568, 5.1.1.1: an owner may have no other address.
#[test]
fn an_owner_advertises_from_its_own_address_where_there_is_no_other() {
    let Some(_peer) = namespaces() else { return };
    let own = IpAddr::from(HERE_IP);
    let mut process = Process::start();
    process.commit(&[router("a", 1, 255, own)]);
    process.wait_for_installation();
    let status = process.status("a");
    assert_eq!((status.state, status.source), (State::Active, Some(own)));
    assert_eq!(forms(own).iter().map(|info| info.prefix_len).collect::<Vec<_>>(), [24]);

    // Another that is no virtual address goes before it.
    ip("address add 10.0.1.1/24 dev here");
    wait_until("other source", || process.status("a").source == Some("10.0.1.1".parse().unwrap()));
}

#[test]
fn an_owners_own_address_that_is_deleted_is_put_back() {
    let Some(_peer) = namespaces() else { return };
    ip("address add 10.0.1.1/24 dev here");
    let mut process = Process::start();
    process.commit(&[router("a", 1, 255, vip(11))]);
    process.wait_for_installation();
    process.commit(&[router("a", 1, 255, HERE_IP.into())]);
    process.wait_for_installation();
    ip("address del 10.0.0.1/24 dev here");
    process.wait_for_event("repair", |kind| matches!(kind, EventKind::Router(Report::Repaired)));
    assert_eq!(forms(HERE_IP.into()).iter().map(|info| info.prefix_len).collect::<Vec<_>>(), [32]);
}
