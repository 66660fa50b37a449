//! The explanation for people.

use std::fmt::Write;

use super::output::{Colour, Style};
use crate::explain::{Explanation, Finding, Move, RouterExplanation};
use crate::timestamp::{Timestamp, span};

/// The explanation as text.
pub fn render(explanation: &Explanation, style: Style) -> String {
    let Explanation { at, virtual_routers, wrong, .. } = explanation;
    let blocks = virtual_routers.iter().map(|router| block(router, *at, style));
    let mut blocks: Vec<String> = blocks.collect();
    if !wrong.is_empty() {
        let mut text = format!("{}\n", style.paint(Colour::Bold, &explanation.node));
        findings(&mut text, wrong, style);
        blocks.push(text);
    }
    if blocks.is_empty() {
        blocks.push(format!("{} has no virtual routers: nothing to explain\n", explanation.node));
    }
    blocks.join("\n")
}

fn block(router: &RouterExplanation, now: Timestamp, style: Style) -> String {
    let since = router.since.map(|since| {
        let (time, date) = (span(now.since(since)), style.paint(Colour::Dim, &since.to_string()));
        if router.is_since_exact {
            format!(", for {time} (since {date})")
        } else {
            format!(", for {time} at least (since {date})")
        }
    });
    let title = style.paint(Colour::Bold, &router.name);
    let mut text = format!("{title}  {}{}\n", router.place, since.unwrap_or_default());
    lines(&mut text, "why", &router.why, style);
    match &router.last_move {
        Some(last) => lines(&mut text, "last move", &of_move(last, now), style),
        None => lines(&mut text, "last move", &["none that this node has seen".to_owned()], style),
    }
    lines(&mut text, "would move", &router.would_move, style);
    findings(&mut text, &router.wrong, style);
    text
}

fn of_move(last: &Move, now: Timestamp) -> Vec<String> {
    let Move { at, from, to, causes, hint } = last;
    let way = match (from, to) {
        (Some(from), Some(to)) if from == to => format!("{to} lost it and got it back"),
        (Some(from), Some(to)) => format!("{from} -> {to}"),
        (None, Some(to)) => format!("to {to}"),
        (Some(from), None) => format!("{from} lost it"),
        (None, None) => "nobody has it".to_owned(),
    };
    let mut lines = vec![format!("{way}, {} ago", span(now.since(*at)))];
    lines.extend(causes.iter().map(|it| format!("{}  {}", clock(it.at, now), it.what)));
    lines.extend(hint.clone());
    lines
}

/// The time of day, and the day too if it is another.
fn clock(at: Timestamp, now: Timestamp) -> String {
    let (text, today) = (at.to_string(), now.to_string());
    match (text.split_once('T'), today.split_once('T')) {
        (Some((day, time)), Some((today, _))) if day == today => time.to_owned(),
        _ => text,
    }
}

fn lines(text: &mut String, label: &str, said: &[String], style: Style) {
    for (i, line) in said.iter().enumerate() {
        // Padded before it is painted: colours have no width.
        let label = if i == 0 { format!("{label:<11}") } else { " ".repeat(11) };
        let _ = writeln!(text, "  {} {line}", style.paint(Colour::Dim, &label));
    }
}

fn findings(text: &mut String, wrong: &[Finding], style: Style) {
    for (i, Finding { what, help }) in wrong.iter().enumerate() {
        let label = if i == 0 { format!("{:<11}", "WRONG") } else { " ".repeat(11) };
        let _ = writeln!(text, "  {} {what}", style.paint(Colour::Red, &label));
        if let Some(help) = help {
            let _ = writeln!(text, "  {} -> {help}", " ".repeat(11));
        }
    }
    if wrong.is_empty() {
        let label = style.paint(Colour::Dim, &format!("{:<11}", "wrong"));
        let _ = writeln!(text, "  {label} nothing");
    }
}

#[cfg(test)]
#[path = "explain_tests/mod.rs"]
mod tests;
