//! A pair of one mainstay and one other, keepalived, FRR or a second mainstay, from start to death,
//! each in both places.

use std::time::Duration;

use lab::{
    ChecksumForm, Daemon, Families, Family, Interval, Kind, Node, Part, Preempt, Probe, Stamp,
};

use crate::support::{M1, M2, Net, PATIENCE, mainstay};

/// Slow enough to tell Skew_Time from Active_Down_Interval.
const INTERVAL: Interval = Interval::from_millis(400);

/// mainstay, and the daemon it shares a virtual router with.
struct Pair {
    family: Family,
    ours: Daemon,
    theirs: Daemon,
}

fn pair(family: Family, theirs: Kind) -> Pair {
    let families = Families::from(family);
    let preempt = Preempt::Always;
    Pair {
        family,
        ours: Daemon { families, preempt, interval: INTERVAL, ..mainstay() },
        theirs: Daemon { kind: theirs, families, preempt, interval: INTERVAL, ..mainstay() },
    }
}

impl Pair {
    fn with(mut self, change: impl Fn(&mut Daemon)) -> Self {
        change(&mut self.ours);
        change(&mut self.theirs);
        self
    }
}

/// The client's view of who serves.
struct Client(Probe);

impl Client {
    fn new(net: &Net, family: Family) -> Self {
        let period = Duration::from_millis(10);
        Self(Probe::start_for(net.lab(), family, period, PATIENCE * 6).unwrap())
    }

    #[track_caller]
    fn served_by(&self, node: Node) {
        let served = self.0.wait_served(Stamp::now() + PATIENCE, |by| by == node);
        assert_eq!(served, Some(node), "the client does not reach it");
    }
}

/// Priority 0 was sent, and the other took over without waiting for Active_Down_Interval.
#[track_caller]
fn handed_over(net: &Net, from: Node, to: Node, since: Stamp) {
    let farewell = net.advert(from, since, |advert| advert.priority == 0);
    let taken = net.advert(to, farewell.at, |advert| advert.priority == to.priority());
    let took = taken.at - farewell.at;
    assert!(took < INTERVAL.duration() * 2, "{took:?} after priority 0");
    net.owned_by(to);
}

/// Priority 1 was sent until the other was Active, and then nothing: it had all that it needs.
#[track_caller]
fn drained(net: &Net, from: Node, to: Node, since: Stamp) {
    let drained = net.advert(from, since, |advert| advert.priority == 1);
    net.advert(to, drained.at, |advert| advert.priority == to.priority());
    net.owned_by(to);
    assert!(!net.gave_up(from, since));
}

#[track_caller]
fn quiet(net: &Net, active: Node, backup: Node) {
    let since = Stamp::now();
    net.adverts(active, since, 6);
    assert_eq!(net.sent(backup, since), 0, "two advertise");
}

/// The other has the higher priority.
fn under(pair: &Pair) {
    let Some(net) = Net::up_for(2, pair.family) else { return };
    let client = Client::new(&net, pair.family);
    net.start(&[M1], &pair.theirs);
    net.owned_by(M1);
    net.start(&[M2], &pair.ours);
    net.router_until(M2, "Backup", |router| router["active_priority"] == M1.priority());
    client.served_by(M1);
    quiet(&net, M1, M2);

    let stopped = Stamp::now();
    net.lab().stop(M1).unwrap();
    let cause = if pair.theirs.kind == Kind::Mainstay {
        drained(&net, M1, M2, stopped);
        "preempts"
    } else {
        handed_over(&net, M1, M2, stopped);
        "active_released"
    };
    let transition = net.event_where(M2, "transition", |event| event["detail"]["to"] == "Active");
    assert_eq!(transition["detail"]["cause_code"], cause);
    client.served_by(M2);

    net.start(&[M1], &pair.theirs);
    net.owned_by(M1);
    net.state(M2, "Backup");
    client.served_by(M1);
    quiet(&net, M1, M2);

    net.lab().kill(M1, Part::Both).unwrap();
    net.state(M2, "Active");
    // What the dead left behind would still answer.
    net.lab().cut_silently(M1).unwrap();
    client.served_by(M2);
}

