//! What the sections mean to each other, and the configuration of each node.

use std::collections::{HashMap, HashSet};

use toml::Spanned;
use vrrp::config::{OnDegraded, Preempt, RouterConfig, Transport};

use super::api::Api;
use super::check::Check;
use super::error::{Fault, Problems, closest};
use super::model::{Cluster, Config, NodeConfig, VirtualRouter};
use super::node::Node;
use super::priority::{self, Priorities};
use super::raw::{Raw, RawCluster, Text, check as check_value};
use super::supervisor::{self, ETCD_CHECK, Sections};
use super::virtual_router::Spec;
use super::{Role, node, transport, value};

const DEFAULT_API_PORT: u16 = 6443;

/// The sections, each value checked by itself.
pub(super) struct Parts {
    cluster: Cluster,
    nodes: Vec<Node>,
    routers: Vec<Spec>,
    checks: Vec<Spanned<Check>>,
    api: Api,
    supervised: Option<supervisor::Parts>,
}

/// Checks each value by itself. `None` if something is wrong; the problems then say what.
pub(super) fn check(raw: Raw, problems: &mut Problems) -> Option<Parts> {
    let cluster = cluster(raw.cluster.value, problems);
    let nodes = raw.node.into_iter().filter_map(|it| Node::new(it, problems)).collect();
    let routers = raw.virtual_router.into_iter().filter_map(|it| Spec::new(it, problems)).collect();
    let checks = raw.check.into_iter().filter_map(|it| Check::new(it, problems)).collect();
    let api = Api::new(raw.api, problems);
    let Raw { supervisor, docker, images, certs, etcd, kubernetes, kubelet, .. } = raw;
    let sections = Sections { supervisor, docker, images, certs, etcd, kubernetes, kubelet };
    let supervised = supervisor::Parts::new(sections, problems);
    let is_right = problems.is_empty();
    is_right.then_some(Parts { cluster: cluster?, nodes, routers, checks, api, supervised })
}

fn cluster(raw: RawCluster, problems: &mut Problems) -> Option<Cluster> {
    let name = check_value(raw.name, problems, value::name);
    let port = raw.api_port.map(|it| check_value(it, problems, value::port));
    let api_port = port.flatten().map_or(DEFAULT_API_PORT, Spanned::into_inner);
    Some(Cluster { name: name?.into_inner(), api_port })
}

/// Checks what the values mean to each other and puts together what each node needs. `None` if
/// something is wrong; the problems then say what.
pub(super) fn assemble(parts: Parts, file: &str, problems: &mut Problems) -> Option<Config> {
    check_names_and_addresses(&parts, problems);
    if !problems.is_empty() {
        return None;
    }
    let Parts { cluster, nodes, routers, checks, api, supervised } = parts;
    let masters: Vec<&Node> = nodes.iter().filter(|node| node.role == Role::Master).collect();
    let mut of_masters: Vec<Vec<VirtualRouter>> = masters.iter().map(|_| Vec::new()).collect();
    for router in &routers {
        let priorities = priority::assign(router, &masters, problems);
        let transports = transport::assign(router, &masters, problems);
        let (Some(priorities), Some(transports)) = (priorities, transports) else { continue };
        check_not_of_a_node(router, &nodes, &masters, &priorities, problems);
        let of_each = masters.iter().zip(priorities).zip(transports);
        for (((master, priorities), transport), routers) in of_each.zip(&mut of_masters) {
            routers.push(virtual_router(router, master, priorities, transport));
        }
    }
    let mut of_masters = of_masters.into_iter();
    // Nobody takes over from the others.
    let degradable = routers
        .iter()
        .filter(|it| it.preempt != Preempt::Never || it.on_degraded == OnDegraded::Release);
    let degradable: Vec<&str> = degradable.map(|it| it.name.get_ref().as_str()).collect();
    let supervised = |node: &Node| supervised.as_ref().map(|it| it.on(node, &masters, &degradable));
    let nodes = nodes.iter().map(|node| NodeConfig {
        name: node.name.get_ref().clone(),
        role: node.role,
        addresses: node.addresses.iter().map(|it| *it.get_ref()).collect(),
        virtual_routers: match node.role {
            Role::Master => of_masters.next().unwrap_or_default(),
            Role::Worker => Vec::new(),
        },
        supervised: supervised(node),
    });
    let nodes = nodes.map(with_etcd_check).collect();
    let checks = checks.into_iter().map(Spanned::into_inner).collect();
    let metrics = api.metrics.map(Spanned::into_inner);
    Some(Config { file: file.to_owned(), cluster, nodes, checks, metrics })
}

