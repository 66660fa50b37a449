//! What is done for this node's member without anybody asking: a learner gets its vote, and snapshots are taken.

use std::time::Duration;

use tokio::sync::watch;

use super::Member;
use crate::etcd::health::{Health, Local};
use crate::etcd::schedule::Schedule;
use crate::etcd::snapshot::{Snapshots, Taken, now};
use crate::etcd::{Error, Progress};

/// How often the member is asked how it is.
const TEND: Duration = Duration::from_secs(1);
/// After a snapshot that failed.
const RETRY: Duration = Duration::from_secs(300);
/// The clock on the wall may be set: nobody sleeps longer by it.
const NAP: Duration = Duration::from_secs(60);

impl Member {
    /// Looks after the member for ever: tells its health whenever that changes, and gives a learner of this node's its vote as
    /// soon as it has caught up, also where nobody waits for a join any more.
    pub async fn tend(&self, health: &watch::Sender<Option<Health>>) {
        loop {
            let local = self.local().await;
            if let Local::Answers { member, learner: true, has_leader: true, .. } = &local {
                match self.mesh().try_promote(*member).await {
                    Ok(()) => tracing::info!(unit = "etcd", "member {member} has a vote now"),
                    Err(why) => tracing::debug!(unit = "etcd", "not promoted yet: {why}"),
                }
            }
            let judged = Some(self.judge(&local).await);
            health.send_if_modified(|last| {
                let changed = *last != judged;
                *last = judged;
                changed
            });
            tokio::time::sleep(TEND).await;
        }
    }

    /// Takes snapshots for ever, each when it is due, and tells of each. Skips while the member is a learner or down.
    pub async fn keep_taking(
        &self,
        snapshots: &Snapshots,
        schedule: Schedule,
        mut told: impl FnMut(Result<Taken, Error>),
    ) {
        let mut not_before = Duration::ZERO;
        loop {
            let time = now();
            let due = schedule.next(time, snapshots.newest(time)).max(not_before);
            if due > time {
                tokio::time::sleep((due - time).min(NAP)).await;
                continue;
            }
            let taken = self.snapshot(snapshots, &Progress::none()).await;
            // A stamp in whole seconds may lie before the slot that it was taken for.
            not_before = if taken.is_ok() { time + Duration::from_secs(1) } else { time + RETRY };
            told(taken);
        }
    }
}
