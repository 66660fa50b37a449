//! The Backup state (RFC 9568, 6.4.2).

use std::time::Duration;

use lab::Stamp;
use lab::inject::AdvertFrame;

use crate::rig::{Rig, Setup, VRID, Variant, matrix, on_time};

const TICK: Duration = Duration::from_millis(1);

/// A daemon in Backup that hears `advert` each interval, until the feed is dropped.
fn backup(setup: Setup, advert: impl FnOnce(&Rig) -> AdvertFrame) -> (Rig, crate::rig::Feed) {
    let mut rig = setup.cable();
    let advert = advert(&rig);
    let feed = rig.feed(&[advert], rig.setup.interval().min(Duration::from_millis(100)) / 2);
    rig.start();
    rig.until("it hears the Active", |router| !router["active_router"].is_null());
    rig.silent(Stamp::from_nanos(0));
    (rig, feed)
}

/// When the last VRRP packet of a peer was sent.
fn last_heard(rig: &Rig) -> Stamp {
    let frames = rig.frames(Stamp::from_nanos(0));
    frames.iter().rfind(|seen| seen.direction == lab::Direction::Out).expect("it was fed").at
}

/// RFC 9568, 6.1 and 6.4.2: Active_Down_Interval is three intervals and Skew_Time, after the last
/// advert.
#[test]
fn a_backup_takes_over_active_down_interval_after_the_last_advert() {
    matrix(|variant| {
        for priority in [1, 100, 254] {
            let setup = Setup { priority, interval: 200, ..variant.setup() };
            let (rig, feed) = backup(setup, |rig| rig.greater(255));
            feed.end();
            let heard = last_heard(&rig);
            let taken = rig.advert(heard);
            let wait = rig.setup.active_down(rig.setup.interval());
            on_time("takeover", heard, wait, taken.at, rig.setup.half());
            assert_eq!(taken.advert.priority, priority);
        }
    });
}

/// RFC 9568, 6.1 and 6.4.2: the timers follow the interval that the Active advertises; what a new
/// Active advertises is its own.
#[test]
fn a_backup_learns_a_longer_interval_and_advertises_its_own() {
    matrix(|variant| {
        let (rig, feed) =
            backup(variant.setup(), |rig| AdvertFrame { interval: 50, ..rig.greater(210) });
        feed.end();
        let heard = last_heard(&rig);
        let first = rig.advert(heard);
        let learned = Duration::from_millis(500);
        let wait = rig.setup.active_down(learned);
        on_time("takeover", heard, wait, first.at, rig.setup.half());
        assert_eq!(first.advert.interval, 10);
        let second = rig.advert(first.at + TICK);
        on_time("next", first.at, rig.setup.interval(), second.at, rig.setup.half());
    });
}

/// RFC 9568, 6.1 and 6.4.2.
#[test]
fn a_backup_learns_a_shorter_interval() {
    matrix(|variant| {
        let setup = Setup { interval: 1000, ..variant.setup() };
        let (rig, feed) = backup(setup, |rig| AdvertFrame { interval: 10, ..rig.greater(210) });
        feed.end();
        let heard = last_heard(&rig);
        let learned = Duration::from_millis(100);
        let wait = rig.setup.active_down(learned);
        let taken = rig.advert(heard);
        on_time("takeover", heard, wait, taken.at, learned);
        assert_eq!(taken.advert.interval, 100);
    });
}

/// RFC 9568, 6.4.2: the largest interval is no reason to take over sooner or later than it says.
#[test]
fn a_backup_waits_for_an_active_with_the_longest_interval() {
    matrix(|variant| {
        let (rig, feed) =
            backup(variant.setup(), |rig| AdvertFrame { interval: 0xfff, ..rig.greater(210) });
        feed.end();
        let heard = last_heard(&rig);
        // Six of its own intervals.
        std::thread::sleep(rig.setup.interval() * 6);
        rig.silent(heard);
        rig.state("Backup");
    });
}

