//! Priority 255: the router that owns the addresses, RFC 9568, 6.1 and 6.4.

use super::*;

fn owner() -> RouterConfig {
    RouterConfig { priority: Priority::OWNER, ..config() }
}

fn owners() -> [RouterConfig; 3] {
    [Preempt::DegradedOnly, Preempt::Always, Preempt::Never]
        .map(|preempt| RouterConfig { preempt, ..owner() })
}

#[test]
fn an_owner_is_active_at_once_advert_first_6_4_1() {
    for config in owners() {
        let mut rig = Rig::new(config);
        rig.source(Some(OWN));
        assert_eq!(rig.start(), [Advert(255), Install]);
        assert_eq!((rig.state(), rig.cause()), (State::Active, Cause::AddressOwner));
        assert_eq!(rig.installed(), [Announce]);
        assert_eq!(rig.due_in(), INTERVAL);
    }
}

#[test]
fn an_owner_is_active_as_soon_as_its_interface_is_back_6_4_1() {
    let mut rig = Rig::active(owner());
    assert_eq!(rig.source(None), [Advert(0), Withdraw]);
    assert_eq!(rig.source(Some(OWN)), [Advert(255), Install]);
}

#[test]
fn an_owner_that_stops_gives_up_6_4_3() {
    let mut rig = Rig::active(owner());
    assert_eq!(rig.stop(), [Advert(0), Withdraw]);
    assert_eq!(rig.state(), State::Initialize);
}

#[test]
fn an_owner_answers_every_lower_advert_and_stays_6_4_3() {
    for config in owners() {
        let mut rig = Rig::active(config);
        for priority in [1, 127, 128, 254, 0] {
            rig.wait(ms(100));
            assert_eq!(rig.hear(HIGH, priority)[0], Advert(255));
            assert_eq!(rig.state(), State::Active);
        }
    }
}

#[test]
fn of_two_owners_the_greater_address_stays_erratum_8298() {
    for config in owners() {
        let mut rig = Rig::active(config.clone());
        assert_eq!(rig.hear(LOW, 255), [Advert(255), Reassert]);
        assert_eq!(rig.state(), State::Active);
        let mut rig = Rig::active(config);
        assert_eq!(rig.hear(HIGH, 255), [Probe]);
        assert_eq!(rig.cause(), Cause::HigherPriority { source: HIGH, priority: prio(255) });
        assert_eq!(rig.run(ms(10)), [(ms(10), Withdraw)]);
    }
}

#[test]
fn of_two_ipv6_owners_the_greater_address_stays_erratum_8298() {
    let ipv6 = RouterConfig {
        addresses: Addresses::new(vec!["fe80::10".parse().unwrap()]).unwrap(),
        ..owner()
    };
    let (own, other) = ("fe80::7fff:0:0:1".parse().unwrap(), "fe80::8000:0:0:0".parse().unwrap());
    for (own, other, state) in [(own, other, State::Backup), (other, own, State::Active)] {
        let mut rig = Rig::active(ipv6.clone());
        rig.source(Some(own));
        rig.hear(other, 255);
        assert_eq!(rig.state(), state);
    }
}

/// "The router that owns the addresses always preempts", whatever Preempt_Mode is.
#[test]
fn an_owner_that_lost_to_another_watches_only_the_other_6_1() {
    for config in owners() {
        let mut rig = Rig::active(config);
        rig.hear(HIGH, 255);
        rig.run(ms(1000));
        let due = rig.router.poll_timeout();
        for priority in [128, 200, 254] {
            rig.hear(HIGH, priority);
            assert_eq!(rig.router.poll_timeout(), due, "priority {priority}");
        }
        rig.hear(HIGH, 255);
        assert_eq!(rig.due_in(), active_down_interval(centis(100), prio(255)));
        rig.hear(HIGH, 0);
        assert_eq!(rig.due_in(), skew_time(centis(100), prio(255)));
        assert_eq!(rig.fire(), [Advert(255), Install]);
    }
}

#[test]
fn a_backup_that_becomes_an_owner_is_active_at_once() {
    let mut rig = Rig::started(config());
    rig.hear(HIGH, 254);
    assert_eq!(rig.reconfigure(owner()), [Advert(255), Install]);
    assert_eq!((rig.state(), rig.cause()), (State::Active, Cause::AddressOwner));
    assert_eq!(rig.due_in(), INTERVAL);
}

#[test]
fn an_owner_that_becomes_another_router_says_so_and_stays_until_it_loses() {
    let mut rig = Rig::active(owner());
    assert_eq!(rig.reconfigure(config()), [Advert(192)]);
    assert_eq!(rig.state(), State::Active);
    rig.hear(LOW, 193);
    assert_eq!(rig.state(), State::Backup);
}

#[test]
fn an_owner_that_is_degraded_or_drained_yields_like_any_other_and_comes_back_at_once() {
    for (eligibility, priority) in [(Eligibility::Degraded, 64), (Eligibility::Drained, 1)] {
        let mut rig = Rig::active(owner());
        assert_eq!(rig.becomes(eligibility), [Advert(priority)]);
        rig.hear(LOW, 200);
        assert_eq!(rig.state(), State::Backup);
        rig.run(ms(500));
        rig.hear(LOW, 200);
        assert_eq!(rig.due_in(), active_down_interval(centis(100), prio(priority)));
        assert_eq!(rig.becomes(Eligibility::Healthy), [Advert(255), Install]);
        assert_eq!((rig.state(), rig.cause()), (State::Active, Cause::AddressOwner));
    }
}

#[test]
fn an_owner_that_starts_degraded_or_drained_starts_in_backup() {
    for eligibility in [Eligibility::Degraded, Eligibility::Drained] {
        let mut rig = Rig::new(owner());
        rig.source(Some(OWN));
        rig.becomes(eligibility);
        assert_eq!(rig.start(), []);
        assert_eq!(rig.state(), State::Backup);
    }
}

#[test]
fn an_owner_that_released_comes_back_active() {
    let release = RouterConfig { on_degraded: OnDegraded::Release, ..owner() };
    let mut rig = Rig::active(release);
    assert_eq!(rig.becomes(Eligibility::Degraded), [Advert(0), Withdraw]);
    assert_eq!(rig.state(), State::Initialize);
    assert_eq!(rig.becomes(Eligibility::Healthy), [Advert(255), Install]);
    assert_eq!(rig.state(), State::Active);
}

#[test]
fn an_owner_that_takes_its_address_back_while_it_lingers_does_not_withdraw_it() {
    let mut rig = Rig::active(owner());
    rig.becomes(Eligibility::Drained);
    rig.hear(LOW, 200);
    rig.wait(ms(5));
    assert_eq!(rig.becomes(Eligibility::Healthy), [Advert(255), Install]);
    rig.installed();
    assert_eq!(rig.run(ms(900)), []);
}

#[test]
fn an_owner_that_stood_still_is_active_again_unless_another_owner_was_heard_h5() {
    let late = INTERVAL * 4;
    for heard in [None, Some(1), Some(254)] {
        let mut rig = Rig::active(owner());
        assert_eq!(rig.stall(late, false), [Withdraw, Probe]);
        if let Some(priority) = heard {
            assert_eq!(rig.hear(HIGH, priority), []);
        }
        assert_eq!(rig.resumed(late), [Advert(255), Install]);
        assert_eq!((rig.state(), rig.cause()), (State::Active, Cause::AddressOwner));
    }
    let mut rig = Rig::active(owner());
    rig.stall(late, false);
    rig.hear(LOW, 255);
    assert_eq!(rig.resumed(late), []);
    assert_eq!(rig.state(), State::Backup);
}
