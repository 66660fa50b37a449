//! kubelet is killed, or ends again and again.

use lab::{Beneath, Stamp};

use crate::masters::{Masters, has_kubelet, with_units};
use crate::support::M1;

fn up() -> Option<Masters> {
    has_kubelet().then(|| Masters::up(with_units(Beneath::Kubelet))).flatten()
}

#[test]
fn a_kubelet_that_is_killed_is_started_again_and_nothing_else_is_touched() {
    let Some(masters) = up() else { return };
    let (etcd, dockerd) = (masters.etcd_pid(M1), masters.pid(M1, "dockerd"));
    let start = Stamp::now();
    masters.kill_unit(M1, "kubelet");
    masters.restarted(M1, "kubelet");
    let units = "\
units
  dockerd            ready for SPAN (exec)
  └─ images          ready for SPAN (task)
     └─ etcd         ready for SPAN (container)
        └─ kubelet   ready for SPAN (exec, restarted once)
";
    masters.shows(M1, units);
    let ended = masters.event_where(M1, "unit_ended", |event| event["detail"]["unit"] == "kubelet");
    assert_eq!(ended["why"], "killed by SIGKILL");
    assert_eq!((masters.etcd_pid(M1), masters.pid(M1, "dockerd")), (etcd, dockerd));
    masters.unmoved(M1, start);
    masters.nothing_is_lost();
}

#[test]
fn a_kubelet_that_ends_again_and_again_is_named_and_harms_nobody() {
    let Some(masters) = up() else { return };
    let (etcd, dockerd) = (masters.etcd_pid(M1), masters.pid(M1, "dockerd"));
    let start = Stamp::now();
    let flag = "no-such-flag = \"1\"\n";
    masters.reconfigure(M1, |text| {
        text.replace("[kubelet.flags]\n", &format!("[kubelet.flags]\n{flag}"))
    });
    // A changed configuration changes nothing that runs.
    masters.unit_until(M1, "kubelet", "to differ", |unit| unit["drift"].is_string());
    assert_eq!(masters.unit(M1, "kubelet")["state"], "ready");
    let ran = masters.mainstay(M1, &["apply", "kubelet", "--timeout", "20s"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    masters.unit_is(M1, "kubelet", "crash-looping");
    masters.shows(M1, "\
units
  dockerd            ready for SPAN (exec)
  └─ images          ready for SPAN (task)
     └─ etcd         ready for SPAN (container)
        └─ kubelet   crash-looping for SPAN (exec, restarted 5 times): exited with code 255; next attempt in SPAN
");
    masters.event_where(M1, "unit_crash_loop", |event| event["detail"]["unit"] == "kubelet");
    assert_eq!((masters.etcd_pid(M1), masters.pid(M1, "dockerd")), (etcd, dockerd));

    masters.reconfigure(M1, |text| text.replace(flag, ""));
    let ran = masters.mainstay(M1, &["unit", "start", "kubelet"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    masters.well(M1);
    masters.unmoved(M1, start);
    masters.nothing_is_lost();
}
