//! What goes wrong, and how it is made good.

use core::fmt;

use vrrp::router::{Eligibility, State};
use vrrp::time::Duration;

use super::clock::{MS, NEVER, Time, US, nanos};
use super::machine::Call;
use super::node::{Keeper, Kernel, Process};
use super::reference::Reference;
use super::scenario;
use super::trace::say;
use super::world::{Event, World};

/// One thing that is done to the group. Nodes are named by their place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    PowerOff(usize),
    /// A node that is off boots.
    PowerOn(usize),
    /// The VRRP process dies; the daemon removes the address, tells the peers and starts it again.
    Crash(usize),
    /// The daemon dies with it: only the kernel's lease is left.
    CrashBoth(usize),
    /// What is stopped or dead starts.
    Start(usize),
    /// The operator stops it.
    Stop(usize),
    /// All of mainstay stands still for so long.
    Pause(usize, Time),
    /// The VRRP process stands still; the daemon loses patience after a while.
    Hang(usize, Time),
    LinkDown(usize),
    LinkUp(usize),
    /// The interface gets another address.
    Readdress(usize),
    Becomes(usize, Eligibility),
    /// Somebody deletes the address.
    DeleteAddress(usize),
    /// The kernel refuses to install, or no longer.
    Refuse(usize, bool),
    /// A partition: on which side each node is, bit by bit.
    Split(u8),
    Heal,
    /// From, to: nothing gets through.
    OneWay(usize, usize),
    OneWaysEnd,
    /// So many packets in a thousand get lost.
    Loss(u64),
}

/// How long the daemon takes to see a death and remove the address, and to start it again.
pub const FENCE: (Time, Time) = (300 * US, 2 * MS);
pub const RESTART: (Time, Time) = (MS, 50 * MS);
/// The daemon's heartbeat: how often it looks.
pub const HEARTBEAT: Time = 500 * MS;

impl World {
    /// Whether the fault would change anything.
    pub fn applies(&self, fault: Fault) -> bool {
        match fault {
            Fault::PowerOff(n) => self.nodes[n].powered,
            Fault::PowerOn(n) => !self.nodes[n].powered,
            Fault::Start(n) => {
                let node = &self.nodes[n];
                node.powered && node.process != Process::Frozen && !node.started()
            }
            Fault::Crash(n) | Fault::CrashBoth(n) | Fault::Stop(n) | Fault::Pause(n, _) => {
                self.nodes[n].started() && self.nodes[n].runs()
            }
            Fault::Hang(n, _) => self.nodes[n].started() && self.nodes[n].runs(),
            Fault::LinkDown(n) => self.nodes[n].powered && self.nodes[n].link,
            Fault::LinkUp(n) => self.nodes[n].powered && !self.nodes[n].link,
            Fault::Readdress(n) => self.nodes[n].is_mainstay(),
            Fault::Becomes(n, eligibility) => self.nodes[n].eligibility != eligibility,
            Fault::DeleteAddress(n) => self.nodes[n].kernel.address && self.nodes[n].is_mainstay(),
            Fault::Refuse(n, refuses) => self.nodes[n].kernel.refuses != refuses,
            Fault::Split(_) | Fault::Heal | Fault::OneWaysEnd => true,
            Fault::OneWay(a, b) => a != b && !self.network.one_way.contains(&(a, b)),
            Fault::Loss(permille) => self.network.loss != permille,
        }
    }

