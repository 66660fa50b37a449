//! Initialize and Shutdown (RFC 9568, 6.4.1, 6.4.2 and 6.4.3).

use std::time::Duration;

use lab::Stamp;

use crate::rig::{Setup, matrix};

/// RFC 9568, 6.4.1: not the address owner: Backup, and nothing is sent for Active_Down_Interval.
#[test]
fn a_router_starts_as_backup_and_says_nothing_for_active_down_interval() {
    matrix(|variant| {
        let setup = Setup { interval: 300, ..variant.setup() };
        let wait = setup.active_down(setup.interval());
        let mut rig = setup.cable();
        let started = rig.start();
        let ready = Stamp::now();
        assert!(rig.installed().is_empty());
        let first = rig.advert(started);
        assert!(first.at - started >= wait, "after {:?}", first.at - started);
        assert!(first.at - ready <= wait + rig.setup.half(), "after {:?}", first.at - ready);
        assert_eq!(first.advert.priority, 200);
        rig.has_vips(true);
    });
}

/// RFC 9568, 6.4.3: one advert of priority 0, as every other advert but for that, and the addresses
/// are gone.
#[test]
fn an_active_that_stops_says_priority_0_once_and_drops_its_addresses() {
    matrix(|variant| {
        let mut rig = variant.setup().start();
        let last = rig.active();
        let stopped = rig.stop();
        assert!(rig.installed().is_empty());
        let farewells: Vec<_> =
            rig.sent(stopped).into_iter().filter(|it| it.advert.priority == 0).collect();
        assert_eq!(farewells.len(), 1, "{farewells:?}");
        let farewell = &farewells[0].advert;
        assert_eq!(lab::Advert { priority: 200, ..farewell.clone() }, last.advert);
        let after = rig.sent(farewells[0].at + Duration::from_nanos(1));
        assert!(after.is_empty(), "{after:?}");
    });
}

/// RFC 9568, 6.4.2.
#[test]
fn a_backup_that_stops_says_nothing() {
    matrix(|variant| {
        let mut rig = variant.setup().cable();
        let feed = rig.feed(&[rig.greater(201)], rig.setup.half());
        rig.start();
        rig.state("Backup");
        rig.stop();
        feed.end();
        rig.silent(Stamp::from_nanos(0));
    });
}

/// Addresses that a crash left are removed before the router takes part: it is Backup.
#[test]
fn a_virtual_address_that_a_crash_left_is_removed_at_the_start() {
    matrix(|variant| {
        let mut rig = variant.setup().start();
        rig.active();
        rig.kill();
        assert_eq!(rig.installed().len(), 2);
        let feed = rig.feed(&[rig.greater(201)], rig.setup.half());
        let started = rig.start();
        rig.state("Backup");
        rig.has_vips(false);
        feed.end();
        let first = rig.advert(started);
        rig.active();
        rig.has_vips(true);
        assert_eq!(first.advert.priority, 200);
    });
}

/// The same where the addresses were not put there by the daemon.
#[test]
fn a_virtual_address_that_others_left_is_removed_at_the_start() {
    matrix(|variant| {
        let vip = variant.vips()[1];
        let before = format!("ip address add {vip} dev eth0");
        let mut rig = Setup { before, ..variant.setup() }.cable();
        let _feed = rig.feed(&[rig.greater(201)], rig.setup.half());
        rig.start();
        rig.has_vips(false);
        rig.silent(Stamp::from_nanos(0));
    });
}
