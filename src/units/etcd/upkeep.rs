//! `mainstay etcd snapshot`, `restore` and `defrag`

use std::path::PathBuf;
use std::sync::Arc;

use supervisor::etcd::Error;
use supervisor::etcd::guard::Force;
use supervisor::etcd::snapshot::Taken;
use tokio::sync::watch;

use super::super::compose::Parts;
use super::super::progress::{End, Progress};
use super::{Etcd, steps};
use crate::events::{Entry, Log};

/// Looks after the member for ever: a learner gets its vote, and snapshots are taken.
pub async fn look_after(parts: Arc<Parts>, log: Log) {
    let Some(etcd) = &parts.etcd else { return };
    // The VIP has a check of its own that asks the member.
    let (health, _) = watch::channel(None);
    tokio::join!(etcd.member.tend(&health), keep_taking(etcd, log));
}

/// Takes snapshots, each when it is due.
async fn keep_taking(etcd: &Etcd, log: Log) {
    let Some(schedule) = etcd.schedule else { return };
    let told = |taken: Result<Taken, Error>| {
        log.push(match taken {
            Ok(taken) => {
                let path = taken.snapshot.path.display();
                Entry::now("etcd_snapshot", format!("a snapshot of etcd was taken: {path}"))
            }
            Err(error) => Entry::now("etcd_snapshot_failed", "no snapshot of etcd was taken")
                .because(error.to_string()),
        });
    };
    etcd.member.keep_taking(&etcd.snapshots, schedule, told).await;
}

/// Saves the data of this node's member.
pub async fn snapshot(etcd: &Etcd, progress: &Progress) -> Result<End, End> {
    let taken = etcd.member.snapshot(&etcd.snapshots, &steps(progress)).await?;
    let path = taken.snapshot.path.display();
    let bytes = taken.snapshot.bytes;
    Ok(End::done(format!("{path}, {bytes} bytes, verified")).with(taken))
}

/// A new cluster of this node alone.
pub async fn restore(
    etcd: &Etcd,
    file: PathBuf,
    force: Force,
    progress: &Progress,
) -> Result<End, End> {
    let tools = etcd.backend.tools();
    let identity = etcd.member.restore(file, &tools, force, &steps(progress)).await?;
    let text = "restored. Next, here: `mainstay unit start etcd`; then on each of the other \
                masters, one after the other: `mainstay etcd replace`; at last restart API servers \
                and kubelets, since what they watch has revisions of the former cluster";
    Ok(End::done(text).with(identity))
}

/// Gives unused space back, one member after the other.
pub async fn defragment(etcd: &Etcd, force: Force, progress: &Progress) -> Result<End, End> {
    let done = etcd.member.mesh().defragment(force, &steps(progress)).await?;
    let line = |it: &supervisor::etcd::defrag::Defragmented| {
        format!("{}: from {} to {} KiB", it.name, it.before >> 10, it.after >> 10)
    };
    let text: Vec<String> = done.iter().map(line).collect();
    Ok(End::done(text.join("\n")).with(done))
}
