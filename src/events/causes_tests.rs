#![allow(clippy::unwrap_used)]

use serde_json::json;
use vrrp::proto::{Event, Stamp};
use vrrp::router::State;
use vrrp::router::State::{Active, Backup, Initialize};

use super::*;
use crate::events::Log;
use crate::timestamp::Timestamp;

/// A log whose events are a second apart.
struct Told {
    log: Log,
    seconds: u64,
}

impl Told {
    fn new() -> Self {
        Self { log: Log::new(Timestamp::from_unix_nanos(0)), seconds: 1000 }
    }

    fn wait(&mut self, seconds: u64) {
        self.seconds += seconds;
    }

    fn stamp(&mut self) -> Stamp {
        self.seconds += 1;
        Stamp {
            monotonic: time::Instant::from_nanos(self.seconds * 1_000_000_000),
            unix_nanos: (1_700_000_000 + self.seconds) * 1_000_000_000,
        }
    }

    /// The daemon tells.
    fn tell(&mut self, entry: Entry) {
        let stamp = self.stamp();
        let (at, monotonic) = (Timestamp::from_unix_nanos(stamp.unix_nanos), stamp.monotonic);
        self.log.push(Entry { at, monotonic: monotonic.as_nanos(), ..entry });
    }

    /// The VRRP process reports on the virtual router `api`.
    fn report(&mut self, report: Report) {
        let (at, kind) = (self.stamp(), EventKind::Router(report));
        self.log.push(Entry::from(Event { at, router: Some("api".to_owned()), kind }));
    }

    fn goes(&mut self, from: State, to: State, cause: Cause) {
        self.report(Report::Transition { from, to, cause });
    }

    fn priority(&mut self, from: u8, to: u8) {
        let level = |it| Some(Priority::new(it).unwrap());
        self.report(Report::Priority { from: level(from), to: level(to) });
    }

    /// The chain of the newest event.
    fn chain(&self) -> Vec<String> {
        let newest = self.log.after(0).pop().unwrap();
        newest.causes.into_iter().map(|link| link.what).collect()
    }
}

fn check(code: &str, what: &str, why: &str, routers: &[&str]) -> Entry {
    Entry::now(code, what).because(why).with(json!({ "check": "api", "virtual_routers": routers }))
}

fn sick(routers: &[&str]) -> Entry {
    check("check_sick", "the check api is sick", "connection refused", routers)
}

fn wins() -> Cause {
    Cause::HigherPriority {
        source: "10.0.0.12".parse().unwrap(),
        priority: Priority::new(244).unwrap(),
    }
}

#[test]
fn a_holder_whose_check_fails_knows_why_it_lost() {
    let mut told = Told::new();
    told.tell(sick(&["api"]));
    told.priority(254, 126);
    told.goes(Active, Backup, wins());
    assert_eq!(
        told.chain(),
        [
            "10.0.0.12 advertises priority 244 and wins",
            "the effective priority falls from 254 to 126",
            "the check api is sick: connection refused",
        ]
    );
}

#[test]
fn a_degraded_holder_may_lose_days_later_for_the_same_reason() {
    let mut told = Told::new();
    told.tell(sick(&["api"]));
    told.priority(254, 126);
    told.wait(200_000);
    told.goes(Active, Backup, wins());
    assert_eq!(told.chain().len(), 3);
}

#[test]
fn a_holder_that_has_recovered_did_not_lose_for_its_health() {
    let mut told = Told::new();
    told.tell(sick(&["api"]));
    told.priority(254, 126);
    told.tell(check("check_healthy", "the check api is healthy", "200 OK", &["api"]));
    told.priority(126, 254);
    assert_eq!(told.chain(), ["the check api is healthy: 200 OK"]);
    told.goes(Active, Backup, wins());
    assert_eq!(told.chain(), ["10.0.0.12 advertises priority 244 and wins"]);
}

#[test]
fn a_check_of_another_virtual_router_is_no_cause() {
    let mut told = Told::new();
    told.tell(sick(&["ingress"]));
    told.priority(254, 126);
    assert_eq!(told.chain(), [""; 0]);
}