/// RFC 9568, 6.4.2: Skew_Time, of the learned interval and not of its own.
#[test]
fn after_priority_0_a_backup_takes_over_after_skew_time_of_the_learned_interval() {
    matrix(|variant| {
        let setup = Setup { priority: 1, ..variant.setup() };
        let (rig, feed) = backup(setup, |rig| AdvertFrame { interval: 40, ..rig.greater(210) });
        feed.end();
        // The interval that the farewell bears is not learned.
        let released = rig.send(&AdvertFrame { interval: 100, ..rig.greater(0) });
        let wait = rig.setup.skew(Duration::from_millis(400));
        let taken = rig.advert(released);
        on_time("takeover", released, wait, taken.at, rig.setup.half());
        rig.has_vips(true);
    });
}

/// RFC 9568, 6.4.2: the state does not change, and a new Active's advert starts the full timer.
#[test]
fn after_priority_0_another_active_is_still_followed() {
    matrix(|variant| {
        let setup = Setup { priority: 50, ..variant.setup() };
        let (rig, feed) = backup(setup, |rig| rig.greater(210));
        feed.end();
        rig.send(&rig.greater(0));
        let heard = rig.send(&rig.smaller(51));
        let taken = rig.advert(heard - Duration::from_secs(1));
        let wait = rig.setup.active_down(rig.setup.interval());
        on_time("takeover", heard, wait, taken.at, rig.setup.half());
    });
}

/// RFC 9568, 6.4.2: nor does a lower one put off what is to happen after Skew_Time.
#[test]
fn after_priority_0_a_lower_priority_does_not_touch_the_timer() {
    matrix(|variant| {
        let setup = Setup { priority: 100, interval: 300, ..variant.setup() };
        let (rig, feed) = backup(setup, |rig| rig.greater(210));
        feed.end();
        let released = rig.send(&rig.greater(0));
        let _lower = rig.feed(&[rig.smaller(99)], Duration::from_millis(30));
        let taken = rig.advert(released);
        let wait = rig.setup.skew(rig.setup.interval());
        on_time("takeover", released, wait, taken.at, rig.setup.half());
    });
}

/// RFC 9568, 6.4.2: each advert counts anew, with what it says.
#[test]
fn a_backup_follows_an_active_that_changes_its_interval() {
    matrix(|variant| {
        let (rig, feed) =
            backup(variant.setup(), |rig| AdvertFrame { interval: 100, ..rig.greater(210) });
        feed.end();
        let heard = rig.send(&AdvertFrame { interval: 20, ..rig.greater(210) });
        let taken = rig.advert(heard);
        let wait = rig.setup.active_down(Duration::from_millis(200));
        on_time("takeover", heard, wait, taken.at, rig.setup.half());
    });
}

/// RFC 9568, 6.4.2: equal is not lower, wherever it comes from.
#[test]
fn an_equal_priority_keeps_a_backup_waiting_whatever_its_address() {
    matrix(|variant| {
        let (rig, feed) = backup(variant.setup(), |rig| rig.smaller(200));
        feed.end();
        let heard = rig.send(&rig.smaller(200));
        let taken = rig.advert(heard);
        let wait = rig.setup.active_down(rig.setup.interval());
        on_time("takeover", heard, wait, taken.at, rig.setup.half());
    });
}

/// RFC 9568, 6.4.2: with Preempt_Mode the running timer is not touched.
#[test]
fn a_lower_priority_does_not_touch_the_timer() {
    matrix(|variant| {
        let setup = Setup { interval: 200, ..variant.setup() };
        let (rig, feed) = backup(setup, |rig| rig.greater(210));
        feed.end();
        let heard = rig.send(&rig.greater(210));
        // Neither its arrival nor its interval counts.
        let lower = AdvertFrame { interval: 400, ..rig.greater(199) };
        let _lower = rig.feed(&[lower], rig.setup.interval() / 5);
        let taken = rig.advert(heard);
        let wait = rig.setup.active_down(rig.setup.interval());
        on_time("takeover", heard, wait, taken.at, rig.setup.half());
    });
}

