//! From text to the file's shape: TOML, the sections and keys, and their types.

use std::ops::Range;

use serde::Deserialize;
use serde::de::IntoDeserializer;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{Fault, Problems, closest};
use super::raw::Raw;
use super::support;

/// No more unknown keys are looked for.
const MAX_UNKNOWN_KEYS: usize = 20;

/// Reads the file's shape. `None` if it has none; the problems then say why.
pub(super) fn read(text: &str, problems: &mut Problems) -> Option<Raw> {
    let mut root = match DeTable::parse(text) {
        Ok(table) => table.into_inner(),
        Err(error) => {
            let span = error.span().unwrap_or_default();
            problems.add(span.clone(), not_toml(error.message(), text.get(span)));
            return None;
        }
    };
    support::refuse_sections(&mut root, problems);
    let mut root = DeValue::Table(root);
    let mut unknown_keys = 0;
    loop {
        let value = Spanned::new(0..0, root.clone());
        let error = match Raw::deserialize(value.into_deserializer()) {
            Ok(raw) => return (unknown_keys == 0).then_some(raw),
            Err(error) => error,
        };
        let span = error.span().unwrap_or_default();
        let is_unknown_key = error.message().starts_with("unknown field");
        // What is missing may be there under a mistyped name.
        if is_unknown_key || unknown_keys == 0 {
            problems.add(span.clone(), explain(error.message(), &path_to(&root, &span)));
        }
        unknown_keys += 1;
        if !is_unknown_key || unknown_keys == MAX_UNKNOWN_KEYS {
            return None;
        }
        // Without it the next pass finds the next one.
        remove_key(&mut root, &span);
    }
}

fn not_toml(message: &str, found: Option<&str>) -> Fault {
    match (message, found) {
        ("duplicate key", Some(key)) => Fault::new(
            format!("`{key}` is defined twice"),
            "keep one; a section of which there may be several is written [[name]]",
        ),
        _ => Fault::without_help(format!("not valid TOML: {message}")),
    }
}

fn remove_key(value: &mut DeValue<'_>, span: &Range<usize>) {
    match value {
        DeValue::Table(table) => {
            if let Some(key) = table.keys().find(|key| key.span() == *span).cloned() {
                table.remove(key.get_ref().as_ref());
            }
            table.iter_mut().for_each(|(_, value)| remove_key(value.get_mut(), span));
        }
        DeValue::Array(array) => {
            array.iter_mut().for_each(|value| remove_key(value.get_mut(), span));
        }
        _ => {}
    }
}

/// Where an error is, in terms of the file.
#[derive(Default)]
struct Path {
    /// The keys from the root on.
    keys: Vec<String>,
    /// Whether the first key is an array of tables.
    repeated: bool,
}

impl Path {
    /// The section with its brackets; `None` at the root.
    fn section(&self) -> Option<String> {
        let section = self.keys.first()?;
        Some(if self.repeated { format!("[[{section}]]") } else { format!("[{section}]") })
    }

    /// The key within the section, and the section.
    fn key(&self) -> String {
        match (self.keys.get(1..), self.section()) {
            (Some([]), Some(section)) => section,
            (Some(keys), Some(section)) => format!("`{}` in {section}", keys.join(".")),
            _ => "the file".to_owned(),
        }
    }

    fn last(&self) -> &str {
        self.keys.last().map_or("", String::as_str)
    }
}

/// The keys that lead to the key or value at `span`.
fn path_to(root: &DeValue<'_>, span: &Range<usize>) -> Path {
    fn find(value: &DeValue<'_>, span: &Range<usize>, keys: &mut Vec<String>) -> bool {
        match value {
            DeValue::Table(table) => table.iter().any(|(key, value)| {
                keys.push(key.get_ref().to_string());
                let found = key.span() == *span
                    || value.span() == *span
                    || find(value.get_ref(), span, keys);
                if !found {
                    keys.pop();
                }
                found
            }),
            DeValue::Array(array) => {
                array.iter().any(|value| value.span() == *span || find(value.get_ref(), span, keys))
            }
            _ => false,
        }
    }

    let mut keys = Vec::new();
    if !find(root, span, &mut keys) {
        return Path::default();
    }
    let first = keys.first().and_then(|key| root.get(key.as_str()));
    Path { repeated: first.is_some_and(|value| value.get_ref().is_array()), keys }
}

