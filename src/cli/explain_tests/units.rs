//! What can be wrong beneath the virtual IPs.

use super::*;
use crate::units::UnitStatus;

/// A node whose units are wanted, and what the operator reads of it.
fn node(units: Vec<UnitStatus>) -> String {
    let mut story = Story::of("m2").starts_behind(M1, 254).after(60_000);
    story.status.units = units;
    story.status.units_wanted = true;
    let text = story.text();
    text.split_once("\n\n").map(|(_, node)| node.to_owned()).unwrap_or_default()
}

fn unit(name: &str, state: &str, reason: &str) -> UnitStatus {
    UnitStatus {
        name: name.to_owned(),
        state: state.to_owned(),
        since: Some(Timestamp::from_unix_nanos((START + 48_300) * 1_000_000)),
        reason: Some(reason.to_owned()).filter(|it| !it.is_empty()),
        ..UnitStatus::default()
    }
}

#[test]
fn an_etcd_whose_start_is_refused_says_why_and_what_to_do() {
    let refusal = "etcd is not started: this node is member 3e of cluster c1, but /data has been \
                   emptied. Put the data back, or mount its disk. If it is lost for good: mainstay \
                   etcd replace";
    let units = vec![
        unit("dockerd", "ready", ""),
        unit("etcd", "failed", refusal),
        unit("kubelet", "blocked", "waits for etcd"),
    ];
    assert_eq!(
        node(units),
        "\
m2
  WRONG       the unit etcd has failed for 12s: etcd is not started: this node is member 3e of \
              cluster c1, but /data has been emptied
              -> Put the data back, or mount its disk. If it is lost for good: mainstay etcd replace
"
    );
}

#[test]
fn a_unit_that_ends_again_and_again_points_to_its_log() {
    let kubelet = UnitStatus {
        next_attempt: Some(Timestamp::from_unix_nanos((START + 64_300) * 1_000_000)),
        ..unit("kubelet", "crash-looping", "exited with code 1")
    };
    assert_eq!(
        node(vec![kubelet]),
        "\
m2
  WRONG       the unit kubelet is crash-looping for 12s: exited with code 1; next attempt in 4.0s
              -> `mainstay unit logs kubelet`
"
    );
}

#[test]
fn what_the_operator_has_stopped_is_told_and_units_that_nobody_wants_are_not() {
    let text = node(vec![unit("etcd", "stopped", "")]);
    assert!(text.contains("the unit etcd has been stopped for 12s\n"), "{text}");
    assert!(text.contains("-> `mainstay unit start etcd`"), "{text}");
    let mut story = Story::of("m2").starts_behind(M1, 254);
    story.status.units = vec![unit("etcd", "stopped", "")];
    assert!(!story.text().contains("etcd"), "{}", story.text());
}
