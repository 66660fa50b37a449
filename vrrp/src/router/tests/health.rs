//! Health bands and draining: H1 to H3, and release.

use super::*;
use Eligibility::{Degraded, Drained, Healthy};

fn release() -> RouterConfig {
    RouterConfig { on_degraded: OnDegraded::Release, ..config() }
}

#[test]
fn a_change_of_priority_is_advertised_at_once_without_moving_the_schedule_h1() {
    let mut rig = Rig::active(config());
    rig.wait(ms(300));
    for (eligibility, priority) in [(Degraded, 64), (Drained, 1), (Healthy, 192)] {
        assert_eq!(rig.becomes(eligibility), [Advert(priority)]);
        assert_eq!(rig.due_in(), ms(700));
        assert_eq!(rig.router.effective_priority(), Some(prio(priority)));
    }
    assert_eq!(rig.fire(), [Advert(192)]);
}

#[test]
fn a_verdict_that_changes_nothing_says_nothing() {
    let mut rig = Rig::active(config());
    assert_eq!(rig.becomes(Healthy), []);
    assert_eq!(rig.reports(), []);
}

#[test]
fn a_change_of_priority_is_reported_in_every_state() {
    let change = Report::Priority { from: Some(prio(192)), to: Some(prio(64)) };
    for mut rig in [Rig::new(config()), Rig::started(config()), Rig::active(config())] {
        rig.becomes(Degraded);
        assert_eq!(rig.reports(), [change]);
    }
}

#[test]
fn a_degraded_active_stays_active_while_nobody_else_speaks() {
    let mut rig = Rig::active(config());
    rig.becomes(Degraded);
    let log = rig.run(INTERVAL * 10);
    assert!(log.iter().all(|&(_, effect)| effect == Advert(64)), "{log:?}");
    assert_eq!((rig.state(), log.len()), (State::Active, 10));
}

#[test]
fn a_healthy_backup_takes_over_from_a_degraded_active_after_skew_time_h3() {
    for priority in [1, 64, 127] {
        let mut rig = Rig::started(config());
        rig.hear(HIGH, 200);
        rig.wait(ms(400));
        assert_eq!(rig.hear(HIGH, priority), []);
        assert_eq!(rig.due_in(), SKEW);
        assert_eq!(rig.fire(), [Advert(192), Install]);
        let priority = prio(priority);
        assert_eq!(rig.cause(), Cause::ActiveDegraded { source: HIGH, priority });
    }
}

#[test]
fn a_healthy_backup_stays_behind_any_healthy_active_h2() {
    for priority in [128, 150, 191, 192, 254] {
        let mut rig = Rig::started(config());
        for _ in 0..10 {
            rig.wait(INTERVAL);
            assert_eq!(rig.hear(LOW, priority), []);
            assert_eq!(rig.due_in(), DOWN, "priority {priority}");
        }
    }
}

#[test]
fn a_degraded_backup_stays_behind_any_living_active_h2() {
    for eligibility in [Degraded, Drained] {
        let mut rig = Rig::started(config());
        rig.becomes(eligibility);
        let down = active_down_interval(centis(100), rig.router.effective_priority().unwrap());
        for priority in [1, 63, 64, 127, 128, 254] {
            rig.wait(INTERVAL);
            rig.hear(LOW, priority);
            assert_eq!(rig.due_in(), down, "priority {priority}");
        }
    }
}

#[test]
fn further_degraded_adverts_do_not_put_the_takeover_off_h3() {
    let mut rig = Rig::started(config());
    rig.hear(HIGH, 64);
    for _ in 0..4 {
        rig.wait(ms(60));
        rig.hear(HIGH, 64);
    }
    assert_eq!(rig.due_in(), ms(10));
}

