//! dockerd goes away and comes back.

use std::time::Duration;

use supervisor::backend::{Backend, Ended, Identity, Readiness};

use crate::rig::{Rig, id, soon};

/// Lets the watch of a container run until `change`, and for a while after it.
async fn watched(
    unit: &impl Backend,
    what: &Identity,
    change: impl Future<Output = ()>,
) -> Option<Ended> {
    tokio::select! {
        ended = unit.ended(what) => Some(ended),
        // Long enough for several attempts to reach dockerd.
        () = async { change.await; tokio::time::sleep(Duration::from_secs(2)).await } => None,
    }
}

#[tokio::test]
async fn with_live_restore_neither_a_restart_nor_a_kill_of_dockerd_ends_a_container() {
    let Some(mut rig) = Rig::running() else { return };
    let unit = rig.unit(rig.etcd());
    let running = unit.start().await.unwrap();
    let pid = rig.docker(&format!("inspect -f {{{{.State.Pid}}}} {}", id(&running)));
    assert_eq!(rig.client.info().await.unwrap().warnings(None), Vec::<String>::new());

    let dockerd = &mut rig.dockerd;
    let seen = watched(&unit, &running.identity, async {
        tokio::task::yield_now().await;
        dockerd.kill();
        tokio::time::sleep(Duration::from_millis(600)).await;
        dockerd.start().unwrap();
    });
    assert_eq!(seen.await, None);
    let seen = watched(&unit, &running.identity, async {
        tokio::task::yield_now().await;
        dockerd.stop().unwrap();
        tokio::time::sleep(Duration::from_millis(600)).await;
        dockerd.start().unwrap();
    });
    assert_eq!(seen.await, None);
    assert_eq!(rig.docker(&format!("inspect -f {{{{.State.Pid}}}} {}", id(&running))), pid);
    let adopted = unit.adopt(Some(&running.identity)).await.unwrap().unwrap();
    assert_eq!(adopted.identity, running.identity);

    // It is still watched.
    let (ended, _) = soon(async {
        tokio::join!(unit.ended(&running.identity), async { rig.docker("kill mainstay-etcd") })
    })
    .await;
    assert_eq!(ended.reason, "killed by SIGKILL");
}

#[tokio::test]
async fn without_live_restore_the_container_ends_with_dockerd_and_says_so() {
    let Some(rig) = Rig::with(|setup| setup.live_restore = false) else { return };
    let mut rig = rig.started();
    let unit = rig.unit(rig.etcd());
    let warnings = rig.client.info().await.unwrap().warnings(None);
    assert!(warnings.iter().any(|warning| warning.contains("live-restore")), "{warnings:?}");
    for killed in [true, false] {
        let running = unit.start().await.unwrap();
        let dockerd = &mut rig.dockerd;
        let (ended, ()) = soon(async {
            tokio::join!(unit.ended(&running.identity), async {
                tokio::task::yield_now().await;
                if killed {
                    dockerd.kill();
                } else {
                    dockerd.stop().unwrap();
                }
                tokio::time::sleep(Duration::from_millis(600)).await;
                dockerd.start().unwrap();
            })
        })
        .await;
        assert!(ended.reason.contains("live-restore") && !ended.success, "{killed} {ended:?}");
    }
    unit.start().await.unwrap();
}

#[tokio::test]
async fn a_socket_that_is_absent_is_a_passing_fault_and_is_found_when_it_appears() {
    let Some(rig) = Rig::stopped() else { return };
    let unit = rig.unit(rig.etcd());
    let fault = unit.adopt(None).await.unwrap_err();
    assert!(!fault.refused);
    let socket = rig.client.socket().display().to_string();
    assert!(fault.reason.contains(&socket) && fault.reason.contains("docker running"), "{fault}");
    assert_eq!(unit.start().await.unwrap_err(), fault);
    assert!(rig.client.ping().await.is_err());

    let mut rig = rig.started();
    let running = unit.start().await.unwrap();
    // Nobody listens on a socket that is there.
    rig.dockerd.kill();
    let fault = unit.adopt(Some(&running.identity)).await.unwrap_err();
    assert!(!fault.refused && fault.reason.contains("Connection refused"), "{fault}");
    rig.dockerd.start().unwrap();
    assert!(unit.adopt(Some(&running.identity)).await.unwrap().is_some());
}

#[tokio::test]
async fn a_dockerd_that_hangs_is_not_waited_for_and_ends_nothing() {
    let Some(rig) = Rig::running() else { return };
    let unit = rig.unit(rig.etcd());
    let running = unit.start().await.unwrap();
    rig.dockerd.freeze(true);
    let seen = watched(&unit, &running.identity, async {
        let error = soon(rig.client.ping()).await.unwrap_err();
        assert!(error.to_string().contains("took too long"), "{error}");
        let Readiness::NotReady(why) = soon(unit.readiness(&running.identity)).await else {
            panic!("it cannot be known")
        };
        assert!(why.contains("does not say"), "{why}");
        rig.dockerd.freeze(false);
    });
    assert_eq!(seen.await, None);
    assert_eq!(soon(unit.readiness(&running.identity)).await, Readiness::Ready);
}
