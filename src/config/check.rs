//! `[[check]]`: what a health check looks at, and when it believes what it sees.

use std::time::Duration;

use toml::Spanned;

use super::error::{Fault, Problems};
use super::probe::Probe;
use super::raw::{Number, RawCheck, Section, Text, check};
use super::value;

const DEFAULT_INTERVAL: Duration = Duration::from_secs(1);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(1);
const DEFAULT_RISE: u32 = 2;
const DEFAULT_FALL: u32 = 3;
const MAX_COUNT: i64 = 1000;
const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(3600);

/// A health check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Its name, by which virtual routers refer to it.
    pub name: String,
    /// What it looks at.
    pub probe: Probe,
    /// From the start of one probe to the start of the next.
    pub interval: Duration,
    /// A probe that takes longer has failed.
    pub timeout: Duration,
    /// When it believes what it sees.
    pub tolerance: Tolerance,
}

/// How much a health check has to see before it changes its mind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tolerance {
    /// So many successes in a row make it healthy.
    pub rise: u32,
    /// So many failures in a row make it sick.
    pub fall: u32,
    /// [`Self::fall`] on the router that holds the addresses; not less than that.
    pub holder_fall: u32,
    /// [`Self::fall`] where the failures are timeouts. The holder tolerates twice as many.
    pub timeout_fall: u32,
    /// How long it stays sick at least, once it fell.
    pub hold_down: Duration,
}

impl Check {
    /// `None` if something is wrong; the problems then say what.
    pub(super) fn new(raw: Section<RawCheck>, problems: &mut Problems) -> Option<Spanned<Self>> {
        let span = raw.span.clone();
        let mut raw = raw.value;
        let probe = Probe::take(&mut raw, span, problems);
        let name = check(raw.name, problems, value::name);
        let mut time = |it: Option<Text>| {
            let rule = |text: String| value::duration_within(&text, SHORTEST, LONGEST);
            it.and_then(|it| check(it, problems, rule)).map(Spanned::into_inner)
        };
        let interval = time(raw.interval).unwrap_or(DEFAULT_INTERVAL);
        let timeout = time(raw.timeout).unwrap_or(DEFAULT_TIMEOUT);
        let hold_down = time(raw.hold_down).unwrap_or_default();
        let mut number = |it: Option<Number>| it.and_then(|it| check(it, problems, count));
        let [rise, fall, holder_fall, timeout_fall] =
            [raw.rise, raw.fall, raw.holder_fall, raw.timeout_fall].map(&mut number);
        let fall = fall.map_or(DEFAULT_FALL, Spanned::into_inner);
        if let Some(own) = holder_fall.as_ref().filter(|own| *own.get_ref() < fall) {
            let fault = Fault::new(
                format!("the holder would give up sooner than at the {fall} failures of `fall`"),
                "choose a holder_fall that is not below fall",
            );
            problems.add(own.span(), fault);
        }
        let tolerance = Tolerance {
            rise: rise.map_or(DEFAULT_RISE, Spanned::into_inner),
            fall,
            holder_fall: holder_fall.map_or(fall, Spanned::into_inner),
            timeout_fall: timeout_fall.map_or(fall, Spanned::into_inner),
            hold_down,
        };
        let name = name?;
        let place = name.span();
        let check = Self { name: name.into_inner(), probe: probe?, interval, timeout, tolerance };
        Some(Spanned::new(place, check))
    }
}

fn count(number: i64) -> Result<u32, Fault> {
    u32::try_from(number).ok().filter(|_| (1..=MAX_COUNT).contains(&number)).ok_or_else(|| {
        Fault::new(format!("{number} is out of range"), format!("choose 1 to {MAX_COUNT}"))
    })
}
