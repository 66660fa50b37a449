//! What a Backup tells of the routers that it hears.

use super::*;

fn change(source: IpAddr, from: u8, to: u8) -> Report {
    Report::ActivePriority { source, from: Priority::new(from), to: prio(to) }
}

#[test]
fn the_first_advert_of_an_active_is_told_and_each_change_of_its_priority_once() {
    let mut rig = Rig::started(config());
    for (priority, from) in [(254, 0), (126, 254), (1, 126), (254, 1)] {
        for expected in [vec![change(HIGH, from, priority)], vec![], vec![]] {
            rig.hear(HIGH, priority);
            assert_eq!(rig.reports(), expected);
            rig.wait(ms(10));
        }
    }
}

/// With Preempt_Mode True an advertisement of lower priority is discarded (6.4.2), and told.
#[test]
fn a_change_is_told_whether_or_not_the_advert_counts() {
    for config in [config(), always(), never()] {
        let mut rig = Rig::started(config);
        rig.hear(HIGH, 254);
        rig.reports();
        rig.hear(HIGH, 64);
        assert_eq!(rig.reports(), [change(HIGH, 254, 64)]);
    }
}

#[test]
fn a_new_active_is_told_and_so_is_the_old_one_when_it_comes_back() {
    let mut rig = Rig::started(config());
    rig.hear(HIGH, 254);
    rig.wait(INTERVAL * 3);
    rig.hear(LOW, 244);
    for _ in 0..4 {
        rig.wait(INTERVAL);
        rig.hear(LOW, 244);
    }
    assert_eq!(rig.reports(), [change(HIGH, 0, 254), change(LOW, 0, 244)]);
    rig.hear(HIGH, 254);
    assert_eq!(rig.reports(), [change(HIGH, 0, 254)]);
}

/// As long as a one-way cut lasts, a Backup that hears both hears them in turn.
#[test]
fn two_actives_that_are_heard_in_turn_are_told_once_each() {
    let mut rig = Rig::started(config());
    for _ in 0..20 {
        rig.wait(ms(500));
        rig.hear(HIGH, 254);
        rig.wait(ms(500));
        rig.hear(LOW, 244);
    }
    assert_eq!(rig.reports(), [change(HIGH, 0, 254), change(LOW, 0, 244)]);
}

#[test]
fn an_active_that_gives_up_is_told_once_and_whoever_follows_is_news() {
    let mut rig = Rig::started(config());
    rig.hear(LOW, 244);
    rig.hear(HIGH, 254);
    rig.reports();
    rig.hear(HIGH, 0);
    rig.hear(HIGH, 0);
    assert_eq!(rig.reports(), [Report::ActiveReleased { source: HIGH }]);
    rig.hear(LOW, 244);
    assert_eq!(rig.reports(), [change(LOW, 0, 244)]);
}

/// The transition names it.
#[test]
fn the_winner_that_an_active_yields_to_is_told_again_only_when_it_changes() {
    let mut rig = Rig::active(config());
    rig.hear(HIGH, 254);
    rig.reports();
    rig.wait(ms(5));
    rig.hear(HIGH, 254);
    assert_eq!(rig.reports(), []);
    rig.hear(HIGH, 126);
    assert_eq!(rig.reports(), [change(HIGH, 254, 126)]);
}

#[test]
fn made_up_sources_cause_no_flood_of_reports() {
    let mut rig = Rig::started(config());
    let mut told = 0;
    for host in 0..1000_u32 {
        rig.hear(IpAddr::from((0x0a00_0100 + host).to_be_bytes()), 254);
        rig.wait(ms(5));
        told += rig.reports().len();
    }
    assert_eq!(told, 16);
    rig.wait(ms(3000));
    rig.hear(HIGH, 254);
    rig.wait(ms(2999));
    rig.hear(HIGH, 126);
    assert_eq!(rig.reports(), [change(HIGH, 254, 126)]);
}

#[test]
fn an_active_and_one_that_takes_no_part_tell_nothing_of_others() {
    for mut rig in [Rig::active(config()), Rig::new(config())] {
        rig.hear(LOW, 100);
        let told = rig.reports().into_iter().any(|it| matches!(it, Report::ActivePriority { .. }));
        assert!(!told);
    }
}
