//! The chain of causes: what led to an event, found among the events before it.
//!
//! Pure. Each record keeps its own chain, so that the cause of a cause need not be looked for
//! again, and a chain outlives the records that it was made of.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use serde_json::Value;
use vrrp::proto::EventKind;
use vrrp::router::{Cause, Report};
use vrrp::{Priority, time};

use super::{CauseLink, Entry, Landmarks, Record};

/// No chain is longer.
const LONGEST: usize = 8;
/// What follows a cause at once does so within this time, on a machine that is very busy.
const AT_ONCE: Duration = Duration::from_secs(10);
/// A verdict is told again each 5 seconds and counts for 15.
const VERDICT: Duration = Duration::from_secs(20);
/// A check finds out after a few probes that a unit has ended.
const UNIT: Duration = Duration::from_secs(20);
/// A VRRP process that dies again and again is started again after up to half a minute.
const RESTART: Duration = Duration::from_secs(60);

/// What led to `entry`, the nearest cause first. `records` are the other events in the order in
/// which they came to be known, which need not be that in which they happened; `landmarks` are those
/// that are remembered for longer.
pub fn chain(entry: &Entry, records: &VecDeque<Record>, landmarks: &Landmarks) -> Vec<CauseLink> {
    let mut links = Vec::new();
    if let "transition" | "fenced" = entry.code.as_str()
        && let Some(why) = &entry.why
    {
        links.push(CauseLink { at: entry.at, what: why.clone() });
    }
    let past = Past { entry, records, landmarks };
    match past.cause() {
        Some(Found::Record(record)) => {
            links.push(CauseLink { at: record.at, what: record.account() });
            // Its first cause is its reason, which the sentence has said.
            let said = usize::from(record.code == "transition" || record.code == "fenced");
            links.extend(record.causes.iter().skip(said).cloned());
        }
        Some(Found::Silence(what)) => links.push(CauseLink { at: entry.at, what }),
        None => {}
    }
    links.truncate(LONGEST);
    links
}

enum Found<'a> {
    /// An earlier event.
    Record(&'a Record),
    /// Something that did not happen.
    Silence(String),
}

/// The events before one.
struct Past<'a> {
    entry: &'a Entry,
    records: &'a VecDeque<Record>,
    landmarks: &'a Landmarks,
}

