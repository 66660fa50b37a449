//! Members that are lost, replaced or leave, and what the guards refuse.

use supervisor::etcd::guard::Force;
use supervisor::etcd::leadership::Moved;
use supervisor::etcd::members::may_stop;
use supervisor::etcd::{Error, Progress, Refusal};

use super::rig::{PATIENCE, Rig};
use super::writer::Writer;

#[tokio::test]
async fn a_master_that_is_lost_for_good_is_replaced_and_no_acknowledged_write_is_lost() {
    let Some(mut rig) = Rig::mesh_of_three().await else { return };
    let quiet = Progress::none();
    let lost = rig.survey().await.find("m3").unwrap().id;
    let writer = Writer::start(&rig);

    rig.masters[2].lose_everything();
    // A new machine under the old name: to join is not enough, to guess is not allowed.
    let refused = rig.masters[2].start().await.unwrap_err();
    assert!(refused.refused && refused.reason.contains("mainstay join"), "{refused}");
    let joined = rig.masters[2].etcd.join(&quiet).await.unwrap_err();
    assert!(joined.to_string().contains("mainstay etcd replace"), "{joined}");

    rig.masters[2].etcd.replace(None, Force::No, &quiet).await.unwrap();
    rig.masters[2].start().await.unwrap();
    rig.masters[2].etcd.promote(PATIENCE, &quiet).await.unwrap();
    rig.masters[2].ready().await;

    let after = rig.until("three voters", |survey| survey.voters().count() == 3).await;
    assert_ne!(after.find("m3").unwrap().id, lost);
    rig.same_data().await;
    let url = rig.masters[2].etcd.settings().me.client_url();
    assert!(writer.lost_nothing(&url).await > 0);
}

#[tokio::test]
async fn a_member_that_answers_is_not_replaced() {
    let Some(mut rig) = Rig::mesh_of_three().await else { return };
    let quiet = Progress::none();
    let runs = rig.masters[2].etcd.replace(None, Force::No, &quiet).await.unwrap_err();
    assert!(matches!(runs.refusal(), Some(Refusal::StillRuns)), "{runs}");
    rig.masters[2].kill();
    let alive = rig.masters[2].etcd.replace(Some("m2"), Force::No, &quiet).await.unwrap_err();
    // With one of three gone, the removal of a living one is refused either way; that it lives comes first.
    assert!(matches!(alive.refusal(), Some(Refusal::Alive { .. })), "{alive}");
    let usable = rig.masters[2].etcd.replace(None, Force::No, &quiet).await.unwrap_err();
    assert!(matches!(usable.refusal(), Some(Refusal::DataUsable { .. })), "{usable}");
    let taken = rig.masters[2].etcd.replace(Some("m2"), Force::Yes, &quiet).await.unwrap_err();
    assert!(matches!(taken.refusal(), Some(Refusal::AlreadyMember { .. })), "{taken}");
    let nobody = rig.masters[2].etcd.replace(Some("m7"), Force::No, &quiet).await.unwrap_err();
    assert!(nobody.to_string().contains("m1 ("), "{nobody}");
    assert_eq!(rig.survey().await.members.len(), 3);
}

#[tokio::test]
async fn what_would_lose_quorum_is_refused_and_nothing_is_changed() {
    let Some(mut rig) = Rig::mesh_of_three().await else { return };
    let quiet = Progress::none();
    let mesh = rig.masters[0].etcd.mesh();
    let m2 = rig.survey().await.find("m2").unwrap().id;
    assert_eq!(may_stop(&rig.survey().await, m2, Force::No), Ok(()));

    rig.masters[2].kill();
    rig.until("one lost", |survey| survey.strength().healthy == 2).await;
    let refused = mesh.remove("m2", Force::No, &quiet).await.unwrap_err();
    assert!(matches!(refused.refusal(), Some(Refusal::WouldLoseQuorum { .. })), "{refused}");
    assert!(refused.to_string().contains("1 of 2") && refused.to_string().contains("--force"));
    let refused = may_stop(&rig.survey().await, m2, Force::No).unwrap_err();
    assert!(
        refused.to_string().contains("1 of 3 members would be well, 2 are needed"),
        "{refused}"
    );
    assert_eq!(may_stop(&rig.survey().await, m2, Force::Yes), Ok(()));

    rig.masters[1].kill();
    rig.until("no quorum", |survey| survey.leader.is_none() && !survey.strength().has_quorum())
        .await;
    let refused = mesh.remove("m3", Force::Yes, &quiet).await.unwrap_err();
    assert!(matches!(refused.refusal(), Some(Refusal::NoQuorum { .. })), "{refused}");
    assert!(refused.to_string().contains("mainstay etcd restore"), "{refused}");
    assert_eq!(rig.survey().await.members.len(), 3);

    for index in [1, 2] {
        rig.masters[index].start().await.unwrap();
    }
    rig.ready().await;
    assert_eq!(rig.survey().await.strength().healthy, 3);
}

