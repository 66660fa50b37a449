//! The whole cluster, as seen from one node: who is asked, and in which order.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::rpc::messages::MembersResponse;
use super::rpc::{Access, Client};
use super::survey::{Answer, MemberView, Survey};
use super::{ClusterId, Error, Refusal};

/// How long one member may take to say how it is.
const STATUS: Duration = Duration::from_secs(3);
/// How long an election may take: some election timeouts of a second each.
const ELECTION: Duration = Duration::from_secs(10);
/// How long a call goes on to be tried while the cluster is busy with an election.
const PERSISTENCE: Duration = Duration::from_secs(15);
/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(200);

/// Speaks to all members of a cluster that can be found.
#[derive(Clone, Debug)]
pub struct Mesh {
    access: Access,
    urls: Vec<String>,
}

impl Mesh {
    /// Members are looked for at `urls`, the client URLs of all masters, this node's first.
    pub fn new(access: Access, urls: Vec<String>) -> Self {
        Self { access, urls }
    }

    /// With which certificates it speaks.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// Asks everybody how they are, and who the members are.
    ///
    /// # Errors
    /// If nobody answers, or the certificates cannot be read.
    pub async fn survey(&self) -> Result<Survey, Error> {
        let access = self.access.clone().with_patience(STATUS);
        let mut asked = JoinSet::new();
        for url in &self.urls {
            let client = access.client(url).await?;
            asked.spawn(async move {
                let status = client.status().await?;
                let list = client.member_list(false).await?;
                // One that was cut off tells the members of then.
                Ok::<_, Error>((
                    (status.leader != 0, status.raft_term, status.raft_applied_index),
                    list,
                ))
            });
        }
        let mut lists = Vec::new();
        let mut silent = Vec::new();
        while let Some(answered) = asked.join_next().await {
            match answered {
                Ok(Ok(list)) => lists.push(list),
                Ok(Err(why)) => silent.push(why.to_string()),
                Err(why) => silent.push(why.to_string()),
            }
        }
        let Some((_, list)) = lists.into_iter().max_by_key(|(known, _)| *known) else {
            silent.sort();
            return Err(Error::NobodyAnswers { tried: silent });
        };
        let cluster = ClusterId(list.header.as_ref().map_or(0, |header| header.cluster_id));
        let members = statuses(&access, list).await?;
        Ok(Survey::new(cluster, members))
    }

    /// The same, and there is a quorum. An election that is on its way is waited for.
    ///
    /// # Errors
    /// Also if there is none.
    pub async fn survey_with_quorum(&self) -> Result<Survey, Error> {
        let until = Instant::now() + ELECTION;
        loop {
            let survey = self.survey().await?;
            let strength = survey.strength();
            if survey.is_settled() {
                return Ok(survey);
            }
            if !survey.may_elect() || Instant::now() >= until {
                // A leader that the others follow leads, also if it does not answer this node.
                if strength.has_quorum() && survey.leader.is_some() {
                    return Ok(survey);
                }
                return Err(Refusal::NoQuorum {
                    voters: strength.voters,
                    healthy: strength.healthy,
                    unwell: survey.unwell(),
                    newest: survey.newest().map(|member| member.name.clone()),
                }
                .into());
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Does `what` with a healthy voting member, the leader first; goes on to the next member, and for a while from the start
    /// again, as long as the reason passes.
    pub(super) async fn agree<T, F>(
        &self,
        survey: &Survey,
        mut what: impl FnMut(Client) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let until = Instant::now() + PERSISTENCE;
        loop {
            let mut last = None;
            for url in survey.healthy_urls() {
                match what(self.access.client(&url).await?).await {
                    Err(why) if why.is_passing() => last = Some(why),
                    done => return done,
                }
            }
            let why = last.unwrap_or(Error::NobodyAnswers { tried: survey.unwell() });
            if Instant::now() >= until {
                return Err(why);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Asks each member of a list how it is, all at once.
async fn statuses(access: &Access, list: MembersResponse) -> Result<Vec<MemberView>, Error> {
    let mut asked = JoinSet::new();
    let mut members = Vec::new();
    for member in list.members {
        let mut clients = Vec::new();
        for url in member.client_urls.iter().collect::<BTreeSet<_>>() {
            clients.push(access.client(url).await?);
        }
        if clients.is_empty() {
            let never = Answer::Silent("has been added, but has never run".to_owned());
            members.push(MemberView::new(member, never));
            continue;
        }
        asked.spawn(async move {
            let mut why = String::new();
            for client in clients {
                match client.status().await {
                    // Another member may have been given this one's address.
                    Ok(status)
                        if status.header.as_ref().is_some_and(|it| it.member_id != member.id) =>
                    {
                        why = format!("another member answers at {}", client.url());
                    }
                    Ok(status) => return MemberView::new(member, Answer::of(status)),
                    Err(error) => why = error.to_string(),
                }
            }
            MemberView::new(member, Answer::Silent(why))
        });
    }
    while let Some(answered) = asked.join_next().await {
        members.extend(answered);
    }
    Ok(members)
}
