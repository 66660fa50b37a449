//! Walks: one story each, told step by step, in both families.
//!
//! The rules of the simulator hold in them as they do in the seeds: each step of each router is
//! judged, and so is the group at every moment and after [`Walk::settle`].

mod health;
mod meetings;
mod peers;
mod stalls;

use vrrp::config::{Lease, Preempt, RouterConfig};
use vrrp::router::{Eligibility, State};
use vrrp::time::{Centis, Duration};
use vrrp::{Family, Priority};

use super::clock::{Clock, MS, Time, US};
use super::faults::Fault;
use super::node::Profile;
use super::reference::skew_time;
use super::scenario;
use super::trace::Trace;
use super::world::{Timing, World};

pub const FAMILIES: [Family; 2] = [Family::Ipv4, Family::Ipv6];

/// A quick local network and processes that are woken in time.
const TIMING: Timing = Timing {
    delay: (50 * US, 150 * US),
    in_order: true,
    duplicates: 0,
    turn: (20 * US, 100 * US),
    keeper: (50 * US, 500 * US),
};
/// The longest way of a packet to a router that acts on it.
pub const TRIP: Time = TIMING.delay.1 + 2 * TIMING.turn.1;
/// How long the address takes to follow the router's wish.
pub const KEEPER: Time = TIMING.keeper.1;

/// A group and its story. Nodes are counted from 0; by default they prefer the first.
pub struct Walk {
    pub world: World,
    profiles: Vec<Profile>,
}

impl Walk {
    /// So many mainstays: 254, 244, ...; `degraded-only`, a lease of 3 s.
    pub fn new(family: Family, nodes: usize, interval: Centis) -> Self {
        let profile = |id| {
            let lease = Lease::from_secs(3).ok();
            let config = RouterConfig { lease, ..scenario::config(id, family, interval) };
            Profile { config, keepalived: None, clock: Clock { offset: 0, rate: 1_000_000 } }
        };
        let profiles: Vec<Profile> = (0..nodes).map(profile).collect();
        Self { world: World::new(0, TIMING, profiles.clone(), Trace::new(true)), profiles }
    }

    /// Changes how a node is configured, before it starts.
    pub fn configure(mut self, node: usize, change: impl FnOnce(&mut Profile)) -> Self {
        change(&mut self.profiles[node]);
        self.world = World::new(0, TIMING, self.profiles.clone(), Trace::new(true));
        self
    }

    pub fn preempt(self, preempt: Preempt) -> Self {
        (0..self.profiles.len())
            .fold(self, |walk, node| walk.configure(node, |p| p.config.preempt = preempt))
    }

    /// All nodes start at once, and the first of them becomes Active.
    pub fn started(mut self) -> Self {
        for node in 0..self.profiles.len() {
            self.does(Fault::Start(node));
        }
        self.settle();
        self
    }

    pub fn does(&mut self, fault: Fault) {
        assert!(self.world.applies(fault), "{fault} changes nothing");
        self.world.apply(fault);
        self.world.set_alarm();
    }

    pub fn becomes(&mut self, node: usize, eligibility: Eligibility) {
        self.does(Fault::Becomes(node, eligibility));
    }

    pub fn wait(&mut self, span: Time) {
        let check = self.world.run(span);
        self.judge(check);
    }

    /// Waits until the group must have converged, and sees that it has.
    pub fn settle(&mut self) {
        let check = self.world.settle();
        self.judge(check);
        let check = self.world.check_clients();
        self.judge(check);
    }

    fn judge(&mut self, check: Result<(), String>) {
        if let Err(why) = check {
            let trace = core::mem::replace(&mut self.world.trace, Trace::new(false));
            panic!("\n{}\n{why}", trace.into_lines().join("\n"));
        }
    }

    pub fn actives(&self) -> Vec<usize> {
        let nodes: Vec<usize> = (0..self.profiles.len()).collect();
        self.world.actives(&nodes)
    }

    pub fn state(&self, node: usize) -> State {
        self.world.nodes[node].state()
    }

    pub fn owners(&self) -> Vec<usize> {
        let owns = |&node: &usize| self.world.nodes[node].kernel.address;
        (0..self.profiles.len()).filter(owns).collect()
    }

    /// Who has become Active since the story began, and when.
    pub fn takeovers(&self) -> Vec<(Time, usize)> {
        self.world.takeovers.clone()
    }

    pub fn moves(&self) -> usize {
        self.world.takeovers.len()
    }

    /// When a node last advertised.
    pub fn sent(&self, node: usize) -> Time {
        self.world.nodes[node].sent[0]
    }
}

pub fn centis(centis: u16) -> Centis {
    Centis::new(centis).unwrap()
}

pub fn priority(priority: u8) -> Priority {
    Priority::new(priority).unwrap()
}

/// Skew_Time at an interval, for a priority.
pub fn skew(interval: Centis, of: u8) -> Time {
    super::clock::nanos(skew_time(interval, priority(of)))
}

pub fn span(interval: Centis) -> Time {
    super::clock::nanos(interval.duration())
}

/// Active_Down_Interval at an interval, for a priority.
pub fn active_down(interval: Centis, of: u8) -> Time {
    3 * span(interval) + skew(interval, of)
}

pub fn millis(count: u64) -> Time {
    count * MS
}

/// How long the kernel keeps the address of a frozen node that refreshed it just now.
pub fn lease_and_late() -> Time {
    super::clock::nanos(Duration::from_millis(3_500))
}
