//! What the operator reads, for each cause of a move and each thing that can be wrong.
#![allow(clippy::unwrap_used)]

mod health;
mod moves;
mod units;
mod wrong;

use vrrp::Priority;
use vrrp::conflict::ConflictKind;
use vrrp::proto::{Event, EventKind, Stamp};
use vrrp::router::State::{Active, Backup, Initialize};
use vrrp::router::{Cause, Eligibility, Report, State};
use vrrp::time::{Duration, Instant};

use super::*;
use crate::config;
use crate::daemon::{Mark, spec};
use crate::events::{Entry, Log};
use crate::explain::{Setup, explain};
use crate::health::{CheckStatus, Standing};
use crate::status::{Conflict, Status, TransitionStatus, VirtualRouterStatus};

const FILE: &str = r#"
    [cluster]
    name = "c"
    [[node]]
    name = "m1"
    role = "master"
    addresses = ["10.0.0.11"]
    [[node]]
    name = "m2"
    role = "master"
    addresses = ["10.0.0.12"]
    [[node]]
    name = "m3"
    role = "master"
    addresses = ["10.0.0.13"]
    [[virtual_router]]
    name = "api"
    vrid = 51
    interface = "eth0"
    addresses = ["10.0.0.10"]
    advert_interval = "1s"
"#;

/// 2026-01-31T12:00:00.000Z, when each story begins, in milliseconds.
const START: u64 = 1_769_860_800_000;
const M1: &str = "10.0.0.11";
const M2: &str = "10.0.0.12";
const M3: &str = "10.0.0.13";

/// What one node has seen, and what it is now.
struct Story {
    file: String,
    log: Log,
    status: Status,
    /// Since the start, in milliseconds.
    now: u64,
}

fn source(node: &str) -> std::net::IpAddr {
    node.parse().unwrap()
}

fn level(priority: u8) -> Priority {
    Priority::new(priority).unwrap()
}

impl Story {
    /// Of a node of [`FILE`], changed by `change`.
    fn of_file(node: &str, change: impl Fn(&str) -> String) -> Self {
        let file = change(FILE);
        let config = config::parse(&file, "file").unwrap();
        let own = config.for_node(&node.parse().unwrap()).unwrap();
        let router = VirtualRouterStatus::absent(&spec(&own.virtual_routers[0]), "");
        let router = VirtualRouterStatus {
            problem: None,
            source: own.addresses.first().copied(),
            effective_priority: Some(router.priority),
            ..router
        };
        let status = Status {
            node: node.to_owned(),
            role: "master".to_owned(),
            virtual_routers: vec![router],
            ..Status::default()
        };
        let mut story = Self { file, log: Log::new(Timestamp::from_unix_nanos(0)), status, now: 0 };
        story.status.vrrp.attached = true;
        story
    }

    fn of(node: &str) -> Self {
        Self::of_file(node, str::to_owned)
    }

    fn router(&mut self) -> &mut VirtualRouterStatus {
        self.status.virtual_routers.first_mut().unwrap()
    }

    /// So much later.
    fn after(mut self, millis: u64) -> Self {
        self.now += millis;
        self
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_unix_nanos((START + self.now) * 1_000_000)
    }

    /// The daemon tells.
    fn tells(self, entry: Entry) -> Self {
        let monotonic = (1000 + self.now) * 1_000_000;
        self.log.push(Entry { at: self.now(), monotonic, ..entry });
        self
    }

    /// The VRRP process tells.
    fn reports(self, report: Report) -> Self {
        let unix_nanos = (START + self.now) * 1_000_000;
        let monotonic = Instant::from_nanos((1000 + self.now) * 1_000_000);
        let at = Stamp { monotonic, unix_nanos };
        let kind = EventKind::Router(report);
        self.log.push(Entry::from(Event { at, router: Some("api".to_owned()), kind }));
        self
    }

    fn goes(mut self, from: State, to: State, cause: Cause) -> Self {
        let at = self.now();
        let router = self.router();
        router.state = Some(to);
        router.installed = Some(to == Active);
        router.last_transition = Some(TransitionStatus {
            at,
            from,
            to,
            cause: cause.to_string(),
            cause_code: String::new(),
        });
        if to == Active {
            (router.active_router, router.active_priority) =
                (router.source, router.effective_priority);
        }
        self.reports(Report::Transition { from, to, cause })
    }

    fn priority(mut self, from: Option<u8>, to: Option<u8>) -> Self {
        let configured = level(self.router().priority);
        let router = self.router();
        router.effective_priority = to;
        router.eligibility = Some(match to.map(level) {
            Some(Priority::DRAINED) => Eligibility::Drained,
            Some(to) if to == configured => Eligibility::Healthy,
            _ => Eligibility::Degraded,
        });
        self.reports(Report::Priority { from: from.map(level), to: to.map(level) })
    }

    /// A Backup hears an Active.
    fn hears(mut self, node: &str, from: Option<u8>, to: u8) -> Self {
        let router = self.router();
        (router.active_router, router.active_priority) = (Some(source(node)), Some(to));
        self.reports(Report::ActivePriority {
            source: source(node),
            from: from.map(level),
            to: level(to),
        })
    }

    /// Started, and nobody is there.
    fn starts_alone(self) -> Self {
        let down = Cause::ActiveDown { last: None };
        self.tells(Entry::now("vrrp_started", "the VRRP process is started, as process 71"))
            .goes(Initialize, Backup, Cause::Started)
            .after(3008)
            .goes(Backup, Active, down)
    }

    /// Started, and another node is Active.
    fn starts_behind(self, node: &str, priority: u8) -> Self {
        self.goes(Initialize, Backup, Cause::Started).after(300).hears(node, None, priority)
    }

    /// A better one is heard.
    fn loses_to(mut self, node: &str, priority: u8) -> Self {
        let router = self.router();
        (router.active_router, router.active_priority) = (Some(source(node)), Some(priority));
        let cause = Cause::HigherPriority { source: source(node), priority: level(priority) };
        self.goes(Active, Backup, cause)
    }

    /// What the operator reads.
    fn text(&self) -> String {
        let config = config::parse(&self.file, "file").unwrap();
        let setup = Setup::of(&config, &self.status.node.parse().unwrap());
        let explanation = explain(&self.status, &self.log.history(), &setup, self.now());
        render(&explanation, Style::PLAIN)
    }
}

#[track_caller]
fn reads(story: &Story, expected: &str) {
    let text = story.text();
    assert!(text == expected, "---- expected\n{expected}---- found\n{text}");
}

fn with_preempt(how: &str) -> impl Fn(&str) -> String {
    let line = format!("advert_interval = \"1s\"\npreempt = \"{how}\"");
    move |file| file.replace("advert_interval = \"1s\"", &line)
}