/// Virtual routers that are worse held where etcd is not well have a check more.
fn with_etcd_check(mut node: NodeConfig) -> NodeConfig {
    let etcd = node.supervised.as_ref().and_then(|it| it.etcd.as_ref());
    let degrades = etcd.map(|it| it.degrades.as_slice()).unwrap_or_default();
    for router in node.virtual_routers.iter_mut().filter(|it| degrades.contains(&it.name)) {
        router.checks.push(ETCD_CHECK.to_owned());
    }
    node
}

/// Checks that what is named exists, and that nothing exists twice.
fn check_names_and_addresses(parts: &Parts, problems: &mut Problems) {
    let Parts { cluster, nodes, routers, checks, api, supervised } = parts;
    node::check_unique(nodes, problems);
    check_unique_names(routers.iter().map(|it| &it.name), "virtual router", problems);
    let checks: Vec<Text> =
        checks.iter().map(|it| Spanned::new(it.span(), it.get_ref().name.clone())).collect();
    check_unique_names(checks.iter(), "check", problems);
    check_unique_addresses(nodes, routers, problems);
    check_interfaces(nodes, routers, problems);
    check_unique_vrids(nodes, routers, problems);
    api.check_not_virtual(routers, problems);
    if let Some(supervised) = supervised {
        let routers: Vec<&str> = routers.iter().map(|it| it.name.get_ref().as_str()).collect();
        supervised.check(nodes, &routers, &checks, cluster.api_port, problems);
    }
    for router in routers {
        check_names_of(router, nodes, &checks, problems);
    }
    if let Some(router) = routers.first()
        && nodes.iter().all(|node| node.role == Role::Worker)
    {
        let fault = Fault::new(
            format!("nobody can hold the addresses of {}: no [[node]] is a master", router.name),
            "set role = \"master\" for the nodes that shall",
        );
        problems.add(router.name.span(), fault);
    }
}

fn virtual_router(
    spec: &Spec,
    node: &Node,
    priorities: Priorities,
    transport: Transport,
) -> VirtualRouter {
    VirtualRouter {
        name: spec.name.get_ref().clone(),
        interface: interface(spec, node).get_ref().clone(),
        config: RouterConfig {
            vrid: *spec.vrid.get_ref(),
            priority: priorities.healthy,
            degraded_priority: priorities.degraded,
            on_degraded: spec.on_degraded,
            preempt: spec.preempt,
            interval: spec.interval,
            addresses: spec.addresses.clone(),
            lease: spec.lease,
            checksum: spec.checksum,
            virtual_mac: spec.virtual_mac,
        },
        drain_timeout: spec.drain_timeout,
        transport,
        checks: spec.checks.iter().map(|it| it.get_ref().clone()).collect(),
    }
}

/// The interface of a virtual router on a node.
fn interface<'a>(spec: &'a Spec, node: &'a Node) -> &'a Spanned<String> {
    let own = node.interface.as_ref().and_then(|own| own.of(spec.name.get_ref()));
    own.unwrap_or(&spec.interface)
}

fn check_unique_names<'a>(
    names: impl Iterator<Item = &'a Text>,
    what: &str,
    problems: &mut Problems,
) {
    let mut seen = HashMap::new();
    for name in names {
        if seen.insert(name.get_ref(), ()).is_some() {
            let fault = Fault::new(
                format!("another {what} is named `{name}` too"),
                format!("give each {what} its own name"),
            );
            problems.add(name.span(), fault);
        }
    }
}

