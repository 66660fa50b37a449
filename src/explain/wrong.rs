//! What is wrong now, and what to do.

use vrrp::conflict::ConflictKind;
use vrrp::router::State;

use super::model::Finding;
use super::names::Names;
use super::view::{Fitness, View};
use crate::events::list;
use crate::health::{CheckStatus, Standing};
use crate::status::{Conflict, Status};
use crate::timestamp::{Timestamp, span};
use crate::units::UnitStatus;

/// What is wrong with one virtual router.
pub fn of_router(view: &View, names: &Names) -> Vec<Finding> {
    let checks = view.status.checks.iter().filter(|it| view.router.checks.contains(&it.name));
    let checks = checks.flat_map(|check| of_check(check, view.now));
    // Of a node that was Active: now it may be another's by right.
    let is_past = |it: &&Conflict| {
        it.kind == ConflictKind::ForeignArp && view.router.state != Some(State::Active)
    };
    let conflicts = view.router.conflicts.iter().filter(|it| !is_past(it));
    let conflicts = conflicts.map(|it| of_conflict(it, names));
    of_state(view).into_iter().chain(of_drain(view)).chain(checks).chain(conflicts).collect()
}

/// What is wrong with the node, and with what runs beneath its virtual routers.
pub fn of_node(status: &Status, now: Timestamp) -> Vec<Finding> {
    let mut found = Vec::new();
    if !status.vrrp.attached && !status.virtual_routers.is_empty() {
        let problem = status.vrrp.problem.as_deref().unwrap_or("it does not answer");
        let what = format!("the daemon has no VRRP process: {problem}");
        found.push(Finding::new(what, "see `mainstay events` and `journalctl -u mainstay`"));
    }
    if let Some(error) = &status.config.error {
        let error = error.lines().next().unwrap_or_default();
        let what = format!("the file was not taken, the older configuration is in force: {error}");
        found.push(Finding::new(what, "`mainstay check`, then `mainstay reload`"));
    }
    // What the virtual routers' own findings say, and the one above.
    let is_told = |warning: &&String| {
        let mut names = status.virtual_routers.iter().map(|it| format!("{}: ", it.name));
        names.any(|name| warning.starts_with(&name))
            || status.config.error.is_some() && warning.starts_with("the configuration file")
    };
    found.extend(status.warnings.iter().filter(|it| !is_told(it)).map(Finding::said));
    if status.units_wanted {
        found.extend(status.units.iter().filter_map(|unit| of_unit(unit, now)));
    }
    found
}

/// One that waits for another says nothing that the other does not say.
fn of_unit(unit: &UnitStatus, now: Timestamp) -> Option<Finding> {
    let UnitStatus { name, state, .. } = unit;
    let since = unit.since.map(|since| format!(" for {}", span(now.since(since))));
    let since = since.unwrap_or_default();
    let (why, remedy) = match unit.why() {
        Some((why, remedy)) => (format!(": {why}"), remedy),
        None => (String::new(), None),
    };
    let logs = format!("`mainstay unit logs {name}`");
    match state.as_str() {
        "failed" => {
            let what = format!("the unit {name} has failed{since}{why}");
            Some(Finding::new(what, remedy.map_or(logs, str::to_owned)))
        }
        "backoff" | "crash-looping" => {
            let again = unit.next_attempt.filter(|&at| at > now);
            let again = again.map(|at| format!("; next attempt in {}", span(at.since(now))));
            let what =
                format!("the unit {name} is {state}{since}{why}{}", again.unwrap_or_default());
            Some(Finding::new(what, remedy.map_or(logs, str::to_owned)))
        }
        "running" if unit.reason.is_some() => {
            let what = format!("the unit {name} runs and is not ready{since}{why}");
            Some(Finding::new(what, remedy.map_or(logs, str::to_owned)))
        }
        "stopped" => {
            let what = format!("the unit {name} has been stopped{since}");
            Some(Finding::new(what, format!("`mainstay unit start {name}`")))
        }
        _ => None,
    }
}

