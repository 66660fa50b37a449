#![allow(clippy::unwrap_used)]

use std::time::Duration;

use vrrp::Priority;
use vrrp::proto::{Event, Stamp};
use vrrp::router::State::{Active, Backup, Initialize};
use vrrp::time::Instant;

use super::*;
use crate::events::{Entry, Log};

const M2: &str = "10.0.0.12";
const M3: &str = "10.0.0.13";

fn peer(source: &str) -> Place {
    Place::Peer(source.parse().unwrap())
}

fn wins(source: &str) -> Cause {
    let priority = Priority::new(244).unwrap();
    Cause::HigherPriority { source: source.parse().unwrap(), priority }
}

/// Events a second apart.
#[derive(Default)]
struct Story(Vec<Entry>);

impl Story {
    fn report(mut self, report: Report) -> Self {
        let second = u64::try_from(self.0.len()).unwrap() + 1;
        let monotonic = Instant::from_nanos(second * 1_000_000_000);
        let at = Stamp { monotonic, unix_nanos: second * 1_000_000_000 };
        let kind = EventKind::Router(report);
        self.0.push(Entry::from(Event { at, router: Some("api".to_owned()), kind }));
        self
    }

    fn goes(self, from: State, to: State, cause: Cause) -> Self {
        self.report(Report::Transition { from, to, cause })
    }

    fn fenced(mut self) -> Self {
        self.0.push(Entry::now("fenced", "removed 10.0.0.10").of("api").because("killed"));
        self
    }

    fn hears(self, source: &str, from: Option<u8>, to: u8) -> Self {
        let priority = |it| Priority::new(it).unwrap();
        self.report(Report::ActivePriority {
            source: source.parse().unwrap(),
            from: from.map(priority),
            to: priority(to),
        })
    }

    fn end(self) -> Timeline {
        let log = Log::new(Timestamp::from_unix_nanos(0));
        self.0.into_iter().for_each(|entry| log.push(entry));
        Timeline::of(&log.history())
    }

    /// From where, to where, and why.
    fn last(self) -> Option<(Option<Place>, Place, Vec<String>)> {
        let step = self.end().last?;
        Some((step.from, step.to, step.causes.into_iter().map(|link| link.what).collect()))
    }
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn nothing_is_known_of_nothing() {
    assert_eq!(Story::default().last(), None);
    let started = Story::default().goes(Initialize, Backup, Cause::Started);
    assert_eq!(started.last(), None);
}

#[test]
fn a_cold_start_comes_from_nowhere() {
    let story = Story::default().goes(Initialize, Backup, Cause::Started).goes(
        Backup,
        Active,
        Cause::ActiveDown { last: None },
    );
    let causes = texts(&["no Active was heard", "Initialize -> Backup: started"]);
    assert_eq!(story.last(), Some((None, Place::Here, causes)));
}

#[test]
fn whoever_wins_has_it_from_then_on() {
    let story = Story::default()
        .goes(Backup, Active, Cause::ActiveDown { last: M2.parse().ok() })
        .goes(Active, Backup, wins(M2));
    let causes = texts(&["10.0.0.12 advertises priority 244 and wins"]);
    assert_eq!(story.last(), Some((Some(Place::Here), peer(M2), causes)));
}

#[test]
fn an_address_may_be_gone_and_nobody_heard_with_it() {
    let gone = Story::default()
        .goes(Backup, Active, Cause::ActiveDown { last: None })
        .goes(Active, Initialize, Cause::InterfaceDown)
        .end();
    let departure = gone.departure.unwrap();
    assert_eq!((departure.at.unix_millis(), departure.causes.len()), (2000, 1));
    let back = Story::default()
        .goes(Backup, Active, Cause::ActiveDown { last: None })
        .goes(Active, Initialize, Cause::InterfaceDown)
        .goes(Initialize, Backup, Cause::InterfaceUp)
        .hears(M2, None, 244)
        .end();
    assert_eq!(back.departure, None);
}

#[test]
fn a_backup_sees_others_hand_over() {
    let story = Story::default()
        .goes(Initialize, Backup, Cause::Started)
        .hears(M2, None, 244)
        .hears(M2, Some(244), 116)
        .hears(M3, None, 234);
    let causes = texts(&[
        "the Active is 10.0.0.13, with priority 234",
        "the Active 10.0.0.12 advertises priority 116: it was 244",
    ]);
    assert_eq!(story.last(), Some((Some(peer(M2)), peer(M3), causes)));
}

#[test]
fn a_router_that_is_heard_again_has_not_moved() {
    let story = Story::default()
        .goes(Initialize, Backup, Cause::Started)
        .hears(M2, None, 244)
        .goes(Backup, Initialize, Cause::InterfaceDown)
        .goes(Initialize, Backup, Cause::InterfaceUp)
        .hears(M2, None, 244)
        .end();
    let last = story.last.unwrap();
    assert_eq!((last.from, last.at.unix_millis()), (None, 2000));
}

#[test]
fn a_process_that_dies_tells_why_the_address_left() {
    let story = Story::default()
        .goes(Backup, Active, Cause::ActiveDown { last: None })
        .fenced()
        .goes(Initialize, Backup, Cause::Started)
        .hears(M3, None, 234);
    let causes = texts(&["the Active is 10.0.0.13, with priority 234", "killed"]);
    assert_eq!(story.last(), Some((Some(Place::Here), peer(M3), causes)));
}

#[test]
fn an_address_may_come_back_to_where_it_was() {
    let story = Story::default()
        .goes(Backup, Active, Cause::ActiveDown { last: None })
        .goes(Active, Initialize, Cause::InterfaceDown)
        .goes(Initialize, Backup, Cause::InterfaceUp)
        .goes(Backup, Active, Cause::ActiveDown { last: None });
    let (from, to, causes) = story.last().unwrap();
    assert_eq!((from, to), (Some(Place::Here), Place::Here));
    assert!(causes.iter().any(|it| it.contains("the interface cannot be used")), "{causes:?}");
}

#[test]
fn a_death_that_nobody_saw_is_noticed_at_the_next_start() {
    let story = Story::default()
        .goes(Backup, Active, Cause::ActiveDown { last: None })
        .goes(Initialize, Backup, Cause::Started)
        .hears(M2, None, 244);
    let (from, to, causes) = story.last().unwrap();
    assert_eq!((from, to), (Some(Place::Here), peer(M2)));
    assert_eq!(causes[1..], texts(&["started"]));
}

#[test]
fn a_stall_is_a_departure_to_whoever_is_heard() {
    let story = Story::default()
        .goes(Backup, Active, Cause::ActiveDown { last: None })
        .goes(Active, Backup, Cause::Stalled { late: Duration::from_secs(5) })
        .hears(M2, None, 244);
    let causes =
        texts(&["the Active is 10.0.0.12, with priority 244", "this process stood still for 5s"]);
    assert_eq!(story.last(), Some((Some(Place::Here), peer(M2), causes)));
}
