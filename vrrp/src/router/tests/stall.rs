//! Late wake-ups: H5.

use super::*;

/// What a stall of `late` and nothing in the queue does to an Active.
fn stalled_active(late: Duration, overflowed: bool) -> (Vec<Effect>, State) {
    let mut rig = Rig::active(config());
    let mut effects = rig.stall(late, overflowed);
    effects.extend(rig.resumed(late));
    effects.extend(rig.timeout());
    (effects, rig.state())
}

#[test]
fn an_active_late_by_up_to_three_intervals_goes_on_h5() {
    for late in [ms(1), INTERVAL, INTERVAL + us(1), INTERVAL * 3] {
        assert_eq!(stalled_active(late, false), (vec![Advert(192)], State::Active), "{late:?}");
    }
}

#[test]
fn an_active_that_stood_still_over_three_intervals_withdraws_before_it_sends_h5() {
    for late in [INTERVAL * 3 + us(1), INTERVAL * 60] {
        assert_eq!(stalled_active(late, false), (vec![Withdraw, Probe], State::Backup), "{late:?}");
    }
}

#[test]
fn an_active_whose_queue_overflowed_withdraws_before_it_sends_h5() {
    assert_eq!(stalled_active(INTERVAL, true), (vec![Advert(192)], State::Active));
    assert_eq!(stalled_active(INTERVAL + us(1), true), (vec![Withdraw, Probe], State::Backup));
}

#[test]
fn an_active_whose_lease_lapsed_withdraws_before_it_sends_h5() {
    let leased = RouterConfig { lease: Lease::from_secs(3).ok(), ..config() };
    let mut rig = Rig::active(leased);
    let late = ms(1500);
    rig.now += ms(1000);
    rig.timeout();
    rig.now += ms(1000) + late;
    rig.router.handle_stall(rig.now, late, false);
    assert_eq!(rig.effects(), [Withdraw, Probe]);
    assert_eq!((rig.state(), rig.cause()), (State::Backup, Cause::Stalled { late }));
}

#[test]
fn an_active_that_finds_another_s_advert_after_a_stall_withdraws_before_it_sends_h5() {
    for priority in [1, 191, 192, 254] {
        let mut rig = Rig::active(config());
        let late = INTERVAL * 2;
        assert_eq!(rig.stall(late, false), []);
        assert_eq!(rig.hear(LOW, priority), [Withdraw, Probe]);
        assert_eq!(rig.state(), State::Backup);
        let priority = prio(priority);
        assert_eq!(rig.cause(), Cause::Superseded { source: LOW, priority });
        assert_eq!(rig.resumed(late), []);
        assert_eq!((rig.timeout(), rig.due_in()), (vec![], DOWN));
    }
}

#[test]
fn a_verdict_after_a_stall_is_advertised_only_once_the_sockets_are_read_h5() {
    let mut rig = Rig::active(config());
    let late = INTERVAL * 2;
    rig.stall(late, false);
    assert_eq!(rig.becomes(Eligibility::Degraded), []);
    assert_eq!(rig.resumed(late), []);
    assert_eq!(rig.timeout(), [Advert(64)]);
}

#[test]
fn after_the_drain_the_election_is_the_rfc_s_again_h5() {
    let mut rig = Rig::active(config());
    rig.stall(INTERVAL * 2, false);
    rig.resumed(INTERVAL * 2);
    assert_eq!(rig.hear(LOW, 100), [Advert(192), Reassert]);
    assert_eq!(rig.state(), State::Active);
}

#[test]
fn a_backup_woken_late_waits_a_whole_active_down_interval_h5() {
    let mut rig = Rig::started(config());
    let late = INTERVAL + us(1);
    assert_eq!(rig.stall(late, false), []);
    assert_eq!(rig.resumed(late), []);
    assert_eq!(rig.reports(), [Report::Stalled { late }]);
    assert_eq!(rig.timeout(), []);
    assert_eq!((rig.state(), rig.due_in()), (State::Backup, DOWN));
}

#[test]
fn a_backup_woken_late_waits_at_the_learned_interval_whatever_it_expected_h5() {
    for last in [0, 64] {
        let mut rig = Rig::started(config());
        rig.hear_at(HIGH, 200, centis(200));
        rig.hear_at(HIGH, last, centis(200));
        rig.stall(INTERVAL * 2, false);
        rig.resumed(INTERVAL * 2);
        assert_eq!(rig.due_in(), DOWN * 2);
    }
}

#[test]
fn a_backup_late_by_less_than_an_interval_takes_over_h5() {
    let mut rig = Rig::started(config());
    rig.stall(INTERVAL, false);
    rig.resumed(INTERVAL);
    assert_eq!(rig.timeout(), [Advert(192), Install]);
}

#[test]
fn an_active_thawed_after_a_minute_is_a_backup_that_waits_h5() {
    let mut rig = Rig::active(config());
    let late = Duration::from_secs(60);
    assert_eq!(rig.stall(late, true), [Withdraw, Probe]);
    assert_eq!(rig.hear(HIGH, 150), []);
    rig.resumed(late);
    assert_eq!((rig.state(), rig.due_in()), (State::Backup, DOWN));
    assert_eq!(rig.active_router(), Some(HIGH));
}

#[test]
fn a_stall_means_nothing_in_initialize() {
    let mut rig = Rig::new(config());
    rig.router.handle_stall(rig.now, INTERVAL * 10, true);
    assert_eq!(rig.effects(), []);
    assert_eq!(rig.resumed(INTERVAL * 10), []);
    assert_eq!(rig.reports(), []);
}
