//! What happens to units, for the record.

use serde_json::json;
use supervisor::docker::Client;
use supervisor::run::{Event, Happening};
use supervisor::unit::Word;

use crate::events::{Entry, Log};
use crate::timestamp::Timestamp;

/// What is recorded; `None` for what goes without saying.
pub fn entry(event: &Event) -> Option<Entry> {
    let name = event.unit.as_ref().map_or("supervisor", |it| it.as_str());
    let of = |code: &str, what: String| Entry {
        at: Timestamp::from_unix_nanos(event.at_unix_ms.saturating_mul(1_000_000)),
        ..Entry::now(code, what).with(json!({ "unit": name }))
    };
    let entry = match &event.what {
        Happening::State { from, to, reason } => {
            let (code, what) = state(*from, *to)?;
            let entry = of(code, format!("the unit {name} {what}"));
            let entry = entry.with(json!({
                "unit": name, "from": from.as_str(), "to": to.as_str(),
            }));
            return Some(match reason {
                Some(reason) => entry.because(reason),
                None => entry,
            });
        }
        Happening::Adopted { identity } => {
            let entry = of("unit_adopted", format!("the unit {name} was found running"));
            entry.with(json!({ "unit": name, "identity": identity }))
        }
        Happening::Started { identity } => {
            let entry = of("unit_started", format!("the unit {name} was started"));
            entry.with(json!({ "unit": name, "identity": identity }))
        }
        Happening::Drift { reason: Some(reason) } => {
            let what = format!("the unit {name} differs from what the configuration says");
            of("unit_drift", what).because(reason)
        }
        Happening::Drift { reason: None } => {
            of("unit_drift", format!("the unit {name} is as the configuration says"))
        }
        Happening::Left => {
            of("unit_left", format!("the unit {name} is no longer looked after; it runs on"))
        }
        Happening::Warning { reason } => of("unit_warning", format!("{name}: {reason}")),
    };
    Some(entry)
}

/// Whether it tells that a unit does its work.
pub fn is_ready(event: &Event, unit: &str) -> bool {
    let is_of_unit = event.unit.as_ref().is_some_and(|it| it.as_str() == unit);
    is_of_unit && matches!(event.what, Happening::State { to: Word::Ready, .. })
}

/// Records what of dockerd's settings makes units fare worse than they could.
/// `driver` is what kubelet wants containers to be limited by.
pub async fn warn_of_docker(client: &Client, driver: Option<&str>, log: &Log) {
    // It may be gone again; then there will be another time.
    let Ok(info) = client.info().await else { return };
    for warning in info.warnings(driver) {
        let entry = Entry::now("unit_warning", "the unit dockerd could be set up better");
        log.push(entry.because(warning).with(json!({ "unit": "dockerd" })));
    }
}

fn state(from: Word, to: Word) -> Option<(&'static str, &'static str)> {
    Some(match (from, to) {
        (_, Word::Ready) => ("unit_ready", "is ready"),
        (Word::Ready, Word::Running) => ("unit_unready", "does no longer do its work"),
        (_, Word::Backoff) => ("unit_ended", "does not run and is started again"),
        (_, Word::CrashLooping) => ("unit_crash_loop", "fails again and again"),
        (_, Word::Failed) => ("unit_failed", "cannot be started before somebody has acted"),
        (_, Word::Stopped) => ("unit_stopped", "is stopped"),
        (_, Word::Stopping) => ("unit_stopping", "is being stopped"),
        (_, Word::Disabled | Word::Blocked | Word::Starting | Word::Running) => return None,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn told(what: Happening) -> Option<Entry> {
        let unit = "etcd".parse().ok();
        entry(&Event { at_unix_ms: 1_700_000_000_123, unit, what })
    }

    #[test]
    fn an_end_is_told_with_its_reason_and_at_its_time() {
        let reason = Some("exited with code 1".to_owned());
        let ended = Happening::State { from: Word::Ready, to: Word::Backoff, reason };
        let entry = told(ended).unwrap();
        assert_eq!(entry.code, "unit_ended");
        assert_eq!(entry.why.as_deref(), Some("exited with code 1"));
        assert_eq!(entry.at.to_string(), "2023-11-14T22:13:20.123Z");
        assert!(entry.is_alarming());
    }

    #[test]
    fn the_way_to_readiness_is_not_told_step_by_step() {
        let state = |from, to| told(Happening::State { from, to, reason: None });
        assert_eq!(state(Word::Blocked, Word::Starting), None);
        assert_eq!(state(Word::Starting, Word::Running), None);
        assert_eq!(state(Word::Running, Word::Ready).unwrap().code, "unit_ready");
        assert_eq!(state(Word::Ready, Word::Running).unwrap().code, "unit_unready");
    }
}