fn of_state(view: &View) -> Option<Finding> {
    let (own, router) = (view.node, view.router);
    let problem = router.problem.as_deref();
    match router.state {
        None => {
            let problem = problem.unwrap_or("the VRRP process has not answered yet");
            Some(Finding::said(format!("what {own} does is not known: {problem}")))
        }
        Some(State::Active) if router.installed == Some(false) => {
            let problem = problem.unwrap_or("the kernel has not confirmed it yet");
            let addresses = list(&router.addresses);
            let what = format!("{own} is Active without {addresses}: {problem}");
            Some(Finding::new(what, format!("`ip address show dev {}`", router.interface)))
        }
        Some(State::Initialize) if view.fitness() != Fitness::Released => {
            let problem = problem.unwrap_or("it has not started yet");
            Some(Finding::said(format!("{own} takes no part: {problem}")))
        }
        Some(State::Active | State::Backup | State::Initialize) => {
            problem.map(|problem| Finding::said(problem.to_owned()))
        }
    }
}

fn of_drain(view: &View) -> Option<Finding> {
    let mark = view.router.drained.as_ref()?;
    let since = span(view.now.since(mark.since));
    let what = format!("{} has been drained for {since}, by {}", view.node, mark.by);
    Some(Finding::new(what, "`mainstay vip undrain` once it may have the address again"))
}

fn of_check(check: &CheckStatus, now: Timestamp) -> Vec<Finding> {
    let CheckStatus { name, reason, .. } = check;
    let since = span(now.since(check.since));
    let standing = match check.standing {
        Standing::Healthy => None,
        Standing::Unknown => {
            Some(Finding::said(format!("the check {name} has no verdict yet: {reason}")))
        }
        Standing::Sick => {
            let held = check.held_until.filter(|&until| until > now);
            let held = held.map(|until| {
                format!(
                    "; after {} falls it counts as sick until {until}, whatever it answers",
                    check.flaps
                )
            });
            let held = held.unwrap_or_default();
            let what = format!("the check {name} has been sick for {since}: {reason}{held}");
            Some(Finding { what, help: remedy(check) })
        }
    };
    let warning = check.warning.as_ref();
    let warning =
        warning.map(|it| Finding::said(format!("the check {name} passes with a warning: {it}")));
    standing.into_iter().chain(warning).collect()
}

fn remedy(check: &CheckStatus) -> Option<String> {
    let target = &check.target;
    Some(match check.kind.as_str() {
        "https" => format!("`curl -k {target}`, then the log of what serves it"),
        "http" => format!("`curl {target}`, then the log of what serves it"),
        "tcp" => format!("`ss -ltn`: does something listen on {target}?"),
        "exec" => format!("run it by hand: `{target}`"),
        "interface" => format!("`ip link show dev {target}`, the cable and the switch"),
        "process" => format!("see whether {target} runs, and its log"),
        _ => return None,
    })
}

fn of_conflict(conflict: &Conflict, names: &Names) -> Finding {
    let Conflict { kind, source, mac, detail, .. } = conflict;
    let who = match kind {
        ConflictKind::ForeignArp => source.to_string(),
        _ => names.long(*source),
    };
    let mac = mac.map(|mac| format!(" at {mac}")).unwrap_or_default();
    let what = format!("{kind}: {who}{mac}: {}", names.tell(detail));
    let help = match kind {
        ConflictKind::ForeignArp => {
            "find the host with this Ethernet address and take the virtual address off it"
        }
        ConflictKind::Rival | ConflictKind::OneWay => {
            "IP protocol 112 must pass both ways between the masters: look for a firewall, for a \
             switch with IGMP or MLD snooping, for a broken link"
        }
        ConflictKind::OtherAddresses => {
            "compare `addresses` in the files of both; if it is another cluster, one of the two \
             needs another vrid"
        }
        ConflictKind::OtherInterval => "set the same advert_interval on all masters",
        ConflictKind::OtherChecksum => {
            "set checksum = \"pseudo-header\" on all masters if one is keepalived or FRR"
        }
    };
    Finding::new(what, help)
}
