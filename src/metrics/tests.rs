#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;

use super::*;

const ALERTS: &str = include_str!("../../packaging/alerts.yml");

const STATUS: &str = r#"{
    "version": "0.1.0", "node": "m1", "role": "master", "pid": 70,
    "config": {"path": "/etc/mainstay/mainstay.toml"},
    "vrrp": {
        "pid": 71, "version": "0.1.0", "attached": true, "restarts": 2, "events_lost": 3,
        "timer_lateness": {
            "buckets": [{"up_to_us": 50, "count": 7}, {"up_to_us": 1000, "count": 2}],
            "above": 1, "sum_us": 2500
        }
    },
    "virtual_routers": [{
        "name": "apiserver", "vrid": 51, "family": "ipv4", "interface": "eno1",
        "state": "Active", "priority": 254, "effective_priority": 126,
        "addresses": ["10.0.0.10"], "installed": true, "active_router": "10.0.0.11",
        "active_priority": 126, "source": "10.0.0.11", "interval_ms": 100,
        "adverts_sent": 1920, "adverts_received": 7, "repairs": 4, "lease_age_ms": 250,
        "last_transition": {
            "at": "2026-01-31T12:00:00.500Z", "from": "Backup", "to": "Active",
            "cause": "the Active 10.0.0.12 has fallen silent", "cause_code": "active_down"
        },
        "transitions": [
            {"to": "Backup", "cause": "started", "count": 1},
            {"to": "Active", "cause": "active_down", "count": 2}
        ],
        "conflicts": [{
            "kind": "rival", "source": "10.0.0.12", "mac": "02:00:00:00:00:0c",
            "detail": "it loses", "since": "2026-01-31T12:00:00.500Z",
            "last": "2026-01-31T12:00:01.500Z", "count": 9
        }],
        "conflict_counts": {"rival": 9}
    }],
    "checks": [{
        "name": "api", "kind": "https", "target": "https://127.0.0.1:6443/readyz",
        "standing": "healthy", "reason": "it answers", "warning": "it answers 401",
        "since": "2026-01-31T12:00:00.000Z", "last_probe": "2026-01-31T12:00:00.000Z",
        "last_answer": "it answers 401", "holder": true, "flaps": 2,
        "latency": {"connect_us": 150, "tls_us": 1500, "answer_us": 2000, "total_us": 3650},
        "samples": {"pass": 90, "warn": 5, "fail": 4, "refused": 3, "timeout": 2, "discarded": 1},
        "latency_histogram": {"buckets": [1, 2, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 1], "sum_us": 6000000}
    }],
    "dropped": {"eno1": {"ttl": 3, "length": 0}},
    "warnings": ["memory is not locked"]
}"#;

fn rendered() -> String {
    render(serde_json::from_str(STATUS).unwrap())
}

#[track_caller]
fn assert_has(text: &str, line: &str) {
    assert!(text.lines().any(|it| it == line), "no `{line}` in\n{text}");
}

#[test]
fn a_status_is_rendered_with_all_its_numbers() {
    let text = rendered();
    for line in [
        "mainstay_build_info{version=\"0.1.0\",vrrp_version=\"0.1.0\",node=\"m1\",role=\"master\"} 1",
        "mainstay_vrrp_attached{} 1.0",
        "mainstay_vrrp_restarts_total{} 2",
        "mainstay_vrrp_events_lost_total{} 3",
        "mainstay_config_refused{} 0.0",
        "mainstay_warnings{} 1.0",
        "mainstay_virtual_router_info{router=\"apiserver\",vrid=\"51\",family=\"IPv4\",interface=\"eno1\"} 1",
        "mainstay_state{router=\"apiserver\",state=\"Active\"} 1.0",
        "mainstay_state{router=\"apiserver\",state=\"Backup\"} 0.0",
        "mainstay_state{router=\"apiserver\",state=\"Initialize\"} 0.0",
        "mainstay_priority{router=\"apiserver\"} 254.0",
        "mainstay_effective_priority{router=\"apiserver\"} 126.0",
        "mainstay_installed{router=\"apiserver\"} 1.0",
        "mainstay_advert_interval_seconds{router=\"apiserver\"} 0.1",
        "mainstay_lease_age_seconds{router=\"apiserver\"} 0.25",
        "mainstay_last_transition_timestamp_seconds{router=\"apiserver\"} 1769860800.5",
        "mainstay_transitions_total{router=\"apiserver\",to=\"Active\",cause=\"active_down\"} 2",
        "mainstay_adverts_sent_total{router=\"apiserver\"} 1920",
        "mainstay_adverts_received_total{router=\"apiserver\"} 7",
        "mainstay_repairs_total{router=\"apiserver\"} 4",
        "mainstay_conflicts_current{router=\"apiserver\",kind=\"rival\"} 1.0",
        "mainstay_conflicts_total{router=\"apiserver\",kind=\"rival\"} 9",
        "mainstay_conflicts_total{router=\"apiserver\",kind=\"foreign_arp\"} 0",
        "mainstay_drained{router=\"apiserver\"} 0.0",
        "mainstay_check_info{check=\"api\",kind=\"https\",target=\"https://127.0.0.1:6443/readyz\"} 1",
        "mainstay_check_standing{check=\"api\",standing=\"healthy\"} 1.0",
        "mainstay_check_standing{check=\"api\",standing=\"sick\"} 0.0",
        "mainstay_check_warning{check=\"api\"} 1.0",
        "mainstay_check_flaps{check=\"api\"} 2.0",
        "mainstay_check_probes_total{check=\"api\",outcome=\"refused\"} 3",
        "mainstay_check_last_latency_seconds{check=\"api\",phase=\"tls\"} 0.0015",
        "mainstay_check_latency_seconds_sum{check=\"api\"} 6.0",
        "mainstay_check_latency_seconds_count{check=\"api\"} 7",
        "mainstay_check_latency_seconds_bucket{le=\"0.001\",check=\"api\"} 3",
        "mainstay_check_latency_seconds_bucket{le=\"+Inf\",check=\"api\"} 7",
        "mainstay_packets_dropped_total{interface=\"eno1\",reason=\"ttl\"} 3",
        "# EOF",
    ] {
        assert_has(&text, line);
    }
}

