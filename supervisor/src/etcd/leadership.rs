//! Moving the leadership away before a member stops, so that nobody waits for an election.

use std::time::Duration;

use serde::Serialize;

use super::{Error, MemberId, Mesh, Progress, Refusal, Survey};

/// What became of the leadership.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Moved {
    /// Another member had it.
    WasNotLeader,
    /// Another member has it now.
    To {
        /// Its name.
        name: String,
        /// Its id.
        id: MemberId,
    },
}

/// How long the new leader may take to be seen.
const SEEN: Duration = Duration::from_secs(5);

impl Mesh {
    /// Gives the leadership to another member if `from` has it: to the healthy one that has applied most.
    ///
    /// # Errors
    /// If nobody else can lead, there is no quorum, or nobody answers. A stop goes on nevertheless: the others elect.
    pub async fn move_leader(&self, from: MemberId, progress: &Progress) -> Result<Moved, Error> {
        let survey = self.survey_with_quorum().await?;
        if survey.leader != Some(from) {
            return Ok(Moved::WasNotLeader);
        }
        let Some(to) = successor(&survey, from) else {
            return Err(Refusal::NobodyElseCanLead { unwell: survey.unwell() }.into());
        };
        let (id, name) = to;
        progress.step(format!("moving etcd's leadership to {name}"));
        let url = survey.member(from).and_then(|member| member.client_urls.first().cloned());
        let client = self.access().client(&url.unwrap_or_default()).await?;
        client.move_leader(id.0).await?;
        self.until("the move of etcd's leadership", SEEN, "another election decides", |survey| {
            (survey.leader == Some(id)).then_some(())
        })
        .await?;
        Ok(Moved::To { name, id })
    }
}

fn successor(survey: &Survey, from: MemberId) -> Option<(MemberId, String)> {
    survey
        .voters()
        .filter(|member| member.id != from && member.healthy())
        .max_by_key(|member| member.answer.applied())
        .map(|member| (member.id, member.name.clone()))
}
