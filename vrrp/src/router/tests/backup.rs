//! RFC 9568, 6.4.2 and the timers of 6.1.

use super::*;

#[test]
fn skew_time_keeps_its_fractions_at_short_intervals_6_1() {
    assert_eq!(skew_time(centis(100), prio(192)), ms(250));
    assert_eq!(skew_time(centis(1), prio(254)), Duration::from_nanos(78_125));
    assert_eq!(skew_time(centis(1), prio(255)), Duration::from_nanos(39_062));
    assert_eq!(skew_time(centis(1), prio(1)), Duration::from_nanos(9_960_937));
    assert_eq!(skew_time(Centis::MAX, prio(1)), Duration::from_nanos(40_790_039_062));
}

#[test]
fn two_backups_ten_priorities_apart_differ_by_390_us_at_10_ms_6_1() {
    let down = |priority| active_down_interval(centis(1), prio(priority));
    assert_eq!(down(254), ms(30) + Duration::from_nanos(78_125));
    let difference = down(244) - down(254);
    assert!(us(390) < difference && difference < us(391), "{difference:?}");
}

#[test]
fn silence_makes_a_backup_active_advert_before_addresses_before_announcement_6_4_2() {
    let mut rig = Rig::started(config());
    assert_eq!(rig.run(DOWN - Duration::from_nanos(1)), []);
    assert_eq!(rig.state(), State::Backup);
    assert_eq!(rig.fire(), [Advert(192), Install]);
    assert_eq!(rig.state(), State::Active);
    assert_eq!(rig.cause(), Cause::ActiveDown { last: None });
    assert_eq!(rig.due_in(), ms(1000));
    rig.wait(us(200));
    assert_eq!(rig.installed(), [Announce]);
}

#[test]
fn active_down_timer_fires_no_earlier_than_due() {
    let mut rig = Rig::started(config());
    rig.wait(DOWN - Duration::from_nanos(1));
    assert_eq!(rig.timeout(), []);
    assert_eq!(rig.state(), State::Backup);
}

#[test]
fn a_takeover_names_the_active_that_fell_silent() {
    let mut rig = Rig::started(config());
    rig.hear(HIGH, 200);
    assert_eq!(rig.active_router(), Some(HIGH));
    rig.fire();
    assert_eq!(rig.cause(), Cause::ActiveDown { last: Some(HIGH) });
    assert_eq!(rig.active_router(), Some(OWN));
}

#[test]
fn a_backup_that_stops_is_silent_6_4_2() {
    let mut rig = Rig::started(config());
    assert_eq!(rig.stop(), []);
    assert_eq!((rig.state(), rig.router.poll_timeout()), (State::Initialize, None));
    assert_eq!(rig.cause(), Cause::Stopped);
}

#[test]
fn priority_0_leaves_skew_time_6_4_2() {
    for config in [config(), always(), never()] {
        let mut rig = Rig::started(config);
        rig.hear(HIGH, 200);
        rig.wait(ms(700));
        assert_eq!(rig.hear(HIGH, 0), []);
        assert_eq!((rig.state(), rig.due_in()), (State::Backup, SKEW));
        assert_eq!(rig.fire(), [Advert(192), Install]);
        assert_eq!(rig.cause(), Cause::ActiveReleased { source: HIGH });
    }
}

#[test]
fn priority_0_sets_the_timer_even_where_less_was_left_6_4_2() {
    let mut rig = Rig::started(config());
    rig.hear(HIGH, 200);
    rig.wait(DOWN - ms(5));
    rig.hear(HIGH, 0);
    assert_eq!(rig.due_in(), SKEW);
}

/// What the interval is in the advertisement that gives up does not matter.
#[test]
fn priority_0_leaves_skew_time_of_the_learned_interval_6_4_2() {
    for config in [config(), always(), never()] {
        let mut rig = Rig::started(config);
        rig.hear(HIGH, 0);
        assert_eq!(rig.due_in(), SKEW, "nobody heard: of the local interval");
        rig.hear_at(HIGH, 200, centis(400));
        rig.hear_at(HIGH, 0, Centis::MAX);
        assert_eq!(rig.due_in(), SKEW * 4);
        rig.hear_at(HIGH, 200, Centis::MAX);
        rig.hear_at(LOW, 0, centis(1));
        assert_eq!(rig.due_in(), Centis::MAX.duration() / 4);
    }
}

