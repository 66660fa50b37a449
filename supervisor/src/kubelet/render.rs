//! A kubelet's flags and configuration file, by its version.
//!
//! Most settings belong in the file; what only flags can say is a flag. The file is JSON, which is YAML as well.

use std::net::IpAddr;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::runtime::Runtime;
use super::settings::{CgroupDriver, Settings};

/// How one kubelet is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// Its arguments, sorted.
    pub arguments: Vec<String>,
    /// The text of its configuration file.
    pub configuration: String,
}

/// Renders both for one runtime.
pub fn render(settings: &Settings, runtime: &Runtime) -> Rendered {
    let mut configuration = configuration(settings, runtime);
    configuration.extend(settings.overrides.clone());
    // Pretty, since people read it; it cannot fail, since all keys are texts.
    let text = serde_json::to_string_pretty(&configuration).unwrap_or_default();
    let mut flags = flags(settings, runtime);
    flags.retain(|(name, _)| !settings.flags.contains_key(*name));
    let own = settings.flags.iter().map(|(name, value)| (name.as_str(), value.clone()));
    let mut arguments: Vec<_> =
        flags.into_iter().chain(own).map(|(name, value)| format!("--{name}={value}")).collect();
    arguments.sort();
    Rendered { arguments, configuration: text + "\n" }
}

fn flags(settings: &Settings, runtime: &Runtime) -> Vec<(&'static str, String)> {
    let version = settings.version;
    let mut flags = vec![
        ("config", shown(&settings.configuration)),
        ("hostname-override", settings.node.clone()),
        ("root-dir", shown(&settings.folder)),
        ("cert-dir", shown(&settings.folder.join("pki"))),
    ];
    if let Some(addresses) = node_ip(settings) {
        flags.push(("node-ip", addresses));
    }
    if let Some(kubeconfig) = &settings.kubeconfig {
        flags.push(("kubeconfig", shown(kubeconfig)));
    }
    match runtime {
        Runtime::Dockershim(socket) => {
            flags.push(("container-runtime", "docker".into()));
            flags.push(("docker-endpoint", endpoint(socket)));
            if settings.cni {
                flags.push(("network-plugin", "cni".into()));
            }
        }
        Runtime::Remote(socket) => {
            // From 1.24 on there is no other kind, and 1.27 does not know the flag.
            if !version.is_at_least(24) {
                flags.push(("container-runtime", "remote".into()));
            }
            // Then in the file.
            if !version.is_at_least(27) {
                flags.push(("container-runtime-endpoint", endpoint(socket)));
            }
        }
    }
    // Then kubelet asks the runtime, which is told in its own configuration.
    if let Some(image) = settings.pause_image.as_ref().filter(|_| !version.is_at_least(27)) {
        flags.push(("pod-infra-container-image", image.clone()));
    }
    flags
}

fn configuration(settings: &Settings, runtime: &Runtime) -> Map<String, Value> {
    let mut fields = Map::new();
    let mut set = |name: &str, value: Value| fields.insert(name.into(), value);
    set("apiVersion", json!("kubelet.config.k8s.io/v1beta1"));
    set("kind", json!("KubeletConfiguration"));
    set("staticPodPath", json!(shown(&settings.static_pods)));
    set("port", json!(settings.port));
    // The port that asks for no certificate.
    set("readOnlyPort", json!(0));
    set("healthzBindAddress", json!("127.0.0.1"));
    set("healthzPort", json!(settings.healthz_port));
    // Without an API server there is nobody to ask who may do what: then whoever has a certificate of the
    // authority may.
    let asks = settings.kubeconfig.is_some();
    let authentication = json!({
        "anonymous": { "enabled": false },
        "webhook": { "enabled": asks },
        "x509": { "clientCAFile": shown(&settings.client_ca) },
    });
    set("authentication", authentication);
    set("authorization", json!({ "mode": if asks { "Webhook" } else { "AlwaysAllow" } }));
    set("rotateCertificates", json!(asks));
    let driver = match settings.cgroup_driver {
        CgroupDriver::Cgroupfs => "cgroupfs",
        CgroupDriver::Systemd => "systemd",
    };
    set("cgroupDriver", json!(driver));
    set("clusterDomain", json!(settings.cluster_domain));
    if !settings.cluster_dns.is_empty() {
        set("clusterDNS", json!(settings.cluster_dns));
    }
    set("failSwapOn", json!(settings.fail_on_swap));
    if let Runtime::Remote(socket) = runtime
        && settings.version.is_at_least(27)
    {
        set("containerRuntimeEndpoint", json!(endpoint(socket)));
    }
    fields
}

/// The first address, and from 1.23 on, which is the first with two families, the first of the other one.
fn node_ip(settings: &Settings) -> Option<String> {
    let first = settings.addresses.first()?;
    let other = settings.addresses.iter().find(|it| it.is_ipv4() != first.is_ipv4());
    let other = other.filter(|_| settings.version.is_at_least(23));
    let all: Vec<_> = [Some(first), other].into_iter().flatten().map(IpAddr::to_string).collect();
    Some(all.join(","))
}

fn endpoint(socket: &Path) -> String {
    format!("unix://{}", socket.display())
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
