//! The text of the errors, to the letter.

use std::path::Path;

use super::super::{MAX_SIZE, load};
use super::*;

#[track_caller]
fn assert_error(text: &str, expected: &str) {
    assert_eq!(error(text), expected.trim_start_matches('\n'));
}

#[test]
fn an_unknown_key_is_shown_with_the_one_that_was_meant() {
    assert_error(
        &file(&[("advert_intervall", "\"100ms\"")]),
        r#"
f.toml:20:1: unknown key `advert_intervall` in [[virtual_router]]
   20 | advert_intervall = "100ms"
      | ^^^^^^^^^^^^^^^^
   help: did you mean `advert_interval`?"#,
    );
}

#[test]
fn all_unknown_keys_and_sections_are_shown_at_once() {
    assert_error(
        &(file(&[("colour", "1"), ("addr", "2")]) + "[nodes]\nx = 1\n"),
        r"
f.toml:20:1: unknown key `colour` in [[virtual_router]]
   20 | colour = 1
      | ^^^^^^
   help: it may have: name, vrid, interface, addresses, advert_interval, priority, preempt, transport, peers, degraded_priority, on_degraded, drain_timeout, virtual_mac, checksum, lease, checks

f.toml:21:1: unknown key `addr` in [[virtual_router]]
   21 | addr = 2
      | ^^^^
   help: did you mean `addresses`?

f.toml:22:2: unknown section `nodes`
   22 | [nodes]
      |  ^^^^^
   help: did you mean `node`?",
    );
}

#[test]
fn a_misspelt_required_key_is_not_also_reported_missing() {
    let text = file(&[]).replace("vrid", "vird");
    assert_eq!(
        problems(&text),
        [("vird".to_owned(), "unknown key `vird` in [[virtual_router]]".to_owned())]
    );
}

#[test]
fn a_value_of_the_wrong_type_is_shown_with_the_right_one() {
    assert_error(
        &file(&[("advert_interval", "100")]),
        r#"
f.toml:20:19: `advert_interval` in [[virtual_router]] must be a string, not the integer `100`
   20 | advert_interval = 100
      |                   ^^^
   help: write a time as a string with its unit, such as "100ms""#,
    );
    let key = |key, value, rule| assert_refused(&file(&[(key, value)]), value, rule);
    key("vrid", "\"51\"", "`vrid` in [[virtual_router]] must be an integer, not the string \"51\"");
    key("virtual_mac", "1", "must be a boolean, not the integer `1`");
    key("addresses", "\"10.0.0.10\"", "must be a list, not the string");
    key("priority", "250", "must be a table, not the integer");
    key("preempt", "true", "`preempt` in [[virtual_router]] must be a string");
    key("degraded_priority", "[1]", "must be one value, or a table of values by name, not a list");
    key("vrid", "99999999999999999999999", "`vrid` in [[virtual_router]] has too many digits");
    key("vrid", "9223372036854775808", "has too many digits");
    let text = file(&[("priority", "{ m1 = \"x\" }")]);
    assert_refused(&text, "\"x\"", "`priority.m1` in [[virtual_router]] must be an integer");
}

#[test]
fn a_section_with_the_wrong_brackets_is_shown_with_the_right_ones() {
    assert_error(
        &file(&[]).replace("[[virtual_router]]", "[virtual_router]"),
        r"
f.toml:15:1: [virtual_router] must be a list, not a table
   15 | [virtual_router]
      | ^^^^^^^^^^^^^^^^
   help: write [[virtual_router]]",
    );
    let text = file(&[]).replace("[cluster]", "[[cluster]]");
    assert_refused(&text, "[[cluster]]", "[[cluster]] must be a table, not a list");
}

#[test]
fn a_list_does_not_pass_for_a_section() {
    assert_refused(
        "cluster = [\"prod-a\", 6443]\nnode = []",
        "[\"prod-a\", 6443]",
        "must be a table",
    );
}

