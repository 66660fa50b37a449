//! From samples to a verdict. Reads no clock: time is an argument.
//!
//! * *Refused* makes sick at once: the kernel says that nobody is there.
//! * *Failures* and *timeouts* have to come in a row. A timeout may be overload, which a move of the
//!   addresses cannot cure: the node that holds them tolerates twice as many as the others, so
//!   that under a common overload the others are sick before it and nothing moves.
//! * The first fall in a while is free, each further one keeps the check sick for longer.
//! * A *challenge* (the Active says that it is degraded) is no time for tolerance: who fails now must
//!   not take over.
//! * Who has not seen enough yet tolerates as much: what was believed before the daemon was started
//!   stands meanwhile, and a timeout just after a restart is no better reason to move the addresses
//!   than any other.

use std::time::{Duration, Instant};

use super::sample::{Outcome, Sample};
use super::status::Standing;
use crate::config::Tolerance;

/// A probe during which this thread was kept from running for longer says nothing.
pub const STALL: Duration = Duration::from_millis(200);
/// So many samples in a row are put off at most, because they say nothing.
const MAX_DOUBTS: u32 = 5;
/// Who hangs up is asked again so often: it may be about to die, and not know it.
const MAX_BROKEN: u32 = 2;
/// At least so long a check stays sick after the second fall.
const SECOND_HOLD: Duration = Duration::from_secs(30);
/// And at most so long, unless the configuration wants more.
const LONGEST_HOLD: Duration = Duration::from_secs(600);
/// Who was healthy for so long starts anew.
const QUIET: Duration = Duration::from_secs(600);
/// In need, who has been well for so long is kept back no longer.
const STEADY: Duration = Duration::from_secs(10);

/// What to do after a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Probe when it is time.
    Wait,
    /// Probe again at once; the sample did not count.
    Again,
}

/// The judgement of one check.
#[derive(Clone, Debug)]
pub struct Policy {
    tolerance: Tolerance,
    state: State,
    /// Failures since the last pass, and passes since the last failure.
    failures: Failures,
    passes: u32,
    /// Samples in a row that said nothing.
    doubts: u32,
    /// When the Active was heard to be degraded, until a probe after that has passed.
    challenged: Option<Instant>,
    flaps: u32,
    last: Option<Sample>,
    last_failure: String,
}

#[derive(Clone, Debug)]
enum State {
    Unknown,
    Healthy { since: Instant },
    Sick(Sick),
}

#[derive(Clone, Debug, Default)]
struct Sick {
    held_until: Option<Instant>,
    passing_since: Option<Instant>,
    /// By a challenge alone: the first pass ends it.
    provisional: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Failures {
    fails: u32,
    timeouts: u32,
}

impl Failures {
    const fn count(self) -> u32 {
        self.fails.saturating_add(self.timeouts)
    }

    const fn add(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Timeout => self.timeouts = self.timeouts.saturating_add(1),
            _ => self.fails = self.fails.saturating_add(1),
        }
    }

    /// Whether they are all that is tolerated. Where failures and timeouts mix, each uses up its
    /// share.
    fn exhaust(self, tolerance: &Tolerance, holder: bool) -> bool {
        let [fail_limit, timeout_limit] = limits(tolerance, holder).map(u64::from);
        u64::from(self.fails) * timeout_limit + u64::from(self.timeouts) * fail_limit
            >= fail_limit * timeout_limit
    }
}

/// How many failures, and how many timeouts, make sick.
fn limits(tolerance: &Tolerance, holder: bool) -> [u32; 2] {
    let Tolerance { fall, holder_fall, timeout_fall, .. } = *tolerance;
    if holder { [holder_fall, holder_fall.max(2 * timeout_fall)] } else { [fall, timeout_fall] }
}

impl Policy {
    /// Knows nothing yet.
    pub fn new(tolerance: Tolerance) -> Self {
        Self {
            tolerance,
            state: State::Unknown,
            failures: Failures::default(),
            passes: 0,
            doubts: 0,
            challenged: None,
            flaps: 0,
            last: None,
            last_failure: String::new(),
        }
    }

    /// Goes on with what it believes, by another tolerance and perhaps about something else.
    pub fn change(&mut self, tolerance: Tolerance) {
        *self = Self {
            state: self.state.clone(),
            flaps: self.flaps,
            last: self.last.take(),
            last_failure: std::mem::take(&mut self.last_failure),
            ..Self::new(tolerance)
        };
    }

    /// Takes a sample of a probe that started and ended then. `holder`: this node has the addresses.
    pub fn take(&mut self, started: Instant, now: Instant, sample: Sample, holder: bool) -> Next {
        if self.is_doubtful(&sample) {
            self.doubts += 1;
            return Next::Again;
        }
        self.doubts = 0;
        match sample.outcome {
            Outcome::Pass => self.pass(started, now),
            outcome => {
                self.failures.add(outcome);
                self.last_failure.clone_from(&sample.words);
                self.passes = 0;
                self.fail(now, outcome, holder);
            }
        }
        self.last = Some(sample);
        Next::Wait
    }

    /// The Active, another node, is heard to be degraded.
    pub fn challenge(&mut self, now: Instant) {
        let has_failed = self.failures.count() > 0;
        match &mut self.state {
            State::Unknown if has_failed => self.state = State::Sick(Sick::default()),
            State::Healthy { .. } if has_failed => self.doubt(),
            State::Unknown | State::Healthy { .. } => self.challenged = Some(now),
            State::Sick(Sick { held_until: Some(until), passing_since: Some(passing), .. }) => {
                *until = (*until).min(*passing + STEADY);
            }
            State::Sick(_) => {}
        }
    }