#[test]
fn the_interval_of_a_discarded_advert_is_not_learned_for_skew_time_either_6_4_2() {
    let mut rig = Rig::started(always());
    rig.hear_at(LOW, 191, centis(400));
    rig.hear(LOW, 0);
    assert_eq!(rig.due_in(), SKEW);
    rig.wait(ms(100));
    rig.hear_at(HIGH, 191, centis(400));
    assert_eq!(rig.due_in(), SKEW - ms(100), "nor does it touch the timer after priority 0");
}

#[test]
fn an_advert_after_priority_0_restarts_the_whole_interval_6_4_2() {
    let mut rig = Rig::started(config());
    rig.hear(HIGH, 0);
    rig.wait(ms(100));
    rig.hear(LOW, 192);
    assert_eq!(rig.due_in(), DOWN);
    rig.fire();
    assert_eq!(rig.cause(), Cause::ActiveDown { last: Some(LOW) });
}

#[test]
fn an_advert_of_at_least_the_own_priority_restarts_the_timer_whatever_the_address_6_4_2() {
    for (source, priority) in [(LOW, 192), (HIGH, 192), (LOW, 193), (HIGH, 255)] {
        let mut rig = Rig::started(always());
        rig.wait(ms(3000));
        assert_eq!(rig.hear(source, priority), []);
        assert_eq!((rig.state(), rig.due_in()), (State::Backup, DOWN));
        assert_eq!(rig.active_router(), Some(source));
    }
}

#[test]
fn the_interval_of_the_active_is_learned_6_4_2() {
    let mut rig = Rig::started(config());
    rig.hear_at(HIGH, 200, centis(10));
    assert_eq!(rig.due_in(), DOWN / 10);
    rig.hear_at(HIGH, 200, Centis::MAX);
    assert_eq!(rig.due_in(), Centis::MAX.duration() * 3 + Centis::MAX.duration() / 4);
}

#[test]
fn a_lower_advert_is_discarded_and_the_timer_runs_on_6_4_2() {
    let mut rig = Rig::started(always());
    for _ in 0..3 {
        rig.wait(ms(1000));
        let due = rig.router.poll_timeout();
        for priority in [1, 64, 127, 128, 191] {
            assert_eq!(rig.hear_at(HIGH, priority, centis(1)), []);
            assert_eq!(rig.router.poll_timeout(), due, "priority {priority}");
        }
    }
    assert_eq!(rig.due_in(), ms(250));
    rig.fire();
    assert_eq!(rig.state(), State::Active);
    rig.installed();
    assert_eq!(rig.due_in(), INTERVAL, "the interval of a discarded advert is not learned");
}

#[test]
fn without_preemption_any_advert_restarts_the_timer_6_4_2() {
    let mut rig = Rig::started(never());
    for priority in [1, 64, 127, 128, 191, 192, 255] {
        rig.wait(ms(1000));
        assert_eq!(rig.hear_at(LOW, priority, centis(50)), []);
        assert_eq!(rig.due_in(), DOWN / 2, "priority {priority}");
    }
}

#[test]
fn the_timer_runs_from_the_arrival_of_the_packet() {
    let mut rig = Rig::started(config());
    rig.wait(ms(500));
    let heard = Heard { source: HIGH, priority: Priority::new(200), interval: centis(100) };
    rig.router.handle_advert(rig.now - ms(3), heard);
    assert_eq!(rig.due_in(), DOWN - ms(3));
}

#[test]
fn a_new_active_advertises_at_the_local_interval_not_the_learned_one_6_4_2() {
    let mut rig = Rig::started(config());
    rig.hear_at(HIGH, 200, centis(400));
    rig.fire();
    assert_eq!(rig.due_in(), INTERVAL);
}

#[test]
fn kernel_events_mean_nothing_in_backup() {
    let mut rig = Rig::started(config());
    let due = rig.router.poll_timeout();
    assert_eq!(rig.installed(), []);
    assert_eq!(rig.refused(), []);
    assert_eq!(rig.address_lost(), []);
    assert_eq!(rig.successor_announces(), []);
    assert_eq!((rig.state(), rig.router.poll_timeout()), (State::Backup, due));
}

#[test]
fn a_takeover_from_a_living_lower_active_names_it() {
    let mut rig = Rig::started(RouterConfig { preempt: Preempt::Always, ..config() });
    rig.hear(LOW, 100);
    rig.fire();
    let priority = prio(100);
    assert_eq!(rig.cause(), Cause::Preempts { source: LOW, priority });
}
