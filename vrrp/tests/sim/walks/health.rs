//! Health bands, draining, restarts.

use vrrp::router::Eligibility::{self, Degraded, Drained, Healthy};
use vrrp::router::State;

use super::super::faults::Fault;
use super::{FAMILIES, TRIP, Walk, centis, millis, skew, span};

/// The first Backup takes over after its Skew_Time; the second, whose Skew_Time is longer, hears its
/// advertisement and waits in full again. 10 ms advertisements leave 0.39 ms between the two.
#[test]
fn walk_active_degraded_with_two_healthy_backups() {
    for family in FAMILIES {
        for interval in [1, 10, 100, 4095] {
            let interval = centis(interval);
            let mut walk = Walk::new(family, 3, interval).started();
            assert_eq!(walk.actives(), [0]);
            let (before, at) = (walk.moves(), walk.world.now);

            walk.becomes(0, Degraded);
            walk.settle();
            assert_eq!(walk.actives(), [1]);
            assert_eq!(walk.moves(), before + 1);
            let (taken, _) = walk.takeovers()[before];
            let earliest = at + skew(interval, 244);
            assert!((earliest..=earliest + 2 * TRIP).contains(&taken), "{}", taken - at);

            walk.becomes(0, Healthy);
            walk.settle();
            assert_eq!((walk.actives(), walk.moves()), (vec![1], before + 1), "equals stay");
        }
    }
}

/// All orders of falling ill within an interval, and of recovering. While all are ill, the address
/// stays where it is; whoever recovers first gets it, and keeps it.
#[test]
fn walk_all_degrade_within_an_interval_then_recover_in_random_order() {
    let interval = centis(10);
    for family in FAMILIES {
        for falls in ORDERS {
            for recovers in ORDERS {
                let mut walk = Walk::new(family, 3, interval).started();
                for node in falls {
                    walk.becomes(node, Degraded);
                    walk.wait(span(interval) / 4);
                }
                walk.settle();
                // Each that was healthy beside a degraded Active for Skew_Time took over once.
                assert!(walk.moves() <= 3, "{:?}", walk.takeovers());
                let (ill, moves) = (walk.actives(), walk.moves());
                walk.wait(100 * span(interval));
                assert_eq!((walk.actives(), walk.moves()), (ill.clone(), moves));

                for node in recovers {
                    walk.becomes(node, Healthy);
                    walk.wait(span(interval) / 4);
                }
                walk.settle();
                assert_eq!(walk.actives(), [recovers[0]]);
                let moved = usize::from(ill != [recovers[0]]);
                assert_eq!(walk.moves(), moves + moved, "{falls:?} {recovers:?}");
            }
        }
    }
}

const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

/// All fall ill at the same moment, by a common cause: nobody healthy is left to take over.
#[test]
fn walk_all_degrade_at_once() {
    for family in FAMILIES {
        let mut walk = Walk::new(family, 3, centis(100)).started();
        for node in [2, 0, 1] {
            walk.becomes(node, Degraded);
        }
        walk.settle();
        assert_eq!((walk.actives(), walk.moves()), (vec![0], 1));
    }
}

/// With nobody to take over, a drained Active serves on at priority 1, for ever.
#[test]
fn walk_drain_without_a_peer() {
    for family in FAMILIES {
        let mut walk = Walk::new(family, 2, centis(10)).started();
        walk.does(Fault::PowerOff(1));
        walk.becomes(0, Drained);
        walk.settle();
        walk.wait(millis(60_000));
        assert_eq!((walk.actives(), walk.owners()), (vec![0], vec![0]));
        assert_eq!(walk.moves(), 1);

        // A degraded peer is no better; a healthy one gets it at once.
        walk.becomes(1, Degraded);
        walk.does(Fault::PowerOn(1));
        walk.settle();
        assert_eq!((walk.actives(), walk.moves()), (vec![0], 1));
        walk.becomes(1, Healthy);
        walk.settle();
        assert_eq!((walk.actives(), walk.owners(), walk.moves()), (vec![1], vec![1], 2));
    }
}

/// Drained and stopped with nobody there: priority 0, and the address goes.
#[test]
fn walk_stop_of_a_drained_active_without_a_peer() {
    let mut walk = Walk::new(FAMILIES[0], 1, centis(10)).started();
    walk.becomes(0, Drained);
    walk.settle();
    walk.does(Fault::Stop(0));
    walk.wait(millis(2));
    assert_eq!((walk.state(0), walk.owners()), (State::Initialize, vec![]));
}

/// A process that dies while its node is drained comes back drained: it takes over from nobody, but
/// serves where nobody else does.
#[test]
fn walk_restart_while_drained() {
    for family in FAMILIES {
        for eligibility in [Drained, Degraded] {
            let mut walk = Walk::new(family, 2, centis(10)).started();
            walk.becomes(0, eligibility);
            walk.settle();
            assert_eq!((walk.actives(), walk.moves()), (vec![1], 2));

            walk.does(Fault::Crash(0));
            walk.settle();
            assert_eq!((walk.actives(), walk.moves()), (vec![1], 2));
            assert_eq!(walk.world.nodes[0].priority(), walk.world.nodes[0].verdict());

            walk.does(Fault::PowerOff(1));
            walk.settle();
            assert_eq!((walk.actives(), walk.moves()), (vec![0], 3));
            walk.does(Fault::Crash(0));
            walk.settle();
            assert_eq!((walk.actives(), walk.moves()), (vec![0], 4), "alone, it comes back");

            walk.becomes(0, Eligibility::Healthy);
            walk.does(Fault::PowerOn(1));
            walk.settle();
            assert_eq!((walk.actives(), walk.moves()), (vec![0], 4));
        }
    }
}
