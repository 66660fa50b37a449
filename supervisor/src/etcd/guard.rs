//! What a cluster survives: pure counting, and the words of every refusal.
//!
//! N voting members agree as long as N / 2 + 1 of them are well. Learners do not count.

use super::{ClusterId, MemberId};

/// How many members have a vote, and how many of these are well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strength {
    /// Members with a vote.
    pub voters: usize,
    /// Those of them that answer and follow a leader.
    pub healthy: usize,
}

impl Strength {
    /// How many have to be well for the cluster to agree on anything.
    pub fn quorum(self) -> usize {
        self.voters / 2 + 1
    }

    /// Whether enough of them are.
    pub fn has_quorum(self) -> bool {
        self.healthy >= self.quorum()
    }

    /// After a member with a vote is removed.
    #[must_use]
    pub fn without(self, was_healthy: bool) -> Self {
        Self {
            voters: self.voters.saturating_sub(1),
            healthy: self.healthy.saturating_sub(usize::from(was_healthy)),
        }
    }

    /// While a member that stays one does not run.
    #[must_use]
    pub fn while_stopped(self, was_healthy: bool) -> Self {
        Self { healthy: self.healthy.saturating_sub(usize::from(was_healthy)), ..self }
    }

    /// After a learner was promoted.
    #[must_use]
    pub fn with(self, is_healthy: bool) -> Self {
        Self { voters: self.voters + 1, healthy: self.healthy + usize::from(is_healthy) }
    }
}

/// Whether an operator insists on what a guard would refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Force {
    /// Guards hold.
    #[default]
    No,
    /// `--force`.
    Yes,
}

/// What a guard forbids, with what to do instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The members cannot agree on anything now.
    #[error(
        "etcd has no quorum: {healthy} of {voters} members are well, {} are needed ({}). Start the others first. {}",
        voters / 2 + 1, unwell.join("; "), way_out(newest.as_deref())
    )]
    NoQuorum {
        /// Members with a vote.
        voters: usize,
        /// Those that are well.
        healthy: usize,
        /// What is wrong with the others.
        unwell: Vec<String>,
        /// Of those that answer the one that knows most.
        newest: Option<String>,
    },
    /// What is asked for would leave too few.
    #[error(
        "{what} would lose quorum: {healthy} of {voters} members would be well, {} are needed ({}). Bring the others back \
         first, or insist with --force", voters / 2 + 1, if unwell.is_empty() { "all are well now".to_owned() } else { unwell.join("; ") }
    )]
    WouldLoseQuorum {
        /// What was asked for.
        what: String,
        /// Members with a vote afterwards.
        voters: usize,
        /// Those of them that would be well.
        healthy: usize,
        /// What is wrong with which.
        unwell: Vec<String>,
    },
    /// The only member cannot leave.
    #[error(
        "{member} is the only member that has a vote: without it there is no cluster. To end the cluster, `mainstay down` and \
         remove the data directory by hand"
    )]
    LastMember {
        /// Which one.
        member: String,
    },
    /// A member of this name or address exists.
    #[error(
        "etcd knows this node already as {member}. If its data is lost for good: mainstay etcd replace. If not, start it \
         with its data instead of joining again: mainstay unit start etcd"
    )]
    AlreadyMember {
        /// Which one.
        member: String,
    },
    /// One that is to be replaced answers.
    #[error(
        "{member} is alive: it answers at {url}. Replace only a member that is lost for good; stop it first if it is \
         (`mainstay unit stop etcd` there), or insist with --force"
    )]
    Alive {
        /// Which one.
        member: String,
        /// Where it answers.
        url: String,
    },
    /// The node that is to be replaced has all it needs.
    #[error(
        "{data_dir} holds the data of {member}, which is still a member: start it instead (mainstay unit start etcd). If the data \
         is bad, insist with --force; it is moved aside then"
    )]
    DataUsable {
        /// Where.
        data_dir: String,
        /// Whose.
        member: String,
    },
    /// Another member has been added but does not take part yet.
    #[error(
        "{member} has been added and is not a full member yet: one joins at a time. Finish that first (`mainstay join` there), \
         or remove it: mainstay etcd remove {id}"
    )]
    AnotherJoins {
        /// Which one.
        member: String,
        /// Its id.
        id: MemberId,
    },
    /// There is no such member.
    #[error("no member of etcd is called {name}; the members are {}: `mainstay etcd members`", members.join(", "))]
    NoSuchMember {
        /// What was asked for.
        name: String,
        /// Who there is.
        members: Vec<String>,
    },
    /// A member is not well, and the operation needs all.
    #[error("{what} needs all members to be well ({}). Bring them back first, or insist with --force", unwell.join("; "))]
    Unwell {
        /// What was asked for.
        what: &'static str,
        /// What is wrong with which.
        unwell: Vec<String>,
    },
    /// Nobody can take the leadership.
    #[error("no other member of etcd can lead ({}): bring one back first", unwell.join("; "))]
    NobodyElseCanLead {
        /// What is wrong with which.
        unwell: Vec<String>,
    },
    /// Snapshots can be taken of members with a vote only.
    #[error(
        "etcd at {url} is a learner and gives no snapshot: wait until it is promoted (`mainstay etcd members`), or take it \
         on another master"
    )]
    LearnerSnapshot {
        /// Which one.
        url: String,
    },
    /// The cluster works: a restore would throw away what was written since.
    #[error(
        "etcd works: {healthy} of {voters} members are well. A restore would throw away all that was written after the \
         snapshot. If that is meant, insist with --force"
    )]
    ClusterWorks {
        /// Members with a vote.
        voters: usize,
        /// Those that are well.
        healthy: usize,
    },
    /// The local member runs.
    #[error("etcd runs on this node. Stop it first: mainstay unit stop etcd")]
    StillRuns,
    /// There is data where an operation starts from nothing.
    #[error(
        "{data_dir} holds the data of {what}. If it is not needed any more, move it away: mv {data_dir}/member {data_dir}/set-aside-member; \
         if it is this node's, start with it: mainstay unit start etcd"
    )]
    DataThere {
        /// Where.
        data_dir: String,
        /// Whose.
        what: String,
    },
    /// There is nothing that could be this node's data.
    #[error(
        "{data_dir} holds nothing to adopt: {why}. Put this node's data there, or mount its disk. If it is lost for good: \
         `mainstay etcd replace`"
    )]
    NothingToAdopt {
        /// Where.
        data_dir: String,
        /// What is there instead.
        why: String,
    },
    /// Some program has the database open.
    #[error(
        "{path} is in use: an etcd runs on this data that mainstay does not know. Find it (`fuser -v {path}`) and stop it first"
    )]
    InUse {
        /// The database.
        path: String,
    },
    /// The data is of another cluster than the one that works.
    #[error(
        "{data_dir} holds the data of member {member} of cluster {cluster}, but the other masters are cluster {theirs}, which \
         works. To take part in that one: `mainstay etcd replace`; the data here is moved aside then"
    )]
    OtherCluster {
        /// Where.
        data_dir: String,
        /// Whose.
        member: MemberId,
        /// Of which cluster.
        cluster: ClusterId,
        /// The one that works.
        theirs: ClusterId,
    },
    /// The cluster does not list the member whose data this is.
    #[error(
        "{data_dir} holds the data of member {member}, which cluster {cluster} does not list any more: it was removed, and its data \
         is of no use. To take part again: `mainstay etcd replace`"
    )]
    MemberNoMore {
        /// Where.
        data_dir: String,
        /// Whose.
        member: MemberId,
        /// Of which cluster.
        cluster: ClusterId,
    },
    /// The member whose data this is runs somewhere else.
    #[error(
        "{data_dir} holds a copy of the data of {member}, which runs already: it answers at {url}. Two of one member destroy what \
         the cluster has agreed on. To make this node a member of its own: `mainstay etcd replace`; the copy is moved aside then"
    )]
    RunsElsewhere {
        /// Where.
        data_dir: String,
        /// Whose.
        member: String,
        /// Where it answers.
        url: String,
    },
    /// The cluster knows the member whose data this is as another node's.
    #[error(
        "{data_dir} holds the data of {member}, which the cluster knows at {url}, not here. Put the data back there, or have this \
         node take its place: `mainstay etcd replace {name}`; the data here is moved aside then"
    )]
    OtherNodes {
        /// Where.
        data_dir: String,
        /// Whose.
        member: String,
        /// Its name.
        name: String,
        /// Where the cluster looks for it.
        url: String,
    },
    /// This node's own member was to be removed.
    #[error(
        "{member} is this node's own member. To take this node out of the cluster: `mainstay leave`; where etcd does not run \
         here any more, on another master: `mainstay etcd remove {member}`"
    )]
    Oneself {
        /// Its name.
        member: String,
    },
    /// This node's member does not take part.
    #[error(
        "etcd on this node is not well: {why}. Do it on a master whose member is (`mainstay etcd status` shows them)"
    )]
    NotWellHere {
        /// What is wrong.
        why: &'static str,
    },
}

