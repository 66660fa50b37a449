#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;

const PATIENCE: Duration = Duration::from_secs(5);
const SOON: Duration = Duration::from_millis(60);

fn order() -> Order {
    Order { mark: mark("alice"), patience: PATIENCE, force: false, keeps: None }
}

fn forced() -> Order {
    Order { force: true, ..order() }
}

fn mark(by: &str) -> Mark {
    Mark { since: Timestamp::from_unix_nanos(1_700_000_000_000_000_000), by: by.to_owned() }
}

fn successor() -> Holder {
    let source = "10.0.0.12".parse().unwrap();
    let node = Some("m2".to_owned());
    Holder::Elsewhere(Some(Active { source, node, priority: Some(244) }))
}

fn only(mut steps: Vec<Step>) -> Step {
    let step = steps.pop().unwrap();
    assert_eq!(steps, []);
    step
}

#[test]
fn an_active_waits_for_its_successor_and_for_its_addresses_to_be_gone() {
    let start = Instant::now();
    let mut drains = Drains::default();
    let step = drains.drain(start, "api", order(), Holder::Here);
    assert_eq!(step.outcome, Outcome::Waiting);
    assert_eq!(step.timeout_ms, Some(5000));
    assert!(drains.is_drained("api"));
    assert_eq!(drains.marks().get("api"), None, "nobody has taken over yet");
    assert_eq!(drains.deadline(), Some(start + PATIENCE));

    drains.observe(start + SOON, "api", successor());
    assert_eq!(drains.due(start + SOON), []);
    assert_eq!(drains.deadline(), Some(start + SOON + LINGER));
    let step = only(drains.due(start + SOON + LINGER));
    assert_eq!(step.outcome, Outcome::HandedOver);
    assert_eq!(step.text, "drained; m2 (priority 244) is Active after 60ms");
    assert_eq!((step.successor, step.took_ms), ("10.0.0.12".parse().ok(), Some(60)));
    assert_eq!(drains.marks().get("api"), Some(&mark("alice")));
    assert_eq!(drains.deadline(), None);
}

#[test]
fn a_drain_that_nobody_takes_over_from_is_undone() {
    let start = Instant::now();
    let mut drains = Drains::default();
    drains.drain(start, "api", order(), Holder::Here);
    assert_eq!(drains.due(start + PATIENCE - SOON), []);
    let step = only(drains.due(start + PATIENCE));
    assert_eq!(step.outcome, Outcome::Refused);
    assert!(step.is_refused());
    assert!(
        step.text.contains("within 5s: the VIP stays here and the drain is undone"),
        "{step:?}"
    );
    assert!(!drains.is_drained("api"));
}

#[test]
fn force_drains_an_active_that_nobody_takes_over_from() {
    let start = Instant::now();
    let mut drains = Drains::default();
    drains.drain(start, "api", forced(), Holder::Here);
    let step = only(drains.due(start + PATIENCE));
    assert_eq!(step.outcome, Outcome::Kept);
    assert!(!step.is_refused());
    assert!(step.text.contains("the VIP stays here until another router takes it"), "{step:?}");
    assert!(drains.marks().get("api").is_some());

    // Once more, without force: what was there before stays.
    drains.drain(start, "api", order(), Holder::Here);
    let step = only(drains.due(start + PATIENCE));
    assert_eq!(step.outcome, Outcome::Refused);
    assert!(step.text.contains("it stays drained as it was"), "{step:?}");
    assert!(drains.is_drained("api"));
}

#[test]
fn a_backup_is_drained_at_once_and_a_second_time_changes_nothing() {
    let start = Instant::now();
    let mut drains = Drains::default();
    let step = drains.drain(start, "api", order(), successor());
    assert_eq!(step.outcome, Outcome::Drained);
    assert_eq!(step.text, "drained; m2 (priority 244) is Active");
    let again = Order { mark: mark("bob"), ..order() };
    let step = drains.drain(start, "api", again, successor());
    assert_eq!(step.outcome, Outcome::AlreadyDrained);
    assert_eq!(step.text, "drained already, since 2023-11-14T22:13:20.000Z by alice");
    let step = drains.drain(start, "other", order(), Holder::Elsewhere(None));
    assert_eq!(step.text, "drained; it is not Active here");
}

#[test]
fn a_second_drain_joins_the_first_and_waits_as_long_as_the_longer() {
    let start = Instant::now();
    let mut drains = Drains::default();
    drains.drain(start, "api", order(), Holder::Here);
    let longer = Order { patience: PATIENCE * 2, ..forced() };
    let step = drains.drain(start + SOON, "api", longer, Holder::Here);
    assert_eq!(step.outcome, Outcome::Waiting);
    assert_eq!(drains.due(start + PATIENCE), []);
    drains.drain(start + SOON, "api", order(), Holder::Here);
    let step = only(drains.due(start + SOON + PATIENCE * 2));
    assert_eq!(step.outcome, Outcome::Kept, "one of them was forced");
}

#[test]
fn where_nobody_would_take_over_nobody_is_waited_for() {
    let start = Instant::now();
    let mut drains = Drains::default();
    let never = Order { keeps: Some(Keeps::NeverPreempted), ..order() };
    drains.drain(start, "api", never.clone(), Holder::Here);
    let step = only(drains.due(start));
    assert_eq!(step.outcome, Outcome::Refused);
    assert!(step.text.starts_with("with preempt = \"never\" no router takes over"), "{step:?}");
    drains.drain(start, "api", Order { force: true, ..never }, Holder::Here);
    assert_eq!(only(drains.due(start)).outcome, Outcome::Kept);

    let owner = Order { keeps: Some(Keeps::Owner), ..forced() };
    let step = drains.drain(start, "own", owner, Holder::Here);
    assert_eq!(step.outcome, Outcome::Refused);
    assert!(!drains.is_drained("own"));
}

#[test]
fn who_has_the_addresses_may_become_known_while_it_waits() {
    let start = Instant::now();
    let mut drains = Drains::default();
    drains.drain(start, "a", order(), Holder::Unknown);
    drains.drain(start, "b", order(), Holder::Unknown);
    drains.drain(start, "c", order(), Holder::Unknown);
    drains.observe(start, "a", successor());
    drains.observe(start, "b", Holder::Here);
    drains.observe(start, "nobody", Holder::Here);
    assert_eq!(only(drains.due(start)).outcome, Outcome::Drained);
    drains.observe(start + SOON, "b", successor());
    assert_eq!(only(drains.due(start + SOON + LINGER)).outcome, Outcome::HandedOver);
    let step = only(drains.due(start + PATIENCE));
    assert_eq!(step.outcome, Outcome::Refused);
    assert!(step.text.starts_with("the VRRP process has not answered"), "{step:?}");
}

#[test]
fn an_undrain_takes_the_mark_away_and_ends_a_drain_under_way() {
    let start = Instant::now();
    let mut drains = Drains::default();
    drains.drain(start, "api", order(), successor());
    drains.drain(start, "other", order(), Holder::Here);
    assert_eq!(drains.names().len(), 2);
    let (step, cancelled) = drains.undrain("api", "bob");
    assert_eq!((step.outcome, cancelled), (Outcome::Undrained, None));
    let (step, cancelled) = drains.undrain("other", "bob");
    assert_eq!(step.outcome, Outcome::Undrained);
    assert_eq!(cancelled.unwrap().outcome, Outcome::Cancelled);
    let (step, cancelled) = drains.undrain("api", "bob");
    assert_eq!((step.outcome, cancelled), (Outcome::NotDrained, None));
    assert!(drains.names().is_empty());
    assert_eq!(drains.deadline(), None);
}
