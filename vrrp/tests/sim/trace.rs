//! The readable trace of a run: virtual time, node, event, effects.

use super::clock::{Time, US};

/// Lines, or nothing where nobody wants to read them.
pub struct Trace {
    lines: Option<Vec<String>>,
}

impl Trace {
    pub fn new(wanted: bool) -> Self {
        Self { lines: wanted.then(Vec::new) }
    }

    pub fn is_on(&self) -> bool {
        self.lines.is_some()
    }

    pub fn push(&mut self, at: Time, who: &str, what: &str) {
        if let Some(lines) = &mut self.lines {
            let micros = at / US;
            lines.push(format!(
                "{:>6}.{:06} s  {who:<3} {what}",
                micros / 1_000_000,
                micros % 1_000_000
            ));
        }
    }

    pub fn into_lines(self) -> Vec<String> {
        self.lines.unwrap_or_default()
    }
}

/// Adds a line about a node to a world's trace.
macro_rules! say {
    ($world:expr, $node:expr, $($what:tt)+) => {
        if $world.trace.is_on() {
            let what = format!($($what)+);
            let who = $world.nodes[$node].name();
            $world.trace.push($world.now, &who, &what);
        }
    };
}
pub(super) use say;
