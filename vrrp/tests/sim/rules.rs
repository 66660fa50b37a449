//! Rules about the group that hold at every moment, whatever goes wrong.
//!
//! Each is a deadline that is known as soon as the state is: the world stops when one passes.

use vrrp::router::State;

use super::clock::{MS, NEVER, Time, US};
use super::world::{World, sooner};

/// Nothing, or which rule is broken and how.
pub type Check = Result<(), String>;

/// Breaks off with a message unless the condition holds.
macro_rules! ensure {
    ($holds:expr, $($why:tt)+) => {
        if !$holds {
            return Err(format!($($why)+));
        }
    };
}
pub(super) use ensure;

/// Roundings of one clock to another.
pub const ROUNDING: Time = US;

/// A rule that is broken if nothing changes until then.
#[derive(Clone, Copy, Debug)]
pub struct Alarm {
    pub at: Time,
    rule: Rule,
}

#[derive(Clone, Copy, Debug)]
enum Rule {
    /// Two that hear each other are Active.
    OneActive(usize, usize),
    /// An address is set on a node that is not Active.
    NoAddress(usize),
    /// A node is Active without its address.
    Address(usize),
}

impl World {
    pub fn check_alarm(&self, at: Time) -> Check {
        let Some(alarm) = self.alarm.filter(|alarm| alarm.at < at) else {
            return Ok(());
        };
        let name = |node: usize| self.nodes[node].name();
        Err(match alarm.rule {
            Rule::OneActive(a, b) => {
                format!("{} and {} hear each other and both stay Active", name(a), name(b))
            }
            Rule::NoAddress(node) => format!("{} keeps the address and is not Active", name(node)),
            Rule::Address(node) => format!("{} stays Active without the address", name(node)),
        })
    }

    pub fn set_alarm(&mut self) {
        self.alarm_stale = false;
        let mut alarm = None;
        for a in 0..self.nodes.len() {
            for b in 0..a {
                if self.nodes[a].is(State::Active) && self.nodes[b].is(State::Active) {
                    alarm = sooner(
                        alarm,
                        Alarm { at: self.one_yields(a, b), rule: Rule::OneActive(a, b) },
                    );
                }
            }
            let node = &self.nodes[a];
            if node.is_mainstay() && node.kernel.address {
                alarm = sooner(alarm, Alarm { at: node.hold_until, rule: Rule::NoAddress(a) });
            }
            if let Some(at) = node.lacks_until.filter(|_| node.is(State::Active)) {
                alarm = sooner(alarm, Alarm { at, rule: Rule::Address(a) });
            }
        }
        self.alarm = alarm;
    }

    /// By when one of two that are Active has yielded. What counts is the time since both are
    /// Active with the priorities that they have, and no packet between them was lost.
    ///
    /// The stronger, by priority and then by address, advertises within one of its intervals, and
    /// the weaker yields to that: interval + turn + way + turn (RFC 9568, 6.4.3). If it is a
    /// mainstay, it answers the weaker's next advertisement too, at once or 1 ms after its last answer:
    /// interval of the weaker + turn + way + turn + 1 ms + turn + way + turn.
    fn one_yields(&self, a: usize, b: usize) -> Time {
        if !self.hear_each_other(a, b) {
            return NEVER;
        }
        let (stronger, weaker) =
            if self.nodes[a].strength() > self.nodes[b].strength() { (a, b) } else { (b, a) };
        let (stronger, weaker) = (&self.nodes[stronger], &self.nodes[weaker]);
        let since = stronger.changed.max(weaker.changed);
        let since = since.max(self.network.disturbed(a, b)).max(self.network.disturbed(b, a));
        let (turn, way) = (self.timing.turn.1, self.timing.delay.1);
        let told = stronger.real_interval() + way + 2 * turn;
        let answered = MS + weaker.real_interval() + 2 * way + 4 * turn;
        let within = if stronger.is_mainstay() { told.min(answered) } else { told };
        since + within + ROUNDING
    }
}
