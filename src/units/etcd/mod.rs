//! etcd's member on this node, as the configuration has it, and what operators do with it.

mod adoption;
mod membership;
mod report;
mod upkeep;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use supervisor::backend::container::{Container, Labels};
use supervisor::docker::{Client, Images};
use supervisor::etcd::container::EtcdBackend;
use supervisor::etcd::guard::Force;
use supervisor::etcd::members::may_stop as may_stop_member;
use supervisor::etcd::schedule::Schedule;
use supervisor::etcd::snapshot::Snapshots;
use supervisor::etcd::{Error, Member, Node, Progress as Steps, Settings};

use super::operation::{Operation, patience};
use super::plan::UnitsPlan;
use super::progress::{End, Progress};
use super::{Units, compose};
use crate::config::{self, Master};
pub use upkeep::look_after;

/// How long etcd may take to end: it has its log on disk already.
pub const STOP: Duration = Duration::from_secs(30);

/// etcd's member on this node.
pub struct Etcd {
    /// The member.
    pub member: Arc<Member>,
    /// Where snapshots are kept.
    pub snapshots: Snapshots,
    /// When they are taken; `None` never by themselves.
    pub schedule: Option<Schedule>,
    /// What runs it as a unit.
    pub backend: Arc<EtcdBackend>,
}

impl Etcd {
    /// The member of a configuration.
    pub fn new(
        plan: &UnitsPlan,
        etcd: &config::Etcd,
        client: &Client,
        images: Option<Images>,
        state_dir: &Path,
    ) -> Self {
        let settings = settings(plan, etcd);
        let labels = Labels { unit: compose::ETCD.to_owned(), cluster: plan.cluster.clone() };
        let place = etcd.masters.iter().position(|it| it.name.as_str() == plan.node);
        let config::Snapshots { dir, interval, kept } = &etcd.snapshots;
        let kept = usize::try_from(*kept).unwrap_or(usize::MAX);
        let member = Arc::new(Member::new(settings, state_dir.to_owned()));
        let container = Container::new(client.clone(), labels, images);
        Self {
            backend: Arc::new(EtcdBackend::new(Arc::clone(&member), container, &etcd.image)),
            member,
            snapshots: Snapshots::new(dir.clone(), kept),
            schedule: interval
                .map(|every| Schedule::new(every, place.unwrap_or(0), etcd.masters.len())),
        }
    }
}

/// What etcd is told, on the command line and by whoever asks it.
pub fn settings(plan: &UnitsPlan, etcd: &config::Etcd) -> Settings {
    let node = |master: &Master| Node {
        client_port: etcd.client_port,
        peer_port: etcd.peer_port,
        ..Node::new(master.name.as_str(), master.address)
    };
    let is_me = |master: &&Master| master.name.as_str() == plan.node;
    let me = etcd.masters.iter().find(is_me);
    // A master is one of the masters.
    let me = me.map_or_else(|| Node::new(&plan.node, std::net::Ipv4Addr::LOCALHOST.into()), node);
    Settings {
        cluster: plan.cluster.clone(),
        me,
        others: etcd.masters.iter().filter(|it| !is_me(it)).map(node).collect(),
        data_dir: etcd.data_dir.clone(),
        pki: Some(plan.supervised.pki.dir.join("etcd")),
        metrics_port: Some(etcd.metrics_port),
        quota: etcd.quota,
        heartbeat: Some(etcd.heartbeat_interval),
        election: Some(etcd.election_timeout),
        extra: Vec::new(),
    }
}

/// Does what concerns etcd.
pub async fn perform(units: &Units, operation: Operation, progress: &Progress) -> Result<End, End> {
    let parts = units.parts();
    let Some(etcd) = &parts.etcd else {
        return Err(End::refused(
            "mainstay looks after no etcd on this node: it does on masters, where the \
             configuration has a section [etcd]",
        ));
    };
    match operation {
        Operation::Init { timeout_ms } => {
            membership::init(units, etcd, patience(timeout_ms), progress).await
        }
        Operation::Join { timeout_ms } => {
            membership::join(units, etcd, patience(timeout_ms), progress).await
        }
        Operation::Leave { force } => membership::leave(units, etcd, forced(force), progress).await,
        Operation::EtcdReplace { member, force, timeout_ms } => {
            let wait = patience(timeout_ms);
            membership::replace(units, etcd, member, forced(force), wait, progress).await
        }
        Operation::EtcdRemove { member, force } => {
            membership::remove(etcd, &member, forced(force), progress).await
        }
        Operation::EtcdAdopt { yes } => adoption::adopt(etcd, yes).await,
        Operation::EtcdMembers => report::members(etcd).await,
        Operation::EtcdStatus => report::status(etcd).await,
        Operation::EtcdSnapshot => upkeep::snapshot(etcd, progress).await,
        Operation::EtcdRestore { file, force } => {
            upkeep::restore(etcd, file, forced(force), progress).await
        }
        Operation::EtcdDefrag { force } => upkeep::defragment(etcd, forced(force), progress).await,
        // Done elsewhere.
        Operation::Up { .. }
        | Operation::Down { .. }
        | Operation::Apply { .. }
        | Operation::Unit { .. } => Err(End::failed("this is nothing for etcd")),
    }
}

/// Refuses what would cost the cluster its quorum.
pub async fn may_stop(
    units: &Units,
    what: &str,
    force: bool,
    progress: &Progress,
) -> Result<(), End> {
    let parts = units.parts();
    let Some(etcd) = &parts.etcd else { return Ok(()) };
    if force || !units.is_up(compose::ETCD) {
        return Ok(());
    }
    match etcd.member.mesh().survey().await {
        Ok(survey) => {
            let me = survey.find(&parts.plan.node).map(|it| it.id);
            let may = me.map_or(Ok(()), |me| may_stop_member(&survey, me, forced(force)));
            may.map_err(|refusal| End::refused(format!("{what}: {refusal}")))
        }
        // Where nobody answers there is nothing to lose.
        Err(error) => {
            progress.say_of(compose::ETCD, format!("cannot be asked about its quorum: {error}"));
            Ok(())
        }
    }
}

/// Gives leadership away before etcd stops; a stop goes on without.
pub async fn give_up_leadership(units: &Units, progress: &Progress) {
    let parts = units.parts();
    let Some(etcd) = &parts.etcd else { return };
    // There may be nobody to give it to.
    if !units.is_up(compose::ETCD) || etcd.member.settings().others.is_empty() {
        return;
    }
    if let Err(error) = etcd.member.move_leader(&steps(progress)).await {
        let words = format!("keeps its leadership until it stops: {error}");
        progress.say_of(compose::ETCD, words);
    }
}

fn forced(force: bool) -> Force {
    if force { Force::Yes } else { Force::No }
}

/// etcd's steps as those of an operation.
fn steps(progress: &Progress) -> Steps {
    let progress = progress.clone();
    Steps::calling(move |words| progress.say_of(compose::ETCD, words))
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        match error.refusal() {
            Some(_) => Self::refused(error.to_string()),
            None => Self::failed(error.to_string()),
        }
    }
}
