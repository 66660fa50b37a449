//! An Active that stands still, and goes on.

use vrrp::config::Preempt;
use vrrp::router::State;

use super::super::faults::Fault;
use super::{
    FAMILIES, KEEPER, TRIP, Walk, active_down, centis, lease_and_late, millis, skew, span,
};

/// Frozen for 1 s at 100 ms advertisements: another has taken over, the lease still holds the
/// address. On going on it withdraws before it sends a word, and never was Active for anybody.
#[test]
fn walk_an_active_thawed_after_1_s() {
    for family in FAMILIES {
        for preempt in [Preempt::DegradedOnly, Preempt::Never] {
            let interval = centis(10);
            let mut walk = Walk::new(family, 3, interval).preempt(preempt).started();
            let last = walk.sent(0);
            let frozen = walk.world.now;
            walk.does(Fault::Pause(0, millis(1000)));
            walk.wait(last + active_down(interval, 244) + TRIP - walk.world.now);
            assert_eq!(walk.actives(), [1]);
            walk.wait(frozen + millis(1000) - walk.world.now - 1);
            assert_eq!(walk.owners(), [0, 1]);

            walk.wait(1 + TRIP + KEEPER);
            assert_eq!((walk.state(0), walk.owners()), (State::Backup, vec![1]));
            walk.settle();
            assert_eq!((walk.actives(), walk.moves()), (vec![1], 2));
            assert_eq!(walk.sent(0), last, "it never said a word");
        }
    }
}

/// Frozen for 60 s: the kernel's lease ends the second owner after 3.5 s at most.
#[test]
fn walk_an_active_thawed_after_60_s() {
    for family in FAMILIES {
        for interval in [1, 10, 100] {
            let interval = centis(interval);
            let mut walk = Walk::new(family, 3, interval).started();
            let last = walk.sent(0);
            walk.does(Fault::Pause(0, millis(60_000)));
            walk.wait(lease_and_late());
            assert_eq!((walk.actives(), walk.owners()), (vec![1], vec![1]));
            walk.wait(millis(60_000) - lease_and_late() + TRIP);
            assert_eq!(walk.state(0), State::Backup);
            walk.settle();
            assert_eq!((walk.actives(), walk.moves()), (vec![1], 2));
            assert_eq!(walk.sent(0), last);
        }
    }
}

/// With `always` the node of the highest priority comes back, after a whole
/// Active_Down_Interval: what it did not hear, it may have slept through.
#[test]
fn walk_an_active_thawed_that_preempts() {
    for family in FAMILIES {
        let interval = centis(10);
        let mut walk = Walk::new(family, 2, interval).preempt(Preempt::Always).started();
        walk.does(Fault::Pause(0, millis(1000)));
        walk.wait(millis(1000));
        let thawed = walk.world.now;
        walk.settle();
        let (at, node) = walk.takeovers()[2];
        let earliest = thawed + active_down(interval, 254);
        assert_eq!((node, walk.moves()), (0, 3));
        assert!((earliest..earliest + 2 * TRIP).contains(&at));
    }
}

/// A hanging process is killed by the daemon, which removes the address. Its late priority 0
/// moves nothing: the new Active answers it.
#[test]
fn walk_an_active_that_hangs_until_it_is_killed() {
    for family in FAMILIES {
        let interval = centis(100);
        let mut walk = Walk::new(family, 3, interval).started();
        walk.does(Fault::Hang(0, millis(60_000)));
        walk.wait(millis(4_000));
        assert_eq!((walk.actives(), walk.owners()), (vec![1], vec![1]));
        walk.settle();
        assert_eq!((walk.actives(), walk.moves()), (vec![1], 2));
        assert_eq!(walk.state(0), State::Backup);
    }
}

/// A process that dies is fenced within milliseconds, and the others wait Skew_Time, not three
/// intervals.
#[test]
fn walk_an_active_whose_process_dies() {
    for family in FAMILIES {
        let interval = centis(100);
        let mut walk = Walk::new(family, 3, interval).started();
        let died = walk.world.now;
        walk.does(Fault::Crash(0));
        walk.wait(millis(2));
        assert!(walk.owners().is_empty());
        walk.wait(skew(interval, 244) + 2 * TRIP);
        assert_eq!(walk.actives(), [1]);
        let (at, _) = walk.takeovers()[1];
        assert!(at - died < span(interval) / 10);
        walk.settle();
        assert_eq!((walk.actives(), walk.moves()), (vec![1], 2));
    }
}

/// The daemon dies with it: nothing is sent, and the lease ends the address.
#[test]
fn walk_an_active_whose_process_and_daemon_die() {
    for family in FAMILIES {
        let interval = centis(10);
        let mut walk = Walk::new(family, 2, interval).started();
        let last = walk.sent(0);
        walk.does(Fault::CrashBoth(0));
        walk.wait(last + active_down(interval, 244) + TRIP - walk.world.now);
        assert_eq!((walk.actives(), walk.owners()[0]), (vec![1], 0));
        walk.wait(lease_and_late());
        assert_eq!(walk.owners(), [1]);
        walk.does(Fault::Start(0));
        walk.settle();
        assert_eq!((walk.actives(), walk.moves()), (vec![1], 2));
    }
}
