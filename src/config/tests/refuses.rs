//! What a file must not say, beyond single values and priorities.

use super::*;

/// A second virtual router beside the usual one.
fn two(keys: &[(&str, &str)]) -> String {
    let mut all = vec![("name", "\"b\""), ("vrid", "52"), ("addresses", "[\"10.0.0.9\"]")];
    all.retain(|(key, _)| keys.iter().all(|(own, _)| own != key));
    all.extend(keys);
    file_with(&(router(&[]) + &router(&all)))
}

#[test]
fn mixed_families() {
    let text = file(&[("addresses", "[\"10.0.0.10\", \"fd00::a\"]")]);
    assert_refused(&text, "\"fd00::a\"", "addresses of one family: 10.0.0.10 and fd00::a differ");
}

#[test]
fn no_address_or_too_many_or_one_twice() {
    assert_refused(&file(&[("addresses", "[]")]), "[]", "at least one address");
    let text = file(&[("addresses", "[\"10.0.0.10\", \"10.0.0.10\"]")]);
    assert_refused(&text, "\"10.0.0.10\"", "10.0.0.10 is listed twice");
    let many: Vec<_> = (0..256).map(|i| format!("\"10.1.0.{i}\"")).collect();
    let text = file(&[("addresses", &format!("[{}]", many.join(",")))]);
    assert!(error(&text).contains("at most 255 addresses, not 256"));
}

#[test]
fn a_virtual_address_that_is_a_nodes_own() {
    for node in ["10.0.0.12", "10.0.0.21"] {
        let text = file(&[("addresses", &format!("[\"{node}\"]"))]);
        assert_refused(&text, &format!("\"{node}\""), "is an address of the node");
    }
}

#[test]
fn the_same_virtual_address_in_two_virtual_routers() {
    let text = two(&[("addresses", "[\"10.0.0.10\"]")]);
    assert_refused(&text, "\"10.0.0.10\"", "an address of the virtual router apiserver too");
}

#[test]
fn the_same_vrid_twice_on_one_interface() {
    let text = two(&[("vrid", "51")]);
    assert_refused(&text, "51", "VRID 51 is that of apiserver too, with IPv4 on eno1 of m1");
    // On m2 alone, by its own interface.
    let eno2 = two(&[("vrid", "51"), ("interface", "\"eno2\"")]);
    let text = eno2.replace("[\"10.0.0.12\"]", "[\"10.0.0.12\"]\ninterface = \"bond0\"");
    assert_refused(&text, "51", "with IPv4 on bond0 of m2");
}

#[test]
fn names_and_addresses_twice() {
    assert_refused(&two(&[("name", "\"apiserver\"")]), "\"apiserver\"", "another virtual router");
    let text = file(&[]).replace("\"w1\"", "\"m2\"");
    assert_refused(&text, "\"m2\"", "another node is named `m2` too");
    let text = file(&[]).replace("10.0.0.21", "10.0.0.12");
    assert_refused(&text, "\"10.0.0.12\"", "listed twice: for m2 and for w1");
}

#[test]
fn a_node_without_an_address() {
    let text = file(&[]).replace("[\"10.0.0.21\"]", "[]");
    assert_refused(&text, "[]", "a node has at least one address");
}

#[test]
fn virtual_routers_without_a_master() {
    let text = format!("{CLUSTER}{}{}", node("w1", "worker", 21), router(&[]));
    assert_refused(&text, "\"apiserver\"", "no [[node]] is a master");
}

#[test]
fn a_nodes_interface_without_use() {
    let text = file(&[]).replace("[\"10.0.0.21\"]", "[\"10.0.0.21\"]\ninterface = \"bond0\"");
    assert_refused(&text, "\"w1\"", "w1 is a worker");
    let own = "[\"10.0.0.12\"]\ninterface = { apiservr = \"bond0\" }";
    let text = file(&[]).replace("[\"10.0.0.12\"]", own);
    assert_refused(&text, "apiservr", "no virtual router is named `apiservr`");
}

#[test]
fn an_ipv6_virtual_router_whose_first_address_is_not_link_local() {
    // RFC 9568, 5.2.9.
    let text = file(&[("addresses", "[\"fd00::a\", \"fe80::a\"]")]);
    assert_refused(&text, "\"fd00::a\"", "link-local");
}

