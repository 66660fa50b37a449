//! The lab and its instruments, without any daemon: the VIP is moved by hand.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use lab::timeline::View;
use lab::{
    Daemon, Event, Families, Family, Interval, Kind, Lab, Node, Observer, Part, Preempt, Probe,
    Stamp,
};

const PATIENCE: Duration = Duration::from_secs(10);
const MILLISECOND: Duration = Duration::from_millis(1);

fn node(number: u8) -> Node {
    Node::new(number).unwrap()
}

fn give(lab: &Lab, node: Node, family: Family) {
    let vip = format!("{}/{}", family.vip(), family.bits());
    let mut command = vec!["ip", "address", "add", &vip, "dev", "eth0"];
    command.extend((family == Family::Ipv6).then_some("nodad"));
    lab.exec(node, &command).unwrap();
}

fn take(lab: &Lab, node: Node, family: Family) {
    let vip = format!("{}/{}", family.vip(), family.bits());
    lab.exec(node, &["ip", "address", "delete", &vip, "dev", "eth0"]).unwrap();
}

/// As after a gratuitous ARP.
fn forget_neighbour(lab: &Lab) {
    lab.exec("client", &["ip", "neighbour", "flush", "all"]).unwrap();
}

fn removed(observer: &Observer, node: Node) -> Option<Stamp> {
    observer.timeline().wait(Stamp::now() + PATIENCE, |view| {
        let gone = |event: &Event| *event == Event::Removed(node);
        view.events.iter().find(|timed| gone(&timed.event)).map(|timed| timed.at)
    })
}

fn a_vip_that_moves_is_seen(name: &str, family: Family) {
    let lab = Lab::up(name, 2).unwrap();
    give(&lab, node(1), family);
    let observer = Observer::start_for(&lab, family).unwrap();
    let probe = Probe::start_for(&lab, family, MILLISECOND, 3 * PATIENCE).unwrap();
    let by = |number| move |by: Node| by == node(number);
    assert!(probe.wait_served(Stamp::now() + PATIENCE, by(1)).is_some());

    let before = Stamp::now();
    take(&lab, node(1), family);
    give(&lab, node(2), family);
    forget_neighbour(&lab);
    assert!(probe.wait_served(Stamp::now() + PATIENCE, by(2)).is_some());
    let log = probe.stop().unwrap();
    let gone = removed(&observer, node(1)).unwrap();

    assert!(gone >= before);
    assert_eq!(observer.timeline().owners(), [node(2)].into());
    assert_eq!(lab.owners(family).unwrap(), [node(2)]);
    let last = log.samples().iter().filter_map(|sample| sample.answer);
    let last = last.filter(|&(_, by)| by == node(1)).map(|(at, _)| at).max().unwrap();
    assert!(last.millis_since(gone) < 1.0, "answered after the VIP was gone");
    assert!(log.first_answer(gone, by(2)).unwrap() > gone);
}

#[test]
fn a_vip_of_ipv4_that_moves_is_seen_by_watch_and_probe() {
    a_vip_that_moves_is_seen("labmove4", Family::Ipv4);
}

#[test]
fn a_vip_of_ipv6_that_moves_is_seen_by_watch_and_probe() {
    a_vip_that_moves_is_seen("labmove6", Family::Ipv6);
}

#[test]
fn a_frr_backup_keeps_its_addresses_but_does_not_own_them() {
    let lab = Lab::up("labfrr", 2).unwrap();
    let families = [Family::Ipv4, Family::Ipv6];
    let observers = families.map(|family| Observer::without_responders(&lab, family).unwrap());
    let daemon = Daemon {
        families: Families::Both,
        preempt: Preempt::Always,
        ..Daemon::new(Kind::Frr, Interval::from_millis(200))
    };
    let owned_by = |owner: Node| {
        for observer in &observers {
            let deadline = Stamp::now() + PATIENCE;
            let only = |view: &View| (view.owners == [owner].into()).then_some(());
            assert_eq!(observer.timeline().wait(deadline, only), Some(()), "{observer:?}");
        }
        for family in families {
            assert_eq!(lab.owners(family).unwrap(), [owner]);
        }
    };
    lab.start(&[node(2)], &daemon).unwrap();
    owned_by(node(2));
    lab.start(&[node(1)], &daemon).unwrap();
    owned_by(node(1));
    lab.stop(node(1)).unwrap();
    owned_by(node(2));
    lab.kill(node(2), Part::Child).unwrap();
    lab.clear().unwrap();
    assert_eq!(lab.owners(Family::Ipv4).unwrap(), []);
}

#[test]
fn links_are_cut_parted_and_healed() {
    let lab = Lab::up("lablink", 2).unwrap();
    let observer = Observer::start(&lab).unwrap();
    give(&lab, node(1), Family::Ipv4);
    let answered = |wanted: bool| {
        let probe = Probe::start(&lab, MILLISECOND, 3 * PATIENCE).unwrap();
        let patience = if wanted { PATIENCE } else { Duration::from_millis(200) };
        let served = probe.wait_served(Stamp::now() + patience, |_| true);
        probe.stop().unwrap();
        assert_eq!(served.is_some(), wanted);
    };
    answered(true);
    let troubles: [&dyn Fn() -> Result<Stamp, lab::LabError>; 5] = [
        &|| lab.cut(node(1)),
        &|| lab.cut_silently(node(1)),
        &|| lab.deafen(node(1)),
        &|| lab.mute(node(1)),
        &|| lab.partition(&["m1", "m2,client"]),
    ];
    for trouble in troubles {
        let before = Stamp::now();
        let at = trouble().unwrap();
        assert!(at >= before && at <= Stamp::now());
        answered(false);
        lab.heal().unwrap();
        answered(true);
    }
    drop(observer);
}

#[test]
fn a_lab_is_replaced_after_a_crash() {
    let crashed = Lab::up("labcrash", 1).unwrap();
    std::mem::forget(crashed);
    let lab = Lab::up("labcrash", 2).unwrap();
    assert_eq!(lab.nodes(), [node(1), node(2)]);
    drop(lab);
    assert!(Lab::attach("labcrash").is_err());
    assert!(!std::path::Path::new("/run/netns/labcrash-m1").exists());
}