    fn is_doubtful(&self, sample: &Sample) -> bool {
        match sample.outcome {
            Outcome::Pass | Outcome::Refused => false,
            _ if sample.stalled > STALL => self.doubts < MAX_DOUBTS,
            Outcome::Broken => self.doubts < MAX_BROKEN,
            Outcome::Fail | Outcome::Timeout => false,
        }
    }

    fn pass(&mut self, started: Instant, now: Instant) {
        self.failures = Failures::default();
        self.passes = self.passes.saturating_add(1);
        self.challenged = self.challenged.filter(|&since| started < since);
        let enough = self.passes >= self.tolerance.rise;
        let risen = match &mut self.state {
            State::Healthy { .. } => false,
            State::Unknown => enough,
            State::Sick(sick) => {
                sick.passing_since.get_or_insert(now);
                (enough || sick.provisional) && sick.held_until.is_none_or(|until| now >= until)
            }
        };
        if risen {
            self.state = State::Healthy { since: now };
        }
    }

    fn fail(&mut self, now: Instant, outcome: Outcome, holder: bool) {
        let challenged = self.challenged.take().is_some() && !holder;
        let exhausted =
            outcome == Outcome::Refused || self.failures.exhaust(&self.tolerance, holder);
        match &mut self.state {
            // No fall: it was never seen to be well.
            State::Unknown if exhausted || challenged => {
                self.state = State::Sick(Sick::default());
            }
            State::Unknown => {}
            State::Healthy { since } if exhausted => {
                if now.saturating_duration_since(*since) >= QUIET {
                    self.flaps = 0;
                }
                self.fall(now);
            }
            State::Healthy { .. } if challenged => self.doubt(),
            State::Healthy { .. } => {}
            State::Sick(sick) if sick.provisional && exhausted => self.fall(now),
            State::Sick(sick) => sick.passing_since = None,
        }
    }

    fn fall(&mut self, now: Instant) {
        self.flaps = self.flaps.saturating_add(1);
        let hold = hold(self.tolerance.hold_down, self.flaps);
        let held_until = (!hold.is_zero()).then(|| now + hold);
        self.state = State::Sick(Sick { held_until, ..Sick::default() });
    }

    /// Sick until the next pass.
    fn doubt(&mut self) {
        self.state = State::Sick(Sick { provisional: true, ..Sick::default() });
    }

    /// What it believes.
    pub const fn standing(&self) -> Standing {
        match self.state {
            State::Unknown => Standing::Unknown,
            State::Healthy { .. } => Standing::Healthy,
            State::Sick(_) => Standing::Sick,
        }
    }

    /// What the operator should know although all is well.
    pub fn warning(&self) -> Option<&str> {
        let is_healthy = self.standing() == Standing::Healthy;
        self.last.as_ref().filter(|_| is_healthy)?.warning.as_deref()
    }

    /// Until when it stays sick although it passes.
    pub fn held_until(&self, now: Instant) -> Option<Instant> {
        match &self.state {
            State::Sick(sick) => sick.held_until.filter(|&until| until > now),
            State::Unknown | State::Healthy { .. } => None,
        }
    }

    /// How often it fell lately.
    pub fn flaps(&self, now: Instant) -> u32 {
        match self.state {
            State::Healthy { since } if now.saturating_duration_since(since) >= QUIET => 0,
            _ => self.flaps,
        }
    }

    /// Why it believes so, in words.
    pub fn reason(&self, now: Instant, holder: bool) -> String {
        let Some(last) = &self.last else { return "not probed yet".to_owned() };
        let (words, before) = (&last.words, &self.last_failure);
        let rise = self.tolerance.rise;
        match &self.state {
            State::Unknown | State::Healthy { .. } if self.failures.count() > 0 => {
                let [fails, timeouts] = limits(&self.tolerance, holder);
                let limit = if last.outcome == Outcome::Timeout { timeouts } else { fails };
                format!("{words} ({} in a row; {limit} make it sick)", self.failures.count())
            }
            State::Unknown => format!("{words} ({} of {rise} in a row)", self.passes),
            State::Healthy { .. } => words.clone(),
            State::Sick(sick) if self.passes > 0 => match self.held_until(now) {
                Some(until) if sick.passing_since.is_some() => format!(
                    "it answers, but fell {} times lately and is kept back for {} more; \
                     before: {before}",
                    self.flaps,
                    crate::timestamp::span(until.saturating_duration_since(now)),
                ),
                _ => format!(
                    "it answers again ({} of {rise} in a row); before: {before}",
                    self.passes
                ),
            },
            State::Sick(sick) if sick.provisional => {
                format!("{before}; this counts at once, as the Active is degraded")
            }
            State::Sick(_) => match self.failures.count() {
                count if count > 1 && last.outcome != Outcome::Refused => {
                    format!("{before}, {count} times in a row")
                }
                _ => before.clone(),
            },
        }
    }
}

/// How long a check stays sick at least after its `flaps`-th fall.
fn hold(first: Duration, flaps: u32) -> Duration {
    let Some(doublings) = flaps.checked_sub(2) else { return first };
    let second = (2 * first).max(SECOND_HOLD);
    second
        .saturating_mul(1_u32.checked_shl(doublings).unwrap_or(u32::MAX))
        .min(LONGEST_HOLD.max(first))
}

#[cfg(test)]
#[path = "tests/policy.rs"]
mod tests;
