//! Who has the VIP when nodes die, stop, come back, and when the network parts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::time::Duration;

use lab::timeline::added;
use lab::{Event, Part, Port, Probe, Stamp, VIP};
use support::{M1, M2, M3, Net, PATIENCE, mainstay, preempting};

/// RFC 9568, 6.1: Skew_Time lets the highest priority be the first.
#[test]
fn of_routers_that_start_together_the_highest_priority_becomes_active() {
    let Some(net) = Net::up(3) else { return };
    // Nobody takes part before all have a carrier; Skew_Times far apart, the best one last.
    net.run("bridge", "for m in m1 m2 m3; do ip link set $m down; done");
    net.start(&[M3, M2, M1], &mainstay());
    for node in [M1, M2, M3] {
        net.state(node, "Initialize");
        net.reconfigure(node, |text| {
            let priorities = "priority = { m1 = 254, m2 = 150, m3 = 140 }";
            text.replace("\"200ms\"", &format!("\"1s\"\n{priorities}"))
        });
    }
    let start = Stamp::now();
    net.run("bridge", "for m in m3 m2 m1; do ip link set $m up; done");
    net.owned_by(M1);
    net.unmoved(M1, added(&net.events_seen(), M1, start).unwrap() + Duration::from_nanos(1));
    assert_eq!(net.sent(M2, start) + net.sent(M3, start), 0);
    for node in [M2, M3] {
        net.backup_of(node, M1);
    }
}

/// RFC 9568, 6.4.2 and 8.1.2: the next best takes over; gratuitous ARP only once it has the address.
#[test]
fn the_next_best_takes_over_from_a_dead_node_and_announces_what_it_has() {
    let Some(net) = Net::settled(3, &mainstay()) else { return };
    let killed = net.lab().kill(M1, Part::Both).unwrap();
    // Without a lease, the dead node keeps the address until somebody removes it.
    net.owners(&[M1, M2]);
    let announced = net.announced(M2, killed);
    let first = net.advert(M2, killed, |advert| advert.priority == 244);
    assert!(first.at < announced, "the advert goes first");
    let transition = net.event_where(M2, "transition", |event| event["detail"]["to"] == "Active");
    assert_eq!(transition["detail"]["cause_code"], "active_down");
    net.event(M2, "installed");
    net.backup_of(M3, M2);
    let link = net.run(M2, "ip -o link show dev eth0");
    net.arp(Port::Node(M2), killed, |arp| {
        arp.is_gratuitous() && arp.sender == VIP && link.contains(&arp.sender_mac.to_string())
    });
}

/// DESIGN: equals stay where they are.
#[test]
fn a_healthy_router_that_returns_takes_nothing_from_a_healthy_active() {
    let Some(net) = Net::settled(2, &mainstay()) else { return };
    net.lab().stop(M1).unwrap();
    net.owned_by(M2);
    let back = Stamp::now();
    net.start(&[M1], &mainstay());
    net.backup_of(M1, M2);
    net.unmoved(M2, back);
    assert_eq!(net.sent(M1, back), 0);
}

/// RFC 9568, 6.4.2: Preempt_Mode True.
#[test]
fn with_preempt_always_the_higher_priority_takes_over_when_it_returns() {
    let Some(net) = Net::settled(2, &preempting()) else { return };
    net.lab().stop(M1).unwrap();
    net.owned_by(M2);
    let back = Stamp::now();
    net.start(&[M1], &preempting());
    net.owned_by(M1);
    net.announced(M1, back);
    let lost = net.event_where(M2, "transition", |event| event["detail"]["from"] == "Active");
    assert_eq!(lost["detail"]["cause_code"], "higher_priority");
    net.unmoved(M1, added(&net.events_seen(), M1, back).unwrap() + Duration::from_millis(500));
}

/// DESIGN 2.4: a successor takes over before the Active stops, which then is a Backup and says nothing.
#[test]
fn an_orderly_stop_hands_the_vip_over_and_removes_it_before_the_exit() {
    let Some(net) = Net::settled(2, &mainstay()) else { return };
    let stopped = Stamp::now();
    net.lab().stop(M1).unwrap();
    assert!(!net.addresses(M1).contains(&VIP), "the VIP outlived the daemon");
    let drained = net.advert(M1, stopped, |advert| advert.priority == 1);
    net.owned_by(M2);
    let transition = net.event_where(M2, "transition", |event| event["detail"]["to"] == "Active");
    assert_eq!(transition["detail"]["cause_code"], "active_degraded");
    assert!(net.advert(M2, stopped, |advert| advert.priority == 244).at > drained.at);
    assert!(!net.gave_up(M1, stopped));
    assert_eq!(net.mainstay(M1, &["status"]).code, Some(4));
    net.unmoved(M2, Stamp::now());
}

/// RFC 9568, 6.4.3: Shutdown, where nobody takes over before.
#[test]
fn a_stop_without_a_successor_says_priority_0_and_removes_the_vip_before_the_exit() {
    let Some(net) = Net::up(2) else { return };
    net.start(&[M1], &mainstay());
    net.owned_by(M1);
    net.reconfigure(M1, |text| text.replace("vrid = 51", "vrid = 51\ndrain_timeout = \"300ms\""));
    let stopped = Stamp::now();
    net.lab().stop(M1).unwrap();
    assert!(!net.addresses(M1).contains(&VIP), "the VIP outlived the daemon");
    let farewell = net.advert(M1, stopped, |advert| advert.priority == 0);
    assert_eq!(net.sent(M1, farewell.at), 0, "it spoke again after its farewell");
    assert!(net.sent(M1, stopped) > 0, "it served while it waited");
}