/// No address belongs to two virtual routers. A link-local one may, on different interfaces.
fn check_unique_addresses(nodes: &[Node], routers: &[Spec], problems: &mut Problems) {
    let mut reported = HashSet::new();
    for node in nodes.iter().filter(|node| node.role == Role::Master) {
        let mut seen = HashMap::new();
        for router in routers {
            let interface = interface(router, node).get_ref();
            for address in &router.address_spans {
                let link = value::is_link_local(*address.get_ref()).then_some(interface);
                let Some(other) = seen.insert((address.get_ref(), link), &router.name) else {
                    continue;
                };
                if reported.insert(address.span().start) {
                    let place = link.map(|it| format!(", on {it} of {}", node.name));
                    let place = place.unwrap_or_default();
                    let fault = Fault::new(
                        format!("{address} is an address of the virtual router {other} too{place}"),
                        "leave it to one of the two",
                    );
                    problems.add(address.span(), fault);
                }
            }
        }
    }
}

/// A virtual address is no node's own, unless that node has the owner's priority.
fn check_not_of_a_node(
    router: &Spec,
    nodes: &[Node],
    masters: &[&Node],
    priorities: &[Priorities],
    problems: &mut Problems,
) {
    let is_owner = |node: &Node| {
        let mut all = masters.iter().zip(priorities);
        all.any(|(master, it)| master.name == node.name && it.healthy.is_owner())
    };
    for address in &router.address_spans {
        let owner = nodes.iter().find(|node| node.owns(*address.get_ref()) && !is_owner(node));
        if let Some(node) = owner {
            let fault = Fault::new(
                format!("the virtual address {address} is an address of the node {}", node.name),
                "use a free address of the network as the virtual one",
            );
            problems.add(address.span(), fault);
        }
    }
}

/// The interfaces of nodes are for virtual routers that exist.
fn check_interfaces(nodes: &[Node], routers: &[Spec], problems: &mut Problems) {
    let names: Vec<&str> = routers.iter().map(|it| it.name.get_ref().as_str()).collect();
    for node in nodes {
        let Some(own) = &node.interface else { continue };
        for name in own.names() {
            check_known(name, "virtual router", &names, problems);
        }
        if node.role == Role::Worker {
            let fault = Fault::new(
                format!("{} is a worker: it takes part in no virtual router", node.name),
                "leave its interface out",
            );
            problems.add(node.name.span(), fault);
        }
    }
}

/// No two virtual routers of one interface and family share a VRID (RFC 9568, 5.2.3).
fn check_unique_vrids(nodes: &[Node], routers: &[Spec], problems: &mut Problems) {
    let mut reported = HashSet::new();
    for node in nodes.iter().filter(|node| node.role == Role::Master) {
        let mut seen = HashMap::new();
        for router in routers {
            let interface = interface(router, node).get_ref();
            let (vrid, family) = (*router.vrid.get_ref(), router.addresses.family());
            let Some(other) = seen.insert((vrid, family, interface), &router.name) else {
                continue;
            };
            let place = router.vrid.span();
            if reported.insert(place.start) {
                let fault = Fault::new(
                    format!(
                        "VRID {vrid} is that of {other} too, with {family} on {interface} of {}",
                        node.name
                    ),
                    "choose another vrid",
                );
                problems.add(place, fault);
            }
        }
    }
}

/// The nodes and checks that a virtual router names exist.
fn check_names_of(router: &Spec, nodes: &[Node], checks: &[Text], problems: &mut Problems) {
    let masters: Vec<&str> = nodes
        .iter()
        .filter(|node| node.role == Role::Master)
        .map(|node| node.name.get_ref().as_str())
        .collect();
    for name in router.priority.keys() {
        check_known(name, "master", &masters, problems);
    }
    for name in router.degraded_priority.iter().flat_map(|it| it.names()) {
        check_known(name, "master", &masters, problems);
    }
    let checks: Vec<&str> = checks.iter().map(|it| it.get_ref().as_str()).collect();
    for name in &router.checks {
        check_known(name, "check", &checks, problems);
    }
}

fn check_known(name: &Text, what: &str, known: &[&str], problems: &mut Problems) {
    if known.contains(&name.get_ref().as_str()) {
        return;
    }
    let help = match closest(name.get_ref(), known.iter().copied()) {
        Some(close) => format!("did you mean `{close}`? the file has: {}", known.join(", ")),
        None if known.is_empty() => format!("the file has no {what}"),
        None => format!("the file has: {}", known.join(", ")),
    };
    problems.add(name.span(), Fault::new(format!("no {what} is named `{name}`"), help));
}
