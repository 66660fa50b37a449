//! What holds once the faults are over.

use vrrp::router::State;

use super::clock::{MS, Time};
use super::machine::Machine;
use super::rules::{Check, ROUNDING, ensure};
use super::world::World;

/// After convergence: 100 ms of silence, and ways and turns.
const CLIENTS: Time = 150 * MS;

impl World {
    /// By when a group has converged after the last disturbance.
    ///
    /// Let I be the longest interval on the slowest clock. A Backup's timer that nobody restarts
    /// fires within Active_Down_Interval, which is below 4 I. Who becomes Active so is never
    /// displaced but by a Backup that would not accept it, whose timer has run as long: whoever
    /// accepts one Active accepts any stronger one. Of two that are Active, the weaker yields
    /// within I and its answer's way; 5 I together. Where packets overtake each other, the last words
    /// of a former Active may send its successor back, which has then waited for one Skew_Time in
    /// vain: below 6 I. Each step costs a turn and a way at most. Then the address lingers for 50 ms
    /// at most, and the keeper needs two rounds.
    pub fn convergence(&self) -> Time {
        let (turn, way) = (self.timing.turn.1, self.timing.delay.1);
        let intervals = if self.timing.in_order { 5 } else { 6 } * self.longest_interval();
        intervals + 6 * (turn + way) + 51 * MS + 2 * self.timing.keeper.1 + ROUNDING
    }

    /// Waits until the group has had its time, and sees that it has converged and stays so.
    pub fn settle(&mut self) -> Check {
        loop {
            let end = self.quiet_from() + self.convergence();
            if self.now >= end {
                break;
            }
            self.run_until(end)?;
        }
        self.check_converged()?;
        let transitions = self.transitions;
        let quiet = 2 * self.longest_interval();
        self.run(quiet)?;
        ensure!(self.transitions == transitions, "something moves though nothing happens");
        self.check_converged()
    }

    /// When the last disturbance is over; a router that pauses in Initialize is one.
    fn quiet_from(&self) -> Time {
        let pauses = self
            .nodes
            .iter()
            .filter(|node| node.is(State::Initialize))
            .filter_map(|node| Some(node.profile.clock.global(node.timeout()?)));
        pauses.chain([self.disturbed]).max().unwrap()
    }

    /// The nodes that hear each other, as one set per partition.
    pub fn partitions(&self) -> Vec<Vec<usize>> {
        let mut partitions: Vec<Vec<usize>> = Vec::new();
        for node in 0..self.nodes.len() {
            let heard = |others: &&mut Vec<usize>| self.hear_each_other(node, others[0]);
            match partitions.iter_mut().find(heard) {
                Some(others) => others.push(node),
                None => partitions.push(vec![node]),
            }
        }
        partitions
    }

    /// The Actives of a partition.
    pub fn actives(&self, partition: &[usize]) -> Vec<usize> {
        partition.iter().copied().filter(|&node| self.nodes[node].is(State::Active)).collect()
    }

    fn check_converged(&self) -> Check {
        for node in &self.nodes {
            let out = !node.runs() || !node.started() || !node.link || node.priority().is_none();
            ensure!(out || !node.is(State::Initialize), "{} takes no part", node.name());
        }
        for partition in self.partitions() {
            let actives = self.actives(&partition);
            let takes_part = |&node: &usize| {
                self.nodes[node].is(State::Backup) || self.nodes[node].is(State::Active)
            };
            let expected = usize::from(partition.iter().any(takes_part));
            let names: Vec<String> = actives.iter().map(|&node| self.nodes[node].name()).collect();
            ensure!(actives.len() == expected, "{expected} should be Active, and {names:?} are");
            if let [active] = actives[..] {
                self.check_group(active, &partition)?;
            }
        }
        Ok(())
    }

    /// Clients ask anew, as they do when their caches expire: after lost packets nothing else can
    /// be promised.
    pub fn clients_ask(&mut self) {
        self.nodes.iter_mut().for_each(|node| node.cache = None);
    }

    /// Where no packet was lost, every client's cache names the Active: announcements follow a
    /// takeover at once and a meeting of two Actives at once and after 100 ms. A keepalived that
    /// yields does not probe, so that a winner it never heard knows nothing of its clients.
    pub fn check_clients(&mut self) -> Check {
        let others = self.nodes.iter().any(|node| !node.is_mainstay());
        if others || self.check_caches().is_ok() {
            return Ok(());
        }
        self.run(CLIENTS)?;
        self.check_caches()
    }

    fn check_caches(&self) -> Check {
        for partition in self.partitions() {
            let [active] = self.actives(&partition)[..] else { continue };
            for node in partition {
                let cache = self.nodes[node].cache.unwrap_or(active);
                ensure!(cache == active, "clients at n{} ask n{}", node + 1, cache + 1);
            }
        }
        Ok(())
    }

    /// The Active has the address, the others do not, and nobody wants to take over.
    fn check_group(&self, active: usize, partition: &[usize]) -> Check {
        let active = &self.nodes[active];
        ensure!(active.kernel.address, "{} is Active without the address", active.name());
        for node in partition.iter().map(|&node| &self.nodes[node]) {
            if !node.is(State::Backup) {
                continue;
            }
            let name = node.name();
            ensure!(!node.kernel.address, "{name} is Backup and has the address");
            let (own, priority) = (node.priority(), active.priority());
            ensure!(!node.wants(priority), "{name} ({own:?}) lets {priority:?} stay");
            if let Some(Machine::Mainstay(router)) = &node.machine {
                let watched = router.active_router();
                ensure!(watched == Some((active.source, priority)), "{name} watches {watched:?}");
            }
        }
        Ok(())
    }
}
