//! Taking a data directory for this node's: what can be checked before, and what is recorded.

use std::fs::File;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::Serialize;

use super::Member;
use crate::etcd::data::{Content, DataDir};
use crate::etcd::record::{Identity, Record};
use crate::etcd::restore::blocking;
use crate::etcd::settings::{Node, Settings};
use crate::etcd::{Answer, Error, Refusal, Survey};

/// What an adoption records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Adoption {
    /// Which member this node is from then on, and where its data lies.
    pub identity: Identity,
    /// What was remembered before.
    pub before: Record,
    /// What could not be checked, or looks odd.
    pub notes: Vec<String>,
}

impl Adoption {
    /// Whether all of it is remembered already.
    pub fn is_known(&self) -> bool {
        self.before == Record::Member(self.identity.clone())
    }
}

impl Member {
    /// What [`Self::adopt`] would record. Changes nothing.
    ///
    /// # Errors
    /// As [`Self::adopt`].
    pub async fn may_adopt(&self) -> Result<Adoption, Error> {
        self.stands_still().await?;
        let (data, read) = self.look_or_error().await?;
        let identity = owner(&self.settings, data)?;
        let database = self.settings.data_dir.join("member/snap/db");
        blocking(move || nobody_has(&database)).await?;
        let aside = read
            .moved_aside
            .map(|it| format!("etcd.json made no sense: it is now {}", it.display()));
        let mut notes = Vec::from_iter(aside);
        // A master alone has nobody to ask.
        if !self.settings.others.is_empty() {
            match self.others().survey().await {
                Ok(survey) => notes.extend(judge(&self.settings, &identity, &survey)?),
                Err(why) => {
                    let why = match why {
                        Error::NobodyAnswers { tried } => tried.join("; "),
                        why => why.to_string(),
                    };
                    notes.push(format!(
                        "the other masters cannot say whether they know this member: {why}"
                    ));
                }
            }
        }
        Ok(Adoption { identity, before: read.record, notes })
    }

    /// `mainstay etcd adopt`: takes the data directory as it is for this node's from now on, on the operator's word that it is
    /// this member's latest data. Nothing but the record is changed.
    ///
    /// # Errors
    /// If there is no member's data, somebody runs on it, or the cluster of the other masters does not know the member as this
    /// node's.
    pub async fn adopt(&self) -> Result<Adoption, Error> {
        let adoption = self.may_adopt().await?;
        self.remember(Record::Member(adoption.identity.clone())).await?;
        Ok(adoption)
    }

    /// Takes the data that was made here just now.
    pub(super) async fn take_data(&self) -> Result<Identity, Error> {
        let identity = owner(&self.settings, self.look_or_error().await?.0)?;
        self.remember(Record::Member(identity.clone())).await?;
        Ok(identity)
    }
}

fn owner(settings: &Settings, data: DataDir) -> Result<Identity, Refusal> {
    let why = match data.content {
        Content::Member { cluster, member } => {
            return Ok(Identity { cluster, member, place: data.place });
        }
        Content::Unusable(why) => why,
        Content::Missing => "there is no such directory".to_owned(),
        Content::Empty => "it is empty".to_owned(),
        Content::NoLog => "its member has no write-ahead log".to_owned(),
    };
    Err(Refusal::NothingToAdopt { data_dir: settings.data_dir.display().to_string(), why })
}

/// etcd holds a lock on its database as long as it runs, whoever started it and whatever it listens on.
fn nobody_has(database: &Path) -> Result<(), Error> {
    let file = File::open(database).map_err(Error::file("read", database))?;
    // A file system without locks tells nothing.
    if flock(&file, FlockOperation::NonBlockingLockShared) == Err(Errno::WOULDBLOCK) {
        return Err(Refusal::InUse { path: database.display().to_string() }.into());
    }
    Ok(())
}

