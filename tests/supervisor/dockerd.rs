//! dockerd is killed, restarted, or not there.

use lab::{Beneath, Daemon, Stamp, Units};

use crate::masters::{Masters, with_units};
use crate::support::{M1, M2, M3};

#[test]
fn a_dockerd_that_is_killed_leaves_etcd_running_where_containers_outlive_it() {
    let Some(masters) = Masters::up(with_units(Beneath::Etcd)) else { return };
    let (etcd, start) = (masters.etcd_pid(M1), Stamp::now());
    masters.kill_unit(M1, "dockerd");
    masters.restarted(M1, "dockerd");
    masters.well(M1);
    assert_eq!(masters.etcd_pid(M1), etcd, "etcd was restarted");
    // In order, it is the same.
    let ran = masters.mainstay(M1, &["unit", "restart", "dockerd"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    masters.well(M1);
    assert_eq!(masters.etcd_pid(M1), etcd, "etcd was restarted");
    masters.unmoved(M1, start);
    masters.nothing_is_lost();
}

#[test]
fn an_etcd_that_ends_with_dockerd_comes_back_with_it() {
    let units = Units { beneath: Beneath::Etcd, live_restore: false };
    let daemon = Daemon { units: Some(units), ..with_units(Beneath::Etcd) };
    let Some(masters) = Masters::up(daemon) else { return };
    let others = [M2, M3].map(|node| masters.etcd_pid(node));
    let etcd = masters.etcd_pid(M1);
    masters.kill_unit(M1, "dockerd");
    masters.owned_by(M2);
    masters.restarted(M1, "dockerd");
    masters.well(M1);
    assert_ne!(masters.etcd_pid(M1), etcd);
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
    let ended = masters.event_where(M1, "unit_ended", |event| event["detail"]["unit"] == "etcd");
    let why = ended["why"].as_str().unwrap();
    assert!(why.contains("with dockerd: without \"live-restore\": true"), "{why}");
    let etcd = masters.etcd_pid(M1);

    let ran = masters.mainstay(M1, &["unit", "restart", "dockerd"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    masters.well(M1);
    assert_ne!(masters.etcd_pid(M1), etcd);
    assert_eq!([M2, M3].map(|node| masters.etcd_pid(node)), others);
    masters.nothing_is_lost();
}

#[test]
fn a_dockerd_that_comes_late_is_waited_for() {
    let Some(mut masters) = Masters::down(with_units(Beneath::Etcd)) else { return };
    let program = masters.path(M3, "bin/dockerd");
    let real = masters.run(M3, &format!("readlink {program}; rm {program}"));
    let mut commands = [M1, M2].map(|node| masters.spawn(node, &["init"]));
    masters.fails(M3, &["init", "--timeout", "3s"], 1, "\
mainstay: not done within 3s, and still under way: dockerd is backoff, images is blocked, etcd is blocked: see `mainstay status`
");
    // Two of three are a quorum.
    for command in &mut commands {
        assert!(command.wait().unwrap().success());
    }
    masters.write();
    masters.shows(M3, "\
units
  dockerd            backoff for SPAN (exec): DIR/bin/dockerd is not installed: install it, or set its path in the configuration; next attempt in SPAN
  └─ images          blocked for SPAN (task): waits for dockerd
     └─ etcd         blocked for SPAN (container): waits for images
");
    masters.degraded(M3);

    // Nobody has to say anything.
    masters.run(M3, &format!("ln -s {} {program}", real.trim()));
    masters.well(M3);
    masters.nothing_is_lost();
}
