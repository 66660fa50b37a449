//! What may be asked for; the body of `POST /v1/operations`.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// No longer wait is taken, in milliseconds: an hour.
const LONGEST_MS: u64 = 3_600_000;

/// What may be asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "operation", rename_all = "snake_case", deny_unknown_fields)]
pub enum Operation {
    /// Brings all units up.
    Up {
        /// How long to wait.
        timeout_ms: u64,
    },
    /// Hands the virtual IPs over and stops all units.
    Down {
        /// Whatever becomes of the virtual IPs and of the quorum.
        force: bool,
        /// How long to wait.
        timeout_ms: u64,
    },
    /// Restarts units that are not as the configuration says now.
    Apply {
        /// Which; all if empty.
        units: Vec<String>,
        /// Whatever becomes of the quorum.
        force: bool,
        /// How long to wait for each.
        timeout_ms: u64,
    },
    /// Acts on one unit.
    Unit {
        /// Which.
        unit: String,
        /// How.
        order: UnitOrder,
        /// Whatever becomes of the quorum.
        force: bool,
        /// How long to wait.
        timeout_ms: u64,
    },
    /// Makes this node the first member of a new etcd cluster.
    Init {
        /// How long to wait.
        timeout_ms: u64,
    },
    /// Makes this node a further member.
    Join {
        /// How long to wait.
        timeout_ms: u64,
    },
    /// Takes this node's member out of the cluster.
    Leave {
        /// Even if the rest has no quorum.
        force: bool,
    },
    /// Lists etcd's members.
    EtcdMembers,
    /// Tells how the etcd cluster is.
    EtcdStatus,
    /// Saves etcd's data.
    EtcdSnapshot,
    /// Starts a new cluster of one member from a snapshot.
    EtcdRestore {
        /// The snapshot.
        file: PathBuf,
        /// Although there are data, which are moved aside.
        force: bool,
    },
    /// Puts this node in the place of a member that is lost for good.
    EtcdReplace {
        /// Its name or its id; the one that this node was if it is not said.
        member: Option<String>,
        /// Although it answers, or the rest has no quorum.
        force: bool,
        /// How long to wait.
        timeout_ms: u64,
    },
    /// Takes another member out of the cluster.
    EtcdRemove {
        /// Its name or its id.
        member: String,
        /// Even if the rest has no quorum.
        force: bool,
    },
    /// Takes the data directory for this node's.
    EtcdAdopt {
        /// Whether the operator is sure; otherwise it is only told what would be recorded.
        yes: bool,
    },
    /// Gives unused space back.
    EtcdDefrag {
        /// Although not all members are well; those are left out.
        force: bool,
    },
}

/// What may be done with one unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnitOrder {
    /// Starts it.
    Start,
    /// Stops it.
    Stop,
    /// Stops it and starts it again.
    Restart,
}

impl Operation {
    /// What changes the cluster or all units is done one at a time.
    pub fn is_exclusive(&self) -> bool {
        !matches!(self, Self::Up { .. } | Self::Unit { .. } | Self::EtcdMembers | Self::EtcdStatus)
    }

    /// As the command line has it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Up { .. } => "up",
            Self::Down { .. } => "down",
            Self::Apply { .. } => "apply",
            Self::Unit { .. } => "unit",
            Self::Init { .. } => "init",
            Self::Join { .. } => "join",
            Self::Leave { .. } => "leave",
            Self::EtcdMembers => "etcd members",
            Self::EtcdStatus => "etcd status",
            Self::EtcdSnapshot => "etcd snapshot",
            Self::EtcdRestore { .. } => "etcd restore",
            Self::EtcdReplace { .. } => "etcd replace",
            Self::EtcdRemove { .. } => "etcd remove",
            Self::EtcdAdopt { .. } => "etcd adopt",
            Self::EtcdDefrag { .. } => "etcd defrag",
        }
    }
}

/// A wait as it was asked for, within limits.
pub fn patience(timeout_ms: u64) -> Duration {
    Duration::from_millis(timeout_ms.min(LONGEST_MS))
}
