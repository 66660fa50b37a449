//! What the instruments saw, in order, and waiting for it.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::{Advert, Arp, Family, Node, Port, Stamp};

/// Something that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A router sent an advertisement: its frame came in at the bridge's port.
    Advert(Node, Advert),
    /// Someone sent ARP.
    Arp(Port, Arp),
    /// A router's kernel got the VIP.
    Added(Node),
    /// A router's kernel lost the VIP.
    Removed(Node),
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Advert(node, advert) => write!(
                f,
                "{node} advert vrid {} priority {} interval {} cs",
                advert.vrid, advert.priority, advert.interval
            ),
            Self::Arp(port, arp) if arp.is_gratuitous() => {
                write!(f, "{port} gratuitous ARP {} is at {}", arp.sender, arp.sender_mac)
            }
            Self::Arp(port, arp) => {
                write!(f, "{port} ARP {:?} {} to {}", arp.operation, arp.sender, arp.target)
            }
            Self::Added(node) => write!(f, "{node} has the VIP"),
            Self::Removed(node) => write!(f, "{node} no longer has the VIP"),
        }
    }
}

/// An event and its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timed {
    /// When it happened.
    pub at: Stamp,
    /// What happened.
    pub event: Event,
}

/// What is known at one moment.
#[derive(Debug, Default)]
pub struct View {
    /// The events since the last [`Timeline::clear`], in the order of their stamps.
    pub events: Vec<Timed>,
    /// The routers that have the VIP now.
    pub owners: BTreeSet<Node>,
}

/// The events of all instruments about the first virtual router of one family, shared between
/// their threads and the one that waits.
#[derive(Debug, Default)]
pub struct Timeline {
    family: Family,
    view: Mutex<View>,
    changed: Condvar,
}

impl Timeline {
    /// A timeline of `family`.
    pub(crate) fn new(family: Family) -> Self {
        Self { family, ..Self::default() }
    }

    /// Of which family the virtual router is.
    pub fn family(&self) -> Family {
        self.family
    }

    /// Adds an event. A VIP that is added or removed twice counts once.
    pub(crate) fn push(&self, at: Stamp, event: Event) {
        let mut view = self.lock();
        let news = match event {
            Event::Added(node) => view.owners.insert(node),
            Event::Removed(node) => view.owners.remove(&node),
            Event::Advert(..) | Event::Arp(..) => true,
        };
        if news {
            // Stamps of different instruments may arrive a little out of order.
            let index = view.events.partition_point(|timed| timed.at <= at);
            view.events.insert(index, Timed { at, event });
            drop(view);
            self.changed.notify_all();
        }
    }

    /// Forgets the events, not the owners.
    pub fn clear(&self) {
        self.lock().events.clear();
    }

    /// The events so far.
    pub fn events(&self) -> Vec<Timed> {
        self.lock().events.clone()
    }

    /// The routers that have the VIP now.
    pub fn owners(&self) -> BTreeSet<Node> {
        self.lock().owners.clone()
    }

