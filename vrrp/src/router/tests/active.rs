//! RFC 9568, 6.4.3.

use super::*;

#[test]
fn adverts_leave_on_an_absolute_schedule_6_4_3() {
    let mut rig = Rig::active(config());
    let adverts: Vec<_> = (1..=100).map(|i| (INTERVAL * i, Advert(192))).collect();
    assert_eq!(rig.run(INTERVAL * 100), adverts);
}

#[test]
fn a_timer_that_fires_late_does_not_move_the_schedule() {
    let mut rig = Rig::active(config());
    for _ in 0..100 {
        let due = rig.router.poll_timeout().unwrap();
        rig.now = due + ms(7);
        assert_eq!(rig.timeout(), [Advert(192)]);
        assert_eq!(rig.router.poll_timeout(), Some(due + INTERVAL));
    }
}

#[test]
fn adverts_that_were_missed_are_not_made_up_for() {
    let mut rig = Rig::active(config());
    rig.now += ms(2500);
    assert_eq!(rig.timeout(), [Advert(192)]);
    assert!(rig.due_in() > Duration::ZERO && rig.due_in() <= INTERVAL);
}

#[test]
fn an_active_that_stops_gives_up_before_it_withdraws_6_4_3() {
    let mut rig = Rig::active(config());
    assert_eq!(rig.stop(), [Advert(0), Withdraw]);
    assert_eq!((rig.state(), rig.router.poll_timeout()), (State::Initialize, None));
    assert_eq!(rig.cause(), Cause::Stopped);
}

#[test]
fn priority_0_is_answered_at_once_and_restarts_the_schedule_6_4_3() {
    let mut rig = Rig::active(config());
    rig.wait(ms(700));
    assert_eq!(rig.hear(HIGH, 0), [Advert(192), Reassert]);
    assert_eq!(rig.state(), State::Active);
    rig.run(ms(100));
    assert_eq!(rig.due_in(), INTERVAL - ms(100));
}

#[test]
fn a_lower_advert_is_answered_at_once_without_moving_the_schedule_6_4_3() {
    for config in [config(), always(), never()] {
        for (source, priority) in [(HIGH, 1), (HIGH, 191), (LOW, 192)] {
            let mut rig = Rig::active(config.clone());
            rig.wait(ms(700));
            assert_eq!(rig.hear_at(source, priority, centis(1)), [Advert(192), Reassert]);
            assert_eq!(rig.state(), State::Active);
            rig.run(ms(100));
            assert_eq!(rig.due_in(), ms(200));
        }
    }
}

#[test]
fn a_higher_priority_or_an_equal_one_from_a_greater_address_wins_6_4_3() {
    for preempt in [Preempt::DegradedOnly, Preempt::Always, Preempt::Never] {
        for (source, priority) in [(LOW, 193), (HIGH, 255), (HIGH, 192)] {
            let mut rig = Rig::active(RouterConfig { preempt, ..config() });
            assert_eq!(rig.hear(source, priority), [Probe]);
            assert_eq!(rig.state(), State::Backup);
            let priority = prio(priority);
            assert_eq!(rig.cause(), Cause::HigherPriority { source, priority });
            assert_eq!(rig.active_router(), Some(source));
        }
    }
}

#[test]
fn an_active_that_lost_watches_the_winner_at_the_winner_s_interval_6_4_3() {
    let mut rig = Rig::active(config());
    rig.hear_at(HIGH, 200, centis(200));
    rig.successor_announces();
    assert_eq!(rig.due_in(), DOWN * 2);
    rig.hear(HIGH, 0);
    assert_eq!(rig.due_in(), SKEW * 2);
    assert_eq!(rig.fire(), [Advert(192), Install]);
    assert_eq!(rig.due_in(), INTERVAL, "its own advertisements are at its own interval");
}

#[test]
fn ipv4_addresses_are_compared_as_unsigned_numbers_6_4_3() {
    let source = |last: [u8; 4]| IpAddr::from(last);
    for (own, other, wins) in [
        ([10, 0, 0, 2], [10, 0, 0, 200], true),
        ([10, 0, 0, 200], [10, 0, 0, 3], false),
        ([10, 0, 0, 255], [10, 0, 1, 0], true),
        ([127, 0, 0, 1], [128, 0, 0, 1], true),
        ([9, 255, 255, 255], [10, 0, 0, 0], true),
    ] {
        let mut rig = Rig::active(config());
        rig.source(Some(source(own)));
        rig.hear(source(other), 192);
        assert_eq!(rig.state() == State::Backup, wins, "{own:?} {other:?}");
    }
}

#[test]
fn ipv6_addresses_are_compared_as_unsigned_numbers_6_4_3() {
    let ipv6 = RouterConfig {
        addresses: Addresses::new(vec!["fe80::10".parse().unwrap()]).unwrap(),
        ..config()
    };
    for (own, other, wins) in [
        ("fe80::1", "fe80::2", true),
        ("fe80::2", "fe80::1", false),
        ("fe80::7fff", "fe80::8000", true),
        ("fe80::ffff:ffff:ffff:ffff", "fe80::1:0:0:0:0", true),
        ("fe80::a", "fe80::9", false),
    ] {
        let mut rig = Rig::active(ipv6.clone());
        rig.source(Some(own.parse().unwrap()));
        rig.hear(other.parse().unwrap(), 192);
        assert_eq!(rig.state() == State::Backup, wins, "{own} {other}");
    }
}

#[test]
fn a_flood_of_lower_adverts_is_answered_once_a_millisecond() {
    let mut rig = Rig::active(config());
    assert_eq!(rig.hear(LOW, 100)[0], Advert(192));
    rig.wait(us(400));
    assert_eq!(rig.hear(LOW, 100), []);
    assert_eq!(rig.hear(LOW, 100), []);
    assert_eq!(rig.due_in(), us(600), "the two share an answer");
    assert_eq!(rig.fire(), [Advert(192)]);
    assert_eq!(rig.hear(LOW, 100), []);
    assert_eq!(rig.due_in(), ms(1));
    assert_eq!(rig.fire(), [Advert(192)]);
    assert!(rig.run(ms(998)).contains(&(ms(998), Advert(192))), "the schedule has not moved");
}

#[test]
fn an_advert_of_the_schedule_is_an_answer_too() {
    let mut rig = Rig::active(config());
    rig.wait(us(999_500));
    assert_eq!(rig.hear(LOW, 100)[0], Advert(192));
    rig.wait(us(400));
    assert_eq!(rig.hear(LOW, 100), []);
    assert_eq!(rig.fire(), [Advert(192)]);
    assert!(rig.due_in() > ms(1), "{:?}", rig.due_in());
}

/// Each priority 0 has the Backups wait no longer than Skew_Time.
#[test]
fn a_router_that_gives_up_twice_is_answered_twice() {
    let mut rig = Rig::active(config());
    for _ in 0..2 {
        assert_eq!(rig.hear(LOW, 0)[0], Advert(192));
        rig.wait(us(500));
    }
}
