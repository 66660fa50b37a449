//! What one probe found.

use std::time::Duration;

use super::status::Latency;

/// What one probe found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// What it means.
    pub outcome: Outcome,
    /// What happened, in words: `HTTP 500: etcd failed`.
    pub words: String,
    /// What the operator should know although the probe passed.
    pub warning: Option<String>,
    /// How long it took.
    pub latency: Latency,
    /// By how much this thread was kept from running meanwhile.
    pub stalled: Duration,
}

/// What a probe means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All is well.
    Pass,
    /// It answered that it is not well, or answered nonsense.
    Fail,
    /// It hung up without an answer.
    Broken,
    /// Nobody is there: the kernel says so.
    Refused,
    /// No answer in time; also if the question could not be asked.
    Timeout,
}

impl Sample {
    /// One without a warning and without times.
    pub fn new(outcome: Outcome, words: impl Into<String>) -> Self {
        Self {
            outcome,
            words: words.into(),
            warning: None,
            latency: Latency::default(),
            stalled: Duration::ZERO,
        }
    }

    /// [`Outcome::Pass`].
    pub fn pass(words: impl Into<String>) -> Self {
        Self::new(Outcome::Pass, words)
    }

    /// [`Outcome::Fail`].
    pub fn fail(words: impl Into<String>) -> Self {
        Self::new(Outcome::Fail, words)
    }

    /// [`Outcome::Refused`].
    pub fn refused(words: impl Into<String>) -> Self {
        Self::new(Outcome::Refused, words)
    }

    /// [`Outcome::Timeout`].
    pub fn timeout(words: impl Into<String>) -> Self {
        Self::new(Outcome::Timeout, words)
    }
}
