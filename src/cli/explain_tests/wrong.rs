//! What can be wrong with the daemon and the network.

use super::*;

#[test]
fn a_daemon_without_a_vrrp_process() {
    let mut story = Story::of("m1").starts_alone().after(5000);
    story.status.vrrp.attached = false;
    story.status.vrrp.problem = Some("killed by signal 9; it is being started again".to_owned());
    story.status.virtual_routers.iter_mut().for_each(|it| {
        (it.state, it.installed) = (Some(Initialize), Some(false));
        it.problem = Some("killed by signal 9; it is being started again".to_owned());
    });
    reads(
        &story,
        "\
api  10.0.0.10 is not on m1, which takes no part
  last move   to m1, 5.0s ago
              12:00:03.008Z  no Active was heard
              12:00:00.000Z  Initialize -> Backup: started
              12:00:00.000Z  the VRRP process is started, as process 71
  WRONG       m1 takes no part: killed by signal 9; it is being started again

m1
  WRONG       the daemon has no VRRP process: killed by signal 9; it is being started again
              -> see `mainstay events` and `journalctl -u mainstay`
",
    );
}

#[test]
fn a_file_that_was_refused_and_a_warning() {
    let mut story = Story::of("m3").starts_behind(M1, 254).after(60_000);
    story.status.config.error = Some("mainstay.toml:3:1: unknown key\n  |".to_owned());
    story.status.warnings = vec![
        "the configuration file was not taken when it was last read".to_owned(),
        "SCHED_RR refused: give the unit LimitRTPRIO=50".to_owned(),
        "api: Active without its addresses".to_owned(),
    ];
    let text = story.text();
    let (_, node) = text.split_once("\n\n").unwrap();
    assert_eq!(
        node,
        "\
m3
  WRONG       the file was not taken, the older configuration is in force: mainstay.toml:3:1: \
                      unknown key
              -> `mainstay check`, then `mainstay reload`
              SCHED_RR refused: give the unit LimitRTPRIO=50
"
    );
}

#[test]
fn an_active_without_its_addresses() {
    let mut story = Story::of("m1").starts_alone().after(50);
    story.router().installed = Some(false);
    story.router().problem = Some("Operation not permitted".to_owned());
    let text = story.text();
    assert!(text.starts_with("api  m1 is Active, but 10.0.0.10 is not on it"), "{text}");
    assert!(text.contains("WRONG       m1 is Active without 10.0.0.10: Operation not"), "{text}");
}

#[test]
fn a_state_that_is_not_known() {
    let mut story = Story::of("m1").starts_alone().after(5000);
    (story.router().state, story.router().installed) = (None, None);
    story.router().problem = Some("mainstay does not run".to_owned());
    reads(
        &story,
        "\
api  it is not known where 10.0.0.10 is
  last move   to m1, 5.0s ago
              12:00:03.008Z  no Active was heard
              12:00:00.000Z  Initialize -> Backup: started
              12:00:00.000Z  the VRRP process is started, as process 71
  WRONG       what m1 does is not known: mainstay does not run
",
    );
}

#[test]
fn a_node_without_virtual_routers() {
    let mut story = Story::of("m1");
    story.status.virtual_routers.clear();
    assert_eq!(story.text(), "m1 has no virtual routers: nothing to explain\n");
}

#[test]
fn each_kind_of_conflict_says_what_to_do() {
    let mut story = Story::of("m1").starts_alone().after(60_000);
    let now = story.now();
    let conflict = |kind| Conflict {
        kind,
        source: source(M3),
        mac: "52:54:00:00:00:03".parse().ok(),
        detail: "10.0.0.13 differs".to_owned(),
        since: now,
        last: now,
        count: 3,
    };
    story.router().conflicts = ConflictKind::ALL.into_iter().map(conflict).collect();
    let text = story.text();
    let (_, wrong) = text.split_once("WRONG").unwrap();
    let expected = "\
WRONG       another host has a virtual address: 10.0.0.13 at 52:54:00:00:00:03: m3 differs
              -> find the host with this Ethernet address and take the virtual address off it
              two Actives: m3 (10.0.0.13) at 52:54:00:00:00:03: m3 differs
              -> IP protocol 112 must pass both ways between the masters: look for a firewall, for a switch with IGMP or MLD snooping, for a broken link
              a router does not hear this node: m3 (10.0.0.13) at 52:54:00:00:00:03: m3 differs
              -> IP protocol 112 must pass both ways between the masters: look for a firewall, for a switch with IGMP or MLD snooping, for a broken link
              a router advertises other addresses: m3 (10.0.0.13) at 52:54:00:00:00:03: m3 differs
              -> compare `addresses` in the files of both; if it is another cluster, one of the two needs another vrid
              a router advertises at another interval: m3 (10.0.0.13) at 52:54:00:00:00:03: m3 differs
              -> set the same advert_interval on all masters
              routers send different checksums: m3 (10.0.0.13) at 52:54:00:00:00:03: m3 differs
              -> set checksum = \"pseudo-header\" on all masters if one is keepalived or FRR
";
    assert_eq!(format!("WRONG{wrong}"), expected);
}