/// The buckets of a histogram are each within the next.
#[test]
fn the_histogram_is_cumulative_and_in_seconds() {
    let text = rendered();
    let lines: Vec<&str> =
        text.lines().filter(|it| it.starts_with("mainstay_timer_lateness_seconds_")).collect();
    assert_eq!(
        lines,
        [
            "mainstay_timer_lateness_seconds_sum{} 0.0025",
            "mainstay_timer_lateness_seconds_count{} 10",
            "mainstay_timer_lateness_seconds_bucket{le=\"0.00005\"} 7",
            "mainstay_timer_lateness_seconds_bucket{le=\"0.001\"} 9",
            "mainstay_timer_lateness_seconds_bucket{le=\"+Inf\"} 10",
        ]
    );
}

#[test]
fn what_is_not_known_is_left_out() {
    let mut status: Status = serde_json::from_str(STATUS).unwrap();
    let router = status.virtual_routers.first_mut().unwrap();
    (router.state, router.installed, router.lease_age_ms) = (None, None, None);
    router.last_transition = None;
    let text = render(status);
    assert_has(&text, "mainstay_state{router=\"apiserver\",state=\"Active\"} 0.0");
    for absent in ["mainstay_installed{", "lease_age_seconds{", "transition_timestamp_seconds{"] {
        assert!(!text.contains(absent), "{text}");
    }
}

#[test]
fn each_family_is_described_once() {
    let text = rendered();
    let described: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    let distinct: BTreeSet<&str> = described.iter().copied().collect();
    assert_eq!(described.len(), distinct.len(), "{described:#?}");
    assert!(text.lines().all(|line| line.starts_with("# ") || line.starts_with("mainstay_")));
}

/// A label's value is quoted as the format asks, whatever a name or an interface is called.
#[test]
fn names_are_escaped() {
    let mut status: Status = serde_json::from_str(STATUS).unwrap();
    status.virtual_routers.first_mut().unwrap().interface = "a\"b\\c".to_owned();
    assert!(render(status).contains(r#"interface="a\"b\\c""#));
}

/// Words such as `mainstay_state` in an expression.
fn metrics_in(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with("mainstay_")).collect()
}

#[test]
fn the_alert_rules_ask_for_metrics_that_there_are() {
    let text = rendered();
    let rendered: BTreeSet<&str> = text.lines().filter(|it| !it.starts_with('#')).collect();
    let names: BTreeSet<&str> =
        rendered.iter().filter_map(|line| line.split(['{', ' ']).next()).collect();
    let asked = metrics_in(ALERTS);
    let missing: Vec<_> = asked.difference(&names).collect();
    assert!(missing.is_empty() && asked.len() > 10, "no such metrics: {missing:?}");
}

#[test]
fn the_alert_rules_name_states_and_kinds_that_there_are() {
    let text = rendered();
    for (label, values) in ALERTS.split("kind=~\"").skip(1).map(|it| ("kind", it)) {
        for value in values.split('"').next().unwrap().split('|') {
            assert!(text.contains(&format!("{label}=\"{value}\"")), "{label}={value}");
        }
    }
    for state in ALERTS.split("state=\"").skip(1).filter_map(|it| it.split('"').next()) {
        assert!(text.contains(&format!("state=\"{state}\"")), "{state}");
    }
}
