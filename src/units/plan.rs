//! A node's part of the configuration, as far as units need it.

use std::path::Path;
use std::time::Duration;

use supervisor::certs::Settings;

use crate::config::{
    CgroupDriver, Check, Config, ETCD_CHECK, EtcdMember, NodeConfig, Probe, Runtime, Supervised,
    Tolerance,
};

/// kubelet's last minor version that speaks to docker itself.
const LAST_DOCKERSHIM: u8 = 23;
const INTERVAL: Duration = Duration::from_secs(1);
/// Longer than the member itself is waited for, and the others after it.
const TIMEOUT: Duration = Duration::from_secs(5);
/// An election takes a second or two, and is nothing to move addresses for.
const TOLERANCE: Tolerance =
    Tolerance { rise: 2, fall: 3, holder_fall: 3, timeout_fall: 2, hold_down: Duration::ZERO };

/// What runs beneath the virtual IPs of this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitsPlan {
    /// The cluster's name.
    pub cluster: String,
    /// The node's name.
    pub node: String,
    /// The sections of the file.
    pub supervised: Supervised,
    /// Whose certificates there are.
    pub certs: Settings,
}

impl UnitsPlan {
    /// The part of a node; `None` where mainstay looks after virtual routers alone.
    pub fn of(config: &Config, node: &NodeConfig) -> Option<Self> {
        Some(Self {
            cluster: config.cluster.name.clone(),
            node: node.name.to_string(),
            supervised: node.supervised.clone()?,
            certs: super::cert_settings(config, node),
        })
    }

    /// The check of etcd's member on this node; `None` if nothing depends on it.
    pub fn etcd_check(&self, state_dir: &Path) -> Option<Check> {
        let etcd = self.supervised.etcd.as_ref().filter(|it| !it.degrades.is_empty())?;
        let settings = super::etcd::settings(self, etcd);
        let member = EtcdMember { settings, state_dir: state_dir.to_owned() };
        Some(Check {
            name: ETCD_CHECK.to_owned(),
            probe: Probe::Etcd(Box::new(member)),
            interval: INTERVAL,
            timeout: TIMEOUT,
            tolerance: TOLERANCE,
        })
    }

    /// What kubelet wants docker to limit containers by; `None` if it does not use docker.
    pub fn docker_driver(&self) -> Option<&'static str> {
        let kubelet = self.supervised.kubelet.as_ref()?;
        let uses_docker = match kubelet.runtime {
            Runtime::Auto => kubelet.version.minor <= LAST_DOCKERSHIM,
            Runtime::Dockershim | Runtime::CriDockerd => true,
            Runtime::Containerd => false,
        };
        uses_docker.then_some(match kubelet.cgroup_driver {
            CgroupDriver::Cgroupfs => "cgroupfs",
            CgroupDriver::Systemd => "systemd",
        })
    }

    /// What changes when this plan gives way to `next`, one sentence each.
    pub fn differences(old: Option<&Self>, new: Option<&Self>) -> Vec<String> {
        let (old, new) = match (old, new) {
            (None, None) => return Vec::new(),
            (None, Some(_)) => return vec!["units: looked after from now on".to_owned()],
            (Some(_), None) => {
                return vec!["units: no longer looked after; they run on".to_owned()];
            }
            (Some(old), Some(new)) => (&old.supervised, &new.supervised),
        };
        let changed = [
            ("docker", old.docker != new.docker),
            ("images", old.images != new.images),
            ("certs", old.pki != new.pki),
            ("etcd", old.etcd != new.etcd),
            ("kubelet", old.kubelet != new.kubelet),
            ("supervisor", old.log_dir != new.log_dir),
        ];
        let changed = changed.into_iter().filter(|(_, is_changed)| *is_changed);
        let sentence = |section| format!("[{section}]: changed; `mainstay apply` puts it in force");
        changed.map(|(section, _)| sentence(section)).collect()
    }
}
