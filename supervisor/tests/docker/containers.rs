//! A container through its life.

use std::time::Duration;

use supervisor::backend::container::ContainerSpec;
use supervisor::backend::{Backend, Identity, Readiness};

use crate::rig::{IMAGE, Rig, id, soon};

#[tokio::test]
async fn a_container_is_found_again_by_a_mainstay_that_knows_nothing_of_it() {
    let Some(rig) = Rig::running() else { return };
    let spec = rig.etcd();
    let unit = rig.unit(spec.clone());
    assert_eq!(unit.adopt(None).await.unwrap(), None);
    let started = unit.start().await.unwrap();
    let Identity::Container { spec_hash, .. } = &started.identity else { panic!() };
    assert_eq!(*spec_hash, spec.hash());
    assert_eq!(started.drift, None);
    assert_eq!(unit.readiness(&started.identity).await, Readiness::Ready);

    let successor = rig.unit(spec);
    let adopted = successor.adopt(None).await.unwrap().expect("it runs");
    assert_eq!((&adopted.identity, &adopted.drift), (&started.identity, &None));
    assert!(adopted.age.is_some_and(|age| age < Duration::from_secs(3600)));
    // To start what runs changes nothing.
    assert_eq!(successor.start().await.unwrap().identity, started.identity);
    assert_eq!(rig.docker("ps -aq").lines().count(), 1);

    // Stopped and started from the same it stays the same container, with its output.
    successor.stop(&started.identity, Duration::from_secs(10)).await.unwrap();
    assert_eq!(successor.adopt(None).await.unwrap(), None);
    assert_ne!(successor.readiness(&started.identity).await, Readiness::Ready);
    let again = successor.start().await.unwrap();
    assert_eq!(again.identity, started.identity);
    // To stop what is gone is no failure.
    rig.docker(&format!("rm -f {}", id(&again)));
    successor.stop(&again.identity, Duration::from_secs(10)).await.unwrap();
}

#[tokio::test]
async fn a_container_that_is_killed_or_removed_has_ended_and_is_started_again() {
    let Some(rig) = Rig::running() else { return };
    let unit = rig.unit(rig.etcd());
    let first = unit.start().await.unwrap();
    let (ended, _) = soon(async {
        tokio::join!(unit.ended(&first.identity), async {
            rig.docker(&format!("kill {}", id(&first)))
        })
    })
    .await;
    assert_eq!((ended.reason.as_str(), ended.success), ("killed by SIGKILL", false));

    let second = unit.start().await.unwrap();
    assert_eq!(second.identity, first.identity);
    rig.docker(&format!("rm -f {}", id(&second)));
    let ended = soon(unit.ended(&second.identity)).await;
    assert_eq!(ended.reason, "the container was removed");

    let third = unit.start().await.unwrap();
    assert_ne!(third.identity, second.identity);
    assert!(rig.path("etcd/member").exists(), "its data has outlived all that");
}

#[tokio::test]
async fn drift_is_named_and_undone_by_a_stop_and_a_start() {
    let Some(rig) = Rig::running() else { return };
    let spec = rig.etcd();
    let first = rig.unit(spec.clone()).start().await.unwrap();

    let changed = ContainerSpec { env: [("A".to_owned(), "b".to_owned())].into(), ..spec };
    let unit = rig.unit(changed);
    let adopted = unit.adopt(Some(&first.identity)).await.unwrap().unwrap();
    assert_eq!(adopted.identity, first.identity, "it runs on");
    let drift = "the container was made from another specification: env";
    assert_eq!(adopted.drift.as_deref(), Some(drift));
    unit.stop(&adopted.identity, Duration::from_secs(10)).await.unwrap();
    let second = unit.start().await.unwrap();
    assert_ne!(id(&second), id(&first));
    assert_eq!(second.drift, None);
    assert_eq!(rig.docker("ps -aq").lines().count(), 1);

    // The same name, another image.
    rig.docker(&format!("commit {} {IMAGE}", id(&second)));
    let drift = unit.adopt(None).await.unwrap().unwrap().drift;
    assert_eq!(drift.as_deref(), Some("etcd:lab is another image now"));
    rig.docker(&format!("update --restart always {}", id(&second)));
    unit.stop(&second.identity, Duration::from_secs(10)).await.unwrap();
    let third = unit.start().await.unwrap();
    assert_ne!(id(&third), id(&second));
    assert_eq!(third.drift, None);
    rig.docker(&format!("update --restart always {}", id(&third)));
    let drift = unit.adopt(None).await.unwrap().unwrap().drift.unwrap();
    assert!(drift.contains("docker update --restart no mainstay-etcd"), "{drift}");
}