/// Says in the file's terms what serde says in Rust's.
fn explain(message: &str, path: &Path) -> Fault {
    let (what, expected) = message.rsplit_once(", expected ").unwrap_or((message, ""));
    if what.starts_with("unknown field") {
        unknown_key(path, &quoted(expected))
    } else if let Some(found) = what.strip_prefix("unknown variant ") {
        unknown_value(path, found, &quoted(expected))
    } else if message == "wanted string or table" {
        wrong_type(path, "", "a string")
    } else if is_huge_number(message) {
        Fault::new(format!("{} has too many digits", path.key()), "write a number in its range")
    } else if let Some(found) = what.strip_prefix("invalid type: ") {
        wrong_type(path, found, expected)
    } else if let Some(key) = what.strip_prefix("missing field ") {
        missing(path, key.trim_matches('`'))
    } else {
        Fault::without_help(format!("wrong value for {}: {message}", path.key()))
    }
}

/// Whether the message is about a number of more than 64 bits.
fn is_huge_number(message: &str) -> bool {
    let huge = ["invalid value: integer", "integer number overflowed", "floating-point number"];
    huge.iter().any(|it| message.starts_with(it)) || message.contains("128, expected ")
}

/// The names between backquotes.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

fn unknown_key(path: &Path, known: &[&str]) -> Fault {
    let key = path.last();
    let message = match path.keys.as_slice() {
        [_] => format!("unknown section `{key}`"),
        _ => format!("unknown key `{key}` in {}", path.section().unwrap_or_default()),
    };
    let help = match closest(key, known.iter().copied()) {
        Some(known) => format!("did you mean `{known}`?"),
        None => format!("it may have: {}", known.join(", ")),
    };
    Fault::new(message, help)
}

fn unknown_value(path: &Path, found: &str, known: &[&str]) -> Fault {
    let found = found.trim_matches('`');
    let help = match closest(found, known.iter().copied()) {
        Some(known) => format!("did you mean \"{known}\"?"),
        None => format!("choose one of \"{}\"", known.join("\", \"")),
    };
    Fault::new(format!("{} cannot be \"{found}\"", path.key()), help)
}

fn missing(path: &Path, key: &str) -> Fault {
    match path.section() {
        Some(section) => {
            Fault::new(format!("{section} has no `{key}`"), format!("add `{key} = ...`"))
        }
        None if key == "node" => Fault::new("the file has no [[node]]", "add one for each node"),
        None => Fault::new(format!("the file has no [{key}]"), format!("add a section [{key}]")),
    }
}

fn wrong_type(path: &Path, found: &str, expected: &str) -> Fault {
    let found = match found {
        "" => String::new(),
        "sequence" => ", not a list".to_owned(),
        "map" => ", not a table".to_owned(),
        found => format!(", not the {found}"),
    };
    let expected = match expected {
        "i64" => "an integer",
        "a sequence" => "a list",
        "a map" => "a table",
        expected => expected,
    };
    let message = format!("{} must be {expected}{found}", path.key());
    let key = path.last();
    let help = match (expected, path.keys.len()) {
        ("a list", 1) => format!("write [[{key}]]"),
        ("a table", 1) => format!("write [{key}]"),
        ("a string", _) if is_time(key) => {
            "write a time as a string with its unit, such as \"100ms\"".to_owned()
        }
        ("a string", _) => "write it in quotes".to_owned(),
        ("an integer", _) => "write a whole number without quotes".to_owned(),
        ("a boolean", _) => "write true or false without quotes".to_owned(),
        ("a list", _) => format!("write {key} = [...]"),
        ("a table", _) => format!("write {key} = {{ name = ... }}"),
        _ => return Fault::without_help(message),
    };
    Fault::new(message, help)
}

fn is_time(key: &str) -> bool {
    key.ends_with("interval") || key.ends_with("timeout") || matches!(key, "lease" | "hold_down")
}
