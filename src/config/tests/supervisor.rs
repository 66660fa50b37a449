//! `[supervisor]` and the sections that go with it.

use super::super::supervisor::{Runtime, Service};
use super::*;

fn supervised(sections: &str) -> String {
    file_with(&format!("{}[supervisor]\n{sections}", router(&[])))
}

const ETCD: &str = "[etcd]\nimage = \"etcd:v3.5.21\"\n";
const KUBELET: &str = "[kubernetes]\nversion = \"v1.33.4\"\n[kubelet]\n";

fn on(text: &str, node: &str) -> Supervised {
    for_node(text, node).supervised.unwrap()
}

#[test]
fn without_the_section_nothing_is_supervised() {
    assert_eq!(for_node(&file(&[]), "m1").supervised, None);
}

#[test]
fn a_bare_section_looks_after_docker_through_systemd() {
    let found = on(&supervised(""), "w1");
    assert_eq!(found.docker.service, Service::Systemd { unit: "docker.service".to_owned() });
    assert_eq!(found.docker.socket.to_str(), Some("/run/docker.sock"));
    assert_eq!((found.etcd, found.kubelet, found.images), (None, None, None));
    assert_eq!(found.pki.dir.to_str(), Some("/etc/kubernetes/pki"));
}

#[test]
fn sections_without_the_supervisor_are_refused() {
    for section in ["docker", "images", "certs", "etcd", "kubernetes", "kubelet"] {
        let keys = match section {
            "images" => "dir = \"/x\"",
            "etcd" => "image = \"etcd:1\"",
            "kubernetes" => "version = \"v1.33.4\"",
            _ => "",
        };
        let text = file_with(&format!("[{section}]\n{keys}\n"));
        assert_refused(&text, &format!("[{section}]"), "needs [supervisor]");
    }
}

#[test]
fn etcd_runs_on_masters_and_knows_all_of_them() {
    let text = supervised(ETCD);
    assert_eq!(on(&text, "w1").etcd, None);
    let etcd = on(&text, "m2").etcd.unwrap();
    let masters: Vec<String> =
        etcd.masters.iter().map(|it| format!("{} {}", it.name, it.address)).collect();
    assert_eq!(masters, ["m1 10.0.0.11", "m2 10.0.0.12"]);
    assert_eq!((etcd.client_port, etcd.peer_port, etcd.metrics_port), (2379, 2380, 2381));
    assert_eq!(etcd.degrades, ["apiserver"]);
    assert_eq!(etcd.quota, None);
    let some = format!("{ETCD}degrades = []\nquota_mib = 4096\n");
    let etcd = on(&supervised(&some), "m1").etcd.unwrap();
    assert!(etcd.degrades.is_empty());
    assert_eq!(etcd.quota, Some(4 << 30));
}

#[test]
fn a_path_may_name_the_node() {
    let text = supervised(
        "backend = \"exec\"\n[docker]\nsocket = \"/run/{node}/docker.sock\"\n\
         data_root = \"/srv/{node}/{node}\"\n[images]\ndir = \"/images\"\n",
    );
    let found = on(&text, "m2");
    assert_eq!(found.docker.socket.to_str(), Some("/run/m2/docker.sock"));
    assert_eq!(found.docker.data_root.unwrap().to_str(), Some("/srv/m2/m2"));
    assert_eq!(found.docker.exec_root, None);
    assert_eq!(found.images.unwrap().to_str(), Some("/images"));
}

#[test]
fn wrong_paths() {
    for (path, rule) in [
        ("run/x", "it is not absolute"),
        ("/a/../b", "goes up"),
        ("//", "the root directory"),
        ("/run/{name}/x", "only `{node}` is known"),
        ("/run/{node", "only `{node}` is known"),
    ] {
        let text = supervised(&format!("[docker]\nsocket = \"{path}\"\n"));
        assert_refused(&text, &format!("\"{path}\""), rule);
    }
    let long = format!("/{}/{{node}}", "x".repeat(104));
    let text = supervised(&format!("[docker]\nsocket = \"{long}\"\n"));
    assert_refused(&text, &format!("\"{long}\""), "on m1 the path has more than the 107 bytes");
}

