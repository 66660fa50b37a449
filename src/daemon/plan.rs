//! What this node is to do, and how one configuration differs from another.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use vrrp::config::{Preempt, Transport};
use vrrp::proto::RouterSpec;

use crate::config::{Check, Config, ConfigError, NodeConfig, NodeName, Role, VirtualRouter};
use crate::events::list;
use crate::explain::Setup;
use crate::units::UnitsPlan;

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
    /// On what terms each of them holds its addresses, by name.
    pub terms: BTreeMap<String, Terms>,
    /// The checks that its virtual routers name, in the order of the file.
    pub checks: Vec<Check>,
    /// What runs beneath the virtual routers; `None` where mainstay looks after these alone.
    pub units: Option<UnitsPlan>,
}

/// On what terms a virtual router holds its addresses, as far as the daemon looks after them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The names of the checks that decide on its health.
    pub checks: Vec<String>,
    /// How long a drain, or an orderly stop, waits for a successor.
    pub drain_timeout: Duration,
    /// From whom nobody can take over.
    pub keeps: Option<Keeps>,
    /// Whether the configuration names another router that may take over.
    pub has_peers: bool,
}

/// Why a virtual router that advertises priority 1 would keep its addresses all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeps {
    /// They are the node's own.
    Owner,
    /// With `preempt = "never"` nobody takes over from an Active that lives.
    NeverPreempted,
}

impl Terms {
    /// Whether an orderly stop waits for a successor. One that nobody else is configured for gives
    /// up at once.
    pub fn hands_over(&self) -> bool {
        self.keeps.is_none() && self.has_peers && !self.drain_timeout.is_zero()
    }

    fn of(router: &VirtualRouter, masters: usize) -> Self {
        let config = &router.config;
        let peers = match &router.transport {
            Transport::Multicast => 0,
            Transport::Unicast { peers, .. } => peers.len(),
        };
        Self {
            checks: router.checks.clone(),
            drain_timeout: router.drain_timeout,
            keeps: match config.preempt {
                _ if config.priority.is_owner() => Some(Keeps::Owner),
                Preempt::Never => Some(Keeps::NeverPreempted),
                Preempt::DegradedOnly | Preempt::Always => None,
            },
            has_peers: masters > 1 || peers > 0,
        }
    }
}

impl Plan {
    /// The part of `node`.
    ///
    /// # Errors
    /// If the configuration does not name it.
    pub fn of(config: &Config, node: &NodeName, state_dir: &Path) -> Result<Self, ConfigError> {
        let own = config.for_node(node)?;
        let NodeConfig { role, virtual_routers, .. } = own;
        let masters = config.nodes.iter().filter(|node| node.role == Role::Master).count();
        let terms = |router: &VirtualRouter| (router.name.clone(), Terms::of(router, masters));
        let named: BTreeSet<&String> = virtual_routers.iter().flat_map(|it| &it.checks).collect();
        let checks = config.checks.iter().filter(|check| named.contains(&check.name));
        let units = UnitsPlan::of(config, own);
        let of_etcd = units.as_ref().and_then(|it| it.etcd_check(state_dir));
        Ok(Self {
            role: *role,
            routers: virtual_routers.iter().map(spec).collect(),
            terms: virtual_routers.iter().map(terms).collect(),
            checks: checks.cloned().chain(of_etcd).collect(),
            metrics: config.metrics,
            setup: Setup::of(config, node),
            units,
        })
    }

    /// The virtual routers with the names of their checks.
    pub fn checked(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.terms.iter().map(|(name, terms)| (name.as_str(), terms.checks.as_slice()))
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
                    let terms = |plan: &Self| plan.terms.get(&new.name).cloned();
                    let terms = terms(self).zip(terms(next));
                    let terms = terms.map(|(old, new)| terms_changes(&old, &new));
                    let changes = changes(old, new).into_iter().chain(terms.into_iter().flatten());
                    found.extend(changes.map(|change| format!("{}: {change}", new.name)));
                }
            }
        }
        found.extend(self.check_differences(next));
        found.extend(UnitsPlan::differences(self.units.as_ref(), next.units.as_ref()));
        found
    }

    fn check_differences(&self, next: &Self) -> Vec<String> {
        let find = |plan: &Self, name: &str| {
            let mut all = plan.checks.iter();
            all.find(|check| check.name == name).cloned()
        };
        let gone = self.checks.iter().filter(|old| find(next, &old.name).is_none());
        let gone = gone.map(|old| format!("check {}: no longer used", old.name));
        let rest = next.checks.iter().filter_map(|new| match find(self, &new.name) {
            None => Some(format!("check {}: added", new.name)),
            Some(old) if old != *new => Some(format!("check {}: changed", new.name)),
            Some(_) => None,
        });
        gone.chain(rest).collect()
    }
}

/// A virtual router as the VRRP process is asked for it.
pub fn spec(router: &VirtualRouter) -> RouterSpec {
    RouterSpec {
        name: router.name.clone(),
        interface: router.interface.clone(),
        config: router.config.clone(),
        transport: router.transport.clone(),
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
        change("virtual_mac", &a.virtual_mac, &b.virtual_mac),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn terms_changes(old: &Terms, new: &Terms) -> Vec<String> {
    let named = |terms: &Terms| match terms.checks.as_slice() {
        [] => "none".to_owned(),
        names => names.join(", "),
    };
    [
        change("checks", &named(old), &named(new)),
        change(
            "drain_timeout",
            &format!("{:?}", old.drain_timeout),
            &format!("{:?}", new.drain_timeout),
        ),
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
        Plan::of(&config, &"m1".parse().unwrap(), Path::new("/state")).unwrap()
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
    fn who_can_take_over_is_known() {
        let terms = |text: &str| plan(text).terms["api"].clone();
        assert!(!terms(FILE).has_peers);
        assert_eq!(terms(FILE).keeps, None);
        let unicast = "vrid = 51\ntransport = \"unicast\"\npeers = [\"10.0.0.12\"]";
        assert!(terms(&FILE.replace("vrid = 51", unicast)).has_peers);
        let second = "[[node]]\nname = \"m2\"\nrole = \"master\"\naddresses = [\"10.0.0.12\"]\n\
                      [[virtual_router]]";
        assert!(terms(&FILE.replace("[[virtual_router]]", second)).has_peers);
        let never = terms(&FILE.replace("vrid = 51", "vrid = 51\npreempt = \"never\""));
        assert_eq!(never.keeps, Some(Keeps::NeverPreempted));
    }

    #[test]
    fn other_checks_and_times_of_a_drain_are_named() {
        let checked = FILE.replace("vrid = 51", "vrid = 51\nchecks = [\"a\"]").to_owned()
            + "[[check]]\nname = \"a\"\ntcp = \"127.0.0.1:6443\"\n";
        let next = checked.replace("vrid = 51", "vrid = 51\ndrain_timeout = \"9s\"");
        assert_eq!(
            plan(FILE).differences(&plan(&next)),
            [
                "api: checks changes from none to a",
                "api: drain_timeout changes from 5s to 9s",
                "check a: added"
            ]
        );
        let changed = checked.replace("6443\"", "6444\"");
        assert_eq!(plan(&checked).differences(&plan(&changed)), ["check a: changed"]);
        let unused = checked.replace("checks = [\"a\"]", "");
        assert!(plan(&unused).checks.is_empty());
    }

    #[test]
    fn a_renamed_virtual_router_is_removed_and_added() {
        let next = FILE.replace("\"api\"", "\"ingress\"");
        assert_eq!(plan(FILE).differences(&plan(&next)), ["api: removed", "ingress: added"]);
    }
}
