//! Tables: what is seen, one letter a second, and what is believed after it.
//!
//! Seen: `p`ass, `w`arning, `f`ail, `b`roken off, `r`efused, `t`imeout, `s`talled (a failure while this
//! thread stood still), `c`hallenge (no sample). Believed: `U`nknown, `H`ealthy, `S`ick.

use proptest::prelude::*;

use super::*;

const TOLERANCE: Tolerance =
    Tolerance { rise: 2, fall: 3, holder_fall: 4, timeout_fall: 3, hold_down: Duration::ZERO };

fn sample(letter: char) -> Sample {
    let (outcome, words) = match letter {
        'p' | 'w' => (Outcome::Pass, "HTTP 200"),
        'f' | 's' => (Outcome::Fail, "HTTP 500"),
        'b' => (Outcome::Broken, "it hung up"),
        'r' => (Outcome::Refused, "connection refused"),
        _ => (Outcome::Timeout, "no answer within 1s"),
    };
    Sample {
        warning: (letter == 'w').then(|| "HTTP 401".to_owned()),
        stalled: if letter == 's' { STALL * 2 } else { STALL },
        ..Sample::new(outcome, words)
    }
}

/// A check on virtual time.
struct Bench {
    policy: Policy,
    now: Instant,
    holder: bool,
}

impl Bench {
    fn new(tolerance: Tolerance, holder: bool) -> Self {
        Self { policy: Policy::new(tolerance), now: Instant::now(), holder }
    }

    /// A healthy one.
    fn healthy(holder: bool) -> Self {
        let mut bench = Self::new(TOLERANCE, holder);
        assert_eq!(bench.see("pp"), "UH");
        bench
    }

    /// What is believed after each.
    fn see(&mut self, letters: &str) -> String {
        letters.chars().map(|letter| self.step(letter)).collect()
    }

    fn step(&mut self, letter: char) -> char {
        if letter == 'c' {
            self.policy.challenge(self.now);
        } else {
            let started = self.now;
            self.now += Duration::from_secs(1);
            self.policy.take(started, self.now, sample(letter), self.holder);
        }
        match self.policy.standing() {
            Standing::Unknown => 'U',
            Standing::Healthy => 'H',
            Standing::Sick => 'S',
        }
    }

    fn reason(&self) -> String {
        self.policy.reason(self.now, self.holder)
    }
}

#[test]
fn what_is_seen_and_what_is_believed() {
    let table = [
        ("from the start: passes have to rise in a row", "pfpp", "UUUH"),
        ("from the start, a refusal", "rpp", "SSH"),
        ("from the start: failures in a row, as ever", "fffpp", "UUSSH"),
        ("from the start: timeouts in a row", "ttpp", "UUUH"),
        ("from the start: a pass makes up for failures", "ffpff", "UUUUU"),
        ("401 and 403 are alive", "ww", "UH"),
        ("failures in a row", "ppffpfff", "UHHHHHHS"),
        ("a refusal at once", "ppr", "UHS"),
        ("timeouts in a row", "ppttptttp", "UHHHHHHSS"),
        ("failures and timeouts use up what is tolerated together", "ppftf", "UHHHS"),
        ("passes in a row", "pprpfpp", "UHSSSSH"),
        ("who hangs up once or twice is asked again", "ppbbpbbb", "UHHHHHHH"),
        ("who always hangs up fails in the end", "ppbbbbbbbbb", "UHHHHHHHHHS"),
        ("who hangs up and then is gone is gone", "ppbr", "UHHS"),
        ("what is seen in a stall does not count", "ppssssp", "UHHHHHH"),
        ("nor does it interrupt what counts", "ppffsf", "UHHHHS"),
        (
            "who stalls for ever has to believe something",
            "ppsssssssssssssssssss",
            "UHHHHHHHHHHHHHHHHHHSS",
        ),
    ];
    for (what, seen, believed) in table {
        assert_eq!(Bench::new(TOLERANCE, false).see(seen), believed, "{what}");
    }
}

#[test]
fn the_holder_tolerates_more() {
    let table = [
        ("failures: its own limit", "ppffff", "UHHHHS"),
        ("timeouts: twice as many", "pptttttt", "UHHHHHHS"),
        ("a refusal is one here too", "ppr", "UHS"),
        ("from the start, failures", "ffff", "UUUS"),
        ("from the start, timeouts: twice as many", "tttttt", "UUUUUS"),
        ("from the start, a refusal", "r", "S"),
    ];
    for (what, seen, believed) in table {
        assert_eq!(Bench::new(TOLERANCE, true).see(seen), believed, "{what}");
    }
    // Whoever asks keeps the challenge from the holder; should it become the holder just then:
    let mut bench = Bench::healthy(false);
    bench.see("c");
    bench.holder = true;
    assert_eq!(bench.see("fff"), "HHH");
    let tolerance = Tolerance { holder_fall: 9, ..TOLERANCE };
    assert_eq!(Bench::new(tolerance, true).see("ppttttttttt"), "UHHHHHHHHHS");
}

