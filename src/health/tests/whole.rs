//! All of it: from a server's death to the verdict.

use std::collections::BTreeSet;
use std::time::Instant;

use nix::sys::signal::Signal;
use tokio::time::timeout;

use super::authority::Authority;
use super::server::{Manner, Server, answer, ok};
use super::victim::Victim;
use super::*;
use crate::health::{CheckStatus, Health, News, Standing, Verdict};

/// The text of a check.
fn section(name: &str, keys: &str) -> String {
    format!("[[check]]\nname = \"{name}\"\n{keys}\n")
}

fn http(name: &str, port: u16, keys: &str) -> String {
    section(name, &format!("http = \"http://127.0.0.1:{port}/readyz\"\n{keys}"))
}

async fn verdict(health: &mut Health) -> Verdict {
    let News::Verdict(verdict) = timeout(PATIENCE, health.news()).await.expect("news");
    verdict
}

/// The checks of a node that holds nothing.
fn start(text: &str) -> Health {
    let health = Health::start(&checks(text)).unwrap();
    health.set_holder(BTreeSet::new());
    health
}

/// The next verdict, which is this one.
async fn expect(health: &mut Health, standing: Standing, reason: &str) {
    let verdict = verdict(health).await;
    assert!(verdict.standing == standing && verdict.reason.contains(reason), "{verdict:?}");
}