    /// Waits until `found` finds something; `None` if `deadline` comes first.
    pub fn wait<T>(&self, deadline: Stamp, mut found: impl FnMut(&View) -> Option<T>) -> Option<T> {
        let mut view = self.lock();
        loop {
            if let Some(result) = found(&view) {
                return Some(result);
            }
            let left = deadline - Stamp::now();
            if left == Duration::ZERO {
                return None;
            }
            view = self.changed.wait_timeout(view, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The times of the advertisements of nonzero priority, with their senders.
pub fn adverts(events: &[Timed]) -> impl Iterator<Item = (Stamp, Node)> + '_ {
    events.iter().filter_map(|timed| match &timed.event {
        Event::Advert(node, advert) if advert.priority != 0 => Some((timed.at, *node)),
        _ => None,
    })
}

/// When `node` first lost the VIP after `from`.
pub fn removed(events: &[Timed], node: Node, from: Stamp) -> Option<Stamp> {
    first(events, &Event::Removed(node), from)
}

/// When `node` first got the VIP after `from`.
pub fn added(events: &[Timed], node: Node, from: Stamp) -> Option<Stamp> {
    first(events, &Event::Added(node), from)
}

fn first(events: &[Timed], event: &Event, from: Stamp) -> Option<Stamp> {
    events.iter().find(|timed| timed.at >= from && timed.event == *event).map(|timed| timed.at)
}

/// How many times the VIP came or went on any router from `from` on.
pub fn moves(events: &[Timed], from: Stamp) -> usize {
    let moved = |timed: &&Timed| matches!(timed.event, Event::Added(_) | Event::Removed(_));
    events.iter().filter(|timed| timed.at >= from).filter(moved).count()
}

/// How long two or more routers had the VIP until `until`, beginning with `owners`.
pub fn two_owners(events: &[Timed], mut owners: BTreeSet<Node>, until: Stamp) -> Duration {
    let mut total = Duration::ZERO;
    let mut since = None;
    for timed in events.iter().filter(|timed| timed.at < until) {
        match timed.event {
            Event::Added(node) => owners.insert(node),
            Event::Removed(node) => owners.remove(&node),
            Event::Advert(..) | Event::Arp(..) => continue,
        };
        match (since, owners.len() > 1) {
            (None, true) => since = Some(timed.at),
            (Some(start), false) => {
                total += timed.at - start;
                since = None;
            }
            _ => {}
        }
    }
    total + since.map_or(Duration::ZERO, |start| until - start)
}

/// The largest time between two advertisements of nonzero priority, whoever sent them.
pub fn largest_gap(events: &[Timed], from: Stamp, until: Stamp) -> Duration {
    let times: Vec<Stamp> =
        adverts(events).map(|(at, _)| at).filter(|at| (from..until).contains(at)).collect();
    times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn node(number: u8) -> Node {
        Node::new(number).unwrap()
    }

    fn at(millis: i64) -> Stamp {
        Stamp::from_nanos(millis * 1_000_000)
    }

    fn timed(millis: i64, event: Event) -> Timed {
        Timed { at: at(millis), event }
    }

    #[test]
    fn two_owners_counts_overlap_only() {
        let events = [
            timed(10, Event::Added(node(2))),
            timed(15, Event::Removed(node(1))),
            timed(30, Event::Removed(node(2))),
            timed(40, Event::Added(node(1))),
            timed(50, Event::Added(node(3))),
        ];
        let start = BTreeSet::from([node(1)]);
        assert_eq!(two_owners(&events, start.clone(), at(60)), Duration::from_millis(15));
        assert_eq!(two_owners(&events, start, at(12)), Duration::from_millis(2));
    }

    #[test]
    fn events_are_kept_in_order_and_owners_counted_once() {
        let timeline = Timeline::default();
        timeline.push(at(20), Event::Added(node(1)));
        timeline.push(at(25), Event::Added(node(1)));
        timeline.push(at(10), Event::Added(node(2)));
        let events = timeline.events();
        assert_eq!(events.len(), 2);
        assert_eq!(events[0].at, at(10));
        assert_eq!(timeline.owners(), BTreeSet::from([node(1), node(2)]));
    }

    #[test]
    fn a_wait_ends_with_the_event_or_at_its_deadline() {
        let timeline = Timeline::default();
        let soon = Stamp::now() + Duration::from_millis(5);
        assert_eq!(timeline.wait(soon, |view| view.owners.first().copied()), None);
        std::thread::scope(|scope| {
            scope.spawn(|| timeline.push(Stamp::now(), Event::Added(node(1))));
            let late = Stamp::now() + Duration::from_secs(5);
            assert_eq!(timeline.wait(late, |view| view.owners.first().copied()), Some(node(1)));
        });
    }
}
