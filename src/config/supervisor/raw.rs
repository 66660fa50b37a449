//! The shape of the sections about what runs beneath the virtual IPs.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};
use toml::Spanned;

use super::super::raw::{Number, Section, Text, Texts};
use super::{BackendKind, CgroupDriver, Runtime};

/// The sections as they stand in the file.
pub(in super::super) struct Sections {
    pub(in super::super) supervisor: Option<Section<RawSupervisor>>,
    pub(in super::super) docker: Option<Section<RawDocker>>,
    pub(in super::super) images: Option<Section<RawImages>>,
    pub(in super::super) certs: Option<Section<RawCerts>>,
    pub(in super::super) etcd: Option<Section<RawEtcd>>,
    pub(in super::super) kubernetes: Option<Section<RawKubernetes>>,
    pub(in super::super) kubelet: Option<Section<RawKubelet>>,
}

/// `[supervisor]`
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct RawSupervisor {
    pub(super) backend: Option<Spanned<BackendKind>>,
    pub(super) log_dir: Option<Text>,
}

/// `[docker]`
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct RawDocker {
    pub(super) socket: Option<Text>,
    pub(super) unit: Option<Text>,
    pub(super) program: Option<Text>,
    pub(super) args: Option<Texts>,
    pub(super) data_root: Option<Text>,
    pub(super) exec_root: Option<Text>,
    pub(super) live_restore: Option<Spanned<bool>>,
}

/// `[images]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct RawImages {
    pub(super) dir: Text,
}

/// `[certs]`
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct RawCerts {
    pub(super) dir: Option<Text>,
    pub(super) extra_sans: Option<Texts>,
}

/// `[etcd]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct RawEtcd {
    pub(super) image: Text,
    pub(super) data_dir: Option<Text>,
    pub(super) client_port: Option<Number>,
    pub(super) peer_port: Option<Number>,
    pub(super) metrics_port: Option<Number>,
    pub(super) heartbeat_interval: Option<Text>,
    pub(super) election_timeout: Option<Text>,
    pub(super) quota_mib: Option<Number>,
    pub(super) snapshot_dir: Option<Text>,
    pub(super) snapshot_interval: Option<Text>,
    pub(super) snapshots_kept: Option<Number>,
    pub(super) degrades: Option<Texts>,
}

/// `[kubernetes]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct RawKubernetes {
    pub(super) version: Text,
}

/// `[kubelet]`
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct RawKubelet {
    pub(super) unit: Option<Text>,
    pub(super) program: Option<Text>,
    pub(super) runtime: Option<Spanned<Runtime>>,
    pub(super) cgroup_driver: Option<Spanned<CgroupDriver>>,
    pub(super) cni: Option<Spanned<bool>>,
    pub(super) pause_image: Option<Text>,
    pub(super) cluster_dns: Option<Texts>,
    pub(super) fail_on_swap: Option<Spanned<bool>>,
    pub(super) config: Option<Text>,
    pub(super) root_dir: Option<Text>,
    pub(super) manifests: Option<Text>,
    pub(super) kubeconfig: Option<Text>,
    pub(super) healthz_port: Option<Number>,
    pub(super) port: Option<Number>,
    #[serde(default)]
    pub(super) flags: BTreeMap<Text, Text>,
    #[serde(default)]
    pub(super) overrides: Map<String, Value>,
}
