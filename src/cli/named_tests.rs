//! What texts tell an operator to type is understood.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::{Path, PathBuf};

use clap::CommandFactory;
use clap::error::ErrorKind;
use supervisor::etcd::data::{Content, DataDir, Place};
use supervisor::etcd::decision::decide;
use supervisor::etcd::record::{Identity, Joining, Record};
use supervisor::etcd::{ClusterId, MemberId};

use super::args::Cli;

/// What ends a command in a sentence.
const PUNCTUATION: [char; 9] = ['.', ',', ';', ':', ')', '`', '"', '\'', '|'];

/// The commands of this program that a text names.
#[derive(Debug, Default)]
struct Named {
    /// Each with its arguments.
    found: Vec<Vec<String>>,
    /// What looks like one and is none.
    unknown: Vec<String>,
}

/// Finds each `mainstay COMMAND ...` in a text: up to the backtick if it is in backticks, else as far as words can belong
/// to it. The program's name before any other word is prose.
fn named(text: &str) -> Named {
    let mut root = Cli::command();
    root.build();
    let mut named = Named::default();
    for (at, _) in text.match_indices("mainstay ") {
        let before = text[..at].chars().next_back();
        if before.is_some_and(|it| it.is_alphanumeric() || "-_/.".contains(it)) {
            continue;
        }
        let rest = &text[at + "mainstay ".len()..];
        let rest = rest.split(['\n', '`', '\\']).next().unwrap_or_default();
        // A shell's next command, and the second column of a help text.
        let end = ["  ", " && ", " | ", " > ", " # "].iter().filter_map(|it| rest.find(it)).min();
        match command(&root, &rest[..end.unwrap_or(rest.len())]) {
            Some(Ok(line)) => named.found.push(line),
            Some(Err(words)) => named.unknown.push(words),
            None => {}
        }
    }
    named
}

/// The words that belong to a command; `None` for prose, an error for a command that does not exist.
fn command(root: &clap::Command, words: &str) -> Option<Result<Vec<String>, String>> {
    let mut line = Vec::new();
    let mut command = root;
    let mut rest = words.split(' ').filter(|it| !it.is_empty()).peekable();
    let mut is_over = false;
    while let Some(word) = rest.peek().copied().filter(|_| !is_over && command.has_subcommands()) {
        let bare = word.trim_end_matches(PUNCTUATION);
        // `unit start|stop` names two.
        let mut alternatives = bare.split('|').map(|it| command.find_subcommand(it));
        let first = alternatives.next().flatten();
        match first.filter(|_| alternatives.all(|it| it.is_some())) {
            Some(found) => {
                is_over = bare != word;
                line.push(found.get_name().to_owned());
                command = found;
                rest.next();
            }
            None if line.is_empty() => return None,
            None => return Some(Err(words.to_owned())),
        }
    }
    if line.is_empty() {
        return None;
    }
    let mut required = command.get_positionals().filter(|it| it.is_required_set()).count();
    let has_positionals = command.get_positionals().next().is_some();
    while let Some(word) = rest.next().filter(|_| !is_over) {
        let bare = word.trim_end_matches(PUNCTUATION);
        is_over = bare != word;
        let is_placeholder = bare.contains('{')
            || bare.chars().all(|it| it.is_ascii_uppercase() || it == '-') && bare.len() > 1;
        if bare.starts_with('-') && bare.len() > 1 {
            line.push(bare.to_owned());
            let takes_value = command.get_arguments().any(|it| {
                let is_it = it.get_long().is_some_and(|name| bare == format!("--{name}"))
                    || it.get_short().is_some_and(|name| bare == format!("-{name}"));
                is_it && it.get_action().takes_values()
            });
            if takes_value && let Some(value) = rest.next() {
                line.push(value.trim_end_matches(PUNCTUATION).to_owned());
            }
        } else if required > 0 || has_positionals && is_placeholder {
            required = required.saturating_sub(1);
            line.push(bare.to_owned());
        } else {
            break;
        }
    }
    Some(Ok(line))
}

/// Where arguments may be left out: a comment may name a command alone.
#[derive(Clone, Copy, PartialEq)]
enum Arguments {
    Needed,
    Optional,
}

