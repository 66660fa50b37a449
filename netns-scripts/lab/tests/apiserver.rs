//! The fake apiservers and their clients, without any daemon: the VIP is moved by hand.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use lab::{
    Answer, Apiservers, Endless, Family, Https, HttpsLog, Lab, Launcher, Node, Stamp, sleep_until,
};

const PATIENCE: Duration = Duration::from_secs(10);
const PERIOD: Duration = Duration::from_millis(10);
/// Enough for some requests.
const WHILE: Duration = Duration::from_millis(200);

fn node(number: u8) -> Node {
    Node::new(number).unwrap()
}

fn vip(lab: &Lab, node: Node, verb: &str) {
    let vip = format!("{}/32", Family::Ipv4.vip());
    lab.exec(node, &["ip", "address", verb, &vip, "dev", "eth0"]).unwrap();
    // As after a gratuitous ARP.
    lab.exec("client", &["ip", "neighbour", "flush", "all"]).unwrap();
}

fn serving(name: &str) -> (Lab, Apiservers) {
    let lab = Lab::up(name, 2).unwrap();
    let launcher = Launcher {
        program: env!("CARGO_BIN_EXE_mainstay-lab").into(),
        arguments: vec!["apiserver".into()],
    };
    let servers = Apiservers::start(&lab, launcher).unwrap();
    vip(&lab, node(1), "add");
    (lab, servers)
}

fn asked(lab: &Lab) -> HttpsLog {
    let client = Https::start(lab, Family::Ipv4, PERIOD, PATIENCE).unwrap();
    sleep_until(Stamp::now() + WHILE);
    client.stop().unwrap()
}

/// Whether all requests were answered by this router, or, if by none, all failed.
fn answers(log: &HttpsLog, by: Option<Node>) -> bool {
    !log.requests().is_empty() && log.requests().iter().all(|request| request.by() == by)
}

#[test]
fn the_client_sees_who_answers_and_that_nobody_does() {
    let (lab, servers) = serving("labapi");
    assert!(answers(&asked(&lab), Some(node(1))));
    vip(&lab, node(1), "delete");
    vip(&lab, node(2), "add");
    assert!(answers(&asked(&lab), Some(node(2))));
    servers.answer(node(2), Answer::Status(500)).unwrap();
    assert!(answers(&asked(&lab), None));
    servers.answer(node(2), Answer::OtherAuthority).unwrap();
    assert!(answers(&asked(&lab), None));
    servers.freeze(node(2)).unwrap();
    assert!(answers(&asked(&lab), None));
    servers.revive(node(2)).unwrap();
    assert!(answers(&asked(&lab), Some(node(2))));
    servers.kill(node(2)).unwrap();
    assert!(answers(&asked(&lab), None));
    assert!(!servers.is_running(node(2)));
    servers.revive(node(2)).unwrap();
    assert!(answers(&asked(&lab), Some(node(2))));
}

#[test]
fn a_connection_lasts_until_its_server_dies() {
    let (lab, servers) = serving("labend");
    let connection = Endless::start(&lab, Family::Ipv4).unwrap();
    assert_eq!(connection.by(), node(1));
    assert_eq!(connection.wait_ended(Stamp::now() + WHILE), None);
    let killed = servers.kill(node(1)).unwrap();
    let (ended, _) = connection.wait_ended(killed + PATIENCE).unwrap();
    assert!(ended > killed);
}
