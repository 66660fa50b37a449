//! Each cause of a move.

use super::*;

/// RFC 9568, 6.4.2: Active_Down_Timer fires, and nobody was ever heard.
#[test]
fn a_cold_start() {
    let story = Story::of("m1").starts_alone().after(192_000);
    reads(
        &story,
        "\
api  10.0.0.10 is here, on m1, for 3m12s (since 2026-01-31T12:00:03.008Z)
  why         m1 is healthy, priority 254: a healthy Active keeps it, whoever else comes
  last move   to m1, 3m12s ago
              12:00:03.008Z  no Active was heard
              12:00:00.000Z  Initialize -> Backup: started
              12:00:00.000Z  the VRRP process is started, as process 71
  would move  not a failing API server: no check watches it (add `checks` to the virtual router)
              m1 falls silent: m2, if healthy, takes over after 3.05 s
              on purpose: `mainstay vip drain` on m1
  wrong       nothing
",
    );
}

/// RFC 9568, 6.4.2: Active_Down_Timer fires.
#[test]
fn an_active_that_falls_silent() {
    let down = Cause::ActiveDown { last: Some(source(M1)) };
    let story = Story::of("m2")
        .starts_behind(M1, 254)
        .after(7_200_000)
        .goes(Backup, Active, down)
        .after(61_000);
    reads(
        &story,
        "\
api  10.0.0.10 is here, on m2, for 1m01s (since 2026-01-31T14:00:00.300Z)
  why         m2 is healthy, priority 244: a healthy Active keeps it, whoever else comes
  last move   m1 -> m2, 1m01s ago
              14:00:00.300Z  the Active m1 has fallen silent
              why m1 fell silent: `mainstay explain` on m1
  would move  not a failing API server: no check watches it (add `checks` to the virtual router)
              m2 falls silent: m1, if healthy, takes over after 3.01 s
              on purpose: `mainstay vip drain` on m2
  wrong       nothing
",
    );
}

/// RFC 9568, 6.4.2: an advertisement with priority 0.
#[test]
fn an_active_that_gives_up() {
    let story = Story::of("m2")
        .starts_behind(M1, 254)
        .after(60_000)
        .hears(M1, Some(254), 1)
        .after(5000)
        .goes(Backup, Active, Cause::ActiveReleased { source: source(M1) })
        .after(4000);
    reads(
        &story,
        "\
api  10.0.0.10 is here, on m2, for 4.0s (since 2026-01-31T12:01:05.300Z)
  why         m2 is healthy, priority 244: a healthy Active keeps it, whoever else comes
  last move   m1 -> m2, 4.0s ago
              12:01:05.300Z  the Active m1 gave up
              12:01:00.300Z  the Active m1 advertises priority 1: it was 254
              why m1 gave up: `mainstay explain` on m1
  would move  not a failing API server: no check watches it (add `checks` to the virtual router)
              m2 falls silent: m1, if healthy, takes over after 3.01 s
              on purpose: `mainstay vip drain` on m2
  wrong       nothing
",
    );
}

#[test]
fn an_active_that_degrades() {
    let cause = Cause::ActiveDegraded { source: source(M1), priority: level(126) };
    let story = Story::of("m2")
        .starts_behind(M1, 254)
        .after(60_000)
        .hears(M1, Some(254), 126)
        .after(47)
        .goes(Backup, Active, cause)
        .after(600);
    reads(
        &story,
        "\
api  10.0.0.10 is here, on m2, for 0.6s (since 2026-01-31T12:01:00.347Z)
  why         m2 is healthy, priority 244: a healthy Active keeps it, whoever else comes
  last move   m1 -> m2, 0.6s ago
              12:01:00.347Z  the Active m1 is degraded (priority 126)
              12:01:00.300Z  the Active m1 advertises priority 126: it was 254
              why m1 is degraded: `mainstay explain` on m1
  would move  not a failing API server: no check watches it (add `checks` to the virtual router)
              m2 falls silent: m1, if healthy, takes over after 3.01 s
              on purpose: `mainstay vip drain` on m2
  wrong       nothing
",
    );
}

/// RFC 9568, 6.4.2: Preempt_Mode True.
#[test]
fn a_returning_master_that_preempts() {
    let cause = Cause::Preempts { source: source(M2), priority: level(244) };
    let story = Story::of_file("m1", with_preempt("always"))
        .starts_behind(M2, 244)
        .after(3008)
        .goes(Backup, Active, cause)
        .after(30_000);
    reads(
        &story,
        "\
api  10.0.0.10 is here, on m1, for 30s (since 2026-01-31T12:00:03.308Z)
  why         m1 is healthy, priority 254: it keeps it until a higher priority is heard
  last move   m2 -> m1, 30s ago
              12:00:03.308Z  the Active m2 has a lower priority (244)
              12:00:00.000Z  Initialize -> Backup: started
  would move  not a failing API server: no check watches it (add `checks` to the virtual router)
              m1 falls silent: m2, if healthy, takes over after 3.05 s
              on purpose: `mainstay vip drain` on m1
  wrong       nothing
",
    );
}

