//! Where the addresses of one virtual router have been, as far as the events tell.

use std::net::IpAddr;

use serde_json::Value;
use vrrp::proto::EventKind;
use vrrp::router::{Cause, Report, State};

use crate::events::{CauseLink, Record};
use crate::timestamp::Timestamp;

/// Who has the addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// This node.
    Here,
    /// The router that advertises from this address.
    Peer(IpAddr),
}

/// A change of who has the addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// When.
    pub at: Timestamp,
    /// Who had them; `None` if that is not known, or nobody did.
    pub from: Option<Place>,
    /// Who has them since.
    pub to: Place,
    /// Why, the nearest cause first.
    pub causes: Vec<CauseLink>,
    /// Why this node took them, if it did.
    pub cause: Option<Cause>,
}

/// The addresses have left this node, and it is not known where to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Departure {
    /// When.
    pub at: Timestamp,
    /// Why, the nearest cause first.
    pub causes: Vec<CauseLink>,
}

/// Where the addresses have been.
#[derive(Debug, Default)]
pub struct Timeline {
    /// Who had them last.
    place: Option<Place>,
    /// They have left this node since.
    pub departure: Option<Departure>,
    /// What the Active said last that has them.
    told: Vec<CauseLink>,
    /// How they came to where they are.
    pub last: Option<Step>,
}

impl Timeline {
    /// Follows the events of one virtual router.
    pub fn of<'a>(records: impl IntoIterator<Item = &'a Record>) -> Self {
        let mut timeline = Self::default();
        records.into_iter().for_each(|record| timeline.take(record));
        timeline
    }

    fn take(&mut self, record: &Record) {
        if record.code == "fenced" && self.place == Some(Place::Here) && self.departure.is_none() {
            return self.leave(record);
        }
        match serde_json::from_value(record.detail.clone()) {
            Ok(EventKind::Router(Report::Transition { from, to, cause })) => {
                self.take_transition(record, from, to, cause);
            }
            _ => self.take_news(record),
        }
    }

    fn take_transition(&mut self, record: &Record, from: State, to: State, cause: Cause) {
        if to == State::Active {
            // It knows whom it takes over from, whatever this node has told of before.
            if let Some(source) = predecessor(cause) {
                self.place = Some(Place::Peer(source));
                self.departure = None;
            }
            let mut causes = record.causes.clone();
            // It was here before: what became of it is a part of the story.
            if let Some(departure) = self.departure.take() {
                causes.extend(departure.causes);
                causes.sort_by_key(|link| std::cmp::Reverse(link.at));
                causes.dedup();
            }
            return self.arrive(record.at, Place::Here, causes, Some(cause));
        }
        // A process that starts anew does not know what became of the last one.
        if from != State::Active && !(from == State::Initialize && self.place == Some(Place::Here))
        {
            return;
        }
        match cause {
            Cause::HigherPriority { source, .. } | Cause::Superseded { source, .. } => {
                self.arrive(record.at, Place::Peer(source), record.causes.clone(), None);
            }
            _ if self.departure.is_none() => self.leave(record),
            _ => {}
        }
    }

    /// What a Backup hears of the Active.
    fn take_news(&mut self, record: &Record) {
        let source = record.detail.get("source").and_then(Value::as_str);
        let Some(source) = source.and_then(|it| it.parse().ok()) else { return };
        let peer = Place::Peer(source);
        let link = CauseLink { at: record.at, what: record.account() };
        match record.code.as_str() {
            "active_released" | "active_priority" if self.place == Some(peer) => {
                self.told = vec![link];
            }
            "active_priority" => {
                let left = self.departure.take().map(|it| it.causes);
                let left = left.unwrap_or_else(|| std::mem::take(&mut self.told));
                let causes = [vec![link], left].concat();
                self.arrive(record.at, peer, causes, None);
            }
            _ => {}
        }
    }

    /// The addresses leave, and where they go is not known yet.
    fn leave(&mut self, record: &Record) {
        self.departure = Some(Departure { at: record.at, causes: record.causes.clone() });
    }

    fn arrive(&mut self, at: Timestamp, to: Place, causes: Vec<CauseLink>, cause: Option<Cause>) {
        let from = self.place.replace(to);
        self.departure = None;
        self.told.clear();
        // The same peer heard again: nobody but its hearer has changed.
        if from != Some(to) || to == Place::Here {
            self.last = Some(Step { at, from, to, causes, cause });
        }
    }
}

/// Who was Active before a router that became so.
fn predecessor(cause: Cause) -> Option<IpAddr> {
    match cause {
        Cause::ActiveDown { last } => last,
        Cause::ActiveReleased { source }
        | Cause::ActiveDegraded { source, .. }
        | Cause::Preempts { source, .. } => Some(source),
        _ => None,
    }
}

#[cfg(test)]
#[path = "timeline_tests.rs"]
mod tests;