/// As after a partition: the healthy Active answers the degraded one, which yields.
#[test]
fn a_degraded_active_beside_a_healthy_one_is_no_reason_to_hasten_h3() {
    let mut rig = Rig::started(config());
    rig.hear(HIGH, 200);
    rig.wait(ms(400));
    assert_eq!(rig.hear(LOW, 64), []);
    assert_eq!(rig.due_in(), DOWN - ms(400));
    // Once the healthy one has given up, the other is all there is.
    rig.hear(HIGH, 0);
    assert_eq!(rig.hear_at(LOW, 64, centis(50)), []);
    assert_eq!(rig.due_in(), SKEW / 2);
}

#[test]
fn a_degraded_advert_never_prolongs_the_timer_h3() {
    let mut rig = Rig::started(config());
    rig.hear(HIGH, 200);
    rig.wait(DOWN - ms(5));
    rig.hear(HIGH, 64);
    assert_eq!(rig.due_in(), ms(5));
    rig.fire();
    assert_eq!(rig.cause(), Cause::ActiveDown { last: Some(HIGH) });
}

#[test]
fn the_second_backup_stands_back_when_the_first_has_taken_over_h3() {
    let mut rig = Rig::started(config());
    rig.hear(HIGH, 64);
    rig.wait(ms(200));
    rig.hear(LOW, 250);
    assert_eq!(rig.due_in(), DOWN);
    assert_eq!(rig.active_router(), Some(LOW));
}

#[test]
fn an_active_that_recovers_in_time_keeps_the_addresses_h3() {
    let mut rig = Rig::started(config());
    rig.hear(HIGH, 64);
    rig.wait(ms(100));
    rig.hear(HIGH, 150);
    assert_eq!(rig.due_in(), DOWN);
}

#[test]
fn a_backup_that_degrades_meanwhile_restarts_the_whole_interval_h3() {
    let mut rig = Rig::started(config());
    rig.hear(HIGH, 64);
    rig.wait(ms(100));
    assert_eq!(rig.becomes(Degraded), []);
    assert_eq!(rig.due_in(), active_down_interval(centis(100), prio(64)));
    rig.wait(INTERVAL);
    rig.hear(HIGH, 64);
    assert_eq!(rig.due_in(), active_down_interval(centis(100), prio(64)));
}

#[test]
fn a_backup_that_degrades_meanwhile_waits_at_the_interval_of_the_degraded_active_h3() {
    let mut rig = Rig::started(RouterConfig { interval: centis(1), ..config() });
    rig.hear_at(HIGH, 64, centis(100));
    assert_eq!(rig.due_in(), active_down_interval(centis(1), prio(192)), "the lesser of the two");
    rig.wait(ms(10));
    rig.becomes(Degraded);
    rig.wait(INTERVAL);
    rig.hear_at(HIGH, 64, centis(100));
    assert_eq!(rig.due_in(), active_down_interval(centis(100), prio(64)));
}

#[test]
fn a_backup_that_degrades_at_the_last_moment_still_restarts_the_whole_interval_h3() {
    let mut rig = Rig::started(config());
    rig.hear(HIGH, 200);
    rig.wait(DOWN - ms(5));
    rig.hear(HIGH, 64);
    rig.wait(ms(2));
    rig.becomes(Degraded);
    assert_eq!(rig.due_in(), active_down_interval(centis(100), prio(64)));
}

#[test]
fn a_backup_that_recovers_beside_a_degraded_active_takes_over_after_skew_time_h3() {
    let mut rig = Rig::started(config());
    rig.becomes(Degraded);
    rig.hear(HIGH, 64);
    rig.wait(ms(200));
    assert_eq!(rig.becomes(Healthy), []);
    assert_eq!(rig.due_in(), SKEW);
}

#[test]
fn a_backup_that_recovers_beside_a_healthy_active_stays_h2() {
    let mut rig = Rig::started(config());
    rig.becomes(Degraded);
    rig.hear(HIGH, 128);
    rig.wait(ms(200));
    rig.becomes(Healthy);
    assert_eq!(rig.due_in(), DOWN - ms(200));
}

