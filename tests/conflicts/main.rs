//! Others on the link who are in the way of a virtual router: the operator is told who, by IP and
//! Ethernet address, and no state changes but those that RFC 9568 asks for.
//!
//! One daemon at one end of a cable, raw frames from the other.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod adverts;
mod claims;
mod metrics;
#[path = "../rig/mod.rs"]
mod rig;

use std::net::IpAddr;

use lab::MacAddr;
use lab::inject::AdvertFrame;
use rig::{Feed, Rig, poll};
use serde_json::Value;

/// A host that is neither the daemon's nor another router.
const STRANGER: MacAddr = MacAddr(2, 0x51, 0, 0, 0, 0x99);

/// All that was told so far.
fn events(rig: &Rig) -> Vec<Value> {
    let ran = rig.mainstay(&["events", "-o", "json"]).output().unwrap();
    let text = String::from_utf8(ran.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn with_code(rig: &Rig, code: &str) -> Vec<Value> {
    events(rig).into_iter().filter(|event| event["code"] == code).collect()
}

/// The conflicts of one kind that were told so far.
fn told(rig: &Rig, kind: &str) -> Vec<Value> {
    let all = with_code(rig, "conflict").into_iter();
    all.filter(|event| event["detail"]["conflict"] == kind).collect()
}

/// Waits until a conflict of this kind is told; what it says.
#[track_caller]
fn conflict(rig: &Rig, kind: &str) -> Value {
    poll(&format!("the conflict {kind}"), || told(rig, kind).pop())
}

/// Waits until the status has a conflict of this kind.
#[track_caller]
fn shown(rig: &Rig, kind: &str) -> Value {
    let of_kind = |router: &Value| {
        let all = router["conflicts"].as_array().cloned().unwrap_or_default();
        all.into_iter().find(|conflict| conflict["kind"] == kind)
    };
    let router = rig.until(kind, |router| of_kind(router).is_some());
    of_kind(&router).unwrap()
}

/// Event and status name these.
#[track_caller]
fn names(rig: &Rig, kind: &str, source: IpAddr, mac: MacAddr) -> Value {
    let event = conflict(rig, kind);
    let status = shown(rig, kind);
    for named in [&event["detail"], &status] {
        assert_eq!(named["source"], source.to_string(), "{named}");
        assert_eq!(named["mac"], mac.to_string(), "{named}");
    }
    let text = rig.mainstay(&["status"]).output().unwrap().stdout;
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains(&format!("{source} at {mac}")), "{text}");
    event["detail"].clone()
}

/// How often the daemon's virtual router has changed its state.
fn transitions(rig: &Rig) -> usize {
    with_code(rig, "transition").len()
}

/// Sends an advert each interval of the daemon's.
fn feed(rig: &Rig, frame: &AdvertFrame) -> Feed {
    rig.feed(std::slice::from_ref(frame), rig.setup.interval())
}