/// mainstay has the higher priority.
fn over(pair: &Pair) {
    let Some(net) = Net::up_for(2, pair.family) else { return };
    let client = Client::new(&net, pair.family);
    net.start(&[M2], &pair.theirs);
    net.owned_by(M2);
    net.start(&[M1], &pair.ours);
    net.owned_by(M1);
    client.served_by(M1);
    quiet(&net, M1, M2);

    let stopped = Stamp::now();
    net.lab().stop(M1).unwrap();
    drained(&net, M1, M2, stopped);
    client.served_by(M2);

    net.start(&[M1], &pair.ours);
    net.owned_by(M1);
    net.reconfigure(M1, |text| text.replace("vrid = 51", "vrid = 51\ndrain_timeout = \"0s\""));
    let stopped = Stamp::now();
    net.lab().stop(M1).unwrap();
    handed_over(&net, M1, M2, stopped);
    client.served_by(M2);

    net.start(&[M1], &pair.ours);
    net.owned_by(M1);
    client.served_by(M1);
    quiet(&net, M1, M2);

    // Its lease is off: the fence stands in for it.
    let killed = net.lab().kill(M1, Part::Both).unwrap();
    net.advert(M2, killed, |advert| advert.priority == M2.priority());
    assert_eq!(net.mainstay(M1, &["vip", "fence"]).code, Some(0));
    net.owned_by(M2);
    client.served_by(M2);
}

/// Both tests of a pair.
macro_rules! pairs {
    ($($name:ident: $pair:expr;)*) => {
        $(mod $name {
            use super::*;

            #[test]
            fn mainstay_is_backup_takes_over_and_gives_back() {
                under(&$pair);
            }

            #[test]
            fn mainstay_is_active_hands_over_and_takes_back() {
                over(&$pair);
            }
        })*
    };
}

fn virtual_mac(daemon: &mut Daemon) {
    daemon.virtual_mac = true;
}

fn unicast(daemon: &mut Daemon) {
    daemon.unicast = true;
}

pairs! {
    keepalived_ipv4: pair(Family::Ipv4, Kind::Keepalived);
    keepalived_ipv6: pair(Family::Ipv6, Kind::Keepalived);
    keepalived_ipv4_virtual_mac: pair(Family::Ipv4, Kind::Keepalived).with(virtual_mac);
    keepalived_ipv6_virtual_mac: pair(Family::Ipv6, Kind::Keepalived).with(virtual_mac);
    keepalived_ipv4_unicast: pair(Family::Ipv4, Kind::Keepalived).with(unicast);
    keepalived_ipv6_unicast: pair(Family::Ipv6, Kind::Keepalived).with(unicast);
    mainstay_ipv4_virtual_mac: pair(Family::Ipv4, Kind::Mainstay).with(virtual_mac);
    mainstay_ipv6: pair(Family::Ipv6, Kind::Mainstay);
    mainstay_ipv6_virtual_mac: pair(Family::Ipv6, Kind::Mainstay).with(virtual_mac);
    mainstay_ipv4_unicast: pair(Family::Ipv4, Kind::Mainstay).with(unicast);
    mainstay_ipv6_unicast: pair(Family::Ipv6, Kind::Mainstay).with(unicast);
    frr_ipv4: pair(Family::Ipv4, Kind::Frr);
    frr_ipv6: pair(Family::Ipv6, Kind::Frr);
    frr_ipv4_virtual_mac: pair(Family::Ipv4, Kind::Frr).with(virtual_mac);
    frr_ipv6_virtual_mac: pair(Family::Ipv6, Kind::Frr).with(virtual_mac);
}

/// keepalived's `nopreempt`: whoever is Active stays so.
fn nobody_takes_from_the_living(family: Family) {
    let pair = pair(family, Kind::Keepalived).with(|daemon| {
        daemon.preempt = Preempt::Never;
        // The only form that keepalived understands, from the first advert on.
        daemon.checksum = ChecksumForm::PseudoHeader;
    });
    let Some(net) = Net::up_for(2, family) else { return };
    net.start(&[M2], &pair.ours);
    net.owned_by(M2);
    net.start(&[M1], &pair.theirs);
    net.adverts(M2, Stamp::now(), 3);
    net.owned_by(M2);
    quiet(&net, M2, M1);
    net.lab().stop(M2).unwrap();
    net.owned_by(M1);
    net.start(&[M2], &pair.ours);
    net.router_until(M2, "Backup", |router| router["active_priority"] == M1.priority());
    quiet(&net, M1, M2);

    // And with the priorities the other way round.
    net.lab().stop(M1).unwrap();
    net.owned_by(M2);
    net.lab().stop(M2).unwrap();
    net.start(&[M2], &pair.theirs);
    net.owned_by(M2);
    net.start(&[M1], &pair.ours);
    net.router_until(M1, "Backup", |router| router["active_priority"] == M2.priority());
    quiet(&net, M2, M1);
}

#[test]
fn with_nopreempt_nobody_takes_from_the_living() {
    nobody_takes_from_the_living(Family::Ipv4);
}

#[test]
fn with_nopreempt_nobody_takes_from_the_living_over_ipv6() {
    nobody_takes_from_the_living(Family::Ipv6);
}
