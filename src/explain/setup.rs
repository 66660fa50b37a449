//! What the configuration says that an explanation needs.

use std::collections::BTreeMap;
use std::net::IpAddr;

use vrrp::Priority;
use vrrp::config::{OnDegraded, Preempt};

use crate::config::{Config, NodeName, Role, VirtualRouter};

/// The configuration as an explanation needs it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Setup {
    names: BTreeMap<IpAddr, String>,
    routers: BTreeMap<String, Rules>,
}

/// What decides about one virtual router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Whom a Backup takes over from.
    pub preempt: Preempt,
    /// What a degraded router does.
    pub on_degraded: OnDegraded,
    /// The names of the checks that decide on this node's health.
    pub checks: Vec<String>,
    /// The masters that may hold the addresses, this one too, in the order of the file.
    pub masters: Vec<Master>,
}

/// A master as one virtual router knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Master {
    /// Its name.
    pub name: String,
    /// What it advertises while healthy.
    pub healthy: Priority,
    /// What it advertises while degraded.
    pub degraded: Priority,
}

impl Setup {
    /// What concerns `node`.
    pub fn of(config: &Config, node: &NodeName) -> Self {
        let names = config.nodes.iter().flat_map(|node| {
            node.addresses.iter().map(|&address| (address, node.name.to_string()))
        });
        let own = config.nodes.iter().filter(|it| it.name == *node);
        let own = own.flat_map(|it| &it.virtual_routers);
        Self {
            names: names.collect(),
            routers: own.map(|it| (it.name.clone(), Rules::of(it, config))).collect(),
        }
    }

    /// What decides about a virtual router.
    pub fn rules(&self, router: &str) -> Option<&Rules> {
        self.routers.get(router)
    }

    /// The node that has an address.
    pub fn name(&self, address: IpAddr) -> Option<&str> {
        self.names.get(&address).map(String::as_str)
    }

    /// The node that advertises this priority from `source`. An IPv6 source is link-local, which no
    /// file lists: then the priority tells who it is, if only one node has it.
    pub fn advertiser(&self, router: &str, source: IpAddr, priority: Option<u8>) -> Option<&str> {
        self.name(source).or_else(|| self.rules(router)?.by_priority(priority?))
    }
}

impl Rules {
    fn of(router: &VirtualRouter, config: &Config) -> Self {
        let masters = config.nodes.iter().filter(|node| node.role == Role::Master);
        let masters = masters.filter_map(|node| {
            let of_node = node.virtual_routers.iter().find(|it| it.name == router.name)?;
            Some(Master {
                name: node.name.to_string(),
                healthy: of_node.config.priority,
                degraded: of_node.config.degraded_priority,
            })
        });
        Self {
            preempt: router.config.preempt,
            on_degraded: router.config.on_degraded,
            checks: router.checks.clone(),
            masters: masters.collect(),
        }
    }

    /// The only master that advertises this priority, if there is one.
    pub fn by_priority(&self, priority: u8) -> Option<&str> {
        let is_it = |it: &&Master| it.healthy.get() == priority || it.degraded.get() == priority;
        let mut found = self.masters.iter().filter(is_it);
        let first = found.next()?;
        found.next().is_none().then_some(first.name.as_str())
    }

    /// The master that ranks first among all but `except`, as long as all are healthy.
    pub fn first_but(&self, except: &[&str]) -> Option<&Master> {
        let others = self.masters.iter().filter(|it| !except.contains(&it.name.as_str()));
        others.max_by_key(|it| it.healthy)
    }
}
