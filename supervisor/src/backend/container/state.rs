//! What dockerd says of one container.

use std::collections::HashMap;
use std::time::Duration;

use bollard::models::{ContainerInspectResponse, ContainerState, RestartPolicyNameEnum};

use super::{ContainerSpec, ONCE, SPEC, SPEC_HASH};
use crate::backend::exec::Process;
use crate::backend::{Ended, Identity, Running};

/// A container of a unit of ours, as it was when dockerd was asked.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its id, in full.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The id of the image that it was made from.
    pub image_id: String,
    labels: HashMap<String, String>,
    state: ContainerState,
    restarts_itself: bool,
    oom_score_adj: i64,
}

impl Found {
    pub(super) fn new(inspected: ContainerInspectResponse) -> Self {
        let host = inspected.host_config.unwrap_or_default();
        let policy = host.restart_policy.and_then(|policy| policy.name);
        let never = [None, Some(RestartPolicyNameEnum::NO), Some(RestartPolicyNameEnum::EMPTY)];
        Self {
            id: inspected.id.unwrap_or_default(),
            name: inspected.name.unwrap_or_default().trim_start_matches('/').to_owned(),
            image_id: inspected.image.unwrap_or_default(),
            labels: inspected.config.and_then(|config| config.labels).unwrap_or_default(),
            state: inspected.state.unwrap_or_default(),
            restarts_itself: !never.contains(&policy),
            oom_score_adj: host.oom_score_adj.unwrap_or_default(),
        }
    }

    /// Whether it has a process.
    pub fn is_running(&self) -> bool {
        self.state.running.unwrap_or_default()
    }

    /// Its first process, as the host sees it.
    pub fn pid(&self) -> Option<u32> {
        self.state.pid.and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid != 0)
    }

    /// Whether it was started with arguments that are for one start alone.
    pub(super) fn has_arguments_for_once(&self) -> bool {
        self.labels.contains_key(ONCE)
    }

    pub(super) fn label(&self, name: &str) -> Option<&str> {
        self.labels.get(name).map(String::as_str)
    }

    /// What it is to the run loop, if `spec` is what is asked for now and `image_id` what its image is called.
    pub(super) fn running(&self, spec: &ContainerSpec, image_id: Option<&str>) -> Running {
        Running { identity: self.identity(), age: self.age(), drift: self.drift(spec, image_id) }
    }

    /// What tells it apart.
    pub fn identity(&self) -> Identity {
        let spec_hash = self.label(SPEC_HASH).unwrap_or_default().to_owned();
        Identity::Container { id: self.id.clone(), spec_hash }
    }

    fn age(&self) -> Option<Duration> {
        self.pid().and_then(Process::of).and_then(Process::age)
    }

    /// Why it is not what is asked for, in words.
    pub(super) fn drift(&self, spec: &ContainerSpec, image_id: Option<&str>) -> Option<String> {
        if self.label(SPEC_HASH) != Some(&spec.hash()) {
            let what = self.label(SPEC).and_then(|then| spec.differences(then));
            let what = what.map(|what| format!(": {what}")).unwrap_or_default();
            return Some(format!("the container was made from another specification{what}"));
        }
        if image_id.is_some_and(|image_id| image_id != self.image_id) {
            return Some(format!("{} is another image now", spec.image));
        }
        if self.state.paused.unwrap_or_default() {
            return Some(format!("it is paused: docker unpause {}", self.name));
        }
        if self.restarts_itself {
            return Some(format!(
                "docker restarts it by itself, past mainstay's guards: docker update --restart no {}",
                self.name
            ));
        }
        let wanted = spec.oom_score_adj.map(i64::from);
        if wanted.is_some_and(|wanted| wanted != self.oom_score_adj) {
            return Some("this machine refuses its oom_score_adj; it runs without".to_owned());
        }
        None
    }

    /// How it came to its end. `interrupted` says that dockerd was away in the meantime and ends its containers when it stops.
    pub(super) fn ended(&self, interrupted: bool) -> Ended {
        let code = self.state.exit_code.unwrap_or_default();
        let mut reason = if self.state.oom_killed.unwrap_or_default() {
            "killed by the kernel: out of memory".to_owned()
        } else if let Some(error) = self.state.error.as_deref().filter(|error| !error.is_empty()) {
            error.to_owned()
        } else {
            exit_code(code)
        };
        if interrupted {
            reason.push_str(
                ", with dockerd: without \"live-restore\": true (live_restore in [docker], or \
                 /etc/docker/daemon.json where systemd runs docker) containers end when docker does",
            );
        }
        Ended { reason, success: code == 0 && !interrupted }
    }
}

/// Docker reports a death by signal N as exit code 128 + N.
fn exit_code(code: i64) -> String {
    match code {
        134 => "killed by SIGABRT".to_owned(),
        137 => "killed by SIGKILL".to_owned(),
        139 => "killed by SIGSEGV".to_owned(),
        143 => "killed by SIGTERM".to_owned(),
        129..=192 => format!("killed by signal {}", code - 128),
        code => format!("exited with code {code}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(spec: &ContainerSpec) -> Found {
        let labels =
            HashMap::from([(SPEC_HASH.to_owned(), spec.hash()), (SPEC.to_owned(), spec.json())]);
        Found {
            id: "id".to_owned(),
            name: "mainstay-etcd".to_owned(),
            image_id: "sha256:1".to_owned(),
            labels,
            state: ContainerState { running: Some(true), ..ContainerState::default() },
            restarts_itself: false,
            oom_score_adj: 0,
        }
    }

    fn spec() -> ContainerSpec {
        ContainerSpec { image: "etcd:1".to_owned(), ..ContainerSpec::default() }
    }

    #[test]
    fn a_container_of_the_same_specification_and_image_has_not_drifted() {
        assert_eq!(found(&spec()).drift(&spec(), Some("sha256:1")), None);
        assert_eq!(found(&spec()).drift(&spec(), None), None);
    }

    #[test]
    fn each_kind_of_drift_is_told_in_words() {
        let drift = |found: &Found, spec: &ContainerSpec| {
            found.drift(spec, Some("sha256:1")).unwrap_or_default()
        };
        let newer = ContainerSpec { image: "etcd:2".to_owned(), ..spec() };
        assert!(drift(&found(&spec()), &newer).ends_with("another specification: image"));
        let retagged = Found { image_id: "sha256:2".to_owned(), ..found(&spec()) };
        assert_eq!(drift(&retagged, &spec()), "etcd:1 is another image now");
        let restarting = Found { restarts_itself: true, ..found(&spec()) };
        assert!(drift(&restarting, &spec()).contains("docker update --restart no mainstay-etcd"));
        let preferred = ContainerSpec { oom_score_adj: Some(-998), ..spec() };
        assert!(drift(&found(&preferred), &preferred).contains("oom_score_adj"));
        let mut paused = found(&spec());
        paused.state.paused = Some(true);
        assert!(drift(&paused, &spec()).contains("docker unpause mainstay-etcd"));
    }

    #[test]
    fn an_end_is_told_in_words() {
        let ended = |code: i64, interrupted| {
            let mut found = found(&spec());
            found.state.exit_code = Some(code);
            found.ended(interrupted)
        };
        assert_eq!(
            ended(0, false),
            Ended { reason: "exited with code 0".to_owned(), success: true }
        );
        assert_eq!(ended(137, false).reason, "killed by SIGKILL");
        assert_eq!(ended(160, false).reason, "killed by signal 32");
        let with_dockerd = ended(0, true);
        assert!(!with_dockerd.success);
        assert!(with_dockerd.reason.contains("live-restore"), "{}", with_dockerd.reason);
    }
}
