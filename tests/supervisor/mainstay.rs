//! mainstay itself is killed, or has lost what it knew.

use lab::{Beneath, Part, Stamp};
use serde_json::Value;

use crate::masters::{Masters, has_kubelet, until, with_units};
use crate::support::{M1, M2};

/// Kills the daemon on m1, does something while nobody is there, and starts it again: what runs
/// beneath runs on.
fn survived(masters: &Masters, part: Part, meanwhile: impl FnOnce()) {
    let (before, etcd) = (masters.identities(M1), masters.etcd_pid(M1));
    masters.lab().kill(M1, part).unwrap();
    until("the end of the daemon", || {
        masters.lab().pids(M1).unwrap().parent.is_none().then_some(())
    });
    meanwhile();
    masters.start(&[M1], &masters.daemon);
    masters.well(M1);
    assert_eq!(masters.identities(M1), before);
    assert_eq!(masters.etcd_pid(M1), etcd);
    for unit in masters.status(M1)["units"].as_array().unwrap() {
        assert_eq!((&unit["restarts"], &unit["drift"]), (&0.into(), &Value::Null), "{unit}");
    }
    masters.nothing_is_lost();
}

#[test]
fn what_runs_outlives_mainstay_and_is_taken_over() {
    let beneath = if has_kubelet() { Beneath::Kubelet } else { Beneath::Etcd };
    let Some(masters) = Masters::up(with_units(beneath)) else { return };
    let start = Stamp::now();
    survived(&masters, Part::Parent, || {});
    masters.unmoved(M1, start);
    // With its VRRP process the VIP goes, and nothing else.
    survived(&masters, Part::Both, || {
        masters.run(M1, "ip address flush to 10.51.0.100/32");
    });
    masters.owned_by(M2);
}

#[test]
fn what_runs_is_found_again_when_everything_that_was_known_is_damaged() {
    let Some(masters) = Masters::up(with_units(Beneath::Etcd)) else { return };
    let start = Stamp::now();
    let state = masters.path(M1, "state");
    let files = ["supervisor.json", "units.json", "etcd.json", "images.json"];
    survived(&masters, Part::Parent, || {
        for file in files {
            let file = std::path::Path::new(&state).join(file);
            assert!(file.exists(), "{}", file.display());
            std::fs::write(file, "{\"half of it").unwrap();
        }
    });
    let kept = masters.run(M1, &format!("ls {state}"));
    for file in files {
        assert!(kept.contains(&format!("{file}.corrupt-1")), "{kept}");
    }
    masters.event(M1, "state_corrupt");
    masters.unmoved(M1, start);
}
