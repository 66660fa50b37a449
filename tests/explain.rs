//! What `mainstay explain` and `mainstay events` tell of real moves, on each node, over restarts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use lab::{Node, Part};
use serde_json::Value;
use support::{M1, M2, M3, Net, mainstay, poll};

/// The explanation of the first virtual router.
fn explained(net: &Net, node: Node) -> Value {
    let ran = net.mainstay(node, &["explain", "-o", "json"]);
    let mut value: Value = serde_json::from_str(&ran.stdout).unwrap_or_default();
    value.pointer_mut("/virtual_routers/0").map(Value::take).unwrap_or_default()
}

/// Waits for an explanation that `wanted` accepts.
#[track_caller]
fn until(net: &Net, node: Node, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    poll(&format!("{node} to explain {what}"), || Some(explained(net, node)).filter(&wanted))
}

/// The text.
fn text(net: &Net, node: Node) -> String {
    let ran = net.mainstay(node, &["explain"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran.stdout
}

fn chain(explained: &Value) -> Vec<String> {
    let links = explained["last_move"]["causes"].as_array().cloned().unwrap_or_default();
    links.iter().map(|link| link["what"].as_str().unwrap().to_owned()).collect()
}

/// The command for the daemon of `node`, with all that names it.
fn offline(net: &Net, node: Node, arguments: &[&str]) -> std::process::Output {
    let directory = net.lab().directory(node);
    let mut command = net.command(node, arguments);
    command.arg("--config").arg(directory.join("mainstay.toml"));
    command.arg("--state-dir").arg(directory.join("state"));
    command.args(["--node", &node.to_string()]);
    command.output().unwrap()
}

#[test]
fn each_node_explains_a_takeover_from_its_own_side() {
    let Some(net) = Net::settled(3, &mainstay()) else { return };
    let before = explained(&net, M1);
    assert_eq!(before["holder"]["node"], "m1");
    assert!(before["place"].as_str().unwrap().ends_with("is here, on m1"), "{before}");
    assert_eq!(before["last_move"]["to"], "m1");

    net.lab().kill(M1, Part::Child).unwrap();
    net.owned_by(M2);
    let here = until(&net, M2, "the takeover", |it| it["last_move"]["to"] == "m2");
    assert_eq!(chain(&here)[0], "the Active m1 gave up");
    assert_eq!(here["last_move"]["hint"], "why m1 gave up: `mainstay explain` on m1");
    assert_eq!(here["is_since_exact"], true);

    // The guard of m1 told the peers; m1 itself knows why.
    let there = until(&net, M1, "the loss", |it| it["last_move"]["to"] == "m2");
    assert_eq!(there["last_move"]["from"], "m1");
    let causes = chain(&there);
    assert!(causes.iter().any(|it| it.contains("the VRRP process died")), "{causes:?}");

    // m3 has only listened.
    let seen = until(&net, M3, "the move", |it| it["last_move"]["to"] == "m2");
    assert_eq!((&seen["last_move"]["from"], &seen["state"]), (&"m1".into(), &"Backup".into()));

    let text = text(&net, M2);
    for part in
        ["is here, on m2, for", "last move   m1 -> m2, ", "would move  ", "wrong       nothing"]
    {
        assert!(text.contains(part), "`{part}` is missing in:\n{text}");
    }
}

#[test]
fn every_change_of_state_has_a_chain_and_both_times() {
    let Some(net) = Net::settled(2, &mainstay()) else { return };
    net.lab().kill(M1, Part::Child).unwrap();
    net.owned_by(M2);
    net.backup_of(M1, M2);
    for node in [M1, M2] {
        let mut last = 0;
        for event in net.events(node) {
            let monotonic = event["monotonic"].as_u64().unwrap();
            assert!(monotonic > 0, "{event}");
            if event["code"] == "transition" {
                assert_eq!(event["causes"][0]["what"], event["why"], "{event}");
                assert!(monotonic >= last, "{event}");
                last = monotonic;
            }
        }
        assert!(last > 0, "{node} has changed state");
    }
    // A start is told of with what led to it.
    net.event_where(M1, "transition", |it| {
        it["why"] == "started" && it["causes"].to_string().contains("killed by signal 9")
    });
}

#[test]
fn what_happened_outlives_the_daemon() {
    let Some(net) = Net::settled(2, &mainstay()) else { return };
    let before = explained(&net, M1);
    let taken = net.event_where(M1, "transition", |event| event["detail"]["to"] == "Active");
    // Not the last one may be on its way to the disk.
    let file = net.lab().directory(M1).join("state/events.jsonl");
    poll("the file", || {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        text.contains(&format!("\"seq\":{},", taken["seq"])).then_some(())
    });
    net.lab().kill(M1, Part::Parent).unwrap();
    poll("the end of the daemon", || net.lab().pids(M1).unwrap().parent.is_none().then_some(()));

    // Nobody answers: the file does.
    let output = offline(&net, M1, &["explain"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(4), "{text}");
    assert!(text.contains("last move   to m1, "), "{text}");
    assert!(text.contains("mainstay does not run"), "{text}");

    net.start(&[M1], &mainstay());
    let after = until(&net, M1, "what was before", |it| it["state"] == "Active");
    assert_eq!(after["last_move"], before["last_move"]);
    assert_eq!(after["since"], before["since"]);
    assert_eq!(net.event_where(M1, "transition", |it| it["seq"] == taken["seq"]), taken);
    let started = net.event_where(M1, "daemon_started", |it| it["why"].is_string());
    assert!(started["why"].as_str().unwrap().contains("without a word"), "{started}");
    let numbers: Vec<u64> = net.events(M1).iter().map(|it| it["seq"].as_u64().unwrap()).collect();
    assert!(numbers.is_sorted(), "{numbers:?}");
}

#[test]
fn a_state_directory_that_cannot_be_written_harms_nobody_and_is_told_of() {
    let Some(net) = Net::up(2) else { return };
    // A directory in the place of the file: root may write anywhere else.
    let state = net.lab().directory(M1).join("state");
    std::fs::create_dir_all(state.join("events.jsonl")).unwrap();
    net.start(&[M1, M2], &mainstay());
    net.owned_by(M1);
    net.backup_of(M2, M1);
    let told = |status: &Value| status["warnings"].to_string().contains("not written to disk");
    poll("the warning", || Some(net.status(M1)).filter(told));
    let ran = net.mainstay(M1, &["explain"]);
    assert!(ran.stdout.contains("WRONG") && ran.stdout.contains("not written"), "{}", ran.stdout);
}

#[test]
fn events_are_chosen_by_virtual_router_code_and_time() {
    let Some(net) = Net::settled(1, &mainstay()) else { return };
    let chosen = |arguments: &[&str]| -> Vec<String> {
        let arguments = [&["events", "-o", "json"], arguments].concat();
        let ran = net.mainstay(M1, &arguments);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let value = |line: &str| serde_json::from_str::<Value>(line).unwrap();
        ran.stdout.lines().map(|line| value(line)["code"].as_str().unwrap().to_owned()).collect()
    };
    assert!(chosen(&[]).contains(&"daemon_started".to_owned()));
    assert!(!chosen(&["--router", "apiserver"]).contains(&"daemon_started".to_owned()));
    assert!(chosen(&["--router", "apiserver"]).contains(&"transition".to_owned()));
    assert!(chosen(&["--router", "other"]).is_empty());
    let some = chosen(&["--code", "transition,vrrp_started", "--since", "1h"]);
    assert!(some.contains(&"transition".to_owned()) && some.contains(&"vrrp_started".to_owned()));
    assert!(some.iter().all(|code| code == "transition" || code == "vrrp_started"), "{some:?}");
    assert!(chosen(&["--since", "2999-01-01T00:00:00.000Z"]).is_empty());
    let ran = net.mainstay(M1, &["events", "--since", "yesterday"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
}

#[test]
fn a_virtual_router_that_is_not_there_is_told_of() {
    let Some(net) = Net::settled(1, &mainstay()) else { return };
    let ran = net.mainstay(M1, &["explain", "nonsense"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("no virtual router is named `nonsense`"), "{}", ran.stderr);
    assert_eq!(net.mainstay(M1, &["explain", "apiserver"]).code, Some(0));
}

#[test]
fn a_check_that_fails_is_told_on_the_holder_and_hinted_at_by_its_successor() {
    let Some(net) = Net::up(2) else { return };
    let flag = std::env::temp_dir().join(format!("mainstay-explain-{}", std::process::id()));
    std::fs::write(&flag, "").unwrap();
    // Only m1 has the check, so that m2 stays healthy.
    let check = format!(
        "\n[[check]]\nname = \"flag\"\nexec = [\"/usr/bin/test\", \"-e\", \"{}\"]\n\
         interval = \"200ms\"\nfall = 1\nrise = 1\n",
        flag.display()
    );
    let daemon = mainstay();
    net.start(&[M1], &daemon);
    net.owned_by(M1);
    net.start(&[M2], &daemon);
    net.backup_of(M2, M1);
    net.reconfigure(M1, |text| {
        text.replace("vrid = 51", "vrid = 51\nchecks = [\"flag\"]") + &check
    });
    net.event(M1, "check_healthy");
    std::fs::remove_file(&flag).unwrap();
    net.owned_by(M2);

    let there = until(&net, M1, "the loss", |it| it["last_move"]["to"] == "m2");
    let causes = chain(&there);
    assert!(causes[0].starts_with("m2 advertises priority"), "{causes:?}");
    assert!(causes[1].starts_with("the effective priority falls"), "{causes:?}");
    assert!(causes[2].starts_with("the check flag is sick"), "{causes:?}");
    let wrong = there["wrong"].to_string();
    assert!(wrong.contains("the check flag has been sick for"), "{wrong}");
    let here = until(&net, M2, "the takeover", |it| it["last_move"]["to"] == "m2");
    assert!(chain(&here)[0].starts_with("the Active m1 is degraded"), "{here}");
    assert_eq!(here["last_move"]["hint"], "why m1 is degraded: `mainstay explain` on m1");
}

#[test]
fn a_drain_is_told_with_who_wanted_it() {
    let Some(net) = Net::settled(2, &mainstay()) else { return };
    let ran = net.mainstay(M1, &["vip", "drain"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let there = until(&net, M1, "the drain", |it| it["last_move"]["to"] == "m2");
    let causes = chain(&there);
    assert!(causes.iter().any(|it| it.contains("falls from 254 to 1")), "{causes:?}");
    assert!(causes.iter().any(|it| it.contains("asked for it")), "{causes:?}");
    let wrong = there["wrong"].to_string();
    assert!(wrong.contains("m1 has been drained for") && wrong.contains("vip undrain"), "{wrong}");
}
