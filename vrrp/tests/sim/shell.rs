//! The advertising thread: one turn as the real one makes it.
//!
//! Orders first; then the advertisements that are due, which never wait; then what the socket
//! holds; and only then the other timers. Woken late, the router is told before it sends.

use vrrp::router::{Action, Report, State};
use vrrp::time::{Duration, Instant};

use super::clock::{NEVER, Time, nanos};
use super::machine::Call;
use super::node::Effect;
use super::reference::Step;
use super::rules::{Check, ensure};
use super::trace::say;
use super::world::{Event, World};

/// A wake-up this late may have been a stall.
const LATE: Duration = Duration::from_millis(10);
/// What an Active has to do within this time is done with what is due.
const TOGETHER: Duration = Duration::from_micros(100);
/// The least time that the kernel has to acknowledge the addresses.
const INSTALL_TIME: Duration = Duration::from_millis(100);
/// Between two repairs of an address that somebody keeps deleting.
const REPAIR_PAUSE: Time = 50 * super::clock::MS;

impl World {
    /// Something at `at` is a reason for a turn.
    pub fn wake(&mut self, node: usize, at: Time) {
        let at = at.max(self.now) + self.between(self.timing.turn);
        let this = &mut self.nodes[node];
        if this.runs() && this.machine.is_some() && this.turn_at.is_none_or(|planned| at < planned)
        {
            this.turn_at = Some(at);
            self.plan(at, Event::Turn(node));
        }
    }

    /// One turn.
    pub fn turn(&mut self, id: usize) -> Check {
        let now = self.now;
        let node = &mut self.nodes[id];
        if !node.runs() || node.turn_at != Some(now) {
            return Ok(());
        }
        node.turn_at = None;
        let local = node.now(now);
        let late = node.armed.map_or(Duration::ZERO, |armed| local.saturating_since(armed));
        let stalled = late > LATE;
        if stalled {
            let overflowed = core::mem::take(&mut node.overflowed);
            self.call(id, &Call::Stall { late, overflowed })?;
        }
        while let Some(order) = self.nodes[id].orders.pop_front() {
            self.call(id, &order)?;
        }
        if !stalled {
            self.fire_active(id)?;
        }
        while let Some((arrived, heard)) = self.nodes[id].inbox.pop_front() {
            let arrived = self.nodes[id].now(arrived);
            self.call(id, &Call::Advert(arrived, heard))?;
        }
        if stalled {
            self.call(id, &Call::Resumed { late })?;
        }
        self.fire_active(id)?;
        self.fire_other(id)?;
        let node = &mut self.nodes[id];
        node.overflowed = false;
        node.armed = node.timeout();
        if let Some(armed) = node.armed {
            let at = node.profile.clock.global(armed);
            self.wake(id, at);
        }
        Ok(())
    }

    /// Fires an Active's timers, a little early so that many leave together.
    fn fire_active(&mut self, id: usize) -> Check {
        for _ in 0..10 {
            let node = &self.nodes[id];
            let local = node.now(self.now);
            match node.timeout().filter(|&at| at <= local + TOGETHER) {
                Some(at) if node.state() == State::Active => {
                    self.call_at(id, at.max(local), &Call::Timeout)?;
                }
                _ => return Ok(()),
            }
        }
        Err(format!("{}: a timer spins", self.nodes[id].name()))
    }

    /// Fires the timers of one that is not Active, never early.
    fn fire_other(&mut self, id: usize) -> Check {
        for _ in 0..10 {
            let node = &self.nodes[id];
            let local = node.now(self.now);
            let due = node.timeout().is_some_and(|at| at <= local);
            if !due || node.state() == State::Active {
                return Ok(());
            }
            self.call(id, &Call::Timeout)?;
        }
        Err(format!("{}: a timer spins", self.nodes[id].name()))
    }

    /// Hands a router one event, judges what it does and carries it out.
    pub fn call(&mut self, id: usize, call: &Call) -> Check {
        self.call_at(id, self.nodes[id].now(self.now), call)
    }