/// RFC 9568, 6.4.2: a Backup that stops says nothing.
#[test]
fn a_backup_stops_in_silence() {
    let Some(net) = Net::settled(2, &mainstay()) else { return };
    let start = Stamp::now();
    net.lab().stop(M2).unwrap();
    net.unmoved(M1, start);
    let said = |event: &Event| matches!(event, Event::Advert(node, _) if *node == M2);
    assert!(!net.events_seen().iter().any(|timed| timed.at >= start && said(&timed.event)));
}

/// RFC 9568, 6.4.3, and DESIGN 2.8: one owner after a heal, the higher priority, and it is heard.
#[test]
fn after_a_partition_the_higher_priority_wins_and_the_client_reaches_it() {
    let Some(net) = Net::settled(3, &mainstay()) else { return };
    let probe = Probe::start(net.lab(), Duration::from_millis(10), PATIENCE * 3).unwrap();
    let served = |by| probe.wait_served(Stamp::now() + PATIENCE, |node| node == by);
    assert_eq!(served(M1), Some(M1));
    net.lab().partition(&["m1", "m2,m3,client"]).unwrap();
    net.owners(&[M1, M2]);
    assert_eq!(served(M2), Some(M2));
    let healed = net.lab().heal().unwrap();
    net.owned_by(M1);
    net.announced(M1, healed);
    assert_eq!(served(M1), Some(M1));
    net.backup_of(M2, M1);
    net.backup_of(M3, M1);
    net.unmoved(M1, Stamp::now());
    probe.stop().unwrap();
}

/// DESIGN 2.8. The winner never hears the loser's adverts, so that only the loser's ARP probe tells
/// it that the caches of the link name another.
#[test]
fn after_a_partition_a_loser_that_yields_unheard_still_has_the_winner_announce() {
    let Some(net) = Net::settled(2, &mainstay()) else { return };
    let probe = Probe::start(net.lab(), Duration::from_millis(10), PATIENCE * 3).unwrap();
    let served = |by| probe.wait_served(Stamp::now() + PATIENCE, |node| node == by);
    drop_frames(&net, "m2", "m1", "ip protocol 112");
    let parted = net.lab().partition(&["m1", "m2,client"]).unwrap();
    net.owners(&[M1, M2]);
    assert_eq!(served(M2), Some(M2));
    net.done_announcing(M1, Stamp::from_nanos(0));
    net.done_announcing(M2, parted);
    let healed = net.lab().heal().unwrap();
    net.owned_by(M1);
    let asked =
        net.arp(Port::Node(M2), healed, |arp| arp.sender.is_unspecified() && arp.target == VIP);
    net.announced(M1, asked);
    assert_eq!(served(M1), Some(M1));
    let rivals = net.events(M1).into_iter().filter(|event| event["detail"]["conflict"] == "rival");
    assert_eq!(rivals.count(), 0, "m1 heard an advert of m2: the test shows nothing");
    probe.stop().unwrap();
}

/// RFC 9568, 6.4.3, and DESIGN 2.8: the winner hears the loser first, answers at once with an advert
/// and announces again.
#[test]
fn after_a_partition_a_loser_that_is_heard_first_is_answered_and_announced_against() {
    let Some(net) = Net::settled(2, &mainstay()) else { return };
    net.lab().partition(&["m1", "m2,client"]).unwrap();
    net.owners(&[M1, M2]);
    net.done_announcing(M1, Stamp::from_nanos(0));
    drop_frames(&net, "m1", "m2", "ip protocol 112");
    // Its adverts alone have to do.
    drop_frames(&net, "m2", "m1", "ether type arp");
    let healed = net.lab().heal().unwrap();
    net.conflict(M1, "rival");
    net.announced(M1, healed);
    net.owners(&[M1, M2]);
    let opened = Stamp::now();
    net.run("bridge", "nft delete table bridge test");
    net.owned_by(M1);
    net.announced(M1, opened);
    net.event(M1, "rival_gone");
    net.unmoved(M1, Stamp::now());
}

/// A one-way cut has two Actives for as long as it lasts; nothing else is possible.
#[test]
fn an_active_that_is_not_heard_is_doubled_says_so_and_wins_when_it_is_heard_again() {
    let Some(net) = Net::settled(2, &mainstay()) else { return };
    net.lab().mute(M1).unwrap();
    net.owners(&[M1, M2]);
    let rival = net.conflict(M1, "rival");
    assert_eq!(rival["detail"]["source"], "10.51.0.12");
    assert_eq!(net.router(M1)["state"], "Active");
    let healed = net.lab().heal().unwrap();
    net.owned_by(M1);
    net.announced(M1, healed);
    net.unmoved(M1, Stamp::now());
}

#[test]
fn a_backup_that_hears_nothing_takes_over_and_yields_when_it_hears_again() {
    let Some(net) = Net::settled(2, &mainstay()) else { return };
    net.lab().deafen(M2).unwrap();
    net.owners(&[M1, M2]);
    net.done_announcing(M1, Stamp::from_nanos(0));
    let healed = net.lab().heal().unwrap();
    net.owned_by(M1);
    net.announced(M1, healed);
    let transition = net.event_where(M2, "transition", |event| event["detail"]["from"] == "Active");
    assert_eq!(transition["detail"]["cause_code"], "higher_priority");
    net.unmoved(M1, Stamp::now());
}

/// Drops what comes in at one port of the bridge for another and matches.
fn drop_frames(net: &Net, from: &str, to: &str, matching: &str) {
    net.run(
        "bridge",
        &format!(
            "nft add table bridge test; \
             nft 'add chain bridge test forward {{ type filter hook forward priority 1; }}'; \
             nft add rule bridge test forward iifname {from} oifname {to} {matching} drop"
        ),
    );
}
