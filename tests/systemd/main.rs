//! mainstay's unit under a real systemd, booted in a container: by itself on one end of a cable, and as a master
//! with docker, etcd and kubelet beneath it.
//!
//! The root that is booted is made by `netns-scripts/systemd-root.sh`, where debootstrap and systemd-nspawn are.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod container;
mod master;
mod peer;
#[path = "../rig/mod.rs"]
mod rig;
#[path = "../support/mod.rs"]
mod support;
mod units;

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use lab::inject::echo_request;
use lab::{Direction, Ethernet, Seen, Stamp};

use container::Container;
use rig::{NODE_MAC, PEER_MAC, Rig, Setup, V4, poll, regular};

const BINARY: &str = env!("CARGO_BIN_EXE_mainstay");
const UNIT: &str = include_str!("../../packaging/mainstay.service");

/// Where the root is, if there is one.
fn root() -> Option<PathBuf> {
    let missing = |why: &String| {
        // Not eprintln!, which the test harness keeps to itself.
        let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
    };
    lab::machine::root().inspect_err(missing).ok()
}

/// A peer that asks the virtual address again and again.
fn ping(rig: &Rig) -> Vec<u8> {
    let to = Ethernet { source: PEER_MAC, destination: NODE_MAC };
    echo_request(to, rig.setup.variant.smaller(), rig.setup.vips[0])
}

/// How many were asked and answered since then.
fn probes(rig: &Rig, since: Stamp) -> (usize, usize) {
    let is_icmp =
        |seen: &&Seen| seen.bytes.get(12..14) == Some(&[8, 0]) && seen.bytes.get(23) == Some(&1);
    let frames = rig.frames(since);
    let of = |direction| {
        frames.iter().filter(is_icmp).filter(|seen| seen.direction == direction).count()
    };
    (of(Direction::Out), of(Direction::In))
}

/// All adverts since then followed each other by the interval, and nobody gave up.
fn undisturbed(rig: &Rig, since: Stamp) {
    let sent = rig.sent(since);
    assert!(sent.iter().all(|it| it.advert.priority == 200));
    let times: Vec<Stamp> = sent.iter().map(|it| it.at).collect();
    regular(&times, rig.setup.interval());
    assert!(times.len() > 3);
}

#[test]
fn the_unit_is_started_restarted_reloaded_stopped_watched_and_fenced() {
    let (Some(root), true) = (root(), rig::allowed()) else { return };
    let peer = V4.smaller();
    let mut rig = Setup {
        interval: 200,
        // What is removed is removed by the fence.
        lines: "lease = \"off\"".into(),
        before: format!("ip neighbour add {peer} lladdr {PEER_MAC} nud permanent dev eth0"),
        ..V4.setup()
    }
    .cable();
    let container = Container::boot(&root, &rig);

    // Start.
    container.systemctl("enable mainstay");
    container.systemctl("start mainstay");
    assert_eq!(container.systemctl("is-active mainstay").trim(), "active");
    let first = rig.advert(Stamp::from_nanos(0));
    assert_eq!(first.advert.priority, 200);
    rig.has_vips(true);
    let vrrp = container.vrrp_pid();
    let daemon = container.main_pid();

    // The journal has each event once, with its fields.
    let taken = "journalctl -b -u mainstay -o cat MAINSTAY_EVENT=transition MAINSTAY_TO=Active";
    let message = "vr: Backup -> Active: no Active was heard\n";
    poll("the event in the journal", || (container.run(taken) == message).then_some(()));
    let whole = container.run("journalctl -b -u mainstay -o cat");
    assert_eq!(whole.matches("no Active was heard").count(), 1, "{whole}");
    let fields = container.run(&format!("{taken} -o verbose"));
    for field in
        ["MAINSTAY_ROUTER=vr", "MAINSTAY_CAUSE=active_down", "PRIORITY=6", "MAINSTAY_BECAUSE="]
    {
        assert!(fields.contains(field), "{field} is missing in:\n{fields}");
    }

    // Restart: a new daemon, the same VRRP process, and the client notices nothing.
    let pings = rig::Feed::start(rig.injector(), vec![ping(&rig)], Duration::from_millis(5));
    let start = rig.advert(Stamp::now()).at;
    for _ in 0..2 {
        container.systemctl("restart mainstay");
    }
    rig.advert(Stamp::now() + rig.setup.interval() * 2);
    pings.end();
    poll("every probe to be answered", || {
        let (asked, answered) = probes(&rig, start);
        (asked > 50 && answered >= asked).then_some(())
    });
    undisturbed(&rig, start);
    assert_eq!(container.vrrp_pid(), vrrp);
    assert_ne!(container.main_pid(), daemon);

    // Reload: what is wrong is refused and changes nothing.
    container.configure(&rig.setup.toml().replace("vrid = 51", "vrid = 256"));
    assert!(container.try_systemctl("reload mainstay").is_err());
    rig.setup.interval = 250;
    container.configure(&rig.setup.toml());
    container.systemctl("reload mainstay");
    let changed = Stamp::now();
    let slower = rig.advert_where(changed, |advert| advert.interval == 25);
    rig.advert(slower.at + rig.setup.interval() * 5);
    undisturbed(&rig, slower.at);

    // A daemon that hangs is killed by the watchdog; the VRRP process is not.
    let daemon = container.main_pid();
    let start = rig.advert(Stamp::now()).at;
    container.run(&format!("kill -STOP {daemon}"));
    poll("another daemon", || {
        let now = container.main_pid();
        (now != daemon && now != "0").then_some(())
    });
    poll("the unit to be up", || container.try_systemctl("is-active mainstay").ok());
    rig.advert(Stamp::now() + rig.setup.interval() * 2);
    undisturbed(&rig, start);
    assert_eq!(container.vrrp_pid(), vrrp);

    // Both killed: ExecStopPost fences, and the unit starts again.
    let killed = Stamp::now();
    container.run(&format!("kill -KILL {} {vrrp}", container.main_pid()));
    let farewell = rig.advert_where(killed, |advert| advert.priority == 0);
    let again = rig.advert_where(farewell.at, |advert| advert.priority == 200);
    assert!(again.at - killed > rig.setup.active_down(rig.setup.interval()));
    rig.has_vips(true);
    assert_ne!(container.vrrp_pid(), vrrp);

    // Stop.
    let stopped = Stamp::now();
    container.systemctl("stop mainstay");
    rig.has_vips(false);
    let sent = rig.sent(stopped);
    assert_eq!(sent.iter().filter(|it| it.advert.priority == 0).count(), 1);
    assert_eq!(sent.last().unwrap().advert.priority, 0);
    assert!(container.try_run("pgrep -x mainstay || pidof mainstay").is_err());
}
