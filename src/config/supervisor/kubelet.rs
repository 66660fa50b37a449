//! `[kubernetes]` and `[kubelet]`

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::{Map, Value};
use toml::Spanned;

use super::super::error::{Fault, Problems};
use super::super::raw::{Number, Section};
use super::super::{NodeName, value};
use super::etcd::image_name;
use super::path::{Template, for_node};
use super::raw::{RawKubelet, RawKubernetes};
use super::{BackendKind, Service, ServiceKeys, ServicePart, checked, path, word};

const DEFAULT_CONFIG: &str = "/var/lib/mainstay/kubelet/config.json";
const DEFAULT_ROOT_DIR: &str = "/var/lib/kubelet";
const DEFAULT_MANIFESTS: &str = "/etc/kubernetes/manifests";
const DEFAULT_HEALTHZ_PORT: u16 = 10248;
const DEFAULT_PORT: u16 = 10250;
/// The oldest minor version that kubelet's flags are known of.
const OLDEST_MINOR: u8 = 20;

/// kubelet on one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kubelet {
    /// Its version.
    pub version: KubernetesVersion,
    /// How it is run.
    pub service: Service,
    /// What runs its containers.
    pub runtime: Runtime,
    /// What limits containers.
    pub cgroup_driver: CgroupDriver,
    /// Whether pods have a network of their own by CNI; asked for up to 1.23.
    pub cni: bool,
    /// The image that holds a pod's namespaces; the runtime's own choice if `None`.
    pub pause_image: Option<String>,
    /// The addresses of the cluster's DNS.
    pub cluster_dns: Vec<IpAddr>,
    /// Whether it refuses to run where memory is swapped out.
    pub fail_on_swap: bool,
    /// Its configuration file, which mainstay writes.
    pub config: PathBuf,
    /// Where it keeps its pods.
    pub root_dir: PathBuf,
    /// The folder of its static pods.
    pub manifests: PathBuf,
    /// How it reaches the API server; `None` not at all: it runs static pods alone.
    pub kubeconfig: Option<PathBuf>,
    /// Where it answers whether it is well, on the loopback interface.
    pub healthz_port: u16,
    /// Where API servers reach it.
    pub port: u16,
    /// Flags that replace mainstay's, or come on top.
    pub flags: BTreeMap<String, String>,
    /// Fields of its configuration that replace mainstay's, or come on top.
    pub overrides: Map<String, Value>,
}

/// What limits containers: the same for kubelet and the runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CgroupDriver {
    /// Kubelet writes into the hierarchy itself.
    Cgroupfs,
    /// Kubelet asks systemd.
    Systemd,
}

/// A version of Kubernetes, 1.20 or later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KubernetesVersion {
    /// The second number.
    pub minor: u8,
    /// The third.
    pub patch: u16,
}

impl fmt::Display for KubernetesVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v1.{}.{}", self.minor, self.patch)
    }
}

/// What runs kubelet's containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Runtime {
    /// What fits the version: dockershim up to 1.23, after that what is there.
    Auto,
    /// dockerd, by what kubelet has built in up to 1.23.
    Dockershim,
    /// containerd.
    Containerd,
    /// dockerd, by cri-dockerd.
    CriDockerd,
}

/// kubelet on any node.
pub(super) struct Part {
    /// What is the same on all of them; the paths are to be filled in.
    same: Kubelet,
    service: ServicePart,
    config: Template,
    root_dir: Template,
    manifests: Template,
    kubeconfig: Option<Template>,
}

