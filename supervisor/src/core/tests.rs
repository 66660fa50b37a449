use std::collections::BTreeMap;
use std::time::Duration;

use super::rig::{World, identity, name, running, spec};
use super::{Input, Memory, Observation, Order, Step, What};
use crate::backend::{Ended, Fault, Running};
use crate::graph::Graph;
use crate::unit::{Restart, Spec, Word};

const SECOND: Duration = Duration::from_secs(1);

fn master() -> Vec<Spec> {
    vec![spec("dockerd", &[]), spec("etcd", &["dockerd"]), spec("kubelet", &["dockerd", "etcd"])]
}

/// A master on which all is well.
fn up() -> World {
    let mut world = World::resumed(master());
    for unit in ["etcd", "kubelet"] {
        world.answer(unit, Observation::Gone);
    }
    for unit in ["dockerd", "etcd", "kubelet"] {
        world.become_ready(unit);
    }
    world
}

#[test]
fn units_start_one_after_the_other_as_each_becomes_ready() {
    let mut world = World::resumed(master());
    for unit in ["etcd", "kubelet"] {
        world.answer(unit, Observation::Gone);
    }
    assert_eq!(world.state("etcd"), Word::Blocked);
    assert_eq!(world.reason("kubelet").as_deref(), Some("waits for dockerd, etcd"));
    world.come_up("dockerd");
    world.not_ready("dockerd", "no socket");
    assert_eq!(world.state("dockerd"), Word::Running);
    assert_eq!(world.state("etcd"), Word::Blocked);
    world.pass(SECOND);
    world.ready("dockerd");
    // In the very moment: looked for once more, then started.
    assert_eq!(world.state("etcd"), Word::Starting);
    world.become_ready("etcd");
    assert_eq!(world.state("kubelet"), Word::Starting);
    world.become_ready("kubelet");
    assert_eq!(world.state("kubelet"), Word::Ready);
}

#[test]
fn what_runs_already_is_adopted_before_anything_is_waited_for() {
    let known = Memory { known: Some(identity("k1")), stopped: false };
    let mut world = World::new(master(), &BTreeMap::from([(name("kubelet"), known)]));
    world.input(Input::Resume);
    assert!(world.asks("kubelet", |it| *it == Step::Adopt { known: Some(identity("k1")) }));
    world.answer("kubelet", Observation::Adopted(running("k1")));
    assert_eq!(world.state("kubelet"), Word::Running);
    assert!(world.reported("kubelet", &What::Adopted(identity("k1"))));
    assert_eq!(world.restarts("kubelet"), 0);
    assert_eq!(world.core.memory()["kubelet"].known, Some(identity("k1")));
}

#[test]
fn what_is_above_a_failed_unit_runs_on() {
    let mut world = up();
    for unit in ["dockerd", "etcd"] {
        world.end(unit, "killed by SIGKILL");
        assert_eq!(world.state(unit), Word::Backoff);
    }
    world.pass(600 * SECOND);
    assert!(!world.stops("kubelet"));
    assert_eq!(world.state("kubelet"), Word::Ready);
}

#[test]
fn a_readiness_that_is_lost_stops_nothing_and_blocks_nothing_above_it() {
    let mut world = up();
    world.pass(10 * SECOND);
    world.not_ready("etcd", "no leader");
    assert_eq!(world.state("etcd"), Word::Running);
    assert_eq!(world.reason("etcd").as_deref(), Some("no leader"));
    assert!(!world.stops("etcd") && !world.stops("kubelet"));
    // Kubelet dies just then: etcd was ready in this run of it.
    world.end("kubelet", "exited with code 1");
    world.pass(2 * SECOND);
    world.come_up("kubelet");
}

#[test]
fn what_ran_before_waits_for_a_dependency_that_is_on_its_way_but_not_for_one_that_is_given_up() {
    let mut world = up();
    world.end("etcd", "killed by SIGKILL");
    world.end("kubelet", "exited with code 1");
    world.pass(2 * SECOND);
    assert_eq!(world.state("etcd"), Word::Starting);
    assert_eq!(world.state("kubelet"), Word::Blocked);
    world.answer("etcd", Observation::Gone);
    world.refuse("etcd", "the disk is not mounted: mount it");
    assert_eq!(world.state("etcd"), Word::Failed);
    world.become_ready("kubelet");
}

#[test]
fn failures_in_a_row_are_a_crash_loop_and_ten_minutes_of_health_end_it() {
    let mut world = World::resumed(vec![spec("kubelet", &[])]);
    for attempt in 1..=7 {
        world.come_up("kubelet");
        world.end("kubelet", "exited with code 1");
        let state = if attempt < 5 { Word::Backoff } else { Word::CrashLooping };
        assert_eq!(world.state("kubelet"), state);
        world.pass_until_attempt("kubelet");
    }
    world.come_up("kubelet");
    world.pass(601 * SECOND);
    world.end("kubelet", "exited with code 1");
    assert_eq!(world.state("kubelet"), Word::Backoff);
    assert_eq!(world.restarts("kubelet"), 7);
}