#[test]
fn a_drain_names_who_wanted_it() {
    let mut told = Told::new();
    told.tell(Entry::now("draining", "draining").of("api").because("alice asked for it"));
    told.priority(254, 1);
    told.goes(Active, Backup, wins());
    assert_eq!(
        told.chain()[1..],
        ["the effective priority falls from 254 to 1", "draining: alice asked for it"]
    );
}

#[test]
fn a_stop_of_the_daemon_concerns_all_virtual_routers() {
    let mut told = Told::new();
    told.tell(Entry::now("draining", "waiting").because("mainstay is being stopped"));
    told.priority(254, 1);
    assert_eq!(told.chain(), ["waiting: mainstay is being stopped"]);
    told.tell(Entry::now("stopping", "stopping all virtual routers"));
    told.goes(Backup, Initialize, Cause::Stopped);
    assert_eq!(told.chain(), ["stopped", "stopping all virtual routers"]);
}

#[test]
fn a_backup_knows_what_the_active_told() {
    let mut told = Told::new();
    let source = "10.0.0.11".parse().unwrap();
    let what = "the Active 10.0.0.11 advertises priority 126, 254 before";
    let detail = json!({ "source": source, "to": 126 });
    told.tell(Entry::now("active_priority", what).of("api").with(detail.clone()));
    let priority = Priority::new(126).unwrap();
    told.goes(Backup, Active, Cause::ActiveDegraded { source, priority });
    assert_eq!(told.chain(), ["the Active 10.0.0.11 is degraded (priority 126)", what]);

    told.tell(Entry::now("active_priority", what).of("api").with(detail));
    told.goes(Backup, Active, Cause::ActiveReleased { source: "10.0.0.13".parse().unwrap() });
    assert_eq!(told.chain().len(), 1, "that was another router");
}

#[test]
fn what_the_active_always_said_is_no_cause() {
    let mut told = Told::new();
    let source = "10.0.0.11".parse().unwrap();
    let detail = json!({ "source": source, "from": null, "to": 254 });
    let first = "the Active is 10.0.0.11, with priority 254";
    told.tell(Entry::now("active_priority", first).of("api").with(detail));
    let detail = json!({ "source": source });
    let gives_up = "the Active 10.0.0.11 gives up";
    told.tell(Entry::now("active_released", gives_up).of("api").with(detail));
    told.goes(Backup, Active, Cause::ActiveReleased { source });
    assert_eq!(told.chain(), ["the Active 10.0.0.11 gave up"]);
    told.goes(Backup, Active, Cause::ActiveDown { last: Some(source) });
    assert_eq!(told.chain(), ["the Active 10.0.0.11 has fallen silent"]);
}

#[test]
fn who_drains_or_stops_hands_over() {
    let mut told = Told::new();
    let (source, priority) = ("10.0.0.11".parse().unwrap(), Priority::DRAINED);
    told.goes(Backup, Active, Cause::ActiveDegraded { source, priority });
    assert_eq!(told.chain(), ["the Active 10.0.0.11 hands over (priority 1)"]);
}

#[test]
fn a_takeover_by_a_process_that_was_late_says_so() {
    let mut told = Told::new();
    told.report(Report::Stalled { late: Duration::from_millis(1500) });
    told.goes(Backup, Active, Cause::ActiveDown { last: "10.0.0.11".parse().ok() });
    assert_eq!(told.chain()[1], "woken 1500 ms late: the node is overloaded or was suspended");
    told.wait(60);
    told.goes(Backup, Active, Cause::ActiveDown { last: "10.0.0.11".parse().ok() });
    assert_eq!(told.chain(), ["the Active 10.0.0.11 has fallen silent"]);
}

#[test]
fn a_death_of_the_vrrp_process_is_told_to_the_end() {
    let mut told = Told::new();
    told.tell(Entry::now("fenced", "removed 10.0.0.10").of("api").because("killed by signal 9"));
    assert_eq!(told.chain(), ["killed by signal 9"]);
    told.tell(Entry::now("vrrp_retry", "starting it again now").because("killed by signal 9"));
    told.tell(Entry::now("vrrp_started", "the VRRP process is started"));
    told.goes(Initialize, Backup, Cause::Started);
    let chain =
        ["started", "the VRRP process is started", "starting it again now: killed by signal 9"];
    assert_eq!(told.chain(), chain);
    told.goes(Backup, Active, Cause::ActiveDown { last: None });
    assert_eq!(told.chain()[0], "no Active was heard");
    assert_eq!(told.chain()[1], "Initialize -> Backup: started");
    assert_eq!(told.chain()[2..], chain[1..], "the reason is said once");
}

