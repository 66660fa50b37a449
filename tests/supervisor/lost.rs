//! Masters are lost for good: one, and so many that nothing can be agreed on any more.

use lab::{Beneath, Node, Stamp};
use serde_json::Value;

use crate::masters::{DATA, Masters, with_units};
use crate::support::{M1, M2, M3};

/// The names of etcd's members that have a vote, sorted.
fn voters(masters: &Masters, node: Node) -> Vec<String> {
    let ran = masters.mainstay(node, &["etcd", "members", "-o", "json"]);
    let document: Value = serde_json::from_str(&ran.stdout).unwrap_or_default();
    let members = document["data"].as_array().cloned().unwrap_or_default();
    let voters = members.iter().filter(|member| member["learner"] != true);
    let mut names: Vec<String> =
        voters.map(|member| member["name"].as_str().unwrap_or_default().to_owned()).collect();
    names.sort();
    names
}

/// A new machine takes the place of a lost one.
fn replaced(masters: &Masters, node: Node) {
    masters.start(&[node], &masters.daemon);
    assert_eq!(masters.unit(node, "dockerd")["state"], "stopped");
    let ran = masters.mainstay(node, &["etcd", "replace"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    masters.well(node);
}

#[test]
fn a_master_that_is_lost_for_good_is_replaced_by_a_new_one() {
    let Some(masters) = Masters::up(with_units(Beneath::Etcd)) else { return };
    let start = Stamp::now();
    masters.lab().lose(M3).unwrap();
    masters.nothing_is_lost_on(&[M1, M2]);
    // With one more, the quorum would be lost.
    masters.fails(M2, &["unit", "stop", "etcd"], 5, "?");
    masters.fails(M2, &["down"], 5, "?");

    replaced(&masters, M3);
    assert_eq!(voters(&masters, M1), ["m1", "m2", "m3"]);
    masters.unmoved(M1, start);
    masters.nothing_is_lost();
}

#[test]
fn nothing_is_destroyed_without_a_quorum_and_a_snapshot_begins_a_new_cluster() {
    let Some(mut masters) = Masters::up(with_units(Beneath::Etcd)) else { return };
    let written = masters.stop_writing();
    let ran = masters.mainstay(M1, &["etcd", "snapshot", "-o", "json"]);
    let document: Value = serde_json::from_str(&ran.stdout).unwrap();
    let snapshot = document["data"]["snapshot"]["path"].as_str().unwrap();

    let (etcd, start) = (masters.etcd_pid(M1), Stamp::now());
    masters.lab().lose(M2).unwrap();
    masters.lab().lose(M3).unwrap();
    masters.unit_until(M1, "etcd", "to miss the others", |unit| {
        unit["state"] == "running" && unit["reason"].is_string()
    });
    masters.shows(M1, "?");
    masters.explains(M1, "?");
    assert_eq!(masters.etcd_pid(M1), etcd, "etcd was restarted");
    masters.unmoved(M1, start);
    for command in
        [&["etcd", "replace", "m2"][..], &["leave"], &["etcd", "restore", snapshot], &["down"]]
    {
        masters.fails(M1, command, 5, "?");
    }
    assert_eq!(masters.etcd_pid(M1), etcd, "etcd was restarted");

    // What status said helps.
    for command in [
        &["unit", "stop", "etcd", "--force"][..],
        &["etcd", "restore", snapshot],
        &["unit", "start", "etcd"],
    ] {
        let ran = masters.mainstay(M1, command);
        assert_eq!(ran.code, Some(0), "{command:?}: {ran:?}");
    }
    masters.well(M1);
    masters.holds(&written, &[M1]);
    // What was there before is still there, aside.
    let data = masters.path(M1, DATA);
    assert!(masters.run(M1, &format!("ls {data}")).contains("set-aside-"));

    masters.write();
    replaced(&masters, M2);
    replaced(&masters, M3);
    assert_eq!(voters(&masters, M1), ["m1", "m2", "m3"]);
    masters.holds(&written, &[M1, M2, M3]);
    masters.nothing_is_lost();
}