    pub fn apply(&mut self, fault: Fault) {
        if !self.applies(fault) {
            return;
        }
        if self.trace.is_on() {
            self.trace.push(self.now, "**", &format!("{fault}"));
        }
        self.disturb();
        match fault {
            Fault::PowerOff(n) => {
                self.die(n);
                self.nodes[n].powered = false;
                self.nodes[n].kernel =
                    Kernel { generation: self.nodes[n].kernel.generation + 1, ..Kernel::default() };
                self.network.disturb(self.now);
            }
            Fault::PowerOn(n) => {
                self.nodes[n].powered = true;
                self.nodes[n].cache = None;
                self.network.disturb(self.now);
                self.boot(n);
            }
            Fault::Crash(n) => self.crash(n),
            Fault::CrashBoth(n) => {
                self.die(n);
                self.nodes[n].guard = false;
                self.nodes[n].hold_until = self.lease_end(n);
            }
            Fault::Start(n) => self.boot(n),
            Fault::Stop(n) => {
                self.nodes[n].stopped = true;
                self.order(n, Call::Stop);
            }
            Fault::Pause(n, span) => self.freeze(n, span),
            Fault::Hang(n, span) => self.hang(n, span),
            Fault::LinkDown(n) => {
                self.nodes[n].link = false;
                self.nodes[n].cache = None;
                self.network.disturb(self.now);
                self.order(n, Call::Source(None));
            }
            Fault::LinkUp(n) => {
                self.nodes[n].link = true;
                self.network.disturb(self.now);
                let source = self.nodes[n].source;
                self.order(n, Call::Source(Some(source)));
            }
            Fault::Readdress(n) => {
                let node = &mut self.nodes[n];
                node.source = scenario::next(node.source);
                let source = node.link.then_some(node.source);
                node.changed = self.now;
                self.order(n, Call::Source(source));
            }
            Fault::Becomes(n, eligibility) => {
                self.nodes[n].eligibility = eligibility;
                self.order(n, Call::Eligibility(eligibility));
            }
            Fault::DeleteAddress(n) => self.address_vanishes(n, "somebody deletes the address"),
            Fault::Refuse(n, refuses) => self.nodes[n].kernel.refuses = refuses,
            Fault::Split(sides) => {
                if self.network.side.iter().any(|&side| side != 0) {
                    // Who changes sides comes to an Active that cannot know of it.
                    self.clients_ask();
                }
                let sides = (0..self.nodes.len()).map(|n| sides >> n & 1).collect();
                self.network.side = sides;
                self.network.disturb(self.now);
            }
            Fault::Heal => {
                // Nobody speaks for a former owner whom its own side alone knew.
                let active: Vec<bool> = self.nodes.iter().map(|n| n.is(State::Active)).collect();
                for node in &mut self.nodes {
                    node.cache = node.cache.filter(|&owner| active[owner]);
                }
                self.network.side.fill(0);
                self.network.disturb(self.now);
            }
            Fault::OneWay(a, b) => {
                self.network.one_way.push((a, b));
                self.network.disturb(self.now);
            }
            Fault::OneWaysEnd => {
                self.network.one_way.clear();
                self.network.disturb(self.now);
            }
            Fault::Loss(permille) => self.network.loss = permille,
        }
    }

    fn order(&mut self, n: usize, call: Call) {
        self.nodes[n].orders.push_back(call);
        self.wake(n, self.now);
    }

    /// Starts the VRRP process; addresses that an earlier one left are removed first.
    pub fn boot(&mut self, n: usize) {
        self.die(n);
        self.remove(n, "an old address is removed");
        let node = &mut self.nodes[n];
        node.machine = Some(scenario::machine(&node.profile));
        node.reference = Reference::new(node.profile.config.clone());
        node.process = Process::Running;
        (node.guard, node.stopped) = (true, false);
        node.hold_until = 0;
        // The verdict comes first, so that nothing is advertised that does not hold.
        let eligibility = Some(Call::Eligibility(node.eligibility));
        node.orders.extend(eligibility.filter(|_| node.eligibility != Eligibility::Healthy));
        node.orders.push_back(Call::Source(node.link.then_some(node.source)));
        node.orders.push_back(Call::Start);
        self.disturb();
        self.wake(n, self.now);
    }

    /// The VRRP process is gone, with all that it knew.
    fn die(&mut self, n: usize) {
        let now = self.now;
        let node = &mut self.nodes[n];
        node.epoch += 1;
        node.process = Process::Dead;
        node.machine = None;
        node.keeper = Keeper::default();
        node.inbox.clear();
        node.overflowed = false;
        node.orders.clear();
        (node.armed, node.turn_at, node.lacks_until) = (None, None, None);
        node.changed = now;
        self.disturb();
    }

    fn crash(&mut self, n: usize) {
        let active = self.nodes[n].state() == State::Active;
        self.die(n);
        let at = self.now + self.between(FENCE);
        self.nodes[n].hold_until = at;
        self.plan(at, Event::Fence(n, self.nodes[n].epoch, active));
        self.disturb_until(at);
    }

    /// The daemon fences, speaks for the dead and starts it again.
    pub fn fence(&mut self, n: usize, active: bool) {
        self.remove(n, "the daemon removes the address");
        if active {
            say!(self, n, "the daemon sends 0 for the dead");
            self.advertise(n, None, self.nodes[n].source);
        }
        let at = self.now + self.between(RESTART);
        self.plan(at, Event::Restart(n, self.nodes[n].epoch));
        self.disturb_until(at);
    }

