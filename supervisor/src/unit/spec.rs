//! What a unit is, as far as its state machine has to know.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Name;

/// One unit. What exactly runs is its backend's to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Unique on this node.
    pub name: Name,
    /// What carries it out, for display.
    pub kind: Kind,
    /// A unit that is not enabled is shown, never touched, and nobody waits for it.
    pub enabled: bool,
    /// What must have become ready before this one may start. It gates starting only.
    pub requires: Vec<Name>,
    /// What happens when it ends by itself.
    pub restart: Restart,
    /// How long [`Backend::start`](crate::backend::Backend::start) may take; afterwards it is given up and tried again.
    pub start_timeout: Duration,
    /// How long it may take to stop politely.
    pub stop_timeout: Duration,
}

/// What carries a unit out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// An existing or written unit of systemd, by D-Bus.
    Systemd,
    /// A container, by the Docker Engine API.
    Container,
    /// A process of ours.
    Exec,
    /// A manifest that kubelet starts.
    StaticPod,
    /// Something that is done once, and then is done.
    Task,
}

/// What happens when a unit ends by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// It is started again, however it ended.
    #[default]
    Always,
    /// It is started again unless it ended well.
    OnFailure,
    /// It is left alone.
    Never,
}

impl Kind {
    /// As people and programs read it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Systemd => "systemd",
            Self::Container => "container",
            Self::Exec => "exec",
            Self::StaticPod => "static-pod",
            Self::Task => "task",
        }
    }
}

impl Spec {
    /// An enabled unit that requires nothing, is always started again, has five minutes to start and thirty seconds to
    /// stop.
    pub fn new(name: Name, kind: Kind) -> Self {
        Self {
            name,
            kind,
            enabled: true,
            requires: Vec::new(),
            restart: Restart::Always,
            start_timeout: Duration::from_secs(300),
            stop_timeout: Duration::from_secs(30),
        }
    }

    /// The same, after these.
    #[must_use]
    pub fn requires(self, names: impl IntoIterator<Item = Name>) -> Self {
        Self { requires: names.into_iter().collect(), ..self }
    }
}
