//! Snapshots that are taken, kept, verified, and restored to a new cluster.

use std::time::Duration;

use supervisor::etcd::guard::Force;
use supervisor::etcd::restore::HostTools;
use supervisor::etcd::rpc::messages::RangeRequest;
use supervisor::etcd::schedule::Schedule;
use supervisor::etcd::snapshot::{Snapshots, verify};
use supervisor::etcd::{Error, Progress, Refusal};

use super::rig::{PATIENCE, Rig};

async fn value(url: &str, rig: &Rig, key: &str) -> Option<Vec<u8>> {
    let client = rig.masters[0].etcd.settings().access().client(url).await.unwrap();
    let request = RangeRequest { key: key.into(), ..RangeRequest::default() };
    client.range(request).await.unwrap().kvs.into_iter().next().map(|pair| pair.value)
}

#[tokio::test]
async fn a_snapshot_becomes_a_new_cluster_that_the_other_masters_join() {
    let Some(mut rig) = Rig::mesh_of_three().await else { return };
    let quiet = Progress::none();
    let url = rig.masters[0].etcd.settings().me.client_url();
    let access = rig.masters[0].etcd.settings().access();
    let client = access.client(&url).await.unwrap();
    client.put(b"before", b"kept").await.unwrap();
    let snapshots = Snapshots::new(rig.folder.join("snapshots"), 3);
    let taken = rig.masters[0].etcd.snapshot(&snapshots, &quiet).await.unwrap();
    client.put(b"after", b"lost").await.unwrap();
    let file = taken.snapshot.path;
    assert_eq!(verify(&file).unwrap(), taken.snapshot.bytes);
    let old = rig.survey().await.cluster;
    assert_eq!(taken.snapshot.origin.unwrap().cluster, old);

    // A cluster that works is not thrown away, one that runs here neither.
    let runs =
        rig.masters[0].etcd.restore(file.clone(), &HostTools, Force::No, &quiet).await.unwrap_err();
    assert!(matches!(runs.refusal(), Some(Refusal::StillRuns)), "{runs}");
    rig.masters[0].kill();
    let works =
        rig.masters[0].etcd.restore(file.clone(), &HostTools, Force::No, &quiet).await.unwrap_err();
    assert!(
        matches!(works.refusal(), Some(Refusal::ClusterWorks { voters: 3, healthy: 2 })),
        "{works}"
    );

    // Two of three are lost: what is left is not touched by itself.
    rig.masters[1].kill();
    rig.masters[0].start().await.unwrap();
    rig.masters[1].lose_everything();
    rig.masters[2].lose_everything();
    rig.masters[0].kill();
    let broken = rig.folder.join("broken.db");
    std::fs::write(&broken, &std::fs::read(&file).unwrap()[..4096]).unwrap();
    let bad = rig.masters[0].etcd.restore(broken, &HostTools, Force::No, &quiet).await.unwrap_err();
    assert!(matches!(bad, Error::BadSnapshot { .. }), "{bad}");

    rig.masters[0].etcd.restore(file, &HostTools, Force::No, &quiet).await.unwrap();
    rig.masters[0].start().await.unwrap();
    rig.masters[0].ready().await;
    let restored = rig.survey().await;
    assert_ne!(restored.cluster, old);
    assert_eq!(restored.members.len(), 1);
    for index in [1, 2] {
        rig.masters[index].join().await;
    }
    rig.until("three voters", |survey| survey.voters().count() == 3).await;
    let other = rig.masters[2].etcd.settings().me.client_url();
    assert_eq!(value(&other, &rig, "before").await.as_deref(), Some(b"kept".as_slice()));
    assert_eq!(value(&other, &rig, "after").await, None);
    let aside = std::fs::read_dir(rig.masters[0].data_dir()).unwrap();
    assert!(aside.flatten().any(|it| it.file_name().to_string_lossy().starts_with("set-aside-")));
}

