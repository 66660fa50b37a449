//! The link between the nodes, and what gets lost on it.

use core::net::IpAddr;

use vrrp::Priority;
use vrrp::router::Heard;

use super::clock::Time;
use super::node::Claim;
use super::trace::say;
use super::world::{Event, World};

pub struct Network {
    /// Which side of a partition each node is on.
    pub side: Vec<u8>,
    /// Ways that are cut in one direction: from, to.
    pub one_way: Vec<(usize, usize)>,
    /// So many packets in a thousand get lost.
    pub loss: u64,
    /// When a packet on this way was last lost, or the way last changed.
    disturbed: Vec<Vec<Time>>,
    /// When the last packet of a way arrives.
    last: Vec<Vec<Time>>,
}

impl Network {
    pub fn new(nodes: usize) -> Self {
        Self {
            side: vec![0; nodes],
            one_way: Vec::new(),
            loss: 0,
            disturbed: vec![vec![0; nodes]; nodes],
            last: vec![vec![0; nodes]; nodes],
        }
    }

    pub fn disturbed(&self, from: usize, to: usize) -> Time {
        self.disturbed[from][to]
    }

    /// The ways have changed.
    pub fn disturb(&mut self, now: Time) {
        self.disturbed.iter_mut().flatten().for_each(|at| *at = now);
    }
}

impl World {
    /// Whether a packet can get from one node to another.
    pub fn reaches(&self, from: usize, to: usize) -> bool {
        let up = |node: usize| self.nodes[node].powered && self.nodes[node].link;
        self.network.side[from] == self.network.side[to]
            && up(from)
            && up(to)
            && !self.network.one_way.contains(&(from, to))
    }

    pub fn hear_each_other(&self, a: usize, b: usize) -> bool {
        self.reaches(a, b) && self.reaches(b, a)
    }

    /// Sends an advertisement to all others.
    pub fn advertise(&mut self, from: usize, priority: Option<Priority>, source: IpAddr) {
        let node = &mut self.nodes[from];
        node.sent = [self.now, node.sent[0]];
        let heard = Heard { source, priority, interval: node.profile.config.interval };
        for to in 0..self.nodes.len() {
            if to != from && self.reaches(from, to) {
                let lost = self.travel(from, to, Event::Deliver(to, heard));
                if lost {
                    say!(self, from, "the advertisement to n{} is lost", to + 1);
                }
            }
        }
    }

    /// Announces the address, or asks who has it.
    pub fn send_arp(&mut self, from: usize, claim: Claim) {
        say!(
            self,
            from,
            "{}",
            if claim == Claim::Has { "announces the address" } else { "probes" }
        );
        for to in 0..self.nodes.len() {
            if to == from && claim == Claim::Has && self.nodes[from].link {
                self.nodes[to].cache = Some(from);
            } else if to != from && self.reaches(from, to) {
                self.travel(from, to, Event::Arp(to, from, claim));
            }
        }
    }

    /// Sends one packet on its way, perhaps twice; whether it is lost.
    fn travel(&mut self, from: usize, to: usize, event: Event) -> bool {
        if self.network.loss > 0 && self.rng.chance(self.network.loss) {
            self.network.disturbed[from][to] = self.now;
            self.disturb();
            return true;
        }
        let twice = self.timing.duplicates > 0 && self.rng.chance(self.timing.duplicates);
        for _ in 0..=usize::from(twice) {
            let mut at = self.now + self.between(self.timing.delay);
            if self.timing.in_order {
                let last = &mut self.network.last[from][to];
                at = at.max(*last);
                *last = at;
            }
            self.plan(at, event);
        }
        false
    }

    /// An advertisement arrives in a node's socket.
    pub fn deliver(&mut self, to: usize, heard: Heard) {
        /// More than fit into the socket's buffer; the newest is what gets lost.
        const ROOM: usize = 64;
        let now = self.now;
        let node = &mut self.nodes[to];
        if node.machine.is_none() || !node.link {
            return;
        }
        if node.inbox.len() < ROOM {
            node.inbox.push_back((now, heard));
        } else {
            node.overflowed = true;
        }
        self.wake(to, now);
    }
}
