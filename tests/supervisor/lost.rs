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
    masters.fails(M2, &["unit", "stop", "etcd"], 5, "\
mainstay: stopping etcd: a stop of m2 (ID) would lose quorum: 1 of 3 members would be well, 2 are needed (m3 (ID): etcd at https://10.51.0.13:2379 cannot be reached: transport error: tcp connect error: Connection refused (os error 111); is it running (`mainstay status`), and is the way there open?). Bring the others back first, or insist with --force
");
    masters.fails(M2, &["down"], 5, "\
mainstay: mainstay down: a stop of m2 (ID) would lose quorum: 1 of 3 members would be well, 2 are needed (m3 (ID): etcd at https://10.51.0.13:2379 cannot be reached: transport error: tcp connect error: Connection refused (os error 111); is it running (`mainstay status`), and is the way there open?). Bring the others back first, or insist with --force
");

    replaced(&masters, M3);
    assert_eq!(voters(&masters, M1), ["m1", "m2", "m3"]);
    masters.unmoved(M1, start);
    masters.nothing_is_lost();
}

#[test]
fn nothing_is_destroyed_without_a_quorum_and_a_snapshot_begins_a_new_cluster() {
    let Some(mut masters) = Masters::up(with_units(Beneath::Etcd)) else { return };
    // The writer goes on meanwhile: a snapshot has all that was acknowledged before.
    let written = masters.written();
    let ran = masters.mainstay(M1, &["etcd", "snapshot", "-o", "json"]);
    let document: Value = serde_json::from_str(&ran.stdout).unwrap();
    let snapshot = document["data"]["snapshot"]["path"].as_str().unwrap();

    let (etcd, start) = (masters.etcd_pid(M1), Stamp::now());
    masters.lab().lose(M2).unwrap();
    masters.lab().lose(M3).unwrap();
    masters.unit_until(M1, "etcd", "to miss the others", |unit| {
        unit["state"] == "running" && unit["reason"].is_string()
    });
    masters.shows(M1, "\
units
  dockerd            ready for SPAN (exec)
  └─ images          ready for SPAN (task)
     └─ etcd         running for SPAN (container): etcd has no quorum: start etcd on the other masters (`mainstay etcd status` shows them)
");
    masters.explains(M1, "\
apiserver  10.51.0.100 is here, on m1, for SPAN (since TIME)
  why         m1 is healthy, priority 254: a healthy Active keeps it, whoever else comes
  last move   m2 -> m1, SPAN ago
              TIME  the Active m2 hands over (priority 1)
              TIME  the Active m2 advertises priority 1: it was 244
              why m2 hands over: `mainstay explain` on m2
  would move  the check etcd fails here: m2, if healthy, takes over 10 ms after it is noticed
              m1 falls silent: m2, if healthy, takes over after 610 ms
              on purpose: `mainstay vip drain` on m1
  WRONG       the check etcd passes with a warning: etcd has no quorum: start etcd on the other masters (`mainstay etcd status` shows them)

m1
  WRONG       the unit etcd runs and is not ready for SPAN: etcd has no quorum: start etcd on the other masters (`mainstay etcd status` shows them)
              -> `mainstay unit logs etcd`
");
    assert_eq!(masters.etcd_pid(M1), etcd, "etcd was restarted");
    masters.unmoved(M1, start);
    masters.fails(
        M1,
        &["etcd", "replace", "m2"],
        5,
        "\
mainstay: etcd runs on this node. Stop it first: mainstay unit stop etcd
",
    );
    masters.fails(M1, &["leave"], 5, "\
mainstay: etcd has no quorum: 0 of 3 members are well, 2 are needed (m1 (ID): no leader; m2 (ID): etcd at https://10.51.0.12:2379 cannot be reached: transport error: tcp connect error: Connection refused (os error 111); is it running (`mainstay status`), and is the way there open?; m3 (ID): etcd at https://10.51.0.13:2379 cannot be reached: transport error: tcp connect error: Connection refused (os error 111); is it running (`mainstay status`), and is the way there open?). Start the others first. If too many are lost for good, begin a new cluster with what m1 has: on m1, in this order: `mainstay etcd snapshot`, `mainstay unit stop etcd`, `mainstay etcd restore FILE` with the snapshot's path, `mainstay unit start etcd`. Then, one after the other, on each other master `mainstay etcd replace`. At last restart API servers and kubelets
");
    masters.fails(
        M1,
        &["etcd", "restore", snapshot],
        5,
        "\
mainstay: etcd runs on this node. Stop it first: mainstay unit stop etcd
",
    );
    masters.fails(M1, &["down"], 5, "\
mainstay: apiserver: no other router has taken over within 5s: the VIP stays here and the drain is undone; see `mainstay status` on the other masters, or use --force; nothing was stopped. Bring another master up first, or insist with --force
");
    assert_eq!(masters.etcd_pid(M1), etcd, "etcd was restarted");

    // What status said helps. What was written after the snapshot goes with the others.
    masters.stop_writing();
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
