//! What holds whatever happens: random graphs, answers, orders and times, seen by a model that knows the rules only.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

use super::rig::{World, identity, name, running, spec};
use super::{Input, Observation, Order, Step};
use crate::backend::{Ended, Fault, Readiness, Running};
use crate::unit::{Name, Spec, Word};

const UNITS: [&str; 5] = ["a", "b", "c", "d", "e"];

#[derive(Clone, Debug)]
enum Event {
    /// The `which`-th open question is answered in the `how`-th way.
    Answer {
        which: usize,
        how: usize,
    },
    Order {
        unit: usize,
        order: Order,
    },
    Pass {
        millis: u64,
    },
    Up,
    Down,
    ApplyAll,
}

fn event() -> impl Strategy<Value = Event> {
    let order = prop_oneof![
        Just(Order::Start),
        Just(Order::Stop),
        Just(Order::Restart),
        Just(Order::Apply)
    ];
    prop_oneof![
        12 => (0..64_usize, 0..8_usize).prop_map(|(which, how)| Event::Answer { which, how }),
        2 => (0..UNITS.len(), order).prop_map(|(unit, order)| Event::Order { unit, order }),
        4 => (0..70_000_u64).prop_map(|millis| Event::Pass { millis }),
        1 => Just(Event::Up),
        1 => Just(Event::Down),
        1 => Just(Event::ApplyAll),
    ]
}

/// Each unit may require some of those before it.
fn specs() -> impl Strategy<Value = Vec<Spec>> {
    prop::collection::vec(any::<u8>(), UNITS.len()).prop_map(|masks| {
        let unit = |(index, mask): (usize, u8)| {
            let required: Vec<&str> =
                (0..index).filter(|bit| mask >> bit & 1 == 1).map(|it| UNITS[it]).collect();
            spec(UNITS[index], &required)
        };
        masks.into_iter().enumerate().map(unit).collect()
    })
}

fn answer(step: &Step, how: usize, fresh: &str) -> Observation {
    let fault = || match how {
        0 => Fault::refused("refused"),
        _ => Fault::passing("passing"),
    };
    match step {
        Step::Adopt { known } => match (how, known) {
            (0 | 1, _) => Observation::Unknown(fault()),
            (2, Some(known)) => Observation::Adopted(Running {
                identity: known.clone(),
                age: None,
                drift: Some("drift".to_owned()),
            }),
            (3 | 4, Some(known)) => {
                Observation::Adopted(Running { identity: known.clone(), age: None, drift: None })
            }
            (2, None) => Observation::Adopted(running(fresh)),
            _ => Observation::Gone,
        },
        Step::Start if how < 2 => Observation::StartFailed(fault()),
        Step::Start => Observation::Started(running(fresh)),
        Step::Stop { .. } if how < 2 => Observation::StopFailed(fault()),
        Step::Stop { .. } => Observation::Stopped,
        Step::Watch { .. } => {
            Observation::Ended(Ended { reason: "ended".to_owned(), success: how.is_multiple_of(2) })
        }
        Step::AskReadiness { .. } if how < 3 => {
            Observation::Readiness(Readiness::NotReady("not yet".to_owned()))
        }
        Step::AskReadiness { .. } => Observation::Readiness(Readiness::Ready),
    }
}

/// What the rules need to be checked.
#[derive(Default)]
struct Model {
    were_ready: BTreeSet<Name>,
    /// Who may be stopped: by an order, and not started since.
    may_stop: BTreeSet<Name>,
    /// Whether the last order for all was to stop, and no unit got another one since.
    down: bool,
    /// Who was stopping by an order of its own when that came.
    out_of_order: BTreeSet<Name>,
    seen: usize,
}

impl Model {
    /// Looks at what was asked since the last time.
    fn look(&mut self, world: &World, specs: &[Spec]) {
        for (unit, _, step) in world.asked.iter().skip(self.seen) {
            match step {
                Step::Start => {
                    let spec = specs.iter().find(|it| it.name == *unit).unwrap();
                    for required in &spec.requires {
                        assert!(
                            self.were_ready.contains(required),
                            "{unit} starts though {required} was never ready"
                        );
                    }
                }
                Step::Stop { .. } => {
                    assert!(self.may_stop.contains(unit), "nobody wanted {unit} to stop");
                    if self.down && !self.out_of_order.contains(unit) {
                        for above in specs.iter().filter(|it| it.requires.contains(unit)) {
                            let state = world.state(above.name.as_str());
                            assert!(
                                matches!(state, Word::Stopped | Word::Failed),
                                "{unit} stops though {} above it is {state}",
                                above.name
                            );
                        }
                    }
                }
                _ => {}
            }
        }
        self.seen = world.asked.len();
        for unit in UNITS {
            if world.state(unit) == Word::Ready {
                self.were_ready.insert(name(unit));
            }
        }
    }