    fn call_at(&mut self, id: usize, now: Instant, call: &Call) -> Check {
        let mut actions = core::mem::take(&mut self.actions);
        actions.clear();
        let node = &mut self.nodes[id];
        let Some(machine) = &mut node.machine else {
            self.actions = actions;
            return Ok(());
        };
        let (before, priority) = (machine.state(), machine.priority());
        machine.call(now, call, &mut actions);
        let (after, timeout) = (machine.state(), machine.poll_timeout());
        let readdressed = matches!(call, Call::Source(_));
        let changed = before != after || priority != machine.priority() || readdressed;
        let judged = if node.is_mainstay() {
            node.reference.observe(&Step { now, call, after, timeout, actions: &actions })
        } else {
            Ok(())
        };
        if changed {
            node.changed = self.now;
            self.alarm_stale = true;
        }
        if self.trace.is_on() {
            self.tell(id, call, before, &actions);
        }
        judged.map_err(|why| format!("{} {why}", self.nodes[id].name()))?;
        for &action in &actions {
            self.carry_out(id, action);
        }
        if before != after {
            self.transition(id, before, after)?;
        }
        self.actions = actions;
        Ok(())
    }

    fn carry_out(&mut self, id: usize, action: Action) {
        let effect = match action {
            Action::SendAdvert { priority, source } => return self.advertise(id, priority, source),
            Action::Install(ticket) => Effect::Install(ticket),
            Action::Withdraw => Effect::Withdraw,
            Action::Announce(announcement) => Effect::Announce(announcement),
            Action::Probe => Effect::Probe,
            Action::Report(_) => return,
        };
        self.ask_keeper(id, effect);
    }

    fn transition(&mut self, id: usize, before: State, after: State) -> Check {
        let now = self.now;
        self.transitions += 1;
        self.ask_keeper(id, Effect::Show(after));
        let (turn, keeper) = (self.timing.turn.1, self.timing.keeper.1);
        let node = &mut self.nodes[id];
        node.lacks_until = None;
        match (before, after) {
            _ if !node.is_mainstay() => {}
            (_, State::Active) => {
                ensure!(node.source_now().is_some(), "{} is Active without a source", node.name());
                node.hold_until = NEVER;
                node.lacks_until = Some(now + node.install_patience() + turn);
            }
            // It may stay for 10 ms, or 50 ms where the router is drained, to bridge the handover.
            (State::Active, State::Backup) => {
                node.hold_until = now + node.longest_linger() + turn + keeper;
            }
            (_, State::Initialize) => node.hold_until = node.hold_until.min(now + keeper),
            _ => {}
        }
        if before == State::Initialize || after == State::Initialize {
            self.disturb();
        }
        if after == State::Active {
            self.takeovers.push((now, id));
        }
        Ok(())
    }

    /// The address of an Active is gone, and nobody asked for that: the kernel tells the keeper,
    /// the keeper the router, which may wait a moment before it repairs it.
    pub fn lacks(&mut self, id: usize) {
        let (turn, keeper) = (self.timing.turn.1, self.timing.keeper.1);
        let node = &mut self.nodes[id];
        if node.is_mainstay() && node.lacks_until.is_none() {
            let notice = keeper + 2 * turn + REPAIR_PAUSE;
            node.lacks_until = Some(self.now + notice + node.install_patience());
        }
        self.alarm_stale = true;
    }

    fn tell(&mut self, id: usize, call: &Call, before: State, actions: &[Action]) {
        let quiet = matches!(call, Call::Timeout | Call::Installed(_) | Call::Resumed { .. });
        let refreshes = matches!(actions, [Action::Install(_)]);
        if quiet && (actions.is_empty() || refreshes) {
            return;
        }
        let mut what = format!("{before:<10?} {call}");
        for action in actions {
            let effect = match action {
                Action::SendAdvert { priority, .. } => {
                    format!("sends {}", priority.map_or(0, vrrp::Priority::get))
                }
                Action::Report(Report::Transition { to, cause, .. }) => {
                    format!("becomes {to} ({cause})")
                }
                Action::Report(_) => continue,
                Action::Install(_) => "asks for the address".to_owned(),
                Action::Withdraw => "withdraws".to_owned(),
                Action::Announce(announcement) => format!("announces ({announcement:?})"),
                Action::Probe => "probes".to_owned(),
            };
            what.push_str(if what.contains(" -> ") { ", " } else { " -> " });
            what.push_str(&effect);
        }
        say!(self, id, "{what}");
    }
}

impl super::node::Node {
    fn install_patience(&self) -> Time {
        let interval = self.profile.config.interval.duration();
        self.profile.clock.real(interval.max(INSTALL_TIME))
    }

    /// How long the address may stay after leaving Active.
    pub fn longest_linger(&self) -> Time {
        let drained = self.eligibility == vrrp::router::Eligibility::Drained;
        nanos(Duration::from_millis(if drained { 51 } else { 11 }))
    }
}
