//! The configuration as the daemon uses it: every value checked.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;
use vrrp::config::{RouterConfig, Transport};

use super::check::Check;
use super::supervisor::Supervised;
use super::{ConfigError, value};

/// A valid configuration of a whole cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub(super) file: String,
    /// What concerns all nodes.
    pub cluster: Cluster,
    /// The nodes in the order of the file.
    pub nodes: Vec<NodeConfig>,
    /// The health checks in the order of the file.
    pub checks: Vec<Check>,
    /// Where each node serves its metrics; `None` nowhere.
    pub metrics: Option<SocketAddr>,
}

impl Config {
    /// The part of one node.
    ///
    /// # Errors
    /// If the file does not name the node; the error lists the nodes that it names.
    pub fn for_node(&self, node: &NodeName) -> Result<&NodeConfig, ConfigError> {
        self.nodes.iter().find(|known| known.name == *node).ok_or_else(|| {
            ConfigError::UnknownNode {
                file: self.file.clone(),
                node: node.clone(),
                known: self.nodes.iter().map(|node| node.name.clone()).collect(),
            }
        })
    }
}

/// What concerns all nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// The cluster's name.
    pub name: String,
    /// The port of the API servers and of the virtual IP.
    pub api_port: u16,
}

/// The configuration of one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeConfig {
    /// Its name.
    pub name: NodeName,
    /// What runs on it.
    pub role: Role,
    /// Its own addresses, at least one.
    pub addresses: Vec<IpAddr>,
    /// The virtual routers it takes part in; none on a worker.
    pub virtual_routers: Vec<VirtualRouter>,
    /// What runs beneath them; `None` where mainstay looks after the virtual routers alone.
    pub supervised: Option<Supervised>,
}

/// What runs on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The control plane; takes part in the virtual routers.
    Master,
    /// Workloads only.
    Worker,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Master => "master",
            Self::Worker => "worker",
        })
    }
}

/// One virtual router on one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualRouter {
    /// Its name, the same on all nodes.
    pub name: String,
    /// The interface it runs on; there need not be one of that name yet.
    pub interface: String,
    /// What the protocol needs to know.
    pub config: RouterConfig,
    /// How long an orderly stop waits for a successor.
    pub drain_timeout: Duration,
    /// How advertisements travel.
    pub transport: Transport,
    /// The names of the checks that decide on its health.
    pub checks: Vec<String>,
}

/// The name of a node, as Kubernetes allows it: lower-case letters, digits, `-` and `.`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeName(String);

/// A text that cannot name a node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` cannot name a node: a name has lower-case letters, digits, `-` and `.`, starts and ends \
     with a letter or digit, and has at most 253 of them; name the node with --node"
)]
pub struct NodeNameError(String);

impl NodeName {
    /// The host's name, in lower case as kubelet takes it.
    ///
    /// # Errors
    /// If the host has a name that no node can have.
    pub fn from_host() -> Result<Self, NodeNameError> {
        let host = rustix::system::uname();
        host.nodename().to_string_lossy().to_lowercase().parse()
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for NodeName {
    type Err = NodeNameError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        if value::is_node_name(name) {
            Ok(Self(name.to_owned()))
        } else {
            Err(NodeNameError(name.chars().take(253).collect()))
        }
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
