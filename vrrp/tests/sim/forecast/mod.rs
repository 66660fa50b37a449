//! What one fault may do to a group that has converged, in which no packet gets lost.
//!
//! From the moments at which packets were sent follows for each Backup a window in which its
//! Active_Down_Timer fires. Who may fire before it hears of the first that does, may take over;
//! so may, after that, whoever would take over from one of those. Nobody else moves.

mod by_fault;

use by_fault::restart;

use vrrp::Priority;
use vrrp::router::State;
use vrrp::time::{Centis, Duration};

use super::clock::{Clock, NEVER, Time};
use super::faults::{FENCE, Fault};
use super::node::Process;
use super::reference::{longest_hush, skew_time};
use super::rules::{Check, ROUNDING, ensure};
use super::world::World;

/// The group before a fault.
pub struct Before {
    at: Time,
    states: Vec<State>,
    /// The Active that each node hears.
    active: Vec<Option<usize>>,
}

/// What will come of a fault in one partition.
#[derive(Debug)]
pub struct Forecast {
    partition: Vec<usize>,
    /// Who may be Active in the end; empty if nobody can.
    winners: Vec<usize>,
    /// How often somebody becomes Active.
    takeovers: (usize, usize),
    /// By when the first has.
    first_by: Time,
}

/// When a node's timer fires: not before, and by then.
#[derive(Clone, Copy, Debug)]
struct Window {
    node: usize,
    from: Time,
    until: Time,
}

impl World {
    pub fn before(&self) -> Before {
        let mut active = vec![None; self.nodes.len()];
        for partition in self.partitions() {
            let found = self.actives(&partition).first().copied();
            partition.iter().for_each(|&node| active[node] = found);
        }
        let states = self.nodes.iter().map(|node| node.state()).collect();
        Before { at: self.now, states, active }
    }

    /// Lets the group get over a fault, and compares.
    pub fn fulfil(&mut self, mut forecasts: Vec<Forecast>) -> Check {
        let first = self.takeovers.len();
        forecasts.sort_by_key(|forecast| forecast.first_by);
        for forecast in forecasts.iter().filter(|forecast| forecast.first_by < NEVER) {
            self.run_until(self.now.max(forecast.first_by))?;
            let moved = forecast.count(&self.takeovers[first..]);
            ensure!(moved > 0, "nobody has taken over in {:?}", forecast.names());
        }
        self.settle()?;
        for forecast in &forecasts {
            let moved = forecast.count(&self.takeovers[first..]);
            let (least, most) = forecast.takeovers;
            let names = forecast.names();
            ensure!(moved >= least, "{moved} takeovers in {names:?}, at least {least} expected");
            ensure!(moved <= most, "{moved} takeovers in {names:?}, at most {most} expected");
            if let [active] = self.actives(&forecast.partition)[..] {
                let (name, expected) = (self.nodes[active].name(), &forecast.winners);
                ensure!(
                    expected.contains(&active),
                    "{name} is Active, and not one of {expected:?}"
                );
            }
        }
        Ok(())
    }

    /// What a fault that has just been applied will do.
    pub fn forecast(&self, before: &Before, fault: Fault) -> Vec<Forecast> {
        let partitions = self.partitions();
        partitions
            .into_iter()
            .map(|p| Group { world: self, before, partition: p }.after(fault))
            .collect()
    }
}

impl Forecast {
    fn count(&self, takeovers: &[(Time, usize)]) -> usize {
        takeovers.iter().filter(|(_, node)| self.partition.contains(node)).count()
    }

    fn names(&self) -> Vec<String> {
        self.partition.iter().map(|node| format!("n{}", node + 1)).collect()
    }
}

/// One partition after the fault.
struct Group<'a> {
    world: &'a World,
    before: &'a Before,
    partition: Vec<usize>,
}