#[tokio::test]
async fn with_two_of_three_lost_the_refusal_says_the_way_and_the_way_works() {
    let Some(mut rig) = Rig::mesh_of_three().await else { return };
    let quiet = Progress::none();
    let url = rig.masters[0].etcd.settings().me.client_url();
    let client = rig.masters[0].etcd.settings().access().client(&url).await.unwrap();
    client.put(b"last", b"acknowledged").await.unwrap();
    for index in [1, 2] {
        rig.masters[index].lose_everything();
    }
    rig.until("no quorum", |survey| !survey.strength().has_quorum()).await;

    // The new machine is told what to do on the one that is left.
    let refused = rig.masters[1].etcd.replace(None, Force::No, &quiet).await.unwrap_err();
    let words = refused.to_string();
    let way = [
        "on m1",
        "`mainstay etcd snapshot`",
        "`mainstay unit stop etcd`",
        "`mainstay etcd restore FILE`",
        "`mainstay unit start etcd`",
        "on each other master `mainstay etcd replace`",
        "restart API servers and kubelets",
    ];
    let places: Vec<_> = way.iter().map(|step| words.find(step)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?}: {words}");

    let snapshots = Snapshots::new(rig.folder.join("snapshots"), 3);
    let taken = rig.masters[0].etcd.snapshot(&snapshots, &quiet).await.unwrap();
    rig.masters[0].kill();
    let file = taken.snapshot.path;
    rig.masters[0].etcd.restore(file, &HostTools, Force::No, &quiet).await.unwrap();
    rig.masters[0].start().await.unwrap();
    rig.masters[0].ready().await;
    for index in [1, 2] {
        rig.masters[index].etcd.replace(None, Force::No, &quiet).await.unwrap();
        rig.masters[index].start().await.unwrap();
        rig.masters[index].etcd.promote(PATIENCE, &quiet).await.unwrap();
        rig.masters[index].ready().await;
    }
    rig.until("three voters", |survey| survey.voters().count() == 3).await;
    let other = rig.masters[2].etcd.settings().me.client_url();
    assert_eq!(value(&other, &rig, "last").await.as_deref(), Some(b"acknowledged".as_slice()));
    rig.same_data().await;
}

#[tokio::test]
async fn a_member_of_the_old_cluster_that_lives_is_replaced_into_the_restored_one() {
    let Some(mut rig) = Rig::mesh_of_three().await else { return };
    let quiet = Progress::none();
    let snapshots = Snapshots::new(rig.folder.join("snapshots"), 3);
    let taken = rig.masters[0].etcd.snapshot(&snapshots, &quiet).await.unwrap();
    for master in &mut rig.masters {
        master.kill();
    }
    rig.masters[0].etcd.restore(taken.snapshot.path, &HostTools, Force::No, &quiet).await.unwrap();
    rig.masters[0].start().await.unwrap();
    rig.masters[0].ready().await;
    // It has the old cluster's data, which goes aside.
    rig.masters[1].etcd.replace(None, Force::No, &quiet).await.unwrap();
    rig.masters[1].start().await.unwrap();
    rig.masters[1].etcd.promote(PATIENCE, &quiet).await.unwrap();
    rig.masters[1].ready().await;
    rig.until("two voters", |survey| survey.voters().count() == 2).await;
}

#[tokio::test]
async fn snapshots_are_taken_when_they_are_due_and_only_so_many_are_kept() {
    let Some(mut rig) = Rig::new(1) else { return };
    rig.bootstrap().await;
    let folder = rig.folder.join("snapshots");
    let snapshots = Snapshots::new(folder.clone(), 2);
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("notes.txt"), "an operator's").unwrap();
    let (sender, mut taken) = tokio::sync::mpsc::unbounded_channel();
    let schedule = Schedule::new(Duration::from_secs(1), 0, 1);
    let member = &rig.masters[0].etcd;
    let taking = member.keep_taking(&snapshots, schedule, move |it| sender.send(it).unwrap());
    let four = async {
        let mut removed = 0;
        for _ in 0..4 {
            removed += taken.recv().await.unwrap().unwrap().removed.len();
        }
        removed
    };
    let removed = tokio::select! {
        () = taking => unreachable!(),
        removed = tokio::time::timeout(PATIENCE, four) => removed.unwrap(),
    };
    assert_eq!(removed, 2);
    let kept = snapshots.list().unwrap();
    assert_eq!(kept.len(), 2);
    for snapshot in kept {
        assert_eq!(verify(&snapshot.path).unwrap(), snapshot.bytes);
        assert!(snapshot.origin.is_some());
    }
    assert!(folder.join("notes.txt").exists());
}
