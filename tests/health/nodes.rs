//! Nodes, links and processes that die or stand still, and strangers on the link.

use lab::{Checked, Daemon, Interval, Part, Stamp};
use serde_json::Value;

use crate::cluster::{Cluster, checking};
use crate::support::{M1, M2, poll};

#[test]
fn a_node_that_dies_is_succeeded() {
    let Some(cluster) = Cluster::settled(2) else { return };
    cluster.lab().kill(M1, Part::Both).unwrap();
    cluster.router_until(M2, "Active", |router| router["state"] == "Active");
    cluster.explains(
        M2,
        "\
apiserver  10.51.0.100 is here, on m2, for SPAN (since TIME)
  why         m2 is healthy, priority 244: a healthy Active keeps it, whoever else comes
  last move   m1 -> m2, SPAN ago
              TIME  the Active m1 has fallen silent
              why m1 fell silent: `mainstay explain` on m1
  would move  the check apiserver fails here: m1, if healthy, takes over 2 ms after it is noticed
              m2 falls silent: m1, if healthy, takes over after 602 ms
              on purpose: `mainstay vip drain` on m2
  wrong       nothing
",
    );
}

#[test]
fn a_vrrp_process_that_is_killed_is_fenced() {
    let Some(cluster) = Cluster::settled(2) else { return };
    cluster.lab().kill(M1, Part::Child).unwrap();
    cluster.owned_by(M2);
    cluster.backup_of(M1, M2);
    cluster.explains(M1, "\
apiserver  10.51.0.100 is on m2 (10.51.0.12), for SPAN (since TIME)
  why         m2 is healthy, priority 244
              m1 ranks before it, priority 254, and leaves a healthy Active alone (preempt = \"degraded-only\")
  last move   m1 -> m2, SPAN ago
              TIME  the Active is m2, with priority 244
              TIME  the VRRP process died: it was killed by signal 9 (SIGKILL)
  would move  m2 degrades or is drained: m1 takes over after 2 ms
              m2 falls silent: m1 takes over after 602 ms
              on purpose: `mainstay vip drain` on m2
  wrong       nothing
");
    cluster.explains(
        M2,
        "\
apiserver  10.51.0.100 is here, on m2, for SPAN (since TIME)
  why         m2 is healthy, priority 244: a healthy Active keeps it, whoever else comes
  last move   m1 -> m2, SPAN ago
              TIME  the Active m1 gave up
              why m1 gave up: `mainstay explain` on m1
  would move  the check apiserver fails here: m1, if healthy, takes over 2 ms after it is noticed
              m2 falls silent: m1, if healthy, takes over after 602 ms
              on purpose: `mainstay vip drain` on m2
  wrong       nothing
",
    );
}

#[test]
fn a_daemon_that_is_killed_and_started_again_moves_nothing() {
    let Some(cluster) = Cluster::settled(2) else { return };
    let start = Stamp::now();
    cluster.lab().kill(M1, Part::Parent).unwrap();
    cluster.start(&[M1], &checking());
    cluster.healthy(M1);
    cluster.explains(
        M1,
        "\
apiserver  10.51.0.100 is here, on m1, for SPAN (since TIME)
  why         m1 is healthy, priority 254: a healthy Active keeps it, whoever else comes
  last move   to m1, SPAN ago
              TIME  no Active was heard
              TIME  Initialize -> Backup: started
              TIME  the VRRP process is started, as process PID
              TIME  mainstay VERSION starts
  would move  the check apiserver fails here: m2, if healthy, takes over 10 ms after it is noticed
              m1 falls silent: m2, if healthy, takes over after 610 ms
              on purpose: `mainstay vip drain` on m1
  wrong       nothing
",
    );
    cluster.unmoved(M1, start);
}

#[test]
fn timeouts_just_after_a_restart_move_nothing() {
    let Some(cluster) = Cluster::settled(2) else { return };
    let start = Stamp::now();
    cluster.servers.freeze(M1).unwrap();
    cluster.lab().kill(M1, Part::Parent).unwrap();
    // Six are too many on the holder.
    let each_second = Checked::Each(Interval::from_millis(1000));
    cluster.start(&[M1], &Daemon { checked: each_second, ..checking() });
    let timed_out = |status: &Value| status["checks"][0]["samples"]["timeout"].as_u64() > Some(0);
    let status = poll("a timeout", || Some(cluster.status(M1)).filter(&timed_out));
    assert_eq!(status["checks"][0]["standing"], "unknown", "{status}");
    cluster.servers.thaw(M1).unwrap();
    cluster.event(M1, "check_healthy");
    assert!(cluster.events(M1).iter().all(|it| it["code"] != "check_sick"));
    cluster.unmoved(M1, start);
}

#[test]
fn a_node_whose_link_is_cut_takes_no_part() {
    let Some(cluster) = Cluster::settled(2) else { return };
    cluster.lab().cut(M1).unwrap();
    cluster.owned_by(M2);
    cluster.explains(
        M1,
        "\
apiserver  10.51.0.100 is not on m1, which takes no part
  last move   m1 lost it, SPAN ago
              TIME  the interface cannot be used
              TIME  the interface eth0 cannot be used: the interface has no carrier
  WRONG       m1 takes no part: the interface has no carrier
",
    );
    cluster.explains(
        M2,
        "\
apiserver  10.51.0.100 is here, on m2, for SPAN (since TIME)
  why         m2 is healthy, priority 244: a healthy Active keeps it, whoever else comes
  last move   m1 -> m2, SPAN ago
              TIME  the Active m1 has fallen silent
              why m1 fell silent: `mainstay explain` on m1
  would move  the check apiserver fails here: m1, if healthy, takes over 2 ms after it is noticed
              m2 falls silent: m1, if healthy, takes over after 602 ms
              on purpose: `mainstay vip drain` on m2
  wrong       nothing
",
    );
}

#[test]
fn a_vip_that_somebody_deletes_is_repaired() {
    let Some(cluster) = Cluster::settled(2) else { return };
    cluster.run(M1, "ip address delete 10.51.0.100/32 dev eth0");
    cluster.event(M1, "repaired");
    cluster.explains(
        M1,
        "\
apiserver  10.51.0.100 is here, on m1, for SPAN (since TIME)
  why         m1 is healthy, priority 254: a healthy Active keeps it, whoever else comes
  last move   to m1, SPAN ago
              TIME  no Active was heard
              TIME  Initialize -> Backup: started
              TIME  the VRRP process is started, as process PID
              TIME  mainstay VERSION starts
  would move  the check apiserver fails here: m2, if healthy, takes over 10 ms after it is noticed
              m1 falls silent: m2, if healthy, takes over after 610 ms
              on purpose: `mainstay vip drain` on m1
  wrong       nothing
",
    );
}

#[test]
fn a_stranger_who_claims_the_vip_is_named() {
    let Some(cluster) = Cluster::settled(2) else { return };
    let start = Stamp::now();
    // It asks for m1 in the name of the VIP.
    cluster.run(
        "stranger",
        "ip address add 10.51.0.100/32 dev eth0; \
         ip route add 10.51.0.11/32 dev eth0 src 10.51.0.100; \
         bash -c 'echo >/dev/udp/10.51.0.11/9'",
    );
    cluster.explains(M1, "\
apiserver  10.51.0.100 is here, on m1, for SPAN (since TIME)
  why         m1 is healthy, priority 254: a healthy Active keeps it, whoever else comes
  last move   to m1, SPAN ago
              TIME  no Active was heard
              TIME  Initialize -> Backup: started
              TIME  the VRRP process is started, as process PID
              TIME  mainstay VERSION starts
  would move  the check apiserver fails here: m2, if healthy, takes over 10 ms after it is noticed
              m1 falls silent: m2, if healthy, takes over after 610 ms
              on purpose: `mainstay vip drain` on m1
  WRONG       another host has a virtual address: 10.51.0.100 at MAC: it answers for a virtual address that this Active has: clients may reach either
              -> find the host with this Ethernet address and take the virtual address off it
");
    cluster.unmoved(M1, start);
}

#[test]
fn two_actives_name_each_other() {
    let Some(cluster) = Cluster::settled(2) else { return };
    cluster.lab().mute(M1).unwrap();
    cluster.owners(&[M1, M2]);
    cluster.explains(M1, "\
apiserver  10.51.0.100 is here, on m1, for SPAN (since TIME)
  why         m1 is healthy, priority 254: a healthy Active keeps it, whoever else comes
  last move   to m1, SPAN ago
              TIME  no Active was heard
              TIME  Initialize -> Backup: started
              TIME  the VRRP process is started, as process PID
              TIME  mainstay VERSION starts
  would move  the check apiserver fails here: m2, if healthy, takes over 10 ms after it is noticed
              m1 falls silent: m2, if healthy, takes over after 610 ms
              on purpose: `mainstay vip drain` on m1
  WRONG       two Actives: m2 (10.51.0.12) at MAC: it advertises priority 244 while this node is Active, and loses
              -> IP protocol 112 must pass both ways between the masters: look for a firewall, for a switch with IGMP or MLD snooping, for a broken link
              a router does not hear this node: m2 (10.51.0.12) at MAC: it has gone on advertising for SPAN s after this node answered: it does not hear this node; look for a filter or a broken link on the way to it
              -> IP protocol 112 must pass both ways between the masters: look for a firewall, for a switch with IGMP or MLD snooping, for a broken link
");
    cluster.lab().heal().unwrap();
    cluster.owned_by(M1);
    cluster.explains(
        M2,
        "\
apiserver  10.51.0.100 is on m1 (10.51.0.11), for SPAN (since TIME)
  why         m1 is healthy, priority 254
              m2 ranks behind, priority 244
  last move   m2 -> m1, SPAN ago
              TIME  m1 advertises priority 254 and wins
  would move  m1 degrades or is drained: m2 takes over after 10 ms
              m1 falls silent: m2 takes over after 610 ms
              on purpose: `mainstay vip drain` on m1
  wrong       nothing
",
    );
}