/// Waits until the state of the check is so.
async fn until(health: &Health, name: &str, is_so: impl Fn(&CheckStatus) -> bool) -> CheckStatus {
    let waits = timeout(PATIENCE, async {
        loop {
            let found = health.statuses().into_iter().find(|it| it.name == name);
            if let Some(status) = found.filter(|it| is_so(it)) {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    waits.await.unwrap_or_else(|_| panic!("{:?}", health.statuses()))
}

#[tokio::test]
async fn a_server_is_healthy_and_dies_and_returns() {
    let server = Server::start(None, ok()).await;
    let keys = "interval = \"20ms\"";
    let mut health = start(&http("api", server.port, keys));
    expect(&mut health, Standing::Healthy, "HTTP 200").await;
    server.behave(Manner::Say(answer("500 Oops", "[-]etcd failed")));
    expect(&mut health, Standing::Sick, "HTTP 500: etcd failed, 3 times in a row").await;
    server.behave(Manner::Say(answer("401 Unauthorized", "")));
    let warned = verdict(&mut health).await;
    assert!(warned.standing == Standing::Healthy && warned.warning.is_some(), "{warned:?}");
    assert_eq!(warned.reason, "HTTP 401");
    server.behave(ok());
    let well = verdict(&mut health).await;
    assert!(well.standing == Standing::Healthy && well.warning.is_none(), "{well:?}");
    server.stop().await;
    expect(&mut health, Standing::Sick, "connection refused by 127.0.0.1").await;
    let status = until(&health, "api", |it| it.samples.refused > 0).await;
    assert_eq!((status.kind.as_str(), status.flaps, status.holder), ("http", 2, false));
    assert!(status.held_until.is_some() && status.latency.is_some());
    let counted = status.samples.pass + status.samples.warn;
    assert_eq!(status.latency_histogram.count(), counted);
    let json = serde_json::to_string(&status).unwrap();
    assert_eq!(serde_json::from_str::<CheckStatus>(&json).unwrap(), status);
}

/// Prints how long it takes from SIGKILL of the server to the verdict.
#[tokio::test]
async fn a_killed_server_is_sick_at_once() {
    let directory = Directory::new();
    let authority = Authority::new();
    let certified = authority.issue(&["127.0.0.1"]);
    let ca = directory.write("ca", &authority.pem());
    directory.write("cert", &certified.cert);
    directory.write("key", &certified.key);
    let mut took = Vec::new();
    for _ in 0..10 {
        let victim = Victim::start(&directory);
        let url = format!("https://127.0.0.1:{}/readyz", victim.port);
        let keys = format!("https = \"{url}\"\nca = {ca:?}\nrise = 1\ninterval = \"30s\"");
        let mut health = start(&section("api", &keys));
        expect(&mut health, Standing::Healthy, "HTTP 200").await;
        let killed = Instant::now();
        victim.signal(Signal::SIGKILL);
        let verdict = verdict(&mut health).await;
        took.push(killed.elapsed());
        let words = ["connection refused by 127.0.0.1", ") has died"];
        let is_told = words.iter().any(|it| verdict.reason.contains(it));
        assert!(verdict.standing == Standing::Sick && is_told, "{verdict:?}");
    }
    took.sort();
    println!("from SIGKILL to the verdict: {took:?}");
}

#[tokio::test]
async fn a_stopped_server_is_sick_after_its_timeouts_and_later_on_the_holder() {
    let directory = Directory::new();
    let victim = Victim::start(&directory);
    let keys = "interval = \"100ms\"\ntimeout = \"100ms\"\nfall = 2\nrise = 1";
    let sections = ["other", "holder"].map(|name| http(name, victim.port, keys)).concat();
    let mut health = start(&sections);
    health.set_holder(BTreeSet::from(["holder".to_owned()]));
    for _ in 0..2 {
        expect(&mut health, Standing::Healthy, "HTTP 200").await;
    }
    victim.signal(Signal::SIGSTOP);
    for (check, times) in [("other", 2), ("holder", 4)] {
        let verdict = verdict(&mut health).await;
        let words = format!("did not answer, {times} times in a row");
        assert!(verdict.check == check && verdict.reason.ends_with(&words), "{verdict:?}");
    }
    victim.signal(Signal::SIGCONT);
    for _ in 0..2 {
        expect(&mut health, Standing::Healthy, "HTTP 200").await;
    }
}

#[tokio::test]
async fn a_peer_in_need_is_a_reason_to_look_at_once() {
    let server = Server::start(None, ok()).await;
    let keys = "interval = \"30s\"\nrise = 1";
    let mut health = start(&http("api", server.port, keys));
    expect(&mut health, Standing::Healthy, "HTTP 200").await;
    server.behave(Manner::Say(answer("500 Oops", "")));
    health.probe_now();
    expect(&mut health, Standing::Sick, "as the Active is degraded").await;
    server.behave(ok());
    health.probe_now();
    expect(&mut health, Standing::Healthy, "HTTP 200").await;
    // The holder is not in a hurry to be sick.
    health.set_holder(BTreeSet::from(["api".to_owned()]));
    server.behave(Manner::Say(answer("500 Oops", "")));
    health.probe_now();
    let status = until(&health, "api", |it| it.samples.fail == 2).await;
    assert_eq!((status.standing, status.holder), (Standing::Healthy, true));
}

#[tokio::test]
async fn a_server_that_closes_what_is_idle_is_not_stormed() {
    let closes = Manner::SayAndClose(answer("200 OK", "ok"));
    let server = Server::start(None, closes).await;
    let keys = "interval = \"200ms\"";
    let health = start(&http("api", server.port, keys));
    until(&health, "api", |it| it.samples.pass >= 10).await;
    // Each 200 ms, and a few at first.
    let (accepted, pass) = (server.accepted(), health.statuses()[0].samples.pass);
    println!("{accepted} connections, {pass} samples");
    assert_eq!(health.statuses()[0].standing, Standing::Healthy);
}

#[tokio::test]
async fn checks_that_stay_keep_what_they_know() {
    let server = Server::start(None, ok()).await;
    let keys = "interval = \"20ms\"";
    let a = http("a", server.port, keys);
    let mut health = start(&a);
    expect(&mut health, Standing::Healthy, "HTTP 200").await;
    let known = until(&health, "a", |it| it.samples.pass > 2).await;
    let b = http("b", server.port, keys);
    health.reconfigure(&checks(&(a.clone() + &b)));
    let new = verdict(&mut health).await;
    assert_eq!((new.check.as_str(), new.standing), ("b", Standing::Healthy));
    let status = until(&health, "a", |it| it.samples.pass > known.samples.pass).await;
    assert_eq!(status.since, known.since);
    // Changed: it believes what it did until it sees otherwise.
    let changed = http("a", server.port, "interval = \"10ms\"\nfall = 1");
    health.reconfigure(&checks(&(changed + &b)));
    let status = until(&health, "a", |it| it.samples.pass > status.samples.pass + 2).await;
    assert_eq!((status.standing, status.since), (Standing::Healthy, known.since));
    health.reconfigure(&checks(&b));
    until(&health, "b", |_| true).await;
    let waits = timeout(PATIENCE, async {
        while health.statuses().len() != 1 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    assert!(waits.await.is_ok());
}

#[tokio::test]
async fn a_check_that_hangs_keeps_no_other_waiting_nor_the_end() {
    let server = Server::start(None, ok()).await;
    let silent = Server::start(None, Manner::Silence).await;
    let hangs = http("hangs", silent.port, "timeout = \"60m\"");
    let keys = "interval = \"10ms\"";
    let mut health = start(&(hangs + &http("api", server.port, keys)));
    expect(&mut health, Standing::Healthy, "HTTP 200").await;
    until(&health, "api", |it| it.samples.pass > 20).await;
    let status = until(&health, "hangs", |_| true).await;
    assert_eq!(status.standing, Standing::Unknown);
    drop(health);
}

#[tokio::test]
async fn who_may_be_the_holder_is_as_tolerant_as_the_holder_from_the_start() {
    let server = Server::start(None, Manner::Say(answer("500 Oops", ""))).await;
    let keys = "interval = \"20ms\"\nfall = 1\nholder_fall = 4";
    let mut health = Health::start(&checks(&http("api", server.port, keys))).unwrap();
    expect(&mut health, Standing::Sick, "HTTP 500, 4 times in a row").await;
}
