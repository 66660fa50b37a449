//! A specification in the words of the Engine API.

use std::collections::HashMap;
use std::path::Path;

use bollard::models::{
    ContainerCreateBody, HostConfig, HostConfigLogConfig, Mount, MountType, ResourcesUlimits,
    RestartPolicy, RestartPolicyNameEnum,
};

use super::{BindMount, ContainerSpec, Labels};

/// What to ask dockerd for. `once` follows the command, for this start alone.
pub(super) fn body(
    spec: &ContainerSpec,
    labels: HashMap<String, String>,
    once: &[String],
) -> ContainerCreateBody {
    let command: Vec<String> = spec.command.iter().chain(once).cloned().collect();
    ContainerCreateBody {
        image: Some(spec.image.clone()),
        entrypoint: spec.entrypoint.clone(),
        cmd: (!command.is_empty()).then_some(command),
        env: Some(spec.env.iter().map(|(name, value)| format!("{name}={value}")).collect()),
        user: spec.user.clone(),
        labels: Some(labels),
        stop_timeout: spec.stop_seconds.map(i64::from),
        host_config: Some(host(spec)),
        ..ContainerCreateBody::default()
    }
}

fn host(spec: &ContainerSpec) -> HostConfig {
    let list = |list: &Vec<String>| (!list.is_empty()).then(|| list.clone());
    let ulimit = |limit: &super::Ulimit| ResourcesUlimits {
        name: Some(limit.name.clone()),
        soft: Some(limit.soft),
        hard: Some(limit.hard),
    };
    HostConfig {
        network_mode: Some("host".to_owned()),
        restart_policy: Some(RestartPolicy {
            name: Some(RestartPolicyNameEnum::NO),
            maximum_retry_count: None,
        }),
        mounts: Some(spec.mounts.iter().map(mount).collect()),
        privileged: Some(spec.privileged),
        cap_add: list(&spec.add_capabilities),
        cap_drop: list(&spec.drop_capabilities),
        ulimits: Some(spec.ulimits.iter().map(ulimit).collect()),
        oom_score_adj: spec.oom_score_adj.map(i64::from),
        log_config: Some(HostConfigLogConfig {
            // The kind that can always be read back, whatever dockerd's default is.
            typ: Some("json-file".to_owned()),
            config: Some(HashMap::from([
                ("max-size".to_owned(), format!("{}m", spec.log.mebibytes)),
                ("max-file".to_owned(), spec.log.files.to_string()),
            ])),
        }),
        ..HostConfig::default()
    }
}

/// A mount of type `bind`: unlike the older `Binds` it never makes what is missing on the host, such as the folder of a
/// disk that is not mounted.
fn mount(mount: &BindMount) -> Mount {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    Mount {
        typ: Some(MountType::BIND),
        source: Some(text(&mount.source)),
        target: Some(text(&mount.target)),
        read_only: Some(mount.read_only),
        ..Mount::default()
    }
}

/// The labels of a container that is made from `spec`.
pub(super) fn labels(
    labels: &Labels,
    spec: &ContainerSpec,
    once: &[String],
) -> HashMap<String, String> {
    let mut all = HashMap::from([
        (super::UNIT.to_owned(), labels.unit.clone()),
        (super::CLUSTER.to_owned(), labels.cluster.clone()),
        (super::SPEC_HASH.to_owned(), spec.hash()),
        (super::SPEC.to_owned(), spec.json()),
    ]);
    if !once.is_empty() {
        all.insert(super::ONCE.to_owned(), once.join(" "));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_bound_that_docker_would_make() {
        let spec = ContainerSpec {
            mounts: vec![BindMount::same("/var/lib/etcd"), BindMount::same("/etc/x").read_only()],
            ..ContainerSpec::default()
        };
        let host = host(&spec);
        assert_eq!(host.binds, None);
        let mounts = host.mounts.unwrap_or_default();
        assert!(mounts.iter().all(|mount| mount.typ == Some(MountType::BIND)));
        let read_only: Vec<_> = mounts.iter().map(|mount| mount.read_only).collect();
        assert_eq!(read_only, [Some(false), Some(true)]);
    }

    #[test]
    fn docker_never_restarts_it_by_itself() {
        let policy = host(&ContainerSpec::default()).restart_policy;
        assert_eq!(policy.and_then(|policy| policy.name), Some(RestartPolicyNameEnum::NO));
    }

    #[test]
    fn arguments_of_one_start_follow_the_command_and_leave_the_hash_alone() {
        let spec = ContainerSpec { command: vec!["etcd".to_owned()], ..ContainerSpec::default() };
        let names = Labels { unit: "etcd".to_owned(), cluster: "prod".to_owned() };
        let once = ["--force-new-cluster".to_owned()];
        let marked = labels(&names, &spec, &once);
        assert_eq!(marked.get(super::super::SPEC_HASH), Some(&spec.hash()));
        assert_eq!(marked.get(super::super::ONCE).map(String::as_str), Some("--force-new-cluster"));
        let body = body(&spec, marked, &once);
        assert_eq!(body.cmd, Some(vec!["etcd".to_owned(), "--force-new-cluster".to_owned()]));
    }
}
