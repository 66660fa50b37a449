//! The interface goes and comes back under an Active: through Initialize.

use std::time::Duration;

use lab::Stamp;

use crate::rig::{Rig, matrix};

/// After it returned, it waits like any other router that starts (RFC 9568, 6.4.1).
fn starts_again(rig: &Rig, returned: Stamp) {
    let first = rig.advert(returned);
    let wait = rig.setup.active_down(rig.setup.interval());
    assert!(first.at - returned + Duration::from_millis(3) >= wait, "{:?}", first.at - returned);
    assert_eq!(first.advert.ethernet.source, rig.mac());
    rig.active();
    rig.has_vips(true);
}

#[test]
fn an_active_that_loses_its_carrier_drops_its_addresses_and_starts_again() {
    matrix(|variant| {
        let rig = variant.setup().start();
        rig.active();
        rig.namespaces.exec("wire", "ip link set eth0 down");
        rig.state("Initialize");
        rig.has_vips(false);
        let returned = Stamp::now();
        rig.namespaces.exec("wire", "ip link set eth0 up");
        starts_again(&rig, returned);
    });
}

#[test]
fn a_backup_that_loses_its_carrier_waits_again_when_it_returns() {
    matrix(|variant| {
        let mut rig = variant.setup().cable();
        let feed = rig.feed(&[rig.greater(210)], rig.setup.half());
        rig.start();
        rig.state("Backup");
        rig.namespaces.exec("wire", "ip link set eth0 down");
        rig.state("Initialize");
        feed.end();
        let returned = Stamp::now();
        rig.namespaces.exec("wire", "ip link set eth0 up");
        starts_again(&rig, returned);
    });
}

#[test]
fn an_interface_that_is_set_down_and_up_is_used_again() {
    matrix(|variant| {
        let rig = variant.setup().start();
        rig.active();
        rig.namespaces.exec("node", "ip link set eth0 down");
        rig.state("Initialize");
        rig.has_vips(false);
        let returned = Stamp::now();
        // The kernel has dropped the IPv6 addresses.
        rig.namespaces
            .exec("node", "ip link set eth0 up; ip -6 address replace fe80::50/64 dev eth0 nodad");
        starts_again(&rig, returned);
    });
}

#[test]
fn an_interface_that_is_deleted_and_made_again_is_used_again() {
    matrix(|variant| {
        let mut rig = variant.setup().start();
        rig.active();
        rig.namespaces.exec("node", "ip link delete eth0");
        rig.state("Initialize");
        rig.has_vips(false);
        let returned = Stamp::now();
        rig.replug();
        starts_again(&rig, returned);
        // It hears again too.
        let _feed = rig.feed(&[rig.greater(255)], rig.setup.half());
        rig.state("Backup");
        rig.has_vips(false);
    });
}

/// Without an address of its own there is no source, and no virtual address must become one.
#[test]
fn an_active_whose_own_address_goes_takes_no_part_until_it_is_back() {
    matrix(|variant| {
        let rig = variant.setup().start();
        rig.active();
        let length = if variant.is_ipv4() { 24 } else { 64 };
        let own = format!("{}/{length} dev eth0", variant.node());
        rig.namespaces.exec("node", &format!("ip address delete {own}"));
        rig.state("Initialize");
        rig.has_vips(false);
        let returned = Stamp::now();
        rig.namespaces.exec("node", &format!("ip address add {own}"));
        starts_again(&rig, returned);
        let sent = rig.sent(Stamp::from_nanos(0));
        assert!(sent.iter().all(|it| it.advert.source == variant.node()));
    });
}