impl Part {
    pub(super) fn new(
        section: Section<RawKubelet>,
        backend: BackendKind,
        version: Option<KubernetesVersion>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let raw = section.value;
        let service = ServiceKeys {
            section: "kubelet",
            unit: raw.unit,
            program: raw.program,
            usual_unit: "kubelet.service",
            usual_program: "/usr/bin/kubelet",
        };
        let service = ServicePart::new(service, backend, problems);
        if version.is_none() && problems.is_empty() {
            let fault = Fault::new(
                "[kubelet] needs the version of Kubernetes: its flags differ",
                "add a section [kubernetes] with version = \"v1.33.4\"",
            );
            problems.add(section.span, fault);
        }
        let version = version?;
        let runtime = match raw.runtime {
            Some(runtime) => checked(runtime, problems, |it| runtime_for(it, version))?,
            None => Runtime::Auto,
        };
        let mut port = |it: Option<Number>, usual| {
            it.and_then(|it| checked(it, problems, value::port)).unwrap_or(usual)
        };
        let ports = (port(raw.healthz_port, DEFAULT_HEALTHZ_PORT), port(raw.port, DEFAULT_PORT));
        let dns = raw.cluster_dns.map(Spanned::into_inner).unwrap_or_default();
        let dns = dns
            .into_iter()
            .filter_map(|it| checked(it, problems, |text| value::unicast_address(&text)));
        let cluster_dns = dns.collect();
        let flags = raw.flags.into_iter().filter_map(|(name, value)| {
            Some((checked(name, problems, flag)?, checked(value, problems, word)?))
        });
        let flags = flags.collect();
        let usual_driver = match backend {
            BackendKind::Systemd => CgroupDriver::Systemd,
            BackendKind::Exec => CgroupDriver::Cgroupfs,
        };
        Some(Self {
            config: path(raw.config, DEFAULT_CONFIG, problems),
            root_dir: path(raw.root_dir, DEFAULT_ROOT_DIR, problems),
            manifests: path(raw.manifests, DEFAULT_MANIFESTS, problems),
            kubeconfig: raw.kubeconfig.map(|it| path(Some(it), "", problems)),
            same: Kubelet {
                version,
                service: Service::Systemd { unit: String::new() },
                runtime,
                cgroup_driver: raw.cgroup_driver.map_or(usual_driver, Spanned::into_inner),
                cni: raw.cni.is_none_or(Spanned::into_inner),
                pause_image: raw.pause_image.and_then(|it| checked(it, problems, image_name)),
                cluster_dns,
                fail_on_swap: raw.fail_on_swap.is_none_or(Spanned::into_inner),
                config: PathBuf::new(),
                root_dir: PathBuf::new(),
                manifests: PathBuf::new(),
                kubeconfig: None,
                healthz_port: ports.0,
                port: ports.1,
                flags,
                overrides: raw.overrides,
            },
            service,
        })
    }

    pub(super) fn on(&self, node: &NodeName) -> Kubelet {
        let flags = self.same.flags.iter();
        Kubelet {
            service: self.service.on(node),
            config: self.config.on(node),
            root_dir: self.root_dir.on(node),
            manifests: self.manifests.on(node),
            kubeconfig: self.kubeconfig.as_ref().map(|it| it.on(node)),
            flags: flags.map(|(name, value)| (name.clone(), for_node(value, node))).collect(),
            ..self.same.clone()
        }
    }
}

/// The name of a flag of kubelet's.
fn flag(name: String) -> Result<String, Fault> {
    let fits = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if fits {
        return Ok(name);
    }
    let help = "write it without the hyphens before it, such as cgroup-root";
    Err(Fault::new(format!("`{name}` cannot name a flag"), help))
}

pub(super) fn version(raw: RawKubernetes, problems: &mut Problems) -> Option<KubernetesVersion> {
    checked(raw.version, problems, |text| {
        let number = |text: &str| text.parse::<u16>().ok();
        let parts: Option<Vec<u16>> =
            text.strip_prefix('v').unwrap_or(&text).split('.').map(number).collect();
        let fault =
            |rule: &str| Fault::new(format!("`{text}` {rule}"), "write it like \"v1.33.4\"");
        let Some([1, minor, patch]) = parts.as_deref() else {
            return Err(fault("is no version of Kubernetes"));
        };
        match u8::try_from(*minor) {
            Ok(minor) if minor >= OLDEST_MINOR => Ok(KubernetesVersion { minor, patch: *patch }),
            _ => Err(fault("is older than 1.20, the oldest that mainstay knows")),
        }
    })
}

/// kubelet lost its dockershim in 1.24.
fn runtime_for(runtime: Runtime, version: KubernetesVersion) -> Result<Runtime, Fault> {
    const LAST_DOCKERSHIM: u8 = 23;
    if runtime == Runtime::Dockershim && version.minor > LAST_DOCKERSHIM {
        return Err(Fault::new(
            format!("kubelet {version} has no dockershim: 1.23 was the last"),
            "use \"auto\", \"containerd\" or \"cri-dockerd\"",
        ));
    }
    Ok(runtime)
}
