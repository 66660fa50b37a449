//! What is wrong with a configuration, where, and what to do about it.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::PathBuf;

use super::NodeName;

/// At most this many problems are shown at once.
const MAX_SHOWN: usize = 20;
/// A longer line is not shown, only its place.
const MAX_LINE: usize = 160;
/// A longer text, such as one that quotes a long value, is cut.
const MAX_TEXT: usize = 400;

/// Why there is no configuration. The text is for the operator: where, what and what to do.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read, or is not text.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is larger than any configuration.
    #[error("{}: larger than {} KiB; this is no mainstay configuration", path.display(), super::MAX_SIZE / 1024)]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The file says something wrong.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The file does not name this node.
    #[error(
        "{file}: no [[node]] is named `{node}`\n   \
         help: the nodes are {}; choose with --node, or add this one to the file",
        list(known)
    )]
    UnknownNode {
        /// The file.
        file: String,
        /// The node that was asked for.
        node: NodeName,
        /// The nodes in the file.
        known: Vec<NodeName>,
    },
}

/// Everything that is wrong with a file, in the order of its lines.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub struct Invalid {
    diagnostics: Vec<Diagnostic>,
    not_shown: usize,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, diagnostic) in self.diagnostics.iter().enumerate() {
            let separator = if i == 0 { "" } else { "\n\n" };
            write!(f, "{separator}{diagnostic}")?;
        }
        match self.not_shown {
            0 => Ok(()),
            n => write!(f, "\n\nand {n} more"),
        }
    }
}

/// One problem and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Diagnostic {
    file: String,
    /// From 1.
    line: usize,
    /// From 1, in characters.
    column: usize,
    message: String,
    excerpt: Option<Excerpt>,
    help: Option<String>,
}

/// The offending line.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Excerpt {
    text: String,
    /// How many characters are at fault, from the column on.
    width: usize,
}

impl Diagnostic {
    fn new(file: &str, text: &str, problem: &Problem) -> Self {
        let start = text.floor_char_boundary(problem.span.start);
        let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let content = text[line_start..].lines().next().unwrap_or_default();
        let line_end = line_start + content.len();
        let start = start.min(line_end);
        let end = text.floor_char_boundary(problem.span.end).clamp(start, line_end);
        let excerpt = (content.chars().count() <= MAX_LINE).then(|| Excerpt {
            text: printable(content),
            width: text[start..end].chars().count().max(1),
        });
        Self {
            file: file.to_owned(),
            line: text[..line_start].matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            message: cut(&problem.fault.message),
            excerpt,
            help: problem.fault.help.as_deref().map(cut),
        }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column, message, excerpt, help } = self;
        write!(f, "{file}:{line}:{column}: {message}")?;
        if let Some(Excerpt { text, width }) = excerpt {
            let before = text.chars().take(column - 1);
            let indent: String = before.map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
            write!(f, "\n{line:>5} | {text}\n      | {indent}{}", "^".repeat(*width))?;
        }
        match help {
            Some(help) => write!(f, "\n   help: {help}"),
            None => Ok(()),
        }
    }
}

/// What is wrong with a value, before it is known where the value stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    message: String,
    help: Option<String>,
}

impl Fault {
    /// What is wrong and the rule that says so, and what to do.
    pub(super) fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: Some(help.into()) }
    }

    /// In one line, where there is no file to show.
    pub(super) fn in_words(self) -> String {
        let help = self.help.map(|help| format!(": {help}")).unwrap_or_default();
        self.message + &help
    }

    /// What is wrong, where only the operator can know what was meant.
    pub(super) fn without_help(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None }
    }
}

#[derive(PartialEq, Eq)]
struct Problem {
    span: Range<usize>,
    fault: Fault,
}

/// The problems found so far.
#[derive(Default)]
pub(super) struct Problems(Vec<Problem>);

impl Problems {
    /// Adds one at a byte range of the file.
    pub(super) fn add(&mut self, span: Range<usize>, fault: Fault) {
        self.0.push(Problem { span, fault });
    }

    /// The value, if it is right.
    pub(super) fn check<T>(&mut self, span: Range<usize>, value: Result<T, Fault>) -> Option<T> {
        value.map_err(|fault| self.add(span, fault)).ok()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The error that shows them all, in the order of the file.
    pub(super) fn into_error(mut self, file: &str, text: &str) -> ConfigError {
        self.0.sort_by_key(|problem| problem.span.start);
        self.0.dedup();
        let not_shown = self.0.len().saturating_sub(MAX_SHOWN);
        let shown = self.0.iter().take(MAX_SHOWN);
        let diagnostics = shown.map(|problem| Diagnostic::new(file, text, problem)).collect();
        Invalid { diagnostics, not_shown }.into()
    }
}

/// A line that cannot steer a terminal. Keeps the number of characters.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() && c != '\t' { char::REPLACEMENT_CHARACTER } else { c })
        .collect()
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => printable(&text[..end]) + " ...",
        None => printable(text),
    }
}

/// The names as a sentence has them.
pub(super) fn list<T: fmt::Display>(names: &[T]) -> String {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    names.join(", ")
}

/// The known name that a mistyped one was probably meant to be.
pub(super) fn closest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    /// No longer name is compared: the work grows with the square.
    const MAX_NAME: usize = 64;
    if name.len() > MAX_NAME {
        return None;
    }
    let name = name.to_lowercase();
    let known: Vec<&str> = known.into_iter().filter(|known| known.len() <= MAX_NAME).collect();
    let typos = |known: &str| strsim::osa_distance(&name, known);
    let close = |known: &str| typos(known) <= name.len().max(known.len()) / 3;
    let cut_short = |known: &str| name.len() >= 3 && known.starts_with(&name);
    let best = known.iter().copied().min_by_key(|known| typos(known));
    best.filter(|best| close(best)).or_else(|| known.into_iter().find(|known| cut_short(known)))
}
