//! The address owner, priority 255 (RFC 9568, 6.1 and 6.4.1).

use std::time::Duration;

use lab::{Frame, Stamp};

use crate::rig::{Rig, Setup, V4, V6, Variant, among, on_time};

/// Its own addresses stay with the interface's own Ethernet address.
const OWNERS: [Variant; 2] = [V4, V6];

fn setup(variant: Variant) -> Setup {
    Setup { priority: 255, owned: variant.vips(), ..variant.setup() }
}

/// RFC 9568, 6.4.1: advertise, announce, Active; without waiting for Active_Down_Interval.
#[test]
fn an_owner_is_active_at_once() {
    among(&OWNERS, |variant| {
        let setup = Setup { interval: 5000, ..setup(variant) };
        let mut rig = setup.cable();
        let started = rig.spawn();
        let first = rig.advert(started);
        assert!(first.at - started < rig.setup.interval(), "after {:?}", first.at - started);
        assert_eq!(first.advert.priority, 255);
        assert_eq!(first.advert.addresses, variant.vips());
        for vip in variant.vips() {
            let announced = |seen: &lab::Seen| match &seen.frame {
                Some(Frame::Arp(it)) => {
                    it.is_gratuitous() && vip == std::net::IpAddr::V4(it.sender)
                }
                Some(Frame::Neighbour(it)) => {
                    it.is_unsolicited() && vip == std::net::IpAddr::V6(it.target)
                }
                _ => false,
            };
            rig.wait("the announcement", |frames| {
                frames.iter().find(|seen| announced(seen)).map(drop)
            });
        }
        let router = rig.router();
        assert_eq!(router["state"], "Active");
    });
}

/// RFC 9568, 5.2.7: twelve bits.
#[test]
fn the_longest_interval_is_4095_centiseconds() {
    among(&OWNERS, |variant| {
        let rig = Setup { interval: 40_950, ..setup(variant) }.start();
        let advert = rig.advert(Stamp::from_nanos(0)).advert;
        assert_eq!((advert.interval, advert.reserved), (0xfff, 0));
    });
}

/// RFC 9568, 6.4.3: whatever another says, short of being an owner too.
#[test]
fn an_owner_answers_every_other_priority() {
    among(&OWNERS, |variant| {
        let rig = Setup { interval: 1000, ..setup(variant) }.start();
        rig.active();
        for frame in [rig.greater(254), rig.smaller(254), rig.greater(1), rig.greater(0)] {
            let asked = rig.send(&frame);
            let answer = rig.advert(asked);
            on_time("answer", asked, Duration::ZERO, answer.at, rig.setup.interval() / 4);
        }
        rig.state("Active");
    });
}

/// RFC 9568, 6.4.3 and erratum 8298: of two owners by mistake, one is Active.
#[test]
fn two_owners_resolve_by_their_addresses() {
    among(&OWNERS, |variant| {
        let rig = setup(variant).start();
        rig.active();
        let asked = rig.send(&rig.smaller(255));
        rig.advert(asked);
        rig.state("Active");
        let heard = rig.send(&rig.greater(255));
        let _feed = rig.feed(&[rig.greater(255)], rig.setup.half());
        rig.state("Backup");
        std::thread::sleep(rig.setup.interval() * 5);
        rig.silent(heard + Duration::from_millis(1));
    });
}

/// The addresses are the interface's own: they were there before and stay.
#[test]
fn an_owner_that_stops_says_priority_0_and_keeps_its_addresses() {
    among(&OWNERS, |variant| {
        let mut rig = setup(variant).start();
        rig.active();
        let addresses = |rig: &Rig| rig.namespaces.exec("node", "ip -br address show dev eth0");
        let before = addresses(&rig);
        let stopped = rig.stop();
        rig.advert_where(stopped, |advert| advert.priority == 0);
        assert_eq!(addresses(&rig), before);
        let started = rig.start();
        rig.advert(started);
        rig.kill();
        assert_eq!(addresses(&rig), before);
    });
}