/// Checks each command that a text names; returns how many there are.
#[track_caller]
fn all_exist(text: &str, place: &str, arguments: Arguments) -> usize {
    let named = named(text);
    assert!(named.unknown.is_empty(), "{place} names what does not exist: {:?}", named.unknown);
    for line in &named.found {
        let words = std::iter::once("mainstay").chain(line.iter().map(String::as_str));
        let parsed = Cli::command().try_get_matches_from(words);
        let is_fine = parsed.as_ref().map_or_else(
            |error| match error.kind() {
                // `mainstay etcd` alone names the group.
                ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
                | ErrorKind::MissingSubcommand => true,
                ErrorKind::MissingRequiredArgument => arguments == Arguments::Optional,
                _ => false,
            },
            |_| true,
        );
        assert!(is_fine, "{place} names {line:?}: {}", parsed.unwrap_err());
    }
    named.found.len()
}

#[test]
fn every_command_that_a_refused_start_of_etcd_names_exists() {
    let place = |uuid: &str| Place {
        uuid: Some(uuid.to_owned()),
        fsid: None,
        kind: "ext4".to_owned(),
        mount_point: "/data".to_owned(),
        inode: 2,
    };
    let (cluster, member) = (ClusterId(0xc1), MemberId(0x3e));
    let other = MemberId(1);
    let contents = [
        Content::Missing,
        Content::Empty,
        Content::NoLog,
        Content::Member { cluster, member },
        Content::Member { cluster, member: other },
        Content::Unusable("it holds PG_VERSION".to_owned()),
    ];
    let joining = Joining { cluster, member, initial_cluster: "m1=x".to_owned() };
    let identity = Identity { cluster, member, place: Some(place("a")) };
    let records =
        [Record::Nothing, Record::Bootstrap, Record::Join(joining), Record::Member(identity)];
    let mut refused = 0;
    for record in &records {
        for content in &contents {
            for disk in ["a", "b"] {
                let data = DataDir { content: content.clone(), place: Some(place(disk)) };
                let Err(no) = decide(Path::new("/data"), &data, record) else { continue };
                refused += 1;
                assert!(
                    all_exist(&no.to_string(), "a refusal", Arguments::Needed) > 0,
                    "names no command: {no}"
                );
            }
        }
    }
    assert!(refused > 20, "{refused}");
}

#[test]
fn every_command_that_a_text_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in ["src", "supervisor/src", "docs", "packaging", "README.md", "CHANGELOG.md"] {
        collect(&root.join(folder), &mut files);
    }
    let mut found = 0;
    for file in files {
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        // This file has what does not exist, too.
        if !file.ends_with("named_tests.rs") {
            found += all_exist(&flat(&text), &file.display().to_string(), Arguments::Optional);
        }
    }
    assert!(found > 100, "{found}");
}

/// Without the line breaks inside of a sentence.
fn flat(text: &str) -> String {
    let mut flat = String::new();
    for line in text.lines() {
        let last = flat.rsplit('\n').next().unwrap_or_default();
        let is_fence = last.trim_start().starts_with("```");
        let is_open = !is_fence && last.matches('`').count() % 2 == 1;
        let begins = line.trim_start().trim_start_matches(['/', '!']).trim_start();
        if flat.ends_with('\\') {
            // A string that goes on in the next line.
            flat.pop();
            flat.push_str(line.trim_start());
        } else if is_open {
            // A command that is broken in two.
            flat.push(' ');
            flat.push_str(begins);
        } else {
            flat.push('\n');
            flat.push_str(line);
        }
    }
    flat
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) {
    match std::fs::read_dir(path) {
        Ok(entries) => entries.flatten().for_each(|it| collect(&it.path(), files)),
        Err(_) => files.push(path.to_owned()),
    }
}

#[test]
fn commands_are_told_from_prose() {
    let lines = |text: &str| -> Vec<String> {
        named(text).found.iter().map(|line| line.join(" ")).collect()
    };
    assert_eq!(lines("mainstay tries again by itself"), [""; 0]);
    assert_eq!(lines("lost for good: mainstay etcd replace. If"), ["etcd replace"]);
    assert_eq!(lines("first: mainstay unit stop etcd there"), ["unit stop etcd"]);
    assert_eq!(lines("(`mainstay etcd restore FILE` with it)"), ["etcd restore FILE"]);
    assert_eq!(lines("mainstay init, or mainstay join"), ["init", "join"]);
    assert_eq!(
        lines("  mainstay unit stop etcd --force && mainstay up"),
        ["unit stop etcd --force", "up"]
    );
    assert_eq!(named("mainstay etcd adpot").unknown, ["etcd adpot"]);
    let here = |text| std::panic::catch_unwind(|| all_exist(text, "here", Arguments::Needed));
    assert!(here("`mainstay etcd restore`").is_err());
    assert!(here("`mainstay etcd status --force`").is_err());
}
