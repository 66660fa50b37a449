//! Paths that may differ from node to node.

use std::path::PathBuf;

use super::super::NodeName;
use super::super::error::Fault;

/// What stands for the node's name.
const NODE: &str = "{node}";

/// An absolute path in which `{node}` stands for the node's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template(String);

impl Template {
    pub(super) fn new(text: String) -> Result<Self, Fault> {
        let rest = text.replace(NODE, "");
        let (rule, help) = if !text.starts_with('/') {
            ("it is not absolute", "start it with /")
        } else if text.split('/').any(|part| part == "..") {
            ("it goes up with `..`", "write the whole path")
        } else if text.split('/').all(str::is_empty) {
            ("it is the root directory", "choose a directory of its own")
        } else if rest.contains(['{', '}']) {
            ("of what stands in braces only `{node}` is known", "write {node} for the node's name")
        } else if text.contains(|c: char| c.is_control()) {
            ("there is a control character in it", "take it out")
        } else {
            return Ok(Self(text));
        };
        Err(Fault::new(format!("`{text}` cannot be used as a path: {rule}"), help))
    }

    /// One that is known to be right.
    pub(super) fn usual(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The path on a node.
    pub(super) fn on(&self, node: &NodeName) -> PathBuf {
        PathBuf::from(for_node(&self.0, node))
    }
}

/// A text in which `{node}` stands for the node's name.
pub(super) fn for_node(text: &str, node: &NodeName) -> String {
    text.replace(NODE, node.as_str())
}
