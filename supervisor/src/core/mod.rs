//! All units of a node: who may start, who may stop, and when. Pure: time is an argument, effects are returned.
//!
//! [`Core::handle`] takes what happened; [`Core::poll_action`] is drained after each; [`Core::poll_timeout`] says when
//! [`Input::Tick`] is due.
//!
//! * What a unit requires gates its start only. Nothing that happens to a unit ever stops another one.
//! * Only an operator's order stops anything; a readiness that is lost never does.
//! * Each start is preceded by a look at what runs already.

mod message;
mod rolling;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod properties;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod rig;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

pub use message::{Action, Input, Observation, Order, Report, Step, What};

use crate::backend::Identity;
use crate::graph::Graph;
use crate::unit::{Circumstances, Name, Unit, Word};
use rolling::Rolling;

/// What is known of a unit from an earlier life of mainstay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// What ran.
    pub known: Option<Identity>,
    /// Whether the operator has stopped it.
    pub stopped: bool,
}

/// All units of a node.
#[derive(Debug)]
pub struct Core {
    graph: Graph,
    seed: u64,
    /// In the order of the graph.
    members: Vec<Member>,
    rolling: Rolling,
    actions: VecDeque<Action>,
}

/// A unit, and what was last told of it.
#[derive(Debug)]
pub(crate) struct Member {
    pub unit: Unit,
    pub word: Word,
    /// Since when it has been in that state.
    pub since: Instant,
    drift: Option<String>,
}

impl Core {
    /// Units that are not touched before [`Input::Resume`] or [`Input::Start`]. The jitter of pauses comes from `seed`.
    pub fn new(now: Instant, graph: Graph, seed: u64, memory: &BTreeMap<Name, Memory>) -> Self {
        let (rolling, actions) = (Rolling::default(), VecDeque::new());
        let mut core = Self { graph, seed, members: Vec::new(), rolling, actions };
        core.members = (0..core.graph.specs().len())
            .filter_map(|index| core.member(now, index, memory))
            .collect();
        core.go_on_stopping(now);
        core
    }