#[test]
fn a_limit_of_one_is_one_for_others_and_two_timeouts_for_the_holder() {
    let tolerance = Tolerance { rise: 1, fall: 1, holder_fall: 1, timeout_fall: 1, ..TOLERANCE };
    assert_eq!(Bench::new(tolerance, false).see("ptp"), "HSH");
    let mut holder = Bench::new(tolerance, true);
    assert_eq!(holder.see("pttpp"), "HHSHH");
    assert_eq!(holder.see("f"), "S");
}

#[test]
fn in_a_challenge_no_failure_is_tolerated() {
    let table = [
        ("the next failure counts", "ppcf", "UHHS"),
        ("a timeout too", "ppct", "UHHS"),
        ("a failure just before counts as well", "pptc", "UHHS"),
        ("one pass makes up for it", "pptcp", "UHHSH"),
        ("a pass ends the challenge", "ppcpff", "UHHHHH"),
        ("it may become a fall like any other", "ppfcffpp", "UHHSSSSH"),
        ("from the start, the next failure counts", "ctpp", "USSH"),
        ("from the start, a failure just before", "pfcpp", "UUSSH"),
        ("from the start, a pass ends it", "cpf", "UUU"),
    ];
    for (what, seen, believed) in table {
        assert_eq!(Bench::new(TOLERANCE, false).see(seen), believed, "{what}");
    }
}

#[test]
fn a_probe_that_was_under_way_before_the_challenge_does_not_end_it() {
    let mut bench = Bench::healthy(false);
    let before = bench.now;
    bench.now += Duration::from_millis(10);
    bench.policy.challenge(bench.now);
    bench.policy.take(before, bench.now, sample('p'), false);
    assert_eq!(bench.see("f"), "S");
}

#[test]
fn the_first_fall_is_free_and_each_further_one_costs_more() {
    let mut bench = Bench::healthy(false);
    let mut held = Vec::new();
    for _ in 0..7 {
        assert_eq!(bench.see("r"), "S");
        let since = bench.now;
        while bench.see("p") != "H" {}
        held.push((bench.now - since).as_secs());
    }
    assert_eq!(held, [2, 30, 60, 120, 240, 480, 600]);
    assert_eq!(bench.policy.flaps(bench.now), 7);
}

#[test]
fn hold_down_is_kept_from_the_first_fall_on() {
    let tolerance = Tolerance { hold_down: Duration::from_secs(20), ..TOLERANCE };
    let mut bench = Bench::new(tolerance, false);
    // Not at the start: that is no fall.
    assert_eq!(bench.see("rpp"), "SSH");
    for wanted in [20, 40, 80] {
        bench.see("r");
        let since = bench.now;
        while bench.see("p") != "H" {}
        assert_eq!((bench.now - since).as_secs(), wanted);
    }
    let long = Duration::from_secs(3600);
    assert_eq!((hold(long, 1), hold(long, 2), hold(long, 99)), (long, long, long));
}

#[test]
fn quiet_makes_up_for_flaps() {
    let mut bench = Bench::healthy(false);
    bench.see("rpp");
    bench.see(&"p".repeat(599));
    assert_eq!(bench.policy.flaps(bench.now), 1);
    bench.see("p");
    assert_eq!(bench.policy.flaps(bench.now), 0);
    assert_eq!(bench.see("rpp"), "SSH");
}

#[test]
fn in_a_challenge_who_has_been_well_for_a_while_is_kept_back_no_longer() {
    let mut bench = Bench::healthy(false);
    bench.see("rppr");
    assert_eq!(bench.see("ppppppppppp"), "SSSSSSSSSSS");
    assert_eq!(bench.see("cp"), "SH");
    // Held for a minute now; well for two seconds, which is not enough yet.
    assert_eq!(bench.see("rppcpppppppp"), "SSSSSSSSSSSS");
    assert_eq!(bench.see("p"), "H");
}

#[test]
fn one_that_flaps_each_two_seconds_for_five_minutes_falls_five_times_at_most() {
    for pattern in ["pprr", "pr", "ppfff", "prp", "pppr"] {
        let mut bench = Bench::healthy(false);
        let letters: String = pattern.chars().cycle().take(300).collect();
        assert!(falls(&bench.see(&letters)) <= 5, "{pattern}");
    }
}

