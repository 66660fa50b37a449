//! The Active state (RFC 9568, 6.4.3).

use std::net::IpAddr;
use std::time::Duration;

use lab::Stamp;
use lab::inject::AdvertFrame;

use crate::rig::{Rig, Setup, Variant, matrix, on_time, regular};

const TICK: Duration = Duration::from_millis(1);

/// Long enough that what is sent at once is told from what is due.
fn slow(variant: Variant) -> Setup {
    Setup { interval: 400, ..variant.setup() }
}

fn times(rig: &Rig, since: Stamp) -> Vec<Stamp> {
    rig.sent(since).iter().map(|it| it.at).collect()
}

/// RFC 9568, 6.4.3: one each Advertisement_Interval, on a schedule that does not drift.
#[test]
fn an_active_advertises_each_interval_without_drift() {
    matrix(|variant| {
        let rig = variant.setup().start();
        let first = rig.freshly_active();
        rig.advert(first.at + rig.setup.interval() * 20 - rig.setup.half());
        let times = times(&rig, first.at);
        regular(&times, rig.setup.interval());
        assert_eq!(times.len(), 21);
        let whole = times[20] - times[0];
        let drift = whole.abs_diff(rig.setup.interval() * 20);
        assert!(drift < Duration::from_millis(20), "{drift:?} in 20 intervals");
    });
}

/// An advert that loses is answered at once, and the next is due when it was.
fn answered_without_moving_the_schedule(rig: &Rig, lower: &AdvertFrame) {
    let before = rig.freshly_active();
    std::thread::sleep(rig.setup.interval() / 4);
    let asked = rig.send(lower);
    let answer = rig.advert(asked);
    on_time("answer", asked, Duration::ZERO, answer.at, rig.setup.interval() / 4);
    assert_eq!(answer.advert, before.advert);
    let next = rig.advert(answer.at + TICK);
    // Had it moved, it would be a quarter of an interval later. The one before may have been late.
    let took = next.at - before.at;
    let moved = took.abs_diff(rig.setup.interval());
    assert!(moved < rig.setup.interval() / 8, "the next one after {took:?}");
    rig.state("Active");
    assert_eq!(rig.installed().len(), rig.setup.vips.len());
}

/// RFC 9568, 6.4.3: "send an ADVERTISEMENT immediately to assert the state of Active".
#[test]
fn a_lower_priority_is_answered_at_once_and_the_schedule_stays() {
    matrix(|variant| {
        let rig = slow(variant).start();
        rig.active();
        answered_without_moving_the_schedule(&rig, &rig.greater(199));
        answered_without_moving_the_schedule(&rig, &rig.smaller(1));
    });
}

/// RFC 9568, 6.4.3: equal priority and a smaller address loses.
#[test]
fn an_equal_priority_from_a_smaller_address_is_answered_at_once() {
    matrix(|variant| {
        let rig = slow(variant).start();
        rig.active();
        answered_without_moving_the_schedule(&rig, &rig.smaller(200));
    });
}

/// RFC 9568, 6.4.3: an Active keeps its own interval whatever losers advertise.
#[test]
fn an_active_does_not_learn_the_interval_of_a_loser() {
    matrix(|variant| {
        let rig = variant.setup().start();
        rig.active();
        rig.send(&AdvertFrame { interval: 400, ..rig.greater(100) });
        let start = rig.freshly_active();
        rig.advert(start.at + rig.setup.interval() * 5 - rig.setup.half());
        regular(&times(&rig, start.at), rig.setup.interval());
    });
}

fn yields(rig: &Rig, winner: &AdvertFrame) {
    rig.freshly_active();
    let heard = rig.send(winner);
    let taken = rig.advert(heard + TICK);
    let learned = Duration::from_millis(10) * u32::from(winner.interval);
    on_time("takeover", heard, rig.setup.active_down(learned), taken.at, rig.setup.half());
    // Between the two it was silent, and gave up without a word.
    assert_eq!(taken.advert.priority, rig.setup.priority);
}

/// RFC 9568, 6.4.3: Backup, with the interval that the higher one advertises.
#[test]
fn an_active_yields_to_a_higher_priority_and_learns_its_interval() {
    matrix(|variant| {
        let rig = variant.setup().start();
        rig.active();
        yields(&rig, &AdvertFrame { interval: 20, ..rig.smaller(201) });
        yields(&rig, &AdvertFrame { interval: 5, ..rig.greater(255) });
    });
}

