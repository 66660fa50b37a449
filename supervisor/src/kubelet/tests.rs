//! What is rendered for each version.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::{Value, json};

use super::*;

fn settings(version: &str) -> Settings {
    let addresses = vec!["10.0.0.11".parse().unwrap(), "fd00::11".parse().unwrap()];
    let mut settings = Settings::new(version.parse().unwrap(), "m1", addresses);
    settings.kubeconfig = Some("/etc/kubernetes/kubelet.conf".into());
    settings.cluster_dns = vec!["10.96.0.10".parse().unwrap()];
    settings.pause_image = Some("pause:3.10".into());
    settings
}

fn docker() -> Runtime {
    Runtime::Dockershim(Sockets::default().docker)
}

fn containerd() -> Runtime {
    Runtime::Remote(Sockets::default().containerd)
}

/// As the golden files have it: a flag on each line, then the configuration file.
fn text(settings: &Settings, runtime: &Runtime) -> String {
    let rendered = render(settings, runtime);
    format!("{}\n\n{}", rendered.arguments.join("\n"), rendered.configuration)
}

fn configuration(settings: &Settings, runtime: &Runtime) -> Value {
    serde_json::from_str(&render(settings, runtime).configuration).unwrap()
}

fn has_flag(version: &str, runtime: &Runtime, flag: &str) -> bool {
    let rendered = render(&settings(version), runtime);
    rendered.arguments.iter().any(|it| it.split_once('=').unwrap().0 == format!("--{flag}"))
}

#[track_caller]
fn golden(actual: &str, expected: &str) {
    assert!(actual == expected, "the golden file should read:\n{actual}");
}

#[test]
fn kubelet_1_20_with_dockerd_is_as_in_the_golden_file() {
    golden(
        &text(&settings("v1.20.2"), &docker()),
        include_str!("../../tests/golden/kubelet-1.20.txt"),
    );
}

#[test]
fn kubelet_1_33_with_containerd_is_as_in_the_golden_file() {
    golden(
        &text(&settings("v1.33.4"), &containerd()),
        include_str!("../../tests/golden/kubelet-1.33.txt"),
    );
}

#[test]
fn each_version_gets_only_flags_that_it_knows() {
    for (version, runtime, flag, wanted) in [
        ("1.20", docker(), "docker-endpoint", true),
        ("1.20", docker(), "network-plugin", true),
        ("1.20", containerd(), "network-plugin", false),
        ("1.20", containerd(), "container-runtime", true),
        ("1.23", containerd(), "container-runtime", true),
        ("1.24", containerd(), "container-runtime", false),
        ("1.26", containerd(), "container-runtime-endpoint", true),
        ("1.27", containerd(), "container-runtime-endpoint", false),
        ("1.26", containerd(), "pod-infra-container-image", true),
        ("1.27", containerd(), "pod-infra-container-image", false),
    ] {
        assert_eq!(has_flag(version, &runtime, flag), wanted, "{version} {runtime:?} --{flag}");
    }
    let endpoint = |version| {
        configuration(&settings(version), &containerd())["containerRuntimeEndpoint"].clone()
    };
    assert_eq!(endpoint("1.26"), Value::Null);
    assert_eq!(endpoint("1.27"), json!("unix:///run/containerd/containerd.sock"));
}

#[test]
fn a_kubelet_that_stands_alone_asks_no_api_server_and_still_wants_certificates() {
    let mut settings = settings("1.20");
    settings.kubeconfig = None;
    let fields = configuration(&settings, &docker());
    assert_eq!(fields["authentication"]["anonymous"]["enabled"], json!(false));
    assert_eq!(fields["authentication"]["webhook"]["enabled"], json!(false));
    assert_eq!(
        fields["authentication"]["x509"]["clientCAFile"],
        json!("/etc/kubernetes/pki/ca.crt")
    );
    assert_eq!(fields["authorization"]["mode"], json!("AlwaysAllow"));
    assert!(!render(&settings, &docker()).arguments.iter().any(|it| it.contains("kubeconfig")));
}

#[test]
fn what_the_operator_sets_replaces_what_is_ours() {
    let mut settings = settings("1.20");
    settings.flags.insert("v".into(), "4".into());
    settings.flags.insert("network-plugin".into(), "kubenet".into());
    settings.overrides.insert("maxPods".into(), json!(30));
    settings.overrides.insert("failSwapOn".into(), json!(false));
    let rendered = render(&settings, &docker());
    assert!(rendered.arguments.contains(&"--v=4".to_owned()));
    let plugins: Vec<_> =
        rendered.arguments.iter().filter(|it| it.contains("network-plugin")).collect();
    assert_eq!(plugins, ["--network-plugin=kubenet"]);
    let fields = configuration(&settings, &docker());
    assert_eq!((&fields["maxPods"], &fields["failSwapOn"]), (&json!(30), &json!(false)));
}

#[test]
fn a_second_family_of_addresses_is_told_from_1_23_on() {
    let node_ip = |version| {
        let rendered = render(&settings(version), &containerd());
        rendered.arguments.into_iter().find(|it| it.starts_with("--node-ip=")).unwrap()
    };
    assert_eq!(node_ip("1.22"), "--node-ip=10.0.0.11");
    assert_eq!(node_ip("1.23"), "--node-ip=10.0.0.11,fd00::11");
}