#[test]
fn a_checksum_form_for_ipv6() {
    let addresses = ("addresses", "[\"fe80::a\"]");
    let text = file(&[addresses, ("checksum", "\"rfc9568\"")]);
    assert_refused(&text, "\"rfc9568\"", "IPv6 has only one form");
}

#[test]
fn never_with_checks_but_without_release() {
    let check = "[[check]]\nname = \"c\"\nprocess = \"x\"\n";
    let never = ("preempt", "\"never\"");
    let text = file(&[never, ("checks", "[\"c\"]")]) + check;
    assert_refused(&text, "[\"c\"]", "nobody would take over");
    let keys = [never, ("checks", "[\"c\"]"), ("on_degraded", "\"release\"")];
    parse_all(&(file(&keys) + check)).unwrap();
}

#[test]
fn a_check_that_does_not_exist_or_looks_at_several_things() {
    let check = |keys: &str| format!("{}[[check]]\nname = \"ready\"\n{keys}", file(&[]));
    let text =
        check("tcp = \"[::1]:6443\"\n").replace("[[check]]", "checks = [\"redy\"]\n[[check]]");
    assert_refused(&text, "\"redy\"", "no check is named `redy`");
    assert_refused(&check(""), "[[check]]", "a check looks at one thing, not 0");
    let text = check("process = \"x\"\ninterface = \"eno1\"\n");
    assert_refused(&text, "[[check]]", "a check looks at one thing, not 2");
}

#[test]
fn wrong_values_in_a_check() {
    let refused = |keys: &str, at: &str, rule: &str| {
        assert_refused(&format!("{}[[check]]\nname = \"c\"\n{keys}\n", file(&[])), at, rule);
    };
    refused("https = \"http://x\"", "\"http://x\"", "not a URL");
    for url in [
        "https://",
        "https://h:0/",
        "https://h:/",
        "https://h:70000",
        "https://a@h/x",
        "https://h/x#y",
        "https://h/ x",
        "https://[::g]/",
        "https://-h/",
        "h",
        "https:/h",
        "ftp://h",
    ] {
        refused(&format!("https = {url:?}"), &format!("{url:?}"), "not a URL");
    }
    for target in ["localhost", "h:0", ":1", "::1:80", "[::1]", "[h]:1", "h:x", "a b:1", "h:65536"]
    {
        refused(&format!("tcp = {target:?}"), &format!("{target:?}"), "not a host and a port");
    }
    let https = "https = \"https://h/\"\n";
    refused(&format!("{https}ca = \"ca\""), "\"ca\"", "not an absolute path");
    refused(&format!("{https}cert = \"/c\""), "\"/c\"", "cert and key go together");
    refused(&format!("{https}key = \"/k\""), "\"/k\"", "cert and key go together");
    refused(&format!("{https}server_name = \"a b\""), "\"a b\"", "no name that a certificate");
    let exec = "exec = [\"/bin/true\"]\n";
    refused(&format!("{exec}user = \"a b\""), "\"a b\"", "cannot name a user");
    refused(&format!("{exec}env = {{ \"a=b\" = \"c\" }}"), "\"a=b\"", "environment variable");
    refused("exec = [\"/x\", \"a\\u0000\"]", "\"a\\u0000\"", "zero byte");
    refused("process = \"x\"\nfall = 5\nholder_fall = 4", "4", "sooner than at the 5 failures");
    refused("exec = []", "[]", "there is no program");
    refused("exec = [\"true\"]", "\"true\"", "not an absolute path");
    for key in ["ca", "cert", "key", "server_name"] {
        refused(&format!("process = \"x\"\n{key} = \"/a\""), "\"/a\"", "goes with https only");
    }
    refused("process = \"x\"\nuser = \"a\"", "\"a\"", "user goes with exec only");
    refused("process = \"x\"\nenv = {}", "{}", "env goes with exec only");
    refused("process = \"x\"\nfall = 0", "0", "out of range");
    refused("process = \"x\"\ntimeout = \"1ms\"", "\"1ms\"", "out of range");
}

