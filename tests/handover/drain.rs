//! `vip drain` and `vip undrain` as an operator sees them.

use lab::{Part, Stamp};
use serde_json::Value;

use crate::support::{M1, M2, Net, Ran, mainstay, poll, preempting};

fn drain(net: &Net, arguments: &[&str]) -> Ran {
    net.mainstay(M1, &[&["vip", "drain"], arguments].concat())
}

fn undrain(net: &Net) -> Ran {
    net.mainstay(M1, &["vip", "undrain"])
}

fn parsed(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
}

/// m1 is drained, as its status says; that it is.
fn drained(net: &Net) -> Value {
    net.router_until(M1, "drained", |router| {
        router["eligibility"] == "drained" && router["drained"]["since"].is_string()
    })
}

#[test]
fn a_drained_active_advertises_priority_1_until_another_is_active_and_stays_away() {
    let Some(net) = Net::settled(2, &mainstay()) else { return };
    let asked = Stamp::now();
    let ran = drain(&net, &[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(
        lines[0],
        "apiserver: advertising priority 1; waiting up to 5s for another router to take over"
    );
    assert!(lines[1].starts_with("apiserver: drained; m2 (priority 244) is Active after"));
    net.advert(M1, asked, |advert| advert.priority == 1);
    assert!(!net.gave_up(M1, asked));
    net.owned_by(M2);
    let taken = net.event_where(M2, "transition", |event| event["detail"]["to"] == "Active");
    assert_eq!(taken["detail"]["cause_code"], "active_degraded");

    let router = drained(&net);
    assert_eq!(router["effective_priority"], 1);
    assert_eq!(router["state"], "Backup");
    assert!(router["drained"]["by"].is_string());
    let text = net.mainstay(M1, &["status"]).stdout;
    assert!(text.contains("`mainstay vip undrain` ends it"), "{text}");
    for code in ["draining", "drained"] {
        assert_eq!(net.event(M1, code)["router"], "apiserver");
    }

    // Nothing moves when it takes part again: equals stay where they are.
    let back = Stamp::now();
    let ran = undrain(&net);
    assert_eq!(ran.stdout, "apiserver: takes part again\n", "{ran:?}");
    let router = net.router_until(M1, "healthy", |router| router["eligibility"] == "healthy");
    assert_eq!(router["effective_priority"], 254);
    assert!(router["drained"].is_null());
    net.event(M1, "undrained");
    net.unmoved(M2, back);
    assert_eq!(undrain(&net).stdout, "apiserver: was not drained\n");
}

#[test]
fn a_drain_that_nobody_takes_over_from_keeps_the_vip_and_is_refused() {
    let Some(net) = Net::settled(1, &mainstay()) else { return };
    let start = Stamp::now();
    let ran = drain(&net, &["--timeout", "500ms"]);
    assert_eq!(ran.code, Some(5), "{ran:?}");
    assert!(ran.stderr.contains("within 500ms: the VIP stays here and the drain is undone"));
    net.advert(M1, start, |advert| advert.priority == 1);
    let undone = net.router_until(M1, "healthy", |router| router["eligibility"] == "healthy");
    assert!(undone["drained"].is_null());
    net.event(M1, "drain_refused");
    net.advert(M1, Stamp::now(), |advert| advert.priority == 254);
    net.unmoved(M1, start);

    let ran = drain(&net, &["--timeout", "100ms", "-o", "json"]);
    assert_eq!(ran.code, Some(5), "{ran:?}");
    assert_eq!(parsed(&ran)["virtual_routers"][0]["outcome"], "refused");
}

#[test]
fn a_drain_by_force_stays_in_force_and_the_next_router_takes_over() {
    let Some(net) = Net::settled(1, &mainstay()) else { return };
    let start = Stamp::now();
    let ran = drain(&net, &["--timeout", "100ms", "--force"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains("drained all the same; the VIP stays here"), "{ran:?}");
    drained(&net);
    let status = net.status(M1);
    assert!(status["warnings"].to_string().contains("Active until another router takes over"));
    net.unmoved(M1, start);
    // Without force there is nothing to be undone but this second drain.
    assert_eq!(drain(&net, &["--timeout", "100ms"]).code, Some(5));
    drained(&net);
    net.advert(M1, Stamp::now(), |advert| advert.priority == 1);
}

#[test]
fn a_backup_is_drained_at_once_and_a_second_time_is_the_same() {
    let Some(net) = Net::settled(2, &mainstay()) else { return };
    let start = Stamp::now();
    let of_m2 = |arguments: &[&str]| net.mainstay(M2, &[&["vip", "drain"], arguments].concat());
    let ran = of_m2(&["-o", "json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(parsed(&ran)["virtual_routers"][0]["outcome"], "drained");
    let ran = of_m2(&[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.starts_with("apiserver: drained already, since"), "{ran:?}");
    assert_eq!(of_m2(&["--router", "ingress"]).code, Some(5));
    // It takes over from nobody who lives.
    assert_eq!(drain(&net, &["--timeout", "1s"]).code, Some(5));
    net.unmoved(M1, start);
}

#[test]
fn a_drain_is_kept_over_restarts_of_the_daemon_and_of_all() {
    let Some(net) = Net::settled(2, &preempting()) else { return };
    assert_eq!(drain(&net, &[]).code, Some(0));
    net.owned_by(M2);
    let since = drained(&net)["drained"]["since"].clone();
    for part in [Part::Parent, Part::Both] {
        let killed = net.lab().kill(M1, part).unwrap();
        let pids = || net.lab().pids(M1).unwrap();
        poll("the end of the daemon", || pids().parent.is_none().then_some(()));
        net.start(&[M1], &preempting());
        net.state(M1, "Backup");
        assert_eq!(drained(&net)["drained"]["since"], since);
        // With its own priority it would take over.
        net.unmoved(M2, killed);
        assert_eq!(net.sent(M1, killed), 0);
    }
    assert_eq!(undrain(&net).code, Some(0));
    net.owned_by(M1);
}

#[test]
fn marks_that_cannot_be_read_are_moved_aside_and_told_of() {
    let Some(net) = Net::settled(2, &mainstay()) else { return };
    assert_eq!(drain(&net, &[]).code, Some(0));
    net.lab().stop(M1).unwrap();
    let file = net.lab().directory(M1).join("state/drained.json");
    assert!(file.exists());
    std::fs::write(&file, "{\"routers\": {\"api").unwrap();
    net.start(&[M1], &mainstay());
    let corrupt = net.event(M1, "state_corrupt");
    assert!(corrupt["what"].as_str().unwrap().contains("drained.json.corrupt-1"), "{corrupt}");
    net.router_until(M1, "healthy", |router| router["eligibility"] == "healthy");
    assert!(file.with_extension("json.corrupt-1").exists());
}

#[test]
fn with_preempt_never_a_drain_says_what_to_do_instead() {
    let never = lab::Daemon { preempt: lab::Preempt::Never, ..mainstay() };
    let Some(net) = Net::settled(2, &never) else { return };
    let ran = drain(&net, &[]);
    assert_eq!(ran.code, Some(5), "{ran:?}");
    assert!(ran.stderr.contains("stop mainstay on this node instead"), "{ran:?}");
    // Which waits for nobody: priority 0 is what others take over from.
    let stopped = Stamp::now();
    net.lab().stop(M1).unwrap();
    net.advert(M1, stopped, |advert| advert.priority == 0);
    net.owned_by(M2);
}

#[test]
fn an_undrain_ends_a_drain_that_waits() {
    let Some(net) = Net::settled(1, &mainstay()) else { return };
    let waiting = net.command(M1, &["vip", "drain", "--timeout", "1m"]);
    let waiting = { waiting }.stderr(std::process::Stdio::piped()).spawn().unwrap();
    poll("the drain", || net.events(M1).into_iter().find(|event| event["code"] == "draining"));
    assert_eq!(undrain(&net).code, Some(0));
    let ran = waiting.wait_with_output().unwrap();
    assert_eq!(ran.status.code(), Some(5));
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(said.contains("taken back by `mainstay vip undrain`"), "{said}");
    net.router_until(M1, "healthy", |router| router["eligibility"] == "healthy");
}