    /// Takes what happened at `now`. What names an unknown unit is ignored.
    pub fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::Resume => self.order_all(now, Order::Start, false),
            Input::Start => self.order_all(now, Order::Start, true),
            Input::Stop => {
                self.rolling = Rolling::default();
                self.order_all(now, Order::StopInOrder, true);
            }
            Input::Apply => {
                self.rolling = Rolling::new(self.graph.specs().iter().map(|it| it.name.clone()));
            }
            Input::Command { unit, order } => self.order(now, &unit, order),
            Input::Observed { unit, ticket, seen } => {
                if let Some(index) = self.graph.position(unit.as_str()) {
                    self.observe(now, index, ticket, seen);
                }
            }
            Input::Tick => self.members.iter_mut().for_each(|it| it.unit.timeout(now)),
        }
        self.roll(now);
        self.settle(now);
    }

    /// Goes on with these units. One that is new starts; one that changed runs on and is compared with what it should
    /// be; one that is gone from the list runs on, but is no concern of ours any more.
    pub fn reconfigure(&mut self, now: Instant, graph: Graph) {
        let before = std::mem::replace(&mut self.graph, graph);
        let mut old: BTreeMap<Name, Member> = std::mem::take(&mut self.members)
            .into_iter()
            .map(|it| (it.unit.spec().name.clone(), it))
            .collect();
        for (index, spec) in self.graph.specs().to_vec().into_iter().enumerate() {
            let member = match old.remove(&spec.name) {
                Some(mut member) => {
                    member.unit.respecify(now, spec);
                    Some(member)
                }
                None => self.member(now, index, &BTreeMap::new()).map(|mut member| {
                    member.unit.order(now, Order::Start);
                    member
                }),
            };
            self.members.extend(member);
        }
        for spec in before.specs() {
            if old.contains_key(&spec.name) {
                self.report(spec.name.clone(), What::Left);
            }
        }
        self.settle(now);
    }

    /// The next thing to be done, in order.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`Input::Tick`] is due next; `None` if everything waits for something else.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.members.iter().filter_map(|it| it.unit.poll_timeout()).min()
    }

    /// The ticket that answers about a unit have to carry now.
    pub fn ticket(&self, unit: &str) -> Option<u64> {
        self.graph.position(unit).map(|index| self.members[index].unit.ticket())
    }

    /// Which units there are, and who requires whom.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// What a later mainstay has to know.
    pub fn memory(&self) -> BTreeMap<Name, Memory> {
        let memory =
            |unit: &Unit| Memory { known: unit.known().cloned(), stopped: unit.is_unwanted() };
        self.members.iter().map(|it| (it.unit.spec().name.clone(), memory(&it.unit))).collect()
    }

    pub(crate) fn members(&self) -> &[Member] {
        &self.members
    }

    fn member(
        &self,
        now: Instant,
        index: usize,
        memory: &BTreeMap<Name, Memory>,
    ) -> Option<Member> {
        let spec = self.graph.specs().get(index)?.clone();
        let memory = memory.get(&spec.name).cloned().unwrap_or_default();
        let seed = self.seed ^ u64::try_from(index).unwrap_or(0).rotate_left(32);
        let mut unit = Unit::new(spec, seed, memory.known);
        if memory.stopped {
            unit.order(now, Order::Stop);
        }
        let word = unit.state().word();
        Some(Member { unit, word, since: now, drift: None })
    }

    /// Goes on with stops that an earlier life of mainstay did not see done: what it knew of them still runs.
    fn go_on_stopping(&mut self, now: Instant) {
        for index in 0..self.members.len() {
            let mut above = self.graph.dependants(index).iter().map(|&it| &self.members[it].unit);
            let in_order = above.all(|it| it.is_unwanted() || !it.spec().enabled);
            let unit = &mut self.members[index].unit;
            if unit.is_unwanted() && unit.known().is_some() {
                unit.order(now, if in_order { Order::StopInOrder } else { Order::Stop });
                unit.doubt();
            }
        }
    }

    fn order(&mut self, now: Instant, unit: &Name, order: Order) {
        if let Some(index) = self.graph.position(unit.as_str()) {
            self.members[index].unit.order(now, order);
        }
    }

    fn order_all(&mut self, now: Instant, order: Order, unwanted_too: bool) {
        for member in &mut self.members {
            if unwanted_too || !member.unit.is_unwanted() {
                member.unit.order(now, order);
            }
        }
    }

    fn observe(&mut self, now: Instant, index: usize, ticket: u64, seen: Observation) {
        let unmet = self.unmet(index);
        let unit = &mut self.members[index].unit;
        let (name, was_ready) = (unit.spec().name.clone(), unit.is_ready());
        let before = unit.running().map(|it| it.identity.clone());
        let found = matches!(seen, Observation::Adopted(_));
        unit.observe(now, ticket, seen, &unmet);
        let became_ready = unit.is_ready() && !was_ready;
        let after = unit.running().map(|it| it.identity.clone());
        if let Some(identity) = after.filter(|after| before.as_ref() != Some(after)) {
            self.report(
                name,
                if found { What::Adopted(identity) } else { What::Started(identity) },
            );
        }
        if became_ready {
            for above in 0..self.members.len() {
                if self.graph.requires(above).contains(&index) {
                    self.members[above].unit.encourage();
                }
            }
        }
    }

    /// What keeps the unit at `index` from starting.
    fn unmet(&self, index: usize) -> Vec<Name> {
        let ran = self.members[index].unit.ran();
        let required = self.graph.requires(index).iter().map(|&it| &self.members[it].unit);
        required.filter(|it| it.keeps_waiting(ran)).map(|it| it.spec().name.clone()).collect()
    }

    fn circumstances(&self, index: usize) -> Circumstances {
        let mut above = self.graph.dependants(index).iter().map(|&it| &self.members[it].unit);
        Circumstances { unmet: self.unmet(index), is_free: above.all(Unit::is_at_rest) }
    }

    /// Lets every unit do what it can do now, and tells what has changed.
    fn settle(&mut self, now: Instant) {
        let mut moved = true;
        while moved {
            moved = false;
            for index in 0..self.members.len() {
                let circumstances = self.circumstances(index);
                let unit = &mut self.members[index].unit;
                let before = unit.ticket();
                unit.advance(now, &circumstances);
                moved |= unit.ticket() != before;
            }
        }
        for index in 0..self.members.len() {
            self.collect(now, index);
        }
    }

    fn collect(&mut self, now: Instant, index: usize) {
        let member = &mut self.members[index];
        let name = member.unit.spec().name.clone();
        let ticket = member.unit.ticket();
        for step in member.unit.take_steps() {
            self.actions.push_back(Action::Carry { unit: name.clone(), ticket, step });
        }
        let state = member.unit.state();
        let (from, to) = (member.word, state.word());
        let drift = member.unit.running().and_then(|it| it.drift.clone());
        let drifted = drift != member.drift;
        member.drift.clone_from(&drift);
        if from != to {
            (member.word, member.since) = (to, now);
            self.report(name.clone(), What::State { from, to, reason: state.reason() });
        }
        if drifted {
            self.report(name, What::Drift(drift));
        }
    }

    fn report(&mut self, unit: Name, what: What) {
        self.actions.push_back(Action::Report(Report { unit, what }));
    }
}
