//! What clients notice: a steady UDP probe, a steady HTTPS client, and the metrics of both.

use std::time::Duration;

use super::{Bar, Metric, Reading, count};
use crate::{Bench, Https, HttpsLog, LabError, Node, Probe, ProbeLog, Stamp, sleep_until};

/// 1 kHz of UDP.
const PROBE: Duration = Duration::from_millis(1);
/// 100 Hz of HTTPS.
const REQUEST: Duration = Duration::from_millis(10);
/// No scenario lasts longer.
const BOUND: Duration = Duration::from_secs(900);
/// What still hangs after that is told as failed.
const TAIL: Duration = Duration::from_millis(300);

static LOST: Metric = Metric { name: "1 kHz probes lost", unit: "", bar: Bar::Every(0.0) };
/// A request whose connection is open in the very moment of the move is cut off: one in eight runs.
static FAILED: Metric =
    Metric { name: "100 Hz HTTPS requests failed", unit: "", bar: Bar::Median(0.0) };
static SILENCE: Metric = Metric { name: "silence for the probe", unit: "ms", bar: Bar::None };
static SOME_FAILED: Metric =
    Metric { name: "100 Hz HTTPS requests failed", unit: "", bar: Bar::None };
static SLOWEST: Metric = Metric { name: "slowest HTTPS request", unit: "ms", bar: Bar::None };

/// Both clients while they ask.
pub(super) struct Clients {
    probe: Probe,
    https: Https,
}

/// What they saw.
pub(super) struct Seen {
    pub(super) probe: ProbeLog,
    pub(super) https: HttpsLog,
    /// Until when it counts.
    pub(super) end: Stamp,
}

impl Clients {
    /// Begins; `active` answers the probe.
    pub(super) fn start(bench: &Bench, active: Node) -> Result<Self, LabError> {
        let https = Https::start(bench.lab(), bench.family(), REQUEST, BOUND)?;
        Ok(Self { probe: bench.probe_for(PROBE, active, BOUND)?, https })
    }

    /// Who answered the probe last.
    pub(super) fn probe(&self) -> &Probe {
        &self.probe
    }

    /// Ends both, a little later.
    pub(super) fn stop(self) -> Result<Seen, LabError> {
        sleep_until(Stamp::now() + TAIL);
        let end = Stamp::now();
        Ok(Seen { probe: self.probe.stop()?, https: self.https.stop()?, end })
    }
}

impl Seen {
    /// Where nothing may be lost.
    pub(super) fn unharmed(&self, from: Stamp) -> Vec<Reading> {
        vec![
            LOST.is(count(self.probe.lost(from, self.end))),
            FAILED.is(count(self.https.failed(from, self.end).count())),
            SILENCE.is(self.silence(from)),
            SLOWEST.is(millis(self.https.slowest(from, self.end))),
        ]
    }

    /// Where something must be.
    pub(super) fn harmed(&self, from: Stamp) -> Vec<Reading> {
        vec![
            SOME_FAILED.is(count(self.https.failed(from, self.end).count())),
            SILENCE.is(self.silence(from)),
        ]
    }

    fn silence(&self, from: Stamp) -> f64 {
        millis(self.probe.silence(from, self.end))
    }
}

/// A span in milliseconds.
pub(super) fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1e3
}
