//! The simulated world: nodes, a network, a queue of events, one virtual time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use vrrp::router::{Action, Heard};

use super::clock::{NEVER, Time};
use super::faults::Fault;
use super::network::Network;
use super::node::{Claim, Node, Profile};
use super::rng::Rng;
use super::rules::{Alarm, Check, ensure};
use super::trace::Trace;

/// Something that will happen.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    /// An advertisement arrives.
    Deliver(usize, Heard),
    /// A gratuitous ARP or a probe arrives: at, from.
    Arp(usize, usize, Claim),
    /// The advertising thread runs.
    Turn(usize),
    /// The keeper runs.
    Keeper(usize),
    /// The kernel's lease ends.
    Expire(usize, u32),
    /// A frozen process goes on.
    Thaw(usize, u32),
    /// The guard has waited long enough.
    Kill(usize, u32),
    /// The guard removes the address and speaks for the dead; whether it was Active.
    Fence(usize, u32, bool),
    /// The VRRP process is started again.
    Restart(usize, u32),
    Fault(Fault),
}

/// Spans of time that a seed has drawn: least and greatest, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// A packet's way.
    pub delay: (Time, Time),
    /// Packets of one sender arrive in order.
    pub in_order: bool,
    /// So many in a thousand arrive twice.
    pub duplicates: u64,
    /// From a reason to run to the advertising thread's turn.
    pub turn: (Time, Time),
    /// The same for the keeper, including the kernel's answer.
    pub keeper: (Time, Time),
}

/// More events than any seed needs.
const ENDLESS: u64 = 2_000_000;

pub struct World {
    pub now: Time,
    pub rng: Rng,
    pub timing: Timing,
    pub nodes: Vec<Node>,
    pub network: Network,
    pub trace: Trace,
    /// The first rule that would be broken by waiting.
    pub alarm: Option<Alarm>,
    pub alarm_stale: bool,
    /// When something last happened that the group has to get over.
    pub disturbed: Time,
    /// Who became Active, and when.
    pub takeovers: Vec<(Time, usize)>,
    /// How often a state changed.
    pub transitions: usize,
    pub events: u64,
    queue: BinaryHeap<Reverse<Entry>>,
    sequence: u64,
    pub(super) actions: Vec<Action>,
}

impl World {
    pub fn new(seed: u64, timing: Timing, profiles: Vec<Profile>, trace: Trace) -> Self {
        let nodes: Vec<Node> = profiles
            .into_iter()
            .enumerate()
            .map(|(id, profile)| Node::new(id, super::scenario::source(&profile, id), profile))
            .collect();
        Self {
            now: 0,
            rng: Rng::new(seed, 1),
            timing,
            network: Network::new(nodes.len()),
            nodes,
            trace,
            alarm: None,
            alarm_stale: false,
            disturbed: 0,
            takeovers: Vec::new(),
            transitions: 0,
            events: 0,
            queue: BinaryHeap::new(),
            sequence: 0,
            actions: Vec::new(),
        }
    }

    pub fn plan(&mut self, at: Time, event: Event) {
        self.sequence += 1;
        self.queue.push(Reverse(Entry { at, sequence: self.sequence, event }));
    }

    /// Lets time go by until `end`.
    pub fn run_until(&mut self, end: Time) -> Check {
        while let Some(Reverse(entry)) = self.queue.peek().copied().filter(|next| next.0.at <= end)
        {
            self.queue.pop();
            self.check_alarm(entry.at)?;
            self.now = entry.at;
            self.events += 1;
            ensure!(self.events < ENDLESS, "this does not come to an end");
            self.happen(entry.event)?;
            if self.alarm_stale {
                self.set_alarm();
            }
        }
        self.check_alarm(end)?;
        self.now = end;
        Ok(())
    }

    pub fn run(&mut self, span: Time) -> Check {
        self.run_until(self.now + span)
    }

    fn happen(&mut self, event: Event) -> Check {
        match event {
            Event::Deliver(node, heard) => self.deliver(node, heard),
            Event::Arp(node, from, claim) => self.hear_arp(node, from, claim),
            Event::Turn(node) => self.turn(node)?,
            Event::Keeper(node) => self.keeper_runs(node),
            Event::Expire(node, generation) => self.lease_ends(node, generation),
            Event::Thaw(node, epoch) if self.nodes[node].epoch == epoch => self.thaw(node),
            Event::Kill(node, epoch) if self.nodes[node].epoch == epoch => self.kill(node),
            Event::Fence(node, epoch, active) if self.nodes[node].epoch == epoch => {
                self.fence(node, active);
            }
            Event::Restart(node, epoch) if self.nodes[node].epoch == epoch => self.boot(node),
            Event::Thaw(..) | Event::Kill(..) | Event::Fence(..) | Event::Restart(..) => {}
            Event::Fault(fault) => self.apply(fault),
        }
        Ok(())
    }

    /// Something happened that the group has to get over; nothing that was measured before counts.
    pub fn disturb(&mut self) {
        self.disturb_until(self.now);
    }

    /// Something will have happened by then.
    pub fn disturb_until(&mut self, at: Time) {
        self.disturbed = self.disturbed.max(at);
        self.alarm_stale = true;
    }

    pub fn between(&mut self, (low, high): (Time, Time)) -> Time {
        self.rng.between(low, high)
    }

    /// The longest interval that is configured, on the slowest clock.
    pub fn longest_interval(&self) -> Time {
        let spans = self.nodes.iter().map(|node| {
            let interval = node.profile.config.interval.duration();
            self.nodes.iter().map(|other| other.profile.clock.real(interval)).max().unwrap()
        });
        spans.max().unwrap()
    }
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    at: Time,
    sequence: u64,
    event: Event,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.sequence) == (other.at, other.sequence)
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        (self.at, self.sequence).cmp(&(other.at, other.sequence))
    }
}

/// A time that never comes counts as no alarm.
pub fn sooner(a: Option<Alarm>, b: Alarm) -> Option<Alarm> {
    if b.at == NEVER || a.is_some_and(|a| a.at <= b.at) { a } else { Some(b) }
}
