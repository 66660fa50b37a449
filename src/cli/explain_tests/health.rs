//! Checks that fail, and drains.

use serde_json::json;

use super::*;

const CHECKED: &str = r#"
    [[check]]
    name = "apiserver"
    https = "https://127.0.0.1:6443/readyz"
"#;

fn with_check(file: &str) -> String {
    file.replace("vrid = 51", "vrid = 51\nchecks = [\"apiserver\"]") + CHECKED
}

impl Story {
    fn checked(node: &str) -> Self {
        let mut story = Self::of_file(node, with_check);
        story.router().checks = vec!["apiserver".to_owned()];
        story
    }

    /// The check changes its mind, and so the priority.
    fn judges(mut self, standing: Standing, reason: &str) -> Self {
        let check: CheckStatus = serde_json::from_value(json!({
            "name": "apiserver", "kind": "https", "target": "https://127.0.0.1:6443/readyz",
            "standing": standing, "reason": reason, "since": self.now(),
            "last_probe": null, "last_answer": null, "latency": null, "holder": true, "flaps": 1,
            "samples": { "pass": 1, "warn": 0, "fail": 0, "refused": 3, "timeout": 0, "discarded": 0 },
            "latency_histogram": { "buckets": [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], "sum_us": 0 },
        }))
        .unwrap();
        self.status.checks = vec![check];
        let (code, what) = match standing {
            Standing::Sick => ("check_sick", "the check apiserver is sick"),
            _ => ("check_healthy", "the check apiserver is healthy"),
        };
        let detail = json!({ "check": "apiserver", "virtual_routers": ["api"] });
        let told = self.tells(Entry::now(code, what).because(reason).with(detail)).after(1);
        let (healthy, before) = (
            told.status.virtual_routers[0].priority,
            told.status.virtual_routers[0].effective_priority,
        );
        let to = if standing == Standing::Sick { healthy - 128 } else { healthy };
        told.priority(before, Some(to))
    }
}

