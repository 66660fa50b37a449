//! Giving back the space that deleted and compacted keys leave in the database, one member after another.
//!
//! A member answers nobody while it defragments, for seconds on a large database: so one at a time, the leader last, and the
//! next one only when the last one has caught up.

use std::time::Duration;

use serde::Serialize;

use super::alarms::Kind;
use super::guard::Force;
use super::survey::Answer;
use super::{Error, MemberId, Mesh, Progress, Refusal, Survey};

/// How long a member may take to catch up afterwards.
const CATCH_UP: Duration = Duration::from_secs(60);
/// How many entries of the log a member may be behind the leader and count as caught up.
const BEHIND: u64 = 100;

/// What it brought.
#[derive(Clone, Debug, Serialize)]
pub struct Defragmented {
    /// Which member.
    pub name: String,
    /// Size of the database's file before, in bytes.
    pub before: u64,
    /// And after.
    pub after: u64,
}

impl Mesh {
    /// Defragments every member. Where the NOSPACE alarm stands, old revisions are forgotten first, and the alarm is taken
    /// back at the end.
    ///
    /// # Errors
    /// If a member is not well (with `force`, those are left out), there is no quorum, or a member does not catch up again:
    /// the others are left alone then.
    pub async fn defragment(
        &self,
        force: Force,
        progress: &Progress,
    ) -> Result<Vec<Defragmented>, Error> {
        let survey = self.survey_with_quorum().await?;
        let unwell = survey.unwell();
        if !unwell.is_empty() && force == Force::No {
            return Err(Refusal::Unwell { what: "a defragmentation", unwell }.into());
        }
        let full: Vec<_> =
            survey.alarms.iter().copied().filter(|it| it.kind == Kind::NoSpace).collect();
        if !full.is_empty() {
            self.forget_old_revisions(&survey, progress).await?;
        }
        let mut done = Vec::new();
        for id in order(&survey) {
            done.extend(self.defragment_member(&survey, id, progress).await?);
        }
        if !full.is_empty() {
            self.disarm(&full, progress).await?;
        }
        Ok(done)
    }

    /// A member waits for the end of the compaction that it was itself asked for, but not for the others'. So each is asked,
    /// for a revision of its own.
    async fn forget_old_revisions(
        &self,
        survey: &Survey,
        progress: &Progress,
    ) -> Result<(), Error> {
        progress.step("the database is full: forgetting old revisions");
        let urls = survey.healthy_urls();
        for (later, url) in urls.iter().enumerate() {
            let client = self.access().client(url).await?;
            let revision = client.status().await?.header.map_or(0, |header| header.revision);
            let left = i64::try_from(urls.len() - 1 - later).unwrap_or(0);
            match client.compact(revision - left).await {
                // Somebody, usually the API server, was faster.
                Err(Error::Rejected { message, .. }) if message.contains("compacted") => {}
                Err(why) => return Err(why),
                Ok(_) => {}
            }
        }
        Ok(())
    }

    async fn defragment_member(
        &self,
        survey: &Survey,
        id: MemberId,
        progress: &Progress,
    ) -> Result<Option<Defragmented>, Error> {
        let Some(member) = survey.member(id) else { return Ok(None) };
        let (Answer::Status { db_size: before, .. }, Some(url)) =
            (&member.answer, member.client_urls.first())
        else {
            return Ok(None);
        };
        progress.step(format!("defragmenting {}", member.title()));
        self.access().client(url).await?.defragment().await?;
        let after = self
            .until(
                &format!("that {} catches up after its defragmentation", member.title()),
                CATCH_UP,
                "the other members were left alone: see `mainstay etcd status`, then try again",
                |survey| caught_up(survey, id),
            )
            .await?;
        progress.step(format!("{}: {before} bytes became {after}", member.title()));
        Ok(Some(Defragmented { name: member.name.clone(), before: *before, after }))
    }
}

/// Healthy members, the leader last.
fn order(survey: &Survey) -> Vec<MemberId> {
    let mut ids: Vec<MemberId> =
        survey.members.iter().filter(|it| it.healthy()).map(|it| it.id).collect();
    ids.sort_by_key(|id| survey.leader == Some(*id));
    ids
}

/// The size of the member's database if it is well again and hardly behind.
fn caught_up(survey: &Survey, id: MemberId) -> Option<u64> {
    let most = survey.members.iter().map(|member| member.answer.applied()).max()?;
    let member = survey.member(id).filter(|member| member.healthy())?;
    match &member.answer {
        Answer::Status { db_size, applied, .. } if applied + BEHIND >= most => Some(*db_size),
        _ => None,
    }
}
