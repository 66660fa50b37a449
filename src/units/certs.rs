//! Whose certificates are issued and checked, as the configuration has it.

use std::path::PathBuf;

use supervisor::certs::{DEFAULT_FOLDER, Name, Settings};

use crate::config::{Config, NodeConfig, Pki};

/// The domain of a cluster's services, as kubeadm has it.
const SERVICE_DOMAIN: &str = "cluster.local";

/// What a node's certificates are for.
pub fn settings(config: &Config, node: &NodeConfig) -> Settings {
    let usual = Pki { dir: PathBuf::from(DEFAULT_FOLDER), extra_sans: Vec::new() };
    let pki = node.supervised.as_ref().map_or(usual, |it| it.pki.clone());
    // On every master the same.
    let routers = config.nodes.iter().flat_map(|it| &it.virtual_routers);
    let virtual_addresses = routers.flat_map(|it| it.config.addresses.as_slice());
    let mut api_names: Vec<Name> = virtual_addresses.map(|&it| Name::from(it)).collect();
    // The configuration admits nothing that is none.
    api_names.extend(pki.extra_sans.iter().filter_map(|it| it.parse().ok()));
    api_names.sort();
    api_names.dedup();
    Settings {
        folder: pki.dir,
        node: node.name.to_string(),
        addresses: node.addresses.clone(),
        api_names,
        service_domain: SERVICE_DOMAIN.to_owned(),
    }
}