fn falls(believed: &str) -> usize {
    believed.matches("HS").count()
}

#[test]
fn overload_makes_the_others_sick_before_the_holder() {
    // The overload starts anywhere in a second on each; the holder's first timeout is the earliest.
    let mut holder = Bench::healthy(true);
    let mut other = Bench::healthy(false);
    let holder_fell = holder.see("tttttttt").find('S');
    let other_fell = other.see("ptttttt").find('S');
    assert!(other_fell < holder_fell, "{other_fell:?} {holder_fell:?}");
}

#[test]
fn a_changed_check_goes_on_with_what_it_believed() {
    let mut bench = Bench::healthy(false);
    bench.see("ff");
    bench.policy.change(Tolerance { fall: 2, ..TOLERANCE });
    assert_eq!(bench.see("fpff"), "HHHS");
    bench.policy.change(Tolerance { rise: 1, ..TOLERANCE });
    assert_eq!(bench.see("p"), "H");
}

#[test]
fn each_belief_has_a_reason() {
    let mut bench = Bench::new(TOLERANCE, false);
    let mut after = |letters: &str| {
        bench.see(letters);
        bench.reason()
    };
    assert_eq!(after(""), "not probed yet");
    assert_eq!(after("t"), "no answer within 1s (1 in a row; 3 make it sick)");
    assert_eq!(after("p"), "HTTP 200 (1 of 2 in a row)");
    assert_eq!(after("p"), "HTTP 200");
    assert_eq!(after("f"), "HTTP 500 (1 in a row; 3 make it sick)");
    assert_eq!(after("ff"), "HTTP 500, 3 times in a row");
    assert_eq!(after("p"), "it answers again (1 of 2 in a row); before: HTTP 500");
    assert_eq!(after("p"), "HTTP 200");
    assert_eq!(after("r"), "connection refused");
    assert_eq!(after("r"), "connection refused");
    assert_eq!(
        after("pp"),
        "it answers, but fell 2 times lately and is kept back for 27s more; before: connection \
         refused"
    );
    let mut bench = Bench::healthy(false);
    bench.see("ct");
    assert_eq!(
        bench.reason(),
        "no answer within 1s; this counts at once, as the Active is degraded"
    );
    assert_eq!(bench.policy.warning(), None);
    bench.see("w");
    assert_eq!(bench.policy.warning(), Some("HTTP 401"));
}

fn tolerances() -> impl Strategy<Value = Tolerance> {
    (1..4_u32, 1..5_u32, 0..3_u32, 1..5_u32, 0..40_u64).prop_map(
        |(rise, fall, more, timeout_fall, hold)| Tolerance {
            rise,
            fall,
            holder_fall: fall + more,
            timeout_fall,
            hold_down: Duration::from_secs(hold),
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is seen: falls have a cause, and so do rises.
    #[test]
    fn nothing_is_believed_without_a_cause(
        tolerance in tolerances(),
        seen in "[pwfbrtsc]{0,200}",
        holder in any::<bool>(),
    ) {
        let mut bench = Bench::new(tolerance, holder);
        let (mut row, mut bad, mut was) = (0, 0, 'U');
        for letter in seen.chars().filter(|&letter| !holder || letter != 'c') {
            let is = bench.step(letter);
            match letter {
                'p' | 'w' => (row, bad) = (row + 1, 0),
                's' | 'b' => {}
                'c' => {}
                _ => (row, bad) = (0, bad + 1),
            }
            match (was, is) {
                ('H', 'S') => prop_assert!(!matches!(letter, 'p' | 'w')),
                ('S', 'H') => prop_assert!(row >= 1),
                ('U', 'H') => prop_assert!(row >= tolerance.rise),
                ('U', 'S') => prop_assert!(!matches!(letter, 'p' | 'w')),
                (was, is) => prop_assert_eq!(was, is),
            }
            if letter == 'r' {
                prop_assert_eq!(is, 'S');
            }
            let most = tolerance.holder_fall.max(2 * tolerance.timeout_fall) + tolerance.fall;
            if bad > most {
                prop_assert_eq!(is, 'S');
            }
            prop_assert!(!bench.reason().is_empty());
            was = is;
        }
    }

    /// However it behaves: not more than five falls in five minutes, and after a quiet hour it is well.
    #[test]
    fn falls_are_bounded_and_forgiven(seen in "[pwfrt]{300}", holder in any::<bool>()) {
        let mut bench = Bench::new(TOLERANCE, holder);
        prop_assert!(falls(&bench.see(&seen)) <= 5);
        prop_assert!(bench.see(&"p".repeat(3600)).ends_with('H'));
        prop_assert_eq!(bench.policy.flaps(bench.now), 0);
    }
}
