//! The rules of the configuration, one test each.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod accepts;
mod api;
mod errors;
mod priorities;
mod refuses;
mod robust;
mod supervisor;
mod values;

use std::fmt::Write;

use super::{Config, ConfigError, NodeConfig, Supervised, VirtualRouter, parse};

/// The file that is installed for the operator to change.
const EXAMPLE: &str = include_str!("../../../packaging/mainstay.toml");

const CLUSTER: &str = "[cluster]\nname = \"prod-a\"\n";

/// The text of a `[[node]]` with an address of its own.
fn node(name: &str, role: &str, host: usize) -> String {
    format!("[[node]]\nname = \"{name}\"\nrole = \"{role}\"\naddresses = [\"10.0.0.{host}\"]\n")
}

/// The text of a `[[virtual_router]]` in which `keys` replace or join the usual ones.
fn router(keys: &[(&str, &str)]) -> String {
    let usual = [
        ("name", "\"apiserver\""),
        ("vrid", "51"),
        ("interface", "\"eno1\""),
        ("addresses", "[\"10.0.0.10\"]"),
    ];
    let kept = usual.iter().filter(|(key, _)| keys.iter().all(|(own, _)| own != key));
    let mut text = "[[virtual_router]]\n".to_owned();
    for (key, value) in kept.chain(keys) {
        writeln!(text, "{key} = {value}").unwrap();
    }
    text
}

/// A file of m1, m2 (masters), w1 (a worker) and one virtual router, made as [`router`] does.
fn file(keys: &[(&str, &str)]) -> String {
    file_with(&router(keys))
}

/// A file of m1, m2 (masters), w1 (a worker) and these sections.
fn file_with(sections: &str) -> String {
    let nodes = [node("m1", "master", 11), node("m2", "master", 12), node("w1", "worker", 21)];
    format!("{CLUSTER}{}{sections}", nodes.concat())
}

fn parse_all(text: &str) -> Result<Config, ConfigError> {
    parse(text, "f.toml")
}

/// What the file configures for a node.
fn for_node(text: &str, node: &str) -> NodeConfig {
    let config = parse_all(text).unwrap_or_else(|error| panic!("{error}"));
    config.for_node(&node.parse().unwrap()).unwrap().clone()
}

/// The virtual router of m1 in [`file`].
fn on_m1(keys: &[(&str, &str)]) -> VirtualRouter {
    for_node(&file(keys), "m1").virtual_routers.remove(0)
}

/// The whole text of the error.
fn error(text: &str) -> String {
    parse(text, "f.toml").unwrap_err().to_string()
}

/// The offending text and the message of each problem.
fn problems(text: &str) -> Vec<(String, String)> {
    let error = parse_all(text).unwrap_err().to_string();
    let blocks = error.split("\n\n").filter(|block| block.starts_with("f.toml:"));
    blocks.map(problem).collect()
}

fn problem(block: &str) -> (String, String) {
    let mut lines = block.lines();
    let message = lines.next().unwrap().splitn(4, ':').nth(3).unwrap().trim();
    let line = lines.next().unwrap();
    let marked = line.chars().zip(lines.next().unwrap().chars()).filter(|(_, mark)| *mark == '^');
    (marked.map(|(c, _)| c).collect(), message.to_owned())
}

/// Asserts that the file has exactly one problem, at `offending`, with `rule` in its message.
#[track_caller]
fn assert_refused(text: &str, offending: &str, rule: &str) {
    let problems = problems(text);
    match problems.as_slice() {
        [(at, message)] => {
            assert!(at == offending && message.contains(rule), "at `{at}`: {message}");
        }
        _ => panic!("not one problem: {problems:#?}"),
    }
}
