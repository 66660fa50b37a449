//! What else the virtual router's own Ethernet address asks for (RFC 9568, 7.3, 7.4 and 8).

use std::net::IpAddr;

use lab::inject::AdvertFrame;
use lab::{Frame, Stamp};

use crate::rig::{PEER_MAC, Rig, Setup, V4_VIRTUAL, V6_VIRTUAL, Variant, among};

const VIRTUAL: [Variant; 2] = [V4_VIRTUAL, V6_VIRTUAL];

fn links(rig: &Rig) -> Vec<String> {
    let text = rig.namespaces.exec("node", "ls /sys/class/net || true; ip -o link | cut -d' ' -f2");
    text.lines().filter(|line| line.ends_with(':')).map(str::to_owned).collect()
}

/// All but what the daemon sets for good on every interface that it uses.
fn sysctls(rig: &Rig) -> String {
    rig.namespaces.exec(
        "node",
        "cd /proc/sys/net; grep . ipv4/conf/eth0/* ipv6/conf/eth0/* ipv4/conf/all/* ipv6/conf/all/* \
         2>&- | grep -v -e stable_secret -e promote_secondaries",
    )
}

/// What was found at the start is there again after the stop, whatever it was.
#[test]
fn interfaces_and_settings_are_as_before_after_a_stop() {
    among(&VIRTUAL, |variant| {
        let before = "cd /proc/sys/net/ipv4/conf/eth0; echo 2 >arp_ignore; echo 1 >arp_announce";
        let mut rig = Setup { before: before.into(), ..variant.setup() }.cable();
        let (links_before, sysctls_before) = (links(&rig), sysctls(&rig));
        rig.start();
        rig.active();
        assert_ne!(links(&rig), links_before);
        rig.stop();
        assert_eq!(links(&rig), links_before);
        assert_eq!(sysctls(&rig), sysctls_before);
    });
}

/// The same after a crash and an orderly life.
#[test]
fn a_crash_leaves_nothing_that_the_next_daemon_does_not_take_over_and_remove() {
    among(&VIRTUAL, |variant| {
        let mut rig = variant.setup().cable();
        let (links_before, sysctls_before) = (links(&rig), sysctls(&rig));
        rig.start();
        rig.active();
        let links_active = links(&rig);
        rig.kill();
        let started = rig.start();
        rig.active();
        assert_eq!(links(&rig).len(), links_active.len());
        let first = rig.advert(started).advert;
        assert_eq!(first.ethernet.source, variant.virtual_mac());
        rig.stop();
        assert_eq!(links(&rig), links_before);
        assert_eq!(sysctls(&rig), sysctls_before);
    });
}

/// RFC 9568, 7.2: each advert is one frame.
#[test]
fn no_advert_is_sent_twice() {
    among(&VIRTUAL, |variant| {
        let rig = variant.setup().start();
        rig.freshly_active();
        let at = rig.freshly_active().at;
        rig.advert(at + rig.setup.interval() * 5);
        for pair in rig.sent(at).windows(2) {
            assert!(pair[1].at - pair[0].at > rig.setup.half(), "{pair:?}");
        }
    });
}

/// RFC 9568, 7.3: the other Active sends from the very same Ethernet address.
#[test]
fn an_active_hears_another_that_has_the_same_virtual_mac_and_one_that_has_not() {
    among(&VIRTUAL, |variant| {
        let rig = variant.setup().start();
        for source in [variant.virtual_mac(), PEER_MAC] {
            rig.active();
            let mut frame = rig.greater(255);
            frame.ethernet.source = source;
            let _feed = rig.feed(&[frame], rig.setup.half());
            rig.state("Backup");
            rig.has_vips(false);
        }
    });
}

/// RFC 9568, 7.4: no interface identifier from the virtual MAC; and the node's own traffic stays
/// with its own address.
#[test]
fn nothing_but_the_virtual_routers_own_words_comes_from_the_virtual_mac() {
    among(&VIRTUAL, |variant| {
        let rig = variant.setup().start();
        rig.active();
        rig.advert(Stamp::now() + rig.setup.interval() * 15);
        let from_virtual = |seen: &lab::Seen| seen.bytes[6..12] == variant.virtual_mac().octets();
        for seen in rig.emitted(Stamp::from_nanos(0)).iter().filter(|seen| from_virtual(seen)) {
            let is_known = match &seen.frame {
                Some(Frame::Advert(_)) => true,
                Some(Frame::Arp(it)) => rig.setup.vips.contains(&it.sender.into()),
                Some(Frame::Neighbour(it)) => rig.setup.vips.contains(&it.target.into()),
                // Multicast Listener Reports for the solicited-node groups (RFC 4861, 7.2.1).
                None => !variant.is_ipv4() && seen.bytes[..2] == [0x33, 0x33],
            };
            assert!(is_known, "{:02x?}", seen.bytes);
        }
        let addresses = rig.namespaces.exec("node", "ip -6 -o address show");
        assert!(!addresses.contains("fe80::200:5eff:fe00:"), "{addresses}");
    });
}

/// RFC 9568, 6.4.2: frames to the virtual MAC are for the Active; a Backup does not forward them.
#[test]
fn a_backup_does_not_take_what_is_sent_to_the_virtual_mac() {
    among(&VIRTUAL, |variant| {
        let mut rig = variant.setup().cable();
        let _feed = rig.feed(&[rig.greater(210)], rig.setup.half());
        rig.start();
        rig.state("Backup");
        let to = lab::Ethernet { source: PEER_MAC, destination: variant.virtual_mac() };
        // To the node's own address even.
        let sent =
            rig.send_bytes(&lab::inject::echo_request(to, variant.smaller(), variant.node()));
        std::thread::sleep(rig.setup.interval() * 3);
        let answered = |seen: &lab::Seen| {
            matches!(&seen.frame, Some(Frame::Arp(it)) if IpAddr::V4(it.target) == variant.smaller())
                || matches!(&seen.frame, Some(Frame::Neighbour(it)) if IpAddr::V6(it.target) == variant.smaller())
        };
        assert!(!rig.emitted(sent).iter().any(answered), "it was about to answer");
    });
}

/// Two virtual routers of one interface, each with its own Ethernet address.
#[test]
fn two_virtual_routers_have_a_mac_each() {
    among(&VIRTUAL, |variant| {
        let vip = if variant.is_ipv4() { "10.51.0.120" } else { "fe80::51:120" };
        let sections = format!(
            "[[virtual_router]]\nname = \"second\"\nvrid = 99\ninterface = \"eth0\"\n\
             addresses = [\"{vip}\"]\npriority = {{ n = 150 }}\nadvert_interval = \"100ms\"\n\
             preempt = \"always\"\non_degraded = \"release\"\nvirtual_mac = true\n"
        );
        let rig = Setup { sections, ..variant.setup() }.start();
        rig.active();
        let second = rig.wait("an advert of the second", |frames| {
            frames.iter().find_map(|seen| match &seen.frame {
                Some(Frame::Advert(advert)) if advert.vrid == 99 => Some(advert.clone()),
                _ => None,
            })
        });
        let mut mac = variant.virtual_mac();
        mac.5 = 99;
        assert_eq!(second.ethernet.source, mac);
        // One yields, the other stays.
        let heard = AdvertFrame { vrid: 99, ..rig.greater(255) };
        let _feed = rig.feed(&[heard], rig.setup.half());
        crate::rig::poll("the second to be Backup", || {
            (rig.status()["virtual_routers"][1]["state"] == "Backup").then_some(())
        });
        rig.advert(Stamp::now());
        rig.state("Active");
        rig.has_vips(true);
    });
}
