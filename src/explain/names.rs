//! The nodes' names, in place of their addresses.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::setup::{Rules, Setup};

/// The nodes as one virtual router knows them.
#[derive(Debug)]
pub struct Names<'a> {
    /// This node.
    pub own: &'a str,
    setup: &'a Setup,
    rules: Option<&'a Rules>,
    /// Addresses that are not in the file, such as link-local ones.
    learned: BTreeMap<IpAddr, &'a str>,
}

impl<'a> Names<'a> {
    /// Those of the configuration.
    pub fn new(own: &'a str, setup: &'a Setup, router: &str) -> Self {
        Self { own, setup, rules: setup.rules(router), learned: BTreeMap::new() }
    }

    /// This node advertises from `source`.
    pub fn learn_own(&mut self, source: IpAddr) {
        if self.setup.name(source).is_none() {
            self.learned.insert(source, self.own);
        }
    }

    /// Somebody advertises this priority from `source`. An IPv6 source is link-local, which no file
    /// lists: the priority tells who it is, if only one node has it.
    pub fn learn(&mut self, source: IpAddr, priority: u8) {
        if self.name(source).is_none()
            && let Some(name) = self.rules.and_then(|rules| rules.by_priority(priority))
            && name != self.own
        {
            self.learned.insert(source, name);
        }
    }

    /// The node that has an address.
    pub fn name(&self, address: IpAddr) -> Option<&'a str> {
        self.setup.name(address).or_else(|| self.learned.get(&address).copied())
    }

    /// The node that has an address, or the address.
    pub fn short(&self, address: IpAddr) -> String {
        self.name(address).map_or_else(|| address.to_string(), str::to_owned)
    }

    /// The node that has an address, and the address.
    pub fn long(&self, address: IpAddr) -> String {
        match self.name(address) {
            Some(name) => format!("{name} ({address})"),
            None => address.to_string(),
        }
    }

    /// A text with the nodes' names in place of their addresses.
    pub fn tell(&self, text: &str) -> String {
        let is_part = |c: char| c.is_ascii_hexdigit() || c == '.' || c == ':';
        let mut told = String::new();
        let mut rest = text;
        while let Some(start) = rest.find(is_part) {
            let (before, from) = rest.split_at(start);
            let (word, after) = from.split_at(from.find(|c| !is_part(c)).unwrap_or(from.len()));
            // A sentence may go on with a colon, or end.
            let address = word.trim_end_matches([':', '.']);
            // Letters before or after make it another word; a slash, a part of a URL or a prefix.
            let is_joint = |c: char| c.is_alphanumeric() || c == '-' || c == '/';
            let stands_alone = !before.ends_with(is_joint) && !after.starts_with(is_joint);
            let parsed = address.parse().ok().filter(|_| stands_alone);
            told.push_str(before);
            match parsed.and_then(|parsed| self.name(parsed)) {
                Some(name) => {
                    told.push_str(name);
                    told.push_str(&word[address.len()..]);
                }
                None => told.push_str(word),
            }
            rest = after;
        }
        told + rest
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn told(text: &str) -> String {
        let setup = Setup::default();
        let mut names = Names::new("m1", &setup, "api");
        names.learned.insert("10.0.0.1".parse().unwrap(), "m1");
        names.learned.insert("10.0.0.12".parse().unwrap(), "m2");
        names.learned.insert("fe80::2".parse().unwrap(), "m2");
        names.tell(text)
    }

    #[test]
    fn addresses_of_nodes_are_told_by_name() {
        let cases = [
            ("the Active 10.0.0.12 has fallen silent", "the Active m2 has fallen silent"),
            ("10.0.0.12: gone", "m2: gone"),
            ("it was 10.0.0.1.", "it was m1."),
            ("from fe80::2, 10.0.0.12", "from m2, m2"),
            ("fe80::2: gone", "m2: gone"),
        ];
        for (text, expected) in cases {
            assert_eq!(told(text), expected);
        }
    }

    #[test]
    fn whatever_only_looks_like_one_stays() {
        for text in [
            "removed 10.0.0.10 in 1.2ms",
            "https://10.0.0.12:6443/readyz",
            "https://10.0.0.12/readyz",
            "bad 110.0.0.12",
            "10.0.0.1/32",
            "10.0.0.12:6443",
            "dead beef, a: b",
            "",
        ] {
            assert_eq!(told(text), text);
        }
    }
}
