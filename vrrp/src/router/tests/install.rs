//! Never Active without the addresses; never an announcement before they are in place (8.1.2).

use super::*;

fn taken_over(config: RouterConfig) -> Rig {
    let mut rig = Rig::started(config);
    assert_eq!(rig.fire(), [Advert(192), Install]);
    rig
}

#[test]
fn nothing_is_announced_before_the_kernel_acknowledges_8_1_2() {
    let mut rig = taken_over(config());
    rig.reports.clear();
    assert_eq!(rig.run(ms(999)), []);
    assert_eq!(rig.installed(), [Announce]);
    assert_eq!(rig.reports(), [Report::Installed]);
}

#[test]
fn a_second_acknowledgement_of_the_same_request_says_nothing() {
    let mut rig = Rig::active(config());
    assert_eq!(rig.installed(), []);
}

#[test]
fn no_acknowledgement_within_an_interval_ends_active() {
    let mut rig = taken_over(config());
    assert_eq!(rig.run(INTERVAL), [(INTERVAL, Advert(0)), (INTERVAL, Withdraw)]);
    assert_eq!((rig.state(), rig.cause()), (State::Initialize, Cause::NotInstalled));
}

#[test]
fn the_kernel_has_100_ms_at_least() {
    let mut rig = taken_over(RouterConfig { interval: centis(1), ..config() });
    let log = rig.run(ms(100));
    assert_eq!(log.iter().filter(|&&(_, effect)| effect == Advert(192)).count(), 9);
    assert_eq!(log[9..], [(ms(100), Advert(0)), (ms(100), Withdraw)]);
}

/// One of thousands that take over together waits for its turn, not for a kernel that is stuck.
#[test]
fn while_the_kernel_answers_other_routers_the_time_runs_anew() {
    let mut rig = taken_over(config());
    for _ in 0..3 {
        rig.run(INTERVAL - ms(1));
        assert_eq!(rig.others_installed(), []);
    }
    assert_eq!(rig.state(), State::Active);
    assert_eq!(rig.run(INTERVAL).last(), Some(&(INTERVAL, Withdraw)));
    assert_eq!((rig.state(), rig.cause()), (State::Initialize, Cause::NotInstalled));
}

#[test]
fn a_lease_is_not_longer_because_the_kernel_answers_other_routers() {
    let mut rig = Rig::active(RouterConfig { lease: Lease::from_secs(3).ok(), ..config() });
    rig.run(ms(1500));
    assert_eq!(rig.others_installed(), []);
    rig.run(ms(500));
    assert_eq!((rig.state(), rig.cause()), (State::Initialize, Cause::NotInstalled));
}

#[test]
fn a_late_acknowledgement_does_not_bring_a_router_back() {
    let mut rig = taken_over(config());
    rig.run(INTERVAL);
    assert_eq!(rig.installed(), []);
    assert_eq!(rig.state(), State::Initialize);
}

#[test]
fn a_refusal_is_asked_again_each_10_ms_until_the_time_is_over() {
    let mut rig = taken_over(RouterConfig { interval: centis(10), ..config() });
    for attempt in 1..10 {
        assert_eq!(rig.refused(), []);
        assert_eq!(rig.due_in(), ms(10));
        assert_eq!(rig.fire(), [Install], "attempt {attempt}");
    }
    rig.refused();
    assert_eq!(rig.fire(), [Advert(0), Withdraw]);
    assert_eq!(rig.state(), State::Initialize);
}

#[test]
fn a_refusal_that_ends_well_is_a_takeover_like_any_other() {
    let mut rig = taken_over(config());
    rig.reports.clear();
    rig.refused();
    assert_eq!(rig.fire(), [Install]);
    assert_eq!(rig.installed(), [Announce]);
    assert_eq!(rig.reports(), [Report::Installed]);
    assert_eq!(rig.run(INTERVAL - ms(10)), [(INTERVAL - ms(10), Advert(192))]);
}

#[test]
fn answers_to_an_older_request_are_not_taken_for_the_newer_one_s() {
    let mut rig = taken_over(config());
    let older = rig.ticket;
    rig.refused();
    rig.fire();
    rig.router.handle_installed(rig.now, older);
    assert_eq!(rig.effects(), []);
    rig.router.handle_install_failed(rig.now, older);
    assert!(rig.due_in() > ms(10));
    assert_eq!(rig.installed(), [Announce]);
}

#[test]
fn an_answer_from_before_the_last_withdrawal_is_not_taken_for_the_new_takeover_s() {
    let mut rig = taken_over(config());
    let older = rig.ticket;
    rig.hear(HIGH, 200);
    rig.hear(HIGH, 0);
    assert_eq!(rig.fire(), [Advert(192), Install]);
    rig.router.handle_installed(rig.now, older);
    assert_eq!(rig.effects(), []);
    assert_eq!(rig.installed(), [Announce]);
}

