//! Carrier loss, an interface that goes and comes, another source address.

use super::*;

#[test]
fn an_active_that_loses_its_interface_withdraws_and_waits_in_initialize() {
    let mut rig = Rig::active(config());
    let effects = rig.source(None);
    assert_eq!(effects, [Advert(0), Withdraw]);
    assert_eq!(rig.sent_from, Some(OWN));
    assert_eq!((rig.state(), rig.router.poll_timeout()), (State::Initialize, None));
    assert_eq!(rig.cause(), Cause::InterfaceDown);
    assert_eq!(rig.source(Some(OWN)), []);
    assert_eq!((rig.state(), rig.due_in()), (State::Backup, DOWN));
}

#[test]
fn a_backup_that_loses_its_interface_is_silent() {
    let mut rig = Rig::started(config());
    assert_eq!(rig.source(None), []);
    assert_eq!((rig.state(), rig.router.poll_timeout()), (State::Initialize, None));
}

#[test]
fn a_flapping_interface_starts_a_whole_interval_each_time_and_never_two() {
    let mut rig = Rig::started(config());
    for _ in 0..5 {
        rig.wait(ms(3000));
        rig.source(None);
        rig.source(None);
        rig.source(Some(OWN));
        assert_eq!(rig.due_in(), DOWN);
        rig.source(Some(OWN));
        assert_eq!(rig.due_in(), DOWN);
    }
    assert_eq!(rig.reports().len(), 10);
}

#[test]
fn another_source_address_takes_effect_with_the_next_advert_and_in_the_tie_break() {
    let mut rig = Rig::active(config());
    rig.wait(ms(300));
    assert_eq!(rig.source(Some(LOW)), []);
    assert_eq!((rig.state(), rig.due_in()), (State::Active, ms(700)));
    rig.fire();
    assert_eq!(rig.sent_from, Some(LOW));
    rig.hear(OWN, 192);
    assert_eq!(rig.state(), State::Backup);
}

#[test]
fn a_pause_that_loses_its_interface_does_not_outlive_it() {
    let mut rig = Rig::started(config());
    rig.run(DOWN + INTERVAL);
    assert_eq!(rig.due_in(), ms(1000));
    rig.source(None);
    assert_eq!(rig.router.poll_timeout(), None);
    rig.source(Some(OWN));
    assert_eq!(rig.state(), State::Backup);
    rig.run(DOWN + INTERVAL);
    assert_eq!(rig.due_in(), ms(2000), "but the next pause is longer all the same");
}

#[test]
fn a_released_router_stays_released_through_a_flap() {
    let release = RouterConfig { on_degraded: OnDegraded::Release, ..config() };
    let mut rig = Rig::started(release);
    rig.becomes(Eligibility::Degraded);
    rig.source(None);
    rig.source(Some(OWN));
    assert_eq!((rig.state(), rig.router.poll_timeout()), (State::Initialize, None));
    rig.becomes(Eligibility::Healthy);
    assert_eq!(rig.state(), State::Backup);
}
