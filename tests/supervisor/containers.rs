//! etcd's container is killed or removed.

use lab::Beneath;

use crate::masters::{Masters, with_units};
use crate::support::{M1, M2, M3};

/// Does harm to etcd's container on m1 and waits until it is ready again.
fn harmed(docker: &[&str]) -> Option<Masters> {
    let masters = Masters::up(with_units(Beneath::Etcd))?;
    let others = [M2, M3].map(|node| masters.etcd_pid(node));
    let dockerd = masters.pid(M1, "dockerd");
    masters.lab().docker(M1, docker).unwrap();
    masters.owned_by(M2);
    masters.restarted(M1, "etcd");
    masters.well(M1);
    // Nothing else was touched.
    assert_eq!([M2, M3].map(|node| masters.etcd_pid(node)), others);
    assert_eq!(masters.pid(M1, "dockerd"), dockerd);
    masters.nothing_is_lost();
    Some(masters)
}

const UNITS: &str = "\
units
  dockerd            ready for SPAN (exec)
  └─ images          ready for SPAN (task)
     └─ etcd         ready for SPAN (container, restarted once)
";

#[test]
fn an_etcd_that_is_killed_is_started_again_and_the_vip_is_where_etcd_works() {
    let Some(masters) = harmed(&["kill", "mainstay-etcd"]) else { return };
    masters.shows(M1, UNITS);
    let ended = masters.event_where(M1, "unit_ended", |event| event["detail"]["unit"] == "etcd");
    assert_eq!(ended["why"], "killed by SIGKILL");
    masters.explains(M1, "\
apiserver  10.51.0.100 is on m2 (10.51.0.12), for SPAN (since TIME)
  why         m2 is healthy, priority 244
              m1 ranks before it, priority 254, and leaves a healthy Active alone (preempt = \"degraded-only\")
  last move   m1 -> m2, SPAN ago
              TIME  m2 advertises priority 244 and wins
              TIME  the effective priority falls from 254 to 126
              TIME  the check etcd is sick: etcd does not answer: etcd at https://127.0.0.1:2379 cannot be reached: transport error: tcp connect error: Connection refused (os error 111); is it running (`mainstay status`), and is the way there open?
  would move  m2 degrades or is drained: m1 takes over after 2 ms
              m2 falls silent: m1 takes over after 602 ms
              on purpose: `mainstay vip drain` on m2
  wrong       nothing
");
    masters.explains(
        M2,
        "\
apiserver  10.51.0.100 is here, on m2, for SPAN (since TIME)
  why         m2 is healthy, priority 244: a healthy Active keeps it, whoever else comes
  last move   m1 -> m2, SPAN ago
              TIME  the Active m1 is degraded (priority 126)
              TIME  the Active m1 advertises priority 126: it was 254
              why m1 is degraded: `mainstay explain` on m1
  would move  the check etcd fails here: m1, if healthy, takes over 2 ms after it is noticed
              m2 falls silent: m1, if healthy, takes over after 602 ms
              on purpose: `mainstay vip drain` on m2
  wrong       nothing
",
    );
}

#[test]
fn an_etcd_whose_container_is_removed_gets_a_new_one() {
    let Some(masters) = harmed(&["rm", "--force", "mainstay-etcd"]) else { return };
    masters.shows(M1, UNITS);
    let ended = masters.event_where(M1, "unit_ended", |event| event["detail"]["unit"] == "etcd");
    // Whichever is seen first.
    let told = ["killed by SIGKILL", "the container was removed"];
    assert!(told.contains(&ended["why"].as_str().unwrap()), "{ended}");
}