impl<'a> Past<'a> {
    fn cause(&self) -> Option<Found<'a>> {
        let kind = serde_json::from_value(self.entry.detail.clone()).ok();
        let found = match (self.entry.code.as_str(), kind) {
            (_, Some(EventKind::Router(Report::Transition { cause, .. }))) => self.of_state(cause),
            (_, Some(EventKind::Router(Report::Priority { from, to }))) => {
                return self.of_priority(from, to);
            }
            ("vrrp_started", _) => self.nearest(RESTART, |it| {
                matches!(it.code.as_str(), "vrrp_retry" | "daemon_started" | "reloaded")
            }),
            // The check of etcd is about the unit of that name.
            ("check_sick", _) => self.nearest(UNIT, |it| self.is_of_the_unit(it)),
            ("repaired", _) => self.own(AT_ONCE, |it| it.code == "address_lost"),
            _ => None,
        };
        found.map(Found::Record)
    }

    /// Why the cause of a change of state came to be.
    fn of_state(&self, cause: Cause) -> Option<&'a Record> {
        match cause {
            Cause::Started | Cause::AddressOwner => {
                self.nearest(RESTART, |it| it.code == "vrrp_started" || self.reloads(it, ""))
            }
            Cause::Stopped => {
                self.nearest(RESTART, |it| it.code == "stopping" || self.reloads(it, ""))
            }
            Cause::ActiveDown { last: None } => {
                self.own(Duration::MAX, |it| it.code == "transition")
            }
            Cause::ActiveDown { last: Some(last) } => {
                self.own(AT_ONCE, |it| it.code == "stalled" || is_change_of_active(it, last))
            }
            Cause::ActiveReleased { source } => {
                self.own(RESTART, |it| is_change_of_active(it, source))
            }
            Cause::ActiveDegraded { source, .. } => {
                self.own(Duration::MAX, |it| is_of_active(it, source))
            }
            Cause::Preempts { .. } => {
                self.own(Duration::MAX, |it| matches!(it.code.as_str(), "priority" | "transition"))
            }
            Cause::HigherPriority { .. } => {
                let last = self.own(Duration::MAX, |it| it.code == "priority");
                last.filter(|it| has_fallen(it))
            }
            Cause::InterfaceDown => self.told(AT_ONCE, |it| it.code == "interface_down"),
            Cause::InterfaceUp => self.told(AT_ONCE, |it| it.code == "interface_up"),
            Cause::NotInstalled => self
                .own(AT_ONCE, |it| matches!(it.code.as_str(), "install_failed" | "address_lost")),
            Cause::Retry => self.own(Duration::MAX, |it| it.code == "transition"),
            Cause::Degraded => self.own(VERDICT, lowers),
            Cause::Recovered => self.own(VERDICT, raises),
            Cause::Stalled { .. } | Cause::Superseded { .. } => None,
        }
    }

    fn of_priority(&self, from: Option<Priority>, to: Option<Priority>) -> Option<Found<'a>> {
        let is_change = |it: &Record| self.reloads(it, "priority") || self.reloads(it, "degraded");
        if to >= from {
            // A daemon that comes back brings its checks' verdicts with it.
            let is_raise = |it: &Record| {
                self.is_own(it) && raises(it) || is_change(it) || it.code == "vrrp_adopted"
            };
            return self.nearest(VERDICT, is_raise).map(Found::Record);
        }
        let is_fall = |it: &Record| self.is_own(it) && lowers(it) || is_change(it);
        let verdict = |it: &Record| self.is_own(it) && lowers(it);
        let fall = self.nearest(VERDICT, is_fall);
        if let Some(record) = fall.or_else(|| self.remembered("", VERDICT, verdict)) {
            return Some(Found::Record(record));
        }
        let is_later_start =
            |it: &Record| it.code == "daemon_started" && it.monotonic > self.entry.monotonic;
        self.records.iter().any(is_later_start).then(|| {
            let what = "no daemon was there to renew the verdict of the checks, which counts for \
                        15 seconds";
            Found::Silence(what.to_owned())
        })
    }

    /// The last event before, of this virtual router or of all, that `wanted` accepts.
    fn nearest(&self, window: Duration, wanted: impl Fn(&Record) -> bool) -> Option<&'a Record> {
        self.records.iter().rev().find(|it| self.is_before(it, window) && wanted(it))
    }

    /// The last event told before that `wanted` accepts. Two threads tell of an interface: what led
    /// to the other may bear the later time.
    fn told(&self, window: Duration, wanted: impl Fn(&Record) -> bool) -> Option<&'a Record> {
        let now = time::Instant::from_nanos(self.entry.monotonic);
        self.records.iter().rev().find(|it| {
            let then = time::Instant::from_nanos(it.monotonic);
            now.saturating_since(then).max(then.saturating_since(now)) <= window && wanted(it)
        })
    }

    /// The last event before of this virtual router that `wanted` accepts.
    fn own(&self, window: Duration, wanted: impl Fn(&Record) -> bool) -> Option<&'a Record> {
        let nearest = self.nearest(window, |it| self.is_own(it) && wanted(it));
        nearest.or_else(|| self.remembered(self.entry.router.as_ref()?, window, wanted))
    }

    /// The same among what is remembered of a virtual router, of none if that is empty, in the last
    /// minute: where a thousand move at once, they push each other's events out.
    fn remembered(
        &self,
        router: &str,
        window: Duration,
        wanted: impl Fn(&Record) -> bool,
    ) -> Option<&'a Record> {
        let all = self.landmarks.range((router.to_owned(), "")..);
        let own = all.take_while(|((name, _), _)| name == router).map(|(_, record)| record);
        let fit = own.filter(|it| self.is_before(it, window.min(RESTART)) && wanted(it));
        fit.max_by_key(|it| it.monotonic)
    }

    /// Whether an event happened before, and not too long ago.
    fn is_before(&self, record: &Record, window: Duration) -> bool {
        let now = time::Instant::from_nanos(self.entry.monotonic);
        let then = time::Instant::from_nanos(record.monotonic);
        then <= now && now.saturating_since(then) <= window
    }

    /// Whether an event is bad news of the unit that a check of the same name looks at.
    fn is_of_the_unit(&self, record: &Record) -> bool {
        let is_end = matches!(
            record.code.as_str(),
            "unit_ended" | "unit_unready" | "unit_crash_loop" | "unit_failed" | "unit_stopping"
        );
        let check = self.entry.detail.get("check");
        is_end && check.is_some() && record.detail.get("unit") == check
    }

    /// Whether an event concerns this virtual router.
    fn is_own(&self, record: &Record) -> bool {
        let Some(router) = &self.entry.router else { return false };
        if record.router.is_some() {
            return record.router == self.entry.router;
        }
        match record.detail.get("virtual_routers").and_then(Value::as_array) {
            Some(routers) => routers.iter().any(|it| it.as_str() == Some(router)),
            // A stop of the daemon concerns them all.
            None => true,
        }
    }

    /// Whether a new configuration changes `what` about this virtual router.
    fn reloads(&self, record: &Record, what: &str) -> bool {
        let change = self.entry.router.as_ref().map(|router| format!("{router}: {what}"));
        record.code == "reloaded"
            && record
                .why
                .as_ref()
                .zip(change)
                .is_some_and(|(why, change)| why.split("; ").any(|it| it.starts_with(&change)))
    }
}

fn lowers(record: &Record) -> bool {
    matches!(record.code.as_str(), "check_sick" | "draining" | "drained")
}

fn raises(record: &Record) -> bool {
    matches!(record.code.as_str(), "check_healthy" | "undrained" | "drain_refused")
}

fn is_of_active(record: &Record, source: IpAddr) -> bool {
    let code = record.code.as_str();
    let theirs = record.detail.get("source").and_then(Value::as_str);
    matches!(code, "active_priority" | "active_released")
        && theirs.and_then(|it| it.parse().ok()) == Some(source)
}

/// Whether the Active told of another priority than before: that it was heard at all, or gave up, is
/// no news of its own.
fn is_change_of_active(record: &Record, source: IpAddr) -> bool {
    let before = record.detail.get("from");
    before.is_some_and(|it| !it.is_null()) && is_of_active(record, source)
}

fn has_fallen(record: &Record) -> bool {
    let number = |key| record.detail.get(key).and_then(Value::as_u64).unwrap_or_default();
    number("to") < number("from")
}

#[cfg(test)]
#[path = "causes_tests.rs"]
mod tests;
