//! etcd's data are gone, elsewhere, or have no room.

use lab::Beneath;

use crate::masters::{DATA, Masters, with_units};
use crate::support::{M1, M2, M3};

#[test]
fn an_etcd_whose_data_are_gone_is_not_started_and_says_how_it_is_replaced() {
    let Some(masters) = Masters::up(with_units(Beneath::Etcd)) else { return };
    let data = masters.path(M1, DATA);
    masters.run(M1, &format!("rm -r {data}/member"));
    masters.lab().docker(M1, &["kill", "mainstay-etcd"]).unwrap();
    masters.owned_by(M2);
    masters.unit_is(M1, "etcd", "failed");
    masters.shows(M1, "\
units
  dockerd            ready for SPAN (exec)
  └─ images          ready for SPAN (task)
     └─ etcd         failed for SPAN (container): etcd is not started: this node is member ID of cluster ID, but DIR/etcd has been emptied
                     -> Put the data back, or mount its disk. If it is lost for good: mainstay etcd replace. Where too few other members live for that, it says how to begin anew with what is left
");
    masters.explains(M1, "\
apiserver  10.51.0.100 is on m2 (10.51.0.12), for SPAN (since TIME)
  why         m2 is healthy, priority 244
              m1 is degraded: it takes over from nobody that lives
  last move   m1 -> m2, SPAN ago
              TIME  m2 advertises priority 244 and wins
              TIME  the effective priority falls from 254 to 126
              TIME  the check etcd is sick: etcd does not answer: etcd at https://127.0.0.1:2379 cannot be reached: transport error: tcp connect error: Connection refused (os error 111); is it running (`mainstay status`), and is the way there open?
  would move  m2 degrades or is drained: m3, if healthy, takes over after 18 ms, m1 does not while it is degraded
              m2 falls silent: m3, if healthy, takes over after 618 ms, else m1 after 702 ms
              on purpose: `mainstay vip drain` on m2
  WRONG       the check etcd has been sick for SPAN: etcd does not answer: etcd at https://127.0.0.1:2379 cannot be reached: transport error: tcp connect error: Connection refused (os error 111); is it running (`mainstay status`), and is the way there open?

m1
  WRONG       the unit etcd has failed for SPAN: etcd is not started: this node is member ID of cluster ID, but DIR/etcd has been emptied
              -> Put the data back, or mount its disk. If it is lost for good: mainstay etcd replace. Where too few other members live for that, it says how to begin anew with what is left
");
    masters.fails(M1, &["up", "--timeout", "5s"], 5, "\
mainstay: etcd is failed: etcd is not started: this node is member ID of cluster ID, but DIR/etcd has been emptied. Put the data back, or mount its disk. If it is lost for good: mainstay etcd replace. Where too few other members live for that, it says how to begin anew with what is left
");
    // Nobody has begun anything in its place.
    assert_eq!(masters.run(M1, &format!("ls -A {data}")), "");
    masters.nothing_is_lost_on(&[M2, M3]);

    // What it said helps.
    let ran = masters.mainstay(M1, &["etcd", "replace"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    masters.well(M1);
    masters.nothing_is_lost();
}

#[test]
fn an_etcd_whose_disk_is_not_mounted_is_not_started_until_it_is() {
    let Some(masters) = Masters::up(with_units(Beneath::Etcd)) else { return };
    let data = masters.path(M1, DATA);
    let ran = masters.mainstay(M1, &["unit", "stop", "etcd"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    masters.owned_by(M2);
    // In the place of a disk that is no longer mounted, one that is.
    masters.run(M1, &format!("mount -t tmpfs other-disk {data}"));
    masters.fails(M1, &["unit", "start", "etcd", "--timeout", "10s"], 5, "\
mainstay: etcd is failed: etcd is not started: this node is member ID of cluster ID, but DIR/etcd is on another file system (tmpfs mounted at DIR/etcd, number ID) than its data was (DISK). Mount the disk with the data. If it is lost for good: mainstay etcd replace
");
    masters.shows(M1, "\
units
  dockerd            ready for SPAN (exec)
  └─ images          ready for SPAN (task)
     └─ etcd         failed for SPAN (container): etcd is not started: this node is member ID of cluster ID, but DIR/etcd is on another file system (tmpfs mounted at DIR/etcd, number ID) than its data was (DISK)
                     -> Mount the disk with the data. If it is lost for good: mainstay etcd replace
");
    masters.explains(M1, "\
apiserver  10.51.0.100 is on m2 (10.51.0.12), for SPAN (since TIME)
  why         m2 is healthy, priority 244
              m1 is degraded: it takes over from nobody that lives
  last move   m1 -> m2, SPAN ago
              TIME  m2 advertises priority 244 and wins
              TIME  the effective priority falls from 254 to 126
              TIME  the check etcd is sick: etcd does not answer: etcd at https://127.0.0.1:2379 cannot be reached: transport error: tcp connect error: Connection refused (os error 111); is it running (`mainstay status`), and is the way there open?
              TIME  the unit etcd is being stopped
  would move  m2 degrades or is drained: m3, if healthy, takes over after 18 ms, m1 does not while it is degraded
              m2 falls silent: m3, if healthy, takes over after 618 ms, else m1 after 702 ms
              on purpose: `mainstay vip drain` on m2
  WRONG       the check etcd has been sick for SPAN: etcd does not answer: etcd at https://127.0.0.1:2379 cannot be reached: transport error: tcp connect error: Connection refused (os error 111); is it running (`mainstay status`), and is the way there open?

m1
  WRONG       the unit etcd has failed for SPAN: etcd is not started: this node is member ID of cluster ID, but DIR/etcd is on another file system (tmpfs mounted at DIR/etcd, number ID) than its data was (DISK)
              -> Mount the disk with the data. If it is lost for good: mainstay etcd replace
");
    assert_eq!(masters.run(M1, &format!("ls -A {data}")), "");
    masters.nothing_is_lost_on(&[M2, M3]);

    // Mounted again: it would start by itself within a minute, when the guard is asked next.
    masters.run(M1, &format!("umount {data}"));
    let ran = masters.mainstay(M1, &["unit", "start", "etcd"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    masters.well(M1);
    masters.nothing_is_lost();
}

#[test]
fn an_etcd_whose_disk_is_full_says_so_and_goes_on_when_there_is_room() {
    let Some(mut masters) = Masters::down(with_units(Beneath::Etcd)) else { return };
    let data = masters.path(M1, DATA);
    // Two segments of the log, which are made in advance, and some room.
    masters.run(
        M1,
        &format!(
            "mkdir -p {data}; chmod 700 {data}; mount -t tmpfs -o size=176m,mode=0700 small-disk {data}"
        ),
    );
    masters.bring_up();
    masters.run(M1, &format!("head -c 176M /dev/zero > {data}/filler 2>/dev/null || true"));
    masters.owned_by(M2);
    masters.unit_until(M1, "etcd", "to say that its disk is full", |unit| {
        unit["state"] != "ready"
            && unit["reason"].as_str().is_some_and(|why| why.contains("is full: free space on it"))
    });
    masters.nothing_is_lost_on(&[M2, M3]);
    masters.run(M1, &format!("rm {data}/filler"));
    masters.well(M1);
    masters.nothing_is_lost();
}
