//! Another configuration without leaving the state: no gap above 1.3 intervals, no lost address.

use super::*;

fn other_addresses() -> Addresses {
    Addresses::new(vec![[10, 0, 0, 10].into(), [10, 0, 0, 11].into()]).unwrap()
}

#[test]
fn the_same_configuration_changes_nothing() {
    for mut rig in [Rig::started(config()), Rig::active(config())] {
        rig.wait(ms(300));
        let due = rig.router.poll_timeout();
        assert_eq!(rig.reconfigure(config()), []);
        assert_eq!(rig.router.poll_timeout(), due);
        assert_eq!(rig.reports(), []);
    }
}

#[test]
fn a_shorter_interval_holds_from_now_on() {
    let mut rig = Rig::active(config());
    rig.wait(ms(300));
    let effects = rig.reconfigure(RouterConfig { interval: centis(10), ..config() });
    assert_eq!(effects, [Advert(192)], "Backups learn it at once");
    let adverts: Vec<_> = (1..=10).map(|i| (ms(100) * i, Advert(192))).collect();
    assert_eq!(rig.run(ms(1000)), adverts);
}

#[test]
fn a_longer_interval_leaves_no_gap_for_backups_that_know_the_shorter_one() {
    let mut rig = Rig::active(config());
    rig.wait(ms(300));
    let effects = rig.reconfigure(RouterConfig { interval: centis(1000), ..config() });
    assert_eq!(effects, [Advert(192)]);
    let log = rig.run(ms(10_700));
    assert_eq!(log, [(ms(700), Advert(192)), (ms(10_700), Advert(192))]);
}

#[test]
fn reloading_at_any_moment_leaves_no_gap_above_an_interval() {
    for offset in 0..10 {
        let ten_ms = RouterConfig { interval: centis(1), ..config() };
        let mut rig = Rig::active(ten_ms.clone());
        rig.wait(ms(offset));
        rig.reconfigure(RouterConfig { priority: prio(180), ..ten_ms });
        let next = rig.run(ms(10));
        assert_eq!(next, [(ms(10 - offset), Advert(180))]);
    }
}

#[test]
fn another_priority_is_advertised_once_and_at_once() {
    let mut rig = Rig::active(config());
    rig.wait(ms(300));
    let changed = RouterConfig { priority: prio(180), interval: centis(90), ..config() };
    assert_eq!(rig.reconfigure(changed), [Advert(180)]);
    assert_eq!(rig.due_in(), ms(700));
}

#[test]
fn other_addresses_are_installed_advertised_and_announced_while_active_goes_on() {
    let mut rig = Rig::active(config());
    rig.wait(ms(300));
    let effects = rig.reconfigure(RouterConfig { addresses: other_addresses(), ..config() });
    assert_eq!(effects, [Install, Advert(192)]);
    assert_eq!(rig.installed(), [Announce]);
    assert_eq!(rig.reports(), [Report::Installed]);
    assert_eq!((rig.state(), rig.due_in()), (State::Active, ms(700)));
}

#[test]
fn other_addresses_that_cannot_be_installed_end_active() {
    let mut rig = Rig::active(config());
    rig.reconfigure(RouterConfig { addresses: other_addresses(), ..config() });
    rig.run(INTERVAL);
    assert_eq!(rig.state(), State::Active, "one address more, 0.2 ms more");
    rig.run(us(200));
    assert_eq!((rig.state(), rig.cause()), (State::Initialize, Cause::NotInstalled));
}

#[test]
fn other_addresses_during_a_takeover_make_the_first_answer_stale() {
    let mut rig = Rig::started(config());
    rig.fire();
    let first = rig.ticket;
    rig.reconfigure(RouterConfig { addresses: other_addresses(), ..config() });
    rig.router.handle_installed(rig.now, first);
    assert_eq!(rig.effects(), []);
    assert_eq!(rig.installed(), [Announce]);
}

#[test]
fn a_lease_that_is_switched_on_or_off_is_told_to_the_kernel() {
    let leased = RouterConfig { lease: Lease::from_secs(3).ok(), ..config() };
    let mut rig = Rig::active(config());
    assert_eq!(rig.reconfigure(leased), [Install]);
    rig.installed();
    rig.wait(ms(1000));
    assert_eq!(rig.fire(), [Advert(192), Install]);
    rig.installed();
    assert_eq!(rig.reconfigure(config()), [Install]);
    rig.installed();
    let log = rig.run(ms(10_000));
    assert!(log.iter().all(|&(_, effect)| effect == Advert(192)), "{log:?}");
}

#[test]
fn a_degraded_active_now_told_to_release_does_so_and_one_told_not_to_comes_back() {
    let mut rig = Rig::active(config());
    rig.becomes(Eligibility::Degraded);
    let release = RouterConfig { on_degraded: OnDegraded::Release, ..config() };
    assert_eq!(rig.reconfigure(release), [Advert(0), Withdraw]);
    assert_eq!(rig.state(), State::Initialize);
    assert_eq!(rig.reconfigure(config()), []);
    assert_eq!(rig.state(), State::Backup);
}

#[test]
fn a_router_that_releases_does_not_install_its_new_addresses_first() {
    let mut rig = Rig::active(config());
    rig.becomes(Eligibility::Degraded);
    let changed = RouterConfig {
        on_degraded: OnDegraded::Release,
        addresses: other_addresses(),
        interval: centis(10),
        ..config()
    };
    assert_eq!(rig.reconfigure(changed), [Advert(0), Withdraw]);
}

#[test]
fn another_interval_does_not_shorten_what_a_backup_has_learned() {
    let mut rig = Rig::started(config());
    rig.hear(HIGH, 200);
    rig.wait(ms(500));
    assert_eq!(rig.reconfigure(RouterConfig { interval: centis(1), ..config() }), []);
    assert_eq!(rig.due_in(), DOWN - ms(500));
}

#[test]
fn a_backup_that_has_heard_nobody_waits_at_the_new_local_interval_6_4_1() {
    let mut rig = Rig::started(config());
    rig.wait(ms(500));
    rig.reconfigure(RouterConfig { interval: centis(10), ..config() });
    assert_eq!(rig.due_in(), DOWN / 10);
    rig.hear(LOW, 0);
    assert_eq!(rig.due_in(), SKEW / 10);

    let mut rig = Rig::started(config());
    rig.wait(ms(500));
    rig.reconfigure(RouterConfig { interval: centis(1000), priority: prio(128), ..config() });
    assert_eq!(rig.due_in(), DOWN + ms(250) - ms(500), "what runs is not prolonged");
    rig.hear(LOW, 0);
    assert_eq!(rig.due_in(), ms(5000));
}

#[test]
fn a_backup_s_new_priority_shifts_its_skew_time() {
    let mut rig = Rig::started(config());
    rig.wait(ms(1000));
    rig.reconfigure(RouterConfig { priority: prio(128), ..config() });
    assert_eq!(rig.due_in(), DOWN + ms(250) - ms(1000));
}
