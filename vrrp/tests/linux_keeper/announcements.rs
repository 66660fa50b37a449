//! What the link hears.

use vrrp::Family;
use vrrp::linux::neighbour::Listener;

use super::*;

/// Every neighbour has the old Ethernet address in its cache.
#[test]
fn another_ethernet_address_is_announced() {
    const NEW_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0x77];
    let Some(peer) = namespaces() else { return };
    let listener = peer.run(|| Listener::open(index(THERE), Family::Ipv4, &[vip(11)]).unwrap());
    let mut process = Process::start();
    let mut spec = router("a", 1, 255, vip(11));
    spec.config.lease = None;
    process.commit(&[spec]);
    let hear = || wait_for("announcement", &listener, || listener.recv().unwrap()).mac;
    // At once, after 0.1 s and after 1 s: from then on nothing is planned.
    for _ in 0..3 {
        assert_eq!(hear(), link(HERE).unwrap().mac.unwrap());
    }
    ip("link set here address 02:00:00:00:00:77");
    assert_eq!(hear(), NEW_MAC);
}
