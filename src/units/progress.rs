//! How a request that takes its time tells how it goes.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::mpsc;

use crate::timestamp::Timestamp;

/// One line of the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// When.
    pub at: Timestamp,
    /// About which unit; absent if about none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// What, in words; empty if only to show that there is somebody.
    pub text: String,
    /// How it ended; on the last line only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// The result, for programs.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub data: Value,
}

impl Step {
    /// Only shows that there is somebody.
    pub fn silence() -> Self {
        let text = String::new();
        Self { at: Timestamp::now(), unit: None, text, outcome: None, data: Value::Null }
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// As it should.
    Done,
    /// It did not succeed.
    Failed,
    /// It would do harm.
    Refused,
}

/// How a request came to its end, before it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// How.
    pub outcome: Outcome,
    /// What there is to say, and what to do.
    pub text: String,
    /// The result, for programs.
    pub data: Value,
}

impl End {
    /// It went as it should.
    pub fn done(text: impl Into<String>) -> Self {
        Self { outcome: Outcome::Done, text: text.into(), data: Value::Null }
    }

    /// It did not succeed.
    pub fn failed(text: impl Into<String>) -> Self {
        Self { outcome: Outcome::Failed, text: text.into(), data: Value::Null }
    }

    /// It would do harm.
    pub fn refused(text: impl Into<String>) -> Self {
        Self { outcome: Outcome::Refused, text: text.into(), data: Value::Null }
    }

    /// Adds the result.
    pub fn with(self, data: impl Serialize) -> Self {
        // Plain data always have a JSON form.
        Self { data: serde_json::to_value(data).unwrap_or_default(), ..self }
    }
}

/// Tells whoever asked how it goes; they may have gone.
#[derive(Clone, Debug)]
pub struct Progress(mpsc::UnboundedSender<Step>);

impl Progress {
    /// One, and where its steps come out.
    pub fn new() -> (Self, mpsc::UnboundedReceiver<Step>) {
        let (sender, steps) = mpsc::unbounded_channel();
        (Self(sender), steps)
    }

    /// Says something.
    pub fn say(&self, text: impl Into<String>) {
        self.send(None, text.into(), None, Value::Null);
    }

    /// Says something about a unit.
    pub fn say_of(&self, unit: &str, text: impl Into<String>) {
        self.send(Some(unit.to_owned()), text.into(), None, Value::Null);
    }

    /// Says how it ended.
    pub fn end(&self, end: End) {
        self.send(None, end.text, Some(end.outcome), end.data);
    }

    fn send(&self, unit: Option<String>, text: String, outcome: Option<Outcome>, data: Value) {
        let _ = self.0.send(Step { at: Timestamp::now(), unit, text, outcome, data });
    }
}

impl From<String> for End {
    /// What cannot be done now.
    fn from(text: String) -> Self {
        Self::refused(text)
    }
}
