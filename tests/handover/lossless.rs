//! Moves of the VIP that no client notices: a probe each millisecond, and none of them lost.

use std::io::Write;
use std::time::Duration;

use lab::{Node, Probe, Stamp};

use crate::support::{M1, M2, Net, PATIENCE, mainstay, preempting};

/// A machine that is busy with other tests may delay a successor by more than the address lingers.
/// What is lost each time is not the machine's doing.
const ATTEMPTS: usize = 6;
/// How long the probe goes on once the VIP has moved.
const AFTER: Duration = Duration::from_millis(300);

/// Moves the VIP to and fro, `moving` it from the first node to the second, until a move loses no
/// probe. `back` makes the first node fit to be moved to.
fn moves_without_loss(net: &Net, moving: impl Fn(Node, Node), back: impl Fn(Node)) {
    let mut told = Vec::new();
    for attempt in 0..ATTEMPTS {
        let (from, to) = if attempt % 2 == 0 { (M1, M2) } else { (M2, M1) };
        let probe = Probe::start(net.lab(), Duration::from_millis(1), PATIENCE * 2).unwrap();
        assert_eq!(probe.wait_served(Stamp::now() + PATIENCE, |by| by == from), Some(from));
        let start = Stamp::now();
        moving(from, to);
        net.owned_by(to);
        assert_eq!(probe.wait_served(Stamp::now() + PATIENCE, |by| by == to), Some(to));
        lab::sleep_until(Stamp::now() + AFTER);
        let end = Stamp::now();
        let log = probe.stop().unwrap();
        let (lost, silence) = (log.lost(start, end), log.silence(start, end));
        told.push(format!("{from} to {to}: {lost} lost, silent for {silence:?} at most"));
        back(from);
        if lost == 0 {
            let _ = writeln!(std::io::stderr(), "{}", told.join("; "));
            return;
        }
    }
    panic!("each move lost something: {}", told.join("; "));
}

#[test]
fn a_drain_loses_no_probe() {
    let Some(net) = Net::settled(2, &mainstay()) else { return };
    moves_without_loss(
        &net,
        |from, _| {
            let ran = net.mainstay(from, &["vip", "drain"]);
            assert_eq!(ran.code, Some(0), "{ran:?}");
        },
        |from| {
            let ran = net.mainstay(from, &["vip", "undrain"]);
            assert_eq!(ran.code, Some(0), "{ran:?}");
            net.router_until(from, "healthy", |router| router["eligibility"] == "healthy");
        },
    );
}

#[test]
fn an_orderly_stop_loses_no_probe() {
    let Some(net) = Net::settled(2, &mainstay()) else { return };
    moves_without_loss(
        &net,
        |from, _| {
            net.lab().stop(from).unwrap();
        },
        |from| {
            net.start(&[from], &mainstay());
            net.state(from, "Backup");
        },
    );
}

/// With `preempt = "always"` another priority moves the VIP, and nothing is lost by it.
#[test]
fn another_priority_loses_no_probe() {
    let Some(net) = Net::settled(2, &preempting()) else { return };
    for node in [M1, M2] {
        net.reconfigure(node, |text| {
            text.replace("vrid = 51", "vrid = 51\npriority = { m1 = 200, m2 = 190 }")
        });
    }
    let swap = |from: Node| {
        let (low, high) = if from == M1 { ("m1", "m2") } else { ("m2", "m1") };
        let priorities = format!("priority = {{ {low} = 180, {high} = 200 }}");
        for node in [M1, M2] {
            net.reconfigure(node, |text| {
                let other = |line: &str| {
                    if line.starts_with("priority = {") { priorities.clone() } else { line.into() }
                };
                text.lines().map(|line| other(line) + "\n").collect()
            });
        }
    };
    moves_without_loss(&net, |from, _| swap(from), |_| {});
}
