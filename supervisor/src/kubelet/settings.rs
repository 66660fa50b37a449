//! What a kubelet is to be like.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use serde_json::{Map, Value};

use super::{RuntimeChoice, Version};

/// The port of kubelet's own health check, on the loopback interface.
pub const HEALTHZ_PORT: u16 = 10248;
/// The port that API servers reach kubelet at.
pub const PORT: u16 = 10250;

/// Where container runtimes listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sockets {
    /// dockerd.
    pub docker: PathBuf,
    /// containerd.
    pub containerd: PathBuf,
    /// cri-dockerd.
    pub cri_dockerd: PathBuf,
}

impl Default for Sockets {
    fn default() -> Self {
        Self {
            docker: "/run/docker.sock".into(),
            containerd: "/run/containerd/containerd.sock".into(),
            cri_dockerd: "/run/cri-dockerd.sock".into(),
        }
    }
}

/// What limits containers: it has to be the same for kubelet and the runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CgroupDriver {
    /// Kubelet writes into the hierarchy itself.
    Cgroupfs,
    /// Kubelet asks systemd.
    Systemd,
}

/// A kubelet. [`new`](Self::new) has kubeadm's defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The program.
    pub binary: PathBuf,
    /// Its version, which decides on its flags.
    pub version: Version,
    /// What the node is called in the cluster.
    pub node: String,
    /// The node's own addresses, never a virtual one. The first is the node's; one of the other family is taken too from 1.23 on.
    pub addresses: Vec<IpAddr>,
    /// Where the configuration file is written.
    pub configuration: PathBuf,
    /// Where kubelet keeps its state.
    pub folder: PathBuf,
    /// Where it looks for pods that it runs by itself.
    pub static_pods: PathBuf,
    /// How it reaches the API server; `None`: not at all, it runs static pods only.
    pub kubeconfig: Option<PathBuf>,
    /// Who signs the certificates of its clients; kubelet does not start without it.
    pub client_ca: PathBuf,
    /// The container runtime.
    pub runtime: RuntimeChoice,
    /// Where runtimes are looked for.
    pub sockets: Sockets,
    /// What limits containers.
    pub cgroup_driver: CgroupDriver,
    /// Whether pods have a network of their own by CNI; kubelet asks for that up to 1.23 only.
    pub cni: bool,
    /// The image that holds a pod's namespaces; `None`: the runtime's, or kubelet's, own choice.
    pub pause_image: Option<String>,
    /// The addresses of the cluster's DNS.
    pub cluster_dns: Vec<IpAddr>,
    /// The domain of the cluster's services.
    pub cluster_domain: String,
    /// Whether to refuse to run where memory is swapped out.
    pub fail_on_swap: bool,
    /// Port of the health check, on the loopback interface.
    pub healthz_port: u16,
    /// Port for API servers.
    pub port: u16,
    /// Fields of `KubeletConfiguration` that replace ours, or come on top.
    pub overrides: Map<String, Value>,
    /// Flags that replace ours, or come on top: names without the hyphens, and values.
    pub flags: BTreeMap<String, String>,
}

impl Settings {
    /// As kubeadm sets a kubelet up, standing alone.
    pub fn new(version: Version, node: impl Into<String>, addresses: Vec<IpAddr>) -> Self {
        Self {
            binary: "/usr/bin/kubelet".into(),
            version,
            node: node.into(),
            addresses,
            configuration: "/var/lib/mainstay/kubelet/config.json".into(),
            folder: "/var/lib/kubelet".into(),
            static_pods: "/etc/kubernetes/manifests".into(),
            kubeconfig: None,
            client_ca: "/etc/kubernetes/pki/ca.crt".into(),
            runtime: RuntimeChoice::Auto,
            sockets: Sockets::default(),
            cgroup_driver: CgroupDriver::Systemd,
            cni: true,
            pause_image: None,
            cluster_dns: Vec::new(),
            cluster_domain: "cluster.local".into(),
            fail_on_swap: true,
            healthz_port: HEALTHZ_PORT,
            port: PORT,
            overrides: Map::new(),
            flags: BTreeMap::new(),
        }
    }
}
