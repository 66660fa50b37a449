//! What the members of a cluster say of it and of themselves, all asked at about the same time.

use serde::Serialize;

use super::alarms::{self, Alarm};
use super::guard::Strength;
use super::rpc::messages::{self, StatusResponse};
use super::{ClusterId, MemberId};

/// A cluster as its members see it.
#[derive(Clone, Debug, Serialize)]
pub struct Survey {
    /// Its id.
    pub cluster: ClusterId,
    /// Its members, in the order of their names.
    pub members: Vec<MemberView>,
    /// The leader that a majority of the voting members follows; `None` without quorum.
    pub leader: Option<MemberId>,
    /// Alarms that stand, of any member.
    pub alarms: Vec<Alarm>,
}

/// One member.
#[derive(Clone, Debug, Serialize)]
pub struct MemberView {
    /// Its id.
    pub id: MemberId,
    /// Its name; empty as long as it has been added but has never run.
    pub name: String,
    /// Where the other members find it.
    pub peer_urls: Vec<String>,
    /// Where clients find it; empty as long as it has never run.
    pub client_urls: Vec<String>,
    /// Whether it has no vote.
    pub learner: bool,
    /// What it says of itself.
    pub answer: Answer,
}

/// What a member says of itself.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It answers.
    Status {
        /// etcd's version.
        version: String,
        /// Size of the database's file, in bytes.
        db_size: u64,
        /// How much of that is in use, in bytes.
        db_in_use: u64,
        /// Which member it follows; `None` if it knows no leader.
        leader: Option<MemberId>,
        /// The term of that leader.
        term: u64,
        /// How much of the log it knows.
        index: u64,
        /// How much of the log it has applied.
        applied: u64,
        /// etcd's own complaints.
        errors: Vec<String>,
    },
    /// It does not: why.
    Silent(String),
}

impl Answer {
    /// From etcd's words.
    pub fn of(status: StatusResponse) -> Self {
        Self::Status {
            version: status.version,
            db_size: u64::try_from(status.db_size).unwrap_or(0),
            db_in_use: u64::try_from(status.db_size_in_use).unwrap_or(0),
            leader: Some(status.leader).filter(|id| *id != 0).map(MemberId),
            term: status.raft_term,
            index: status.raft_index,
            applied: status.raft_applied_index,
            errors: status.errors,
        }
    }

    /// Which leader it follows.
    pub fn leader(&self) -> Option<MemberId> {
        match self {
            Self::Status { leader, .. } => *leader,
            Self::Silent(_) => None,
        }
    }

    fn errors(&self) -> &[String] {
        match self {
            Self::Status { errors, .. } => errors,
            Self::Silent(_) => &[],
        }
    }

    /// How much of the log it has applied; 0 if it does not answer.
    pub fn applied(&self) -> u64 {
        match self {
            Self::Status { applied, .. } => *applied,
            Self::Silent(_) => 0,
        }
    }
}

impl MemberView {
    /// From etcd's list and the member's own answer.
    pub fn new(member: messages::Member, answer: Answer) -> Self {
        Self {
            id: MemberId(member.id),
            name: member.name,
            peer_urls: member.peer_urls,
            client_urls: member.client_urls,
            learner: member.is_learner,
            answer,
        }
    }

    /// Whether it answers and follows a leader.
    pub fn healthy(&self) -> bool {
        self.answer.leader().is_some()
    }

    /// Whether it has been added, but has never run.
    pub fn unstarted(&self) -> bool {
        self.name.is_empty()
    }

    /// `m1 (8e9e05c52164694d)`; a member that has never run is called by its address.
    pub fn title(&self) -> String {
        let name = if self.unstarted() {
            self.peer_urls.first().map_or("never started", String::as_str)
        } else {
            &self.name
        };
        format!("{name} ({})", self.id)
    }
}

impl Survey {
    /// From the members; finds the leader that a majority follows.
    pub fn new(cluster: ClusterId, mut members: Vec<MemberView>) -> Self {
        let mut alarms: Vec<Alarm> =
            members.iter().flat_map(|member| alarms::of(member.answer.errors())).collect();
        alarms.sort();
        alarms.dedup();
        members.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
        let voters: Vec<&MemberView> = members.iter().filter(|member| !member.learner).collect();
        let leader = voters.iter().find_map(|member| {
            let followers =
                voters.iter().filter(|other| other.answer.leader() == Some(member.id)).count();
            (followers > voters.len() / 2).then_some(member.id)
        });
        Self { cluster, members, leader, alarms }
    }

    /// The member with this id.
    pub fn member(&self, id: MemberId) -> Option<&MemberView> {
        self.members.iter().find(|member| member.id == id)
    }

    /// The member that an operator means: by name or id.
    pub fn find(&self, name_or_id: &str) -> Option<&MemberView> {
        let id = name_or_id.parse().ok();
        self.members
            .iter()
            .find(|member| !member.unstarted() && member.name == name_or_id)
            .or_else(|| self.members.iter().find(|member| Some(member.id) == id))
    }

    /// Members with a vote.
    pub fn voters(&self) -> impl Iterator<Item = &MemberView> {
        self.members.iter().filter(|member| !member.learner)
    }

    /// How many have a vote, and how many of these are well.
    pub fn strength(&self) -> Strength {
        Strength {
            voters: self.voters().count(),
            healthy: self.voters().filter(|member| member.healthy()).count(),
        }
    }

    /// Whether a majority follows a leader that answers.
    pub(super) fn is_settled(&self) -> bool {
        let leader = self.leader.and_then(|id| self.member(id));
        self.strength().has_quorum() && leader.is_some_and(MemberView::healthy)
    }

    /// Of the members with a vote that answer the one that knows most.
    pub fn newest(&self) -> Option<&MemberView> {
        let answers = |it: &&MemberView| matches!(it.answer, Answer::Status { .. });
        self.voters().filter(answers).max_by_key(|member| member.answer.applied())
    }

    /// Whether so many answer that they can elect a leader.
    pub(super) fn may_elect(&self) -> bool {
        let answers = |it: &&MemberView| matches!(it.answer, Answer::Status { .. });
        self.voters().filter(answers).count() >= self.strength().quorum()
    }

    /// Those that do not answer or follow nobody, with why.
    pub fn unwell(&self) -> Vec<String> {
        let words = |member: &&MemberView| match &member.answer {
            Answer::Silent(why) => format!("{}: {why}", member.title()),
            Answer::Status { .. } => format!("{}: no leader", member.title()),
        };
        self.members.iter().filter(|member| !member.healthy()).map(|it| words(&it)).collect()
    }

    /// Where to ask something that the cluster has to agree on: the leader first, then other healthy voters.
    pub fn healthy_urls(&self) -> Vec<String> {
        let mut healthy: Vec<&MemberView> = self.voters().filter(|it| it.healthy()).collect();
        healthy.sort_by_key(|member| Some(member.id) != self.leader);
        healthy.into_iter().filter_map(|member| member.client_urls.first().cloned()).collect()
    }
}
