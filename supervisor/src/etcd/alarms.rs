//! Alarms: a member is out of space, or its data differs from the others'.
//!
//! They are the cluster's: one member that is out of space makes all of them refuse writes, until the alarm is taken back.

use serde::Serialize;

use super::rpc::messages::{AlarmAction, AlarmRequest, AlarmType};
use super::{Error, MemberId, Mesh, Progress};

/// One alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Alarm {
    /// Who raised it.
    pub member: MemberId,
    /// What it says.
    pub kind: Kind,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The database has reached its quota: nothing can be written.
    NoSpace,
    /// The member's data differs from the others'.
    Corrupt,
}

impl Alarm {
    /// What it means and what to do.
    pub fn words(&self) -> String {
        let member = self.member;
        match self.kind {
            Kind::NoSpace => format!(
                "NOSPACE, raised by member {member}: etcd's database has reached its quota, and the cluster refuses writes; free \
                 space: mainstay etcd defrag"
            ),
            Kind::Corrupt => format!(
                "CORRUPT, raised by member {member}: its data differs from the others'; on that master: mainstay etcd replace"
            ),
        }
    }
}

impl Mesh {
    /// Takes alarms back. One whose cause is still there comes back with the next write.
    ///
    /// # Errors
    /// If there is no quorum, or nobody answers.
    pub async fn disarm(&self, alarms: &[Alarm], progress: &Progress) -> Result<(), Error> {
        let survey = self.survey_with_quorum().await?;
        for alarm in alarms {
            progress.step(format!("taking back the alarm of member {}", alarm.member));
            let kind = match alarm.kind {
                Kind::NoSpace => AlarmType::NoSpace,
                Kind::Corrupt => AlarmType::Corrupt,
            };
            let request = AlarmRequest {
                action: AlarmAction::Deactivate.into(),
                member_id: alarm.member.0,
                alarm: kind.into(),
            };
            self.agree(&survey, |client| {
                let request = request.clone();
                async move { client.alarm(request).await }
            })
            .await?;
        }
        Ok(())
    }
}

/// The alarms in a member's complaints about itself: `memberID:10276657743932975437 alarm:NOSPACE `. To ask for alarms is a
/// proposal that every member writes to its disk; this is not.
pub(super) fn of(errors: &[String]) -> Vec<Alarm> {
    errors.iter().filter_map(|error| alarm(error)).collect()
}

fn alarm(error: &str) -> Option<Alarm> {
    let mut words = error.split_whitespace();
    let member = words.next()?.strip_prefix("memberID:")?.parse().ok()?;
    let kind = match words.next()?.strip_prefix("alarm:")? {
        "NOSPACE" => Kind::NoSpace,
        "CORRUPT" => Kind::Corrupt,
        _ => return None,
    };
    Some(Alarm { member: MemberId(member), kind })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alarms_are_read_from_a_members_complaints() {
        let errors = [
            "etcdserver: no leader".to_owned(),
            "memberID:10276657743932975437 alarm:NOSPACE ".to_owned(),
            "memberID:1 alarm:CORRUPT".to_owned(),
            "memberID:x alarm:NOSPACE".to_owned(),
        ];
        let member = MemberId(0x8e9e_05c5_2164_694d);
        let expected = [
            Alarm { member, kind: Kind::NoSpace },
            Alarm { member: MemberId(1), kind: Kind::Corrupt },
        ];
        assert_eq!(of(&errors), expected);
    }
}