/// What the other masters say of the member whose data this is. Pure.
fn judge(
    settings: &Settings,
    identity: &Identity,
    survey: &Survey,
) -> Result<Option<String>, Refusal> {
    let data_dir = settings.data_dir.display().to_string();
    let Identity { cluster, member, .. } = *identity;
    // Without a quorum their list may be old, and their cluster the one that was lost.
    let is_certain = survey.strength().has_quorum();
    if survey.cluster != cluster {
        if is_certain {
            let theirs = survey.cluster;
            return Err(Refusal::OtherCluster { data_dir, member, cluster, theirs });
        }
        let theirs = survey.cluster;
        return Ok(Some(format!(
            "other masters run as members of cluster {theirs}, without a quorum"
        )));
    }
    let Some(view) = survey.member(member) else {
        return match is_certain {
            true => Err(Refusal::MemberNoMore { data_dir, member, cluster }),
            false => Ok(Some(format!("other masters do not list member {member}"))),
        };
    };
    if let Answer::Status { .. } = view.answer {
        let url = view.client_urls.first().cloned().unwrap_or_default();
        return Err(Refusal::RunsElsewhere { data_dir, member: view.title(), url });
    }
    if is_of(&settings.me, &view.name, &view.peer_urls) {
        return Ok(None);
    }
    let (member, name) = (view.title(), view.name.clone());
    Err(Refusal::OtherNodes { data_dir, member, name, url: view.peer_urls.join(", ") })
}

/// Whether the cluster knows a member as this node's.
fn is_of(me: &Node, name: &str, peer_urls: &[String]) -> bool {
    name == me.name || peer_urls.contains(&me.peer_url())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::etcd::{ClusterId, MemberId, MemberView};

    const CLUSTER: ClusterId = ClusterId(0xc1);

    fn settings() -> Settings {
        let node = |name, address: &str| Node::new(name, address.parse().unwrap());
        Settings {
            cluster: "prod".into(),
            me: node("m2", "10.0.0.12"),
            others: vec![node("m1", "10.0.0.11"), node("m3", "10.0.0.13")],
            data_dir: "/data".into(),
            pki: None,
            metrics_port: None,
            quota: None,
            heartbeat: None,
            election: None,
            extra: Vec::new(),
        }
    }

    /// `m1` to `m3` with ids 1 to 3, of which these follow m1 and the others say nothing.
    fn survey(healthy: &[u64]) -> Survey {
        let member = |id: u64| {
            let answer = match healthy.contains(&id) {
                false => Answer::Silent("connection refused".into()),
                true => Answer::Status {
                    version: "3.4.23".into(),
                    db_size: 0,
                    db_in_use: 0,
                    leader: Some(MemberId(1)),
                    term: 2,
                    index: 10,
                    applied: 10,
                    errors: Vec::new(),
                },
            };
            MemberView {
                id: MemberId(id),
                name: format!("m{id}"),
                peer_urls: vec![format!("https://10.0.0.1{id}:2380")],
                client_urls: vec![format!("https://10.0.0.1{id}:2379")],
                learner: false,
                answer,
            }
        };
        Survey::new(CLUSTER, (1..=3).map(member).collect())
    }

    fn of(cluster: ClusterId, member: u64) -> Identity {
        Identity { cluster, member: MemberId(member), place: None }
    }

    #[test]
    fn the_data_of_this_nodes_member_is_adopted() {
        assert_eq!(judge(&settings(), &of(CLUSTER, 2), &survey(&[1, 3])), Ok(None));
        // Renamed, but where the cluster looks for it.
        let mut renamed = settings();
        renamed.me.name = "master-2".into();
        assert_eq!(judge(&renamed, &of(CLUSTER, 2), &survey(&[1, 3])), Ok(None));
    }

    #[test]
    fn the_data_of_a_member_that_runs_elsewhere_is_refused_even_without_a_quorum() {
        for healthy in [&[1, 3][..], &[1]] {
            let refused = judge(&settings(), &of(CLUSTER, 1), &survey(healthy)).unwrap_err();
            assert!(matches!(refused, Refusal::RunsElsewhere { .. }), "{refused}");
        }
    }

    #[test]
    fn data_that_the_cluster_knows_as_anothers_or_not_at_all_is_refused() {
        let other = judge(&settings(), &of(CLUSTER, 3), &survey(&[1, 2])).unwrap_err();
        assert!(matches!(other, Refusal::OtherNodes { .. }), "{other}");
        let gone = judge(&settings(), &of(CLUSTER, 9), &survey(&[1, 3])).unwrap_err();
        assert!(matches!(gone, Refusal::MemberNoMore { .. }), "{gone}");
        let old = judge(&settings(), &of(ClusterId(7), 2), &survey(&[1, 3])).unwrap_err();
        assert!(matches!(old, Refusal::OtherCluster { .. }), "{old}");
    }

    #[test]
    fn what_others_say_without_a_quorum_is_told_and_not_believed() {
        for identity in [of(CLUSTER, 9), of(ClusterId(7), 2)] {
            assert!(judge(&settings(), &identity, &survey(&[1])).unwrap().is_some());
        }
    }
}
