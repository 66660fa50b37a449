//! What each fault does to the windows of those that stay.

use vrrp::Priority;
use vrrp::router::State;

use super::{Forecast, Group, Window};
use crate::clock::{NEVER, Time};
use crate::faults::{FENCE, HEARTBEAT, RESTART, hang_patience};
use crate::rules::ROUNDING;

impl Group<'_> {
    pub(super) fn falls_silent(&self, node: usize) -> Forecast {
        if !self.was_active(node) || self.partition == [node] {
            return self.stays();
        }
        let heard = self.backups().filter(|&backup| self.before.active[backup] == Some(node));
        let windows: Vec<Window> = heard.map(|backup| self.silence(backup, node)).collect();
        self.resolve(&windows, &[])
    }

    /// Priority 0 is sent within `sent`. If it comes after what the next Active says, or if it
    /// comes twice, a Backup waits for Skew_Time in vain, for the rule does not ask whose 0 it is.
    pub(super) fn gives_up(&self, node: usize, sent: (Time, Time)) -> Forecast {
        if self.before.active.iter().all(|&active| active != Some(node)) {
            return self.stays();
        }
        let timing = &self.world.timing;
        let heard: Vec<usize> =
            self.backups().filter(|&backup| self.before.active[backup] == Some(node)).collect();
        let overtaken = self.is_overtaken(node, sent.0);
        let windows = heard.iter().map(|&backup| {
            let mut window = self.window(backup, sent, self.skew(backup, node));
            if overtaken {
                window.until = window.until.max(self.silence(backup, node).until);
            }
            window
        });
        let mut windows: Vec<Window> = windows.collect();
        let least = heard.iter().map(|&backup| self.skew(backup, node)).min().unwrap_or(0);
        let owner = self.world.nodes[node].is_owner();
        let comes_after = |gap| timing.delay.1 > timing.delay.0 + gap;
        let misleads = timing.duplicates > 0
            || comes_after(timing.delay.0 + least)
            || owner && !timing.in_order && comes_after(RESTART.0);
        let mut others = if misleads { heard.clone() } else { Vec::new() };
        // Alone, it comes back by itself; an owner does so at once; and it may be as soon as those
        // who wait in full.
        let back = self.partition.contains(&node) && self.world.nodes[node].will_run();
        // Until it hears of its successor it counts with its own interval, which may be the shorter.
        let between = |&next: &usize| self.world.nodes[next].real_interval();
        let longest = heard.iter().map(between).max().unwrap_or(0);
        if back
            && longest + timing.delay.1 + timing.turn.1 + ROUNDING > self.active_down(node, node)
        {
            others.push(node);
        }
        let waits = !windows.is_empty() && !owner && !overtaken;
        if back && !waits && self.priority(node).is_some() {
            windows.push(self.starts(node, restart(sent.0, sent.1)));
        }
        let mut forecast = self.resolve(&windows, &others);
        if overtaken {
            forecast.takeovers.1 *= 2;
        }
        forecast
    }

    /// Whether the last advertisement of a node may arrive after what it sends at `at`. A Backup then
    /// waits for it in full, and one that has taken over yields to it in vain and comes back.
    fn is_overtaken(&self, node: usize, at: Time) -> bool {
        let timing = &self.world.timing;
        let last = self.world.nodes[node].sent[0] + timing.delay.1;
        !timing.in_order && last + ROUNDING > at + timing.delay.0
    }

    /// A node that enters Backup within `at`, with nobody to listen to.
    pub(super) fn starts(&self, node: usize, at: (Time, Time)) -> Window {
        let turn = self.world.timing.turn.1;
        let span = if self.world.nodes[node].is_owner() { 0 } else { self.active_down(node, node) };
        let from = (at.0 + span).saturating_sub(ROUNDING);
        Window { node, from, until: at.1 + span + 2 * turn + ROUNDING }
    }

    /// A node takes part again, from a moment within `at` on.
    pub(super) fn joins(&self, node: usize, at: (Time, Time)) -> Forecast {
        let this = &self.world.nodes[node];
        if !this.link || self.priority(node).is_none() {
            return self.stays();
        }
        let timing = &self.world.timing;
        let (turn, way) = (timing.turn.1, timing.delay.1);
        let mut window = self.starts(node, at);
        if let Some(active) = self.active().filter(|_| !this.is_owner()) {
            if !this.wants(self.priority(active)) {
                return self.stays();
            }
            if this.hastens(self.priority(active)) {
                let hears = self.world.nodes[active].real_interval() + turn + way;
                let until = at.1 + hears + self.skew(node, active) + 3 * turn + 2 * ROUNDING;
                window = Window { node, from: at.0, until };
            }
        }
        // Two owners meet: the address decides.
        let owner = self.active().filter(|&active| self.world.nodes[active].is_owner());
        self.resolve(&[window], owner.as_slice())
    }

    /// A node's priority changes.
    pub(super) fn becomes(&self, node: usize) -> Forecast {
        let this = &self.world.nodes[node];
        let (now, turn) = (self.before.at, self.world.timing.turn.1);
        let priority = self.priority(node);
        match self.before.states[node] {
            _ if !this.runs() || !this.started() || !this.link => self.stays(),
            State::Initialize => self.joins(node, (now, now + turn)),
            State::Active if priority.is_none() => self.gives_up(node, (now, now + turn)),
            State::Active => {
                let wanting = self.backups().filter(|&b| self.world.nodes[b].wants(priority));
                let windows: Vec<Window> = wanting.map(|b| self.overtakes(b, node)).collect();
                let mut forecast = self.resolve(&windows, &[]);
                if self.is_overtaken(node, now) {
                    forecast.takeovers.1 *= 2;
                }
                forecast
            }
            State::Backup => {
                let takes = |&a: &usize| this.is_owner() || this.wants(self.priority(a));
                let active = self.active().filter(takes);
                let Some(active) = active else { return self.stays() };
                let at_once = Window { node, from: now, until: now + turn + ROUNDING };
                if this.is_owner() {
                    let owner = Some(active).filter(|&a| self.world.nodes[a].is_owner());
                    return self.resolve(&[at_once], owner.as_slice());
                }
                let mut window = self.silence(node, active);
                if this.hastens(self.priority(active)) {
                    let until = at_once.until + self.skew(node, active) + turn + ROUNDING;
                    window = Window { until, ..at_once };
                }
                self.resolve(&[window], &[])
            }
        }
    }

    /// A Backup takes over from a living Active that has become worse than it. An older
    /// advertisement may come after the first of the new priority; then the next one counts.
    pub(super) fn overtakes(&self, node: usize, active: usize) -> Window {
        let silence = self.silence(node, active);
        if !self.world.nodes[node].hastens(self.priority(active)) {
            return silence;
        }
        let (now, timing) = (self.before.at, &self.world.timing);
        let skew = self.window(node, (now, now + timing.turn.1), self.skew(node, active));
        let overtaken = self.is_overtaken(active, now);
        let again =
            if overtaken { self.world.nodes[active].real_interval() + timing.turn.1 } else { 0 };
        Window { from: skew.from.min(silence.from), until: skew.until + again, ..skew }
    }

    /// The Active stands still. It stays if it goes on before anybody's timer fires and before it
    /// has to assume so itself: three intervals late, or its lease unconfirmed for two thirds of
    /// its time, of which a third may have passed.
    pub(super) fn pauses(&self, node: usize, span: Time) -> Forecast {
        let (now, timing) = (self.before.at, &self.world.timing);
        let (turn, way) = (timing.turn.1, timing.delay.1);
        let this = &self.world.nodes[node];
        let windows: Vec<Window> = self.backups().map(|b| self.silence(b, node)).collect();
        let back = now + span + turn;
        let first = windows.iter().map(|window| window.from).min().unwrap_or(NEVER);
        let patient = span + 2 * turn + ROUNDING
            < this.profile.clock.real(this.profile.config.interval.duration() * 3);
        let leased = this.profile.config.lease.is_none_or(|lease| {
            let third = this.profile.clock.real(lease.refresh_interval());
            span + 3 * turn + timing.keeper.1 + ROUNDING < third
        });
        if patient && leased && back + way < first {
            return self.stays();
        }
        let mut may: Vec<usize> = vec![node];
        if !leased {
            may.extend(self.backups());
        }
        let mut forecast = self.resolve(&windows, &may);
        let must = windows.iter().any(|window| window.until < now + span);
        if !must {
            forecast.takeovers.0 = 0;
            forecast.first_by = NEVER;
        }
        forecast
    }

    /// The VRRP process stands still, and the daemon may end that: it says 0 for an Active, which
    /// is nobody's concern any more but is heard. Whose Skew_Time is shorter than the answer of the
    /// new Active takes over.
    pub(super) fn hangs(&self, node: usize, span: Time) -> Forecast {
        let now = self.before.at;
        let patience = hang_patience(&self.world.nodes[node]);
        let killed = restart(now + patience, now + patience + HEARTBEAT);
        if span <= patience {
            return if self.was_active(node) { self.pauses(node, span) } else { self.stays() };
        }
        let goes_on = span <= patience + HEARTBEAT;
        if !self.was_active(node) {
            let mut forecast = self.joins(node, killed);
            if goes_on {
                (forecast.takeovers.0, forecast.first_by) = (0, NEVER);
                forecast.winners.extend(self.active());
            }
            return forecast;
        }
        // A timer that has not fired by then is set to Skew_Time, even if that is longer.
        let told = (now + patience, now + patience + HEARTBEAT + FENCE.1);
        let windows: Vec<Window> = self
            .backups()
            .map(|backup| {
                let silence = self.silence(backup, node);
                let released = self.window(backup, told, self.skew(backup, node));
                let until = if silence.until < told.0 {
                    silence.until
                } else {
                    released.until.max(silence.until)
                };
                Window { until, ..silence }
            })
            .collect();
        let mut may: Vec<usize> = self.backups().filter(|&b| self.is_misled(b, node)).collect();
        let misled = may.len();
        may.push(node);
        let mut forecast = self.resolve(&windows, &may);
        forecast.takeovers.1 += misled;
        if goes_on && windows.iter().all(|window| window.until >= told.0) {
            (forecast.takeovers.0, forecast.first_by) = (0, NEVER);
        }
        forecast
    }

    /// Whether a Backup may take over when `of` gives up that is not Active any more: the answer of
    /// the Active takes longer than Skew_Time, or comes before the 0.
    fn is_misled(&self, backup: usize, of: usize) -> bool {
        let timing = &self.world.timing;
        let (least, most) = timing.delay;
        let answered = 2 * most + timing.turn.1;
        let overtaken = timing.duplicates > 0 || most > 2 * least;
        overtaken || self.skew(backup, of) + least < answered + ROUNDING
    }

    /// The ways have changed: Actives may meet, and Backups may meet others than they heard.
    pub(super) fn meets(&self) -> Forecast {
        let timing = &self.world.timing;
        let Some(active) = self.active() else {
            let windows =
                self.backups().filter_map(|b| Some(self.silence(b, self.before.active[b]?)));
            return self.resolve(&windows.collect::<Vec<_>>(), &[]);
        };
        let heard = self.world.nodes[active].real_interval() + timing.turn.1 + timing.delay.1;
        // The last that comes may be the loser's, whose interval it then counts with.
        let forgets = |backup, old| {
            !timing.in_order && self.active_down(backup, old) <= heard + timing.delay.1
        };
        let (mut windows, mut may) = (Vec::new(), Vec::new());
        for backup in self.backups() {
            let Some(old) = self.before.active[backup].filter(|&old| old != active) else {
                continue;
            };
            let silence = self.silence(backup, old);
            if self.world.nodes[backup].wants(self.priority(active))
                && !self.partition.contains(&old)
            {
                // While it counts on a healthy one, a degraded one is no reason to hasten.
                let hastens = self.world.nodes[backup].hastens(self.priority(active))
                    && self.priority(old).is_none_or(Priority::is_degraded);
                let from = if hastens { self.before.at } else { silence.from };
                windows.push(Window { from, ..silence });
            } else if silence.from <= self.before.at + heard || forgets(backup, old) {
                may.push(backup);
            }
        }
        self.resolve(&windows, &may)
    }
}

/// When a process runs again that is found dead within `dead`.
pub(super) fn restart(least: Time, most: Time) -> (Time, Time) {
    (least + RESTART.0, most + FENCE.1 + RESTART.1)
}
