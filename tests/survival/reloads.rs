//! Another configuration under a running Active.

use std::time::Duration;

use lab::{Checksum, Stamp};

use crate::rig::{Mac, NODE_MAC, PEER_MAC, Setup, matrix, on_time, poll, regular};

/// The Ethernet address changes, not who is Active for the link.
#[test]
fn the_virtual_mac_is_taken_up_and_given_up() {
    matrix(|variant| {
        let mut rig = variant.setup().start();
        rig.active();
        for _ in 0..2 {
            let mac = rig.setup.variant.mac;
            rig.reload(|setup| {
                setup.variant.mac = if mac == Mac::Virtual { Mac::Physical } else { Mac::Virtual };
            });
            let wanted = rig.setup.variant.router_mac();
            let changed = Stamp::now();
            let first = rig.advert_where(changed, |advert| {
                advert.ethernet.source == wanted && advert.priority == 200
            });
            rig.active();
            rig.has_vips(true);
            let later = rig.advert(first.at + rig.setup.interval() * 3).advert;
            assert_eq!(later.ethernet.source, wanted);
        }
        let links = rig.namespaces.exec("node", "ip -o link");
        assert_eq!(links.lines().count(), if variant.is_virtual() { 3 } else { 2 }, "{links}");
        rig.stop();
        rig.has_vips(false);
    });
}

#[test]
fn addresses_are_added_removed_and_reordered_without_a_pause() {
    matrix(|variant| {
        let mut rig = variant.setup().start();
        let start = rig.freshly_active().at;
        let vips = variant.vips();
        let more = if variant.is_ipv4() { "10.51.0.99" } else { "fd51::99" }.parse().unwrap();
        let lists = [
            vec![vips[0], vips[1], more],
            vec![vips[0], more],
            vec![vips[0], more, vips[1]],
            vec![vips[0]],
        ];
        for list in lists {
            let changed = Stamp::now();
            rig.reload(|setup| setup.vips.clone_from(&list));
            rig.advert_where(changed, |advert| advert.addresses == list);
            rig.has_vips(true);
        }
        let text = rig.namespaces.exec("node", "ip -o address show");
        assert!(!text.contains(&format!(" {more}/")), "{text}");
        rig.advert(Stamp::now() + rig.setup.interval());
        // A change may be told at once; nothing may be missing.
        let times: Vec<Stamp> = rig.sent(start).iter().map(|it| it.at).collect();
        for pair in times.windows(2) {
            assert!(pair[1] - pair[0] < rig.setup.interval() * 3 / 2, "{pair:?}");
        }
        assert!(rig.sent(start).iter().all(|it| it.advert.priority == 200));
        rig.state("Active");
    });
}

#[test]
fn priority_and_interval_change_in_place() {
    matrix(|variant| {
        let mut rig = variant.setup().start();
        let start = rig.freshly_active().at;
        let changed = Stamp::now();
        rig.reload(|setup| setup.priority = 120);
        rig.advert_where(changed, |advert| advert.priority == 120);
        let changed = Stamp::now();
        rig.reload(|setup| setup.interval = 250);
        let first = rig.advert_where(changed, |advert| advert.interval == 25);
        rig.advert(first.at + rig.setup.interval() * 3);
        let times: Vec<Stamp> = rig.sent(first.at).iter().map(|it| it.at).collect();
        regular(&times[1..], rig.setup.interval());
        assert!(rig.sent(start).iter().all(|it| it.advert.priority > 0));
        // The new priority is in force.
        rig.send(&rig.smaller(150));
        rig.state("Backup");
    });
}

