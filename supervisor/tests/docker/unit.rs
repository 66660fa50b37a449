//! dockerd itself as a unit.

use std::sync::Arc;
use std::time::Duration;

use lab::docker::BinaryImage;
use rustix::process::{Pid, Signal, kill_process};
use supervisor::backend::exec::{Exec, ExecSpec, Place};
use supervisor::backend::{Backend, Identity, Readiness, Running};
use supervisor::docker::{Dockerd, Remains};
use supervisor::readiness::Probe;
use supervisor::unit::Name;

use crate::rig::{IMAGE, Rig, soon};

/// The unit `dockerd`, a process of ours.
fn unit(rig: &Rig) -> Dockerd {
    let line = rig.dockerd.setup().command_line();
    let spec = ExecSpec { args: line[1..].to_vec(), ..ExecSpec::new(&line[0]) };
    let place = Place { instance: rig.path("state"), logs: rig.path("logs") };
    let carrier = Exec::new(Name::new("dockerd").unwrap(), spec, Probe::Runs, place);
    Dockerd::new(rig.client.clone(), Arc::new(carrier)).clearing(Remains::of(&line[1..]))
}

/// Where what is started is in the test's namespace.
fn inside(rig: &Rig, test: impl AsyncFnOnce() + Send) {
    let work = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(test());
    };
    lab::within(&rig.dockerd.setup().namespace, work).unwrap();
}

async fn ready(unit: &Dockerd, what: &Identity) {
    soon(async {
        while unit.readiness(what).await != Readiness::Ready {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

fn pid(running: &Running) -> u32 {
    let Identity::Process { pid, .. } = &running.identity else { panic!("{running:?}") };
    *pid
}

fn kill(pid: u32) {
    let pid = Pid::from_raw(pid.try_into().unwrap()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
}

#[test]
fn dockerd_is_started_adopted_killed_started_again_and_stopped() {
    let Some(rig) = Rig::stopped() else { return };
    inside(&rig, async || lives(&rig).await);
}

async fn lives(rig: &Rig) {
    let dockerd = unit(rig);
    assert_eq!(dockerd.adopt(None).await.unwrap(), None);
    let first = dockerd.start().await.unwrap();
    ready(&dockerd, &first.identity).await;
    rig.dockerd.import(&BinaryImage::etcd(IMAGE)).unwrap();
    let etcd = rig.unit(rig.etcd());
    let container = etcd.start().await.unwrap();

    // Another mainstay, with and without what the state on disk says.
    let successor = unit(rig);
    for known in [Some(&first.identity), None] {
        let adopted = successor.adopt(known).await.unwrap().unwrap();
        assert_eq!(adopted.identity, first.identity);
    }

    kill(pid(&first));
    let ended = soon(successor.ended(&first.identity)).await;
    assert!(!ended.success, "{ended:?}");
    // It is a child of this process, and waited for by who has started it.
    assert_eq!(soon(dockerd.ended(&first.identity)).await.reason, "killed by SIGKILL");
    // containerd and the container, which have inherited dockerd's environment, are not taken for it.
    for known in [Some(&first.identity), None] {
        assert_eq!(successor.adopt(known).await.unwrap(), None);
    }
    assert_ne!(successor.readiness(&first.identity).await, Readiness::Ready);
    let second = successor.start().await.unwrap();
    assert_ne!(pid(&second), pid(&first));
    ready(&successor, &second.identity).await;
    let adopted = etcd.adopt(None).await.unwrap().expect("live-restore");
    assert_eq!(adopted.identity, container.identity);

    etcd.stop(&container.identity, Duration::from_secs(10)).await.unwrap();
    successor.stop(&second.identity, Duration::from_secs(30)).await.unwrap();
    assert_eq!(successor.adopt(None).await.unwrap(), None);
}

#[test]
fn the_first_start_after_a_kill_succeeds_whatever_was_left_behind() {
    let Some(rig) = Rig::stopped() else { return };
    inside(&rig, async || comes_back(&rig).await);
}

async fn comes_back(rig: &Rig) {
    let dockerd = unit(rig);
    let mut running = dockerd.start().await.unwrap();
    ready(&dockerd, &running.identity).await;
    for round in 0..5 {
        kill(pid(&running));
        // Not even reaped in the odd rounds: another mainstay starts the next one.
        let next = if round % 2 == 0 {
            soon(dockerd.ended(&running.identity)).await;
            unit(rig)
        } else {
            let next = unit(rig);
            soon(next.ended(&running.identity)).await;
            next
        };
        if round == 4 {
            // The number has been given to another process.
            std::fs::write(rig.path("docker.pid"), std::process::id().to_string()).unwrap();
        }
        let again = soon(next.start()).await.unwrap();
        tokio::select! {
            () = ready(&next, &again.identity) => {}
            ended = next.ended(&again.identity) => panic!("round {round}: {}", ended.reason),
        }
        running = again;
    }
    dockerd.stop(&running.identity, Duration::from_secs(30)).await.unwrap();
}

#[tokio::test]
async fn a_dockerd_of_somebody_else_is_adopted_watched_and_stopped() {
    let Some(mut rig) = Rig::stopped() else { return };
    let dockerd = unit(&rig);
    rig.dockerd.start().unwrap();
    let found = dockerd.adopt(None).await.unwrap().expect("it answers");
    assert_eq!(
        dockerd.adopt(Some(&found.identity)).await.unwrap().unwrap().identity,
        found.identity
    );
    assert_eq!(dockerd.readiness(&found.identity).await, Readiness::Ready);
    assert!(found.drift.is_none());

    rig.dockerd.kill();
    soon(dockerd.ended(&found.identity)).await;
    assert_eq!(dockerd.adopt(Some(&found.identity)).await.unwrap(), None);

    rig.dockerd.start().unwrap();
    let found = dockerd.adopt(None).await.unwrap().unwrap();
    dockerd.stop(&found.identity, Duration::from_secs(30)).await.unwrap();
    assert_eq!(dockerd.adopt(None).await.unwrap(), None);
}
