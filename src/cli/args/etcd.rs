//! etcd: its cluster, and its data.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::OutputArgs;
use super::units::UpTimeArgs;

const JOIN_HELP: &str = "\
The member joins as a learner, which has no vote, and is promoted once it is in sync. It needs the
cluster's CA: copy etcd/ca.crt and etcd/ca.key of the certificates' folder from a master, then
`mainstay certs issue`.

Exit codes: as `mainstay up`.

Examples:
  mainstay join";

#[derive(Debug, Args)]
#[command(after_help = JOIN_HELP)]
pub struct JoinArgs {
    #[command(flatten)]
    pub up: UpTimeArgs,
}

const LEAVE_HELP: &str = "\
Takes the member of this node out of the cluster, after its leadership has gone to another one, and
stops the unit. Its data are moved aside. Refused where the rest would have no quorum.

Exit codes: 0 done, 1 failed, 4 the daemon does not run, 5 refused.

Examples:
  mainstay leave";

#[derive(Debug, Args)]
#[command(after_help = LEAVE_HELP)]
pub struct LeaveArgs {
    /// Even if the rest has no quorum
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Debug, Subcommand)]
pub enum EtcdCommand {
    /// List the cluster's members
    Members(OutputArgs),
    /// Show how the cluster is: leader, versions, sizes, alarms
    Status(OutputArgs),
    /// Save the data to a file
    Snapshot(SnapshotArgs),
    /// Start a new cluster of one member from a snapshot, on this node
    Restore(RestoreArgs),
    /// Put this node in the place of a member that is lost for good
    Replace(ReplaceArgs),
    /// Give space that is no longer used back to the file system, one member after another
    Defrag(DefragArgs),
}

const SNAPSHOT_HELP: &str = "\
The file is a new one in `snapshot_dir`, of which the oldest go. What is saved is verified against the
hash that etcd sends with it.

Examples:
  mainstay etcd snapshot
  mainstay etcd snapshot -o json | jq -r .data.snapshot.path";

#[derive(Debug, Args)]
#[command(after_help = SNAPSHOT_HELP)]
pub struct SnapshotArgs {
    #[command(flatten)]
    pub output: OutputArgs,
}

const RESTORE_HELP: &str = "\
For when so many members are lost for good that the rest cannot agree any more. On the master that has
the newest data, in this order:

  mainstay etcd snapshot           if etcd still answers there; it names the file
  mainstay unit stop etcd
  mainstay etcd restore FILE       that file, or the newest snapshot that there is
  mainstay unit start etcd
  mainstay etcd replace            on each of the other masters, one after the other

At last restart API servers and kubelets: what they watch has revisions of the former cluster. Data are
moved aside, never deleted. Refused while the other members have a quorum.

Exit codes: 0 restored, 1 failed, 4 the daemon does not run, 5 refused.

Examples:
  mainstay unit stop etcd && mainstay etcd restore /backup/etcd.db && mainstay unit start etcd";

#[derive(Debug, Args)]
#[command(after_help = RESTORE_HELP)]
pub struct RestoreArgs {
    /// The snapshot, an absolute path
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Although the other members have a quorum
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub output: OutputArgs,
}

const REPLACE_HELP: &str = "\
On the node that takes the place of the lost member: that node itself, with its disk lost, or a new
one. The dead member is removed first and by its id, so that the quorum never counts on it; then this
node joins as a learner, and is promoted once it is in sync. Data that are here are moved aside.

Exit codes: as `mainstay up`.

Examples:
  mainstay etcd replace        this node has lost its data
  mainstay etcd replace m3     this node, a new one, comes in the place of m3";

#[derive(Debug, Args)]
#[command(after_help = REPLACE_HELP)]
pub struct ReplaceArgs {
    /// The lost member: its name, or its id in hexadecimal digits [default: that of this node]
    #[arg(value_name = "MEMBER")]
    pub member: Option<String>,
    /// Although it answers, or the rest would have no quorum
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub up: UpTimeArgs,
}

const DEFRAG_HELP: &str = "\
A member does not answer while it is defragmented. The leader comes last.

Examples:
  mainstay etcd defrag";

#[derive(Debug, Args)]
#[command(after_help = DEFRAG_HELP)]
pub struct DefragArgs {
    /// Although not all members are well; those are left out
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub output: OutputArgs,
}
