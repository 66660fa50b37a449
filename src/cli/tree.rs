//! The units of a node as a tree: each below what it needs.

use std::fmt::Write;

use super::output::{Colour, Style};
use crate::timestamp::{Timestamp, span};
use crate::units::UnitStatus;

/// One line for each unit, in the order of their start.
pub fn render(units: &[UnitStatus], now: Timestamp, style: Style) -> String {
    let mut text = String::new();
    let roots = units.iter().filter(|unit| parent(unit, units).is_none());
    for root in roots {
        branch(root, "", "", units, &mut |prefix, below, unit| {
            let shown = format!("{prefix}{}", unit.name);
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  {shown:<18} {}", line(unit, now, style));
            if let Some(remedy) = remedy(unit) {
                let _ = writeln!(text, "  {below:<18} -> {remedy}");
            }
        });
    }
    text
}

/// A unit hangs below the last of those that it needs.
fn parent<'a>(unit: &UnitStatus, units: &'a [UnitStatus]) -> Option<&'a UnitStatus> {
    units.iter().rev().find(|other| unit.requires.contains(&other.name))
}

fn branch(
    unit: &UnitStatus,
    own: &str,
    below: &str,
    units: &[UnitStatus],
    show: &mut impl FnMut(&str, &str, &UnitStatus),
) {
    let children: Vec<&UnitStatus> = units
        .iter()
        .filter(|it| parent(it, units).is_some_and(|parent| parent.name == unit.name))
        .collect();
    let bar = if children.is_empty() { "" } else { "│" };
    show(own, &format!("{below}{bar}"), unit);
    for (i, child) in children.iter().enumerate() {
        let is_last = i + 1 == children.len();
        let (fork, rest) = if is_last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        branch(child, &format!("{below}{fork}"), &format!("{below}{rest}"), units, show);
    }
}

/// What to do about a unit that a guard refuses to start: too long for the line that says why.
fn remedy(unit: &UnitStatus) -> Option<&str> {
    let refused = Some(unit).filter(|it| it.state == "failed")?;
    refused.why()?.1
}

fn line(unit: &UnitStatus, now: Timestamp, style: Style) -> String {
    let UnitStatus { kind, state, since, restarts, reason, next_attempt, drift, .. } = unit;
    let colour = match state.as_str() {
        "ready" => Colour::Green,
        "failed" | "crash-looping" => Colour::Red,
        "disabled" => Colour::Dim,
        _ => Colour::Yellow,
    };
    let mut text = style.paint(colour, state);
    if let Some(since) = since {
        let _ = write!(text, " for {}", span(now.since(*since)));
    }
    let _ = write!(text, " ({kind}");
    match restarts {
        0 => {}
        1 => text.push_str(", restarted once"),
        n => {
            let _ = write!(text, ", restarted {n} times");
        }
    }
    text.push(')');
    if let Some(reason) = reason {
        let why = remedy(unit).and_then(|_| unit.why()).map_or(reason.as_str(), |(why, _)| why);
        let _ = write!(text, ": {why}");
    }
    if let Some(at) = next_attempt {
        let _ = write!(text, "; next attempt in {}", span(at.since(now)));
    }
    if let Some(drift) = drift {
        let drift = format!("differs: {drift}: `mainstay apply`");
        let _ = write!(text, "; {}", style.paint(Colour::Yellow, &drift));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(name: &str, requires: &[&str], state: &str) -> UnitStatus {
        UnitStatus {
            name: name.to_owned(),
            kind: "exec".to_owned(),
            state: state.to_owned(),
            requires: requires.iter().map(|&it| it.to_owned()).collect(),
            ..UnitStatus::default()
        }
    }

    #[test]
    fn each_unit_hangs_below_the_last_that_it_needs() {
        let at = |millis: u64| Timestamp::from_unix_nanos(millis * 1_000_000);
        let etcd = UnitStatus {
            since: Some(at(1_000)),
            reason: Some("exited with code 1".to_owned()),
            next_attempt: Some(at(15_000)),
            restarts: 3,
            ..unit("etcd", &["dockerd", "images"], "backoff")
        };
        let units = [
            unit("dockerd", &[], "ready"),
            unit("images", &["dockerd"], "ready"),
            etcd,
            UnitStatus {
                drift: Some("other arguments".to_owned()),
                restarts: 1,
                ..unit("kubelet", &["images"], "ready")
            },
        ];
        let text = render(&units, at(11_000), Style::PLAIN);
        assert_eq!(
            text,
            "  dockerd            ready (exec)\n\
             \x20 └─ images          ready (exec)\n\
             \x20    ├─ etcd         backoff for 10s (exec, restarted 3 times): exited with code 1; \
             next attempt in 4.0s\n\
             \x20    └─ kubelet      ready (exec, restarted once); differs: other arguments: \
             `mainstay apply`\n"
        );
    }

    #[test]
    fn a_refused_start_says_why_and_below_what_to_do() {
        let refusal = "etcd is not started: /data has been emptied. Put the data back, or mount its \
                       disk. If it is lost for good: mainstay etcd replace";
        let etcd =
            UnitStatus { reason: Some(refusal.to_owned()), ..unit("etcd", &["dockerd"], "failed") };
        let units = [unit("dockerd", &[], "ready"), etcd, unit("kubelet", &["etcd"], "blocked")];
        assert_eq!(
            render(&units, Timestamp::from_unix_nanos(0), Style::PLAIN),
            "  dockerd            ready (exec)\n\
             \x20 └─ etcd            failed (exec): etcd is not started: /data has been emptied\n\
             \x20    │               -> Put the data back, or mount its disk. If it is lost for \
             good: mainstay etcd replace\n\
             \x20    └─ kubelet      blocked (exec)\n"
        );
    }
}
