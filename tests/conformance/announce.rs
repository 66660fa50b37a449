//! What a new Active tells the link (RFC 9568, 6.4.1, 6.4.2 and 8), and that nobody else tells it.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};

use lab::{Arp, Discovery, Frame, MacAddr, Neighbour, Seen, Stamp};

use crate::rig::{Rig, Setup, Variant, matrix};

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// An unasked claim of an address of the daemon's virtual router.
#[derive(Debug)]
enum Claim {
    Arp(Arp),
    Neighbour(Neighbour),
}

impl Claim {
    fn address(&self) -> IpAddr {
        match self {
            Self::Arp(arp) => arp.sender.into(),
            Self::Neighbour(neighbour) => neighbour.target.into(),
        }
    }
}

/// The announcements since then.
fn claims(rig: &Rig, since: Stamp) -> Vec<(Stamp, Claim)> {
    let claim = |seen: Seen| {
        let claim = match seen.frame? {
            Frame::Arp(arp) if arp.is_gratuitous() => Claim::Arp(arp),
            Frame::Neighbour(neighbour) if neighbour.is_unsolicited() => {
                Claim::Neighbour(neighbour)
            }
            _ => return None,
        };
        rig.setup.vips.contains(&claim.address()).then_some((seen.at, claim))
    };
    rig.emitted(since).into_iter().filter_map(claim).collect()
}

/// Waits until all virtual addresses were announced.
fn announced(rig: &Rig, since: Stamp) -> Vec<(Stamp, Claim)> {
    let wanted: BTreeSet<IpAddr> = rig.setup.vips.iter().copied().collect();
    crate::rig::poll("the announcement of all addresses", || {
        let claims = claims(rig, since);
        let found: BTreeSet<IpAddr> = claims.iter().map(|(_, claim)| claim.address()).collect();
        (found == wanted).then_some(claims)
    })
}

/// RFC 9568, 6.4.2: a broadcast gratuitous ARP for each IPv4 address; an unsolicited Neighbor
/// Advertisement to all nodes with R and O for each IPv6 address (and erratum 7949).
#[test]
fn a_new_active_announces_each_address_with_the_virtual_routers_mac() {
    matrix(|variant| {
        let rig = variant.setup().start();
        for (_, claim) in announced(&rig, Stamp::from_nanos(0)) {
            match claim {
                Claim::Arp(arp) => {
                    assert_eq!(arp.ethernet.destination, MacAddr::broadcast());
                    assert_eq!(arp.ethernet.source, variant.router_mac());
                    assert_eq!(arp.sender_mac, variant.router_mac());
                    assert_eq!(arp.target, arp.sender);
                }
                Claim::Neighbour(it) => {
                    assert_eq!(it.ethernet.destination, MacAddr(0x33, 0x33, 0, 0, 0, 1));
                    assert_eq!(it.ethernet.source, variant.router_mac());
                    assert_eq!((it.destination, it.hop_limit), (ALL_NODES, 255));
                    assert_eq!(it.link_layer, Some(variant.router_mac()));
                    let flags = Discovery::Advertisement {
                        router: true,
                        solicited: false,
                        overriding: true,
                    };
                    assert_eq!(it.discovery, flags);
                    // RFC 4861, 7.1.2: not from nobody.
                    assert!(!it.source.is_unspecified() && !it.source.is_multicast());
                }
            }
        }
    });
}

/// RFC 9568, 6.4.2: first the advert. RFC 9568, 8.1.2: the announcement when the address is there.
#[test]
fn the_advert_comes_before_the_addresses_and_these_before_their_announcement() {
    matrix(|variant| {
        let rig = variant.setup().start();
        let first = rig.advert(Stamp::from_nanos(0));
        let claims = announced(&rig, Stamp::from_nanos(0));
        assert!(rig.installed().len() == 2, "announced before it was there");
        assert!(claims[0].0 >= first.at, "announced before the advert");
        // All of it within an interval.
        let last = claims.iter().map(|(at, _)| *at).min().unwrap();
        assert!(last - first.at < rig.setup.interval(), "{:?}", last - first.at);
    });
}

/// RFC 9568, 6.4.2 and 6.4.3: each time anew, and never as Backup.
#[test]
fn each_takeover_is_announced_and_no_backup_announces() {
    matrix(|variant| {
        let rig = variant.setup().start();
        announced(&rig, Stamp::from_nanos(0));
        for _ in 0..2 {
            let heard = rig.send(&rig.greater(255));
            let feed = rig.feed(&[rig.greater(255)], rig.setup.half());
            rig.has_vips(false);
            rig.state("Backup");
            let quiet = Stamp::now();
            std::thread::sleep(rig.setup.interval() * 12);
            let claims = claims(&rig, quiet);
            assert!(claims.is_empty(), "a Backup announced {claims:?}");
            feed.end();
            announced(&rig, heard + rig.setup.interval() * 6);
        }
    });
}

/// RFC 9568, 6.4.1 and 6.4.2: from the start on.
#[test]
fn a_backup_that_never_was_active_announces_nothing() {
    matrix(|variant| {
        let mut rig = variant.setup().cable();
        let _feed = rig.feed(&[rig.greater(210)], rig.setup.half());
        rig.start();
        rig.state("Backup");
        std::thread::sleep(rig.setup.interval() * 12);
        assert!(claims(&rig, Stamp::from_nanos(0)).is_empty());
        rig.silent(Stamp::from_nanos(0));
    });
}

/// RFC 9568, 6.4.2: however many there are.
#[test]
fn all_of_many_addresses_are_announced() {
    matrix(|variant: Variant| {
        let vips = crate::sent::many(variant, 40);
        let rig = Setup { vips, ..variant.setup() }.start();
        announced(&rig, Stamp::from_nanos(0));
    });
}
