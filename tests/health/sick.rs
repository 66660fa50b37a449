//! Apiservers that die, hang, refuse and recover.

use lab::{Answer, Apiservers, LabError, Node, Stamp};

use crate::cluster::Cluster;
use crate::support::{M1, M2, M3, poll};

/// Does harm to the apiserver of m1 and waits until m2 has the VIP.
fn harmed(harm: impl FnOnce(&Apiservers, Node) -> Result<Stamp, LabError>) -> Option<Cluster> {
    let cluster = Cluster::settled(3)?;
    harm(&cluster.servers, M1).unwrap();
    cluster.owned_by(M2);
    cluster.backup_of(M1, M2);
    cluster.backup_of(M3, M2);
    Some(cluster)
}

fn answering(answer: Answer) -> Option<Cluster> {
    harmed(|servers, node| servers.answer(node, answer))
}

#[test]
fn an_apiserver_that_is_killed_moves_the_vip_to_a_healthy_node() {
    let Some(cluster) = harmed(Apiservers::kill) else { return };
    cluster.explains(M1, "\
apiserver  10.51.0.100 is on m2 (10.51.0.12), for SPAN (since TIME)
  why         m2 is healthy, priority 244
              m1 is degraded: it takes over from nobody that lives
  last move   m1 -> m2, SPAN ago
              TIME  m2 advertises priority 244 and wins
              TIME  the effective priority falls from 254 to 126
              TIME  the check apiserver is sick: connection refused by 127.0.0.1:6443
  would move  m2 degrades or is drained: m3, if healthy, takes over after 18 ms, m1 does not while it is degraded
              m2 falls silent: m3, if healthy, takes over after 618 ms, else m1 after 702 ms
              on purpose: `mainstay vip drain` on m2
  WRONG       the check apiserver has been sick for SPAN: connection refused by 127.0.0.1:6443
              -> `curl -k https://127.0.0.1:6443/readyz`, then the log of what serves it
");
    cluster.explains(
        M2,
        "\
apiserver  10.51.0.100 is here, on m2, for SPAN (since TIME)
  why         m2 is healthy, priority 244: a healthy Active keeps it, whoever else comes
  last move   m1 -> m2, SPAN ago
              TIME  the Active m1 is degraded (priority 126)
              TIME  the Active m1 advertises priority 126: it was 254
              why m1 is degraded: `mainstay explain` on m1
  would move  the check apiserver fails here: m1, if healthy, takes over 2 ms after it is noticed
              m2 falls silent: m1, if healthy, takes over after 602 ms
              on purpose: `mainstay vip drain` on m2
  wrong       nothing
",
    );
    cluster.explains(
        M3,
        "\
apiserver  10.51.0.100 is on m2 (10.51.0.12), for SPAN (since TIME)
  why         m2 is healthy, priority 244
              m3 ranks behind, priority 234
  last move   m1 -> m2, SPAN ago
              TIME  the Active is m2, with priority 244
              TIME  the Active m1 advertises priority 126: it was 254
              why m1 lost it: `mainstay explain` on m1
  would move  m2 degrades or is drained: m1, if healthy, takes over after 2 ms, else m3 after 18 ms
              m2 falls silent: m1, if healthy, takes over after 602 ms, else m3 after 618 ms
              on purpose: `mainstay vip drain` on m2
  wrong       nothing
",
    );
}

#[test]
fn an_apiserver_that_hangs_moves_the_vip_when_it_is_tolerated_no_longer() {
    let Some(cluster) = harmed(Apiservers::freeze) else { return };
    cluster.checks(M1, "apiserver sick for SPAN: no answer within 1s: it accepted the connection, but did not agree on TLS, N times in a row");
    cluster.explains(M1, "\
apiserver  10.51.0.100 is on m2 (10.51.0.12), for SPAN (since TIME)
  why         m2 is healthy, priority 244
              m1 is degraded: it takes over from nobody that lives
  last move   m1 -> m2, SPAN ago
              TIME  m2 advertises priority 244 and wins
              TIME  the effective priority falls from 254 to 126
              TIME  the check apiserver is sick: no answer within 1s: it accepted the connection, but did not agree on TLS, N times in a row
  would move  m2 degrades or is drained: m3, if healthy, takes over after 18 ms, m1 does not while it is degraded
              m2 falls silent: m3, if healthy, takes over after 618 ms, else m1 after 702 ms
              on purpose: `mainstay vip drain` on m2
  WRONG       the check apiserver has been sick for SPAN: no answer within 1s: it accepted the connection, but did not agree on TLS, N times in a row
              -> `curl -k https://127.0.0.1:6443/readyz`, then the log of what serves it
");
}

#[test]
fn an_apiserver_that_is_connected_to_and_never_answers_is_sick() {
    let Some(cluster) = answering(Answer::Silent) else { return };
    cluster.checks(M1, "apiserver sick for SPAN: no answer within 1s: it accepted the connection, but did not answer, N times in a row");
    cluster.explains(M1, "\
apiserver  10.51.0.100 is on m2 (10.51.0.12), for SPAN (since TIME)
  why         m2 is healthy, priority 244
              m1 is degraded: it takes over from nobody that lives
  last move   m1 -> m2, SPAN ago
              TIME  m2 advertises priority 244 and wins
              TIME  the effective priority falls from 254 to 126
              TIME  the check apiserver is sick: no answer within 1s: it accepted the connection, but did not answer, N times in a row
  would move  m2 degrades or is drained: m3, if healthy, takes over after 18 ms, m1 does not while it is degraded
              m2 falls silent: m3, if healthy, takes over after 618 ms, else m1 after 702 ms
              on purpose: `mainstay vip drain` on m2
  WRONG       the check apiserver has been sick for SPAN: no answer within 1s: it accepted the connection, but did not answer, N times in a row
              -> `curl -k https://127.0.0.1:6443/readyz`, then the log of what serves it
");
}

#[test]
fn an_apiserver_that_answers_500_is_sick() {
    let Some(cluster) = answering(Answer::Status(500)) else { return };
    cluster.checks(
        M1,
        "apiserver sick for SPAN: HTTP 500: etcd failed: reason withheld, N times in a row",
    );
    cluster.explains(M1, "\
apiserver  10.51.0.100 is on m2 (10.51.0.12), for SPAN (since TIME)
  why         m2 is healthy, priority 244
              m1 is degraded: it takes over from nobody that lives
  last move   m1 -> m2, SPAN ago
              TIME  m2 advertises priority 244 and wins
              TIME  the effective priority falls from 254 to 126
              TIME  the check apiserver is sick: HTTP 500: etcd failed: reason withheld, N times in a row
  would move  m2 degrades or is drained: m3, if healthy, takes over after 18 ms, m1 does not while it is degraded
              m2 falls silent: m3, if healthy, takes over after 618 ms, else m1 after 702 ms
              on purpose: `mainstay vip drain` on m2
  WRONG       the check apiserver has been sick for SPAN: HTTP 500: etcd failed: reason withheld, N times in a row
              -> `curl -k https://127.0.0.1:6443/readyz`, then the log of what serves it
");
}

#[test]
fn an_apiserver_whose_certificate_nobody_trusts_is_sick() {
    let Some(cluster) = answering(Answer::OtherAuthority) else { return };
    cluster.checks(M1, "apiserver sick for SPAN: its certificate is signed by nobody in CA: is that the cluster's CA?, N times in a row");
    cluster.explains(M1, "\
apiserver  10.51.0.100 is on m2 (10.51.0.12), for SPAN (since TIME)
  why         m2 is healthy, priority 244
              m1 is degraded: it takes over from nobody that lives
  last move   m1 -> m2, SPAN ago
              TIME  m2 advertises priority 244 and wins
              TIME  the effective priority falls from 254 to 126
              TIME  the check apiserver is sick: its certificate is signed by nobody in CA: is that the cluster's CA?, N times in a row
  would move  m2 degrades or is drained: m3, if healthy, takes over after 18 ms, m1 does not while it is degraded
              m2 falls silent: m3, if healthy, takes over after 618 ms, else m1 after 702 ms
              on purpose: `mainstay vip drain` on m2
  WRONG       the check apiserver has been sick for SPAN: its certificate is signed by nobody in CA: is that the cluster's CA?, N times in a row
              -> `curl -k https://127.0.0.1:6443/readyz`, then the log of what serves it
");
}

#[test]
fn an_apiserver_that_speaks_nonsense_is_sick() {
    let Some(cluster) = answering(Answer::Garbage) else { return };
    cluster.checks(M1, "apiserver sick for SPAN: it does not answer in HTTP, N times in a row");
    cluster.explains(M1, "\
apiserver  10.51.0.100 is on m2 (10.51.0.12), for SPAN (since TIME)
  why         m2 is healthy, priority 244
              m1 is degraded: it takes over from nobody that lives
  last move   m1 -> m2, SPAN ago
              TIME  m2 advertises priority 244 and wins
              TIME  the effective priority falls from 254 to 126
              TIME  the check apiserver is sick: it does not answer in HTTP, N times in a row
  would move  m2 degrades or is drained: m3, if healthy, takes over after 18 ms, m1 does not while it is degraded
              m2 falls silent: m3, if healthy, takes over after 618 ms, else m1 after 702 ms
              on purpose: `mainstay vip drain` on m2
  WRONG       the check apiserver has been sick for SPAN: it does not answer in HTTP, N times in a row
              -> `curl -k https://127.0.0.1:6443/readyz`, then the log of what serves it
");
}

#[test]
fn an_apiserver_that_hangs_up_on_everybody_is_sick() {
    let Some(cluster) = answering(Answer::Closed) else { return };
    cluster.checks(
        M1,
        "apiserver sick for SPAN: it hung up before it agreed on TLS, N times in a row",
    );
    cluster.explains(M1, "\
apiserver  10.51.0.100 is on m2 (10.51.0.12), for SPAN (since TIME)
  why         m2 is healthy, priority 244
              m1 is degraded: it takes over from nobody that lives
  last move   m1 -> m2, SPAN ago
              TIME  m2 advertises priority 244 and wins
              TIME  the effective priority falls from 254 to 126
              TIME  the check apiserver is sick: it hung up before it agreed on TLS, N times in a row
  would move  m2 degrades or is drained: m3, if healthy, takes over after 18 ms, m1 does not while it is degraded
              m2 falls silent: m3, if healthy, takes over after 618 ms, else m1 after 702 ms
              on purpose: `mainstay vip drain` on m2
  WRONG       the check apiserver has been sick for SPAN: it hung up before it agreed on TLS, N times in a row
              -> `curl -k https://127.0.0.1:6443/readyz`, then the log of what serves it
");
}

#[test]
fn an_apiserver_that_answers_401_or_403_is_healthy_with_a_warning() {
    let Some(cluster) = Cluster::settled(2) else { return };
    let start = Stamp::now();
    cluster.servers.answer(M1, Answer::Status(401)).unwrap();
    cluster.checks(M1, "apiserver healthy for SPAN: HTTP 401: it is alive, but does not let us ask for /readyz; give the check a client certificate (cert, key), or let anybody ask");
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
  WRONG       the check apiserver passes with a warning: HTTP 401: it is alive, but does not let us ask for /readyz; give the check a client certificate (cert, key), or let anybody ask
");
    cluster.servers.answer(M1, Answer::Status(403)).unwrap();
    cluster.checks(M1, "apiserver healthy for SPAN: HTTP 403: it is alive, but does not let us ask for /readyz; give the check a client certificate (cert, key), or let anybody ask");
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
  WRONG       the check apiserver passes with a warning: HTTP 403: it is alive, but does not let us ask for /readyz; give the check a client certificate (cert, key), or let anybody ask
");
    cluster.unmoved(M1, start);
}

#[test]
fn a_backup_whose_apiserver_dies_stays_backup() {
    let Some(cluster) = Cluster::settled(2) else { return };
    let start = Stamp::now();
    cluster.servers.kill(M2).unwrap();
    cluster.degraded(M2);
    cluster.explains(
        M2,
        "\
apiserver  10.51.0.100 is on m1 (10.51.0.11), for SPAN at least (since TIME)
  why         m1 is healthy, priority 254
              m2 is degraded: it takes over from nobody that lives
  last move   none that this node has seen
  would move  not a check of m1 that fails: m2 is degraded itself
              m1 falls silent: m2 takes over after 710 ms
              on purpose: `mainstay vip drain` on m1
  WRONG       the check apiserver has been sick for SPAN: connection refused by 127.0.0.1:6443
              -> `curl -k https://127.0.0.1:6443/readyz`, then the log of what serves it
",
    );
    cluster.unmoved(M1, start);
}

#[test]
fn when_all_apiservers_die_the_vip_stays() {
    let Some(cluster) = Cluster::settled(2) else { return };
    let start = Stamp::now();
    for node in [M2, M1] {
        cluster.servers.kill(node).unwrap();
        cluster.degraded(node);
    }
    cluster.explains(
        M1,
        "\
apiserver  10.51.0.100 is here, on m1, for SPAN (since TIME)
  why         m1 is degraded, priority 126, and still has it: no healthy master has taken over
  last move   to m1, SPAN ago
              TIME  no Active was heard
              TIME  Initialize -> Backup: started
              TIME  the VRRP process is started, as process PID
              TIME  mainstay VERSION starts
  would move  a healthy master that hears m1 takes over, m2 after 10 ms
              m1 falls silent: m2, if healthy, takes over after 610 ms
              on purpose: `mainstay vip drain` on m1
  WRONG       the check apiserver has been sick for SPAN: connection refused by 127.0.0.1:6443
              -> `curl -k https://127.0.0.1:6443/readyz`, then the log of what serves it
",
    );
    cluster.explains(
        M2,
        "\
apiserver  10.51.0.100 is on m1 (10.51.0.11), for SPAN at least (since TIME)
  why         m1 is degraded, priority 126
              m2 is degraded too: it takes over from nobody that lives
  last move   none that this node has seen
  would move  not a check of m1 that fails: m2 is degraded itself
              m1 falls silent: m2 takes over after 710 ms
              on purpose: `mainstay vip drain` on m1
  WRONG       the check apiserver has been sick for SPAN: connection refused by 127.0.0.1:6443
              -> `curl -k https://127.0.0.1:6443/readyz`, then the log of what serves it
",
    );
    cluster.unmoved(M1, start);
}

#[test]
fn a_node_that_recovers_takes_nothing_back() {
    let Some(cluster) = harmed(Apiservers::kill) else { return };
    let back = Stamp::now();
    cluster.servers.revive(M1).unwrap();
    cluster.healthy(M1);
    cluster.explains(M1, "\
apiserver  10.51.0.100 is on m2 (10.51.0.12), for SPAN (since TIME)
  why         m2 is healthy, priority 244
              m1 ranks before it, priority 254, and leaves a healthy Active alone (preempt = \"degraded-only\")
  last move   m1 -> m2, SPAN ago
              TIME  m2 advertises priority 244 and wins
              TIME  the effective priority falls from 254 to 126
              TIME  the check apiserver is sick: connection refused by 127.0.0.1:6443
  would move  m2 degrades or is drained: m1 takes over after 2 ms
              m2 falls silent: m1 takes over after 602 ms
              on purpose: `mainstay vip drain` on m2
  wrong       nothing
");
    cluster.unmoved(M2, back);
}

#[test]
fn an_apiserver_that_falls_again_is_kept_back_and_explain_says_for_how_long() {
    let Some(cluster) = harmed(Apiservers::kill) else { return };
    cluster.servers.revive(M1).unwrap();
    cluster.healthy(M1);
    cluster.servers.kill(M1).unwrap();
    cluster.degraded(M1);
    cluster.servers.revive(M1).unwrap();
    let held = "it answers, but fell 2 times lately and is kept back for SPAN more";
    poll("the reason", || cluster.explained(M1).contains(held).then_some(()));
}
