//! What must not be done, or cannot, and the words for it.

use std::fs;
use std::time::Duration;

use supervisor::backend::Backend;
use supervisor::backend::container::ContainerSpec;

use crate::rig::{IMAGE, Rig};

#[tokio::test]
async fn a_folder_that_is_missing_is_never_made() {
    let Some(rig) = Rig::running() else { return };
    let unit = rig.unit(rig.etcd());
    let running = unit.start().await.unwrap();
    unit.stop(&running.identity, Duration::from_secs(10)).await.unwrap();
    // As when the disk is not mounted: the container that exists is not started either.
    let data = rig.path("etcd");
    fs::rename(&data, rig.path("unmounted")).unwrap();
    let fault = unit.start().await.unwrap_err();
    assert!(fault.refused && fault.reason.contains("mount its disk"), "{fault}");
    // Nor by docker, if it vanishes just then.
    assert!(rig.dockerd.docker(&["start", "mainstay-etcd"]).is_err());
    assert!(!data.exists());
}

#[tokio::test]
async fn a_stranger_with_the_name_is_left_alone() {
    let Some(rig) = Rig::running() else { return };
    rig.docker(&format!("create --name mainstay-etcd {IMAGE} /usr/bin/etcd"));
    let fault = rig.unit(rig.etcd()).start().await.unwrap_err();
    assert!(fault.refused && fault.reason.contains("docker rename mainstay-etcd"), "{fault}");
    assert_eq!(rig.docker("ps -aq").lines().count(), 1);
}

#[tokio::test]
async fn a_program_that_is_not_in_the_image_is_a_fault_in_words() {
    let Some(rig) = Rig::running() else { return };
    let spec = ContainerSpec { command: vec!["/usr/bin/none".to_owned()], ..rig.etcd() };
    let fault = rig.unit(spec).start().await.unwrap_err();
    assert!(!fault.refused && fault.reason.contains("/usr/bin/none"), "{fault}");
}

#[tokio::test]
async fn without_the_right_to_an_oom_score_adj_the_container_runs_and_says_so() {
    let Some(rig) = Rig::with(|setup| setup.oom_runtime = false) else { return };
    let rig = rig.started();
    let unit = rig.unit(ContainerSpec { oom_score_adj: Some(-998), ..rig.etcd() });
    let running = unit.start().await.unwrap();
    let told = running.drift.is_some_and(|drift| drift.contains("oom_score_adj"));
    assert_eq!(told, !may_raise());
    assert_eq!(unit.start().await.unwrap().identity, running.identity);
    // Started again it is tried again, and succeeds again.
    unit.stop(&running.identity, Duration::from_secs(10)).await.unwrap();
    unit.start().await.unwrap();
    assert_eq!(rig.docker("ps -aq").lines().count(), 1);
}

/// Whether this machine grants CAP_SYS_RESOURCE, capability 24.
fn may_raise() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
    u64::from_str_radix(effective.trim(), 16).unwrap() & (1 << 24) != 0
}
