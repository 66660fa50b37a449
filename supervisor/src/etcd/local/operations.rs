//! What operators do with this node's member.

use std::path::PathBuf;
use std::time::Duration;

use super::{Member, PATIENCE};
use crate::etcd::data::{Content, DataDir};
use crate::etcd::guard::Force;
use crate::etcd::leadership::Moved;
use crate::etcd::members::Removed;
use crate::etcd::record::{Identity, Record};
use crate::etcd::restore::{self, Tools, blocking};
use crate::etcd::settings::Settings;
use crate::etcd::snapshot::{Snapshots, Taken, now, stamp};
use crate::etcd::{Error, MemberId, Progress, Refusal};

impl Member {
    /// `mainstay init`: a new cluster of all masters in the configuration. Nothing is started by it. May be repeated.
    ///
    /// # Errors
    /// If this node is a member of a cluster, or there is data.
    pub async fn init(&self) -> Result<(), Error> {
        let (data, read) = self.look_or_error().await?;
        match read.record {
            Record::Bootstrap => return Ok(()),
            Record::Nothing => self.refuse_data(&data)?,
            Record::Join(joining) => return Err(self.already(joining.member)),
            Record::Member(identity) => return Err(self.already(identity.member)),
        }
        self.remember(Record::Bootstrap).await
    }

    /// `mainstay join`: adds this node to the cluster of the other masters, as a learner. etcd is to be started then, and
    /// [`Self::promote`] waited for. May be repeated after an interruption.
    ///
    /// # Errors
    /// As [`Mesh::join`](crate::etcd::Mesh::join); also if there is data.
    pub async fn join(&self, progress: &Progress) -> Result<(), Error> {
        let (data, read) = self.look_or_error().await?;
        if let Record::Member(identity) = read.record {
            return Err(self.already(identity.member));
        }
        if !matches!(read.record, Record::Join(_)) {
            self.refuse_data(&data)?;
        }
        let joining = self.others().join(&self.settings.me, progress).await?;
        self.remember(Record::Join(joining)).await
    }

    /// `mainstay etcd replace`: puts this node in the place of a member that is lost for good, `lost` by name or id, by
    /// default the one that this node was. etcd must stand still here. Data that is there is moved aside.
    ///
    /// # Errors
    /// As [`Mesh::replace`](crate::etcd::Mesh::replace).
    pub async fn replace(
        &self,
        lost: Option<&str>,
        force: Force,
        progress: &Progress,
    ) -> Result<(), Error> {
        self.stands_still().await?;
        if force == Force::No {
            self.data_is_of_no_use(lost).await?;
        }
        let joining = self.others().replace(&self.settings.me, lost, force, progress).await?;
        self.set_data_aside(progress).await?;
        self.remember(Record::Join(joining)).await
    }

    /// Waits until this node's member has caught up, and gives it a vote.
    ///
    /// # Errors
    /// If it does not catch up within `patience`, or etcd does not run here.
    pub async fn promote(&self, patience: Duration, progress: &Progress) -> Result<(), Error> {
        let read = self.look_or_error().await?.1;
        let id = match read.record {
            Record::Join(joining) => joining.member,
            Record::Member(identity) => identity.member,
            Record::Nothing | Record::Bootstrap => return Ok(()),
        };
        self.mesh().promote(id, patience, progress).await
    }

    /// `mainstay leave`: takes this node's member out of the cluster. etcd ends then; when it has, [`Self::forget`].
    ///
    /// # Errors
    /// As [`Mesh::leave`](crate::etcd::Mesh::leave); also if etcd does not run here: then another master removes this one.
    pub async fn leave(&self, force: Force, progress: &Progress) -> Result<Removed, Error> {
        let status = self.ask().await?;
        let me = status.header.map_or(0, |header| header.member_id);
        self.mesh().leave(MemberId(me), force, progress).await
    }

    /// Forgets which member this node was, and moves its data aside. etcd must stand still.
    ///
    /// # Errors
    /// If etcd runs, or the disk does not take it.
    pub async fn forget(&self, progress: &Progress) -> Result<(), Error> {
        self.stands_still().await?;
        self.set_data_aside(progress).await?;
        self.remember(Record::Nothing).await
    }

    /// `mainstay etcd remove`: takes another member out of the cluster, meant by name or id, for good.
    ///
    /// # Errors
    /// As [`Mesh::remove`](crate::etcd::Mesh::remove); also if it is this node's own, or this node's member is not well: what
    /// it knows of the cluster may be old.
    pub async fn remove(
        &self,
        name_or_id: &str,
        force: Force,
        progress: &Progress,
    ) -> Result<Removed, Error> {
        if name_or_id == self.settings.me.name {
            return Err(Refusal::Oneself { member: name_or_id.to_owned() }.into());
        }
        let status = self.ask().await?;
        let me = MemberId(status.header.map_or(0, |header| header.member_id));
        progress.step("asking etcd's members");
        let survey = self.mesh().survey_with_quorum().await?;
        if let Some(own) = survey.find(name_or_id).filter(|member| member.id == me) {
            return Err(Refusal::Oneself { member: own.name.clone() }.into());
        }
        let why = match survey.member(me) {
            None => Some("the others do not list it"),
            Some(own) if own.learner => Some("it is a learner"),
            Some(own) if !own.healthy() => Some("it has no leader"),
            Some(_) => None,
        };
        if let Some(why) = why {
            return Err(Refusal::NotWellHere { why }.into());
        }
        self.mesh().remove(name_or_id, force, progress).await
    }

