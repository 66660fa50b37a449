//! A peer that follows RFC 5798, as keepalived does: it neither knows health bands nor answers an
//! advertisement of lower priority.

use core::net::IpAddr;

use vrrp::Priority;
use vrrp::router::{Action, Announcement, Cause, Heard, Report, State, Ticket};
use vrrp::time::{Centis, Duration, Instant};

use super::machine::Call;

#[derive(Debug)]
pub struct Keepalived {
    pub priority: Priority,
    pub interval: Centis,
    /// keepalived's `nopreempt` is false here.
    pub preempt: bool,
    source: Option<IpAddr>,
    state: State,
    started: bool,
    learned: Centis,
    down_at: Instant,
    next_advert: Instant,
}

impl Keepalived {
    pub fn new(priority: Priority, interval: Centis, preempt: bool) -> Self {
        Self {
            priority,
            interval,
            preempt,
            source: None,
            state: State::Initialize,
            started: false,
            learned: interval,
            down_at: Instant::default(),
            next_advert: Instant::default(),
        }
    }

    pub fn state(&self) -> State {
        self.state
    }

    pub fn source(&self) -> Option<IpAddr> {
        self.source
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Initialize => None,
            State::Backup => Some(self.down_at),
            State::Active => Some(self.next_advert),
        }
    }

    pub fn call(&mut self, now: Instant, call: &Call, actions: &mut Vec<Action>) {
        match *call {
            Call::Start => self.started = true,
            Call::Stop => self.started = false,
            Call::Source(source) => {
                if source.is_none() {
                    self.leave(actions);
                }
                self.source = source;
            }
            Call::Advert(arrived, heard) => return self.hear(arrived, heard, actions),
            Call::Timeout => return self.fire(now, actions),
            _ => return,
        }
        if !self.started {
            self.leave(actions);
        } else if self.state == State::Initialize && self.source.is_some() {
            self.learned = self.interval;
            self.watch(now);
            self.enter(State::Backup, Cause::Started, actions);
        }
    }

    fn skew(&self) -> Duration {
        self.learned.duration() * (256 - u32::from(self.priority.get())) / 256
    }

    fn watch(&mut self, now: Instant) {
        self.down_at = now + self.learned.duration() * 3 + self.skew();
    }

    fn hear(&mut self, now: Instant, heard: Heard, actions: &mut Vec<Action>) {
        match (self.state, heard.priority) {
            (State::Initialize, _) => {}
            (State::Backup, None) => self.down_at = now + self.skew(),
            (State::Backup, Some(priority)) => {
                if !self.preempt || priority >= self.priority {
                    self.learned = heard.interval;
                    self.watch(now);
                }
            }
            (State::Active, None) => self.advertise(now, actions),
            (State::Active, Some(priority)) => {
                let source = Some(heard.source);
                if priority > self.priority || (priority == self.priority && source > self.source) {
                    self.learned = heard.interval;
                    self.watch(now);
                    actions.push(Action::Withdraw);
                    let cause = Cause::HigherPriority { source: heard.source, priority };
                    self.enter(State::Backup, cause, actions);
                }
            }
        }
    }

    fn fire(&mut self, now: Instant, actions: &mut Vec<Action>) {
        if self.state == State::Backup && self.down_at <= now {
            self.advertise(now, actions);
            self.enter(State::Active, Cause::ActiveDown { last: None }, actions);
            actions.push(Action::Install(Ticket::default()));
            actions.push(Action::Announce(Announcement::Takeover));
        } else if self.state == State::Active && self.next_advert <= now {
            self.advertise(now, actions);
        }
    }

    fn advertise(&mut self, now: Instant, actions: &mut Vec<Action>) {
        self.next_advert = now + self.interval.duration();
        if let Some(source) = self.source {
            actions.push(Action::SendAdvert { priority: Some(self.priority), source });
        }
    }

    fn leave(&mut self, actions: &mut Vec<Action>) {
        if self.state == State::Active
            && let Some(source) = self.source
        {
            actions.push(Action::SendAdvert { priority: None, source });
            actions.push(Action::Withdraw);
        }
        if self.state != State::Initialize {
            self.enter(State::Initialize, Cause::Stopped, actions);
        }
    }

    fn enter(&mut self, to: State, cause: Cause, actions: &mut Vec<Action>) {
        let from = core::mem::replace(&mut self.state, to);
        actions.push(Action::Report(Report::Transition { from, to, cause }));
    }
}
