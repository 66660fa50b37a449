//! The status for people: one block per virtual router.

use std::fmt::Write;

use vrrp::router::State;
use vrrp::wire::ChecksumForm;

use super::output::{Colour, Style};
use super::tree;
use crate::daemon::Mark;
use crate::events::list;
use crate::health::{CheckStatus, Standing};
use crate::status::{Conflict, Status, VirtualRouterStatus, VrrpStatus};
use crate::timestamp::{Timestamp, span};

/// The text, at the time `now`.
pub fn render(status: &Status, now: Timestamp, style: Style) -> String {
    let mut blocks = vec![head(status)];
    blocks.extend(status.virtual_routers.iter().map(|router| {
        let checks = status.checks.iter().filter(|check| router.checks.contains(&check.name));
        block(router, checks, now, style)
    }));
    blocks.extend(units(status, now, style));
    blocks.extend(dropped(status));
    blocks.extend(remarks(status, style));
    blocks.join("\n")
}

fn head(status: &Status) -> String {
    let Status { version, node, role, pid, .. } = status;
    let vrrp = match &status.vrrp {
        VrrpStatus { pid: Some(pid), attached: true, .. } => format!("VRRP process {pid}"),
        VrrpStatus { problem: Some(problem), .. } => format!("VRRP process: {problem}"),
        _ if status.virtual_routers.is_empty() => "no virtual routers".to_owned(),
        _ => "no VRRP process".to_owned(),
    };
    format!("{node} ({role}), mainstay {version}, process {pid}, {vrrp}\n")
}

fn block<'a>(
    router: &VirtualRouterStatus,
    checks: impl Iterator<Item = &'a CheckStatus>,
    now: Timestamp,
    style: Style,
) -> String {
    let mut text = String::new();
    let mut line = |label: &str, value: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {label:<10} {value}");
    };
    line("state", &state(router, now, style));
    if let Some(last) = &router.last_transition {
        line("why", &format!("{} -> {}: {}", last.from, last.to, last.cause));
    }
    if let Some(mark) = &router.drained {
        line("drained", &drained(mark, now, style));
    }
    for check in checks {
        line("check", &checked(check, now, style));
    }
    line("addresses", &addresses(router));
    line("priority", &priority(router));
    if let Some(active) = router.active_router {
        let with = router.active_priority.map(|it| format!(", priority {it}")).unwrap_or_default();
        let here = if router.state == Some(State::Active) { " (this node)" } else { "" };
        line("Active", &format!("{active}{with}{here}"));
    }
    let form = match router.checksum {
        Some(ChecksumForm::PseudoHeader) => ", checksum with pseudo-header",
        Some(ChecksumForm::Rfc9568) | None => "",
    };
    let VirtualRouterStatus { adverts_sent, adverts_received, interval_ms, .. } = router;
    line(
        "adverts",
        &format!("{adverts_sent} sent, {adverts_received} received, each {interval_ms} ms{form}"),
    );
    for conflict in &router.conflicts {
        line("conflict", &style.paint(Colour::Red, &told(conflict, now)));
    }
    if let Some(problem) = &router.problem {
        line("problem", &style.paint(Colour::Red, problem));
    }
    let VirtualRouterStatus { name, vrid, family, interface, .. } = router;
    let title = style.paint(Colour::Bold, name);
    let ways = ways(router);
    format!("{title}  VRID {vrid}, {family}, on {interface}{ways}\n{text}")
}

/// Who is in the way, since when, and how.
fn told(conflict: &Conflict, now: Timestamp) -> String {
    let Conflict { kind, source, mac, detail, since, count, .. } = conflict;
    let at = mac.map(|mac| format!(" at {mac}")).unwrap_or_default();
    let times = if *count == 1 { "once" } else { &format!("{count} times") };
    let span = span(now.since(*since));
    format!("{kind}: {source}{at}, {times} in {span}: {detail}")
}

/// In which ways it is not as most are.
fn ways(router: &VirtualRouterStatus) -> String {
    let unicast = (router.transport == "unicast").then(|| match router.peers.len() {
        1 => ", unicast to 1 peer".to_owned(),
        n => format!(", unicast to {n} peers"),
    });
    let mac = router.virtual_mac.as_ref().map(|mac| format!(", at {mac}"));
    unicast.into_iter().chain(mac).collect()
}

