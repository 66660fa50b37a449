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
    masters.restarted(M1, "etcd", 1);
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
    masters.explains(M1, "?");
    masters.explains(M2, "?");
}

#[test]
fn an_etcd_whose_container_is_removed_gets_a_new_one() {
    let Some(masters) = harmed(&["rm", "--force", "mainstay-etcd"]) else { return };
    masters.shows(M1, UNITS);
    let ended = masters.event_where(M1, "unit_ended", |event| event["detail"]["unit"] == "etcd");
    assert_eq!(ended["why"], "killed by SIGKILL");
    masters.explains(M1, "?");
}
