//! What an operator reads of the masters, without what differs from run to run.

use lab::Node;

use crate::masters::Masters;
use crate::support::steady::{says, steady, without_machine};

impl Masters {
    /// `explain` on a node, without what differs from run to run.
    pub fn explained(&self, node: Node) -> String {
        let text = self.mainstay(node, &["explain"]).stdout;
        let text = self.steady(node, &without_machine(&steady(&text)));
        // Whether the check or the unit sees the end of etcd first: what comes second is no cause.
        let is_steady = |line: &&str| !line.contains("the unit etcd does not run and is started");
        text.lines().filter(is_steady).map(|line| line.to_owned() + "\n").collect()
    }

    /// The units of `status` on a node, without what differs from run to run.
    pub fn units_shown(&self, node: Node) -> String {
        let text = self.mainstay(node, &["status"]).stdout;
        let block = text.split("\n\n").find(|block| block.starts_with("units"));
        self.steady(node, &(steady(block.unwrap_or_default()).trim_end().to_owned() + "\n"))
    }

    /// A command ends with `code` and says this on standard error.
    #[track_caller]
    pub fn fails(&self, node: Node, command: &[&str], code: i32, expected: &str) {
        let ran = self.mainstay(node, command);
        assert_eq!(ran.code, Some(code), "{ran:?}");
        let said = self.steady(node, &steady(&ran.stderr));
        assert_eq!(said, expected, "on {node}:\n{said}");
    }

    /// Waits until `explain` on `node` says this.
    #[track_caller]
    pub fn explains(&self, node: Node, expected: &str) {
        says(node, expected, || self.explained(node));
    }

    /// Waits until the units of `status` on `node` are these.
    #[track_caller]
    pub fn shows(&self, node: Node, expected: &str) {
        says(node, expected, || self.units_shown(node));
    }

    fn steady(&self, node: Node, text: &str) -> String {
        // What the machine has for a disk.
        let text = match text.split_once("than its data was (") {
            Some((before, after)) => {
                let rest = after.split_once(')').map_or("", |(_, rest)| rest);
                &format!("{before}than its data was (DISK){rest}")
            }
            None => text,
        };
        let text = text.replace(&self.lab().directory(node).display().to_string(), "DIR");
        let line = |line: &str| {
            let word = |word: &str| {
                let core = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
                if is_id(core) { word.replacen(core, "ID", 1) } else { word.to_owned() }
            };
            line.split(' ').map(word).collect::<Vec<_>>().join(" ") + "\n"
        };
        text.lines().map(line).collect()
    }
}

/// An id of etcd's or docker's, or a UUID: in hexadecimal digits.
fn is_id(word: &str) -> bool {
    let digits = word.chars().filter(char::is_ascii_hexdigit).count();
    digits >= 12 && word.chars().all(|c| c.is_ascii_hexdigit() || c == '-')
}
