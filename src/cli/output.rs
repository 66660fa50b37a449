//! Writing to the terminal, or to whatever stands in its place.

use std::io::{self, IsTerminal, Write};

use anyhow::Context;

use crate::exit::{Exit, Failure};

/// Writes to standard output. A reader that has gone, such as `head`, is no failure.
pub fn write(bytes: &[u8]) -> Result<Exit, Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        written => written.context("cannot write to standard output")?,
    }
    Ok(Exit::Ok)
}

/// Writes why a command did not succeed.
pub fn complain(failure: &Failure) {
    let style = Style::of(&io::stderr());
    // Nobody is left to be told if this fails.
    let _ = writeln!(io::stderr(), "{} {failure}", style.paint(Colour::Red, "mainstay:"));
}

/// Whether to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    is_coloured: bool,
}

/// The colours in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// Wrong.
    Red,
    /// Well.
    Green,
    /// To be looked at.
    Yellow,
    /// A heading.
    Bold,
    /// Less important.
    Dim,
}

impl Style {
    /// No colours.
    #[cfg(test)]
    pub const PLAIN: Self = Self { is_coloured: false };

    /// Colours on a terminal, unless the user wants none (<https://no-color.org>).
    pub fn of(stream: &impl IsTerminal) -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { is_coloured: stream.is_terminal() && !refused && !is_dumb }
    }

    /// Whether there are colours.
    pub fn is_coloured(self) -> bool {
        self.is_coloured
    }

    /// The text in a colour.
    pub fn paint(self, colour: Colour, text: &str) -> String {
        if !self.is_coloured {
            return text.to_owned();
        }
        let code = match colour {
            Colour::Red => 31,
            Colour::Green => 32,
            Colour::Yellow => 33,
            Colour::Bold => 1,
            Colour::Dim => 2,
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}