/// What to do where so many members are lost for good that the others cannot agree any more: a new cluster begins with the
/// data of `newest`, the one that knows most of those that answer, or with a snapshot.
pub fn way_out(newest: Option<&str>) -> String {
    let (from, first) = match newest {
        Some(name) => (format!("what {name} has: on {name}"), "`mainstay etcd snapshot`, "),
        None => ("the newest snapshot: on one master".to_owned(), ""),
    };
    let file = if newest.is_some() { " with the snapshot's path" } else { "" };
    format!(
        "If too many are lost for good, begin a new cluster with {from}, in this order: {first}`mainstay unit stop etcd`, \
         `mainstay etcd restore FILE`{file}, `mainstay unit start etcd`. Then, one after the other, on each other master \
         `mainstay etcd replace`. At last restart API servers and kubelets"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_majority_of_those_with_a_vote_is_a_quorum() {
        let quorums: Vec<usize> =
            (1..=7).map(|voters| Strength { voters, healthy: 0 }.quorum()).collect();
        assert_eq!(quorums, [1, 2, 2, 3, 3, 4, 4]);
    }

    #[test]
    fn removing_a_dead_member_never_costs_the_quorum_and_removing_a_living_one_may() {
        for voters in 1..=9 {
            for healthy in 0..=voters {
                let now = Strength { voters, healthy };
                if now.has_quorum() && healthy < voters {
                    assert!(now.without(false).has_quorum(), "{now:?}");
                }
                if now.has_quorum() && healthy == now.quorum() && voters % 2 == 1 && voters > 1 {
                    // An even number of members needs as many as an odd number one above it.
                    assert!(!now.without(true).has_quorum(), "{now:?}");
                }
            }
        }
    }

    #[test]
    fn a_healthy_learner_that_is_promoted_never_costs_the_quorum() {
        for voters in 1..=9 {
            for healthy in 0..=voters {
                let now = Strength { voters, healthy };
                if now.has_quorum() {
                    assert!(now.with(true).has_quorum(), "{now:?}");
                }
            }
        }
        assert!(!Strength { voters: 2, healthy: 2 }.with(false).with(false).has_quorum());
    }

    #[test]
    fn two_of_three_may_not_lose_another_one_even_for_a_moment() {
        let now = Strength { voters: 3, healthy: 2 };
        assert!(now.has_quorum());
        assert!(!now.while_stopped(true).has_quorum());
        assert!(now.while_stopped(false).has_quorum());
    }
}
