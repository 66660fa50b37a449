//! Which faults a seed brings upon its group.

use vrrp::router::Eligibility;

use super::clock::{MS, SECOND, Time};
use super::faults::Fault;
use super::rng::Rng;
use super::world::World;

/// Some faults and their times, after which the group is left alone until it has settled.
#[derive(Clone, Debug, Default)]
pub struct Phase {
    pub faults: Vec<(Time, Fault)>,
    pub length: Time,
    /// Whether it is one fault in a group that has converged, so that what follows is known.
    pub single: bool,
}

/// One fault that changes something.
pub fn single(rng: &mut Rng, world: &World) -> Phase {
    let known = |fault: &Fault| {
        !matches!(fault, Fault::OneWay(..) | Fault::Refuse(..)) && world.applies(*fault)
    };
    let mut drawn = (0..50).map(|_| {
        let node = any_node(rng, world);
        any_fault(rng, world, node)
    });
    let fault = drawn.find(known).unwrap_or(Fault::Heal);
    // Meetings are what most can go wrong with.
    let parted = world.partitions().len() > 1 && rng.chance(300);
    let fault = if parted { Fault::Heal } else { fault };
    Phase { faults: vec![(0, fault)], length: 0, single: true }
}

/// A time of trouble: anything, at any time, and lost packets; in the end the ways are open in both
/// directions, nothing gets lost any more and kernels take addresses.
pub fn storm(rng: &mut Rng, world: &World) -> Phase {
    let interval = world.longest_interval();
    let length = interval * rng.between(2, 12);
    let mut faults = Vec::new();
    if rng.chance(500) {
        let loss = rng.pick(&[50, 300, 700]);
        faults.push((rng.between(0, length), Fault::Loss(loss)));
    }
    for _ in 0..rng.between(1, 6) {
        let node = any_node(rng, world);
        faults.push((rng.between(0, length), any_fault(rng, world, node)));
    }
    faults.push((length, Fault::Loss(0)));
    faults.push((length, Fault::OneWaysEnd));
    if rng.chance(600) {
        faults.push((length, Fault::Heal));
    }
    for node in 0..world.nodes.len() {
        faults.push((length, Fault::Refuse(node, false)));
        if rng.chance(600) {
            faults.push((length, Fault::PowerOn(node)));
            faults.push((length, Fault::LinkUp(node)));
            faults.push((length, Fault::Start(node)));
        }
    }
    faults.sort_by_key(|&(at, _)| at);
    Phase { faults, length, single: false }
}

/// Something that all have in common makes them ill, one shortly after the other, and then well.
pub fn epidemic(rng: &mut Rng, world: &World) -> Phase {
    let interval = world.longest_interval();
    let spread = interval / rng.pick(&[1, 4, 20, 100]);
    let mut faults = Vec::new();
    for (begin, eligibility) in [(0, Eligibility::Degraded), (interval, Eligibility::Healthy)] {
        for node in 0..world.nodes.len() {
            if world.nodes[node].is_mainstay() && rng.chance(800) {
                let at = begin + rng.between(0, spread);
                faults.push((at, Fault::Becomes(node, eligibility)));
            }
        }
        if rng.chance(300) {
            break;
        }
    }
    faults.sort_by_key(|&(at, _)| at);
    Phase { faults, length: 2 * interval, single: false }
}

/// Mostly one that is Active.
fn any_node(rng: &mut Rng, world: &World) -> usize {
    let nodes: Vec<usize> = (0..world.nodes.len()).collect();
    let actives = world.actives(&nodes);
    if !actives.is_empty() && rng.chance(600) { rng.pick(&actives) } else { rng.pick(&nodes) }
}

fn any_fault(rng: &mut Rng, world: &World, node: usize) -> Fault {
    let mainstay = world.nodes[node].is_mainstay();
    match rng.between(0, 21) {
        0 => Fault::PowerOff(node),
        1 => Fault::PowerOn(node),
        2 => Fault::Crash(node),
        3 => Fault::CrashBoth(node),
        4 | 5 => Fault::Start(node),
        6 => Fault::Stop(node),
        7 | 8 if mainstay => Fault::Pause(node, any_pause(rng, world, node)),
        9 if mainstay => Fault::Hang(node, any_pause(rng, world, node)),
        10 => Fault::LinkDown(node),
        11 => Fault::LinkUp(node),
        12..=15 if mainstay => Fault::Becomes(node, any_eligibility(rng)),
        16 => Fault::DeleteAddress(node),
        17 if mainstay => Fault::Refuse(node, rng.chance(700)),
        18 | 19 => Fault::Split(u8::try_from(rng.between(1, 30)).unwrap()),
        20 => Fault::OneWay(node, rng.pick(&(0..world.nodes.len()).collect::<Vec<_>>())),
        21 if mainstay => Fault::Readdress(node),
        _ => Fault::Heal,
    }
}

pub fn any_eligibility(rng: &mut Rng) -> Eligibility {
    rng.pick(&[
        Eligibility::Healthy,
        Eligibility::Healthy,
        Eligibility::Degraded,
        Eligibility::Degraded,
        Eligibility::Drained,
    ])
}

/// From a part of an interval to beyond the lease.
pub fn any_pause(rng: &mut Rng, world: &World, node: usize) -> Time {
    let interval = world.nodes[node].interval();
    let tenths = rng.pick(&[2, 8, 12, 18, 22, 28, 32, 40, 60]);
    let lease = world.nodes[node].profile.config.lease;
    match lease {
        Some(lease) if rng.chance(100) => {
            u64::from(lease.as_secs()) * SECOND + rng.between(0, 700) * MS
        }
        _ => interval * tenths / 10 + rng.between(0, interval / 10),
    }
}