/// RFC 9568, 6.4.3: equal priority and a greater address wins.
#[test]
fn an_active_yields_to_an_equal_priority_from_a_greater_address() {
    matrix(|variant| {
        let rig = variant.setup().start();
        rig.active();
        yields(&rig, &rig.greater(200));
    });
}

/// RFC 9568, 6.4.3: addresses are compared as unsigned numbers in network byte order.
#[test]
fn addresses_are_compared_unsigned_from_the_first_byte_on() {
    matrix(|variant| {
        let rig = variant.setup().start();
        rig.active();
        let texts = if variant.is_ipv4() {
            ["10.51.0.51", "10.52.0.1", "192.0.2.1"]
        } else {
            ["fe80::51", "fe80::1:0:0:0", "fe80::8000:0:0:1"]
        };
        for text in texts {
            let source: IpAddr = text.parse().unwrap();
            yields(&rig, &rig.peer(source, 200));
        }
        let rig = slow(variant).start();
        rig.active();
        let text = if variant.is_ipv4() { "9.255.255.255" } else { "fe80::49" };
        answered_without_moving_the_schedule(&rig, &rig.peer(text.parse().unwrap(), 200));
    });
}

/// RFC 9568, 6.4.3: the addresses leave with the state.
#[test]
fn an_active_that_yields_drops_its_addresses_and_stays_silent() {
    matrix(|variant| {
        let rig = variant.setup().start();
        rig.active();
        let heard = rig.send(&rig.smaller(255));
        let _feed = rig.feed(&[rig.smaller(255)], rig.setup.half());
        rig.has_vips(false);
        rig.state("Backup");
        std::thread::sleep(rig.setup.interval() * 4);
        rig.silent(heard + TICK);
    });
}

/// RFC 9568, 6.4.3: an advert at once, and Adver_Timer starts again.
#[test]
fn priority_0_is_answered_at_once_and_starts_the_timer_again() {
    matrix(|variant| {
        let rig = slow(variant).start();
        rig.active();
        for frame in [rig.greater(0), rig.smaller(0)] {
            let before = rig.freshly_active();
            std::thread::sleep(rig.setup.half());
            let heard = rig.send(&frame);
            let answer = rig.advert(heard);
            on_time("answer", heard, Duration::ZERO, answer.at, rig.setup.interval() / 4);
            assert_eq!(answer.advert, before.advert);
            let next = rig.advert(answer.at + TICK);
            on_time("next", answer.at, rig.setup.interval(), next.at, rig.setup.interval() / 4);
        }
        rig.state("Active");
    });
}

/// RFC 9568, 6.4.3, and no storm: what came back from a loop in the network is not answered.
#[test]
fn its_own_adverts_that_come_back_are_not_answered() {
    matrix(|variant| {
        let before = "echo 1 >/proc/sys/net/ipv4/conf/eth0/accept_local".into();
        let rig = Setup { before, ..variant.setup() }.start();
        rig.active();
        let own = rig.emitted(Stamp::from_nanos(0)).into_iter().rev();
        let own = own.map(|seen| seen.bytes).find(|bytes| crate::rig::is_vrrp(bytes)).unwrap();
        let start = rig.freshly_active();
        let _feed = crate::rig::Feed::start(rig.injector(), vec![own], rig.setup.interval() / 10);
        rig.advert(start.at + rig.setup.interval() * 8 - rig.setup.half());
        regular(&times(&rig, start.at), rig.setup.interval());
        rig.state("Active");
    });
}

/// RFC 9568, 6.4.3: each loser is answered, and however many there are, the schedule stays.
#[test]
fn many_lower_adverts_are_answered_and_do_not_move_the_schedule() {
    matrix(|variant| {
        let rig = slow(variant).start();
        let start = rig.freshly_active();
        let feed = rig.feed(&[rig.greater(100), rig.smaller(200)], Duration::from_millis(20));
        let end = start.at + rig.setup.interval() * 3;
        rig.advert(end);
        feed.end();
        let heard =
            rig.frames(start.at).iter().filter(|it| it.direction == lab::Direction::Out).count();
        let answers = times(&rig, start.at).len();
        assert!(answers >= heard, "{answers} answers to {heard}");
        assert!(answers <= heard + 6, "{answers} answers to {heard}");
        for number in 1..=3 {
            let due = start.at + rig.setup.interval() * number;
            let near = |at: &Stamp| at.millis_since(due).abs() < 15.0;
            assert!(times(&rig, start.at).iter().any(near), "none was sent at {due}");
        }
        rig.state("Active");
    });
}
