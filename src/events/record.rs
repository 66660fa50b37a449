//! What is remembered of an event.

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::timestamp::Timestamp;

/// Something that happened, as `events` prints it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Rises by one with each event. A daemon begins with the milliseconds since 1970, so that
    /// its numbers are above those of the daemon before it.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// The same moment in nanoseconds on `CLOCK_MONOTONIC`, which no correction of the time moves
    /// and which starts anew with each boot; 0 if it is not known.
    #[serde(default)]
    pub monotonic: u64,
    /// To which virtual router; absent if to an interface or a process.
    pub router: Option<String>,
    /// What, for programs.
    pub code: String,
    /// What, in words.
    pub what: String,
    /// Why, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What led to it, the nearest cause first; of a change of state at least the one that
    /// [`Record::why`] names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<CauseLink>,
    /// The rest, for programs.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub detail: serde_json::Value,
}

/// One link of the chain of causes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CauseLink {
    /// When it happened.
    pub at: Timestamp,
    /// What, in words.
    pub what: String,
}

/// A record that has no number yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// The same moment on `CLOCK_MONOTONIC`, in nanoseconds.
    pub monotonic: u64,
    /// To which virtual router.
    pub router: Option<String>,
    /// What, for programs.
    pub code: String,
    /// What, in words.
    pub what: String,
    /// Why, in words.
    pub why: Option<String>,
    /// The rest, for programs.
    pub detail: serde_json::Value,
}

impl Entry {
    /// Something that happens to the daemon now.
    pub fn now(code: &str, what: impl Into<String>) -> Self {
        Self {
            at: Timestamp::now(),
            monotonic: monotonic(),
            router: None,
            code: code.to_owned(),
            what: what.into(),
            why: None,
            detail: serde_json::Value::Null,
        }
    }

    /// Adds the reason.
    pub fn because(self, why: impl Into<String>) -> Self {
        Self { why: Some(why.into()), ..self }
    }

    /// Adds the virtual router.
    pub fn of(self, router: &str) -> Self {
        Self { router: Some(router.to_owned()), ..self }
    }

    /// Adds what programs may want to know.
    pub fn with(self, detail: serde_json::Value) -> Self {
        Self { detail, ..self }
    }

    /// Whether an operator may have to act, or something did not work.
    pub fn is_alarming(&self) -> bool {
        matches!(
            self.code.as_str(),
            "vrrp_killed"
                | "vrrp_frozen"
                | "vrrp_retry"
                | "vrrp_foreign"
                | "state_corrupt"
                | "state_unwritable"
                | "reload_failed"
                | "fence_failed"
                | "host_problem"
                | "install_failed"
                | "withdraw_failed"
                | "announce_failed"
                | "send_failed"
                | "address_lost"
                | "interface_down"
                | "rival"
                | "stalled"
                | "check_sick"
                | "check_warning"
                | "drain_refused"
                | "conflict"
                | "events_lost"
                | "unit_ended"
                | "unit_unready"
                | "unit_crash_loop"
                | "unit_failed"
                | "unit_drift"
                | "unit_warning"
                | "etcd_snapshot_failed"
        )
    }
}

impl Record {
    /// Which of the events this is that tell where a virtual router's addresses went, or why.
    pub fn landmark(&self) -> Option<&'static str> {
        let is_active = |key| self.detail.get(key).and_then(Value::as_str) == Some("Active");
        match self.code.as_str() {
            "transition" if is_active("from") => Some("left"),
            "transition" if is_active("to") => Some("taken"),
            "fenced" => Some("fenced"),
            "priority" => Some("priority"),
            "check_sick" => Some("check_sick"),
            // Not heard before.
            "active_priority" if self.detail.get("from").is_none_or(Value::is_null) => {
                Some("heard")
            }
            "active_released" => Some("released"),
            _ => None,
        }
    }

    /// Whether it is about a virtual router: that one alone, or a check that it needs.
    pub fn concerns(&self, router: &str) -> bool {
        let checked = self.detail.get("virtual_routers").and_then(Value::as_array);
        self.router.as_deref() == Some(router)
            || checked.is_some_and(|it| it.iter().any(|it| it.as_str() == Some(router)))
    }

    /// What and why.
    pub fn account(&self) -> String {
        match &self.why {
            Some(why) => format!("{}: {why}", self.what),
            None => self.what.clone(),
        }
    }

    /// To whom, what and why.
    pub fn sentence(&self) -> String {
        let router = self.router.as_deref().map(|name| format!("{name}: ")).unwrap_or_default();
        format!("{router}{}", self.account())
    }

    /// One line: when, to whom, what and why.
    pub fn line(&self) -> String {
        let router = self.router.as_deref().unwrap_or("-");
        format!("{}  {router:<12}  {}", self.at, self.account())
    }
}

/// The time on `CLOCK_MONOTONIC`, in nanoseconds.
fn monotonic() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    let nanos = u64::try_from(now.tv_nsec).unwrap_or_default();
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_when_who_what_why() {
        let at = Timestamp::from_unix_nanos(1_700_000_000_123_000_000);
        let record = Record {
            seq: 1,
            at,
            monotonic: 0,
            router: Some("api".to_owned()),
            code: "transition".to_owned(),
            what: "Backup -> Active".to_owned(),
            why: Some("silence".to_owned()),
            causes: Vec::new(),
            detail: serde_json::Value::Null,
        };
        assert_eq!(
            record.line(),
            "2023-11-14T22:13:20.123Z  api           Backup -> Active: silence"
        );
    }

    #[test]
    fn what_an_older_version_wrote_is_read() {
        let line =
            r#"{"seq":7,"at":"2026-01-31T12:00:00.000Z","router":null,"code":"x","what":"y"}"#;
        let record: Result<Record, _> = serde_json::from_str(line);
        assert!(record.is_ok_and(|it| it.monotonic == 0 && it.causes.is_empty()));
    }

    #[test]
    fn the_monotonic_clock_goes_on() {
        let (first, second) = (Entry::now("a", ""), Entry::now("b", ""));
        assert!(0 < first.monotonic && first.monotonic <= second.monotonic);
    }
}
