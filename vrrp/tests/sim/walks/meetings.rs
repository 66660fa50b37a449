//! Networks that lose, part and heal.

use vrrp::config::Preempt;
use vrrp::router::Eligibility::{Degraded, Healthy};
use vrrp::router::State;

use super::super::clock::Time;
use super::super::faults::Fault;
use super::{FAMILIES, KEEPER, TRIP, Walk, active_down, centis, priority, span};

/// From the middle between two advertisements of node 0 on, node 2 hears one of so many.
fn hears_one_of(walk: &mut Walk, count: u64, interval: Time) {
    let middle = walk.sent(0) + interval * 3 / 2;
    walk.wait(middle - walk.world.now);
    for _ in 0..10 {
        walk.does(Fault::OneWay(0, 2));
        walk.wait((count - 1) * interval);
        walk.does(Fault::OneWaysEnd);
        walk.wait(interval);
    }
}

/// Two advertisements of three may get lost: Active_Down_Interval is longer than three intervals.
#[test]
fn walk_a_backup_that_hears_one_of_three_adverts() {
    for family in FAMILIES {
        for interval in [1, 10, 100] {
            let interval = centis(interval);
            let mut walk = Walk::new(family, 3, interval).started();
            hears_one_of(&mut walk, 3, span(interval));
            assert_eq!((walk.actives(), walk.moves()), (vec![0], 1));
            assert_eq!(walk.state(2), State::Backup);
        }
    }
}

/// If three of four are lost, it takes over, though in vain: the Active stays Active, and the next
/// advertisement that gets through ends it. Clients are not misled for longer.
#[test]
fn walk_a_backup_that_hears_one_of_four_adverts() {
    for family in FAMILIES {
        let interval = centis(10);
        let mut walk = Walk::new(family, 3, interval).started();
        hears_one_of(&mut walk, 4, span(interval));
        assert_eq!(walk.moves(), 1 + 10);
        assert!(walk.takeovers()[1..].iter().all(|&(_, node)| node == 2));
        walk.settle();
        assert_eq!((walk.actives(), walk.owners()), (vec![0], vec![0]));
    }
}

/// Nothing gets from the Active to the Backup: two Actives for as long as that lasts, which is
/// reported, and one within a trip or an interval after it.
#[test]
fn walk_one_way_cut_from_the_active() {
    for family in FAMILIES {
        let interval = centis(10);
        let mut walk = Walk::new(family, 3, interval).started();
        let last = walk.sent(0);
        walk.does(Fault::OneWay(0, 1));
        walk.wait(last + active_down(interval, 244) - walk.world.now);
        assert_eq!(walk.actives(), [0]);
        walk.wait(TRIP);
        assert_eq!(walk.actives(), [0, 1]);
        walk.wait(100 * span(interval));
        assert_eq!((walk.actives(), walk.owners()), (vec![0, 1], vec![0, 1]));
        assert_eq!(
            walk.world.nodes[2].cache,
            Some(0),
            "clients ask the one that is heard and wins"
        );

        walk.does(Fault::OneWaysEnd);
        walk.wait(span(interval) + 2 * TRIP);
        assert_eq!(walk.actives(), [0]);
        walk.wait(10_000_000 + KEEPER);
        assert_eq!(walk.owners(), [0]);
        walk.settle();
        assert_eq!(walk.moves(), 2);
    }
}

/// The other direction harms nobody; and a weaker Active that is heard by nobody yields.
#[test]
fn walk_one_way_cuts_that_leave_one_active() {
    for family in FAMILIES {
        let interval = centis(10);
        let mut walk = Walk::new(family, 2, interval).started();
        walk.does(Fault::OneWay(1, 0));
        walk.wait(100 * span(interval));
        assert_eq!((walk.actives(), walk.moves()), (vec![0], 1));

        walk.does(Fault::OneWaysEnd);
        walk.does(Fault::PowerOff(0));
        walk.settle();
        walk.does(Fault::PowerOn(0));
        walk.settle();
        assert_eq!(walk.actives(), [1]);
        walk.does(Fault::OneWay(1, 0));
        walk.wait(10 * span(interval));
        assert_eq!((walk.actives(), walk.owners()), (vec![0], vec![0]));
        walk.does(Fault::OneWaysEnd);
        walk.settle();
        assert_eq!((walk.actives(), walk.moves()), (vec![0], 3));
    }
}

/// On one side a healthy Active and a Backup, on the other a degraded one. When they meet, the
/// degraded one yields, and nobody takes over.
#[test]
fn walk_partition_heal_with_actives_in_different_bands() {
    for family in FAMILIES {
        for interval in [1, 10, 100] {
            for ill in 0..3 {
                let interval = centis(interval);
                let mut walk = Walk::new(family, 3, interval).started();
                walk.does(Fault::Split(1 << ill));
                walk.settle();
                walk.becomes(ill, Degraded);
                walk.settle();
                let well = usize::from(ill == 0);
                assert_eq!(walk.actives().len(), 2);
                let moves = walk.moves();

                walk.does(Fault::Heal);
                walk.wait(span(interval) + 2 * TRIP);
                assert_eq!(walk.actives(), [well]);
                walk.settle();
                assert_eq!((walk.actives(), walk.moves()), (vec![well], moves));

                walk.becomes(ill, Healthy);
                walk.settle();
                assert_eq!((walk.actives(), walk.moves()), (vec![well], moves));
            }
        }
    }
}

/// Both sides are ill: the higher priority stays, and nothing moves.
#[test]
fn walk_partition_heal_with_all_degraded() {
    for family in FAMILIES {
        let mut walk = Walk::new(family, 3, centis(10)).started();
        for node in 0..3 {
            walk.becomes(node, Degraded);
        }
        walk.settle();
        walk.does(Fault::Split(0b110));
        walk.settle();
        assert_eq!(walk.actives(), [0, 1]);
        let moves = walk.moves();
        walk.does(Fault::Heal);
        walk.settle();
        assert_eq!((walk.actives(), walk.moves()), (vec![0], moves));
    }
}

/// Two of one priority start together and become Active together. The first advertisement that
/// arrives decides, by address: two Actives for one trip (RFC 9568, 6.4.3).
#[test]
fn walk_equal_priorities() {
    for family in FAMILIES {
        for preempt in [Preempt::DegradedOnly, Preempt::Always, Preempt::Never] {
            for interval in [1, 10, 100] {
                let interval = centis(interval);
                let mut walk = (0..2).fold(Walk::new(family, 2, interval), |walk, node| {
                    walk.configure(node, |profile| profile.config.priority = priority(200))
                });
                walk = walk.preempt(preempt);
                walk.does(Fault::Start(0));
                walk.does(Fault::Start(1));
                walk.wait(active_down(interval, 200) + TRIP);
                while walk.moves() == 0 {
                    walk.wait(1_000);
                }
                walk.wait(2 * TRIP);
                assert_eq!(walk.actives().len(), 1, "two Actives after a trip");
                walk.settle();
                let moves = walk.takeovers();
                let together = moves.len() == 2;
                // Node 0's address is the greater one.
                assert!(!together || walk.actives() == [0]);
                let (winner, now) = (walk.actives(), walk.moves());
                walk.does(Fault::Pause(1 - winner[0], 20 * span(interval)));
                walk.settle();
                assert_eq!((walk.actives(), walk.moves()), (winner, now), "equals stay");
            }
        }
    }
}
