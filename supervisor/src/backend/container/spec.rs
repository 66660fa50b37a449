//! What a container is made from.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::backend::hash::spec_hash;

/// What a container is made from. It always has the host's network and restart policy `no`: mainstay asks its guards
/// before every start.
///
/// Its hash is kept with the container. A field that is added later is to be left out of the serialized form where it is
/// not set, or every container would seem to have drifted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerSpec {
    /// Name and tag: `etcd:v3.5.21`.
    pub image: String,
    /// In place of the image's own entry point.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// The command, or the arguments of the entry point.
    pub command: Vec<String>,
    /// The environment, beside the image's.
    pub env: BTreeMap<String, String>,
    /// What it sees of the host's files.
    pub mounts: Vec<BindMount>,
    /// The user and group, as `id`, `id:id` or names of the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Whether it has all rights of the host's root.
    #[serde(skip_serializing_if = "is_false")]
    pub privileged: bool,
    /// Capabilities beside docker's usual ones: `NET_ADMIN`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub add_capabilities: Vec<String>,
    /// Capabilities that are taken away; `ALL` takes all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub drop_capabilities: Vec<String>,
    /// Limits of its processes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ulimits: Vec<Ulimit>,
    /// How much of its output docker keeps.
    pub log: LogLimit,
    /// How readily the kernel kills it when memory runs out: -1000, never, to 1000. Where the machine refuses a negative one
    /// the container runs without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oom_score_adj: Option<i16>,
    /// How long docker lets it end when docker itself stops, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_seconds: Option<u16>,
}

/// A file or folder of the host, which has to be there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BindMount {
    /// On the host, absolute.
    pub source: PathBuf,
    /// In the container, absolute.
    pub target: PathBuf,
    /// Whether the container may not write there.
    pub read_only: bool,
}

/// A limit as `setrlimit` knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ulimit {
    /// `nofile`, `memlock`...
    pub name: String,
    /// The soft limit; -1 is none.
    pub soft: i64,
    /// The hard limit; -1 is none.
    pub hard: i64,
}

/// How much of a container's output docker keeps: so many files of such a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLimit {
    /// The size of one file, in mebibytes.
    pub mebibytes: u16,
    /// How many files.
    pub files: u8,
}

impl Default for LogLimit {
    fn default() -> Self {
        Self { mebibytes: 20, files: 5 }
    }
}

impl ContainerSpec {
    /// Tells this specification apart from others.
    pub fn hash(&self) -> String {
        spec_hash(&self.json())
    }

    pub(super) fn json(&self) -> String {
        // Paths that are no text do not come from a configuration file.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What differs between this one and the one that a container was made from, in words: `command, image`.
    pub(super) fn differences(&self, made_from: &str) -> Option<String> {
        let now = serde_json::to_value(self).ok()?;
        let then: serde_json::Value = serde_json::from_str(made_from).ok()?;
        let (now, then) = (now.as_object()?, then.as_object()?);
        let mut names: Vec<&str> = now.keys().chain(then.keys()).map(String::as_str).collect();
        names.sort_unstable();
        names.dedup();
        names.retain(|name| now.get(*name) != then.get(*name));
        (!names.is_empty()).then(|| names.join(", "))
    }
}

impl BindMount {
    /// The same path on the host and in the container.
    pub fn same(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self { source: path.clone(), target: path, read_only: false }
    }

    /// The same, not to be written to.
    #[must_use]
    pub fn read_only(self) -> Self {
        Self { read_only: true, ..self }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn etcd() -> ContainerSpec {
        ContainerSpec {
            image: "etcd:v3.5.21".to_owned(),
            command: vec!["etcd".to_owned()],
            mounts: vec![BindMount::same("/var/lib/etcd")],
            ..ContainerSpec::default()
        }
    }

    /// Otherwise each container would seem to have drifted after an upgrade of mainstay.
    #[test]
    fn the_hash_of_a_specification_stays_what_it_was() {
        assert_eq!(etcd().hash(), "d47924eb44e3b5f9");
    }

    #[test]
    fn what_differs_is_named() {
        let then = serde_json::to_string(&etcd()).unwrap_or_default();
        assert_eq!(etcd().differences(&then), None);
        let now = ContainerSpec {
            image: "etcd:v3.5.22".to_owned(),
            user: Some("1000".to_owned()),
            ..etcd()
        };
        assert_eq!(now.differences(&then).as_deref(), Some("image, user"));
        assert_eq!(now.differences("not ours"), None);
    }
}
