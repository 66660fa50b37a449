//! Nothing is harmed: masters come up from nothing, and one goes down and comes up again.

use lab::Beneath;
use lab::bring_up::OWN_PART;

use crate::masters::{Masters, has_kubelet, with_units};
use crate::support::{M1, M2, M3};

#[test]
fn masters_come_up_from_nothing_and_the_supervisor_takes_little_of_the_time() {
    let beneath = if has_kubelet() { Beneath::Kubelet } else { Beneath::Etcd };
    let Some(mut masters) = Masters::down(with_units(beneath)) else { return };
    for master in &masters.bring_up() {
        // A machine that is busy delays everything alike; this is not about time.
        assert_eq!(master.own_parts().len() + 1, master.units.len());
        assert!(master.own_parts().iter().all(|part| *part < 20 * OWN_PART), "{master}");
    }
    masters.nothing_is_lost();
    let tree = "\
units
  dockerd            ready for SPAN (exec)
  └─ images          ready for SPAN (task)
     └─ etcd         ready for SPAN (container)
        └─ kubelet   ready for SPAN (exec)
";
    let tree = match beneath {
        Beneath::Kubelet => tree.to_owned(),
        Beneath::Etcd => tree.lines().take(4).map(|line| line.to_owned() + "\n").collect(),
    };
    for &node in masters.lab().nodes() {
        masters.shows(node, &tree);
    }
    // All is stopped in reverse, the VIP first.
    let ran = masters.mainstay(M1, &["down"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let mut order = vec![("VIP", "drained"), ("etcd", "stopped"), ("dockerd", "stopped")];
    if beneath == Beneath::Kubelet {
        order.insert(1, ("kubelet", "stopped"));
    }
    let place = |(unit, text): (&str, &str)| {
        let unit = format!("  {unit} ");
        ran.stdout.lines().position(|line| line.contains(&unit) && line.contains(text))
    };
    let places: Vec<_> = order.into_iter().map(place).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{}", ran.stdout);
    masters.nothing_is_lost_on(&[M2, M3]);
    let ran = masters.mainstay(M1, &["up"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    masters.well(M1);
    masters.nothing_is_lost();
}
