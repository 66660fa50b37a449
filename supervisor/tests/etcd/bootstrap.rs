//! How a mesh comes to be, and how its members come back.

use supervisor::backend::Readiness;
use supervisor::etcd::decision::Start;
use supervisor::etcd::record::Record;
use supervisor::etcd::rpc::Access;
use supervisor::etcd::{Error, Progress, Refusal};

use super::rig::Rig;
use super::writer::Writer;

#[tokio::test]
async fn three_masters_form_a_mesh_with_tls_and_come_back_after_a_crash_as_who_they_were() {
    let Some(mut rig) = Rig::new(3) else { return };
    let refused = rig.masters[0].start().await.unwrap_err();
    assert!(refused.refused && refused.reason.contains("mainstay init"), "{refused}");

    rig.bootstrap().await;
    let before = rig.survey().await;
    assert_eq!(
        before.members.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(),
        ["m1", "m2", "m3"]
    );
    assert!(before.members.iter().all(|it| it.healthy() && !it.learner), "{before:#?}");
    assert!(before.leader.is_some());

    let writer = Writer::start(&rig);
    for index in 0..3 {
        let master = &mut rig.masters[index];
        master.kill();
        assert!(matches!(master.etcd.readiness().await, Readiness::NotReady(_)));
        master.forget_in_memory();
        assert_eq!(master.start().await.unwrap(), Start::Restart { note: None });
        master.ready().await;
    }
    let url = rig.masters[0].etcd.settings().me.client_url();
    assert!(writer.lost_nothing(&url).await > 0);
    rig.same_data().await;
    let after = rig.survey().await;
    let ids = |survey: &supervisor::etcd::Survey| {
        survey.members.iter().map(|member| member.id).collect::<Vec<_>>()
    };
    assert_eq!((after.cluster, ids(&after)), (before.cluster, ids(&before)));
}

#[tokio::test]
async fn who_has_no_certificate_is_told_so_and_gets_nothing() {
    let Some(mut rig) = Rig::new(1) else { return };
    rig.bootstrap().await;
    let settings = rig.masters[0].etcd.settings();
    let stranger = Access::new(None).client(&settings.local_url()).await.unwrap();
    assert!(matches!(stranger.status().await, Err(Error::Unreachable { .. })));

    let mut elsewhere = settings.clone();
    elsewhere.pki = Some(rig.folder.join("nowhere"));
    let why = elsewhere.access().client(&settings.local_url()).await.unwrap_err().to_string();
    assert!(why.contains("nowhere/ca.crt") && why.contains("mainstay certs check"), "{why}");
}

#[tokio::test]
async fn nodes_join_one_at_a_time_as_learners_and_get_a_vote() {
    let Some(mut rig) = Rig::new(3) else { return };
    rig.masters[0].etcd = alone(&rig);
    rig.masters[0].etcd.init().await.unwrap();
    rig.masters[0].start().await.unwrap();
    rig.masters[0].ready().await;

    let (sender, mut steps) = tokio::sync::mpsc::unbounded_channel();
    let progress = Progress::from(sender);
    rig.masters[1].etcd.join(&progress).await.unwrap();
    let added = rig.until("a learner", |survey| survey.members.len() == 2).await;
    assert!(added.members.iter().any(|member| member.learner && member.unstarted()), "{added:#?}");
    // Another one has to wait, and an interrupted one may try again.
    let other = rig.masters[2].etcd.join(&progress).await.unwrap_err();
    assert!(matches!(other.refusal(), Some(Refusal::AnotherJoins { .. })), "{other}");
    rig.masters[1].etcd.join(&progress).await.unwrap();
    assert_eq!(rig.survey().await.members.len(), 2);

    assert!(matches!(rig.masters[1].start().await.unwrap(), Start::Join(_)));
    rig.masters[1].etcd.promote(super::rig::PATIENCE, &progress).await.unwrap();
    rig.masters[1].ready().await;
    drop(progress);
    let mut told = String::new();
    while let Some(step) = steps.recv().await {
        told += &step;
    }
    assert!(told.contains("as a learner") && told.contains("has a vote"), "{told}");

    rig.masters[2].join().await;
    let mesh = rig.until("three voters", |survey| survey.voters().count() == 3).await;
    assert!(mesh.members.iter().all(supervisor::etcd::MemberView::healthy), "{mesh:#?}");
    let again = rig.masters[2].etcd.join(&Progress::none()).await.unwrap_err();
    assert!(matches!(again.refusal(), Some(Refusal::AlreadyMember { .. })), "{again}");
    assert!(again.to_string().contains("mainstay etcd replace"), "{again}");
}

#[tokio::test]
async fn a_state_file_that_makes_no_sense_is_moved_aside_and_the_truth_read_from_the_data() {
    let Some(mut rig) = Rig::new(1) else { return };
    rig.bootstrap().await;
    let before = rig.survey().await.members[0].id;
    rig.masters[0].kill();
    let state = rig.folder.join("m1/state");
    std::fs::write(state.join("etcd.json"), "{").unwrap();
    rig.masters[0].forget_in_memory();
    assert!(matches!(rig.masters[0].start().await.unwrap(), Start::Restart { note: Some(_) }));
    rig.masters[0].ready().await;
    assert!(state.join("etcd.json.corrupt-1").exists());
    let Record::Member(identity) = Record::load(&state).unwrap().record else { panic!() };
    assert_eq!(identity.member, before);
}

/// The first master, which knows of no others yet.
fn alone(rig: &Rig) -> supervisor::etcd::Member {
    let mut settings = rig.masters[0].etcd.settings().clone();
    settings.others.clear();
    supervisor::etcd::Member::new(settings, rig.folder.join("m1/state"))
}
