//! Which master has which priority in a virtual router.

use std::collections::HashMap;
use std::ops::{Range, RangeInclusive};

use toml::Spanned;
use vrrp::Priority;
use vrrp::config::{OnDegraded, Preempt};

use super::error::{Fault, Problems, list};
use super::node::Node;
use super::virtual_router::Spec;

/// The first master's priority; each of the next ones has [`STEP`] less.
const FIRST: u8 = 254;
const STEP: u8 = 10;
/// How much less a degraded router advertises.
const DEGRADED_BY: u8 = 128;

/// A master's priorities in one virtual router.
#[derive(Clone, Copy)]
pub(super) struct Priorities {
    pub(super) healthy: Priority,
    pub(super) degraded: Priority,
}

/// The priorities of all masters, in their order. `None` if something is wrong; the problems then
/// say what.
pub(super) fn assign(
    spec: &Spec,
    masters: &[&Node],
    problems: &mut Problems,
) -> Option<Vec<Priorities>> {
    let healthy: Vec<_> = masters
        .iter()
        .enumerate()
        .map(|(position, master)| healthy_priority(spec, masters.len(), position, master, problems))
        .collect();
    let healthy: Vec<_> = healthy.into_iter().collect::<Option<_>>()?;
    check_unique(spec, masters, &healthy, problems);
    let lowest = healthy.iter().min().copied()?;
    let priorities: Vec<_> = masters
        .iter()
        .zip(healthy)
        .map(|(master, healthy)| {
            let degraded = degraded_priority(spec, master, healthy, lowest, problems)?;
            Some(Priorities { healthy, degraded })
        })
        .collect();
    priorities.into_iter().collect()
}

/// The range of a healthy router that does not own the addresses.
fn range(preempt: Preempt) -> RangeInclusive<u8> {
    match preempt {
        // Two above the band of the degraded, so that minus 128 stays above a drained router's 1.
        Preempt::DegradedOnly => Priority::LOWEST_HEALTHY + 2..=FIRST,
        Preempt::Always | Preempt::Never => 1..=FIRST,
    }
}

fn healthy_priority(
    spec: &Spec,
    masters: usize,
    position: usize,
    master: &Node,
    problems: &mut Problems,
) -> Option<Priority> {
    let name = master.name.get_ref();
    let range = range(spec.preempt);
    let Some(chosen) = spec.priority.get(name.as_str()) else {
        let by_order = u8::try_from(position)
            .ok()
            .and_then(|position| FIRST.checked_sub(position.checked_mul(STEP)?))
            .filter(|priority| range.contains(priority))
            .and_then(Priority::new);
        if by_order.is_none() {
            let enough = (range.end() - range.start()) / STEP + 1;
            let fault = Fault::new(
                format!(
                    "no priority is left for {name}: the order gives {FIRST}, {}, ... to {enough} \
                     masters, and there are {masters}",
                    FIRST - STEP
                ),
                format!("add `priority = {{ {name} = ... }}`, from {}", text(&range)),
            );
            problems.add(spec.name.span(), fault);
        }
        return by_order;
    };
    let priority = *chosen.get_ref();
    if priority.is_owner() {
        check_owner(spec, master, chosen.span(), problems);
    } else if !range.contains(&priority.get()) {
        let fault = Fault::new(
            format!(
                "priority {priority} of {name} is out of range: with preempt = \"degraded-only\" \
                 a healthy master has {}",
                text(&range)
            ),
            "raise it, or set preempt = \"always\"",
        );
        problems.add(chosen.span(), fault);
        return None;
    }
    Some(priority)
}

fn check_owner(spec: &Spec, master: &Node, span: Range<usize>, problems: &mut Problems) {
    let name = &master.name;
    let missing: Vec<_> = spec.addresses.iter().filter(|&it| !master.owns(it)).collect();
    let fault = if !missing.is_empty() {
        Fault::new(
            format!("priority 255 is the address owner's, but {name} does not have them all"),
            format!("choose 254 or less, or add {} to the addresses of {name}", list(&missing)),
        )
    } else if !spec.checks.is_empty() {
        Fault::new(
            format!("{name} cannot give up its own addresses when a check fails"),
            "leave the checks out; or choose free addresses, and 254 or less",
        )
    } else {
        return;
    };
    problems.add(span, fault);
}

fn check_unique(spec: &Spec, masters: &[&Node], priorities: &[Priority], problems: &mut Problems) {
    let mut seen = HashMap::new();
    for (master, priority) in masters.iter().zip(priorities) {
        let name = master.name.get_ref();
        let Some(other) = seen.insert(priority, name) else { continue };
        // Two that follow the order differ: at least one of the two was chosen.
        let chosen = [name, other].map(|name| spec.priority.get(name.as_str()));
        let span = chosen.into_iter().flatten().map(Spanned::span).max_by_key(|span| span.start);
        let fault = Fault::new(
            format!("{other} and {name} have the same priority, {priority}"),
            "give each master its own; who is not listed has 254, 244, ... by the order of masters",
        );
        problems.add(span.unwrap_or_else(|| spec.name.span()), fault);
    }
}

fn degraded_priority(
    spec: &Spec,
    master: &Node,
    healthy: Priority,
    lowest_healthy: Priority,
    problems: &mut Problems,
) -> Option<Priority> {
    let name = master.name.get_ref();
    let chosen = spec.degraded_priority.as_ref().and_then(|it| it.of(name.as_str()));
    if spec.on_degraded == OnDegraded::Release {
        if let Some(chosen) = chosen {
            let fault = Fault::new(
                "degraded_priority has no effect with on_degraded = \"release\"",
                "leave one of the two out",
            );
            problems.add(chosen.span(), fault);
        }
        return Some(Priority::DRAINED);
    }
    let by_band = healthy.get().checked_sub(DEGRADED_BY).and_then(Priority::new);
    let own = spec.priority.get(name.as_str()).map_or_else(|| spec.name.span(), Spanned::span);
    let (degraded, span) = match (chosen, by_band) {
        (Some(chosen), _) => (*chosen.get_ref(), chosen.span()),
        (None, Some(by_band)) => (by_band, own),
        (None, None) => {
            let fault = Fault::new(
                format!(
                    "{name} needs a degraded_priority, as its priority {healthy} is not above 128"
                ),
                format!("add degraded_priority = ..., below {lowest_healthy}"),
            );
            problems.add(own, fault);
            return None;
        }
    };
    if spec.preempt == Preempt::DegradedOnly && !degraded.is_degraded() {
        let fault = Fault::new(
            format!("degraded_priority {degraded} of {name} would count as healthy"),
            "with preempt = \"degraded-only\" choose 1 to 127",
        );
        problems.add(span, fault);
    } else if degraded >= lowest_healthy {
        let fault = Fault::new(
            format!(
                "{name} would stay Active while degraded: its degraded priority {degraded} is not \
                 below every master's priority, of which {lowest_healthy} is the lowest"
            ),
            format!("set degraded_priority below {lowest_healthy}"),
        );
        problems.add(span, fault);
    }
    Some(degraded)
}

fn text(range: &RangeInclusive<u8>) -> String {
    format!("{} to {}", range.start(), range.end())
}
