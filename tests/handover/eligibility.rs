//! What checks do to the VIP: before they have looked, when they fail, and over a restart.

use std::net::{SocketAddr, TcpListener};

use lab::{Node, Stamp, within};
use nix::sys::signal::Signal;

use crate::rig::{Rig, Setup, V4};
use crate::support::{M1, M2, Net, mainstay, poll};

const PORT: u16 = 7200;

/// What the check looks at.
fn server(net: &Net, node: Node) -> TcpListener {
    let listen = || TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], PORT)));
    within(&net.lab().namespace(node), listen).unwrap().unwrap()
}

fn check(text: &str) -> String {
    let text = text.replace("vrid = 51", "vrid = 51\nchecks = [\"server\"]");
    text + &format!(
        "\n[[check]]\nname = \"server\"\ntcp = \"127.0.0.1:{PORT}\"\ninterval = \"100ms\"\n\
         timeout = \"100ms\"\nrise = 2\nfall = 2\n"
    )
}

fn eligible(net: &Net, node: Node, wanted: &str) {
    net.router_until(node, wanted, |router| router["eligibility"] == wanted);
}

/// m1 is Active, and both look at their servers.
fn checked() -> Option<(Net, [TcpListener; 2])> {
    let net = Net::settled(2, &mainstay())?;
    let servers = [server(&net, M1), server(&net, M2)];
    let start = Stamp::now();
    for node in [M1, M2] {
        net.reconfigure(node, check);
        poll("a verdict", || {
            (net.status(node)["checks"][0]["standing"] == "healthy").then_some(())
        });
        eligible(&net, node, "healthy");
    }
    // A check that a reload adds moves nothing before it has looked.
    net.unmoved(M1, start);
    assert!(net.events(M1).iter().all(|event| event["code"] != "priority"));
    Some((net, servers))
}

#[test]
fn the_vip_follows_the_check_and_stays_when_all_are_sick() {
    let Some((net, [first, second])) = checked() else { return };
    drop(first);
    net.owned_by(M2);
    eligible(&net, M1, "degraded");
    let sick = net.event(M1, "check_sick");
    assert_eq!(sick["detail"]["check"], "server");
    assert!(sick["why"].as_str().unwrap().contains("refused"), "{sick}");
    let moved = net.event_where(M2, "transition", |event| event["detail"]["to"] == "Active");
    assert_eq!(moved["detail"]["cause_code"], "active_degraded");
    let ran = net.mainstay(M1, &["status"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.stdout.contains("check      server sick"), "{ran:?}");

    let start = Stamp::now();
    drop(second);
    eligible(&net, M2, "degraded");
    net.unmoved(M2, start);

    // The first that is well again takes it.
    let _first = server(&net, M1);
    net.owned_by(M1);
    net.event(M1, "check_healthy");
}

/// A daemon alone, whose check passes when it has passed so often.
fn alone(rise: u32, interval: &str) -> Option<(Rig, TcpListener)> {
    if !crate::rig::allowed() {
        return None;
    }
    let setup = Setup {
        preempt: "degraded-only",
        on_degraded: "advertise",
        lines: "checks = [\"server\"]".to_owned(),
        sections: section(rise, interval),
        ..V4.setup()
    };
    let rig = setup.cable();
    let listen = || TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], PORT)));
    let server = within(&rig.namespaces.of("node"), listen).unwrap().unwrap();
    Some((rig, server))
}

fn section(rise: u32, interval: &str) -> String {
    format!(
        "[[check]]\nname = \"server\"\ntcp = \"127.0.0.1:{PORT}\"\ninterval = \"{interval}\"\n\
         timeout = \"100ms\"\nrise = {rise}\nfall = 2\n"
    )
}

#[test]
fn a_router_whose_checks_have_not_spoken_starts_degraded_and_can_bootstrap() {
    let Some((mut rig, _server)) = alone(1000, "60m") else { return };
    let started = rig.start();
    rig.active();
    let router = rig.until("degraded", |router| router["eligibility"] == "degraded");
    assert_eq!(router["effective_priority"], 72);
    assert_eq!(rig.status()["checks"][0]["standing"], "unknown");
    assert!(rig.sent(started).iter().all(|it| it.advert.priority == 72));
    // Nor was it anything else before its first advert.
    let events = rig.mainstay(&["events", "-o", "json"]).output().unwrap();
    let events = String::from_utf8_lossy(&events.stdout).into_owned();
    assert!(!events.contains("\"code\":\"priority\""), "{events}");
}

/// DESIGN 3: a restarted parent inherits the eligibility until its own checks have a verdict.
#[test]
fn a_restarted_daemon_inherits_the_verdict_until_its_checks_have_one() {
    let Some((mut rig, _server)) = alone(1, "100ms") else { return };
    rig.start();
    rig.until("healthy", |router| router["eligibility"] == "healthy");
    let active = rig.active();
    assert_eq!(active.advert.priority, 200);
    rig.end_daemon(Signal::SIGKILL);
    let restarted = Stamp::now();
    rig.setup.sections = section(1000, "60m");
    rig.start();
    poll("the attachment", || (rig.status()["vrrp"]["attached"] == true).then_some(()));
    assert_eq!(rig.status()["checks"][0]["standing"], "unknown");
    assert_eq!(rig.router()["eligibility"], "healthy");
    rig.advert(Stamp::now() + rig.setup.interval() * 10);
    assert!(rig.sent(restarted).iter().all(|it| it.advert.priority == 200));
}

/// DESIGN 3: what a daemon said lives for 15 s, and then counts as degraded, never as gone.
#[test]
fn without_a_daemon_the_last_verdict_counts_for_a_while() {
    let Some((mut rig, _server)) = alone(1, "100ms") else { return };
    rig.start();
    rig.until("healthy", |router| router["eligibility"] == "healthy");
    rig.active();
    let killed = Stamp::now();
    rig.end_daemon(Signal::SIGKILL);
    rig.advert_where(killed, |advert| advert.priority == 72);
    rig.has_vips(true);
}

#[test]
fn a_drain_outlives_the_daemon() {
    let Some((mut rig, _server)) = alone(1, "100ms") else { return };
    rig.start();
    rig.active();
    let ran = rig.mainstay(&["vip", "drain", "--force", "--timeout", "10ms"]).output().unwrap();
    assert!(ran.status.success(), "{ran:?}");
    rig.advert_where(Stamp::now(), |advert| advert.priority == 1);
    let killed = rig.kill();
    rig.start();
    rig.active();
    let sent = rig.sent(killed);
    assert!(!sent.is_empty() && sent.iter().all(|it| it.advert.priority == 1), "{sent:?}");
}