#[test]
fn an_unknown_value_is_shown_with_the_one_that_was_meant() {
    assert_error(
        &file(&[("preempt", "\"degraded_only\"")]),
        r#"
f.toml:20:11: `preempt` in [[virtual_router]] cannot be "degraded_only"
   20 | preempt = "degraded_only"
      |           ^^^^^^^^^^^^^^^
   help: did you mean "degraded-only"?"#,
    );
    let text = file(&[]).replace("\"worker\"", "\"x\"");
    assert!(error(&text).ends_with(r#"help: choose one of "master", "worker""#));
}

#[test]
fn a_key_or_section_that_is_defined_twice_is_shown() {
    assert_error(
        &file(&[("vrid", "51\nvrid = 52")]),
        r"
f.toml:20:1: `vrid` is defined twice
   20 | vrid = 52
      | ^^^^
   help: keep one; a section of which there may be several is written [[name]]",
    );
}

#[test]
fn what_is_no_toml_is_shown() {
    assert_error(
        "[cluster]\nname = prod-a\n",
        r"
f.toml:2:8: not valid TOML: string values must be quoted, expected literal string
    2 | name = prod-a
      |        ^^^^^^",
    );
}

#[test]
fn a_missing_section_or_key_is_shown() {
    let message = |text: &str| problems(text).remove(0).1;
    assert_eq!(message(""), "the file has no [cluster]");
    assert_eq!(message(CLUSTER), "the file has no [[node]]");
    let text = file(&[]).replace("vrid = 51\n", "");
    assert_refused(&text, "[[virtual_router]]", "[[virtual_router]] has no `vrid`");
}

#[test]
fn all_wrong_values_are_shown_at_once_in_the_order_of_the_file() {
    let text = file(&[("vrid", "0"), ("lease", "\"1s\""), ("interface", "\"a/b\"")])
        .replace("10.0.0.12", "10.0.0.256");
    let places: Vec<_> = problems(&text).into_iter().map(|(at, _)| at).collect();
    assert_eq!(places, ["\"10.0.0.256\"", "0", "\"1s\"", "\"a/b\""]);
}

#[test]
fn no_more_than_twenty_problems_are_shown() {
    let text = file(&[("addresses", &format!("[{}]", "\"x\",".repeat(30)))]);
    let error = error(&text);
    assert_eq!(error.matches("f.toml:").count(), 20);
    assert!(error.ends_with("\n\nand 10 more"));
}

#[test]
fn columns_count_characters_and_tabs_stay_aligned() {
    assert_error(
        "[cluster]\n\"\u{e4}\u{f6}\u{fc}\".x = 1\n",
        "f.toml:2:1: unknown key `\u{e4}\u{f6}\u{fc}` in [cluster]\n    2 | \"\u{e4}\u{f6}\u{fc}\".x = 1\n      \
         | ^^^^^\n   help: it may have: name, api_port",
    );
    let text = file(&[("addresses", "[ # \u{20ac}\n\t\"\u{20ac}\",\t\"10.0.0.300\" ]")]);
    assert!(error(&text).contains("f.toml:20:7: `10.0.0.300`"), "{}", error(&text));
    assert!(error(&text).contains("\n      | \t    \t^^^^^^^^^^^^\n"), "{}", error(&text));
}

#[test]
fn crlf_and_a_byte_order_mark_do_not_move_the_place() {
    let text = file(&[("vrid", "0")]);
    let crlf = format!("\u{feff}{}", text.replace('\n', "\r\n"));
    assert_eq!(error(&crlf), error(&text));
    assert!(error("\u{feff}x = 1").starts_with("f.toml:1:1: unknown section `x`\n    1 | x = 1\n"));
}

#[test]
fn an_error_cannot_steer_the_terminal() {
    let text = format!("{CLUSTER}\"\\u001b[2J\" = 1 # \u{1b}[2J\n");
    assert!(!error(&text).contains('\u{1b}'));
    assert!(!error(&text.replace(" # \u{1b}[2J", "")).contains('\u{1b}'));
}

#[test]
fn a_long_line_or_value_is_not_shown_whole() {
    let long = "x".repeat(10_000);
    let error = error(&file(&[("name", &format!("\"{long}\""))]));
    assert!(error.starts_with("f.toml:19:8: `xxx"), "{error}");
    assert!(error.len() < 1000 && !error.contains('|'), "{error}");
}

#[test]
fn a_node_that_is_not_in_the_file_is_shown_with_those_that_are() {
    let config = parse(&file(&[]), "f.toml").unwrap();
    let error = config.for_node(&"m9".parse().unwrap()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "f.toml: no [[node]] is named `m9`\n   help: the nodes are m1, m2, w1; choose with --node, \
         or add this one to the file"
    );
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let error = load(Path::new("/nonexistent/mainstay.toml")).unwrap_err().to_string();
    assert!(error.starts_with("cannot read /nonexistent/mainstay.toml: No such file"), "{error}");
}

#[test]
fn a_file_that_is_too_large_or_no_text_is_named() {
    let path = std::env::temp_dir().join(format!("mainstay-config-{}.toml", std::process::id()));
    std::fs::write(&path, " ".repeat(usize::try_from(MAX_SIZE).unwrap() + 1)).unwrap();
    let large = load(&path).unwrap_err().to_string();
    std::fs::write(&path, [0xff, 0xfe]).unwrap();
    let no_text = load(&path).unwrap_err().to_string();
    std::fs::remove_file(&path).unwrap();
    assert!(large.ends_with("larger than 1024 KiB; this is no mainstay configuration"), "{large}");
    assert!(no_text.contains("UTF-8"), "{no_text}");
}
