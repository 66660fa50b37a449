//! Who takes part: a node joins as a learner and is promoted, leaves, or takes the place of a member that is lost.

use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::guard::{Force, Strength};
use super::record::Joining;
use super::rpc::messages::MemberAddResponse;
use super::survey::MemberView;
use super::{ClusterId, Error, MemberId, Mesh, Node, Progress, Refusal, Survey};

/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(250);

/// A member that is none any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Removed {
    /// Its id.
    pub id: MemberId,
    /// Its name; empty if it has never run.
    pub name: String,
    /// Its name and id.
    pub title: String,
}

impl Mesh {
    /// Adds `me` as a learner. etcd has to be started on the node with what comes back, and promoted when it is in sync:
    /// [`Self::promote`]. A join that was interrupted may be repeated.
    ///
    /// # Errors
    /// If the node is a member already, another one joins just now, there is no quorum, or nobody answers.
    pub async fn join(&self, me: &Node, progress: &Progress) -> Result<Joining, Error> {
        progress.step("asking etcd's members");
        let survey = self.survey_with_quorum().await?;
        if let Some(member) = added_before(&survey.members, me) {
            progress.step(format!("this node was added before, as member {}", member.id));
            return Ok(joining(survey.cluster, me, member.id, &survey.members));
        }
        may_join(&survey.members, me)?;
        progress.step(format!("adding {} as a learner", me.name));
        let added: MemberAddResponse =
            self.agree(&survey, |client| async move {
                client.member_add_learner(vec![me.peer_url()]).await
            })
            .await?;
        let id = MemberId(added.member.map_or(0, |member| member.id));
        Ok(joining(survey.cluster, me, id, &survey.members))
    }

