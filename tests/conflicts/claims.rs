//! Hosts that say they have a virtual address.

use std::net::IpAddr;
use std::time::Duration;

use lab::inject::{arp, neighbour_advertisement};
use lab::{ArpOperation, Ethernet, MacAddr, Stamp};

use crate::rig::{Rig, matrix};
use crate::{STRANGER, events, feed, names, transitions, with_code};

/// A host at `mac` says to all that it has an address.
fn claim(mac: MacAddr, address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => {
            let broadcast = Ethernet { source: mac, destination: MacAddr::broadcast() };
            arp(ArpOperation::Request, broadcast, address, address)
        }
        IpAddr::V6(address) => neighbour_advertisement(mac, address, address),
    }
}

/// Says it until something is done.
fn claiming<T>(rig: &Rig, mac: MacAddr, address: IpAddr, done: impl FnOnce() -> T) -> T {
    let feed = crate::rig::Feed::start(rig.injector(), vec![claim(mac, address)], rig.setup.half());
    let result = done();
    feed.end();
    result
}

/// RFC 9568, 6.4.3, says nothing of it: the state stays, the addresses are announced again.
#[test]
fn a_host_that_has_an_address_of_an_active_is_told_with_its_mac() {
    matrix(|variant| {
        let rig = variant.setup().start();
        rig.active();
        let before = transitions(&rig);
        let vip = rig.setup.vips[1];
        claiming(&rig, STRANGER, vip, || names(&rig, "foreign_arp", vip, STRANGER));
        assert_eq!((transitions(&rig), &rig.router()["state"]), (before, &"Active".into()));
        assert_eq!(rig.router()["installed"], true);
    });
}

/// It is the Active's address, or will be told by the Active.
#[test]
fn a_backup_does_not_mind_who_has_the_addresses() {
    matrix(|variant| {
        let mut rig = variant.setup().cable();
        let _feed = feed(&rig, &rig.greater(210));
        rig.start();
        let vip = rig.setup.vips[0];
        claiming(&rig, STRANGER, vip, || {
            rig.until("adverts", |router| router["adverts_received"].as_u64() > Some(15));
        });
        assert_eq!(with_code(&rig, "conflict").len(), 0, "{:#?}", events(&rig));
    });
}

/// The Active before may speak of the address once more.
#[test]
fn what_is_said_right_after_a_takeover_is_no_conflict() {
    matrix(|variant| {
        let rig = variant.setup().start();
        rig.active();
        let taken = rig.sent(Stamp::from_nanos(0))[0].at;
        claiming(&rig, STRANGER, rig.setup.vips[0], || {
            rig.advert(taken + Duration::from_millis(300));
        });
        let router = rig.router();
        let late = Stamp::now() - taken > Duration::from_millis(900);
        assert!(late || router["conflicts"] == serde_json::json!([]), "{router}");
    });
}

/// Two Actives are one conflict, not two: whoever advertises has announced the address too.
#[test]
fn what_a_rival_announces_tells_its_mac_and_no_other_conflict() {
    matrix(|variant| {
        let rig = variant.setup().start();
        rig.active();
        // Of this one nothing but the announcement is heard after the first advert.
        rig.send(&rig.smaller(100));
        rig.send_bytes(&claim(STRANGER, rig.setup.vips[0]));
        names(&rig, "rival", variant.smaller(), STRANGER);
        let kinds: Vec<_> = with_code(&rig, "conflict")
            .into_iter()
            .map(|event| event["detail"]["conflict"].clone())
            .collect();
        assert_eq!(kinds, ["rival"]);
    });
}
