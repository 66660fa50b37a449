//! The VIP is given away on purpose, or not.

use lab::{Answer, Stamp};

use crate::cluster::{Cluster, checking};
use crate::support::{M1, M2};

#[test]
fn a_drain_moves_the_vip_and_lasts_until_it_is_undone() {
    let Some(cluster) = Cluster::settled(2) else { return };
    assert_eq!(cluster.mainstay(M1, &["vip", "drain"]).code, Some(0));
    cluster.owned_by(M2);
    cluster.backup_of(M1, M2);
    cluster.explains(M1, "\
apiserver  10.51.0.100 is on m2 (10.51.0.12), for SPAN (since TIME)
  why         m2 is healthy, priority 244
              m1 is drained: it takes over from nobody that lives
  last move   m1 -> m2, SPAN ago
              TIME  m2 advertises priority 244 and wins
              TIME  the effective priority falls from 254 to 1
              TIME  advertising priority 1; waiting up to 5s for another router to take over: user 0 asked for it
  would move  not a check of m2 that fails: m1 is drained itself
              m2 falls silent: m1 takes over after 800 ms
              on purpose: `mainstay vip drain` on m2
  WRONG       m1 has been drained for SPAN, by user 0
              -> `mainstay vip undrain` once it may have the address again
");
    cluster.explains(
        M2,
        "\
apiserver  10.51.0.100 is here, on m2, for SPAN (since TIME)
  why         m2 is healthy, priority 244: a healthy Active keeps it, whoever else comes
  last move   m1 -> m2, SPAN ago
              TIME  the Active m1 hands over (priority 1)
              TIME  the Active m1 advertises priority 1: it was 254
              why m1 hands over: `mainstay explain` on m1
  would move  the check apiserver fails here: m1, if healthy, takes over 2 ms after it is noticed
              m2 falls silent: m1, if healthy, takes over after 602 ms
              on purpose: `mainstay vip drain` on m2
  wrong       nothing
",
    );
    let undrained = Stamp::now();
    assert_eq!(cluster.mainstay(M1, &["vip", "undrain"]).code, Some(0));
    cluster.explains(M1, "\
apiserver  10.51.0.100 is on m2 (10.51.0.12), for SPAN (since TIME)
  why         m2 is healthy, priority 244
              m1 ranks before it, priority 254, and leaves a healthy Active alone (preempt = \"degraded-only\")
  last move   m1 -> m2, SPAN ago
              TIME  m2 advertises priority 244 and wins
              TIME  the effective priority falls from 254 to 1
              TIME  advertising priority 1; waiting up to 5s for another router to take over: user 0 asked for it
  would move  m2 degrades or is drained: m1 takes over after 2 ms
              m2 falls silent: m1 takes over after 602 ms
              on purpose: `mainstay vip drain` on m2
  wrong       nothing
");
    cluster.unmoved(M2, undrained);
}

#[test]
fn a_drain_is_refused_where_nobody_healthy_takes_over() {
    let Some(cluster) = Cluster::settled(2) else { return };
    let start = Stamp::now();
    cluster.servers.answer(M2, Answer::Status(500)).unwrap();
    cluster.degraded(M2);
    let ran = cluster.mainstay(M1, &["vip", "drain", "--timeout", "1s"]);
    assert_eq!(ran.code, Some(5), "{ran:?}");
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
fn a_drain_outlives_the_daemon() {
    let Some(cluster) = Cluster::settled(2) else { return };
    assert_eq!(cluster.mainstay(M1, &["vip", "drain"]).code, Some(0));
    cluster.owned_by(M2);
    cluster.lab().kill(M1, lab::Part::Parent).unwrap();
    cluster.start(&[M1], &checking());
    cluster.backup_of(M1, M2);
    cluster.explains(M1, "\
apiserver  10.51.0.100 is on m2 (10.51.0.12), for SPAN (since TIME)
  why         m2 is healthy, priority 244
              m1 is drained: it takes over from nobody that lives
  last move   m1 -> m2, SPAN ago
              TIME  m2 advertises priority 244 and wins
              TIME  the effective priority falls from 254 to 1
              TIME  advertising priority 1; waiting up to 5s for another router to take over: user 0 asked for it
  would move  not a check of m2 that fails: m1 is drained itself
              m2 falls silent: m1 takes over after 800 ms
              on purpose: `mainstay vip drain` on m2
  WRONG       m1 has been drained for SPAN, by user 0
              -> `mainstay vip undrain` once it may have the address again
");
}

#[test]
fn an_orderly_stop_moves_the_vip_first() {
    let Some(cluster) = Cluster::settled(2) else { return };
    cluster.lab().stop(M1).unwrap();
    cluster.owned_by(M2);
    cluster.explains(
        M2,
        "\
apiserver  10.51.0.100 is here, on m2, for SPAN (since TIME)
  why         m2 is healthy, priority 244: a healthy Active keeps it, whoever else comes
  last move   m1 -> m2, SPAN ago
              TIME  the Active m1 hands over (priority 1)
              TIME  the Active m1 advertises priority 1: it was 254
              why m1 hands over: `mainstay explain` on m1
  would move  the check apiserver fails here: m1, if healthy, takes over 2 ms after it is noticed
              m2 falls silent: m1, if healthy, takes over after 602 ms
              on purpose: `mainstay vip drain` on m2
  wrong       nothing
",
    );
}
