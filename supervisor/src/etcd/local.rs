//! The member of this node: how it starts, whether it is ready, and what an operator asks it for.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::data::{Content, DataDir};
use super::decision::{self, Start};
use super::ending::ending;
use super::guard::Force;
use super::health::{Health, Local};
use super::leadership::Moved;
use super::members::Removed;
use super::record::{Identity, Record};
use super::restore::{self, Tools, blocking};
use super::rpc::Client;
use super::rpc::messages::StatusResponse;
use super::schedule::Schedule;
use super::settings::Settings;
use super::snapshot::{Snapshots, Taken, now, stamp};
use super::{Error, Mesh, Progress, Refusal};
use crate::backend::{Fault, Readiness};

/// A healthy member answers within milliseconds; a busy disk holds it up.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often the member is asked how it is.
const TEND: Duration = Duration::from_secs(1);
/// A disk that does not answer for so long counts as gone for now.
const DISK: Duration = Duration::from_secs(10);
/// After a snapshot that failed.
const RETRY: Duration = Duration::from_secs(300);
/// The clock on the wall may be set: nobody sleeps longer by it.
const NAP: Duration = Duration::from_secs(60);

/// etcd's member on this node.
#[derive(Debug)]
pub struct Member {
    settings: Settings,
    state_dir: PathBuf,
    /// What is on the disk for certain, so that it is not read and written with every question.
    settled: Mutex<Option<Identity>>,
    /// Why another start would end as the last one did, until somebody has acted.
    hopeless: Mutex<Option<&'static str>>,
    /// A connection to the local member that has answered.
    client: Mutex<Option<Client>>,
}

/// How etcd is to be started now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// The whole command line, the program first: [`Settings::command`] and what only this start needs.
    pub command: Vec<String>,
    /// How it starts.
    pub start: Start,
    /// Something that the operator should know.
    pub notes: Vec<String>,
}

impl Member {
    /// What is remembered lies in `state_dir`.
    pub fn new(settings: Settings, state_dir: PathBuf) -> Self {
        Self {
            settings,
            state_dir,
            settled: Mutex::new(None),
            hopeless: Mutex::new(None),
            client: Mutex::new(None),
        }
    }

    /// What the configuration says.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The cluster as this node reaches it.
    pub fn mesh(&self) -> Mesh {
        Mesh::new(self.settings.access(), self.settings.client_urls())
    }

    /// Asks the guards whether etcd may start, and how. To be asked before every start.
    ///
    /// # Errors
    /// Refused if the data directory is not what it should be, until somebody has acted; passing if the disk does not answer.
    pub async fn prepare(&self) -> Result<Prepared, Fault> {
        if let Some(why) = *lock(&self.hopeless) {
            return Err(Fault::refused(why));
        }
        let (data, read) = self.look().await?;
        let start =
            decision::decide(&self.settings.data_dir, &data, &read.record).map_err(|no| {
                Fault::refused(match &read.moved_aside {
                    Some(aside) => {
                        format!("{no} (etcd.json made no sense: it is now {})", aside.display())
                    }
                    None => no.to_string(),
                })
            })?;
        if data.content == Content::Missing {
            restore::create(&self.settings.data_dir)
                .map_err(|why| Fault::passing(why.to_string()))?;
        }
        let mut notes = Vec::new();
        if let Some(aside) = read.moved_aside {
            notes.push(format!("etcd.json made no sense: it is now {}", aside.display()));
        }
        if let Start::Restart { note } = &start {
            notes.extend(note.clone());
        }
        let mut command = self.settings.command();
        command.extend(self.settings.first_flags(&start));
        Ok(Prepared { command, start, notes })
    }

    /// What etcd's last words mean, after it has ended by itself; `None` if they say nothing known. Where another start would
    /// end the same way, [`Self::prepare`] refuses until an operator has made something else of this node.
    pub fn ended(&self, last_words: &str) -> Option<String> {
        let ending = ending(last_words)?;
        if ending.lasting {
            *lock(&self.hopeless) = Some(ending.words);
        }
        Some(ending.words.to_owned())
    }

