//! What a member's state means for the VIP.

use supervisor::etcd::Progress;
use supervisor::etcd::health::{Health, Verdict};
use tokio::time::{Instant, sleep};

use super::rig::{Master, PATIENCE, Rig};

async fn until(master: &Master, what: &str, found: impl Fn(&Verdict) -> bool) {
    let until = Instant::now() + PATIENCE;
    loop {
        let Health { verdict, .. } = master.etcd.health().await;
        if found(&verdict) {
            return;
        }
        assert!(Instant::now() < until, "not {what}: {verdict:?}");
        sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn one_that_is_down_degrades_its_node_and_the_loss_of_quorum_degrades_nobody_else() {
    let Some(mut rig) = Rig::mesh_of_three().await else { return };
    for master in &rig.masters {
        until(master, "well", |it| *it == Verdict::Well).await;
    }
    rig.masters[0].kill();
    until(&rig.masters[0], "degraded", |it| matches!(it, Verdict::Degraded(_))).await;
    until(&rig.masters[1], "well", |it| *it == Verdict::Well).await;
    rig.masters[1].kill();
    until(&rig.masters[2], "without quorum", |it| matches!(it, Verdict::NoQuorum(_))).await;
    // Also while it starts and waits for the others, it stays as it is: nobody is better.
    rig.masters[0].start().await.unwrap();
    rig.masters[0].ready().await;
    until(&rig.masters[2], "well", |it| *it == Verdict::Well).await;
}

#[tokio::test]
async fn a_learner_degrades_its_node_until_it_has_caught_up_and_got_a_vote_by_itself() {
    let Some(mut rig) = Rig::new(2) else { return };
    let (first, second) = rig.masters.split_at_mut(1);
    let mut settings = first[0].etcd.settings().clone();
    settings.others.clear();
    first[0].etcd = supervisor::etcd::Member::new(settings, rig.folder.join("m1/state"));
    first[0].etcd.init().await.unwrap();
    first[0].start().await.unwrap();
    first[0].ready().await;
    second[0].etcd.join(&Progress::none()).await.unwrap();
    second[0].start().await.unwrap();
    until(
        &second[0],
        "a learner",
        |it| matches!(it, Verdict::Degraded(why) if why.contains("learner")),
    )
    .await;

    let (sender, mut told) = tokio::sync::watch::channel(None);
    let well = told.wait_for(
        |it: &Option<Health>| matches!(it, Some(health) if health.verdict == Verdict::Well),
    );
    tokio::select! {
        () = second[0].etcd.tend(&sender) => unreachable!(),
        told = tokio::time::timeout(PATIENCE, well) => drop(told.unwrap().unwrap()),
    }
    second[0].ready().await;
}
