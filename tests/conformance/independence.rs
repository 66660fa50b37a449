//! IPv4 and IPv6 virtual routers of one VRID are two (RFC 9568, 1 and 5.1); and so are those of two
//! VRIDs.

use std::time::Duration;

use lab::inject::AdvertFrame;
use lab::{Advert, Frame, Stamp};

use crate::rig::{Rig, Setup, VRID, Variant, matrix};

/// The virtual router of the other family, with the same VRID.
fn both(variant: Variant) -> Rig {
    let other = Variant { family: variant.family.other(), ..variant };
    let vips: Vec<String> = other.vips().iter().map(|vip| format!("\"{vip}\"")).collect();
    let sections = format!(
        "[[virtual_router]]\nname = \"other\"\nvrid = {VRID}\ninterface = \"eth0\"\n\
         addresses = [{}]\npriority = {{ n = 150 }}\nadvert_interval = \"150ms\"\n\
         preempt = \"always\"\non_degraded = \"release\"\nvirtual_mac = {}\n",
        vips.join(", "),
        variant.is_virtual(),
    );
    Setup { sections, ..variant.setup() }.start()
}

fn adverts(rig: &Rig, since: Stamp) -> Vec<(Stamp, Advert)> {
    let advert = |seen: lab::Seen| match seen.frame {
        Some(Frame::Advert(advert)) => Some((seen.at, advert)),
        _ => None,
    };
    rig.emitted(since).into_iter().filter_map(advert).collect()
}

#[test]
fn two_families_with_the_same_vrid_are_two_virtual_routers() {
    matrix(|variant| {
        let rig = both(variant);
        let second = |state: &str| {
            crate::rig::poll(state, || {
                (rig.status()["virtual_routers"][1]["state"] == state).then_some(())
            });
        };
        rig.active();
        second("Active");
        let of_other = |advert: &Advert| advert.source.is_ipv4() != variant.is_ipv4();
        for (_, advert) in adverts(&rig, Stamp::from_nanos(0)) {
            let (priority, interval) = if of_other(&advert) { (150, 15) } else { (200, 10) };
            assert_eq!((advert.priority, advert.interval), (priority, interval));
            assert!(advert.addresses.iter().all(|it| it.is_ipv4() == advert.source.is_ipv4()));
        }

        // The first yields; the other advertises on.
        let heard = rig.send(&rig.greater(255));
        let _feed = rig.feed(&[rig.greater(255)], rig.setup.half());
        rig.state("Backup");
        rig.has_vips(false);
        std::thread::sleep(Duration::from_millis(600));
        second("Active");
        let sent = adverts(&rig, heard + Duration::from_millis(1));
        assert!(sent.iter().all(|(_, advert)| of_other(advert)));
        let times: Vec<Stamp> = sent.iter().map(|(at, _)| *at).collect();
        crate::rig::regular(&times, Duration::from_millis(150));
        assert!(times.len() >= 3);
    });
}

/// The largest advert there is, from a peer: the link carries it.
#[test]
fn an_advert_with_255_addresses_is_heard() {
    matrix(|variant| {
        let mut rig = Setup { mtu: 9000, ..variant.setup() }.cable();
        let frame = AdvertFrame { addresses: crate::sent::many(variant, 255), ..rig.greater(210) };
        assert_eq!(frame.addresses.len(), 255);
        let feed = rig.feed(&[frame], rig.setup.half());
        rig.start();
        std::thread::sleep(rig.setup.interval() * 6);
        rig.silent(Stamp::from_nanos(0));
        feed.end();
        rig.active();
    });
}

/// RFC 9568, 5.2.5: as many as fit.
#[test]
fn a_virtual_router_with_as_many_addresses_as_fit_advertises_them_all() {
    matrix(|variant| {
        // 1,500 bytes hold 90 IPv6 addresses.
        let count = if variant.is_ipv4() { 255 } else { 90 };
        let vips = crate::sent::many(variant, count);
        let rig = Setup { vips: vips.clone(), ..variant.setup() }.start();
        assert_eq!(rig.active().advert.addresses, vips);
        rig.has_vips(true);
    });
}