impl Group<'_> {
    fn after(self, fault: Fault) -> Forecast {
        let here = |node: usize| self.partition.contains(&node);
        let now = self.before.at;
        let turn = self.world.timing.turn.1;
        match fault {
            Fault::PowerOff(node) | Fault::CrashBoth(node) | Fault::LinkDown(node) => {
                self.falls_silent(node)
            }
            Fault::Stop(node) if self.was_active(node) => self.gives_up(node, (now, now + turn)),
            Fault::Crash(node) if self.was_active(node) && here(node) => {
                self.gives_up(node, (now + FENCE.0, now + FENCE.1))
            }
            Fault::Crash(node) if here(node) => self.joins(node, restart(now, now)),
            Fault::LinkUp(node) if !self.world.nodes[node].started() => self.stays(),
            Fault::Start(node) | Fault::PowerOn(node) | Fault::LinkUp(node) if here(node) => {
                self.joins(node, (now, now))
            }
            Fault::Becomes(node, _) if here(node) => self.becomes(node),
            Fault::Pause(node, span) if self.was_active(node) && here(node) => {
                self.pauses(node, span)
            }
            Fault::Hang(node, span) if here(node) => self.hangs(node, span),
            Fault::Split(_) | Fault::Heal => self.meets(),
            _ => self.stays(),
        }
    }

    fn was_active(&self, node: usize) -> bool {
        self.before.states[node] == State::Active
    }

    fn priority(&self, node: usize) -> Option<Priority> {
        self.world.nodes[node].verdict()
    }

    fn clock(&self, node: usize) -> Clock {
        self.world.nodes[node].profile.clock
    }

    fn interval(&self, node: usize) -> Centis {
        self.world.nodes[node].profile.config.interval
    }

    /// Those that were in a state before and will go on in it.
    fn still(&self, state: State) -> impl Iterator<Item = usize> + '_ {
        let goes_on = move |&node: &usize| {
            let this = &self.world.nodes[node];
            let lives = this.process != Process::Dead && this.will_run();
            self.before.states[node] == state && lives
        };
        self.partition.iter().copied().filter(goes_on)
    }

    fn backups(&self) -> impl Iterator<Item = usize> + '_ {
        self.still(State::Backup)
    }

    /// The strongest Active.
    fn active(&self) -> Option<usize> {
        let strength = |&node: &usize| (self.priority(node), self.world.nodes[node].source);
        self.still(State::Active).max_by_key(strength)
    }

    /// Skew_Time of a node at the interval of another.
    fn skew(&self, node: usize, of: usize) -> Time {
        let skew = skew_time(self.interval(of), self.priority(node).unwrap_or(Priority::DRAINED));
        self.clock(node).real(skew)
    }

    fn active_down(&self, node: usize, of: usize) -> Time {
        let three: Duration = self.interval(of).duration() * 3;
        self.clock(node).real(three) + self.skew(node, of)
    }

    /// After an advertisement sent within `sent`, and a span that runs from its arrival.
    fn window(&self, node: usize, sent: (Time, Time), span: Time) -> Window {
        let timing = &self.world.timing;
        Window {
            node,
            from: (sent.0 + timing.delay.0 + span).saturating_sub(2 * ROUNDING),
            until: sent.1 + timing.delay.1 + span + timing.turn.1 + 2 * ROUNDING,
        }
    }

    /// After the last advertisement of `of`.
    fn silence(&self, node: usize, of: usize) -> Window {
        let last = self.world.nodes[of].sent[0];
        self.window(node, (last, last), self.active_down(node, of))
    }

    fn stays(&self) -> Forecast {
        self.resolve(&[], &[])
    }

    /// How long the first advertisement may wait for the addresses.
    fn hush(&self, node: usize) -> Time {
        let profile = &self.world.nodes[node].profile;
        let longest = profile.clock.real(longest_hush(profile.config.interval));
        if profile.config.virtual_mac { longest + self.world.timing.turn.1 } else { 0 }
    }

    /// Who takes over, given whose timers fire and who `else` may move; all those that meet are
    /// decided between by priority and address, which [`World::settle`] sees to.
    fn resolve(&self, windows: &[Window], may: &[usize]) -> Forecast {
        let first_by = windows.iter().map(|window| window.until).min().unwrap_or(NEVER);
        let hush = windows.iter().map(|window| self.hush(window.node)).max().unwrap_or(0);
        let heard_by = first_by.saturating_add(hush + self.world.timing.delay.1);
        let fires = windows.iter().filter(|window| window.from <= heard_by);
        let mut movers: Vec<usize> = fires.map(|window| window.node).collect();
        movers.extend(may);
        let mut at = 0;
        while at < movers.len() {
            let priority = self.priority(movers[at]);
            let follows = |&node: &usize| {
                !movers.contains(&node)
                    && self.world.nodes[node].will_run()
                    && self.world.nodes[node].wants(priority)
            };
            let followers: Vec<usize> = self.partition.iter().copied().filter(follows).collect();
            movers.extend(followers);
            at += 1;
        }
        movers.sort_unstable();
        movers.dedup();
        let takeovers = (usize::from(!windows.is_empty()), movers.len());
        let mut winners = movers;
        if windows.is_empty() {
            winners.extend(self.active());
        }
        Forecast { partition: self.partition.clone(), winners, takeovers, first_by }
    }
}
