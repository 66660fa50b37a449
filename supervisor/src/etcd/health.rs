//! What the local member's state means for the VIP. Pure.
//!
//! A member that is down, a learner or cut off from a leader that others have makes its node a bad place for the VIP. Where
//! nobody has a leader no other node is better: the loss of quorum alone moves nothing, and neither does an alarm that stops
//! the whole cluster.

use serde::Serialize;

use super::MemberId;
use super::alarms::{self, Alarm, Kind};
use super::rpc::messages::StatusResponse;

/// What the local member says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Local {
    /// Nothing: why, in words.
    Silent(String),
    /// How it is.
    Answers {
        /// Its id.
        member: MemberId,
        /// Whether it has no vote.
        learner: bool,
        /// Whether it follows a leader, or is one.
        has_leader: bool,
        /// Alarms of any member, as it knows them.
        alarms: Vec<Alarm>,
    },
}

/// Whether the node is a good place for the VIP as far as etcd goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Health {
    /// The judgement.
    pub verdict: Verdict,
    /// What else the operator should know.
    pub warnings: Vec<String>,
}

/// Whether the local member takes part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It does.
    Well,
    /// It does not, others may: the VIP is better off elsewhere. Why, in words.
    Degraded(String),
    /// Nobody does: no reason to move the VIP. Why, in words.
    NoQuorum(String),
}

impl Health {
    /// Judges the local member; `leader_elsewhere` names another member that follows a leader, where the local one has none.
    pub fn judge(local: &Local, leader_elsewhere: Option<&str>) -> Self {
        let (member, learner, has_leader, alarms) = match local {
            Local::Silent(why) => {
                let verdict = Verdict::Degraded(format!("etcd does not answer: {why}"));
                return Self { verdict, warnings: Vec::new() };
            }
            Local::Answers { member, learner, has_leader, alarms } => {
                (*member, *learner, *has_leader, alarms)
            }
        };
        let corrupt = alarms.iter().find(|it| it.kind == Kind::Corrupt && it.member == member);
        let verdict = match (learner, has_leader, leader_elsewhere) {
            (true, ..) => Verdict::Degraded(
                "etcd is a learner: it has no vote until it has caught up and is promoted".to_owned(),
            ),
            (false, true, _) => match corrupt {
                Some(alarm) => Verdict::Degraded(alarm.words()),
                None => Verdict::Well,
            },
            (false, false, Some(other)) => Verdict::Degraded(format!(
                "etcd has no leader, but {other} has one: see the network to the other masters' port 2380"
            )),
            (false, false, None) => Verdict::NoQuorum(
                "etcd has no quorum: start etcd on the other masters (`mainstay etcd status` shows them)".to_owned(),
            ),
        };
        Self { verdict, warnings: alarms.iter().map(Alarm::words).collect() }
    }
}

impl From<&StatusResponse> for Local {
    fn from(status: &StatusResponse) -> Self {
        Self::Answers {
            member: MemberId(status.header.as_ref().map_or(0, |header| header.member_id)),
            learner: status.is_learner,
            has_leader: status.leader != 0,
            alarms: alarms::of(&status.errors),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(learner: bool, has_leader: bool, alarms: Vec<Alarm>) -> Local {
        Local::Answers { member: MemberId(1), learner, has_leader, alarms }
    }

    fn degrades(local: &Local, elsewhere: Option<&str>) -> bool {
        matches!(Health::judge(local, elsewhere).verdict, Verdict::Degraded(_))
    }

    #[test]
    fn a_member_that_is_down_a_learner_or_cut_off_degrades_the_node() {
        assert!(degrades(&Local::Silent("connection refused".into()), None));
        assert!(degrades(&answers(true, true, vec![]), None));
        assert!(degrades(&answers(true, false, vec![]), None));
        assert!(degrades(&answers(false, false, vec![]), Some("m2")));
        assert!(!degrades(&answers(false, true, vec![]), None));
    }

    #[test]
    fn the_loss_of_quorum_alone_degrades_nobody() {
        let health = Health::judge(&answers(false, false, vec![]), None);
        assert!(matches!(health.verdict, Verdict::NoQuorum(_)));
    }

    #[test]
    fn a_full_database_is_told_but_stops_all_members_alike() {
        let full = Alarm { member: MemberId(1), kind: Kind::NoSpace };
        let health = Health::judge(&answers(false, true, vec![full]), None);
        assert_eq!(health.verdict, Verdict::Well);
        assert!(health.warnings.iter().any(|it| it.contains("mainstay etcd defrag")));
    }

    #[test]
    fn only_the_member_whose_data_differs_is_degraded_for_it() {
        let mine = Alarm { member: MemberId(1), kind: Kind::Corrupt };
        let other = Alarm { member: MemberId(2), kind: Kind::Corrupt };
        assert!(degrades(&answers(false, true, vec![mine]), None));
        assert!(!degrades(&answers(false, true, vec![other]), None));
    }
}