#[test]
fn a_refusal_is_asked_again_each_minute_without_a_word_and_at_once_by_an_order() {
    let mut world = World::resumed(vec![spec("etcd", &[])]);
    world.answer("etcd", Observation::Gone);
    world.refuse("etcd", "no data: run `mainstay etcd replace`");
    assert_eq!(world.state("etcd"), Word::Failed);
    let told = world.reports.len();
    for _ in 0..3 {
        world.pass(59 * SECOND);
        assert!(!world.asks("etcd", |it| matches!(it, Step::Adopt { .. })));
        world.pass(2 * SECOND);
        world.answer("etcd", Observation::Gone);
        assert_eq!(world.state("etcd"), Word::Failed);
        world.refuse("etcd", "no data: run `mainstay etcd replace`");
    }
    assert_eq!(world.reports.len(), told);
    world.order("etcd", Order::Start);
    world.become_ready("etcd");
    assert_eq!(world.state("etcd"), Word::Ready);
}

#[test]
fn all_stop_in_reverse_order_and_stay_stopped_for_a_later_mainstay() {
    let mut world = up();
    world.input(Input::Stop);
    for (unit, next) in [("kubelet", "etcd"), ("etcd", "dockerd"), ("dockerd", "dockerd")] {
        assert_eq!(world.state(unit), Word::Stopping);
        assert!(unit == next || world.state(next) == Word::Ready);
        world.answer(unit, Observation::Stopped);
        assert_eq!(world.state(unit), Word::Stopped);
    }
    let memory = world.core.memory();
    assert!(memory.values().all(|it| it.stopped && it.known.is_none()));
    let mut later = World::new(master(), &memory);
    later.input(Input::Resume);
    later.pass(60 * SECOND);
    assert!(later.asked.is_empty());
    later.input(Input::Start);
    assert_eq!(later.asked.len(), 3);
}

#[test]
fn a_later_mainstay_goes_on_with_a_stop_that_was_not_done() {
    let mut world = up();
    world.input(Input::Stop);
    world.answer("kubelet", Observation::Stopped);
    // Killed here. Etcd was stopping, dockerd waited for its turn.
    let known = world.core.memory();
    let mut later = World::new(master(), &known);
    later.input(Input::Resume);
    assert_eq!(later.state("kubelet"), Word::Stopped);
    let what = known["etcd"].known.clone();
    assert!(what.is_some());
    assert!(later.asks("etcd", |it| matches!(it, Step::Stop { what: it, .. } if *it == what)));
    assert!(!later.stops("dockerd"));
    later.answer("etcd", Observation::Stopped);
    later.answer("dockerd", Observation::Stopped);
    assert_eq!(later.state("dockerd"), Word::Stopped);
    // One that was stopped alone waits for nobody.
    let mut world = up();
    world.order("dockerd", Order::Stop);
    let mut later = World::new(master(), &world.core.memory());
    later.input(Input::Resume);
    assert!(later.stops("dockerd"));
}

#[test]
fn a_stop_while_something_starts_stops_whatever_came_up() {
    let mut world = World::resumed(vec![spec("etcd", &[])]);
    world.answer("etcd", Observation::Gone);
    let started = world.asked.back().cloned().unwrap();
    world.order("etcd", Order::Stop);
    assert!(world.asks("etcd", |it| matches!(it, Step::Stop { what: None, .. })));
    // It had been started a moment before it was given up: that answer is void.
    let seen = Observation::Started(running("e1"));
    world.input(Input::Observed { unit: started.0, ticket: started.1, seen });
    assert_eq!(world.state("etcd"), Word::Stopping);
    world.answer("etcd", Observation::Stopped);
    assert_eq!(world.state("etcd"), Word::Stopped);
}

#[test]
fn what_does_not_run_is_not_stopped() {
    let mut world = World::resumed(master());
    for unit in ["dockerd", "etcd", "kubelet"] {
        world.answer(unit, Observation::Gone);
    }
    world.answer("dockerd", Observation::StartFailed(Fault::passing("no such file")));
    world.input(Input::Stop);
    // Dockerd may have come up after all.
    assert!(world.stops("dockerd") && !world.stops("etcd") && !world.stops("kubelet"));
    assert_eq!(world.state("etcd"), Word::Stopped);
}