    fn hear(&mut self, event: &Event, world: &World) {
        match event {
            Event::Order { unit, order } => {
                self.down = false;
                match order {
                    Order::Stop | Order::StopInOrder | Order::Restart | Order::Apply => {
                        self.may_stop.insert(name(UNITS[*unit]));
                    }
                    Order::Start => {}
                }
            }
            Event::Down => {
                self.down = true;
                let stopping = UNITS.into_iter().filter(|it| world.state(it) == Word::Stopping);
                self.out_of_order = stopping.map(name).collect();
                self.may_stop.extend(UNITS.map(name));
            }
            Event::Up => self.down = false,
            Event::ApplyAll => {
                self.down = false;
                self.may_stop.extend(UNITS.map(name));
            }
            Event::Answer { .. } | Event::Pass { .. } => {}
        }
    }
}

fn play(world: &mut World, model: &mut Model, specs: &[Spec], events: &[Event]) {
    for (turn, event) in events.iter().enumerate() {
        model.hear(event, world);
        match event {
            Event::Answer { which, how } => {
                if world.asked.is_empty() {
                    continue;
                }
                let place = which % world.asked.len();
                let (unit, ticket, step) = world.asked.remove(place).unwrap();
                model.seen = model.seen.saturating_sub(1);
                let seen = answer(&step, *how, &format!("{unit}-{turn}"));
                world.input(Input::Observed { unit, ticket, seen });
            }
            Event::Order { unit, order } => world.order(UNITS[*unit], *order),
            Event::Pass { millis } => world.pass(Duration::from_millis(*millis)),
            Event::Up => world.input(Input::Start),
            Event::Down => world.input(Input::Stop),
            Event::ApplyAll => world.input(Input::Apply),
        }
        model.look(world, specs);
        // Never anything due that a tick does not settle: the thread would spin.
        if let Some(due) = world.core.poll_timeout() {
            let mut again = 0;
            while world.core.poll_timeout().is_some_and(|it| it <= world.now) {
                world.input(Input::Tick);
                model.look(world, specs);
                again += 1;
                assert!(again < 10, "due at {due:?} again and again");
            }
        }
    }
}

/// Answers everything well from now on, for ten minutes.
fn heal(world: &mut World, turn: usize) {
    for second in 0..1200 {
        while let Some((unit, ticket, step)) = world.asked.pop_front() {
            let how = if matches!(step, Step::Watch { .. }) { continue } else { 4 };
            let seen = answer(&step, how, &format!("{unit}-well-{turn}-{second}"));
            world.input(Input::Observed { unit, ticket, seen });
        }
        world.pass(Duration::from_millis(500));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 160, ..ProptestConfig::default() })]

    #[test]
    fn nothing_starts_before_what_it_requires_was_ready_and_nothing_stops_without_an_order(
        specs in specs(),
        events in prop::collection::vec(event(), 1..200),
    ) {
        let mut world = World::new(specs.clone(), &BTreeMap::new());
        let mut model = Model::default();
        world.input(Input::Resume);
        model.look(&world, &specs);
        play(&mut world, &mut model, &specs, &events);
    }

    #[test]
    fn whatever_has_happened_all_are_ready_once_all_goes_well_and_all_stop_when_told(
        specs in specs(),
        events in prop::collection::vec(event(), 1..100),
    ) {
        let mut world = World::new(specs.clone(), &BTreeMap::new());
        let mut model = Model::default();
        world.input(Input::Resume);
        play(&mut world, &mut model, &specs, &events);
        world.input(Input::Start);
        heal(&mut world, 1);
        for unit in UNITS {
            prop_assert_eq!(world.state(unit), Word::Ready, "{}: {:?}", unit, world.reason(unit));
        }
        world.input(Input::Stop);
        heal(&mut world, 2);
        for unit in UNITS {
            prop_assert_eq!(world.state(unit), Word::Stopped, "{}: {:?}", unit, world.reason(unit));
        }
    }

    #[test]
    fn a_later_mainstay_that_finds_what_runs_starts_and_stops_nothing(
        specs in specs(),
        lost in any::<bool>(),
    ) {
        let mut world = World::new(specs.clone(), &BTreeMap::new());
        world.input(Input::Resume);
        heal(&mut world, 1);
        let memory = if lost { BTreeMap::new() } else { world.core.memory() };
        let mut later = World::new(specs, &memory);
        later.input(Input::Resume);
        for _ in 0..1000 {
            let Some((unit, ticket, step)) = later.asked.pop_front() else {
                later.pass(Duration::from_secs(1));
                continue;
            };
            prop_assert!(!matches!(step, Step::Start | Step::Stop { .. }), "{}: {:?}", unit, step);
            if matches!(step, Step::Watch { .. }) {
                continue;
            }
            let what = format!("{unit}-runs");
            let seen = match step {
                Step::Adopt { .. } => Observation::Adopted(running(&what)),
                _ => Observation::Readiness(Readiness::Ready),
            };
            later.input(Input::Observed { unit, ticket, seen });
        }
        for unit in UNITS {
            prop_assert_eq!(later.state(unit), Word::Ready);
            prop_assert_eq!(later.restarts(unit), 0);
            prop_assert_eq!(
                later.core.memory()[unit].known.clone(),
                Some(identity(&format!("{unit}-runs")))
            );
        }
    }
}
