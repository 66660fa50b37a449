//! `mainstay check`

use std::fmt::Write;

use vrrp::config::{OnDegraded, RouterConfig, Transport};

use super::args::Instance;
use super::output;
use crate::config::{self, Config, NodeConfig, Role, Service, Supervised, VirtualRouter};
use crate::daemon::{Shown, spec, travels};
use crate::exit::{Exit, Failure};
use crate::status::virtual_mac;

/// Checks the file and prints what the node would do.
pub fn run(instance: &Instance) -> Result<Exit, Failure> {
    let path = &instance.config;
    let config = config::load(path).map_err(Failure::usage)?;
    let mut text = format!("{}: ok\n{}", path.display(), cluster(&config));
    match (chosen(&config, instance), &instance.node) {
        (Ok(node), _) => text.push_str(&describe(node)),
        (Err(failure), Some(_)) => return Err(failure),
        // Checked somewhere else than on a node.
        (Err(_), None) => config.nodes.iter().for_each(|node| text.push_str(&describe(node))),
    }
    output::write(text.as_bytes())
}

fn chosen<'a>(config: &'a Config, instance: &Instance) -> Result<&'a NodeConfig, Failure> {
    config.for_node(&instance.node()?).map_err(Failure::usage)
}

fn cluster(config: &Config) -> String {
    let count = |role| config.nodes.iter().filter(|node| node.role == role).count();
    let (masters, workers) = (count(Role::Master), count(Role::Worker));
    let s = |n: usize| if n == 1 { "" } else { "s" };
    format!(
        "cluster {}: {masters} master{}, {workers} worker{}\n",
        config.cluster.name,
        s(masters),
        s(workers)
    )
}

fn describe(node: &NodeConfig) -> String {
    let mut text = format!("\nnode {} ({})\n", node.name, node.role);
    if node.virtual_routers.is_empty() {
        text.push_str("  no virtual routers: there is no VIP to look after\n");
    }
    for router in &node.virtual_routers {
        let VirtualRouter { name, interface, config, transport, .. } = router;
        let RouterConfig { vrid, interval, addresses, .. } = config;
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "  {name}: VRID {vrid} on {interface}, {addresses}\n    {}, preempt {}, \
             an advertisement each {interval}, lease {}",
            priority(config),
            Shown(config.preempt),
            config.lease.map_or_else(|| "off".to_owned(), |lease| format!("{}s", lease.as_secs())),
        );
        if *transport != Transport::Multicast {
            let _ = writeln!(text, "    {}", travels(transport));
        }
        if let Some(mac) = virtual_mac(&spec(router)) {
            let _ = writeln!(text, "    on a macvlan above {interface}, at {mac}");
        }
    }
    if let Some(supervised) = &node.supervised {
        let _ = writeln!(text, "  units: {}", units(supervised));
    }
    text
}

/// What is brought up beneath the virtual IPs, in order.
fn units(supervised: &Supervised) -> String {
    let service = |it: &Service| match it {
        Service::Systemd { unit } => unit.clone(),
        Service::Exec { program } => program.display().to_string(),
    };
    let mut units = vec![format!("dockerd ({})", service(&supervised.docker.service))];
    units.extend(supervised.images.as_ref().map(|it| format!("images ({})", it.display())));
    units.extend(supervised.etcd.as_ref().map(|it| format!("etcd ({})", it.image)));
    let kubelet = supervised.kubelet.as_ref();
    units.extend(kubelet.map(|it| format!("kubelet {} ({})", it.version, service(&it.service))));
    units.join(" -> ")
}

fn priority(config: &RouterConfig) -> String {
    let RouterConfig { priority, degraded_priority, .. } = config;
    if priority.is_owner() {
        return format!("priority {priority}, as the owner of the addresses");
    }
    match config.on_degraded {
        OnDegraded::Advertise => format!("priority {priority}, {degraded_priority} when degraded"),
        OnDegraded::Release => format!("priority {priority}, released when degraded"),
    }
}
