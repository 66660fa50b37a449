//! Why the addresses are where they are.

use vrrp::config::Preempt;
use vrrp::router::State;

use super::names::Names;
use super::view::{Fitness, View};

/// Why the addresses are where they are, in sentences.
pub fn why(view: &View, names: &Names) -> Vec<String> {
    match view.router.state {
        Some(State::Active) => vec![of_active(view, names.own)],
        Some(State::Backup) => of_backup(view, names),
        Some(State::Initialize) => of_initialize(view, names.own),
        None => Vec::new(),
    }
}

fn of_active(view: &View, own: &str) -> String {
    let priority = view.router.effective_priority.unwrap_or_default();
    let stays = match view.preempt() {
        Preempt::DegradedOnly => "a healthy Active keeps it, whoever else comes",
        Preempt::Always => "it keeps it until a higher priority is heard",
        Preempt::Never => "an Active keeps it as long as it lives",
    };
    match view.fitness() {
        Fitness::Owner => format!("{own} owns the address: priority 255"),
        Fitness::Healthy => format!("{own} is healthy, priority {priority}: {stays}"),
        Fitness::Degraded => format!(
            "{own} is degraded, priority {priority}, and still has it: no healthy master has \
             taken over"
        ),
        Fitness::Drained => {
            format!("{own} is drained, and still has it: no other master has taken over")
        }
        Fitness::Released => format!("{own} is about to give it up: its checks fail"),
    }
}

fn of_backup(view: &View, names: &Names) -> Vec<String> {
    let (own, router) = (names.own, view.router);
    let ours = router.effective_priority.unwrap_or_default();
    let Some((source, theirs)) = router.active_router.zip(router.active_priority) else {
        let after = super::view::time(view.down(ours));
        return vec![format!("no Active is heard: {own} takes over after {after} of silence")];
    };
    let active = names.short(source);
    let is_behind = ours <= theirs;
    let first = match view.preempt() {
        Preempt::DegradedOnly if view.is_degraded(theirs) => {
            format!("{active} is degraded, priority {theirs}")
        }
        Preempt::DegradedOnly => format!("{active} is healthy, priority {theirs}"),
        Preempt::Always | Preempt::Never => format!("{active} advertises priority {theirs}"),
    };
    let second = match (view.preempt(), view.fitness()) {
        (_, Fitness::Drained) => format!("{own} is drained: it takes over from nobody that lives"),
        (Preempt::DegradedOnly, Fitness::Degraded | Fitness::Released) => {
            format!("{own} is degraded too: it takes over from nobody that lives")
        }
        (Preempt::DegradedOnly, _) if view.is_degraded(theirs) => {
            format!("{own} is healthy, priority {ours}: it is about to take over")
        }
        (Preempt::DegradedOnly, _) if is_behind => format!("{own} ranks behind, priority {ours}"),
        (Preempt::DegradedOnly, _) => format!(
            "{own} ranks before it, priority {ours}, and leaves a healthy Active alone \
             (preempt = \"degraded-only\")"
        ),
        (Preempt::Always, _) if is_behind => format!("{own} ranks behind, priority {ours}"),
        (Preempt::Always, _) => {
            format!("{own} ranks before it, priority {ours}: it is about to take over")
        }
        (Preempt::Never, _) => {
            format!(
                "{own}, priority {ours}, takes over from nobody that lives (preempt = \"never\")"
            )
        }
    };
    let second = if view.is_degraded(theirs) {
        second
    } else {
        // "Too" would be wrong.
        second.replace("is degraded too", "is degraded")
    };
    vec![first, second]
}

fn of_initialize(view: &View, own: &str) -> Vec<String> {
    match (&view.router.problem, view.fitness()) {
        // It stands where everything stands that is wrong.
        (Some(_), _) => Vec::new(),
        (None, Fitness::Released) => {
            vec![format!("{own} takes no part while its checks fail (on_degraded = \"release\")")]
        }
        (None, _) => vec![format!("{own} has not started yet")],
    }
}