    /// Gives leadership away if this node's member has it: before it stops.
    ///
    /// # Errors
    /// As [`Mesh::move_leader`](crate::etcd::Mesh::move_leader).
    pub async fn move_leader(&self, progress: &Progress) -> Result<Moved, Error> {
        let status = self.ask().await?;
        let me = status.header.map_or(0, |header| header.member_id);
        if status.leader != me {
            return Ok(Moved::WasNotLeader);
        }
        self.mesh().move_leader(MemberId(me), progress).await
    }

    /// Takes a snapshot of this node's member.
    ///
    /// # Errors
    /// As [`Snapshots::take`].
    pub async fn snapshot(
        &self,
        snapshots: &Snapshots,
        progress: &Progress,
    ) -> Result<Taken, Error> {
        snapshots.take(&self.client().await?, progress).await
    }

    /// `mainstay etcd restore FILE`: makes a new cluster of this node alone from a snapshot. etcd must stand still here. The
    /// other masters `etcd replace` into it.
    ///
    /// # Errors
    /// If the cluster works (unless forced), etcd runs here, the snapshot is damaged, or etcd's tool fails.
    pub async fn restore(
        &self,
        file: PathBuf,
        tools: &dyn Tools,
        force: Force,
        progress: &Progress,
    ) -> Result<Identity, Error> {
        self.stands_still().await?;
        progress.step("looking for members that live");
        if let Ok(survey) = self.others().survey().await
            && force == Force::No
            && survey.strength().has_quorum()
        {
            let strength = survey.strength();
            let (voters, healthy) = (strength.voters, strength.healthy);
            return Err(Refusal::ClusterWorks { voters, healthy }.into());
        }
        let Settings { me, cluster, data_dir, .. } = &self.settings;
        restore::restore(&file, me, cluster, data_dir, tools, progress).await?;
        let identity = self.take_data().await?;
        progress.step(format!(
            "this node is now member {} of the new cluster {}",
            identity.member, identity.cluster
        ));
        Ok(identity)
    }

    /// Whoever listens at this node's client port is etcd: also one that waits for the others and answers nobody yet.
    pub(super) async fn stands_still(&self) -> Result<(), Error> {
        let connected = tokio::net::TcpStream::connect(self.settings.local_address());
        match tokio::time::timeout(PATIENCE, connected).await {
            Ok(Err(why)) if why.kind() == std::io::ErrorKind::ConnectionRefused => Ok(()),
            _ => Err(Refusal::StillRuns.into()),
        }
    }

    /// Refuses to replace this node by itself while its data is there and its member listed.
    async fn data_is_of_no_use(&self, lost: Option<&str>) -> Result<(), Error> {
        let Content::Member { cluster, member } = self.look_or_error().await?.0.content else {
            return Ok(());
        };
        let survey = self.others().survey_with_quorum().await?;
        let meant = lost.is_none_or(|name| survey.find(name).is_some_and(|it| it.id == member));
        match survey.member(member) {
            Some(member) if survey.cluster == cluster && meant => Err(Refusal::DataUsable {
                data_dir: self.settings.data_dir.display().to_string(),
                member: member.title(),
            }
            .into()),
            _ => Ok(()),
        }
    }

    async fn set_data_aside(&self, progress: &Progress) -> Result<(), Error> {
        let data_dir = self.settings.data_dir.clone();
        let aside = blocking(move || restore::set_aside(&data_dir, &stamp(now()))).await?;
        if let Some(aside) = aside {
            progress.step(format!("the data that was there is now in {}", aside.display()));
        }
        Ok(())
    }

    fn refuse_data(&self, data: &DataDir) -> Result<(), Refusal> {
        let what = match &data.content {
            Content::Missing | Content::Empty => return Ok(()),
            Content::Member { cluster, member } => format!("member {member} of cluster {cluster}"),
            Content::NoLog => "a member without a write-ahead log".to_owned(),
            Content::Unusable(why) => format!("something else ({why})"),
        };
        Err(Refusal::DataThere { data_dir: self.settings.data_dir.display().to_string(), what })
    }

    fn already(&self, id: MemberId) -> Error {
        Refusal::AlreadyMember { member: format!("{} ({id})", self.settings.me.name) }.into()
    }
}
