//! What a seed draws: the group, its clocks and its network.

use core::net::{IpAddr, Ipv6Addr};

use vrrp::config::{Addresses, Checksum, Lease, OnDegraded, Preempt, RouterConfig};
use vrrp::router::Router;
use vrrp::time::Centis;
use vrrp::{Family, Priority, Vrid};

use super::clock::{Clock, MS, SECOND, Time, US};
use super::keepalived::Keepalived;
use super::machine::Machine;
use super::node::Profile;
use super::rng::Rng;
use super::world::Timing;

/// A group of routers and the spans of its world.
#[derive(Clone, Debug)]
pub struct Group {
    pub profiles: Vec<Profile>,
    pub timing: Timing,
}

/// The address of a node's interface: nobody's rank follows from its place.
pub fn source(profile: &Profile, id: usize) -> IpAddr {
    let host = [7, 3, 200, 4, 90][id];
    match profile.config.family() {
        Family::Ipv4 => IpAddr::from([10, 0, 0, host]),
        Family::Ipv6 => Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, host.into()).into(),
    }
}

/// Another address on the same network, that nobody else has.
pub fn next(source: IpAddr) -> IpAddr {
    match source {
        IpAddr::V4(v4) => (u32::from(v4) ^ 0x0010_0000).to_be_bytes().into(),
        IpAddr::V6(v6) => Ipv6Addr::from(u128::from(v6) ^ 0x0010_0000).into(),
    }
}

/// A fresh state machine.
pub fn machine(profile: &Profile) -> Machine {
    let config = profile.config.clone();
    match profile.keepalived {
        None => Machine::Mainstay(Box::new(Router::new(config))),
        Some(preempt) => {
            Machine::Keepalived(Keepalived::new(config.priority, config.interval, preempt))
        }
    }
}

/// A configuration to start from: healthy 254, 244, ...; degraded 128 less.
pub fn config(id: usize, family: Family, interval: Centis) -> RouterConfig {
    let priority = 254 - 10 * u8::try_from(id).unwrap();
    let address = match family {
        Family::Ipv4 => IpAddr::from([10, 0, 0, 100]),
        Family::Ipv6 => Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 100).into(),
    };
    RouterConfig {
        vrid: Vrid::new(51).unwrap(),
        priority: Priority::new(priority).unwrap(),
        degraded_priority: Priority::new(priority - 128).unwrap(),
        on_degraded: OnDegraded::Advertise,
        preempt: Preempt::DegradedOnly,
        interval,
        addresses: Addresses::new(vec![address]).unwrap(),
        lease: None,
        checksum: Checksum::Auto,
        virtual_mac: false,
    }
}

impl Group {
    pub fn draw(rng: &mut Rng) -> Self {
        let family = rng.pick(&[Family::Ipv4, Family::Ipv6]);
        let interval = rng.pick(&[1, 1, 1, 2, 5, 10, 10, 25, 50, 100, 100, 300, 1000, 4095]);
        let mixed_intervals = rng.chance(200);
        let mode = rng.pick(&[
            Some(Preempt::DegradedOnly),
            Some(Preempt::DegradedOnly),
            Some(Preempt::DegradedOnly),
            Some(Preempt::Always),
            Some(Preempt::Never),
            None,
        ]);
        let drift = rng.pick(&[0, 50, 500, 2000]);
        let keepalived = rng.chance(150).then(|| rng.chance(300));
        let nodes = usize::try_from(rng.pick(&[2, 3, 3, 3, 3, 4, 4, 5])).unwrap();
        let leases = [None, Lease::from_secs(1).ok(), Lease::from_secs(3).ok()];
        let lease = rng.pick(if interval < 10 { &leases[..2] } else { &leases });
        let mut shortest = interval;
        let virtual_mac = rng.chance(250);
        let profiles = (0..nodes).map(|id| {
            let own = if mixed_intervals { interval * rng.between(1, 3) } else { interval };
            let own = own.min(4095);
            shortest = shortest.min(own);
            let interval = Centis::new(u16::try_from(own).unwrap()).unwrap();
            let mut config = config(id, family, interval);
            config.preempt = mode.unwrap_or_else(|| {
                rng.pick(&[Preempt::DegradedOnly, Preempt::Always, Preempt::Never])
            });
            config.lease = lease;
            draw_priorities(rng, &mut config);
            let keepalived = keepalived.filter(|_| id == 1);
            let clock = Clock {
                offset: rng.between(0, 1000 * SECOND),
                rate: u32::try_from(rng.between(1_000_000 - drift, 1_000_000 + drift)).unwrap(),
            };
            if keepalived.is_some() {
                config.on_degraded = OnDegraded::Advertise;
                config.lease = None;
            }
            config.virtual_mac = virtual_mac && keepalived.is_none();
            Profile { config, keepalived, clock }
        });
        let profiles = profiles.collect();
        Self { profiles, timing: Timing::draw(rng, shortest * 10 * MS) }
    }
}

fn draw_priorities(rng: &mut Rng, config: &mut RouterConfig) {
    let degraded_only = config.preempt == Preempt::DegradedOnly;
    let priority = match rng.between(0, 9) {
        0..=4 => u64::from(config.priority.get()),
        // Equal to others.
        5 | 6 => 200,
        7 => 255,
        _ if degraded_only => rng.between(130, 254),
        _ => rng.between(2, 254),
    };
    // Owners are rare.
    let priority = if priority == 255 && rng.chance(700) { 254 } else { priority };
    let degraded = if priority > 129 { priority - 128 } else { 1 };
    config.priority = Priority::new(u8::try_from(priority).unwrap()).unwrap();
    config.degraded_priority = Priority::new(u8::try_from(degraded).unwrap()).unwrap();
    if rng.chance(if config.preempt == Preempt::Never { 800 } else { 100 }) {
        config.on_degraded = OnDegraded::Release;
    }
}

impl Timing {
    /// Delays stay below an eighth of the shortest interval: where they come near three intervals,
    /// no such protocol can tell silence from distance.
    fn draw(rng: &mut Rng, shortest: Time) -> Self {
        let slowest = (shortest / 8).min(20 * MS);
        let least = rng.between(5 * US, slowest / 4);
        let most = least + rng.pick(&[5 * US, 50 * US, slowest / 2]);
        let turn = rng.pick(&[100 * US, 200 * US, slowest.min(3 * MS)]);
        let keeper = rng.pick(&[MS, MS, 5 * MS]);
        Self {
            delay: (least, most),
            in_order: rng.chance(500),
            duplicates: rng.pick(&[0, 0, 100]),
            turn: (20 * US, turn),
            keeper: (50 * US, keeper),
        }
    }
}
