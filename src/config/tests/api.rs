//! `[api]`.

use super::*;

fn api(lines: &str) -> String {
    file(&[]) + "[api]\n" + lines
}

fn metrics(lines: &str) -> Option<String> {
    let config = parse(&api(lines), "f.toml").unwrap_or_else(|error| panic!("{error}"));
    config.metrics.map(|address| address.to_string())
}

#[test]
fn metrics_are_served_on_a_loopback_address_or_not_at_all() {
    assert_eq!(metrics(""), None);
    assert_eq!(parse(&file(&[]), "f.toml").unwrap().metrics, None);
    for address in ["127.0.0.1:9112", "127.9.8.7:1", "[::1]:65535"] {
        assert_eq!(metrics(&format!("metrics = \"{address}\"")).as_deref(), Some(address));
    }
}

#[test]
fn metrics_are_public_only_where_the_file_says_so_twice() {
    for address in ["0.0.0.0:9112", "10.0.0.11:9112", "[::]:9112", "[::ffff:10.0.0.11]:9112"] {
        let line = format!("metrics = \"{address}\"");
        assert_refused(&api(&line), &format!("\"{address}\""), "not of the loopback interface");
        let refused = error(&api(&line));
        assert!(refused.contains("add `metrics_public = true`"), "{refused}");
        let line = format!("{line}\nmetrics_public = false");
        assert_refused(&api(&line), &format!("\"{address}\""), "not of the loopback interface");
        let line = line.replace("false", "true");
        assert_eq!(metrics(&line).as_deref(), Some(address));
    }
    assert_eq!(metrics("metrics_public = true"), None);
}

#[test]
fn metrics_need_an_address_and_a_port() {
    for (wrong, rule) in [
        ("9112", "not an address with a port"),
        ("127.0.0.1", "not an address with a port"),
        ("localhost:9112", "not an address with a port"),
        ("::1:9112x", "not an address with a port"),
        ("127.0.0.1:0", "port 0"),
        ("127.0.0.1:70000", "not an address with a port"),
        ("224.0.0.18:9112", "multicast"),
    ] {
        let text = api(&format!("metrics = \"{wrong}\""));
        assert_refused(&text, &format!("\"{wrong}\""), rule);
    }
}

#[test]
fn metrics_are_not_served_on_a_virtual_address() {
    let text = api("metrics = \"10.0.0.10:9112\"\nmetrics_public = true");
    assert_refused(&text, "\"10.0.0.10:9112\"", "an address of the virtual router apiserver");
}

#[test]
fn an_unknown_key_is_refused() {
    assert_refused(&api("metric = \"127.0.0.1:9112\""), "metric", "unknown key `metric` in [api]");
}
