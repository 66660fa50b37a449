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
    /// Take another member out of the cluster
    Remove(RemoveArgs),
    /// Take the data directory for this node's: after a move to another disk, say
    Adopt(AdoptArgs),
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

const REMOVE_HELP: &str = "\
For a member that is lost for good and is not replaced, or that was added and has never run. It cannot
come back with its data. Refused where the rest would have no quorum, and for this node's own member:
`mainstay leave`. Works on a master whose own member is well.

Exit codes: 0 removed, 1 failed, 4 the daemon does not run, 5 refused.

Examples:
  mainstay etcd remove m3
  mainstay etcd remove 8e9e05c52164694d     one that has no name yet: see `mainstay etcd members`";

#[derive(Debug, Args)]
#[command(after_help = REMOVE_HELP)]
pub struct RemoveArgs {
    /// The member: its name, or its id in hexadecimal digits
    #[arg(value_name = "MEMBER")]
    pub member: String,
    /// Although the rest has no quorum
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub output: OutputArgs,
}

const ADOPT_HELP: &str = "\
mainstay remembers which member this node is, and on which file system its data lies, and starts etcd
on nothing else. After you have moved the data to another disk, or put a backup of the whole file
system back, say with this that it is this member's latest data. Refused while somebody runs on it, and
where the other masters know the member as another node's, or not at all. Nothing but the record is
changed. Without --yes it shows what would be recorded, and exits with 5.

Exit codes: 0 recorded, 1 failed, 4 the daemon does not run, 5 refused, or not confirmed.

Examples:
  mainstay etcd adopt           shows what is there and what would be recorded
  mainstay etcd adopt --yes && mainstay unit start etcd";

#[derive(Debug, Args)]
#[command(after_help = ADOPT_HELP)]
pub struct AdoptArgs {
    /// It is this member's latest data, not an older copy
    #[arg(long)]
    pub yes: bool,
    #[command(flatten)]
    pub output: OutputArgs,
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
