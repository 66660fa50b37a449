//! The units as `status -o json` has them. A contract: fields are added, never renamed or removed.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use supervisor::run as snapshot;
use supervisor::unit::Spec;

use crate::timestamp::Timestamp;

/// One unit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitStatus {
    /// Its name.
    pub name: String,
    /// What carries it out: `systemd`, `container`, `exec` or `task`.
    pub kind: String,
    /// `disabled`, `blocked`, `starting`, `running`, `ready`, `backoff`, `crash-looping`,
    /// `stopping`, `stopped` or `failed`.
    pub state: String,
    /// Since when it is in this state.
    pub since: Option<Timestamp>,
    /// What must have become ready before it may start.
    pub requires: Vec<String>,
    /// How often it was started again after it ended by itself, since mainstay has known it.
    pub restarts: u64,
    /// Why it is not well, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it is tried again, if it waits for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt: Option<Timestamp>,
    /// In what it differs from what the configuration says now: `mainstay apply` puts it in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<String>,
    /// What runs: a process, a container, or one run of a systemd unit.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub identity: Value,
}

impl UnitStatus {
    /// Whether it does its work.
    pub fn is_ready(&self) -> bool {
        self.state == "ready"
    }

    /// Whether it is as somebody wants it to be who wants the units up.
    pub fn is_well(&self) -> bool {
        matches!(self.state.as_str(), "ready" | "disabled")
    }

    /// Why it is not well, and what to do about it where that is known: a reason says the one in its first sentence, the
    /// other in the rest.
    pub fn why(&self) -> Option<(&str, Option<&str>)> {
        let reason = self.reason.as_deref()?;
        Some(reason.split_once(". ").map_or((reason, None), |(why, remedy)| (why, Some(remedy))))
    }

    /// What is wrong with it, in a sentence; `None` if nothing is.
    pub fn problem(&self) -> Option<String> {
        if self.is_well() {
            return None;
        }
        let why = self.reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        Some(format!("the unit {} is {}{why}", self.name, self.state))
    }
}

impl UnitStatus {
    /// A unit while the units are not wanted.
    pub fn down(spec: &Spec) -> Self {
        Self {
            name: spec.name.to_string(),
            kind: spec.kind.as_str().to_owned(),
            state: "stopped".to_owned(),
            requires: spec.requires.iter().map(ToString::to_string).collect(),
            ..Self::default()
        }
    }
}

impl From<&snapshot::UnitStatus> for UnitStatus {
    fn from(unit: &snapshot::UnitStatus) -> Self {
        let time = |millis: u64| Timestamp::from_unix_nanos(millis.saturating_mul(1_000_000));
        Self {
            name: unit.name.to_string(),
            kind: unit.backend.as_str().to_owned(),
            state: unit.state.as_str().to_owned(),
            since: Some(time(unit.since_unix_ms)),
            requires: unit.requires.iter().map(ToString::to_string).collect(),
            restarts: unit.restarts.into(),
            reason: unit.reason.clone(),
            next_attempt: unit.next_attempt_unix_ms.map(time),
            drift: unit.drift.clone(),
            // Plain data always have a JSON form.
            identity: serde_json::to_value(&unit.identity).unwrap_or_default(),
        }
    }
}
