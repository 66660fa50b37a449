//! Names that have to be resolved.

use std::net::UdpSocket;

use super::server::{Server, ok};
use super::*;
use crate::health::sample::Outcome;

#[tokio::test]
async fn a_name_is_resolved_and_each_of_its_addresses_tried() {
    // Most systems have ::1 for it too, where nobody listens.
    let server = Server::start(None, ok()).await;
    let sample = probe(&format!("http = \"http://localhost:{}/\"", server.port)).await;
    assert_eq!(sample.outcome, Outcome::Pass, "{sample:?}");
    assert!(sample.latency.resolve_us.is_some());
}

#[test]
fn a_name_that_does_not_exist_is_a_failure() {
    // In a namespace without a way to any name server.
    in_namespace(|| async {
        let sample = probe("tcp = \"no.such.name.invalid:1\"\ntimeout = \"15s\"").await;
        assert_eq!(sample.outcome, Outcome::Fail, "{sample:?}");
        assert!(sample.words.contains("no.such.name.invalid cannot be resolved"), "{sample:?}");
    });
}

#[test]
fn name_resolution_that_never_answers_delays_no_other_check() {
    in_namespace(|| async {
        let directory = Directory::new();
        let silent = UdpSocket::bind("127.0.0.1:53").unwrap();
        let resolv = directory.write("resolv.conf", "nameserver 127.0.0.1\n");
        let nsswitch = directory.write("nsswitch.conf", "hosts: files dns\n");
        run(&format!("mount --bind {} /etc/resolv.conf", resolv.display()));
        if Path::new("/etc/nsswitch.conf").exists() {
            run(&format!("mount --bind {} /etc/nsswitch.conf", nsswitch.display()));
        }
        let server = Server::start(None, ok()).await;
        let good = check(&format!("http = \"http://127.0.0.1:{}/\"", server.port));
        let mut stuck = prober("tcp = \"stuck.example:1\"");
        let mut good = Prober::new(&good);
        for _ in 0..2 {
            let waits = stuck.probe(Duration::from_millis(300));
            let (stuck, good) = tokio::join!(waits, good.probe(PATIENCE));
            assert_eq!(good.outcome, Outcome::Pass, "{good:?}");
            assert_eq!(stuck.outcome, Outcome::Timeout, "{stuck:?}");
            assert!(stuck.words.ends_with("the name was not resolved"), "{stuck:?}");
        }
        // The question was asked, and only once.
        let mut bytes = [0; 512];
        silent.recv(&mut bytes).unwrap();
    });
}