fn state(router: &VirtualRouterStatus, now: Timestamp, style: Style) -> String {
    let Some(state) = router.state else { return style.paint(Colour::Red, "unknown") };
    let colour = match state {
        State::Active if router.installed == Some(true) => Colour::Green,
        State::Backup => Colour::Yellow,
        State::Active | State::Initialize => Colour::Red,
    };
    let state = style.paint(colour, &state.to_string());
    match &router.last_transition {
        Some(last) => {
            let since = format!("({})", last.at);
            format!(
                "{state} since {} {}",
                span(now.since(last.at)),
                style.paint(Colour::Dim, &since)
            )
        }
        None => state,
    }
}

fn drained(mark: &Mark, now: Timestamp, style: Style) -> String {
    let Mark { since, by } = mark;
    let drained = style.paint(Colour::Yellow, &format!("for {}", span(now.since(*since))));
    format!("{drained}, by {by}: `mainstay vip undrain` ends it")
}

fn checked(check: &CheckStatus, now: Timestamp, style: Style) -> String {
    let CheckStatus { name, standing, reason, warning, since, .. } = check;
    let (colour, standing) = match standing {
        Standing::Healthy if warning.is_some() => (Colour::Yellow, "healthy"),
        Standing::Healthy => (Colour::Green, "healthy"),
        Standing::Sick => (Colour::Red, "sick"),
        Standing::Unknown => (Colour::Yellow, "not known yet"),
    };
    let standing = style.paint(colour, standing);
    let why = warning.as_ref().unwrap_or(reason);
    let why = if why.is_empty() { String::new() } else { format!(": {why}") };
    format!("{name} {standing} for {}{why}", span(now.since(*since)))
}

fn addresses(router: &VirtualRouterStatus) -> String {
    let place = match (router.state, router.installed) {
        (_, Some(true)) => "on this node",
        (Some(State::Active), Some(false)) => "NOT on this node",
        (_, Some(false)) => "not on this node",
        (_, None) => "unknown whether on this node",
    };
    format!("{}, {place}", list(&router.addresses))
}

fn priority(router: &VirtualRouterStatus) -> String {
    let configured = router.priority;
    match router.effective_priority {
        Some(effective) if effective == configured => configured.to_string(),
        Some(effective) => format!("{effective} ({configured} when healthy)"),
        None => format!("none ({configured} when healthy)"),
    }
}

fn units(status: &Status, now: Timestamp, style: Style) -> Option<String> {
    if status.units.is_empty() {
        return None;
    }
    let hint = match status.units_wanted {
        true => "",
        false => "  down: `mainstay up` brings them up",
    };
    let title = style.paint(Colour::Bold, "units");
    Some(format!("{title}{hint}\n{}", tree::render(&status.units, now, style)))
}

fn dropped(status: &Status) -> Option<String> {
    let mut text = String::new();
    for (interface, reasons) in &status.dropped {
        let reasons = reasons.iter().filter(|&(_, &count)| count > 0);
        let counts: Vec<_> = reasons.map(|(reason, count)| format!("{reason} {count}")).collect();
        if !counts.is_empty() {
            let _ = writeln!(text, "discarded on {interface}: {}", counts.join(", "));
        }
    }
    (!text.is_empty()).then_some(text)
}

fn remarks(status: &Status, style: Style) -> Option<String> {
    let mut text = String::new();
    let mut remark = |colour, label: &str, said: &str| {
        let _ = writeln!(text, "{} {said}", style.paint(colour, label));
    };
    for degradation in status.degradations() {
        remark(Colour::Red, "degraded:", &degradation);
    }
    if let Some(error) = &status.config.error {
        remark(Colour::Yellow, "configuration:", error);
    }
    for warning in &status.warnings {
        remark(Colour::Yellow, "warning:", warning);
    }
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const STATUS: &str = r#"{
        "version": "0.1.0", "node": "m1", "role": "master", "pid": 70,
        "config": {"path": "/etc/mainstay/mainstay.toml"},
        "vrrp": {"pid": 71, "version": "0.1.0", "attached": true, "restarts": 0},
        "virtual_routers": [{
            "name": "apiserver", "vrid": 51, "family": "ipv4", "interface": "eno1",
            "state": "Active", "priority": 254, "effective_priority": 254,
            "addresses": ["10.0.0.10"], "installed": true, "active_router": "10.0.0.11",
            "active_priority": 254, "source": "10.0.0.11", "interval_ms": 100,
            "adverts_sent": 1920, "adverts_received": 7,
            "last_transition": {
                "at": "2026-01-31T12:00:00.000Z", "from": "Backup", "to": "Active",
                "cause": "the Active 10.0.0.12 has fallen silent", "cause_code": "active_down"
            }
        }],
        "dropped": {"eno1": {"ttl": 3, "length": 0}},
        "warnings": ["memory is not locked"]
    }"#;

    const TEXT: &str = "\
m1 (master), mainstay 0.1.0, process 70, VRRP process 71

