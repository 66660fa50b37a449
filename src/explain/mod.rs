//! Why the addresses are where they are, how they came there, what would move them and what is
//! wrong: in words that are short enough for three in the morning.
//!
//! Pure: a status, the events and the configuration go in, sentences come out.

mod forecast;
mod model;
mod names;
mod reasons;
mod setup;
mod timeline;
mod view;
mod wrong;

use std::collections::BTreeMap;

use vrrp::Priority;
use vrrp::router::{Cause, State};

pub use model::{Explanation, Finding, Holder, Move, RouterExplanation};
pub use setup::Setup;

use crate::events::{CauseLink, Record, list};
use crate::status::{Status, VirtualRouterStatus};
use crate::timestamp::Timestamp;
use names::Names;
use timeline::{Departure, Place, Step, Timeline};
use view::View;

/// Explains what a status shows, at the time `now`. `records` are the events so far in order.
pub fn explain(status: &Status, records: &[Record], setup: &Setup, now: Timestamp) -> Explanation {
    let mut of_routers: BTreeMap<&str, Vec<&Record>> = BTreeMap::new();
    for record in records {
        if let Some(router) = &record.router {
            of_routers.entry(router).or_default().push(record);
        }
    }
    let routers = status.virtual_routers.iter().map(|router| {
        let own = of_routers.get(router.name.as_str()).map_or(&[][..], Vec::as_slice);
        explain_router(&View::new(status, router, setup, now), own)
    });
    Explanation {
        node: status.node.clone(),
        at: now,
        virtual_routers: routers.collect(),
        wrong: wrong::of_node(status, now),
    }
}

fn explain_router(view: &View, records: &[&Record]) -> RouterExplanation {
    let mut names = Names::new(view.node, view.setup, &view.router.name);
    learn(&mut names, view.router, records);
    let timeline = Timeline::of(records.iter().copied());
    let place = place(view.router);
    // Where nothing is known about now, the last that was known is still worth telling.
    let is_told = |step: &Step| place.is_none_or(|place| step.to == place);
    let step = timeline.last.filter(is_told);
    let last_move = match (&timeline.departure, &step) {
        (Some(departure), _) => Some(departed(departure, place, &names)),
        (None, Some(step)) => moved(step, &names),
        (None, None) => remembered(view.router, &names),
    };
    let is_exact = step.as_ref().is_some_and(|it| it.from.is_some() || it.to == Place::Here);
    let known_since = step.map(|it| it.at).or_else(|| since(view.router));
    RouterExplanation {
        name: view.router.name.clone(),
        addresses: view.router.addresses.clone(),
        state: view.router.state,
        holder: place.map(|place| holder(place, view.router, &names)),
        since: place.and(known_since),
        is_since_exact: is_exact || place == Some(Place::Here),
        place: tell_place(view.router, &names),
        why: reasons::why(view, &names),
        last_move,
        would_move: forecast::would_move(view, &names),
        wrong: wrong::of_router(view, &names),
    }
}

/// Who has the addresses now.
fn place(router: &VirtualRouterStatus) -> Option<Place> {
    match router.state? {
        State::Active => Some(Place::Here),
        State::Backup => router.active_router.map(Place::Peer),
        State::Initialize => None,
    }
}

/// Since when it has been as it is, where no event tells.
fn since(router: &VirtualRouterStatus) -> Option<Timestamp> {
    router.last_transition.as_ref().map(|last| last.at)
}

fn holder(place: Place, router: &VirtualRouterStatus, names: &Names) -> Holder {
    match place {
        Place::Here => Holder {
            node: Some(names.own.to_owned()),
            address: router.source,
            priority: router.effective_priority,
        },
        Place::Peer(source) => Holder {
            node: names.name(source).map(str::to_owned),
            address: Some(source),
            priority: router.active_priority,
        },
    }
}

