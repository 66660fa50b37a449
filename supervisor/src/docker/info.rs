//! What dockerd says of itself, and what of it is not as it should be.

use bollard::models::SystemInfo;

/// What of dockerd matters here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Info {
    /// Its version.
    pub version: String,
    /// Whether containers outlive it.
    pub live_restore: bool,
    /// `cgroupfs` or `systemd`.
    pub cgroup_driver: String,
    /// Where it keeps images and containers.
    pub data_root: String,
    /// How images are stored.
    pub storage_driver: String,
}

impl From<SystemInfo> for Info {
    fn from(info: SystemInfo) -> Self {
        Self {
            version: info.server_version.unwrap_or_default(),
            live_restore: info.live_restore_enabled.unwrap_or_default(),
            cgroup_driver: info.cgroup_driver.map(|it| it.to_string()).unwrap_or_default(),
            data_root: info.docker_root_dir.unwrap_or_default(),
            storage_driver: info.driver.unwrap_or_default(),
        }
    }
}

impl Info {
    /// What the operator should know, in words. `kubelet_cgroup_driver` is what kubelet is configured for, where mainstay
    /// knows it.
    pub fn warnings(&self, kubelet_cgroup_driver: Option<&str>) -> Vec<String> {
        let mut warnings = Vec::new();
        if !self.live_restore {
            warnings.push(
                "docker runs without live-restore: a restart of docker stops etcd; \
                 set live_restore = true in [docker], or, where systemd runs docker, \
                 \"live-restore\": true in /etc/docker/daemon.json, and reload docker"
                    .to_owned(),
            );
        }
        let driver = &self.cgroup_driver;
        if let Some(kubelet) = kubelet_cgroup_driver.filter(|kubelet| kubelet != driver) {
            warnings.push(format!(
                "docker's cgroup driver is {driver}, kubelet's is {kubelet}, and kubelet will not start: \
                 set \"exec-opts\": [\"native.cgroupdriver={kubelet}\"] in /etc/docker/daemon.json"
            ));
        }
        if driver == "none" {
            warnings.push(
                "docker has no cgroups: limits of containers do not hold; is /sys/fs/cgroup mounted?"
                    .to_owned(),
            );
        }
        warnings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Info {
        Info { live_restore: true, cgroup_driver: "systemd".to_owned(), ..Info::default() }
    }

    #[test]
    fn a_docker_as_it_should_be_draws_no_warning() {
        assert_eq!(good().warnings(Some("systemd")), Vec::<String>::new());
        assert_eq!(good().warnings(None), Vec::<String>::new());
    }

    #[test]
    fn no_live_restore_and_another_cgroup_driver_than_kubelets_are_warned_of() {
        let info = Info { live_restore: false, ..good() };
        let warnings = info.warnings(Some("cgroupfs"));
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert!(warnings[0].contains("\"live-restore\": true"));
        assert!(warnings[1].contains("native.cgroupdriver=cgroupfs"));
    }
}
