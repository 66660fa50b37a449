//! What an operator does and sees: reload, status, events, and hands on the VIP.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use lab::timeline::{added, removed};
use lab::{BEYOND, CLIENT, Stamp, VIP};
use serde_json::Value;
use support::{M1, M2, Net, leased, mainstay, poll};

const SECOND: &str = r#"
[[virtual_router]]
name = "ingress"
vrid = 52
interface = "eth0"
addresses = ["10.51.0.101"]
advert_interval = "200ms"
lease = "off"
"#;

fn has(net: &Net, address: &str) -> bool {
    net.addresses(M1).contains(&address.parse().unwrap())
}

fn until(net: &Net, address: &str, wanted: bool) {
    poll(&format!("{address}: {wanted}"), || (has(net, address) == wanted).then_some(()));
}

#[test]
fn a_reload_adds_and_removes_a_virtual_router_and_moves_no_other() {
    let Some(net) = Net::settled(2, &mainstay()) else { return };
    let start = Stamp::now();
    net.reconfigure(M1, |text| text.to_owned() + SECOND);
    until(&net, "10.51.0.101", true);
    net.reconfigure(M2, |text| text.to_owned() + SECOND);
    let of_m2 = |status: &Value| status["virtual_routers"][1]["active_router"] == "10.51.0.11";
    poll("m2 to hear both", || Some(net.status(M2)).filter(of_m2));
    let names: Vec<Value> = net.status(M1)["virtual_routers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|router| router["name"].clone())
        .collect();
    assert_eq!(names, ["apiserver", "ingress"]);

    net.reconfigure(M1, |text| text.replace(SECOND, ""));
    until(&net, "10.51.0.101", false);
    // It said priority 0, and m2 still has it.
    poll("m2 to take the other", || {
        Some(()).filter(|()| net.addresses(M2).contains(&"10.51.0.101".parse().unwrap()))
    });
    net.unmoved(M1, start);
    let moves = net.events(M1).into_iter().filter(|event| event["code"] == "transition");
    assert_eq!(moves.filter(|event| event["router"] == "apiserver").count(), 2);
}

#[test]
fn a_reload_changes_addresses_priority_and_interval_of_an_active_in_place() {
    let Some(net) = Net::settled(2, &mainstay()) else { return };
    let transitions = net.transitions(M1);
    net.reconfigure(M1, |text| {
        text.replace("[\"10.51.0.100\"]", "[\"10.51.0.100\", \"10.51.0.102\"]")
    });
    until(&net, "10.51.0.102", true);
    // Each side has its own list for a while: RFC 9568, 7.1, no reason to discard.
    net.conflict(M2, "other_addresses");
    assert_eq!(net.router(M2)["state"], "Backup");

    let changed = Stamp::now();
    net.reconfigure(M1, |text| {
        text.replace("preempt", "# preempt")
            .replace("lease = \"off\"", "lease = \"off\"\npriority = { m1 = 200, m2 = 190 }")
    });
    net.advert(M1, changed, |advert| advert.priority == 200 && advert.addresses.len() == 2);
    net.reconfigure(M1, |text| text.replace("\"200ms\"", "\"300ms\""));
    net.advert(M1, changed, |advert| advert.interval == 30);

    net.reconfigure(M1, |text| text.replace("[\"10.51.0.100\", ", "["));
    until(&net, "10.51.0.100", false);
    assert!(has(&net, "10.51.0.102"));
    net.advert(M1, changed, |advert| {
        advert.addresses == ["10.51.0.102".parse::<std::net::Ipv4Addr>().unwrap()]
    });
    assert_eq!(net.transitions(M1), transitions, "a change in place is no change of state");
    assert_eq!(net.router(M1)["state"], "Active");
}

/// RFC 9568, 1: another VRID is another virtual router.
#[test]
fn a_reload_with_another_vrid_ends_one_virtual_router_and_starts_another() {
    let Some(net) = Net::settled(2, &mainstay()) else { return };
    let changed = Stamp::now();
    net.reconfigure(M1, |text| text.replace("vrid = 51", "vrid = 53"));
    net.advert(M1, changed, |advert| advert.priority == 0);
    // The peer of the old one takes over; that of the new one finds no Active and takes it too.
    let router = net.router_until(M1, "Active as 53", |router| {
        router["vrid"] == 53 && router["state"] == "Active" && router["installed"] == true
    });
    assert_eq!(router["name"], "apiserver");
    net.owners(&[M1, M2]);
    assert!(removed(&net.events_seen(), M1, changed).is_some());
}

/// DESIGN 8: the old configuration stays, exit 2 to the caller.
#[test]
fn a_reload_with_a_wrong_file_changes_nothing_and_says_so() {
    let Some(net) = Net::settled(2, &mainstay()) else { return };
    let start = Stamp::now();
    net.configure(M1, |text| text.replace("vrid = 51", "vrid = 256"));
    let ran = net.mainstay(M1, &["reload"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("mainstay.toml:"), "{ran:?}");
    net.event(M1, "reload_failed");
    let status = net.status(M1);
    assert!(status["config"]["error"].is_string(), "{status}");
    assert_eq!(status["virtual_routers"][0]["vrid"], 51);
    assert!(status["warnings"].to_string().contains("the older one is in force"), "{status}");
    net.unmoved(M1, start);

    // By SIGHUP too, and the right file clears the error.
    net.configure(M1, |text| text.replace("vrid = 256", "vrid = 51"));
    net.lab().reload(M1).unwrap();
    net.event(M1, "reloaded");
    poll("no error", || net.status(M1)["config"]["error"].is_null().then_some(()));
    net.unmoved(M1, start);
}

/// DESIGN 2.7: someone else's deletion is repaired at once, announced and reported.
#[test]
fn a_vip_that_is_deleted_by_hand_is_put_back_announced_and_reported() {
    let Some(net) = Net::settled(2, &mainstay()) else { return };
    let transitions = net.transitions(M1);
    for round in 1..=3 {
        let deleted = Stamp::now();
        net.run(M1, "ip address delete 10.51.0.100/32 dev eth0");
        net.wait("the VIP to be back", |view| {
            let gone = removed(&view.events, M1, deleted)?;
            added(&view.events, M1, gone)
        });
        net.announced(M1, deleted);
        poll("the reports", || {
            let events = net.events(M1);
            let count = |code| events.iter().filter(|event| event["code"] == code).count();
            (count("address_lost") == round && count("repaired") == round).then_some(())
        });
    }
    assert_eq!(net.transitions(M1), transitions);
    net.owned_by(M1);
}

/// The kernel's lease is refreshed for as long as the daemon lives, and only then.
#[test]
fn a_leased_vip_outlives_its_lease_while_the_daemon_lives() {
    let Some(net) = Net::settled(1, &leased()) else { return };
    let start = Stamp::now();
    // Twice the lease.
    net.adverts(M1, start, 20);
    net.unmoved(M1, start);
    assert!(
        net.run(M1, "ip address show dev eth0").contains("valid_lft 2sec")
            || net.run(M1, "ip address show dev eth0").contains("valid_lft 1sec")
    );
}

/// DESIGN 6: never chosen as a source, whatever happens to the node's own address.
#[test]
fn the_vip_is_never_a_source_address() {
    let Some(net) = Net::settled(1, &mainstay()) else { return };
    let own = Some(M1.address());
    assert_eq!(net.source_to(M1, CLIENT), own);
    assert_eq!(net.source_to(M1, BEYOND), own);

    let start = Stamp::now();
    net.run(
        M1,
        "ip address delete 10.51.0.11/24 dev eth0; ip address add 10.51.0.11/24 dev eth0; \
         ip route replace default via 10.51.0.200",
    );
    net.adverts(M1, start, 3);
    net.owned_by(M1);
    assert_eq!(net.source_to(M1, CLIENT), own);
    assert_eq!(net.source_to(M1, BEYOND), own);

    // An address that is younger than the VIP, and a route that prefers none.
    net.run(
        M1,
        "ip address add 10.51.1.11/24 dev eth0; ip address delete 10.51.0.11/24 dev eth0; \
         ip route replace 10.52.0.0/24 dev eth0",
    );
    assert!(has(&net, "10.51.0.100"));
    assert_eq!(net.source_to(M1, BEYOND), "10.51.1.11".parse().ok());
    net.run(
        M1,
        "ip route delete 10.52.0.0/24; ip address add 10.51.0.11/24 dev eth0; \
         ip address delete 10.51.1.11/24 dev eth0",
    );

    // And with time to notice that there is none.
    net.run(M1, "ip address delete 10.51.0.11/24 dev eth0");
    net.owners(&[]);
    net.state(M1, "Initialize");
    assert_ne!(net.source_to(M1, CLIENT), Some(VIP));
    net.run(M1, "ip address add 10.51.0.11/24 dev eth0; ip route replace default via 10.51.0.200");
    net.owned_by(M1);
    assert_eq!(net.source_to(M1, CLIENT), own);
    assert_eq!(net.source_to(M1, BEYOND), own);
    let from_vip =
        |event: &lab::Event| matches!(event, lab::Event::Advert(_, advert) if advert.source == VIP);
    assert!(!net.events_seen().iter().any(|it| from_vip(&it.event)));
}

/// DESIGN 7.
#[test]
fn the_exit_code_of_status_tells_well_from_degraded_from_not_running() {
    let Some(net) = Net::settled(1, &mainstay()) else { return };
    assert_eq!(net.mainstay(M1, &["status"]).code, Some(0));
    net.lab().cut(M1).unwrap();
    net.state(M1, "Initialize");
    let ran = net.mainstay(M1, &["status"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.stdout.contains("no carrier"), "{ran:?}");
    net.lab().stop(M1).unwrap();
    assert_eq!(net.mainstay(M1, &["status"]).code, Some(4));
    assert_eq!(net.mainstay(M1, &["events"]).code, Some(4));
    assert_eq!(net.mainstay(M1, &["reload"]).code, Some(4));
}

/// DESIGN 7: `status -o json` is a contract.
#[test]
fn the_status_has_what_the_contract_names() {
    let Some(net) = Net::settled(2, &mainstay()) else { return };
    let active =
        net.router_until(M1, "Active with its address", |router| router["installed"] == true);
    assert_eq!(active["name"], "apiserver");
    assert_eq!(active["vrid"], 51);
    assert_eq!(active["family"], "ipv4");
    assert_eq!(active["interface"], "eth0");
    assert_eq!(active["state"], "Active");
    assert_eq!(active["priority"], 254);
    assert_eq!(active["effective_priority"], 254);
    assert_eq!(active["addresses"], serde_json::json!(["10.51.0.100"]));
    assert_eq!(active["active_router"], "10.51.0.11");
    assert_eq!(active["source"], "10.51.0.11");
    assert_eq!(active["interval_ms"], 200);
    assert_eq!(active["last_transition"]["from"], "Backup");
    assert_eq!(active["last_transition"]["to"], "Active");
    assert_eq!(active["last_transition"]["cause_code"], "active_down");
    assert!(active["last_transition"]["at"].is_string());
    assert!(active["adverts_sent"].as_u64().unwrap() > 0);

    let backup = net.router(M2);
    assert_eq!(backup["state"], "Backup");
    assert_eq!(backup["installed"], false);
    assert_eq!(backup["active_router"], "10.51.0.11");
    assert_eq!(backup["active_priority"], 254);
    assert!(backup["adverts_received"].as_u64().unwrap() > 0);
    assert_eq!(backup["adverts_sent"], 0);

    let status = net.status(M1);
    let pids = net.lab().pids(M1).unwrap();
    assert_eq!(status["node"], "m1");
    assert_eq!(status["role"], "master");
    assert_eq!(status["pid"], pids.parent.unwrap().as_raw());
    assert_eq!(status["vrrp"]["pid"], pids.child.unwrap().as_raw());
    assert_eq!(status["vrrp"]["attached"], true);
    assert!(status["dropped"]["eth0"]["checksum"].is_u64(), "{status}");
    assert!(status["warnings"].is_array());
}

/// DESIGN 2.9: every transition has its cause.
#[test]
fn events_are_numbered_told_with_their_cause_and_followed() {
    let Some(net) = Net::settled(2, &mainstay()) else { return };
    let events = net.events(M2);
    let last = events.last().unwrap()["seq"].as_u64().unwrap();
    let numbers: Vec<u64> = events.iter().map(|event| event["seq"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (numbers[0]..=last).collect::<Vec<_>>(), "without a gap");

    let after = last.to_string();
    let follow = ["events", "--follow", "-o", "json", "--after", after.as_str()];
    let mut follower = net.command(M2, &follow).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(follower.stdout.take().unwrap()).lines();
    net.lab().stop(M1).unwrap();
    // Ends with the daemon at the latest, which the lab ends.
    let told = lines
        .map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap())
        .find(|event| event["code"] == "transition")
        .unwrap();
    follower.kill().unwrap();
    follower.wait().unwrap();
    assert!(told["seq"].as_u64().unwrap() > last);
    assert_eq!(told["router"], "apiserver");
    assert_eq!(told["what"], "Backup -> Active");
    assert_eq!(told["why"], "the Active 10.51.0.11 hands over (priority 1)");
    let text = net.mainstay(M2, &["events"]).stdout;
    assert!(text.contains("Backup -> Active: the Active 10.51.0.11 hands over"), "{text}");
}