#[test]
fn a_stop_that_fails_three_times_is_told_and_what_is_below_stops_all_the_same() {
    let mut world = up();
    world.input(Input::Stop);
    for _ in 0..3 {
        world.answer("kubelet", Observation::StopFailed(Fault::passing("it does not die")));
        world.pass(2 * SECOND);
    }
    assert_eq!(world.state("kubelet"), Word::Failed);
    assert_eq!(
        world.reason("kubelet").as_deref(),
        Some("it could not be stopped: it does not die")
    );
    assert!(world.stops("etcd"));
    // Told once more, it is tried once more.
    world.input(Input::Stop);
    world.answer("kubelet", Observation::Stopped);
    assert_eq!(world.state("kubelet"), Word::Stopped);
}

#[test]
fn a_unit_is_restarted_alone() {
    let mut world = up();
    world.order("dockerd", Order::Restart);
    assert!(world.stops("dockerd"));
    world.answer("dockerd", Observation::Stopped);
    world.become_ready("dockerd");
    assert_eq!(world.restarts("dockerd"), 1);
    for unit in ["etcd", "kubelet"] {
        assert_eq!(world.state(unit), Word::Ready);
    }
}

#[test]
fn drift_is_told_and_acted_on_by_an_order_only() {
    let mut world = up();
    let unchanged = world.core.memory()["etcd"].known.clone().unwrap();
    world.order("etcd", Order::Apply);
    assert_eq!(world.state("etcd"), Word::Ready);
    world.pass(31 * SECOND);
    let drift = Some("another image".to_owned());
    let drifted = Running { identity: unchanged, age: None, drift: drift.clone() };
    world.answer("etcd", Observation::Adopted(drifted));
    assert!(world.reported("etcd", &What::Drift(drift)));
    assert_eq!(world.state("etcd"), Word::Ready);
    world.order("etcd", Order::Apply);
    assert!(world.stops("etcd"));
}

/// All units of a master, compared and found to be something else.
fn drifted() -> World {
    let mut world = up();
    world.pass(31 * SECOND);
    for unit in ["dockerd", "etcd", "kubelet"] {
        let identity = world.core.memory()[unit].known.clone().unwrap();
        let drift = Some("another version".to_owned());
        world.answer(unit, Observation::Adopted(Running { identity, age: None, drift }));
    }
    world
}

#[test]
fn all_are_applied_one_after_the_other_each_when_the_one_before_is_ready() {
    let mut world = drifted();
    world.input(Input::Apply);
    for (unit, others) in [("dockerd", ["etcd", "kubelet"]), ("etcd", ["dockerd", "kubelet"])] {
        assert!(world.stops(unit));
        world.answer(unit, Observation::Stopped);
        world.come_up(unit);
        assert!(others.iter().all(|it| world.state(it) == Word::Ready));
        world.ready(unit);
    }
    assert!(world.stops("kubelet"));
    world.answer("kubelet", Observation::Stopped);
    world.become_ready("kubelet");
    world.pass(60 * SECOND);
    assert!(!["dockerd", "etcd", "kubelet"].iter().any(|it| world.stops(it)));
}

#[test]
fn what_does_not_come_back_ends_an_apply() {
    let mut world = drifted();
    world.input(Input::Apply);
    world.answer("dockerd", Observation::Stopped);
    world.become_ready("dockerd");
    world.answer("etcd", Observation::Stopped);
    world.answer("etcd", Observation::Gone);
    world.refuse("etcd", "the data is of a later version: install that");
    world.order("etcd", Order::Start);
    world.become_ready("etcd");
    assert!(!world.stops("kubelet"));
    assert!(world.core.is_drifted(&name("kubelet")));
}

#[test]
fn what_could_not_start_again_is_named_before_it_is_stopped() {
    let mut world = up();
    assert!(world.core.missing(&name("kubelet")).is_empty());
    world.end("etcd", "killed by SIGKILL");
    assert_eq!(world.core.missing(&name("kubelet")), [name("etcd")]);
    // It does not run: nothing is lost.
    assert!(world.core.missing(&name("etcd")).is_empty());
}

#[test]
fn what_another_has_replaced_is_taken_over_and_what_vanished_is_started_again() {
    let mut world = up();
    world.pass(31 * SECOND);
    world.answer("etcd", Observation::Adopted(running("of-another")));
    assert_eq!(world.core.memory()["etcd"].known, Some(identity("of-another")));
    assert!(world.asks("etcd", |it| *it == Step::Watch { what: identity("of-another") }));
    world.answer("kubelet", Observation::Gone);
    assert_eq!(world.state("kubelet"), Word::Backoff);
}

