//! What a right file configures.

use std::net::IpAddr;
use std::time::Duration;

use vrrp::Family;
use vrrp::config::{Checksum, OnDegraded, Preempt, Transport};
use vrrp::time::Centis;

use super::super::{Command, Endpoint, Identity, Probe, Tolerance};
use super::super::{NodeName, Role, load};
use super::*;

#[test]
fn the_example_is_valid() {
    let config = parse(EXAMPLE, "mainstay.toml").unwrap_or_else(|error| panic!("{error}"));
    let names: Vec<_> = config.nodes.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["m1", "m2", "m3", "w1"]);
    assert_eq!(config.cluster.name, "prod-a");
}

#[test]
fn what_the_example_comments_out_is_valid_too() {
    let is_key = |line: &str| {
        line.split_once(" = ").is_some_and(|(key, _)| {
            !key.is_empty() && key.chars().all(|c| c.is_ascii_lowercase() || c == '_')
        })
    };
    let enabled = EXAMPLE.lines().map(|line| match line.strip_prefix("# ") {
        // It stands beside another form of the same key.
        Some(key) if key.starts_with("interface") => line,
        Some(key) if is_key(key) => key,
        Some(section) if section.starts_with('[') && section.ends_with(']') => section,
        _ => line,
    });
    let text = enabled.collect::<Vec<_>>().join("\n");
    assert!(text.contains("\ndegraded_priority") && text.contains("\nlease"));
    parse(&text, "mainstay.toml").unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn defaults_are_the_documented_ones() {
    let router = on_m1(&[]);
    assert_eq!(router.name, "apiserver");
    assert_eq!(router.interface, "eno1");
    assert_eq!(router.config.vrid.get(), 51);
    assert_eq!(router.config.interval, Centis::DEFAULT);
    assert_eq!(router.config.preempt, Preempt::DegradedOnly);
    assert_eq!(router.config.on_degraded, OnDegraded::Advertise);
    assert_eq!(router.config.checksum, Checksum::Auto);
    assert_eq!(router.config.lease.map(|lease| lease.as_secs()), Some(3));
    assert_eq!(router.drain_timeout, Duration::from_secs(5));
    assert_eq!(router.transport, Transport::Multicast);
    assert!(!router.config.virtual_mac);
    assert_eq!(parse_all(&file(&[])).unwrap().cluster.api_port, 6443);
}

#[test]
fn each_key_of_a_virtual_router_reaches_the_model() {
    let router = on_m1(&[
        ("vrid", "255"),
        ("addresses", "[\"10.0.0.10\", \"10.0.0.20\"]"),
        ("advert_interval", "\"10ms\""),
        ("preempt", "\"always\""),
        ("on_degraded", "\"release\""),
        ("checksum", "\"pseudo-header\""),
        ("lease", "\"off\""),
        ("drain_timeout", "\"2m\""),
        ("virtual_mac", "true"),
    ]);
    assert_eq!(router.config.vrid.get(), 255);
    assert_eq!(router.config.addresses.to_string(), "10.0.0.10, 10.0.0.20");
    assert_eq!(router.config.interval.get(), 1);
    assert_eq!(router.config.preempt, Preempt::Always);
    assert_eq!(router.config.on_degraded, OnDegraded::Release);
    assert_eq!(router.config.checksum, Checksum::PseudoHeader);
    assert_eq!(router.config.lease, None);
    assert_eq!(router.drain_timeout, Duration::from_secs(120));
    assert!(router.config.virtual_mac);
}

#[test]
fn a_worker_has_no_virtual_routers() {
    let worker = for_node(&file(&[]), "w1");
    assert_eq!(worker.role, Role::Worker);
    assert_eq!(worker.addresses, ["10.0.0.21".parse::<IpAddr>().unwrap()]);
    assert_eq!(worker.virtual_routers, []);
}

#[test]
fn a_node_may_have_its_own_interface() {
    let sections = [router(&[]), router(&[("name", "\"ingress\""), ("vrid", "52")])].concat();
    let sections = sections.replacen("10.0.0.10", "10.0.0.9", 1);
    let interfaces = |own: &str| -> Vec<String> {
        let m2 = format!("{}interface = {own}\n", node("m2", "master", 12));
        let text = [CLUSTER, &node("m1", "master", 11), &m2, &sections].concat();
        let routers = for_node(&text, "m2").virtual_routers.into_iter();
        assert_eq!(for_node(&text, "m1").virtual_routers[1].interface, "eno1");
        routers.map(|router| router.interface).collect()
    };
    assert_eq!(interfaces("\"bond0\""), ["bond0", "bond0"]);
    assert_eq!(interfaces("{ ingress = \"bond1\" }"), ["eno1", "bond1"]);
}

#[test]
fn a_file_without_virtual_routers_is_valid() {
    assert_eq!(for_node(&file_with(""), "m1").virtual_routers, []);
}

#[test]
fn the_same_vrid_in_both_families_is_two_virtual_routers() {
    // RFC 9568, 1.
    let v6 = router(&[("name", "\"v6\""), ("addresses", "[\"fe80::a\", \"fd00::a\"]")]);
    let routers = for_node(&file_with(&(router(&[]) + &v6)), "m1").virtual_routers;
    let families: Vec<_> = routers.iter().map(|router| router.config.family()).collect();
    assert_eq!(families, [Family::Ipv4, Family::Ipv6]);
}

#[test]
fn the_same_vrid_on_two_interfaces_is_two_virtual_routers() {
    let other =
        [("name", "\"other\""), ("interface", "\"eno2\""), ("addresses", "[\"10.9.0.10\"]")];
    assert_eq!(
        for_node(&file_with(&(router(&[]) + &router(&other))), "m1").virtual_routers.len(),
        2
    );
}

/// The peers of m1, and the address by which they know it.
fn unicast(text: &str) -> (Vec<String>, Option<String>) {
    match for_node(text, "m1").virtual_routers.remove(0).transport {
        Transport::Unicast { peers, source } => {
            (peers.iter().map(ToString::to_string).collect(), source.map(|it| it.to_string()))
        }
        Transport::Multicast => panic!("multicast"),
    }
}

fn address(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn unicast_peers_are_the_other_masters() {
    let text = file(&[("transport", "\"unicast\"")]);
    assert_eq!(unicast(&text), (vec!["10.0.0.12".to_owned()], address("10.0.0.11")));
}

#[test]
fn listed_peers_say_also_by_which_address_a_master_is_known() {
    let text = file(&[
        ("transport", "\"unicast\""),
        ("peers", "[\"10.9.0.11\", \"10.9.0.12\", \"10.9.0.99\"]"),
    ])
    .replace("[\"10.0.0.11\"]", "[\"10.0.0.11\", \"10.9.0.11\"]")
    .replace("[\"10.0.0.12\"]", "[\"10.0.0.12\", \"10.9.0.12\"]");
    let peers = ["10.9.0.12", "10.9.0.99"].map(str::to_owned).to_vec();
    assert_eq!(unicast(&text), (peers, address("10.9.0.11")));
}

#[test]
fn a_single_master_may_have_peers_that_the_file_does_not_know() {
    let keys = [("transport", "\"unicast\""), ("peers", "[\"10.0.0.99\"]")];
    let text = [CLUSTER, &node("m1", "master", 11), &router(&keys)].concat();
    assert_eq!(unicast(&text), (vec!["10.0.0.99".to_owned()], None));
}

#[test]
fn a_list_may_have_the_others_only() {
    let text = file(&[("transport", "\"unicast\""), ("peers", "[\"10.0.0.12\", \"10.0.0.99\"]")]);
    let peers = ["10.0.0.12", "10.0.0.99"].map(str::to_owned).to_vec();
    assert_eq!(unicast(&text), (peers, None));
    // For m2 nobody is left of it.
    let text = file(&[("transport", "\"unicast\""), ("peers", "[\"10.0.0.12\"]")]);
    let m2 = for_node(&text, "m2").virtual_routers.remove(0).transport;
    let (peers, source) = (vec!["10.0.0.11".parse().unwrap()], "10.0.0.12".parse().ok());
    assert_eq!(m2, Transport::Unicast { peers, source });
}

#[test]
fn ipv6_unicast_goes_between_link_local_addresses_where_there_are_no_others() {
    let text = file(&[("transport", "\"unicast\""), ("addresses", "[\"fe80::a\", \"fd00::a\"]")])
        .replace("[\"10.0.0.11\"]", "[\"10.0.0.11\", \"fe80::11\"]")
        .replace("[\"10.0.0.12\"]", "[\"fe80::12\"]");
    assert_eq!(unicast(&text), (vec!["fe80::12".to_owned()], address("fe80::11")));
}

#[test]
fn ipv6_unicast_goes_between_addresses_that_are_not_link_local() {
    let text = file(&[("transport", "\"unicast\""), ("addresses", "[\"fe80::a\", \"fd00::a\"]")])
        .replace("[\"10.0.0.11\"]", "[\"10.0.0.11\", \"fe80::11\", \"fd00::11\"]")
        .replace("[\"10.0.0.12\"]", "[\"fd00::12\", \"fd00::112\"]");
    assert_eq!(unicast(&text), (vec!["fd00::12".to_owned()], address("fd00::11")));
}

#[test]
fn the_owner_of_the_addresses_is_known_by_another_one_if_it_has_one() {
    let keys = [
        ("addresses", "[\"10.0.0.11\"]"),
        ("priority", "{ m1 = 255 }"),
        ("transport", "\"unicast\""),
    ];
    assert_eq!(unicast(&file(&keys)).1, address("10.0.0.11"));
    let two = file(&keys).replacen("[\"10.0.0.11\"]", "[\"10.0.0.11\", \"10.0.0.111\"]", 1);
    assert_eq!(unicast(&two).1, address("10.0.0.111"));
}

#[test]
fn a_link_local_address_may_be_virtual_on_each_interface() {
    let keys =
        |name, interface, global| [("name", name), ("interface", interface), ("addresses", global)];
    let routers = [
        router(&keys("\"a\"", "\"eno1\"", "[\"fe80::a\", \"fd00::a\"]")),
        router(&keys("\"b\"", "\"eno2\"", "[\"fe80::a\", \"fd00::b\"]")),
    ];
    assert_eq!(for_node(&file_with(&routers.concat()), "m1").virtual_routers.len(), 2);
}

#[test]
fn a_table_may_be_written_as_a_section_of_its_own() {
    let text = file(&[]) + "[virtual_router.priority]\nm1 = 200\n";
    assert_eq!(for_node(&text, "m1").virtual_routers[0].config.priority.get(), 200);
}

#[test]
fn checks_reach_the_model() {
    let check = "[[check]]\nname = \"apiserver\"\nhttps = \"https://127.0.0.1:6443/readyz\"\n\
                 ca = \"/etc/ca.crt\"\ninterval = \"500ms\"\nfall = 5\nhold_down = \"10s\"\n";
    let config =
        parse_all(&file_with(&(router(&[("checks", "[\"apiserver\"]")]) + check))).unwrap();
    let check = &config.checks[0];
    let Probe::Https(url, tls) = &check.probe else { panic!("{check:?}") };
    assert_eq!(url.to_string(), "https://127.0.0.1:6443/readyz");
    assert_eq!(
        (url.endpoint.to_string().as_str(), url.path.as_str()),
        ("127.0.0.1:6443", "/readyz")
    );
    assert_eq!(tls.ca.as_deref(), Some("/etc/ca.crt".as_ref()));
    assert_eq!((tls.server_name.to_str().as_ref(), &tls.identity), ("127.0.0.1", &None));
    assert_eq!(check.interval, Duration::from_millis(500));
    let tolerance = Tolerance {
        rise: 2,
        fall: 5,
        holder_fall: 5,
        timeout_fall: 5,
        hold_down: Duration::from_secs(10),
    };
    assert_eq!(check.tolerance, tolerance);
    assert_eq!(config.nodes[0].virtual_routers[0].checks, ["apiserver"]);
}

/// What the check with these keys looks at.
fn probe(keys: &str) -> Probe {
    let text = file(&[]) + &format!("[[check]]\nname = \"c\"\n{keys}\n");
    let mut config = parse_all(&text).unwrap_or_else(|error| panic!("{error}"));
    config.checks.remove(0).probe
}

#[test]
fn urls_and_endpoints_are_taken_apart() {
    let urls = [
        ("http://h", "h", 80, "/"),
        ("http://h:8080/a/b?c=d", "h", 8080, "/a/b?c=d"),
        ("http://[::1]:1/", "::1", 1, "/"),
        ("http://[::1]", "::1", 80, "/"),
    ];
    for (text, host, port, path) in urls {
        let Probe::Http(url) = probe(&format!("http = {text:?}")) else { panic!("{text}") };
        let Endpoint { host: its_host, port: its_port } = &url.endpoint;
        assert_eq!((its_host.as_str(), *its_port, url.path.as_str()), (host, port, path));
        assert_eq!(url.to_string(), text);
    }
    for text in ["127.0.0.1:1", "[fd00::1]:6443", "a.b-c_d:443"] {
        let Probe::Tcp(endpoint) = probe(&format!("tcp = {text:?}")) else { panic!("{text}") };
        assert_eq!(endpoint.to_string(), text);
    }
}

#[test]
fn who_we_are_and_who_the_server_is_can_be_said() {
    let keys = "https = \"https://[::1]:6443/readyz\"\ncert = \"/c\"\nkey = \"/k\"\n";
    let Probe::Https(url, tls) = probe(keys) else { panic!("not https") };
    assert_eq!((url.endpoint.port, tls.server_name.to_str().as_ref()), (6443, "::1"));
    let identity = Identity { cert: "/c".into(), key: "/k".into() };
    assert_eq!((tls.ca, tls.identity), (None, Some(identity)));
    let named = probe(&format!("{keys}server_name = \"kubernetes\""));
    assert!(matches!(named, Probe::Https(_, tls) if tls.server_name.to_str() == "kubernetes"));
}

#[test]
fn a_program_has_arguments_a_user_and_an_environment() {
    let keys = "exec = [\"/bin/a\", \"b c\"]\nuser = \"www-data\"\nenv = { X_1 = \"a = b\" }";
    let command = Command {
        program: "/bin/a".into(),
        arguments: vec!["b c".to_owned()],
        user: Some("www-data".to_owned()),
        env: [("X_1".to_owned(), "a = b".to_owned())].into(),
    };
    assert_eq!(probe(keys), Probe::Exec(command));
}

#[test]
fn a_byte_order_mark_and_crlf_are_no_problem() {
    let text = format!("\u{feff}{}", file(&[]).replace('\n', "\r\n"));
    assert_eq!(parse_all(&text).unwrap(), parse_all(&file(&[])).unwrap());
}

#[test]
fn the_host_name_is_a_node_name_in_lower_case() {
    if let Ok(name) = NodeName::from_host() {
        assert_eq!(name.as_str(), name.as_str().to_lowercase());
    }
}

#[test]
fn load_reads_a_file() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/mainstay.toml");
    assert_eq!(load(path.as_ref()).unwrap().nodes.len(), 4);
}
