//! RFC 9568, 6.4.1.

use super::*;

#[test]
fn a_router_starts_in_backup_and_sends_nothing_6_4_1() {
    let mut rig = Rig::new(config());
    rig.source(Some(OWN));
    assert_eq!((rig.state(), rig.router.poll_timeout()), (State::Initialize, None));
    assert_eq!(rig.start(), []);
    assert_eq!((rig.state(), rig.cause()), (State::Backup, Cause::Started));
    assert_eq!(rig.due_in(), DOWN);
}

#[test]
fn starting_twice_does_nothing() {
    let mut rig = Rig::started(config());
    rig.wait(ms(500));
    assert_eq!(rig.start(), []);
    assert_eq!(rig.due_in(), DOWN - ms(500));
    assert_eq!(rig.reports(), []);
}

#[test]
fn a_router_without_an_interface_waits_in_initialize() {
    let mut rig = Rig::new(config());
    rig.start();
    assert_eq!((rig.state(), rig.router.poll_timeout()), (State::Initialize, None));
    rig.wait(ms(60_000));
    assert_eq!(rig.source(Some(OWN)), []);
    assert_eq!((rig.state(), rig.cause()), (State::Backup, Cause::InterfaceUp));
    assert_eq!(rig.due_in(), DOWN);
}

#[test]
fn adverts_and_kernel_events_mean_nothing_in_initialize() {
    let mut rig = Rig::new(config());
    for _ in 0..2 {
        assert_eq!(rig.hear(HIGH, 254), []);
        assert_eq!(rig.hear(HIGH, 0), []);
        assert_eq!(rig.installed(), []);
        assert_eq!(rig.refused(), []);
        assert_eq!(rig.address_lost(), []);
        assert_eq!(rig.successor_announces(), []);
        assert_eq!((rig.state(), rig.router.poll_timeout()), (State::Initialize, None));
        rig.start();
    }
    assert_eq!(rig.reports(), []);
}

#[test]
fn a_stopped_router_stays_stopped_when_the_interface_comes_back() {
    let mut rig = Rig::started(config());
    rig.stop();
    rig.source(None);
    assert_eq!(rig.source(Some(OWN)), []);
    assert_eq!(rig.state(), State::Initialize);
    assert_eq!(rig.start(), []);
    assert_eq!(rig.state(), State::Backup);
}