apiserver  VRID 51, IPv4, on eno1
  state      Active since 3m12s (2026-01-31T12:00:00.000Z)
  why        Backup -> Active: the Active 10.0.0.12 has fallen silent
  addresses  10.0.0.10, on this node
  priority   254
  Active     10.0.0.11, priority 254 (this node)
  adverts    1920 sent, 7 received, each 100 ms

discarded on eno1: ttl 3

warning: memory is not locked
";

    #[test]
    fn a_status_reads_as_blocks() {
        let status: Status = serde_json::from_str(STATUS).unwrap();
        let now = "2026-01-31T12:03:12.000Z".parse().unwrap();
        assert_eq!(render(&status, now, Style::PLAIN), TEXT);
    }

    #[test]
    fn what_few_have_is_shown_where_it_is() {
        let mut status: Status = serde_json::from_str(STATUS).unwrap();
        let router = status.virtual_routers.first_mut().unwrap();
        router.transport = "unicast".to_owned();
        router.peers = ["10.0.0.12", "10.0.0.13"].map(|it| it.parse().unwrap()).to_vec();
        router.virtual_mac = Some("00:00:5e:00:01:33".to_owned());
        router.checksum = Some(ChecksumForm::PseudoHeader);
        let text = render(&status, Timestamp::now(), Style::PLAIN);
        let title = "VRID 51, IPv4, on eno1, unicast to 2 peers, at 00:00:5e:00:01:33\n";
        assert!(text.contains(title), "{text}");
        assert!(text.contains("each 100 ms, checksum with pseudo-header\n"), "{text}");
    }

    #[test]
    fn who_is_in_the_way_is_named() {
        let mut status: Status = serde_json::from_str(STATUS).unwrap();
        let conflict = |mac: &str, count: u64| {
            serde_json::from_str(&format!(
                r#"{{"kind": "one_way", "source": "10.0.0.12", "mac": {mac},
                    "detail": "it does not hear this node", "since": "2026-01-31T12:00:00.000Z",
                    "last": "2026-01-31T12:03:11.000Z", "count": {count}}}"#
            ))
        };
        let router = status.virtual_routers.first_mut().unwrap();
        router.conflicts.push(conflict(r#""02:00:00:00:00:0c""#, 192).unwrap());
        router.conflicts.push(conflict("null", 1).unwrap());
        let now = "2026-01-31T12:03:12.000Z".parse().unwrap();
        let text = render(&status, now, Style::PLAIN);
        let lines: Vec<&str> = text.lines().filter(|line| line.contains("conflict")).collect();
        assert_eq!(
            lines,
            [
                "  conflict   a router does not hear this node: 10.0.0.12 at 02:00:00:00:00:0c, 192 \
                 times in 3m12s: it does not hear this node",
                "  conflict   a router does not hear this node: 10.0.0.12, once in 3m12s: it does \
                 not hear this node",
            ]
        );
    }

    #[test]
    fn what_is_not_known_is_not_made_up() {
        let mut status: Status = serde_json::from_str(STATUS).unwrap();
        let router = status.virtual_routers.first_mut().unwrap();
        (router.state, router.installed) = (None, None);
        let text = render(&status, Timestamp::now(), Style::PLAIN);
        assert!(text.contains("state      unknown\n"), "{text}");
        assert!(text.contains("10.0.0.10, unknown whether on this node"), "{text}");
    }

    #[test]
    fn what_is_wrong_stands_at_the_end() {
        let mut status: Status = serde_json::from_str(STATUS).unwrap();
        status.virtual_routers.first_mut().unwrap().installed = Some(false);
        let text = render(&status, Timestamp::now(), Style::PLAIN);
        assert!(text.contains("10.0.0.10, NOT on this node"), "{text}");
        assert!(text.contains("degraded: apiserver is Active and its addresses"), "{text}");
    }
}
