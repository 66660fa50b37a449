//! A real kubelet 1.20 with dockershim on a real dockerd, and a real containerd's CRI.
//!
//! Runs where a kubelet was built: `MAINSTAY_KUBELET` names it, or it is in the lab's cache.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod containerd;
mod rig;

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use supervisor::backend::{Backend, Identity, Readiness, Running};
use supervisor::kubelet::Version;

use rig::Rig;

fn pid(run: &Running) -> Pid {
    match &run.identity {
        Identity::Process { pid, .. } => Pid::from_raw(pid.cast_signed()).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_real_kubelet_1_20_is_started_adopted_and_stopped_and_its_pods_outlive_it() {
    let Some(binary) = rig::kubelet() else { return };
    let rig = Rig::new();
    rig.add_static_pod();
    rig.within(async {
        assert_eq!(Version::of(&binary).await.unwrap(), Version::OLDEST);
        let settings = rig.settings(&binary);
        let kubelet = rig.exec(settings.clone());
        assert_eq!(kubelet.adopt(None).await.unwrap(), None);

        // Started, it answers at /healthz and runs the static pod.
        let first = kubelet.start().await.unwrap();
        rig::ready(&kubelet, &first).await;
        rig::until("the static pod", || rig.containers().contains("k8s_idle_idle-m1")).await;
        let containers = rig.containers();

        // A successor of ours takes it as it is.
        let successor = rig.exec(settings.clone());
        for known in [Some(&first.identity), None] {
            let adopted = successor.adopt(known).await.unwrap().unwrap();
            assert_eq!((&adopted.identity, &adopted.drift), (&first.identity, &None));
        }
        // Another configuration file is drift, though flags are the same.
        let mut changed = settings.clone();
        changed.overrides.insert("maxPods".into(), json!(30));
        assert!(rig.exec(changed).adopt(None).await.unwrap().unwrap().drift.is_some());

        // Killed: that is told, and the pod lives.
        let ended = async {
            tokio::join!(kubelet.ended(&first.identity), async {
                kill_process(pid(&first), Signal::KILL).unwrap();
            })
            .0
        };
        let ended = tokio::time::timeout(Duration::from_secs(20), ended).await.unwrap();
        assert!(ended.reason.contains("SIGKILL"), "{ended:?}");
        assert!(matches!(kubelet.readiness(&first.identity).await, Readiness::NotReady(_)));
        assert_eq!(rig.containers(), containers);

        // The next one finds it.
        let second = kubelet.start().await.unwrap();
        assert_ne!(second.identity, first.identity);
        rig::ready(&kubelet, &second).await;
        assert_eq!(rig.containers(), containers);

        kubelet.stop(&second.identity, Duration::from_secs(20)).await.unwrap();
        assert_eq!(kubelet.adopt(Some(&second.identity)).await.unwrap(), None);
        assert_eq!(rig.containers(), containers);
    });
}

#[test]
fn what_kubelet_needs_is_named_before_it_starts() {
    let Some(binary) = rig::kubelet() else { return };
    let rig = Rig::new();
    rig.within(async {
        let mut settings = rig.settings(&binary);
        settings.client_ca = rig.path("absent/ca.crt");
        let fault = rig.exec(settings.clone()).start().await.unwrap_err();
        assert!(!fault.refused && fault.reason.contains("mainstay certs issue"), "{fault}");
        settings = rig.settings(&binary);
        settings.kubeconfig = Some(rig.path("kubelet.conf"));
        let fault = rig.exec(settings.clone()).start().await.unwrap_err();
        assert!(!fault.refused && fault.reason.contains("kubelet.conf"), "{fault}");
        settings = rig.settings(&rig.path("kubelet-of-nobody"));
        let fault = rig.exec(settings).start().await.unwrap_err();
        assert!(fault.reason.contains("install kubelet 1.20"), "{fault}");
    });
}