/// RFC 9568, 6.4.3: a higher priority.
#[test]
fn a_higher_priority() {
    let story = Story::of_file("m2", with_preempt("always"))
        .starts_alone()
        .after(60_000)
        .loses_to(M1, 254)
        .after(30_000);
    reads(
        &story,
        "\
api  10.0.0.10 is on m1 (10.0.0.11), for 30s (since 2026-01-31T12:01:03.008Z)
  why         m1 advertises priority 254
              m2 ranks behind, priority 244
  last move   m2 -> m1, 30s ago
              12:01:03.008Z  m1 advertises priority 254 and wins
  would move  m1 degrades or is drained: m2 takes over after 47 ms
              m1 falls silent: m2 takes over after 3.05 s
              on purpose: `mainstay vip drain` on m1
  wrong       nothing
",
    );
}

#[test]
fn a_process_that_stood_still() {
    let story = Story::of("m1")
        .starts_alone()
        .after(60_000)
        .goes(Active, Backup, Cause::Stalled { late: Duration::from_secs(12) })
        .after(20)
        .hears(M2, None, 244)
        .after(5000);
    reads(&story, "\
api  10.0.0.10 is on m2 (10.0.0.12), for 5.0s (since 2026-01-31T12:01:03.028Z)
  why         m2 is healthy, priority 244
              m1 ranks before it, priority 254, and leaves a healthy Active alone (preempt = \"degraded-only\")
  last move   m1 -> m2, 5.0s ago
              12:01:03.028Z  the Active is m2, with priority 244
              12:01:03.008Z  this process stood still for 12s
  would move  m2 degrades or is drained: m1 takes over after 8 ms
              m2 falls silent: m1 takes over after 3.01 s
              on purpose: `mainstay vip drain` on m2
  wrong       nothing
");
}

#[test]
fn a_process_that_was_superseded() {
    let mut story = Story::of("m1").starts_alone().after(60_000);
    let cause = Cause::Superseded { source: source(M2), priority: level(244) };
    let router = story.router();
    (router.active_router, router.active_priority) = (Some(source(M2)), Some(244));
    reads(&story.goes(Active, Backup, cause).after(5000), "\
api  10.0.0.10 is on m2 (10.0.0.12), for 5.0s (since 2026-01-31T12:01:03.008Z)
  why         m2 is healthy, priority 244
              m1 ranks before it, priority 254, and leaves a healthy Active alone (preempt = \"degraded-only\")
  last move   m1 -> m2, 5.0s ago
              12:01:03.008Z  m2 (priority 244) took over while this process stood still
  would move  m2 degrades or is drained: m1 takes over after 8 ms
              m2 falls silent: m1 takes over after 3.01 s
              on purpose: `mainstay vip drain` on m2
  wrong       nothing
");
}

/// RFC 9568, 6.4.1: priority 255.
#[test]
fn an_address_owner() {
    let owned = |file: &str| {
        let file = file.replace("\"10.0.0.11\"]", "\"10.0.0.11\", \"10.0.0.10\"]");
        file.replace("vrid = 51", "vrid = 51\npriority = { m1 = 255, m2 = 200, m3 = 190 }")
    };
    let story =
        Story::of_file("m1", owned).goes(Initialize, Active, Cause::AddressOwner).after(86_400_000);
    reads(
        &story,
        "\
api  10.0.0.10 is here, on m1, for 1d00h (since 2026-01-31T12:00:00.000Z)
  why         m1 owns the address: priority 255
  last move   to m1, 1d00h ago
              2026-01-31T12:00:00.000Z  this router owns the addresses (priority 255)
  would move  m1 falls silent: m2, if healthy, takes over after 3.22 s
              mainstay stops on m1: m2 takes over after 219 ms
  wrong       nothing
",
    );
}

#[test]
fn an_interface_that_fails() {
    let mut story = Story::of("m1").starts_alone().after(60_000).tells(
        Entry::now("interface_down", "the interface eth0 cannot be used").because("no carrier"),
    );
    story = story.goes(Active, Initialize, Cause::InterfaceDown).after(90_000);
    story.router().problem = Some("no carrier: check cable, port and switch".to_owned());
    reads(
        &story,
        "\
api  10.0.0.10 is not on m1, which takes no part
  last move   m1 lost it, 1m30s ago
              12:01:03.008Z  the interface cannot be used
              12:01:03.008Z  the interface eth0 cannot be used: no carrier
  WRONG       m1 takes no part: no carrier: check cable, port and switch
",
    );
}

#[test]
fn an_interface_that_comes_back() {
    let story = Story::of("m1")
        .starts_alone()
        .after(60_000)
        .tells(Entry::now("interface_down", "eth0 cannot be used").because("no carrier"))
        .goes(Active, Initialize, Cause::InterfaceDown)
        .after(90_000)
        .tells(Entry::now("interface_up", "the interface eth0 can be used"))
        .goes(Initialize, Backup, Cause::InterfaceUp)
        .after(200)
        .hears(M2, None, 244)
        .after(9000);
    reads(&story, "\
api  10.0.0.10 is on m2 (10.0.0.12), for 9.0s (since 2026-01-31T12:02:33.208Z)
  why         m2 is healthy, priority 244
              m1 ranks before it, priority 254, and leaves a healthy Active alone (preempt = \"degraded-only\")
  last move   m1 -> m2, 9.0s ago
              12:02:33.208Z  the Active is m2, with priority 244
              12:01:03.008Z  the interface cannot be used
              12:01:03.008Z  eth0 cannot be used: no carrier
  would move  m2 degrades or is drained: m1 takes over after 8 ms
              m2 falls silent: m1 takes over after 3.01 s
              on purpose: `mainstay vip drain` on m2
  wrong       nothing
");
}

#[test]
fn addresses_that_the_kernel_refuses() {
    let mut story = Story::of("m1").starts_alone().after(50);
    let kind = EventKind::InstallFailed { error: "Operation not permitted".to_owned() };
    let at = Stamp {
        monotonic: Instant::from_nanos((1000 + story.now) * 1_000_000),
        unix_nanos: (START + story.now) * 1_000_000,
    };
    story.log.push(Entry::from(Event { at, router: Some("api".to_owned()), kind }));
    story = story.after(50).goes(Active, Initialize, Cause::NotInstalled).after(700);
    story.router().problem = Some("Operation not permitted".to_owned());
    reads(
        &story,
        "\
api  10.0.0.10 is not on m1, which takes no part
  last move   m1 lost it, 0.7s ago
              12:00:03.108Z  the kernel did not confirm the addresses
              12:00:03.058Z  the addresses could not be installed: Operation not permitted
  WRONG       m1 takes no part: Operation not permitted
",
    );
    let story = story
        .goes(Initialize, Backup, Cause::Retry)
        .after(3008)
        .goes(Backup, Active, Cause::ActiveDown { last: None })
        .after(1000);
    assert!(story.text().contains("m1 lost it and got it back, 1.0s ago"), "{}", story.text());
}

#[test]
fn a_vrrp_process_that_was_killed() {
    let why = "the VRRP process died: killed by signal 9";
    let mut story = Story::of("m1")
        .starts_alone()
        .after(60_000)
        .tells(
            Entry::now(
                "fenced",
                "removed 10.0.0.10 from eth0 in 1.0ms, told the peers \
            (priority 0)",
            )
            .of("api")
            .because(why),
        )
        .tells(
            Entry::now("vrrp_retry", "starting the VRRP process again now")
                .because("killed by signal 9"),
        )
        .tells(Entry::now("vrrp_started", "the VRRP process is started, as process 99"))
        .after(40)
        .goes(Initialize, Backup, Cause::Started)
        .after(10)
        .hears(M2, None, 244)
        .after(5000);
    story.status.vrrp.restarts = 1;
    reads(&story, "\
api  10.0.0.10 is on m2 (10.0.0.12), for 5.0s (since 2026-01-31T12:01:03.058Z)
  why         m2 is healthy, priority 244
              m1 ranks before it, priority 254, and leaves a healthy Active alone (preempt = \"degraded-only\")
  last move   m1 -> m2, 5.0s ago
              12:01:03.058Z  the Active is m2, with priority 244
              12:01:03.008Z  the VRRP process died: killed by signal 9
  would move  m2 degrades or is drained: m1 takes over after 8 ms
              m2 falls silent: m1 takes over after 3.01 s
              on purpose: `mainstay vip drain` on m2
  wrong       nothing
");
}

#[test]
fn a_third_node_that_only_listens() {
    let story = Story::of("m3")
        .starts_behind(M1, 254)
        .after(60_000)
        .hears(M1, Some(254), 126)
        .after(50)
        .hears(M2, None, 244)
        .after(3000);
    reads(
        &story,
        "\
api  10.0.0.10 is on m2 (10.0.0.12), for 3.0s (since 2026-01-31T12:01:00.350Z)
  why         m2 is healthy, priority 244
              m3 ranks behind, priority 234
  last move   m1 -> m2, 3.0s ago
              12:01:00.350Z  the Active is m2, with priority 244
              12:01:00.300Z  the Active m1 advertises priority 126: it was 254
              why m1 lost it: `mainstay explain` on m1
  would move  m2 degrades or is drained: m1, if healthy, takes over after 8 ms, else m3 after 86 ms
              m2 falls silent: m1, if healthy, takes over after 3.01 s, else m3 after 3.09 s
              on purpose: `mainstay vip drain` on m2
  wrong       nothing
",
    );
}

#[test]
fn a_node_that_has_seen_no_move() {
    reads(
        &Story::of("m3").starts_behind(M1, 254).after(60_000),
        "\
api  10.0.0.10 is on m1 (10.0.0.11), for 1m00s at least (since 2026-01-31T12:00:00.300Z)
  why         m1 is healthy, priority 254
              m3 ranks behind, priority 234
  last move   none that this node has seen
  would move  m1 degrades or is drained: m2, if healthy, takes over after 47 ms, else m3 after 86 ms
              m1 falls silent: m2, if healthy, takes over after 3.05 s, else m3 after 3.09 s
              on purpose: `mainstay vip drain` on m1
  wrong       nothing
",
    );
}

#[test]
fn a_move_that_no_event_remembers() {
    let mut story = Story::of("m1").starts_alone().after(60_000);
    story.log = Log::new(Timestamp::from_unix_nanos(0));
    let text = story.text();
    assert!(text.contains("to m1, 1m00s ago"), "{text}");
    assert!(text.contains("12:00:03.008Z  no Active was heard"), "{text}");
}

#[test]
fn a_backup_that_hears_nobody_yet() {
    reads(
        &Story::of("m2").goes(Initialize, Backup, Cause::Started).after(300),
        "\
api  nobody that m2 hears has 10.0.0.10
  why         no Active is heard: m2 takes over after 3.05 s of silence
  last move   none that this node has seen
  wrong       nothing
",
    );
}

/// RFC 9568, 6.4.2: Preempt_Mode False.
#[test]
fn a_group_without_preemption() {
    let story = Story::of_file("m1", with_preempt("never")).starts_behind(M2, 244).after(5000);
    reads(
        &story,
        "\
api  10.0.0.10 is on m2 (10.0.0.12), for 5.0s at least (since 2026-01-31T12:00:00.300Z)
  why         m2 advertises priority 244
              m1, priority 254, takes over from nobody that lives (preempt = \"never\")
  last move   none that this node has seen
  would move  m2 falls silent: m1 takes over after 3.01 s
  wrong       nothing
",
    );
}

#[test]
fn a_single_master() {
    let alone = |file: &str| {
        let (before, after) = file.split_once("[[node]]\n    name = \"m2\"").unwrap();
        let (_, after) = after.split_once("[[virtual_router]]").unwrap();
        format!("{before}[[virtual_router]]{after}")
    };
    let text = Story::of_file("m1", alone).starts_alone().after(5000).text();
    assert!(text.contains("would move  nothing: the file names no other master"), "{text}");
}

/// RFC 9568, 5.1.2.2: an IPv6 advertisement comes from a link-local address, which no file names.
#[test]
fn link_local_sources_are_known_by_their_priority() {
    let ipv6 = |file: &str| {
        file.replace("\"10.0.0.10\"", "\"fe80::10\", \"fd00::10\"").replace("10.0.0.", "fd00::")
    };
    let mut story = Story::of_file("m3", ipv6);
    story.router().source = Some(source("fe80::3"));
    let story = story
        .starts_behind("fe80::1", 254)
        .after(60_000)
        .hears("fe80::1", Some(254), 126)
        .after(50)
        .hears("fe80::2", None, 244)
        .after(3000);
    reads(
        &story,
        "\
api  fe80::10, fd00::10 are on m2 (fe80::2), for 3.0s (since 2026-01-31T12:01:00.350Z)
  why         m2 is healthy, priority 244
              m3 ranks behind, priority 234
  last move   m1 -> m2, 3.0s ago
              12:01:00.350Z  the Active is m2, with priority 244
              12:01:00.300Z  the Active m1 advertises priority 126: it was 254
              why m1 lost it: `mainstay explain` on m1
  would move  m2 degrades or is drained: m1, if healthy, takes over after 8 ms, else m3 after 86 ms
              m2 falls silent: m1, if healthy, takes over after 3.01 s, else m3 after 3.09 s
              on purpose: `mainstay vip drain` on m2
  wrong       nothing
",
    );
}