fn tell_place(router: &VirtualRouterStatus, names: &Names) -> String {
    let addresses = list(&router.addresses);
    let are = if router.addresses.len() == 1 { "is" } else { "are" };
    match (router.state, router.active_router) {
        (Some(State::Active), _) if router.installed == Some(false) => {
            format!("{} is Active, but {addresses} {are} not on it", names.own)
        }
        (Some(State::Active), _) => format!("{addresses} {are} here, on {}", names.own),
        (Some(State::Backup), Some(source)) => {
            format!("{addresses} {are} on {}", names.long(source))
        }
        (Some(State::Backup), None) => {
            format!("nobody that {} hears has {addresses}", names.own)
        }
        (Some(State::Initialize), _) => {
            format!("{addresses} {are} not on {}, which takes no part", names.own)
        }
        (None, _) => format!("it is not known where {addresses} {are}"),
    }
}

fn moved(step: &Step, names: &Names) -> Option<Move> {
    let name = |place: Place| match place {
        Place::Here => names.own.to_owned(),
        Place::Peer(source) => names.short(source),
    };
    // Heard for the first time: no move that this node has seen.
    if step.from.is_none() && step.to != Place::Here {
        return None;
    }
    Some(Move {
        at: step.at,
        from: step.from.map(name),
        to: Some(name(step.to)),
        causes: told(&step.causes, names),
        hint: hint(step, names),
    })
}

/// The address has left this node; if somebody is heard with it now, no event said so.
fn departed(departure: &Departure, place: Option<Place>, names: &Names) -> Move {
    let to = match place {
        Some(Place::Peer(source)) => Some(names.short(source)),
        Some(Place::Here) | None => None,
    };
    Move {
        at: departure.at,
        from: Some(names.own.to_owned()),
        to,
        causes: told(&departure.causes, names),
        hint: None,
    }
}

fn told(causes: &[CauseLink], names: &Names) -> Vec<CauseLink> {
    causes.iter().map(|link| CauseLink { what: names.tell(&link.what), ..*link }).collect()
}

/// Where more is known: each node sees its own causes only.
fn hint(step: &Step, names: &Names) -> Option<String> {
    let (node, what) = match (step.cause, step.from, step.to) {
        (Some(Cause::ActiveDown { last: Some(last) }), ..) => (last, "fell silent"),
        (Some(Cause::ActiveReleased { source }), ..) => (source, "gave up"),
        (Some(Cause::ActiveDegraded { source, priority: Priority::DRAINED }), ..) => {
            (source, "hands over")
        }
        (Some(Cause::ActiveDegraded { source, .. }), ..) => (source, "is degraded"),
        (None, Some(Place::Peer(from)), Place::Peer(_)) => (from, "lost it"),
        _ => return None,
    };
    let node = names.short(node);
    Some(format!("why {node} {what}: `mainstay explain` on {node}"))
}

/// The move that the status remembers where the events do not reach back so far.
fn remembered(router: &VirtualRouterStatus, names: &Names) -> Option<Move> {
    let last = router.last_transition.as_ref().filter(|last| last.to == State::Active)?;
    let what = names.tell(&last.cause);
    Some(Move {
        at: last.at,
        from: None,
        to: Some(names.own.to_owned()),
        causes: vec![CauseLink { at: last.at, what }],
        hint: None,
    })
}

/// Learns who advertises from addresses that are not in the file.
fn learn(names: &mut Names, router: &VirtualRouterStatus, records: &[&Record]) {
    if let Some(source) = router.source {
        names.learn_own(source);
    }
    for record in records {
        // That of an advertisement, or of a cause that tells of one.
        let told = record.detail.get("cause").unwrap_or(&record.detail);
        let source = told.get("source").and_then(|it| it.as_str()?.parse().ok());
        let priority = told.get("priority").or_else(|| told.get("to"));
        let priority = priority.and_then(|it| u8::try_from(it.as_u64()?).ok());
        if let Some((source, priority)) = source.zip(priority) {
            names.learn(source, priority);
        }
    }
    if router.state == Some(State::Backup)
        && let Some((source, priority)) = router.active_router.zip(router.active_priority)
    {
        names.learn(source, priority);
    }
}
