//! Leaving Active for a higher advert: H4.

use super::*;

#[test]
fn the_address_stays_10_ms_after_leaving_h4() {
    let mut rig = Rig::active(config());
    assert_eq!(rig.hear(HIGH, 200), [Probe]);
    assert_eq!(rig.state(), State::Backup);
    assert_eq!(rig.run(ms(100)), [(ms(10), Withdraw)]);
    assert_eq!(rig.due_in(), DOWN - ms(100));
}

#[test]
fn the_address_stays_50_ms_when_drained_h4() {
    let mut rig = Rig::active(config());
    rig.becomes(Eligibility::Drained);
    assert_eq!(rig.hear(HIGH, 200), [Probe]);
    assert_eq!(rig.run(ms(100)), [(ms(50), Withdraw)]);
}

#[test]
fn the_successor_s_announcement_ends_it_h4() {
    let mut rig = Rig::active(config());
    rig.hear(HIGH, 200);
    rig.wait(ms(2));
    assert_eq!(rig.successor_announces(), [Withdraw]);
    assert_eq!(rig.successor_announces(), [], "once");
    assert_eq!(rig.run(ms(100)), []);
}

#[test]
fn the_address_that_lingers_goes_when_the_router_stops_or_loses_its_interface_h4() {
    let mut rig = Rig::active(config());
    rig.hear(HIGH, 200);
    assert_eq!(rig.stop(), [Withdraw]);
    let mut rig = Rig::active(config());
    rig.hear(HIGH, 200);
    assert_eq!(rig.source(None), [Withdraw]);
}

#[test]
fn adverts_of_the_successor_do_not_prolong_it_h4() {
    let mut rig = Rig::active(config());
    rig.hear(HIGH, 200);
    rig.wait(ms(6));
    rig.hear(HIGH, 200);
    assert_eq!(rig.run(ms(100)), [(ms(4), Withdraw)]);
}

#[test]
fn addresses_that_are_not_in_place_yet_do_not_linger_h4() {
    let mut rig = Rig::started(config());
    rig.fire();
    assert_eq!(rig.hear(HIGH, 200), [Withdraw, Probe]);
    assert_eq!(rig.installed(), [], "the acknowledgement comes too late");
    assert_eq!(rig.run(ms(100)), []);
}

#[test]
fn a_router_that_is_active_again_before_the_end_keeps_the_address_h4() {
    let mut rig = Rig::active(RouterConfig { interval: centis(1), ..config() });
    rig.becomes(Eligibility::Drained);
    rig.hear(HIGH, 200);
    rig.wait(ms(1));
    rig.hear(HIGH, 0);
    let skew = skew_time(centis(1), prio(1));
    assert_eq!(rig.run(skew), [(skew, Advert(1)), (skew, Install)]);
    assert_eq!(rig.successor_announces(), []);
    let log = rig.run(ms(60));
    assert!(log.iter().all(|&(_, effect)| effect == Advert(1)), "{log:?}");
}

fn with_virtual_mac() -> RouterConfig {
    RouterConfig { virtual_mac: true, ..config() }
}

/// A Backup that has just taken over from a degraded Active.
fn taking_over(config: RouterConfig) -> Rig {
    let mut rig = Rig::started(config);
    rig.hear(HIGH, 100);
    assert!(rig.fire().ends_with(&[Install]));
    assert!(matches!(rig.cause(), Cause::ActiveDegraded { .. }));
    rig
}

#[test]
fn with_a_virtual_mac_the_address_is_there_before_a_living_actives_successor_speaks_h4() {
    let mut rig = Rig::started(with_virtual_mac());
    rig.hear(HIGH, 100);
    assert_eq!(rig.fire(), [Install], "switches follow the first advert");
    rig.wait(ms(1));
    assert_eq!(rig.installed(), [Advert(192), Announce]);
    assert_eq!(rig.due_in(), ms(999), "Adver_Timer runs from the takeover");
}

#[test]
fn with_a_virtual_mac_the_first_advert_waits_5_ms_at_most_h4() {
    let mut rig = taking_over(with_virtual_mac());
    assert_eq!(rig.run(ms(20)), [(ms(5), Advert(192))]);
    assert_eq!(rig.installed(), [Announce]);
}

#[test]
fn at_short_intervals_it_waits_a_64th_of_one_at_most_h4() {
    let mut rig = taking_over(RouterConfig { interval: centis(10), ..with_virtual_mac() });
    let part = centis(10).duration() / 64;
    assert_eq!(rig.run(ms(5)), [(part, Advert(192))]);
}

#[test]
fn with_a_virtual_mac_nothing_waits_where_no_active_answers() {
    let mut rig = Rig::started(with_virtual_mac());
    assert_eq!(rig.fire(), [Advert(192), Install], "silence");
    let mut rig = Rig::started(with_virtual_mac());
    rig.hear(HIGH, 200);
    rig.hear(HIGH, 0);
    assert_eq!(rig.fire(), [Advert(192), Install], "it gave up");
}

#[test]
fn a_loser_is_answered_though_the_address_is_not_there_yet() {
    let mut rig = taking_over(with_virtual_mac());
    assert_eq!(rig.hear(HIGH, 100), [Advert(192)]);
    assert_eq!(rig.installed(), [Announce], "it has spoken already");
}

#[test]
fn after_a_stall_it_withdraws_before_its_first_word() {
    let mut rig = taking_over(with_virtual_mac());
    assert_eq!(rig.stall(ms(2000), false), [Withdraw, Probe]);
    assert_eq!(rig.state(), State::Backup);
}
