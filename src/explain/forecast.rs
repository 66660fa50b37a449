//! What would move the addresses, and what would not.

use vrrp::config::Preempt;
use vrrp::router::State;

use super::names::Names;
use super::setup::Master;
use super::view::{Fitness, View, time};

/// What would move the addresses, and what would not, in sentences.
pub fn would_move(view: &View, names: &Names) -> Vec<String> {
    match view.router.state {
        Some(State::Active) => from_here(view, names.own),
        Some(State::Backup) => from_a_peer(view, names),
        Some(State::Initialize) | None => Vec::new(),
    }
}

fn from_here(view: &View, own: &str) -> Vec<String> {
    let Some(rules) = view.rules else { return Vec::new() };
    let Some(next) = rules.first_but(&[own]) else {
        return vec!["nothing: the file names no other master".to_owned()];
    };
    let (name, priority) = (&next.name, next.healthy.get());
    let (skew, down) = (time(view.skew(priority)), time(view.down(priority)));
    let silent = format!("{own} falls silent: {name}, if healthy, takes over after {down}");
    if view.fitness() == Fitness::Owner {
        return vec![silent, format!("mainstay stops on {own}: {name} takes over after {skew}")];
    }
    let fails = match (rules.checks.as_slice(), view.preempt(), view.fitness()) {
        (_, Preempt::Never, _) => None,
        (_, _, Fitness::Drained) => {
            Some(format!("any other master that hears {own} takes over within {skew}"))
        }
        (_, _, Fitness::Degraded | Fitness::Released) => {
            Some(format!("a healthy master that hears {own} takes over, {name} after {skew}"))
        }
        ([], _, _) => Some(
            "not a failing API server: no check watches it (add `checks` to the virtual router)"
                .to_owned(),
        ),
        (checks, _, _) => Some(format!(
            "{} fails here: {name}, if healthy, takes over {skew} after it is noticed",
            one_of(checks)
        )),
    };
    let higher = rules.masters.iter().filter(|it| it.healthy.get() > view.router.priority);
    let higher = higher.max_by_key(|it| it.healthy).filter(|_| view.preempt() == Preempt::Always);
    let higher = higher.map(|it| format!("{} comes back, priority {}", it.name, it.healthy));
    let drain = match (view.preempt(), view.fitness()) {
        (Preempt::Never, _) | (_, Fitness::Drained) => None,
        _ => Some(format!("on purpose: `mainstay vip drain` on {own}")),
    };
    fails.into_iter().chain(higher).chain([silent]).chain(drain).collect()
}

fn from_a_peer(view: &View, names: &Names) -> Vec<String> {
    let (own, router) = (names.own, view.router);
    let Some((source, ours)) = router.active_router.zip(router.effective_priority) else {
        return Vec::new();
    };
    let active = names.short(source);
    let next = view.rules.and_then(|rules| rules.first_but(&[active.as_str(), own]));
    // Who ranks before this node comes first, unless it is not fit.
    let rival = next.filter(|it| it.healthy.get() > ours);
    let first = |it: &Master, after: f64| {
        format!("{}, if healthy, takes over after {}", it.name, time(after))
    };
    let after = |of: &dyn Fn(u8) -> f64| match rival {
        Some(it) => {
            format!("{}, else {own} after {}", first(it, of(it.healthy.get())), time(of(ours)))
        }
        None => format!("{own} takes over after {}", time(of(ours))),
    };
    let unfit = |how: &str| match next {
        Some(it) => {
            let next = first(it, view.skew(it.healthy.get()));
            format!("{active} degrades or is drained: {next}, {own} does not while it is {how}")
        }
        None => format!("not a check of {active} that fails: {own} is {how} itself"),
    };
    let silent = format!("{active} falls silent: {}", after(&|it| view.down(it)));
    let fails = match (view.preempt(), view.fitness()) {
        (Preempt::Never, _) => None,
        (_, Fitness::Healthy | Fitness::Owner) => {
            Some(format!("{active} degrades or is drained: {}", after(&|it| view.skew(it))))
        }
        (_, Fitness::Drained) => Some(unfit("drained")),
        (_, Fitness::Degraded | Fitness::Released) => Some(unfit("degraded")),
    };
    let drain = (view.preempt() != Preempt::Never)
        .then(|| format!("on purpose: `mainstay vip drain` on {active}"));
    fails.into_iter().chain([silent]).chain(drain).collect()
}

fn one_of(checks: &[String]) -> String {
    match checks {
        [check] => format!("the check {check}"),
        checks => format!("one of the checks {}", checks.join(", ")),
    }
}