#[test]
fn the_pause_after_a_failed_takeover_doubles_up_to_a_minute() {
    let mut rig = Rig::started(config());
    for pause in [1, 2, 4, 8, 16, 32, 60, 60] {
        assert_eq!(rig.fire(), [Advert(192), Install]);
        assert_eq!(rig.fire(), [Advert(0), Withdraw]);
        assert_eq!(rig.due_in(), Duration::from_secs(pause));
        assert_eq!(rig.hear(HIGH, 1), [], "adverts mean nothing in Initialize");
        assert_eq!(rig.fire(), []);
        assert_eq!((rig.state(), rig.cause()), (State::Backup, Cause::Retry));
        assert_eq!(rig.due_in(), DOWN);
    }
}

#[test]
fn a_takeover_that_ends_well_starts_the_pauses_anew() {
    let mut rig = Rig::started(config());
    for _ in 0..2 {
        rig.run(DOWN + INTERVAL);
        assert_eq!(rig.due_in(), ms(1000));
        rig.fire();
        rig.fire();
        rig.installed();
        rig.hear(HIGH, 200);
        rig.successor_announces();
    }
}

#[test]
fn an_owner_whose_addresses_are_refused_pauses_too() {
    let mut rig = Rig::started(RouterConfig { priority: Priority::OWNER, ..config() });
    assert_eq!(rig.fire(), [Advert(0), Withdraw]);
    assert_eq!(rig.due_in(), ms(1000));
    assert_eq!(rig.fire(), [Advert(255), Install]);
}

#[test]
fn an_address_that_somebody_deletes_is_put_back_at_once_and_announced() {
    let mut rig = Rig::active(config());
    rig.wait(ms(500));
    assert_eq!(rig.address_lost(), [Install]);
    assert_eq!(rig.reports(), [Report::AddressLost]);
    assert_eq!(rig.installed(), [Announce]);
    assert_eq!(rig.reports(), [Report::Repaired]);
    assert_eq!(rig.due_in(), ms(500), "the schedule has not moved");
}

#[test]
fn an_address_that_cannot_be_put_back_ends_active() {
    let mut rig = Rig::active(config());
    rig.wait(ms(500));
    rig.address_lost();
    let log = rig.run(INTERVAL);
    assert_eq!(log, [(ms(500), Advert(192)), (INTERVAL, Advert(0)), (INTERVAL, Withdraw)]);
}

#[test]
fn many_addresses_lost_together_are_one_repair_and_a_check_after_it() {
    let mut rig = Rig::active(config());
    assert_eq!(rig.address_lost(), [Install]);
    for _ in 0..255 {
        assert_eq!(rig.address_lost(), []);
    }
    assert_eq!(rig.reports(), [Report::AddressLost]);
    assert_eq!(rig.installed(), [Install], "what was acknowledged may be gone already");
    assert_eq!(rig.installed(), [Announce]);
}

#[test]
fn an_address_lost_during_the_takeover_is_not_taken_for_installed() {
    let mut rig = taken_over(config());
    rig.address_lost();
    assert_eq!(rig.installed(), [Install]);
    assert_eq!(rig.due_in(), INTERVAL);
    assert_eq!(rig.fire(), [Advert(0), Withdraw], "and the time to install it is not prolonged");
}

#[test]
fn addresses_under_repair_are_not_announced() {
    let mut rig = Rig::active(config());
    rig.address_lost();
    assert_eq!(rig.hear(LOW, 100), [Advert(192)]);
    assert_eq!(rig.run(ms(200)), []);
    assert_eq!(rig.installed(), [Announce]);
}

#[test]
fn repairs_in_a_quarrel_are_paced_to_one_each_50_ms() {
    let mut rig = Rig::active(config());
    assert_eq!(rig.address_lost(), [Install]);
    assert_eq!(rig.installed(), [Announce]);
    rig.wait(ms(10));
    assert_eq!(rig.address_lost(), []);
    assert_eq!(rig.run(ms(40)), [(ms(40), Install)]);
    assert_eq!(rig.installed(), [Announce]);
    rig.wait(ms(100));
    assert_eq!(rig.address_lost(), [Install], "a new quarrel");
}

#[test]
fn an_active_that_cannot_keep_its_addresses_gives_up_after_20_repairs_in_a_row() {
    let mut rig = Rig::active(config());
    let mut repairs = 0;
    while rig.state() == State::Active {
        let effects = rig.address_lost();
        if effects.is_empty() && rig.state() == State::Active {
            rig.run(ms(50));
        }
        rig.installed();
        repairs += 1;
        assert!(repairs <= 21);
    }
    assert_eq!((rig.state(), rig.cause()), (State::Initialize, Cause::NotInstalled));
    assert_eq!(repairs, 21);
}