#[test]
fn a_reload_is_a_cause_where_it_changed_something() {
    let mut told = Told::new();
    let reload = |why: &str| Entry::now("reloaded", "read again").because(why);
    told.tell(reload("api: priority changes from 200 to 100; web: added"));
    told.priority(200, 100);
    assert_eq!(told.chain().len(), 1);
    told.goes(Initialize, Backup, Cause::Started);
    assert_eq!(told.chain().len(), 2);
    told.wait(30);
    told.tell(reload("web: priority changes from 200 to 100"));
    told.priority(200, 100);
    assert_eq!(told.chain(), [""; 0]);
}

#[test]
fn an_interface_that_fails_is_named() {
    let mut told = Told::new();
    told.tell(Entry::now("interface_down", "eth0 cannot be used").because("no carrier"));
    told.goes(Active, Initialize, Cause::InterfaceDown);
    assert_eq!(told.chain()[1], "eth0 cannot be used: no carrier");
    told.tell(Entry::now("install_failed", "not installed").of("api").because("EPERM"));
    told.goes(Active, Initialize, Cause::NotInstalled);
    assert_eq!(told.chain()[1], "not installed: EPERM");
    told.goes(Initialize, Backup, Cause::Retry);
    assert_eq!(told.chain()[1], "Active -> Initialize: the kernel did not confirm the addresses");
    assert_eq!(told.chain()[2], "not installed: EPERM");
}

#[test]
fn a_verdict_that_nobody_renewed_is_told_by_the_next_daemon() {
    let mut told = Told::new();
    let at = told.stamp();
    told.wait(100);
    told.tell(Entry::now("daemon_started", "mainstay starts"));
    let report = Report::Priority { from: Priority::new(254), to: Priority::new(126) };
    let kind = EventKind::Router(report);
    told.log.push(Entry::from(Event { at, router: Some("api".to_owned()), kind }));
    assert!(told.chain()[0].starts_with("no daemon was there"), "{:?}", told.chain());
}

/// What the VRRP process tells may come later than what the daemon saw itself.
#[test]
fn what_happened_later_is_no_cause() {
    let mut told = Told::new();
    let at = told.stamp();
    told.tell(Entry::now("vrrp_started", "started again"));
    let report = Report::Transition { from: Initialize, to: Backup, cause: Cause::Started };
    let kind = EventKind::Router(report);
    told.log.push(Entry::from(Event { at, router: Some("api".to_owned()), kind }));
    assert_eq!(told.chain(), ["started"]);
}

#[test]
fn no_chain_grows_for_ever() {
    let mut told = Told::new();
    for _ in 0..50 {
        told.goes(Active, Initialize, Cause::NotInstalled);
        told.goes(Initialize, Backup, Cause::Retry);
        told.goes(Backup, Active, Cause::ActiveDown { last: None });
        assert!(told.chain().len() <= LONGEST);
    }
}

#[test]
fn what_happened_to_an_interface_may_bear_the_later_time() {
    let mut told = Told::new();
    told.wait(2);
    let down = "the interface eth0 cannot be used";
    told.tell(Entry::now("interface_down", down).because("no carrier"));
    told.seconds -= 2;
    told.goes(Active, Initialize, Cause::InterfaceDown);
    let chain = ["the interface cannot be used", &format!("{down}: no carrier")];
    assert_eq!(told.chain(), chain);
}

#[test]
fn what_led_to_a_move_is_remembered_however_much_happens_meanwhile() {
    let mut told = Told::new();
    let busy = |told: &mut Told| {
        for _ in 0..crate::events::KEPT {
            told.tell(Entry::now("transition", "another moves").of("web"));
            told.seconds -= 1;
        }
    };
    let detail = json!({ "check": "apiserver", "virtual_routers": ["api", "web"] });
    told.tell(Entry::now("check_sick", "the check is sick").because("refused").with(detail));
    busy(&mut told);
    told.priority(254, 126);
    busy(&mut told);
    told.goes(Active, Backup, wins());
    let chain = ["the effective priority falls from 254 to 126", "the check is sick: refused"];
    assert_eq!(told.chain()[1..], chain);
}
