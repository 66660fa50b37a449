//! Another router that advertises beside this Active: H6.

use super::*;

#[test]
fn an_active_that_stays_announces_at_once_and_100_ms_after_the_other_falls_silent_h6() {
    for priority in [0, 100] {
        let mut rig = Rig::active(config());
        rig.wait(ms(500));
        assert_eq!(rig.hear(LOW, priority), [Advert(192), Reassert]);
        assert_eq!(rig.run(ms(499)), [(ms(100), Reassert)]);
    }
}

#[test]
fn the_rival_is_reported_when_it_appears_and_when_three_of_its_intervals_are_silent() {
    let mut rig = Rig::active(config());
    rig.hear(LOW, 100);
    rig.wait(ms(50));
    rig.hear(LOW, 100);
    let priority = Priority::new(100);
    assert_eq!(rig.reports(), [Report::Rival { source: LOW, priority }]);
    rig.run(ms(2999));
    assert_eq!(rig.reports(), []);
    rig.run(ms(1));
    assert_eq!(rig.reports(), [Report::RivalGone]);
}

#[test]
fn it_announces_at_most_each_100_ms_but_answers_every_advert_h6() {
    let mut rig = Rig::active(config());
    let mut announced = Vec::new();
    for millis in (0..500).step_by(10) {
        let effects = rig.hear(LOW, 100);
        assert_eq!(effects[0], Advert(192));
        if effects.contains(&Reassert) {
            announced.push(millis);
        }
        rig.wait(ms(10));
    }
    assert_eq!(announced, [0, 100, 200, 300, 400]);
    assert_eq!(rig.fire(), [Reassert]);
}

#[test]
fn the_schedule_of_adverts_is_not_moved_h6() {
    let mut rig = Rig::active(config());
    rig.wait(ms(950));
    rig.hear(LOW, 100);
    assert_eq!(rig.run(ms(100)), [(ms(50), Advert(192)), (ms(100), Reassert)]);
    assert_eq!(rig.due_in(), ms(950));
}

#[test]
fn addresses_that_are_not_in_place_are_not_announced_against_a_rival_h6() {
    let mut rig = Rig::started(config());
    rig.fire();
    assert_eq!(rig.hear(LOW, 100), [Advert(192)]);
    assert_eq!(rig.run(ms(200)), []);
    assert_eq!(rig.hear(LOW, 100), [Advert(192)]);
    rig.wait(ms(10));
    assert_eq!(rig.installed(), [Announce]);
    rig.wait(ms(10));
    assert_eq!(rig.hear(LOW, 100), [Advert(192)], "announced 10 ms ago");
    assert_eq!(rig.fire(), [Reassert]);
}

#[test]
fn a_rival_that_wins_is_not_announced_against_h6() {
    let mut rig = Rig::active(config());
    rig.hear(LOW, 100);
    assert_eq!(rig.hear(LOW, 200), [Probe]);
    assert_eq!(rig.run(INTERVAL), [(ms(10), Withdraw)]);
}

#[test]
fn after_a_heal_between_bands_the_higher_priority_stays_whatever_the_bands() {
    let mut rig = Rig::active(config());
    rig.becomes(Eligibility::Degraded);
    assert_eq!(rig.hear(HIGH, 63), [Advert(64), Reassert]);
    assert_eq!(rig.hear(LOW, 130), [Probe]);
    assert_eq!(rig.state(), State::Backup);
}

/// After a partition the winner may be heard first: the loser yields without a word, and the caches
/// of the link go on naming it. So it probes, and the winner announces.
#[test]
fn an_active_that_is_probed_announces_at_most_each_100_ms_h6() {
    let mut rig = Rig::active(config());
    assert_eq!(rig.probed(), [Reassert]);
    rig.wait(ms(99));
    assert_eq!(rig.probed(), []);
    rig.wait(ms(1));
    assert_eq!(rig.probed(), [Reassert]);
}

/// What the other sent when it yielded may have come last to some of the link.
#[test]
fn an_active_announces_once_more_100_ms_after_the_last_claim_h6() {
    let mut rig = Rig::active(config());
    assert_eq!(rig.probed(), [Reassert]);
    rig.wait(ms(60));
    assert_eq!(rig.successor_announces(), []);
    let announced = rig.run(ms(500)).into_iter().filter(|&(_, effect)| effect == Reassert);
    assert_eq!(announced.collect::<Vec<_>>(), [(ms(100), Reassert)]);
}

#[test]
fn only_an_active_with_its_addresses_in_place_answers_a_probe_h6() {
    let mut rig = Rig::started(config());
    assert_eq!(rig.probed(), []);
    rig.fire();
    assert_eq!(rig.probed(), [], "not acknowledged yet");
    rig.installed();
    assert_eq!(rig.probed(), [Reassert]);
}
