//! What a health check tells others: part of the daemon's status.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::sample::{Outcome, Sample};
use crate::config::Check;
use crate::timestamp::Timestamp;

/// What a health check believes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// It has not seen enough yet: what was known before holds.
    #[default]
    Unknown,
    /// What it looks at does its work.
    Healthy,
    /// What it looks at does not.
    Sick,
}

/// A health check has changed its mind, or has something new to warn of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The check's name.
    pub check: String,
    /// When.
    pub at: Timestamp,
    /// What it believes now.
    pub standing: Standing,
    /// Why, in words.
    pub reason: String,
    /// What the operator should know although it is healthy.
    pub warning: Option<String>,
}

/// The state of a health check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckStatus {
    /// Its name.
    pub name: String,
    /// `https`, `http`, `tcp`, `exec`, `interface` or `process`.
    pub kind: String,
    /// What it looks at: a URL, a program, a name.
    pub target: String,
    /// What it believes.
    pub standing: Standing,
    /// Why, in words.
    pub reason: String,
    /// What the operator should know although it is healthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
    /// Since when it believes so.
    pub since: Timestamp,
    /// When the last probe ended.
    pub last_probe: Option<Timestamp>,
    /// What the last probe found, in words.
    pub last_answer: Option<String>,
    /// How long the last probe took that passed.
    pub latency: Option<Latency>,
    /// Whether it is judged with the tolerance of the node that holds the addresses.
    pub holder: bool,
    /// How often it fell lately.
    pub flaps: u32,
    /// Until when it stays sick although it may answer: it fell too often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_until: Option<Timestamp>,
    /// How many probes ended how.
    pub samples: Counts,
    /// How long the probes took that passed.
    pub latency_histogram: Histogram,
}

impl CheckStatus {
    /// That of a check which knows nothing yet.
    pub(super) fn new(check: &Check) -> Self {
        Self {
            name: check.name.clone(),
            kind: check.probe.kind().to_owned(),
            target: check.probe.to_string(),
            standing: Standing::Unknown,
            reason: "not probed yet".to_owned(),
            warning: None,
            since: Timestamp::now(),
            last_probe: None,
            last_answer: None,
            latency: None,
            holder: false,
            flaps: 0,
            held_until: None,
            samples: Counts::default(),
            latency_histogram: Histogram::default(),
        }
    }

    /// Takes note of a sample.
    pub(super) fn note(&mut self, sample: &Sample, counts: bool) {
        self.last_probe = Some(Timestamp::now());
        self.last_answer = Some(sample.words.clone());
        let Counts { pass, warn, fail, refused, timeout, discarded } = &mut self.samples;
        let counter = match sample.outcome {
            _ if !counts => discarded,
            Outcome::Pass if sample.warning.is_some() => warn,
            Outcome::Pass => pass,
            Outcome::Fail | Outcome::Broken => fail,
            Outcome::Refused => refused,
            Outcome::Timeout => timeout,
        };
        *counter += 1;
        if sample.outcome == Outcome::Pass {
            self.latency = Some(sample.latency);
            self.latency_histogram.observe(sample.latency.total_us);
        }
    }
}

/// The parts of a probe, in microseconds. Absent: there is no such part, or it was not reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// To find the addresses of a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolve_us: Option<u64>,
    /// To be connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_us: Option<u64>,
    /// To agree on TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_us: Option<u64>,
    /// From the question to the whole answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer_us: Option<u64>,
    /// All together.
    pub total_us: u64,
}

/// How many probes ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// All was well.
    pub pass: u64,
    /// Well, with a warning.
    pub warn: u64,
    /// Answered that it is not well, answered nonsense, or hung up.
    pub fail: u64,
    /// Nobody there.
    pub refused: u64,
    /// No answer in time.
    pub timeout: u64,
    /// Not counted, because this daemon itself was kept from running.
    pub discarded: u64,
}

/// How many probes took how long.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histogram {
    /// How many took no longer than the bound of the same index in [`Histogram::BOUNDS_US`]; the
    /// last one counts those that took longer than all. Not cumulative.
    pub buckets: [u64; Histogram::BOUNDS_US.len() + 1],
    /// The sum of all, in microseconds.
    pub sum_us: u64,
}

impl Histogram {
    /// Upper bounds in microseconds.
    pub const BOUNDS_US: [u64; 12] = [
        500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
        5_000_000,
    ];

    /// Counts one.
    pub fn observe(&mut self, took_us: u64) {
        let index = Self::BOUNDS_US.partition_point(|&bound| bound < took_us);
        self.buckets[index] += 1;
        self.sum_us = self.sum_us.saturating_add(took_us);
    }

    /// How many there are.
    #[cfg(test)]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

/// Whole microseconds.
pub fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_the_bucket_below_it() {
        let mut histogram = Histogram::default();
        for took in [0, 500, 501, 5_000_000, 5_000_001, u64::MAX] {
            histogram.observe(took);
        }
        assert_eq!(histogram.buckets, [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2]);
        assert_eq!((histogram.count(), histogram.sum_us), (6, u64::MAX));
    }
}