#[tokio::test]
async fn arguments_for_one_start_are_not_there_at_the_next() {
    let Some(rig) = Rig::running() else { return };
    let (container, spec) = (rig.container(), rig.etcd());
    let once = ["--force-new-cluster".to_owned()];
    let first = container.start(&spec, &once).await.unwrap();
    assert_eq!(first.drift, None);
    let command = rig.docker(&format!("inspect -f {{{{.Args}}}} {}", id(&first)));
    assert!(command.contains("--force-new-cluster"), "{command}");
    container.stop(id(&first), Duration::from_secs(10)).await.unwrap();
    let second = container.start(&spec, &[]).await.unwrap();
    let command = rig.docker(&format!("inspect -f {{{{.Args}}}} {}", id(&second)));
    assert!(!command.contains("--force-new-cluster"), "{command}");
}

#[tokio::test]
async fn output_is_read_and_followed_to_the_end() {
    let Some(rig) = Rig::running() else { return };
    let unit = rig.unit(rig.etcd());
    let running = unit.start().await.unwrap();
    let mut followed = unit.logs(1000, true).await.unwrap();
    let mut text = String::new();
    soon(async {
        while !text.contains("ready to serve client requests") {
            let piece = followed.recv().await.expect("more output");
            text.push_str(&String::from_utf8_lossy(&piece));
        }
    })
    .await;
    unit.stop(&running.identity, Duration::from_secs(10)).await.unwrap();
    // Ends with the container.
    soon(async { while followed.recv().await.is_some() {} }).await;
    let mut lines = unit.logs(2, false).await.unwrap();
    let mut last = Vec::new();
    while let Some(piece) = lines.recv().await {
        last.extend(piece);
    }
    assert_eq!(String::from_utf8_lossy(&last).lines().count(), 2);
}

#[tokio::test]
async fn a_tool_of_an_image_runs_to_its_end_beside_the_unit() {
    let Some(rig) = Rig::running() else { return };
    let container = rig.container();
    let unit = container.start(&rig.etcd(), &[]).await.unwrap();
    let tool = |command: &[&str]| ContainerSpec {
        image: IMAGE.to_owned(),
        command: command.iter().map(|&word| word.to_owned()).collect(),
        ..ContainerSpec::default()
    };
    let limit = Duration::from_secs(60);
    let run = async |spec| container.run_once(&spec, "tool", limit).await.unwrap();
    let version = run(tool(&["/usr/bin/etcd", "--version"])).await;
    assert!(version.success && version.text.contains("etcd Version: 3."), "{version:?}");
    let wrong = run(tool(&["/usr/bin/etcd", "--wrong"])).await;
    assert!(!wrong.success && wrong.text.contains("-wrong"), "{wrong:?}");
    // One that does not end is killed, and leaves nothing.
    let endless = tool(&[
        "/usr/bin/etcd",
        "--listen-client-urls=http://127.0.0.1:3379",
        "--advertise-client-urls=http://127.0.0.1:3379",
        "--listen-peer-urls=http://127.0.0.1:3380",
    ]);
    let fault = container.run_once(&endless, "tool", Duration::ZERO).await.unwrap_err();
    assert!(fault.reason.contains("has not ended"), "{fault}");
    assert_eq!(rig.docker("ps -aq --no-trunc"), id(&unit));
}
