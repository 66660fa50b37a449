//! The kernel lease: refreshed each third of it, given up after two thirds without a confirmation.

use super::*;

fn leased() -> RouterConfig {
    RouterConfig { lease: Lease::from_secs(3).ok(), interval: centis(400), ..config() }
}

#[test]
fn the_lease_is_refreshed_each_third_of_it_and_not_announced_again() {
    let mut rig = Rig::active(leased());
    for _ in 0..10 {
        let log = rig.run(ms(1000));
        assert_eq!(log.last(), Some(&(ms(1000), Install)));
        assert_eq!(rig.installed(), []);
    }
    assert_eq!(rig.reports(), []);
}

#[test]
fn the_lease_runs_from_the_request_not_from_its_acknowledgement() {
    let mut rig = Rig::started(leased());
    rig.fire();
    rig.wait(ms(300));
    rig.installed();
    assert_eq!(rig.due_in(), ms(700));
}

#[test]
fn a_lease_not_confirmed_for_two_thirds_ends_active() {
    let mut rig = Rig::active(leased());
    assert_eq!(
        rig.run(ms(2000)),
        [(ms(1000), Install), (ms(2000), Advert(0)), (ms(2000), Withdraw)]
    );
    assert_eq!((rig.state(), rig.cause()), (State::Initialize, Cause::NotInstalled));
    assert_eq!(rig.due_in(), ms(1000), "the first pause");
}

#[test]
fn a_refused_refresh_is_asked_again_until_two_thirds_are_over() {
    let mut rig = Rig::active(leased());
    rig.run(ms(1000));
    for _ in 0..99 {
        rig.refused();
        assert_eq!(rig.due_in(), ms(10));
        assert_eq!(rig.fire(), [Install]);
    }
    rig.refused();
    assert_eq!(rig.fire(), [Advert(0), Withdraw]);
}

#[test]
fn a_refresh_that_succeeds_at_last_counts() {
    let mut rig = Rig::active(leased());
    rig.run(ms(1000));
    rig.refused();
    rig.fire();
    assert_eq!(rig.installed(), []);
    assert_eq!(rig.due_in(), ms(1000));
    assert_eq!(rig.state(), State::Active);
}

#[test]
fn an_address_lost_during_a_refresh_is_repaired_at_once() {
    let mut rig = Rig::active(leased());
    rig.run(ms(1000));
    let refresh = rig.ticket;
    assert_eq!(rig.address_lost(), [Install]);
    rig.router.handle_installed(rig.now, refresh);
    assert_eq!(rig.effects(), [], "the refresh says nothing of the repair");
    assert_eq!(rig.installed(), [Announce]);
}

#[test]
fn a_repair_does_not_prolong_the_lease() {
    let mut rig = Rig::active(leased());
    rig.run(ms(1900));
    rig.address_lost();
    assert_eq!(rig.due_in(), ms(100));
    assert_eq!(rig.fire(), [Advert(0), Withdraw]);
}

#[test]
fn without_a_lease_nothing_is_refreshed() {
    let mut rig = Rig::active(config());
    let log = rig.run(INTERVAL * 60);
    assert!(log.iter().all(|&(_, effect)| effect == Advert(192)), "{log:?}");
}

#[test]
fn a_router_that_left_active_refreshes_nothing() {
    let mut rig = Rig::active(leased());
    rig.hear_at(HIGH, 200, centis(400));
    rig.successor_announces();
    assert_eq!(rig.run(DOWN * 4 - ms(1)), []);
}
