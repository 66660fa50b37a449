//! What this node is to do, and how one configuration differs from another.

use std::net::SocketAddr;

use vrrp::config::Transport;
use vrrp::proto::RouterSpec;

use crate::config::{Config, ConfigError, NodeConfig, NodeName, Role, VirtualRouter};
use crate::events::list;
use crate::explain::Setup;

/// This node's part of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What runs on this node.
    pub role: Role,
    /// Its virtual routers, in the order of the file.
    pub routers: Vec<RouterSpec>,
    /// Where it serves its metrics; `None` nowhere.
    pub metrics: Option<SocketAddr>,
    /// What an explanation needs to know.
    pub setup: Setup,
}

impl Plan {
    /// The part of `node`.
    ///
    /// # Errors
    /// If the configuration does not name it.
    pub fn of(config: &Config, node: &NodeName) -> Result<Self, ConfigError> {
        let NodeConfig { role, virtual_routers, .. } = config.for_node(node)?;
        Ok(Self {
            role: *role,
            routers: virtual_routers.iter().map(spec).collect(),
            metrics: config.metrics,
            setup: Setup::of(config, node),
        })
    }

    /// The shortest advertisement interval.
    pub fn shortest_interval(&self) -> Option<std::time::Duration> {
        self.routers.iter().map(|spec| spec.config.interval.duration()).min()
    }

    /// The shortest lease; `None` if there is none.
    pub fn shortest_lease(&self) -> Option<std::time::Duration> {
        self.routers.iter().filter_map(|spec| spec.config.lease).map(|lease| lease.duration()).min()
    }

    /// What changes when this plan gives way to `next`, one sentence each.
    pub fn differences(&self, next: &Self) -> Vec<String> {
        let mut found = Vec::new();
        if self.role != next.role {
            found.push(format!("the role changes from {} to {}", self.role, next.role));
        }
        let place = |plan: &Self| plan.metrics.map_or("nowhere".to_owned(), |it| it.to_string());
        found.extend(change("where metrics are served", &place(self), &place(next)));
        for old in &self.routers {
            if !next.routers.iter().any(|new| new.name == old.name) {
                found.push(format!("{}: removed", old.name));
            }
        }
        for new in &next.routers {
            match self.routers.iter().find(|old| old.name == new.name) {
                None => found.push(format!("{}: added", new.name)),
                Some(old) => {
                    let changes = changes(old, new);
                    found.extend(
                        changes.into_iter().map(|change| format!("{}: {change}", new.name)),
                    );
                }
            }
        }
        found
    }
}

/// A virtual router as the VRRP process is asked for it.
pub fn spec(router: &VirtualRouter) -> RouterSpec {
    RouterSpec {
        name: router.name.clone(),
        interface: router.interface.clone(),
        config: router.config.clone(),
        transport: router.transport.clone(),
        virtual_mac: router.virtual_mac,
    }
}

fn changes(old: &RouterSpec, new: &RouterSpec) -> Vec<String> {
    let (a, b) = (&old.config, &new.config);
    let lease = |lease: Option<vrrp::config::Lease>| {
        lease.map_or_else(|| "off".to_owned(), |lease| format!("{} s", lease.as_secs()))
    };
    [
        change("interface", &old.interface, &new.interface),
        change("vrid", &a.vrid, &b.vrid),
        change("addresses", &a.addresses, &b.addresses),
        change("priority", &a.priority, &b.priority),
        change("degraded_priority", &a.degraded_priority, &b.degraded_priority),
        change("on_degraded", &Shown(a.on_degraded), &Shown(b.on_degraded)),
        change("preempt", &Shown(a.preempt), &Shown(b.preempt)),
        change("advert_interval", &a.interval, &b.interval),
        change("lease", &lease(a.lease), &lease(b.lease)),
        change("checksum", &Shown(a.checksum), &Shown(b.checksum)),
        change("transport", &travels(&old.transport), &travels(&new.transport)),
        change("virtual_mac", &old.virtual_mac, &new.virtual_mac),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// How advertisements travel, in words.
pub fn travels(transport: &Transport) -> String {
    match transport {
        Transport::Multicast => "multicast".to_owned(),
        Transport::Unicast { peers, source: None } => format!("unicast to {}", list(peers)),
        Transport::Unicast { peers, source: Some(source) } => {
            format!("unicast from {source} to {}", list(peers))
        }
    }
}

fn change<T: PartialEq + ToString>(what: &str, old: &T, new: &T) -> Option<String> {
    (old != new).then(|| format!("{what} changes from {} to {}", old.to_string(), new.to_string()))
}

/// A value as the configuration file writes it.
#[derive(PartialEq)]
pub struct Shown<T>(pub T);

impl<T: serde::Serialize> std::fmt::Display for Shown<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let value = serde_json::to_value(&self.0).unwrap_or_default();
        match value.as_str() {
            Some(text) => f.write_str(text),
            None => write!(f, "{value}"),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const FILE: &str = r#"
        [cluster]
        name = "c"
        api_port = 6443
        [[node]]
        name = "m1"
        role = "master"
        addresses = ["10.0.0.11"]
        [[virtual_router]]
        name = "api"
        vrid = 51
        interface = "eth0"
        addresses = ["10.0.0.10"]
        advert_interval = "100ms"
    "#;

    fn plan(text: &str) -> Plan {
        let config = crate::config::parse(text, "file").unwrap();
        Plan::of(&config, &"m1".parse().unwrap()).unwrap()
    }

    #[test]
    fn a_plan_differs_from_itself_in_nothing() {
        assert!(plan(FILE).differences(&plan(FILE)).is_empty());
    }

    #[test]
    fn what_changes_is_named_with_both_values() {
        let next = FILE.replace("100ms", "1s").replace("10.0.0.10", "10.0.0.9");
        assert_eq!(
            plan(FILE).differences(&plan(&next)),
            [
                "api: addresses changes from 10.0.0.10 to 10.0.0.9",
                "api: advert_interval changes from 100ms to 1s"
            ]
        );
    }

    #[test]
    fn another_transport_or_mac_address_is_named() {
        let next = FILE.replace(
            "vrid = 51",
            "vrid = 51\nvirtual_mac = true\ntransport = \"unicast\"\npeers = [\"10.0.0.12\"]",
        );
        assert_eq!(
            plan(FILE).differences(&plan(&next)),
            [
                "api: transport changes from multicast to unicast to 10.0.0.12",
                "api: virtual_mac changes from false to true"
            ]
        );
    }

    #[test]
    fn a_renamed_virtual_router_is_removed_and_added() {
        let next = FILE.replace("\"api\"", "\"ingress\"");
        assert_eq!(plan(FILE).differences(&plan(&next)), ["api: removed", "ingress: added"]);
    }
}
