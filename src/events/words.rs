//! The VRRP process's events in words.

use vrrp::proto::{Event, EventKind};
use vrrp::router::Report;
use vrrp::{Priority, time::Duration};

use super::{Entry, list};
use crate::status::cause_code;
use crate::timestamp::Timestamp;

impl From<Event> for Entry {
    fn from(event: Event) -> Self {
        let Said { code, what, why } = say(&event.kind);
        Self {
            at: Timestamp::from_unix_nanos(event.at.unix_nanos),
            monotonic: event.at.monotonic.as_nanos(),
            router: event.router,
            code: code.to_owned(),
            what,
            why,
            detail: detail(&event.kind),
        }
    }
}

struct Said {
    code: &'static str,
    what: String,
    why: Option<String>,
}

fn said(code: &'static str, what: impl Into<String>) -> Said {
    Said { code, what: what.into(), why: None }
}

impl Said {
    fn because(self, why: impl Into<String>) -> Self {
        Self { why: Some(why.into()), ..self }
    }
}

fn say(kind: &EventKind) -> Said {
    match kind {
        EventKind::Router(report) => say_report(report),
        EventKind::InstallFailed { error } => {
            said("install_failed", "the addresses could not be installed").because(error)
        }
        EventKind::WithdrawFailed { error } => {
            said("withdraw_failed", "the addresses could not be removed").because(error)
        }
        EventKind::AnnounceFailed { error } => {
            said("announce_failed", "the addresses could not be announced").because(error)
        }
        EventKind::SendFailed { interface, error } => {
            said("send_failed", format!("no advertisement leaves on {interface}")).because(error)
        }
        EventKind::Dropped { interface, reason, count, source } => {
            let from = source.map(|source| format!(", the last from {source}")).unwrap_or_default();
            let packets = if *count == 1 { "packet" } else { "packets" };
            said("dropped", format!("{count} {packets} discarded on {interface}{from}"))
                .because(reason)
        }
        EventKind::Conflict { conflict, source, mac, detail } => {
            let at = mac.map(|mac| format!(" at {mac}")).unwrap_or_default();
            said("conflict", format!("{conflict}: {source}{at}")).because(detail)
        }
        EventKind::Interface { interface, problem: None } => {
            said("interface_up", format!("the interface {interface} can be used"))
        }
        EventKind::Interface { interface, problem: Some(problem) } => {
            said("interface_down", format!("the interface {interface} cannot be used"))
                .because(problem)
        }
        EventKind::NotRun { error } => {
            said("not_run", "the virtual router is not run").because(error)
        }
        EventKind::StaleRemoved { interface, addresses } => {
            said("stale_removed", format!("removed {} from {interface}", list(addresses)))
                .because("left by an earlier run, or added by another program")
        }
    }
}

fn say_report(report: &Report) -> Said {
    match report {
        Report::Transition { from, to, cause } => {
            said("transition", format!("{from} -> {to}")).because(cause.to_string())
        }
        Report::Installed => said("installed", "the addresses are installed"),
        Report::AddressLost => {
            said("address_lost", "putting an address back").because("somebody removed it")
        }
        Report::Repaired => said("repaired", "the removed address is back"),
        Report::Priority { from, to } => {
            let moves = if to < from { "falls" } else { "rises" };
            let (from, to) = (level(*from), level(*to));
            said("priority", format!("the effective priority {moves} from {from} to {to}"))
        }
        Report::ActivePriority { source, from: None, to } => {
            said("active_priority", format!("the Active is {source}, with priority {to}"))
        }
        Report::ActivePriority { source, from: Some(from), to } => {
            said("active_priority", format!("the Active {source} advertises priority {to}"))
                .because(format!("it was {from}"))
        }
        Report::ActiveReleased { source } => {
            said("active_released", format!("the Active {source} gives up"))
        }
        Report::Rival { source, priority: Some(priority) } => {
            said("rival", format!("{source} advertises too, with priority {priority}, and loses"))
                .because("it has not heard us, or not yet; announcing the addresses again")
        }
        Report::Rival { source, priority: None } => {
            said("rival", format!("{source} was Active too and gives up"))
        }
        Report::RivalGone => said("rival_gone", "no other router advertises any more"),
        Report::Stalled { late } => said("stalled", format!("woken {} ms late", millis(*late)))
            .because("the node is overloaded or was suspended"),
    }
}

fn level(priority: Option<Priority>) -> String {
    priority.map_or_else(|| "none (released)".to_owned(), |priority| priority.to_string())
}

fn millis(span: Duration) -> u128 {
    span.as_millis()
}

fn detail(kind: &EventKind) -> serde_json::Value {
    let mut value = serde_json::to_value(kind).unwrap_or_default();
    // The cause is an object of its own: its name belongs beside the states.
    if let EventKind::Router(Report::Transition { cause, .. }) = kind
        && let Some(fields) = value.as_object_mut()
    {
        fields.insert("cause_code".to_owned(), cause_code(*cause).into());
    }
    value
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use vrrp::proto::Stamp;
    use vrrp::router::{Cause, State};
    use vrrp::time::Instant;

    use super::*;

    #[test]
    fn a_transition_is_told_with_its_cause() {
        let last = "10.0.0.11".parse().ok();
        let report = Report::Transition {
            from: State::Backup,
            to: State::Active,
            cause: Cause::ActiveDown { last },
        };
        let at = Stamp { monotonic: Instant::default(), unix_nanos: 1_700_000_000_000_000_000 };
        let event = Event { at, router: Some("api".to_owned()), kind: EventKind::Router(report) };
        let entry = Entry::from(event);
        assert_eq!(entry.code, "transition");
        assert_eq!(entry.what, "Backup -> Active");
        assert_eq!(entry.why.as_deref(), Some("the Active 10.0.0.11 has fallen silent"));
        assert_eq!(entry.detail["to"], "Active");
        assert_eq!(entry.detail["cause_code"], "active_down");
    }
}