    /// Waits until the learner `id` has caught up with the leader, and gives it a vote. Nothing to do if it has one.
    ///
    /// # Errors
    /// If it does not catch up within `patience`, is no member, or there is no quorum.
    pub async fn promote(
        &self,
        id: MemberId,
        patience: Duration,
        progress: &Progress,
    ) -> Result<(), Error> {
        let until = Instant::now() + patience;
        let mut told = String::new();
        loop {
            let why = match self.try_promote(id).await {
                Ok(()) => {
                    progress.step(format!("member {id} has a vote"));
                    return Ok(());
                }
                Err(why) if why.is_not_in_sync() || why.is_passing() => why.to_string(),
                Err(why @ Error::NobodyAnswers { .. }) => why.to_string(),
                Err(why) => return Err(why),
            };
            if Instant::now() >= until {
                return Err(Error::TooLate {
                    what: format!("the promotion of learner {id}"),
                    seconds: patience.as_secs(),
                    why,
                    then: "see that etcd runs there (`mainstay unit logs etcd`); it is promoted when it has caught up",
                });
            }
            if why != told {
                progress.step(format!("waiting until learner {id} is in sync: {why}"));
                told = why;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Promotes the learner `id` if it has caught up by now. Nothing to do if it has a vote.
    ///
    /// # Errors
    /// As etcd says; [`Error::is_not_in_sync`] if it is too early.
    pub async fn try_promote(&self, id: MemberId) -> Result<(), Error> {
        let survey = self.survey_with_quorum().await?;
        let Some(member) = survey.member(id) else {
            return Err(no_such_member(&survey, &id.to_string()).into());
        };
        if !member.learner {
            return Ok(());
        }
        self.agree(&survey, |client| async move { client.member_promote(id.0).await }).await?;
        Ok(())
    }

    /// Removes a member, meant by name or id, for good: it cannot come back with its data.
    ///
    /// # Errors
    /// If that would lose quorum, it is the last one, there is none of that name, or nobody answers.
    pub async fn remove(
        &self,
        name_or_id: &str,
        force: Force,
        progress: &Progress,
    ) -> Result<Removed, Error> {
        let survey = self.survey_with_quorum().await?;
        let member =
            survey.find(name_or_id).ok_or_else(|| no_such_member(&survey, name_or_id))?.clone();
        may_go(&survey, &member, "the removal", force)?;
        if survey.leader == Some(member.id) && member.healthy() {
            // etcd would elect; so nobody waits for it.
            self.move_leader(member.id, progress).await?;
        }
        self.remove_member(&survey, &member, progress).await
    }

    /// Takes this node out of the cluster: leadership first, then the member. etcd ends by itself afterwards; its data is
    /// of no use any more.
    ///
    /// # Errors
    /// As [`Self::remove`].
    pub async fn leave(
        &self,
        me: MemberId,
        force: Force,
        progress: &Progress,
    ) -> Result<Removed, Error> {
        self.remove(&me.to_string(), force, progress).await
    }

    /// Puts `me` in the place of a member that is lost for good: removes that one, by its id, and adds `me` as a learner.
    /// `lost` is its name or id; by default the member that has this node's name or address.
    ///
    /// # Errors
    /// If the lost one answers, its removal would lose quorum, or as [`Self::join`]. May be repeated after an interruption.
    pub async fn replace(
        &self,
        me: &Node,
        lost: Option<&str>,
        force: Force,
        progress: &Progress,
    ) -> Result<Joining, Error> {
        progress.step("asking etcd's members");
        let survey = self.survey_with_quorum().await?;
        let found = match lost {
            Some(name_or_id) => survey.find(name_or_id),
            None => survey
                .find(&me.name)
                .or_else(|| survey.members.iter().find(|it| it.peer_urls.contains(&me.peer_url()))),
        };
        match found {
            // The removal was done before, or this node was added already.
            None if lost.is_none() => {}
            None => return Err(no_such_member(&survey, lost.unwrap_or_default()).into()),
            Some(member) if member.unstarted() && member.peer_urls == [me.peer_url()] => {}
            Some(member) => {
                let member = member.clone();
                if force == Force::No && matches!(member.answer, super::Answer::Status { .. }) {
                    let url = member.client_urls.first().cloned().unwrap_or_default();
                    return Err(Refusal::Alive { member: member.title(), url }.into());
                }
                may_go(&survey, &member, "the replacement", force)?;
                // Before anything is changed: what follows has to be possible.
                let mut rest = survey.members.clone();
                rest.retain(|it| it.id != member.id);
                if added_before(&rest, me).is_none() {
                    may_join(&rest, me)?;
                }
                self.remove_member(&survey, &member, progress).await?;
            }
        }
        self.join(me, progress).await
    }

    /// Waits until `found` finds what it looks for in the state of the cluster.
    pub(super) async fn until<T>(
        &self,
        what: &str,
        patience: Duration,
        then: &'static str,
        found: impl Fn(&Survey) -> Option<T>,
    ) -> Result<T, Error> {
        let until = Instant::now() + patience;
        loop {
            let why = match self.survey().await {
                Ok(survey) => match found(&survey) {
                    Some(it) => return Ok(it),
                    None => survey.unwell().join("; "),
                },
                Err(why) => why.to_string(),
            };
            if Instant::now() >= until {
                let why = if why.is_empty() { "all members answer".to_owned() } else { why };
                return Err(Error::TooLate {
                    what: what.to_owned(),
                    seconds: patience.as_secs(),
                    why,
                    then,
                });
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn remove_member(
        &self,
        survey: &Survey,
        member: &MemberView,
        progress: &Progress,
    ) -> Result<Removed, Error> {
        progress.step(format!("removing {}", member.title()));
        let id = member.id;
        // Not by the one that goes: it ends before it answers.
        let mut others = survey.clone();
        others.members.retain(|it| it.id != id);
        match self.agree(&others, |client| async move { client.member_remove(id.0).await }).await {
            Err(Error::Rejected { message, .. }) if message.contains("member not found") => {}
            done => drop(done?),
        }
        Ok(Removed { id, name: member.name.clone(), title: member.title() })
    }
}

/// This node's member if it was added, but has never run.
fn added_before<'a>(members: &'a [MemberView], me: &Node) -> Option<&'a MemberView> {
    members.iter().find(|it| it.unstarted() && it.peer_urls == [me.peer_url()])
}

/// Whether this node may be added to these members.
fn may_join(members: &[MemberView], me: &Node) -> Result<(), Refusal> {
    let mine = |it: &&MemberView| it.name == me.name || it.peer_urls.contains(&me.peer_url());
    if let Some(member) = members.iter().find(mine) {
        return Err(Refusal::AlreadyMember { member: member.title() });
    }
    // etcd takes one learner at a time, and one that was never started cannot be told to the new one by name.
    match members.iter().find(|it| it.learner || it.unstarted()) {
        Some(other) => Err(Refusal::AnotherJoins { member: other.title(), id: other.id }),
        None => Ok(()),
    }
}

/// Whether a member may be removed.
fn may_go(
    survey: &Survey,
    member: &MemberView,
    what: &'static str,
    force: Force,
) -> Result<(), Refusal> {
    if member.learner {
        return Ok(());
    }
    let now = survey.strength();
    if now.voters == 1 {
        return Err(Refusal::LastMember { member: member.title() });
    }
    let then = now.without(member.healthy());
    if then.has_quorum() || force == Force::Yes {
        return Ok(());
    }
    Err(would_lose(&format!("{what} of {}", member.title()), then, survey))
}

/// Whether a member may stop for a while: a restart, an upgrade.
///
/// # Errors
/// If the others were too few then.
pub fn may_stop(survey: &Survey, id: MemberId, force: Force) -> Result<(), Refusal> {
    let Some(member) = survey.member(id).filter(|member| !member.learner) else { return Ok(()) };
    let now = survey.strength();
    let then = now.while_stopped(member.healthy());
    // Where nothing works anyway, a restart cannot make it worse.
    if force == Force::Yes || then.has_quorum() || !now.has_quorum() || now.voters == 1 {
        return Ok(());
    }
    Err(would_lose(&format!("a stop of {}", member.title()), then, survey))
}

fn would_lose(what: &str, then: Strength, survey: &Survey) -> Refusal {
    Refusal::WouldLoseQuorum {
        what: what.to_owned(),
        voters: then.voters,
        healthy: then.healthy,
        unwell: survey.unwell(),
    }
}

fn no_such_member(survey: &Survey, name: &str) -> Refusal {
    let members = survey.members.iter().map(MemberView::title).collect();
    Refusal::NoSuchMember { name: name.to_owned(), members }
}

fn joining(cluster: ClusterId, me: &Node, id: MemberId, members: &[MemberView]) -> Joining {
    let others = members.iter().filter(|member| member.id != id);
    let others = others.flat_map(|member| {
        member.peer_urls.iter().map(move |url| format!("{}={url}", member.name))
    });
    let mine = std::iter::once(format!("{}={}", me.name, me.peer_url()));
    let initial_cluster = others.chain(mine).collect::<Vec<_>>().join(",");
    Joining { cluster, member: id, initial_cluster }
}
