use super::*;

use Eligibility::{Degraded, Drained, Healthy};

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

/// `api` with these checks, and `bare` without any.
fn with(checks: &[&str]) -> Eligibilities {
    let mut all = Eligibilities::default();
    replan(&mut all, checks);
    all
}

fn replan(all: &mut Eligibilities, checks: &[&str]) {
    all.plan([("api", names(checks).as_slice()), ("bare", &[])]);
}

/// What is told at `now`, but of `bare`.
fn told(all: &mut Eligibilities, now: Instant) -> Vec<(Eligibility, Option<u64>)> {
    let requests = all.due(now).into_iter();
    let of_api = requests.filter_map(|request| match request {
        Request::Eligibility { router, eligibility, ttl_ms } if router == "api" => {
            Some((eligibility, ttl_ms))
        }
        _ => None,
    });
    of_api.collect()
}

#[test]
fn a_virtual_router_without_checks_is_healthy_and_stays_so_without_a_daemon() {
    let mut all = with(&["x"]);
    assert_eq!(all.of("bare"), Some(Healthy));
    let told = all.due(Instant::now());
    assert!(told.contains(&Request::Eligibility {
        router: "bare".to_owned(),
        eligibility: Healthy,
        ttl_ms: None
    }));
}

#[test]
fn one_sick_or_unknown_check_is_enough_to_be_degraded() {
    let mut all = with(&["x", "y"]);
    assert_eq!(all.of("api"), Some(Degraded));
    assert!(all.judge("x", Standing::Healthy));
    assert_eq!(all.of("api"), Some(Degraded), "the other has not spoken");
    assert!(all.judge("y", Standing::Healthy));
    assert_eq!(all.of("api"), Some(Healthy));
    assert!(!all.judge("y", Standing::Healthy));
    assert!(all.judge("x", Standing::Sick));
    assert_eq!(all.of("api"), Some(Degraded));
    assert!(all.judge("x", Standing::Healthy));
    assert_eq!(all.of("api"), Some(Healthy));
}

#[test]
fn what_changes_is_told_at_once_and_what_stays_each_five_seconds() {
    let start = Instant::now();
    let mut all = with(&["x"]);
    assert_eq!(told(&mut all, start), [(Degraded, Some(15_000))]);
    assert_eq!(told(&mut all, start), []);
    all.judge("x", Standing::Healthy);
    assert_eq!(told(&mut all, start), [(Healthy, Some(15_000))]);
    assert_eq!(told(&mut all, start + RENEWAL - Duration::from_millis(1)), []);
    assert_eq!(told(&mut all, start + RENEWAL), [(Healthy, Some(15_000))]);
    all.tell_anew();
    assert_eq!(told(&mut all, start + RENEWAL), [(Healthy, Some(15_000))]);
}

#[test]
fn a_drain_outweighs_the_checks_and_lasts_without_a_daemon() {
    let start = Instant::now();
    let mut all = with(&["x"]);
    all.judge("x", Standing::Healthy);
    all.set_drained("api", true);
    assert_eq!(told(&mut all, start), [(Drained, None)]);
    all.judge("x", Standing::Sick);
    assert_eq!(told(&mut all, start + RENEWAL * 2), []);
    all.set_drained("api", false);
    assert_eq!(told(&mut all, start + RENEWAL * 2), [(Degraded, Some(15_000))]);
}

#[test]
fn after_a_restart_the_former_verdict_stands_until_all_checks_have_spoken() {
    let now = Instant::now();
    for (inherited, then) in [(Healthy, Healthy), (Degraded, Degraded), (Drained, Degraded)] {
        let mut all = with(&["x", "y"]);
        all.adopt();
        assert_eq!(all.of("api"), None);
        assert_eq!(told(&mut all, now), [], "nothing that would take its verdict away");
        all.inherit(|name| (name == "api").then_some(inherited));
        assert_eq!(all.of("api"), Some(then));
        all.judge("x", Standing::Healthy);
        assert_eq!(all.of("api"), Some(then));
        all.judge("y", Standing::Healthy);
        assert_eq!(all.of("api"), Some(Healthy));
        all.inherit(|_| Some(Degraded));
        assert_eq!(all.of("api"), Some(Healthy), "it knows better by now");
    }
}

#[test]
fn a_check_that_is_sick_after_a_restart_waits_for_no_other() {
    let mut all = with(&["x", "y"]);
    all.adopt();
    all.judge("x", Standing::Sick);
    all.inherit(|_| Some(Healthy));
    assert_eq!(all.of("api"), Some(Degraded));
}

#[test]
fn a_drain_is_told_before_the_former_verdict_is_known() {
    let mut all = with(&["x"]);
    all.adopt();
    all.set_drained("api", true);
    assert_eq!(told(&mut all, Instant::now()), [(Drained, None)]);
}

#[test]
fn nothing_is_inherited_of_a_vrrp_process_that_has_died() {
    let mut all = with(&["x"]);
    all.adopt();
    all.start_anew();
    assert_eq!(all.of("api"), Some(Degraded));
    all.inherit(|_| Some(Healthy));
    assert_eq!(all.of("api"), Some(Degraded));
}

#[test]
fn what_the_vrrp_process_does_not_know_has_to_prove_itself() {
    let mut all = with(&["x"]);
    all.adopt();
    all.inherit(|_| None);
    assert_eq!(all.of("api"), Some(Degraded));
}

#[test]
fn a_check_that_a_reload_adds_moves_nothing_before_it_has_looked() {
    let mut all = with(&["x"]);
    all.judge("x", Standing::Healthy);
    replan(&mut all, &["x", "y"]);
    assert_eq!(all.of("api"), Some(Healthy));
    all.judge("y", Standing::Sick);
    assert_eq!(all.of("api"), Some(Degraded));
    replan(&mut all, &["x"]);
    assert_eq!(all.of("api"), Some(Healthy));
    replan(&mut all, &[]);
    assert_eq!(all.of("api"), Some(Healthy));
    replan(&mut all, &["z"]);
    assert_eq!(all.of("api"), Some(Healthy));
}

#[test]
fn a_virtual_router_that_a_reload_adds_has_to_prove_itself() {
    let mut all = Eligibilities::default();
    all.plan([]);
    replan(&mut all, &["x"]);
    assert_eq!(all.of("api"), Some(Degraded));
    assert_eq!(all.of("other"), None);
}

#[test]
fn checks_and_virtual_routers_name_each_other() {
    let mut all = Eligibilities::default();
    all.plan([
        ("a", names(&["x", "y"]).as_slice()),
        ("b", names(&["y"]).as_slice()),
        ("c", names(&["z"]).as_slice()),
    ]);
    assert_eq!(all.routers_of("y"), ["a", "b"]);
    let active = names(&["a", "b", "gone"]).into_iter().collect();
    let checks: Vec<_> = all.checks_of(&active).into_iter().collect();
    assert_eq!(checks, ["x", "y"]);
}
