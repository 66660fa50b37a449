#![allow(clippy::unwrap_used)]

use vrrp::config::{Addresses, Checksum, OnDegraded, Preempt, RouterConfig, Transport};
use vrrp::time::Centis;
use vrrp::{Priority, Vrid};

use super::*;

fn spec() -> RouterSpec {
    RouterSpec {
        name: "apiserver".to_owned(),
        interface: "eth0".to_owned(),
        config: RouterConfig {
            vrid: Vrid::new(51).unwrap(),
            priority: Priority::new(254).unwrap(),
            degraded_priority: Priority::new(126).unwrap(),
            on_degraded: OnDegraded::Advertise,
            preempt: Preempt::DegradedOnly,
            interval: Centis::DEFAULT,
            addresses: Addresses::new(vec!["10.0.0.10".parse().unwrap()]).unwrap(),
            lease: None,
            checksum: Checksum::Auto,
            virtual_mac: false,
        },
        transport: Transport::Multicast,
    }
}

fn status(router: VirtualRouterStatus, attached: bool) -> Status {
    Status {
        version: "1".to_owned(),
        node: "m1".to_owned(),
        role: "master".to_owned(),
        pid: 1,
        config: ConfigStatus { path: "f".into(), error: None },
        vrrp: VrrpStatus { attached, ..VrrpStatus::default() },
        virtual_routers: vec![router],
        ..Status::default()
    }
}

fn router(state: State, installed: bool) -> VirtualRouterStatus {
    let (state, installed) = (Some(state), Some(installed));
    VirtualRouterStatus { state, installed, ..VirtualRouterStatus::absent(&spec(), "x") }
}

#[test]
fn active_with_its_addresses_and_backup_are_well() {
    assert!(status(router(State::Active, true), true).degradations().is_empty());
    assert!(status(router(State::Backup, false), true).degradations().is_empty());
}

#[test]
fn initialize_and_active_without_addresses_and_no_process_are_degraded() {
    assert_eq!(status(router(State::Initialize, false), true).degradations().len(), 1);
    assert_eq!(status(router(State::Active, false), true).degradations().len(), 1);
    assert_eq!(status(router(State::Backup, false), false).degradations().len(), 1);
}

#[test]
fn what_is_not_known_is_said_to_be_unknown() {
    let unknown = status(VirtualRouterStatus::unknown(&spec(), "x"), false);
    let value = serde_json::to_value(&unknown).unwrap();
    let router = &value["virtual_routers"][0];
    assert!(router["state"].is_null() && router["installed"].is_null());
    assert_eq!(unknown.degradations().len(), 2);
}

#[test]
fn a_node_without_virtual_routers_needs_no_vrrp_process() {
    let status =
        Status { virtual_routers: Vec::new(), ..status(router(State::Backup, false), false) };
    assert!(status.degradations().is_empty());
}

#[test]
fn the_names_in_json_are_a_contract() {
    let value = serde_json::to_value(status(router(State::Active, true), true)).unwrap();
    let router = &value["virtual_routers"][0];
    assert_eq!(router["state"], "Active");
    assert_eq!(router["family"], "ipv4");
    assert_eq!(router["interval_ms"], 1000);
    let names: Vec<&String> = router.as_object().unwrap().keys().collect();
    assert_eq!(
        names,
        [
            "active_priority",
            "active_router",
            "addresses",
            "adverts_received",
            "adverts_sent",
            "checks",
            "checksum",
            "conflict_counts",
            "conflicts",
            "effective_priority",
            "eligibility",
            "family",
            "installed",
            "interface",
            "interval_ms",
            "last_transition",
            "lease_age_ms",
            "name",
            "peers",
            "priority",
            "problem",
            "repairs",
            "source",
            "state",
            "transitions",
            "transport",
            "virtual_mac",
            "vrid"
        ]
    );
}

#[test]
fn how_a_virtual_router_travels_and_its_mac_address_are_shown() {
    let peers = vec!["10.0.0.12".parse().unwrap()];
    let transport = Transport::Unicast { peers: peers.clone(), source: None };
    let mut spec = RouterSpec { transport, ..spec() };
    spec.config.virtual_mac = true;
    let shown = VirtualRouterStatus::absent(&spec, "x");
    assert_eq!((shown.transport.as_str(), shown.peers), ("unicast", peers));
    assert_eq!(shown.virtual_mac.as_deref(), Some("00:00:5e:00:01:33"));
}

#[test]
fn a_cause_has_a_name_for_programs() {
    assert_eq!(cause_code(Cause::ActiveDown { last: None }), "active_down");
    assert_eq!(cause_code(Cause::Started), "started");
}

#[test]
fn units_that_are_wanted_and_not_ready_are_degraded() {
    let unit = |name: &str, state: &str| UnitStatus {
        name: name.to_owned(),
        state: state.to_owned(),
        reason: Some("exited with code 1".to_owned()),
        ..UnitStatus::default()
    };
    let mut status = status(router(State::Active, true), true);
    status.units = vec![unit("dockerd", "ready"), unit("etcd", "backoff")];
    assert!(status.degradations().is_empty(), "nobody wants them up");
    status.units_wanted = true;
    assert_eq!(status.degradations(), ["the unit etcd is backoff: exited with code 1"]);
}