/// RFC 9568, 6.4.2: with Preempt_Mode False any priority but 0 is followed.
#[test]
fn without_preemption_a_lower_priority_is_followed() {
    matrix(|variant| {
        let setup = Setup { preempt: "never", ..variant.setup() };
        let (rig, feed) = backup(setup, |rig| AdvertFrame { interval: 30, ..rig.smaller(1) });
        std::thread::sleep(rig.setup.interval() * 6);
        rig.silent(Stamp::from_nanos(0));
        feed.end();
        let heard = last_heard(&rig);
        let taken = rig.advert(heard);
        let wait = rig.setup.active_down(Duration::from_millis(300));
        on_time("takeover", heard, wait, taken.at, rig.setup.half());
    });
}

/// RFC 9568, 6.4.2.
#[test]
fn without_preemption_priority_0_still_means_skew_time() {
    matrix(|variant| {
        let setup = Setup { preempt: "never", interval: 300, ..variant.setup() };
        let (rig, feed) = backup(setup, |rig| rig.smaller(1));
        feed.end();
        let released = rig.send(&rig.smaller(0));
        let taken = rig.advert(released);
        let wait = rig.setup.skew(rig.setup.interval());
        on_time("takeover", released, wait, taken.at, rig.setup.half());
    });
}

/// RFC 9568, 6.4.2: whoever of several is heard.
#[test]
fn any_of_several_higher_routers_keeps_a_backup_waiting() {
    matrix(|variant| {
        let (rig, feed) = backup(variant.setup(), |rig| rig.greater(255));
        feed.end();
        let two = [rig.greater(201), rig.smaller(254)];
        let feed = rig.feed(&two, rig.setup.interval());
        std::thread::sleep(rig.setup.interval() * 8);
        rig.silent(Stamp::from_nanos(0));
        feed.end();
        let heard = last_heard(&rig);
        let taken = rig.advert(heard);
        let wait = rig.setup.active_down(rig.setup.interval());
        on_time("takeover", heard, wait, taken.at, rig.setup.half());
    });
}

/// RFC 9568, 1 and 7.1: another VRID is another virtual router.
#[test]
fn adverts_of_another_vrid_do_not_keep_a_backup_from_taking_over() {
    matrix(|variant| {
        let (rig, feed) = backup(variant.setup(), |rig| rig.greater(210));
        feed.end();
        let heard = rig.send(&rig.greater(210));
        let others: Vec<_> = [VRID + 1, VRID - 1, 1, 255, 0]
            .map(|vrid| AdvertFrame { vrid, priority: 255, ..rig.greater(255) })
            .into();
        let _others = rig.feed(&others, rig.setup.interval() / 10);
        let taken = rig.advert(heard);
        let wait = rig.setup.active_down(rig.setup.interval());
        on_time("takeover", heard, wait, taken.at, rig.setup.half());
    });
}

/// RFC 9568, 7.1: configured on the interface where it was received.
#[test]
fn adverts_on_another_interface_do_not_keep_a_backup_from_taking_over() {
    matrix(|variant| {
        let (rig, feed) = backup(variant.setup(), |rig| rig.greater(210));
        let other = std::sync::Arc::new(rig.second());
        feed.end();
        let heard = rig.send(&rig.greater(210));
        let frames = vec![rig.greater(255).bytes()];
        let _other = crate::rig::Feed::start(other, frames, rig.setup.interval() / 10);
        let taken = rig.advert(heard);
        let wait = rig.setup.active_down(rig.setup.interval());
        on_time("takeover", heard, wait, taken.at, rig.setup.half());
    });
}

/// RFC 9568, 1: a virtual router of the other family is another one, also with the same VRID.
#[test]
fn adverts_of_the_other_family_do_not_keep_a_backup_from_taking_over() {
    matrix(|variant| {
        let (rig, feed) = backup(variant.setup(), |rig| rig.greater(210));
        feed.end();
        let heard = rig.send(&rig.greater(210));
        let other = Variant { family: variant.family.other(), ..variant };
        let frame = AdvertFrame {
            priority: 255,
            interval: 10,
            ..AdvertFrame::new(variant.peer_mac(), other.greater(), VRID, &other.vips())
        };
        let _other = rig.feed(&[frame], rig.setup.interval() / 10);
        let taken = rig.advert(heard);
        let wait = rig.setup.active_down(rig.setup.interval());
        on_time("takeover", heard, wait, taken.at, rig.setup.half());
    });
}