#[test]
fn the_same_link_local_address_twice_on_one_interface() {
    let a = router(&[("addresses", "[\"fe80::a\", \"fd00::a\"]")]);
    let b = [("name", "\"b\""), ("vrid", "52"), ("addresses", "[\"fe80::a\", \"fd00::b\"]")];
    let message = "fe80::a is an address of the virtual router apiserver too, on eno1 of m1";
    let other = |interface| [&b[..], &[("interface", interface)]].concat();
    assert_refused(&file_with(&(a.clone() + &router(&b))), "\"fe80::a\"", message);
    // On m2 alone, by its own interface.
    let text = file_with(&(a + &router(&other("\"eno2\""))))
        .replace("[\"10.0.0.12\"]", "[\"10.0.0.12\"]\ninterface = \"bond0\"");
    assert_refused(&text, "\"fe80::a\"", "on bond0 of m2");
}

#[test]
fn more_ipv6_addresses_than_an_advertisement_can_carry() {
    let list = |count| {
        let all: Vec<_> = (0..count).map(|i| format!("\"fe80::{i:x}:a\"")).collect();
        file(&[("addresses", &format!("[{}]", all.join(",")))])
    };
    parse_all(&list(90)).unwrap();
    assert!(error(&list(91)).contains("91 IPv6 addresses does not fit into 1500 bytes"));
}

#[test]
fn an_address_owner_with_checks() {
    let check = "[[check]]\nname = \"c\"\nprocess = \"x\"\n";
    let keys =
        [("addresses", "[\"10.0.0.11\"]"), ("priority", "{ m1 = 255 }"), ("checks", "[\"c\"]")];
    assert_refused(&(file(&keys) + check), "255", "m1 cannot give up its own addresses");
}

#[test]
fn unicast_without_anybody_to_hear_it() {
    let single = |keys: &[(&str, &str)]| {
        let keys = [&[("transport", "\"unicast\"")], keys].concat();
        [CLUSTER, &node("m1", "master", 11), &router(&keys)].concat()
    };
    assert_refused(&single(&[]), "\"unicast\"", "nobody would hear m1: it has no peer");
    let alone = [("peers", "[\"10.0.0.11\"]")];
    assert_refused(&single(&alone), "[\"10.0.0.11\"]", "nobody would hear m1");
    assert_refused(&single(&[("peers", "[]")]), "[]", "nobody would hear m1");
}

#[test]
fn peers_that_cannot_be_peers() {
    let refused = |peers: &str, at: &str, rule: &str| {
        assert_refused(&file(&[("transport", "\"unicast\""), ("peers", peers)]), at, rule);
    };
    let peers = |more: &str| format!("[\"10.0.0.11\", \"10.0.0.12\", {more}]");
    refused(&peers("\"fd00::9\""), "\"fd00::9\"", "not of the virtual router's family, IPv4");
    refused(&peers("\"10.0.0.12\""), "\"10.0.0.12\"", "listed twice");
    refused(&peers("\"10.0.0.10\""), "\"10.0.0.10\"", "is a virtual address");
    let twice = file(&[
        ("transport", "\"unicast\""),
        ("peers", "[\"10.0.0.11\", \"10.0.0.12\", \"10.0.0.112\"]"),
    ]);
    let twice = twice.replace("= [\"10.0.0.12\"]", "= [\"10.0.0.12\", \"10.0.0.112\"]");
    assert_refused(&twice, "\"10.0.0.112\"", "m2 is listed among the peers twice");
}

#[test]
fn peers_without_unicast_and_masters_without_an_address_of_the_family() {
    let text = file(&[("peers", "[\"10.0.0.12\"]")]);
    assert_refused(&text, "[\"10.0.0.12\"]", "peers go with transport = \"unicast\" only");
    let text = file(&[("transport", "\"unicast\""), ("addresses", "[\"fe80::a\"]")])
        .replace("[\"10.0.0.12\"]", "[\"10.0.0.12\", \"fd00::12\"]");
    assert_refused(&text, "\"m1\"", "m1 has no IPv6 address");
}

#[test]
fn what_this_version_cannot_do() {
    let refused = |text: &str, what: &str| {
        let error = error(text);
        let message = format!(": {what} is not supported by this version of mainstay\n");
        assert!(error.contains(&message) && error.matches("f.toml:").count() == 1, "{error}");
    };
    refused(&format!("{}[kube_proxy]\nx = 1\n", file(&[])), "[kube_proxy]");
}
