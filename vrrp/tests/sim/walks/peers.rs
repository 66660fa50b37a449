//! A keepalived with `nopreempt` in the group: it does not know bands, and does not answer.

use vrrp::config::Preempt;
use vrrp::router::Eligibility::{Degraded, Healthy};

use super::super::faults::Fault;
use super::{FAMILIES, TRIP, Walk, active_down, centis, priority, span};

const MAINSTAY: usize = 0;
const KEEPALIVED: usize = 1;

fn pair(family: vrrp::Family, preempt: Preempt, of_keepalived: u8) -> Walk {
    let walk = Walk::new(family, 2, centis(100)).preempt(preempt);
    walk.configure(KEEPALIVED, |profile| {
        profile.config.priority = priority(of_keepalived);
        profile.config.lease = None;
        profile.keepalived = Some(false);
    })
}

/// Each takes over from the other's death within its Active_Down_Interval, and a healthy one does
/// not preempt a priority of 128 or more.
#[test]
fn walk_keepalived_peer_with_nopreempt() {
    for family in FAMILIES {
        let interval = centis(100);
        let mut walk = pair(family, Preempt::DegradedOnly, 200).started();
        assert_eq!(walk.actives(), [MAINSTAY]);

        let last = walk.sent(MAINSTAY);
        walk.does(Fault::PowerOff(MAINSTAY));
        walk.wait(last + active_down(interval, 200) + TRIP - walk.world.now);
        assert_eq!(walk.actives(), [KEEPALIVED]);
        walk.does(Fault::PowerOn(MAINSTAY));
        walk.settle();
        assert_eq!((walk.actives(), walk.moves()), (vec![KEEPALIVED], 2));

        // Priority 0 is honoured both ways.
        walk.does(Fault::Stop(KEEPALIVED));
        walk.wait(span(interval));
        assert_eq!(walk.actives(), [MAINSTAY]);
        walk.does(Fault::Start(KEEPALIVED));
        walk.settle();
        walk.does(Fault::Stop(MAINSTAY));
        walk.wait(span(interval));
        assert_eq!((walk.actives(), walk.moves()), (vec![KEEPALIVED], 4));
    }
}

/// `nopreempt` also means that it does not take over from a degraded mainstay that lives.
#[test]
fn walk_keepalived_peer_with_nopreempt_beside_a_degraded_active() {
    for family in FAMILIES {
        let mut walk = pair(family, Preempt::DegradedOnly, 200).started();
        walk.becomes(MAINSTAY, Degraded);
        walk.settle();
        assert_eq!((walk.actives(), walk.moves()), (vec![MAINSTAY], 1));
        // It releases where it is configured to.
        let mut walk = pair(family, Preempt::Never, 200)
            .configure(MAINSTAY, |profile| {
                profile.config.on_degraded = vrrp::config::OnDegraded::Release;
            })
            .started();
        walk.becomes(MAINSTAY, Degraded);
        walk.settle();
        assert_eq!((walk.actives(), walk.moves()), (vec![KEEPALIVED], 2));
        walk.becomes(MAINSTAY, Healthy);
        walk.settle();
        assert_eq!((walk.actives(), walk.moves()), (vec![KEEPALIVED], 2));
    }
}

/// Its default priority 100 looks degraded: a mainstay with `degraded-only` takes over.
#[test]
fn walk_keepalived_peer_whose_priority_looks_degraded() {
    for family in FAMILIES {
        let mut walk = pair(family, Preempt::DegradedOnly, 100).started();
        walk.does(Fault::PowerOff(MAINSTAY));
        walk.settle();
        assert_eq!(walk.actives(), [KEEPALIVED]);
        walk.does(Fault::PowerOn(MAINSTAY));
        walk.settle();
        assert_eq!((walk.actives(), walk.moves()), (vec![MAINSTAY], 3));
    }
}

/// After a partition nobody answers the mainstay that loses; keepalived's own advertisement ends
/// it, within an interval of keepalived's.
#[test]
fn walk_keepalived_peer_that_does_not_answer_after_a_partition() {
    for family in FAMILIES {
        let interval = centis(100);
        let mut walk = pair(family, Preempt::Always, 255).started();
        walk.does(Fault::Split(1));
        walk.settle();
        assert_eq!(walk.actives(), [MAINSTAY, KEEPALIVED]);
        walk.does(Fault::Heal);
        walk.wait(span(interval) + TRIP);
        assert_eq!(walk.actives(), [KEEPALIVED]);
        walk.settle();
        assert_eq!(walk.owners(), [KEEPALIVED]);
    }
}
