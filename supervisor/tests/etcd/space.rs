//! A database that is full, and how it gets space again.

use supervisor::etcd::alarms::Kind;
use supervisor::etcd::guard::Force;
use supervisor::etcd::health::Verdict;
use supervisor::etcd::{Progress, Refusal};

use super::rig::Rig;

#[tokio::test]
async fn a_full_database_raises_an_alarm_that_a_defragmentation_takes_back() {
    let Some(mut rig) = Rig::with(3, |settings| settings.quota = Some(4 << 20)) else { return };
    rig.bootstrap().await;
    let settings = rig.masters[0].etcd.settings();
    let client = settings.access().client(&settings.local_url()).await.unwrap();
    let value = vec![7; 512 << 10];
    let mut full = None;
    for _ in 0..40 {
        if let Err(why) = client.put(b"big", &value).await {
            full = Some(why.to_string());
            break;
        }
    }
    let full = full.expect("the quota holds");
    assert!(
        full.contains("database space exceeded") && full.contains("mainstay etcd defrag"),
        "{full}"
    );

    let survey = rig.until("an alarm", |survey| !survey.alarms.is_empty()).await;
    assert!(survey.alarms.iter().all(|it| it.kind == Kind::NoSpace), "{survey:#?}");
    let health = rig.masters[0].etcd.health().await;
    assert_eq!(health.verdict, Verdict::Well);
    assert!(health.warnings.iter().any(|it| it.contains("NOSPACE")), "{health:?}");

    let mesh = rig.masters[0].etcd.mesh();
    let done = mesh.defragment(Force::No, &Progress::none()).await.unwrap();
    assert_eq!(done.len(), 3);
    // Three members, up to three revisions of half a mebibyte.
    assert!(done.iter().all(|it| it.after < 3 << 20), "{done:?}");
    assert!(done.iter().any(|it| it.before > 3 << 20), "{done:?}");
    rig.until("no alarm", |survey| survey.alarms.is_empty()).await;
    client.put(b"small", b"value").await.unwrap();

    rig.masters[2].kill();
    rig.until("one lost", |survey| survey.strength().healthy == 2).await;
    let refused = mesh.defragment(Force::No, &Progress::none()).await.unwrap_err();
    assert!(matches!(refused.refusal(), Some(Refusal::Unwell { .. })), "{refused}");
    assert_eq!(mesh.defragment(Force::Yes, &Progress::none()).await.unwrap().len(), 2);
}