    /// Asks once whether the member serves: it follows a leader and has a vote. Remembers which member it is.
    pub async fn readiness(&self) -> Readiness {
        let status = match self.ask().await {
            Ok(status) => status,
            Err(why) => return Readiness::NotReady(why.to_string()),
        };
        if let Err(why) = self.settle().await {
            return Readiness::NotReady(why.to_string());
        }
        match Health::judge(&Local::from(&status), None).verdict {
            super::health::Verdict::Well => Readiness::Ready,
            super::health::Verdict::Degraded(why) | super::health::Verdict::NoQuorum(why) => {
                Readiness::NotReady(why)
            }
        }
    }

    /// What the member's state means for the VIP. Others are asked only where this one has no leader.
    pub async fn health(&self) -> Health {
        self.judge(&self.local().await).await
    }

    /// Looks after the member for ever: tells its health whenever that changes, and gives a learner of this node's its vote as
    /// soon as it has caught up, also where nobody waits for a join any more.
    pub async fn tend(&self, health: &watch::Sender<Option<Health>>) {
        loop {
            let local = self.local().await;
            if let Local::Answers { member, learner: true, has_leader: true, .. } = &local {
                match self.mesh().try_promote(*member).await {
                    Ok(()) => tracing::info!(unit = "etcd", "member {member} has a vote now"),
                    Err(why) => tracing::debug!(unit = "etcd", "not promoted yet: {why}"),
                }
            }
            let judged = Some(self.judge(&local).await);
            health.send_if_modified(|last| {
                let changed = *last != judged;
                *last = judged;
                changed
            });
            tokio::time::sleep(TEND).await;
        }
    }

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
    /// As [`Mesh::join`]; also if there is data.
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
    /// As [`Mesh::replace`].
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
    /// As [`Mesh::leave`]; also if etcd does not run here: then another master removes this one.
    pub async fn leave(&self, force: Force, progress: &Progress) -> Result<Removed, Error> {
        let status = self.ask().await?;
        let me = status.header.map_or(0, |header| header.member_id);
        self.mesh().leave(super::MemberId(me), force, progress).await
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

    /// `mainstay etcd adopt`: takes the data directory as it is for this node's from now on.
    ///
    /// # Errors
    /// If there is no member's data, or etcd runs.
    pub async fn adopt(&self) -> Result<Identity, Error> {
        self.stands_still().await?;
        let data = self.look_or_error().await?.0;
        let path = &self.settings.data_dir;
        let Content::Member { cluster, member } = data.content else {
            let why = match data.content {
                Content::Unusable(why) => why,
                _ => "it holds no member's data".to_owned(),
            };
            return Err(Error::file("adopt", path)(std::io::Error::other(why)));
        };
        let identity = Identity { cluster, member, place: data.place };
        self.remember(Record::Member(identity.clone())).await?;
        Ok(identity)
    }

    /// Gives leadership away if this node's member has it: before it stops.
    ///
    /// # Errors
    /// As [`Mesh::move_leader`].
    pub async fn move_leader(&self, progress: &Progress) -> Result<Moved, Error> {
        let status = self.ask().await?;
        let me = status.header.map_or(0, |header| header.member_id);
        if status.leader != me {
            return Ok(Moved::WasNotLeader);
        }
        self.mesh().move_leader(super::MemberId(me), progress).await
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

    /// Takes snapshots for ever, each when it is due, and tells of each. Skips while the member is a learner or down.
    pub async fn keep_taking(
        &self,
        snapshots: &Snapshots,
        schedule: Schedule,
        mut told: impl FnMut(Result<Taken, Error>),
    ) {
        let mut not_before = Duration::ZERO;
        loop {
            let time = now();
            let due = schedule.next(time, snapshots.newest(time)).max(not_before);
            if due > time {
                tokio::time::sleep((due - time).min(NAP)).await;
                continue;
            }
            let taken = self.snapshot(snapshots, &Progress::none()).await;
            // A stamp in whole seconds may lie before the slot that it was taken for.
            not_before = if taken.is_ok() { time + Duration::from_secs(1) } else { time + RETRY };
            told(taken);
        }
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
        let identity = self.adopt().await?;
        progress.step(format!(
            "this node is now member {} of the new cluster {}",
            identity.member, identity.cluster
        ));
        Ok(identity)
    }

    /// Remembers which member this is, once its data says so.
    async fn settle(&self) -> Result<(), Error> {
        if self.known().is_some() {
            return Ok(());
        }
        let (data, read) = self.look_or_error().await?;
        if let Record::Member(identity) = read.record {
            self.know(Some(identity));
            return Ok(());
        }
        if let Content::Member { cluster, member } = data.content {
            self.remember(Record::Member(Identity { cluster, member, place: data.place })).await?;
        }
        Ok(())
    }

    async fn ask(&self) -> Result<StatusResponse, Error> {
        let kept = lock(&self.client).clone();
        if let Some(client) = kept
            && let Ok(status) = client.status().await
        {
            return Ok(status);
        }
        // A new one reads the certificates again.
        let access = self.settings.access().with_patience(PATIENCE);
        let client = access.client(&self.settings.local_url()).await?;
        let status = client.status().await;
        *lock(&self.client) = status.is_ok().then_some(client);
        status
    }

    async fn client(&self) -> Result<Client, Error> {
        self.settings.access().client(&self.settings.local_url()).await
    }

    /// The cluster without this node's member, which does not run or is to go.
    fn others(&self) -> Mesh {
        let urls = self.settings.others.iter().map(super::Node::client_url).collect();
        Mesh::new(self.settings.access(), urls)
    }

    async fn local(&self) -> Local {
        match self.ask().await {
            Ok(status) => Local::from(&status),
            Err(why) => Local::Silent(why.to_string()),
        }
    }

    async fn judge(&self, local: &Local) -> Health {
        let lost = matches!(local, Local::Answers { learner: false, has_leader: false, .. });
        let elsewhere = if lost { self.leader_elsewhere().await } else { None };
        Health::judge(local, elsewhere.as_deref())
    }

    async fn leader_elsewhere(&self) -> Option<String> {
        let access = self.settings.access().with_patience(PATIENCE);
        let mut asked = JoinSet::new();
        for node in &self.settings.others {
            let client = access.client(&node.client_url()).await.ok()?;
            let name = node.name.clone();
            asked.spawn(async move { (name, client.status().await) });
        }
        while let Some(answered) = asked.join_next().await {
            if let Ok((name, Ok(status))) = answered
                && status.leader != 0
            {
                return Some(name);
            }
        }
        None
    }

    /// Whoever listens at this node's client port is etcd: also one that waits for the others and answers nobody yet.
    async fn stands_still(&self) -> Result<(), Error> {
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

    async fn look(&self) -> Result<(DataDir, super::record::Read), Fault> {
        match tokio::time::timeout(DISK, self.look_or_error()).await {
            Ok(looked) => looked.map_err(|why| Fault::passing(why.to_string())),
            Err(_) => Err(Fault::passing(format!(
                "the disk of {} does not answer: see the kernel's log (dmesg)",
                self.settings.data_dir.display()
            ))),
        }
    }

    async fn look_or_error(&self) -> Result<(DataDir, super::record::Read), Error> {
        let (settings, state_dir) = (self.settings.clone(), self.state_dir.clone());
        blocking(move || Ok((settings.data(), Record::load(&state_dir)?))).await
    }

    async fn remember(&self, record: Record) -> Result<(), Error> {
        let known = match &record {
            Record::Member(identity) => Some(identity.clone()),
            _ => None,
        };
        let state_dir = self.state_dir.clone();
        blocking(move || record.save(&state_dir)).await?;
        *lock(&self.hopeless) = None;
        self.know(known);
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

    fn already(&self, id: super::MemberId) -> Error {
        Refusal::AlreadyMember { member: format!("{} ({id})", self.settings.me.name) }.into()
    }

    fn known(&self) -> Option<Identity> {
        lock(&self.settled).clone()
    }

    fn know(&self, identity: Option<Identity>) {
        *lock(&self.settled) = identity;
    }
}

/// What is behind these locks is whole at all times.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
