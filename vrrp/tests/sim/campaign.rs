//! Many seeds, on all processors; what fails is made small and told.

use std::fmt::Write as _;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::faults::Fault;
use super::plan::{self, Phase};
use super::rng::Rng;
use super::rules::Check;
use super::scenario::Group;
use super::trace::Trace;
use super::world::{Event, World};

/// What came of one seed.
pub struct Outcome {
    pub broken: Option<String>,
    /// What was done to the group, to be done again.
    pub script: Vec<Phase>,
    pub lines: Vec<String>,
    pub events: u64,
    pub takeovers: u64,
}

/// Runs a seed: with its own faults, or with those of a script.
pub fn run(seed: u64, script: Option<&[Phase]>, traced: bool) -> Outcome {
    let group = Group::draw(&mut Rng::new(seed, 0));
    let mut world = World::new(seed, group.timing, group.profiles, Trace::new(traced));
    let mut done = Vec::new();
    if traced {
        describe(&mut world, seed);
    }
    let live = catch_unwind(AssertUnwindSafe(|| play(&mut world, seed, script, &mut done)));
    let broken = match live {
        Ok(check) => check.err(),
        Err(panic) => Some(format!(
            "panics: {}",
            panic.downcast_ref::<String>().map_or("a literal", String::as_str)
        )),
    };
    if let Some(why) = &broken {
        world.trace.push(world.now, "!!", why);
    }
    Outcome {
        broken,
        script: done,
        events: world.events,
        takeovers: u64::try_from(world.takeovers.len()).unwrap(),
        lines: world.trace.into_lines(),
    }
}

fn play(world: &mut World, seed: u64, script: Option<&[Phase]>, done: &mut Vec<Phase>) -> Check {
    let mut rng = Rng::new(seed, 2);
    let phases = script.map_or_else(|| 4 + seed % 8, |script| u64::try_from(script.len()).unwrap());
    for number in 0..phases {
        let phase = match script {
            Some(script) => script[usize::try_from(number).unwrap()].clone(),
            None if number == 0 => start(&mut rng, world),
            None if rng.chance(650) => plan::single(&mut rng, world),
            None if rng.chance(250) => plan::epidemic(&mut rng, world),
            None => plan::storm(&mut rng, world),
        };
        done.push(phase.clone());
        if phase.single {
            single(world, phase.faults.first().map(|&(_, fault)| fault))?;
            continue;
        }
        for &(after, fault) in &phase.faults {
            world.plan(world.now + after, Event::Fault(fault));
        }
        world.run(phase.length)?;
        world.settle()?;
        world.clients_ask();
    }
    Ok(())
}

/// One fault, of which it is known what it may do.
fn single(world: &mut World, fault: Option<Fault>) -> Check {
    let Some(fault) = fault.filter(|&fault| world.applies(fault)) else {
        return Ok(());
    };
    let before = world.before();
    world.apply(fault);
    world.set_alarm();
    let forecasts = world.forecast(&before, fault);
    world.fulfil(forecasts)?;
    world.check_clients()
}

/// All nodes start, one after the other or at once.
fn start(rng: &mut Rng, world: &World) -> Phase {
    let spread = world.longest_interval() * rng.pick(&[0, 1, 6]);
    let starts = (0..world.nodes.len()).map(|node| (rng.between(0, spread), Fault::Start(node)));
    Phase { faults: starts.collect(), length: spread, single: false }
}

fn describe(world: &mut World, seed: u64) {
    world.trace.push(0, "", &format!("seed {seed}, {:?}", world.timing));
    for node in 0..world.nodes.len() {
        let node = &world.nodes[node];
        let config = &node.profile.config;
        let runs = match node.profile.keepalived {
            None => format!(
                "{:?}, {:?} when degraded, lease {:?}",
                config.preempt,
                config.on_degraded,
                config.lease.map(|lease| lease.duration())
            ),
            Some(preempt) => format!("keepalived, preempt {preempt}"),
        };
        let line = format!(
            "{}, priority {}, each {}, {runs}, clock {:+} ppm",
            node.source,
            config.priority,
            config.interval,
            i64::from(node.profile.clock.rate) - 1_000_000
        );
        world.trace.push(0, &node.name(), &line);
    }
}

/// Sums over all seeds.
#[derive(Default)]
pub struct Totals {
    pub events: AtomicU64,
    pub takeovers: AtomicU64,
}

/// Runs the seeds from `first` on, and tells of the first that breaks a rule.
pub fn run_all(first: u64, seeds: u64) -> Result<Totals, String> {
    let totals = Totals::default();
    let next = AtomicU64::new(first);
    let failed: Mutex<Option<(u64, Outcome)>> = Mutex::new(None);
    let work = || {
        while failed.lock().unwrap().is_none() {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + seeds {
                return;
            }
            let outcome = run(seed, None, false);
            totals.events.fetch_add(outcome.events, Ordering::Relaxed);
            totals.takeovers.fetch_add(outcome.takeovers, Ordering::Relaxed);
            if outcome.broken.is_some() {
                let mut failed = failed.lock().unwrap();
                if failed.as_ref().is_none_or(|&(known, _)| seed < known) {
                    *failed = Some((seed, outcome));
                }
            }
        }
    };
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    match failed.into_inner().unwrap() {
        Some((seed, outcome)) => Err(report(seed, &outcome)),
        None => Ok(totals),
    }
}

/// Tells what a failed seed does, with no more faults than needed.
fn report(seed: u64, outcome: &Outcome) -> String {
    let why = outcome.broken.as_deref().unwrap_or_default();
    let script = shrink(seed, why, &outcome.script);
    let small = run(seed, Some(&script), true);
    let mut text = small.lines.join("\n");
    let _ =
        write!(text, "\nseed {seed} breaks a rule: {why}\nAbove with as few faults as show one. ");
    let _ = write!(text, "Whole: MAINSTAY_SIM_SEED={seed} cargo test -p mainstay-vrrp --test sim");
    text
}

/// Leaves out one phase or fault after the other while the run still breaks a rule.
fn shrink(seed: u64, why: &str, script: &[Phase]) -> Vec<Phase> {
    let breaks = |script: &[Phase]| {
        let broken = run(seed, Some(script), false).broken;
        broken.is_some_and(|other| rule(&other) == rule(why))
    };
    let mut script = script.to_vec();
    let mut at = script.len();
    while at > 1 {
        at -= 1;
        let mut less = script.clone();
        less.remove(at);
        if breaks(&less) {
            script = less;
        }
    }
    for phase in (1..script.len()).rev() {
        let mut at = script[phase].faults.len();
        while at > 0 {
            at -= 1;
            let mut less = script.clone();
            less[phase].faults.remove(at);
            if breaks(&less) {
                script = less;
            }
        }
    }
    script
}

/// What was broken, whoever broke it and when.
fn rule(why: &str) -> String {
    why.chars().filter(|c| !c.is_ascii_digit()).collect()
}

/// Writes past the test harness, which keeps what passing tests say to itself.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
