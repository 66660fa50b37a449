//! What the command line says, without what differs from run to run.

use std::time::Duration;

use lab::{Node, Stamp};

use super::PATIENCE;

const POLL: Duration = Duration::from_millis(100);

/// Waits until `look` sees what is expected.
#[track_caller]
pub fn says(node: Node, expected: &str, look: impl Fn() -> String) {
    let deadline = Stamp::now() + PATIENCE;
    let mut said = look();
    while said != expected && Stamp::now() < deadline {
        std::thread::sleep(POLL);
        said = look();
    }
    assert_eq!(said, expected, "on {node}:\n{said}");
}

/// Without moments, spans that were measured, counts and process ids; spans that the configuration
/// gives stay.
pub fn steady(text: &str) -> String {
    let line = |line: &str| {
        let mut before = "";
        let words = line.split(' ').map(|word| {
            let core = word.trim_matches(['(', ')', ',', ':', ';']);
            let steady = match before {
                "process" if core.parse::<u32>().is_ok() => "PID",
                "mainstay" if core == env!("CARGO_PKG_VERSION") => "VERSION",
                // Limits, which the configuration sets.
                "within" | "to" => core,
                _ if is_moment(core) => "TIME",
                _ if is_span(core) || core.contains('.') && core.parse::<f64>().is_ok() => "SPAN",
                _ if core.split(':').count() == 6 => "MAC",
                _ if core.ends_with("/pki/ca.crt") => "CA",
                _ => core,
            };
            before = word;
            word.replacen(core, steady, 1)
        });
        uncounted(refused(words.collect::<Vec<_>>().join(" "))) + "\n"
    };
    text.lines().map(line).collect()
}

/// Who is killed is found dead or gone, whichever is known first.
fn refused(line: String) -> String {
    const DEAD: [&str; 2] = ["the server's process PID (", ") has died"];
    let [Some(start), Some(end)] = DEAD.map(|words| line.find(words)) else { return line };
    let gone = "connection refused by 127.0.0.1:6443";
    format!("{}{gone}{}", &line[..start], &line[end + DEAD[1].len()..])
}

/// Failures go on: `, 7 times in a row` is said of the first as of the last.
fn uncounted(line: String) -> String {
    let Some(end) = line.find(" times in a row") else { return line };
    let start = line[..end].rfind(' ').map_or(0, |blank| blank + 1);
    format!("{}N{}", &line[..start], &line[end..])
}

/// Without what the machine refuses the daemon, which is among what is wrong with the node.
pub fn without_machine(text: &str) -> String {
    const LABEL: &str = "  WRONG       ";
    let is_told = |line: &&str| !line.contains("LimitMEMLOCK") && !line.contains("LimitRTPRIO");
    let block = |block: &str| {
        let mut told: Vec<String> = block.lines().filter(is_told).map(str::to_owned).collect();
        if told.len() == block.lines().count() {
            return Some(told);
        }
        // After the node's name the first one that is left has the label.
        let first = told.get_mut(1)?;
        first.replace_range(..LABEL.len(), LABEL);
        Some(told)
    };
    let blocks: Vec<String> =
        text.trim_end().split("\n\n").filter_map(block).map(|it| it.join("\n")).collect();
    blocks.join("\n\n") + "\n"
}

/// `2026-01-31T12:00:00.000Z` or its second half.
fn is_moment(word: &str) -> bool {
    let digits = word.chars().filter(char::is_ascii_digit).count();
    word.ends_with('Z') && digits >= 9 && word.matches(':').count() == 2
}

/// `0.4s`, `12s`, `3m12s`, `60ms`, `1.23µs`; but `60 ms` is none.
fn is_span(word: &str) -> bool {
    let is_part = |c: char| c.is_ascii_digit() || ".dhmsµn".contains(c);
    word.starts_with(|c: char| c.is_ascii_digit())
        && word.ends_with(['d', 'h', 'm', 's'])
        && word.chars().all(is_part)
}