    fn freeze(&mut self, n: usize, span: Time) {
        let hold_until = self.lease_end(n);
        let node = &mut self.nodes[n];
        node.process = Process::Frozen;
        (node.turn_at, node.keeper.due) = (None, None);
        node.hold_until = hold_until;
        let at = self.now + span;
        self.plan(at, Event::Thaw(n, self.nodes[n].epoch));
        self.disturb_until(at);
    }

    /// The daemon waits for an answer: 1 s, three intervals or two thirds of the lease.
    fn hang(&mut self, n: usize, span: Time) {
        let patience = hang_patience(&self.nodes[n]) + self.between((0, HEARTBEAT));
        self.freeze(n, span.min(patience));
        if span > patience {
            self.nodes[n].epoch += 1;
            self.plan(self.now + patience, Event::Kill(n, self.nodes[n].epoch));
        }
    }

    pub fn kill(&mut self, n: usize) {
        say!(self, n, "the daemon kills the VRRP process");
        self.crash(n);
    }

    pub fn thaw(&mut self, n: usize) {
        let (turn, keeper) = (self.timing.turn.1, self.timing.keeper.1);
        let node = &mut self.nodes[n];
        node.process = Process::Running;
        node.changed = self.now;
        let lingers = self.now + node.longest_linger() + turn + keeper;
        node.hold_until = if node.state() == State::Active { NEVER } else { lingers };
        // What has to happen now had no chance to happen before.
        node.lacks_until = None;
        say!(self, n, "goes on");
        if self.nodes[n].state() == State::Active && !self.nodes[n].kernel.address {
            self.lacks(n);
        }
        self.disturb();
        self.wake(n, self.now);
        self.poke_keeper(n, self.now);
    }
}

/// How long the daemon waits for a VRRP process that does not answer.
pub fn hang_patience(node: &super::node::Node) -> Time {
    let lease = node.profile.config.lease.map_or(Duration::ZERO, |lease| lease.duration() * 2 / 3);
    let patience = Duration::from_secs(1).max(lease.min(Duration::from_secs(5)));
    nanos(patience.max(node.profile.config.interval.duration() * 3))
}

impl super::node::Node {
    /// Whether its virtual router is meant to take part.
    pub fn started(&self) -> bool {
        self.machine.is_some() && !self.stopped
    }

    /// Whether it will take part, perhaps once it goes on or has been started again.
    pub fn will_run(&self) -> bool {
        let restarts = self.process != Process::Dead || self.guard;
        self.powered && self.link && !self.stopped && restarts
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |n: usize| format!("n{}", n + 1);
        let span = |span: Time| Duration::from_nanos(span);
        match *self {
            Self::PowerOff(n) => write!(f, "{} loses its power", name(n)),
            Self::PowerOn(n) => write!(f, "{} boots", name(n)),
            Self::Crash(n) => write!(f, "{}: the VRRP process dies", name(n)),
            Self::CrashBoth(n) => write!(f, "{}: the daemon and the VRRP process die", name(n)),
            Self::Start(n) => write!(f, "{} is started", name(n)),
            Self::Stop(n) => write!(f, "{} is stopped", name(n)),
            Self::Pause(n, time) => write!(f, "{} is frozen for {:?}", name(n), span(time)),
            Self::Hang(n, time) => {
                write!(f, "{}: the VRRP process hangs for {:?}", name(n), span(time))
            }
            Self::LinkDown(n) => write!(f, "{} loses its link", name(n)),
            Self::LinkUp(n) => write!(f, "{} has its link again", name(n)),
            Self::Readdress(n) => write!(f, "{} gets another address", name(n)),
            Self::Becomes(n, eligibility) => write!(f, "{} becomes {eligibility:?}", name(n)),
            Self::DeleteAddress(n) => write!(f, "somebody deletes {}'s address", name(n)),
            Self::Refuse(n, true) => write!(f, "{}'s kernel refuses addresses", name(n)),
            Self::Refuse(n, false) => write!(f, "{}'s kernel takes addresses again", name(n)),
            Self::Split(sides) => write!(f, "the network splits: {sides:05b}"),
            Self::Heal => f.write_str("the network is whole"),
            Self::OneWay(a, b) => write!(f, "nothing gets from {} to {}", name(a), name(b)),
            Self::OneWaysEnd => f.write_str("all ways are open in both directions"),
            Self::Loss(permille) => write!(f, "{permille} packets in a thousand get lost"),
        }
    }
}