#[test]
fn adverts_go_to_the_group_then_to_peers_then_to_the_group() {
    matrix(|variant| {
        let peer = if variant.is_ipv4() { "10.51.0.20" } else { "fd51::20" };
        let before = format!("ip neighbour add {peer} lladdr {PEER_MAC} nud permanent dev eth0");
        let mut rig = Setup { before, ..variant.setup() }.start();
        rig.active();
        for _ in 0..2 {
            let changed = Stamp::now();
            rig.reload(|setup| {
                setup.lines = format!("transport = \"unicast\"\npeers = [\"{peer}\"]");
            });
            let advert =
                rig.advert_where(changed, |advert| advert.destination.to_string() == peer).advert;
            assert_eq!(advert.ethernet.source, NODE_MAC);
            rig.active();
            let changed = Stamp::now();
            rig.reload(|setup| setup.lines.clear());
            let wanted = rig.setup.variant.router_mac();
            let advert = rig
                .advert_where(changed, |advert| {
                    advert.destination == variant.group() && advert.priority > 0
                })
                .advert;
            assert_eq!(advert.ethernet.source, wanted);
            rig.active();
            rig.has_vips(true);
        }
    });
}

#[test]
fn a_virtual_router_of_the_other_family_comes_and_goes_and_moves_nothing() {
    matrix(|variant| {
        let mut rig = variant.setup().start();
        let start = rig.freshly_active().at;
        let vips = if variant.is_ipv4() { "\"fe80::51:7\", \"fd51::7\"" } else { "\"10.51.0.7\"" };
        let section = format!(
            "[[virtual_router]]\nname = \"other\"\nvrid = 51\ninterface = \"eth0\"\n\
             addresses = [{vips}]\npriority = {{ n = 150 }}\nadvert_interval = \"100ms\"\n\
             preempt = \"always\"\non_degraded = \"release\"\nvirtual_mac = {}\n",
            variant.is_virtual(),
        );
        rig.reload(|setup| setup.sections = section);
        poll("the other to be Active", || {
            (rig.status()["virtual_routers"][1]["installed"] == true).then_some(())
        });
        rig.reload(|setup| setup.sections.clear());
        poll("it to be gone", || {
            let text = rig.namespaces.exec("node", "ip -o address show");
            (!text.contains("10.51.0.7/") && !text.contains("fe80::51:7/")).then_some(())
        });
        rig.advert(Stamp::now() + rig.setup.interval());
        let of_first = |it: &crate::rig::Sent| it.advert.source.is_ipv4() == variant.is_ipv4();
        let times: Vec<Stamp> =
            rig.sent(start).iter().filter(|it| of_first(it)).map(|it| it.at).collect();
        regular(&times, rig.setup.interval());
        let links = rig.namespaces.exec("node", "ip -o link");
        assert_eq!(links.lines().count(), if variant.is_virtual() { 3 } else { 2 }, "{links}");
    });
}

/// RFC 9568, 6.4.2: a Backup keeps what it has learned through a reload of something else.
#[test]
fn a_backup_stays_one_through_reloads() {
    matrix(|variant| {
        let mut rig = variant.setup().cable();
        let feed = rig.feed(&[rig.greater(210)], rig.setup.half());
        rig.start();
        rig.until("it hears the Active", |router| !router["active_router"].is_null());
        rig.reload(|setup| setup.priority = 201);
        rig.reload(|setup| setup.vips.truncate(1));
        rig.reload(|setup| setup.lines = "drain_timeout = \"1s\"".into());
        rig.silent(Stamp::from_nanos(0));
        feed.end();
        let heard = rig.send(&rig.greater(210));
        let taken = rig.advert(heard);
        let wait = rig.setup.active_down(rig.setup.interval());
        on_time("takeover", heard, wait, taken.at, rig.setup.half());
        assert_eq!(taken.advert.priority, 201);
        assert_eq!(taken.advert.addresses, rig.setup.vips);
    });
}

#[test]
fn the_form_of_the_checksum_changes_in_place() {
    crate::rig::among(&[crate::rig::V4, crate::rig::V4_VIRTUAL], |variant| {
        let mut rig = variant.setup().start();
        let start = rig.freshly_active().at;
        for (form, checksum) in
            [("pseudo-header", Checksum::PseudoHeader), ("rfc9568", Checksum::Message)]
        {
            rig.reload(|setup| setup.lines = format!("checksum = \"{form}\""));
            let changed = Stamp::now();
            rig.advert_where(changed, |advert| advert.checksum == checksum);
        }
        rig.advert(Stamp::now() + Duration::from_millis(150));
        assert!(rig.sent(start).iter().all(|it| it.advert.priority == 200));
    });
}