#[test]
fn a_check_that_fails_on_the_holder() {
    let story = Story::checked("m1")
        .starts_alone()
        .after(60_000)
        .judges(Standing::Sick, "connection refused")
        .after(50)
        .loses_to(M2, 244)
        .after(252_000);
    reads(&story, "\
api  10.0.0.10 is on m2 (10.0.0.12), for 4m12s (since 2026-01-31T12:01:03.059Z)
  why         m2 is healthy, priority 244
              m1 is degraded: it takes over from nobody that lives
  last move   m1 -> m2, 4m12s ago
              12:01:03.059Z  m2 advertises priority 244 and wins
              12:01:03.009Z  the effective priority falls from 254 to 126
              12:01:03.008Z  the check apiserver is sick: connection refused
  would move  m2 degrades or is drained: m3, if healthy, takes over after 86 ms, m1 does not while it is degraded
              m2 falls silent: m3, if healthy, takes over after 3.09 s, else m1 after 3.51 s
              on purpose: `mainstay vip drain` on m2
  WRONG       the check apiserver has been sick for 4m12s: connection refused
              -> `curl -k https://127.0.0.1:6443/readyz`, then the log of what serves it
");
}

#[test]
fn a_check_that_fails_everywhere() {
    let story = Story::checked("m1")
        .starts_alone()
        .after(60_000)
        .judges(Standing::Sick, "HTTP 500: etcd failed")
        .after(252_000);
    reads(
        &story,
        "\
api  10.0.0.10 is here, on m1, for 5m12s (since 2026-01-31T12:00:03.008Z)
  why         m1 is degraded, priority 126, and still has it: no healthy master has taken over
  last move   to m1, 5m12s ago
              12:00:03.008Z  no Active was heard
              12:00:00.000Z  Initialize -> Backup: started
              12:00:00.000Z  the VRRP process is started, as process 71
  would move  a healthy master that hears m1 takes over, m2 after 47 ms
              m1 falls silent: m2, if healthy, takes over after 3.05 s
              on purpose: `mainstay vip drain` on m1
  WRONG       the check apiserver has been sick for 4m12s: HTTP 500: etcd failed
              -> `curl -k https://127.0.0.1:6443/readyz`, then the log of what serves it
",
    );
}

#[test]
fn a_backup_whose_check_fails_too() {
    let story = Story::checked("m2")
        .starts_behind(M1, 254)
        .after(60_000)
        .judges(Standing::Sick, "no answer within 1s")
        .after(10)
        .hears(M1, Some(254), 126)
        .after(252_000);
    reads(&story, "\
api  10.0.0.10 is on m1 (10.0.0.11), for 5m12s at least (since 2026-01-31T12:00:00.300Z)
  why         m1 is degraded, priority 126
              m2 is degraded too: it takes over from nobody that lives
  last move   none that this node has seen
  would move  m1 degrades or is drained: m3, if healthy, takes over after 86 ms, m2 does not while it is degraded
              m1 falls silent: m3, if healthy, takes over after 3.09 s, else m2 after 3.55 s
              on purpose: `mainstay vip drain` on m1
  WRONG       the check apiserver has been sick for 4m12s: no answer within 1s
              -> `curl -k https://127.0.0.1:6443/readyz`, then the log of what serves it
");
}

#[test]
fn a_healthy_holder_with_a_check() {
    let story = Story::checked("m1").starts_alone().judges(Standing::Healthy, "200 OK").after(5000);
    let text = story.text();
    let would =
        "would move  the check apiserver fails here: m2, if healthy, takes over 47 ms after";
    assert!(text.contains(would), "{text}");
    assert!(text.ends_with("wrong       nothing\n"), "{text}");
}

#[test]
fn a_check_that_is_held_down_and_one_that_warns() {
    let mut story =
        Story::checked("m2").starts_behind(M1, 254).judges(Standing::Sick, "connection refused");
    let until = Timestamp::from_unix_nanos((START + 90_000) * 1_000_000);
    let check = story.status.checks.first_mut().unwrap();
    (check.held_until, check.flaps) = (Some(until), 4);
    check.warning = Some("401: give the check a client certificate".to_owned());
    let text = story.text();
    let held = "connection refused; after 4 falls it counts as sick until \
                2026-01-31T12:01:30.000Z, whatever it answers";
    assert!(text.contains(held), "{text}");
    assert!(text.contains("the check apiserver passes with a warning: 401: give"), "{text}");
}

#[test]
fn a_drain() {
    let mut story = Story::of("m1").starts_alone().after(60_000).tells(
        Entry::now("draining", "draining: waiting for another router to take over")
            .of("api")
            .because("alice asked for it"),
    );
    let since = story.now();
    story.router().drained = Some(Mark { since, by: "alice".to_owned() });
    let story = story.after(1).priority(Some(254), Some(1)).after(48).loses_to(M2, 244).after(9000);
    reads(&story, "\
api  10.0.0.10 is on m2 (10.0.0.12), for 9.0s (since 2026-01-31T12:01:03.057Z)
  why         m2 is healthy, priority 244
              m1 is drained: it takes over from nobody that lives
  last move   m1 -> m2, 9.0s ago
              12:01:03.057Z  m2 advertises priority 244 and wins
              12:01:03.009Z  the effective priority falls from 254 to 1
              12:01:03.008Z  draining: waiting for another router to take over: alice asked for it
  would move  m2 degrades or is drained: m3, if healthy, takes over after 86 ms, m1 does not while it is drained
              m2 falls silent: m3, if healthy, takes over after 3.09 s, else m1 after 4.00 s
              on purpose: `mainstay vip drain` on m2
  WRONG       m1 has been drained for 9.0s, by alice
              -> `mainstay vip undrain` once it may have the address again
");
}

#[test]
fn a_drain_that_nobody_takes_over_from() {
    let mut story = Story::of("m1").starts_alone().after(60_000);
    let since = story.now();
    story.router().drained = Some(Mark { since, by: "alice".to_owned() });
    reads(
        &story.priority(Some(254), Some(1)).after(9000),
        "\
api  10.0.0.10 is here, on m1, for 1m09s (since 2026-01-31T12:00:03.008Z)
  why         m1 is drained, and still has it: no other master has taken over
  last move   to m1, 1m09s ago
              12:00:03.008Z  no Active was heard
              12:00:00.000Z  Initialize -> Backup: started
              12:00:00.000Z  the VRRP process is started, as process 71
  would move  any other master that hears m1 takes over within 47 ms
              m1 falls silent: m2, if healthy, takes over after 3.05 s
  WRONG       m1 has been drained for 9.0s, by alice
              -> `mainstay vip undrain` once it may have the address again
",
    );
}

#[test]
fn a_configuration_that_releases_and_recovers() {
    let release =
        |file: &str| with_check(file).replace("vrid = 51", "vrid = 51\non_degraded = \"release\"");
    let mut story = Story::of_file("m1", release);
    story.router().checks = vec!["apiserver".to_owned()];
    let mut story = story
        .starts_alone()
        .after(60_000)
        .judges(Standing::Sick, "connection refused")
        .goes(Active, Initialize, Cause::Degraded);
    story.router().effective_priority = None;
    let story = story.after(5000);
    reads(
        &story,
        "\
api  10.0.0.10 is not on m1, which takes no part
  why         m1 takes no part while its checks fail (on_degraded = \"release\")
  last move   m1 lost it, 5.0s ago
              12:01:03.009Z  the checks fail
              12:01:03.008Z  the check apiserver is sick: connection refused
  WRONG       the check apiserver has been sick for 5.0s: connection refused
              -> `curl -k https://127.0.0.1:6443/readyz`, then the log of what serves it
",
    );
    let story = story
        .judges(Standing::Healthy, "200 OK")
        .goes(Initialize, Backup, Cause::Recovered)
        .after(300)
        .hears(M2, None, 244)
        .after(9000);
    reads(&story, "\
api  10.0.0.10 is on m2 (10.0.0.12), for 9.0s (since 2026-01-31T12:01:08.310Z)
  why         m2 is healthy, priority 244
              m1 ranks before it, priority 254, and leaves a healthy Active alone (preempt = \"degraded-only\")
  last move   m1 -> m2, 9.0s ago
              12:01:08.310Z  the Active is m2, with priority 244
              12:01:03.009Z  the checks fail
              12:01:03.008Z  the check apiserver is sick: connection refused
  would move  m2 degrades or is drained: m1 takes over after 8 ms
              m2 falls silent: m1 takes over after 3.01 s
              on purpose: `mainstay vip drain` on m2
  wrong       nothing
");
}
