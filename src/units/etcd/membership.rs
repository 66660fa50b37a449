//! `mainstay init`, `join`, `leave`, `etcd replace` and `etcd remove`

use std::time::{Duration, SystemTime};

use supervisor::certs::{self, Severity};
use supervisor::etcd::guard::Force;
use supervisor::etcd::members::Removed;
use supervisor::run::Command;
use supervisor::unit::Name;

use super::super::operate::{follow, up};
use super::super::plan::UnitsPlan;
use super::super::progress::{End, Progress};
use super::super::{Units, compose};
use super::{Etcd, steps};

/// How long etcd may take to end once its member is out of the cluster.
const END: Duration = Duration::from_secs(60);

/// A new cluster of all masters in the configuration.
pub async fn init(
    units: &Units,
    etcd: &Etcd,
    patience: Duration,
    progress: &Progress,
) -> Result<End, End> {
    certificates_are_there(&units.parts().plan).await?;
    etcd.member.init().await?;
    let settings = etcd.member.settings();
    if !settings.others.is_empty() {
        let others: Vec<&str> = settings.others.iter().map(|it| it.name.as_str()).collect();
        let others = others.join(", ");
        progress.say(format!(
            "etcd becomes ready once `mainstay init` has been run on most of the masters; the \
             others are {others}"
        ));
    }
    up(units, patience, progress).await
}

/// A further member of the cluster of the other masters.
pub async fn join(
    units: &Units,
    etcd: &Etcd,
    patience: Duration,
    progress: &Progress,
) -> Result<End, End> {
    certificates_are_there(&units.parts().plan).await?;
    etcd.member.join(&steps(progress)).await?;
    // It comes as a learner; the unit has it promoted, and is ready once it has a vote.
    up(units, patience, progress).await
}

/// This node takes the place of a member that is lost for good.
pub async fn replace(
    units: &Units,
    etcd: &Etcd,
    lost: Option<String>,
    force: Force,
    patience: Duration,
    progress: &Progress,
) -> Result<End, End> {
    certificates_are_there(&units.parts().plan).await?;
    etcd.member.replace(lost.as_deref(), force, &steps(progress)).await?;
    up(units, patience, progress).await
}

/// Takes this node's member out of the cluster.
pub async fn leave(
    units: &Units,
    etcd: &Etcd,
    force: Force,
    progress: &Progress,
) -> Result<End, End> {
    let handle = units.running()?;
    let removed = etcd.member.leave(force, &steps(progress)).await?;
    let unit = Name::new(compose::ETCD).map_err(|error| End::failed(error.to_string()))?;
    follow(&handle, Command::Stop(unit), END, progress).await?;
    etcd.member.forget(&steps(progress)).await?;
    let text = "this node is no member of the etcd cluster any more; `mainstay join` makes it one";
    Ok(End::done(text).with(removed))
}

/// Takes another member out of the cluster.
pub async fn remove(
    etcd: &Etcd,
    member: &str,
    force: Force,
    progress: &Progress,
) -> Result<End, End> {
    let removed = etcd.member.remove(member, force, &steps(progress)).await?;
    let is_master = etcd.member.settings().others.iter().any(|it| it.name == removed.name);
    Ok(End::done(afterwards(&removed, is_master)).with(removed))
}

/// What became of a member that was removed, and what to do next on its node.
fn afterwards(removed: &Removed, is_master: bool) -> String {
    let Removed { name, title, .. } = removed;
    if name.is_empty() {
        return format!(
            "{title} is removed; it had never run. To add it again, there: `mainstay join`"
        );
    }
    let configured = if is_master {
        format!(
            ". If {name} is to be no master any more, take it out of the configuration of all \
             nodes, then `mainstay reload`"
        )
    } else {
        String::new()
    };
    format!(
        "{title} is removed: its etcd ends by itself if it runs, and its data are of no use any \
         more. To take part again, there: `mainstay etcd replace`{configured}"
    )
}

/// Without them etcd would be started in vain.
async fn certificates_are_there(plan: &UnitsPlan) -> Result<(), End> {
    let settings = plan.certs.clone();
    let report = tokio::task::spawn_blocking(move || certs::check(&settings, SystemTime::now()));
    let report = report.await.map_err(|error| End::failed(error.to_string()))?;
    let of_etcd = report.items.iter().filter(|it| it.name.starts_with("etcd/"));
    let problems = of_etcd.flat_map(|item| {
        let bad = item.problems.iter().filter(|it| it.severity() == Severity::Error);
        bad.map(|problem| format!("{}: {problem}", item.name))
    });
    let problems: Vec<String> = problems.collect();
    if problems.is_empty() {
        return Ok(());
    }
    Err(End::refused(format!(
        "etcd's certificates in {} are not as they have to be: {}. See `mainstay certs check`; \
         `mainstay certs issue` makes what is missing",
        report.folder.display(),
        problems.join("; ")
    )))
}