#[test]
fn what_could_not_be_looked_for_waits_for_what_it_requires_and_is_tried_when_that_is_ready() {
    let mut world = World::resumed(master());
    let absent = || Observation::Unknown(Fault::passing("no docker socket"));
    world.answer("etcd", absent());
    assert_eq!(world.state("etcd"), Word::Blocked);
    world.become_ready("dockerd");
    world.answer("etcd", absent());
    assert_eq!(world.state("etcd"), Word::Backoff);
    // Dockerd comes back: no pause is waited out.
    world.end("dockerd", "killed by SIGKILL");
    world.pass(Duration::from_millis(1200));
    world.become_ready("dockerd");
    world.become_ready("etcd");
}

#[test]
fn what_could_not_be_started_is_tried_at_once_when_what_it_requires_is_ready_again() {
    let mut world = World::resumed(master());
    world.answer("etcd", Observation::Gone);
    world.become_ready("dockerd");
    for _ in 0..4 {
        world.pass_until_attempt("etcd");
        world.answer("etcd", Observation::Gone);
        world.answer("etcd", Observation::StartFailed(Fault::passing("docker answers 500")));
    }
    world.pass(Duration::from_millis(10));
    while !world.asks("dockerd", |it| matches!(it, Step::AskReadiness { .. })) {
        world.pass(Duration::from_millis(100));
    }
    world.not_ready("dockerd", "docker answers 500");
    assert_eq!(world.state("etcd"), Word::Backoff);
    world.pass(SECOND);
    world.ready("dockerd");
    assert_eq!(world.state("etcd"), Word::Starting);
}

#[test]
fn the_end_of_an_earlier_run_does_not_end_the_present_one() {
    let mut world = up();
    let watch = world
        .asked
        .iter()
        .find(|(unit, _, step)| unit.as_str() == "etcd" && matches!(step, Step::Watch { .. }));
    let (unit, ticket, _) = watch.cloned().unwrap();
    world.order("etcd", Order::Restart);
    world.answer("etcd", Observation::Stopped);
    world.become_ready("etcd");
    let seen = Observation::Ended(Ended { reason: "stopped".to_owned(), success: true });
    world.input(Input::Observed { unit, ticket, seen });
    assert_eq!(world.state("etcd"), Word::Ready);
}

#[test]
fn a_start_that_takes_too_long_is_given_up_and_what_came_of_it_is_found() {
    let mut world = World::resumed(vec![spec("etcd", &[])]);
    world.answer("etcd", Observation::Gone);
    world.pass(301 * SECOND);
    assert_eq!(world.state("etcd"), Word::Backoff);
    world.pass(2 * SECOND);
    world.answer("etcd", Observation::Adopted(running("e1")));
    assert_eq!(world.state("etcd"), Word::Running);
}

#[test]
fn how_it_ends_decides_with_the_policy_whether_it_starts_again() {
    let cases = [
        (Restart::Always, true, Word::Backoff),
        (Restart::OnFailure, true, Word::Stopped),
        (Restart::OnFailure, false, Word::Backoff),
        (Restart::Never, true, Word::Stopped),
        (Restart::Never, false, Word::Failed),
    ];
    for (restart, success, state) in cases {
        let mut world = World::resumed(vec![Spec { restart, ..spec("job", &[]) }]);
        world.become_ready("job");
        world.answer("job", Observation::Ended(Ended { reason: "ended".to_owned(), success }));
        assert_eq!(world.state("job"), state, "{restart:?}");
        // It was not the operator who stopped it.
        assert!(!world.core.memory()["job"].stopped);
    }
}

#[test]
fn a_disabled_unit_is_not_touched_and_nobody_waits_for_it() {
    let disabled = Spec { enabled: false, ..spec("etcd", &[]) };
    let mut world = World::resumed(vec![disabled, spec("kubelet", &["etcd"])]);
    world.become_ready("kubelet");
    for order in [Order::Start, Order::Stop, Order::Restart, Order::Apply] {
        world.order("etcd", order);
    }
    assert_eq!(world.state("etcd"), Word::Disabled);
    world.input(Input::Stop);
    world.answer("kubelet", Observation::Stopped);
    assert!(!world.asks("etcd", |_| true));
}

#[test]
fn new_units_start_changed_ones_are_compared_and_those_that_left_run_on() {
    let mut world = up();
    let units = vec![spec("dockerd", &[]), spec("kubelet", &["dockerd"]), spec("proxy", &[])];
    world.core.reconfigure(world.now, Graph::new(units).unwrap());
    world.drain();
    assert!(world.reported("etcd", &What::Left));
    assert!(!world.asked.iter().any(|(_, _, step)| matches!(step, Step::Stop { .. })));
    world.become_ready("proxy");
    world.pass(Duration::ZERO);
    assert!(world.asks("kubelet", |it| matches!(it, Step::Adopt { .. })));
    assert_eq!(world.state("kubelet"), Word::Ready);
}
