//! Malformed adverts in numbers.

mod malformed;
mod sender;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde::Serialize;

use self::sender::Sender;
use crate::{Lab, LabError, Port, Stamp, sleep_until};

pub use self::malformed::{Malformed, lower_priority};

/// How often a fast flood sends.
const TURN: Duration = Duration::from_micros(400);
/// What is more than this behind its schedule is left out: no burst makes up for a stall.
const LATEST: Duration = Duration::from_millis(20);

/// What a flood did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FloodReport {
    /// How many frames left.
    pub sent: u64,
    /// How many the interface did not take.
    pub refused: u64,
    /// How long it lasted.
    pub span: Duration,
}

impl FloodReport {
    /// Frames a second.
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    pub fn rate(&self) -> f64 {
        self.sent as f64 / self.span.as_secs_f64().max(1e-9)
    }
}

/// A flood from the stranger, in a thread of ordinary priority. It ends at its bound, or when
/// dropped.
#[derive(Debug)]
pub struct Flood {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<FloodReport>>,
}

impl Flood {
    /// Sends `frames` in turn, `rate` of them a second, for `bound`.
    ///
    /// # Errors
    /// If the stranger's interface cannot be used, or there is nothing to send.
    pub fn start(
        lab: &Lab,
        frames: Vec<Vec<u8>>,
        rate: u32,
        bound: Duration,
    ) -> Result<Self, LabError> {
        if frames.is_empty() || rate == 0 {
            return Err(LabError::Invalid("a flood of nothing".into()));
        }
        let mut sender = Sender::open(&lab.namespace(Port::Stranger), "eth0", frames)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || run(&mut sender, rate, bound, &stopped));
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// If its thread panicked.
    pub fn wait(mut self) -> Result<FloodReport, LabError> {
        let joined = self.thread.take().map(JoinHandle::join);
        let report = joined.and_then(Result::ok);
        report.ok_or_else(|| LabError::Invalid("the flood's thread panicked".into()))
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(sender: &mut Sender, rate: u32, bound: Duration, stop: &AtomicBool) -> FloodReport {
    let per_second = u64::from(rate);
    let turn = TURN.max(Duration::from_secs(1) / rate);
    let start = Stamp::now();
    let mut report = FloodReport::default();
    let mut schedule = Schedule { start, per_second, done: 0 };
    let mut next = start;
    while next < start + bound && !stop.load(Ordering::Relaxed) {
        sleep_until(next);
        let now = Stamp::now();
        let due = schedule.due(now);
        let (sent, refused) = sender.send(due);
        report.sent += sent;
        report.refused += refused;
        next = (next + turn).max(now);
    }
    report.span = Stamp::now() - start;
    report
}

/// How many frames are due when.
#[derive(Debug)]
struct Schedule {
    start: Stamp,
    per_second: u64,
    /// Up to which frame of the schedule all have been sent or left out.
    done: u64,
}

impl Schedule {
    /// How many to send now. They count as sent.
    fn due(&mut self, now: Stamp) -> u64 {
        let by = |at: Stamp| {
            let nanos = (at - self.start).as_nanos() * u128::from(self.per_second);
            // The first is due at the start.
            u64::try_from(nanos / 1_000_000_000).unwrap_or(u64::MAX) + 1
        };
        let until = by(now);
        let late = if now - self.start > LATEST { by(now - LATEST) } else { 0 };
        let from = self.done.max(late.saturating_sub(1));
        self.done = until;
        until.saturating_sub(from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: i64) -> Stamp {
        Stamp::from_nanos(micros * 1000)
    }

    #[test]
    fn the_rate_is_kept_and_a_stall_is_not_made_up_for() {
        let mut schedule = Schedule { start: at(0), per_second: 80_000, done: 0 };
        assert_eq!(schedule.due(at(0)), 1);
        assert_eq!(schedule.due(at(400)), 32);
        assert_eq!(schedule.due(at(400)), 0);
        assert_eq!(schedule.due(at(1200)), 64);
        // 20 ms of the 1 s.
        assert_eq!(schedule.due(at(1_001_200)), 1601);
        assert_eq!(schedule.due(at(1_001_600)), 32);
    }

    #[test]
    fn a_slow_flood_sends_one_at_a_time() {
        let mut schedule = Schedule { start: at(0), per_second: 50, done: 0 };
        let sent: Vec<u64> = (0..4).map(|turn| schedule.due(at(turn * 20_000))).collect();
        assert_eq!(sent, [1; 4]);
    }
}