#[tokio::test]
async fn a_member_is_removed_by_name_or_id_and_nobody_removes_itself() {
    let Some(mut rig) = Rig::mesh_of_three().await else { return };
    let quiet = Progress::none();
    for own in ["m1".to_owned(), rig.survey().await.find("m1").unwrap().id.to_string()] {
        let refused = rig.masters[0].etcd.remove(&own, Force::Yes, &quiet).await.unwrap_err();
        assert!(matches!(refused.refusal(), Some(Refusal::Oneself { .. })), "{refused}");
        assert!(refused.to_string().contains("mainstay leave"), "{refused}");
    }
    let nobody = rig.masters[0].etcd.remove("m7", Force::No, &quiet).await.unwrap_err();
    assert!(matches!(nobody.refusal(), Some(Refusal::NoSuchMember { .. })), "{nobody}");

    rig.masters[2].kill();
    rig.until("one lost", |survey| survey.strength().healthy == 2).await;
    let refused = rig.masters[0].etcd.remove("m2", Force::No, &quiet).await.unwrap_err();
    assert!(matches!(refused.refusal(), Some(Refusal::WouldLoseQuorum { .. })), "{refused}");
    let removed = rig.masters[0].etcd.remove("m3", Force::No, &quiet).await.unwrap();
    assert_eq!(removed.name, "m3");
    rig.until("two members", |survey| survey.members.len() == 2 && survey.leader.is_some()).await;
    // What it has is of no use any more.
    let refused = rig.masters[2].etcd.adopt().await.unwrap_err();
    assert!(matches!(refused.refusal(), Some(Refusal::MemberNoMore { .. })), "{refused}");

    // One that was added and has never run has no name yet.
    rig.masters[2].etcd.replace(None, Force::No, &quiet).await.unwrap();
    let survey = rig.survey().await;
    let added = survey.members.iter().find(|it| it.unstarted()).unwrap().id.to_string();
    let removed = rig.masters[0].etcd.remove(&added, Force::No, &quiet).await.unwrap();
    assert_eq!(removed.name, "");
    assert_eq!(rig.survey().await.members.len(), 2);
    rig.masters[2].join().await;
    rig.until("three voters", |survey| survey.voters().count() == 3).await;
}

#[tokio::test]
async fn a_member_that_is_not_well_itself_removes_nobody() {
    let Some(mut rig) = Rig::mesh_of_three().await else { return };
    let quiet = Progress::none();
    let mut learner = rig.masters.pop().unwrap();
    learner.lose_everything();
    learner.etcd.replace(None, Force::No, &quiet).await.unwrap();
    learner.start().await.unwrap();
    rig.until("a learner that runs", |survey| {
        survey.find("m3").is_some_and(|it| it.learner && it.healthy())
    })
    .await;
    let refused = learner.etcd.remove("m2", Force::Yes, &quiet).await.unwrap_err();
    assert!(matches!(refused.refusal(), Some(Refusal::NotWellHere { .. })), "{refused}");
    learner.kill();

    rig.masters[1].kill();
    let refused = rig.masters[0].etcd.remove("m3", Force::Yes, &quiet).await.unwrap_err();
    assert!(matches!(refused.refusal(), Some(Refusal::NoQuorum { .. })), "{refused}");
    let silent = rig.masters[1].etcd.remove("m3", Force::Yes, &quiet).await.unwrap_err();
    assert!(matches!(silent, Error::Unreachable { .. }), "{silent}");
}

#[tokio::test]
async fn the_leader_leaves_without_an_election_and_the_last_member_cannot() {
    let Some(mut rig) = Rig::mesh_of_three().await else { return };
    let quiet = Progress::none();
    let leader = rig.leader().await;
    let mut gone = rig.masters.remove(leader);
    gone.etcd.leave(Force::No, &quiet).await.unwrap();
    gone.ended().await;
    gone.etcd.forget(&quiet).await.unwrap();
    let refused = gone.start().await.unwrap_err();
    assert!(refused.reason.contains("mainstay join"), "{refused}");
    rig.until("two members", |survey| survey.members.len() == 2 && survey.leader.is_some()).await;

    let mut second = rig.masters.remove(0);
    // One of two that are well: the other one would still be a quorum of one.
    second.etcd.leave(Force::No, &quiet).await.unwrap();
    second.ended().await;
    rig.until("one member", |survey| survey.members.len() == 1 && survey.leader.is_some()).await;
    let last = rig.masters[0].etcd.leave(Force::Yes, &quiet).await.unwrap_err();
    assert!(matches!(last.refusal(), Some(Refusal::LastMember { .. })), "{last}");

    // Who left may come back, as somebody else.
    gone.join().await;
    rig.until("two voters", |survey| survey.voters().count() == 2).await;
    rig.masters.push(gone);
}

#[tokio::test]
async fn leadership_moves_to_a_healthy_member_before_a_stop() {
    let Some(mut rig) = Rig::mesh_of_three().await else { return };
    let quiet = Progress::none();
    let leader = rig.leader().await;
    let follower = (leader + 1) % 3;
    let moved = rig.masters[follower].etcd.move_leader(&quiet).await.unwrap();
    assert_eq!(moved, Moved::WasNotLeader);
    // The one that is down is not chosen.
    rig.masters[follower].kill();
    rig.until("one lost", |survey| survey.strength().healthy == 2).await;
    let Moved::To { name, .. } = rig.masters[leader].etcd.move_leader(&quiet).await.unwrap() else {
        panic!("it was the leader");
    };
    let third = (leader + 2) % 3;
    assert_eq!(name, rig.masters[third].etcd.settings().me.name);
    assert_eq!(rig.leader().await, third);
}

#[tokio::test]
async fn where_no_member_answers_the_operator_is_told_what_to_do() {
    let Some(rig) = Rig::new(2) else { return };
    let why = rig.masters[0].etcd.join(&Progress::none()).await.unwrap_err();
    assert!(matches!(why, Error::NobodyAnswers { .. }), "{why}");
    assert!(why.to_string().contains("mainstay etcd restore FILE"), "{why}");
}