#[test]
fn skew_time_follows_the_priority_and_what_has_run_stays_run_6_1() {
    let mut rig = Rig::started(config());
    rig.hear(HIGH, 200);
    rig.wait(ms(2900));
    rig.becomes(Degraded);
    assert_eq!(rig.due_in(), active_down_interval(centis(100), prio(64)) - ms(2900));
    rig.becomes(Healthy);
    assert_eq!(rig.due_in(), DOWN - ms(2900));
}

#[test]
fn a_backup_that_degrades_after_priority_0_waits_skew_time_not_three_intervals() {
    let mut rig = Rig::started(config());
    rig.hear(HIGH, 0);
    rig.wait(ms(100));
    rig.becomes(Degraded);
    assert_eq!(rig.due_in(), skew_time(centis(100), prio(64)) - ms(100));
    rig.fire();
    assert_eq!(rig.cause(), Cause::ActiveReleased { source: HIGH });
}

#[test]
fn bands_mean_nothing_where_preemption_is_the_rfc_s() {
    let mut rig = Rig::started(always());
    rig.hear(HIGH, 64);
    assert_eq!(rig.due_in(), DOWN, "a lower advert is discarded");
    let mut rig = Rig::started(never());
    rig.wait(ms(900));
    rig.hear(HIGH, 64);
    assert_eq!(rig.due_in(), DOWN, "any advert restarts the timer");
}

#[test]
fn a_drained_active_serves_until_a_higher_advert_h1() {
    let mut rig = Rig::active(config());
    assert_eq!(rig.becomes(Drained), [Advert(1)]);
    assert_eq!(rig.run(INTERVAL * 2).len(), 2);
    assert_eq!(rig.state(), State::Active);
    assert_eq!(rig.hear(LOW, 2), [Probe]);
    assert_eq!(rig.state(), State::Backup);
}

#[test]
fn a_drained_backup_takes_over_from_nobody_but_the_dead() {
    let mut rig = Rig::started(config());
    rig.becomes(Drained);
    rig.hear(HIGH, 1);
    let down = active_down_interval(centis(100), prio(1));
    assert_eq!(rig.due_in(), down);
    assert_eq!(rig.run(down), [(down, Advert(1)), (down, Install)]);
}

#[test]
fn a_degraded_active_told_to_release_gives_up_and_waits_in_initialize() {
    let mut rig = Rig::active(release());
    assert_eq!(rig.becomes(Degraded), [Advert(0), Withdraw]);
    assert_eq!((rig.state(), rig.router.poll_timeout()), (State::Initialize, None));
    assert_eq!(rig.cause(), Cause::Degraded);
    assert_eq!(rig.router.effective_priority(), None);
}

#[test]
fn a_degraded_backup_told_to_release_leaves_silently() {
    let mut rig = Rig::started(release());
    assert_eq!(rig.becomes(Degraded), []);
    assert_eq!((rig.state(), rig.router.poll_timeout()), (State::Initialize, None));
}

#[test]
fn a_released_router_comes_back_through_backup() {
    let mut rig = Rig::active(release());
    rig.becomes(Degraded);
    assert_eq!(rig.hear(HIGH, 1), []);
    assert_eq!(rig.becomes(Healthy), []);
    assert_eq!((rig.state(), rig.cause()), (State::Backup, Cause::Recovered));
    assert_eq!(rig.due_in(), DOWN);
}

#[test]
fn a_router_that_starts_degraded_and_is_told_to_release_stays_out() {
    let mut rig = Rig::new(release());
    rig.becomes(Degraded);
    rig.source(Some(OWN));
    assert_eq!(rig.start(), []);
    assert_eq!((rig.state(), rig.router.poll_timeout()), (State::Initialize, None));
    rig.becomes(Healthy);
    assert_eq!(rig.state(), State::Backup);
}
