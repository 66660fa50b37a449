//! `[[node]]`: each by itself, and none like another.

use std::collections::HashMap;
use std::net::IpAddr;

use toml::Spanned;

use super::error::{Fault, Problems};
use super::raw::{PerName, RawNode, Section, check};
use super::{NodeName, Role, value};

/// A node, each of its values checked by itself.
pub(super) struct Node {
    pub(super) name: Spanned<NodeName>,
    pub(super) role: Role,
    pub(super) addresses: Vec<Spanned<IpAddr>>,
    /// Its own interface, by virtual router.
    pub(super) interface: Option<PerName<String>>,
}

impl Node {
    /// `None` if something is wrong; the problems then say what.
    pub(super) fn new(raw: Section<RawNode>, problems: &mut Problems) -> Option<Self> {
        let RawNode { name, role, addresses, interface } = raw.value;
        let name = check(name, problems, |name| value::node_name(&name));
        let span = addresses.span();
        let listed = addresses.into_inner();
        if listed.is_empty() {
            problems.add(span, Fault::new("a node has at least one address", "add its address"));
        }
        let addresses = listed
            .into_iter()
            .filter_map(|text| check(text, problems, |text| value::unicast_address(&text)))
            .collect();
        let interface = interface.map(|it| it.check(problems, value::interface));
        Some(Self { name: name?, role, addresses, interface: interface.flatten() })
    }

    pub(super) fn owns(&self, address: IpAddr) -> bool {
        self.addresses.iter().any(|own| *own.get_ref() == address)
    }
}

/// No two nodes share a name or an address.
pub(super) fn check_unique(nodes: &[Node], problems: &mut Problems) {
    let mut names = HashMap::new();
    let mut addresses = HashMap::new();
    for node in nodes {
        let name = node.name.get_ref();
        if names.insert(name, ()).is_some() {
            let fault = Fault::new(
                format!("another node is named `{name}` too"),
                "give each node its own name",
            );
            problems.add(node.name.span(), fault);
        }
        for address in &node.addresses {
            if let Some(other) = addresses.insert(address.get_ref(), name) {
                let fault = Fault::new(
                    format!("the address {address} is listed twice: for {other} and for {name}"),
                    "list each address once, for the node that has it",
                );
                problems.add(address.span(), fault);
            }
        }
    }
}