#[test]
fn keys_that_go_with_the_other_backend() {
    for (key, value) in
        [("program", "\"/x\""), ("args", "[]"), ("data_root", "\"/x\""), ("exec_root", "\"/x\"")]
    {
        let text = supervised(&format!("[docker]\n{key} = {value}\n"));
        assert_refused(&text, value, "goes with backend = \"exec\" only");
    }
    let text = supervised("backend = \"exec\"\n[docker]\nunit = \"docker.service\"\n");
    assert_refused(&text, "\"docker.service\"", "goes with backend = \"systemd\" only");
    let text = supervised("[docker]\nunit = \"docker\"\n");
    assert_refused(&text, "\"docker\"", "cannot name a service of systemd");
    assert_refused(&supervised("backend = \"runit\"\n"), "\"runit\"", "cannot be \"runit\"");
}

#[test]
fn wrong_values_of_etcd() {
    let refused = |keys: &str, at: &str, rule: &str| {
        assert_refused(&supervised(&format!("{ETCD}{keys}\n")), at, rule);
    };
    refused("client_port = 0", "0", "port 0 is out of range");
    refused("peer_port = 2379", "2379", "port 2379 is that of client_port too");
    refused("metrics_port = 6443", "6443", "that of the API servers too");
    refused("election_timeout = \"400ms\"", "\"400ms\"", "5 heartbeat intervals at least");
    refused("heartbeat_interval = \"1ms\"", "\"1ms\"", "out of range");
    refused("quota_mib = 1", "1", "a quota of 1 MiB is out of range");
    refused("snapshots_kept = 0", "0", "out of range");
    refused("snapshot_interval = \"1s\"", "\"1s\"", "out of range");
    refused("degrades = [\"apisrv\"]", "\"apisrv\"", "no virtual router is named");
    let untagged = supervised("[etcd]\nimage = \"localhost:5000/etcd\"\n");
    assert_refused(&untagged, "\"localhost:5000/etcd\"", "has no tag");
    let wrong = supervised("[etcd]\nimage = \"etcd v3\"\n");
    assert_refused(&wrong, "\"etcd v3\"", "cannot name an image");
}

#[test]
fn snapshots_are_scheduled_where_an_interval_is_given() {
    let interval = |keys: &str| {
        on(&supervised(&format!("{ETCD}{keys}\n")), "m1").etcd.unwrap().snapshots.interval
    };
    assert_eq!(interval(""), None);
    assert_eq!(interval("snapshot_interval = \"off\""), None);
    assert_eq!(interval("snapshot_interval = \"360m\"").unwrap().as_secs(), 21_600);
}

#[test]
fn kubelet_needs_a_version_and_a_runtime_that_it_has() {
    let found = on(&supervised(KUBELET), "w1").kubelet.unwrap();
    assert_eq!(found.version.to_string(), "v1.33.4");
    assert_eq!(found.runtime, Runtime::Auto);
    assert_eq!(found.service, Service::Systemd { unit: "kubelet.service".to_owned() });
    assert_refused(&supervised("[kubelet]\n"), "[kubelet]", "needs the version of Kubernetes");
    let text = supervised(&format!("{KUBELET}runtime = \"dockershim\"\n"));
    assert_refused(&text, "\"dockershim\"", "1.23 was the last");
    for wrong in ["1.33", "v1.19.0", "v2.0.0", "latest"] {
        let text = supervised(&format!("[kubernetes]\nversion = \"{wrong}\"\n"));
        assert_refused(&text, &format!("\"{wrong}\""), wrong);
    }
}

#[test]
fn names_of_certificates() {
    let text = supervised("[certs]\nextra_sans = [\"api.example.org\", \"192.0.2.1\"]\n");
    assert_eq!(on(&text, "m1").pki.extra_sans, ["api.example.org", "192.0.2.1"]);
    let wrong = supervised("[certs]\nextra_sans = [\"a b\"]\n");
    assert_refused(&wrong, "\"a b\"", "is no name or address");
}

#[test]
fn etcd_brings_a_check_to_the_virtual_routers_that_it_degrades() {
    let checks = |text: &str| for_node(text, "m1").virtual_routers.remove(0).checks;
    assert_eq!(checks(&supervised(ETCD)), ["etcd"]);
    assert!(checks(&supervised(&format!("{ETCD}degrades = []\n"))).is_empty());
    assert!(checks(&supervised("")).is_empty());
    // Nobody would take over from a sick Active.
    let never = router(&[("preempt", "\"never\"")]);
    let text = file_with(&format!("{never}[supervisor]\n{ETCD}"));
    assert!(checks(&text).is_empty());
    let taken = supervised(&format!("{ETCD}[[check]]\nname = \"etcd\"\nprocess = \"etcd\"\n"));
    assert_refused(&taken, "\"etcd\"", "the check that comes with [etcd]");
}
