//! A router on virtual time, and the rules that must hold after every event. The fuzz targets use
//! it too.

use core::net::IpAddr;

use vrrp::Priority;
use vrrp::config::{Preempt, RouterConfig};
use vrrp::router::{Action, Heard, Report, Router, State, Ticket};
use vrrp::time::{Centis, Duration, Instant};

use crate::events::Event;

/// The ring of actions holds so many.
const CAPACITY: usize = 16;
/// The kernel has so long to acknowledge the addresses, or an interval if that is longer.
const INSTALL_TIME: Duration = Duration::from_millis(100);
/// The least time between two answers to routers that lose.
const ANSWER_PAUSE: Duration = Duration::from_millis(1);
/// With a virtual MAC address the first advert waits so long at most for the addresses.
const LONGEST_HUSH: Duration = Duration::from_millis(5);
/// The address stays so long at most after leaving Active.
const LINGER: Duration = Duration::from_millis(50);

/// A router and what has been seen of it.
pub struct Model {
    router: Router,
    now: Instant,
    /// Every request for the addresses with its time, the newest last.
    requests: Vec<(Ticket, Instant)>,
    /// The newest request for the addresses has been acknowledged since the last withdrawal, and
    /// when it was made.
    acknowledged: Option<Instant>,
    /// The router is Active without an acknowledgement since.
    unconfirmed_since: Option<Instant>,
    /// The longest that may last: the configuration may change meanwhile.
    patience: Duration,
    /// The longest time that a lease may go unconfirmed.
    lease_patience: Option<Duration>,
    /// The addresses must be withdrawn by then.
    withdraw_by: Option<Instant>,
    /// Active_Adver_Interval of a Backup, where only the RFC's rules have made it.
    learned: Option<Duration>,
    /// Whether an owner of the addresses was ever heard.
    heard_owner: bool,
    last_advert: Option<Instant>,
    /// When an Active has sent its first advert at the latest.
    speaks_by: Instant,
    /// The longest interval since the last advert.
    interval: Duration,
}

impl Model {
    /// Not started, and without an interface.
    pub fn new(config: RouterConfig) -> Self {
        Self {
            interval: config.interval.duration(),
            router: Router::new(config),
            now: Instant::from_nanos(1_000_000_000_000),
            requests: vec![(Ticket::default(), Instant::default())],
            acknowledged: None,
            unconfirmed_since: None,
            patience: Duration::ZERO,
            lease_patience: None,
            withdraw_by: None,
            learned: None,
            heard_owner: false,
            last_advert: None,
            speaks_by: Instant::default(),
        }
    }

    fn local_interval(&self) -> Duration {
        self.router.config().interval.duration()
    }

    /// Lets one thing happen, and panics if a rule is broken.
    pub fn apply(&mut self, event: Event) {
        match event {
            Event::Run(span) => self.run(span),
            Event::Stall { late, overflowed, queued } => self.stall(late, overflowed, &queued),
            Event::Hear(from, priority, centis) => self.hear(from, priority, centis),
            Event::Installed => self.installed(),
            Event::Refused => {
                let (ticket, _) = *self.requests.last().unwrap();
                self.event(|router, now| router.handle_install_failed(now, ticket));
            }
            Event::StaleInstalled => {
                let stale = self.requests.len().saturating_sub(2);
                let (ticket, _) = self.requests[stale];
                if self.requests.len() > 1 {
                    let actions = self.event(|router, now| router.handle_installed(now, ticket));
                    assert_eq!(actions, [], "a stale answer was believed");
                }
            }
            Event::AddressLost => {
                self.event(|router, now| router.handle_address_lost(now));
            }
            Event::SuccessorAnnounced => {
                self.event(|router, now| router.handle_claimed(now));
                assert_eq!(self.withdraw_by, None, "the successor was heard");
            }
            Event::Eligibility(eligibility) => {
                self.event(|router, now| router.set_eligibility(now, eligibility));
            }
            Event::Source(last) => {
                let source = last.map(|last| IpAddr::from([10, 0, 0, last]));
                self.event(|router, now| router.set_source(now, source));
            }
            Event::Start => {
                self.event(|router, now| router.start(now));
            }
            Event::Stop => {
                self.event(|router, _| router.stop());
                assert_eq!(self.router.state(), State::Initialize);
            }
            Event::Reconfigure(mut config) => {
                self.interval = self.interval.max(config.interval.duration());
                self.patience = self.patience.max(config.interval.duration());
                self.event(|router, now| router.reconfigure(now, &mut config));
                self.learned = None;
            }
        }
    }

    /// Lets time go by; every timer fires when it is due.
    fn run(&mut self, span: Duration) {
        let end = self.now + span;
        let mut fired = 0;
        while let Some(at) = self.router.poll_timeout().filter(|&at| at <= end) {
            self.now = self.now.max(at);
            self.event(|router, now| router.handle_timeout(now));
            assert!(self.router.poll_timeout() > Some(self.now) || self.is_idle(), "a timer spins");
            fired += 1;
            assert!(fired < 100_000, "timers fire without end");
        }
        self.now = end;
    }

    fn is_idle(&self) -> bool {
        self.router.poll_timeout().is_none()
    }

    fn stall(&mut self, late: Duration, overflowed: bool, queued: &[(u8, u8, u16)]) {
        let Some(at) = self.router.poll_timeout() else {
            return;
        };
        let before = self.router.state();
        let interval = self.local_interval();
        self.now = self.now.max(at) + late;
        // What is owed for the time of the stall cannot be paid in it.
        self.last_advert = self.last_advert.map(|_| self.now);
        self.withdraw_by = self.withdraw_by.map(|by| by.max(self.now));
        self.unconfirmed_since = None;
        self.acknowledged = self.acknowledged.map(|asked| asked.max(self.now));
        let stalled = self.event_late(|router, now| router.handle_stall(now, late, overflowed));
        if before == State::Active && late > interval * 3 {
            assert_eq!(stalled.first(), Some(&Action::Withdraw), "withdraws before it sends");
            assert_eq!(self.router.state(), State::Backup);
        }
        for &(from, priority, centis) in queued {
            let was_active = self.router.state() == State::Active;
            let heard = heard(from, priority, centis);
            self.heard_owner |= priority == 255;
            let actions = self.event_late(|router, now| router.handle_advert(now, heard));
            if was_active && late > interval && priority > 0 {
                assert_eq!(actions.first(), Some(&Action::Withdraw), "withdraws before it sends");
            }
        }
        self.event_late(|router, now| router.handle_resumed(now, late));
        self.learned = None;
        if late > interval && self.router.state() == State::Backup {
            let linger = self.withdraw_by;
            let at = self.router.poll_timeout().unwrap();
            assert!(linger.is_some() || at > self.now + interval.min(Duration::from_millis(30)));
        }
        self.run(Duration::ZERO);
    }

    fn hear(&mut self, from: u8, priority: u8, centis: u16) {
        let before = (self.router.state(), self.router.poll_timeout());
        let own = self.router.effective_priority();
        let heard = heard(from, priority, centis);
        self.heard_owner |= priority == 255;
        let actions = self.event(|router, now| router.handle_advert(now, heard));
        let preempts = match self.router.config().preempt {
            Preempt::Always => true,
            Preempt::Never => own == Some(Priority::OWNER),
            Preempt::DegradedOnly => own == Some(Priority::OWNER) && priority > 127,
        };
        let discards = preempts && heard.priority.is_some() && heard.priority < own;
        match before.0 {
            State::Initialize => {
                assert_eq!((actions, before.1), (vec![], self.router.poll_timeout()));
            }
            State::Backup => {
                assert_eq!((actions, self.router.state()), (vec![], State::Backup));
                if discards {
                    assert_eq!(self.router.poll_timeout(), before.1, "a discarded advert");
                } else {
                    self.heard_in_backup(heard, own.unwrap());
                }
            }
            State::Active if self.router.state() == State::Active => {
                let source = self.router.source().unwrap();
                assert!(heard.priority <= own && (heard.priority < own || heard.source <= source));
                let answer = Action::SendAdvert { priority: own, source };
                let lately = self.last_advert.is_some_and(|at| self.now < at + ANSWER_PAUSE);
                let excused = lately && heard.priority.is_some();
                assert!(actions.contains(&answer) || excused, "a loser was not answered");
            }
            State::Active => {
                assert!(heard.priority >= own);
                assert_eq!(self.router.state(), State::Backup);
                let sends = |action: &Action| matches!(action, Action::SendAdvert { .. });
                assert!(!actions.iter().any(sends), "a loser says nothing");
                self.learned = Some(heard.interval.duration());
                let down = active_down_interval(heard.interval.duration(), own.unwrap());
                assert!(self.router.poll_timeout() <= Some(self.now + down));
            }
        }
    }

    /// RFC 9568, 6.4.2, to the nanosecond, where health bands have no say.
    fn heard_in_backup(&mut self, heard: Heard, own: Priority) {
        if heard.priority.is_some() {
            self.learned = Some(heard.interval.duration());
        }
        if self.router.config().preempt == Preempt::DegradedOnly {
            self.learned = None;
        }
        // While the addresses linger, the timer that is due next may be another.
        if let (Some(interval), None) = (self.learned, self.withdraw_by) {
            let expected = match heard.priority {
                Some(_) => active_down_interval(interval, own),
                None => skew_time(interval, own),
            };
            assert_eq!(self.router.poll_timeout(), Some(self.now + expected), "{heard:?}");
        }
    }

    fn installed(&mut self) {
        let (ticket, asked) = *self.requests.last().unwrap();
        let known = self.requests.len();
        // The acknowledgement counts before what follows from it is looked at.
        let before = (self.acknowledged, self.unconfirmed_since, self.lease_patience);
        if self.router.state() == State::Active {
            self.acknowledged = Some(asked);
            self.unconfirmed_since = None;
            self.lease_patience = self.router.config().lease.map(|l| l.refresh_interval() * 2);
        }
        self.event(|router, now| router.handle_installed(now, ticket));
        if self.requests.len() > known {
            // An address was lost meanwhile: it is asked again, and nothing is confirmed.
            (self.acknowledged, self.unconfirmed_since, self.lease_patience) = before;
        }
    }

    /// How long the kernel may take: 0.2 ms more for each address beyond the first.
    fn install_patience(&self) -> Duration {
        let addresses = u32::try_from(self.router.config().addresses.iter().len()).unwrap();
        self.local_interval().max(INSTALL_TIME) + Duration::from_micros(200) * (addresses - 1)
    }

    /// One event on time.
    fn event(&mut self, event: impl FnOnce(&mut Router, Instant)) -> Vec<Action> {
        let actions = self.event_late(event);
        self.check_deadlines();
        actions
    }

    /// One event, whose effects are checked but not the router's deadlines.
    fn event_late(&mut self, event: impl FnOnce(&mut Router, Instant)) -> Vec<Action> {
        let before = self.router.state();
        event(&mut self.router, self.now);
        let after = self.router.state();
        let all: Vec<Action> = core::iter::from_fn(|| self.router.poll_action()).collect();
        assert!(all.len() <= CAPACITY, "{all:?}");
        if before != State::Active && after == State::Active {
            self.unconfirmed_since = Some(self.now);
            self.patience = self.install_patience();
            self.withdraw_by = None;
            self.acknowledged = None;
            self.last_advert = None;
            let hush = (self.local_interval() / 64).min(LONGEST_HUSH);
            let hush = if self.router.config().virtual_mac { hush } else { Duration::ZERO };
            self.speaks_by = self.now + hush;
        }
        if before != State::Backup && after == State::Backup {
            self.learned = Some(self.local_interval());
        }
        if before == State::Active && after != State::Active {
            self.unconfirmed_since = None;
            let linger = if after == State::Backup { LINGER } else { Duration::ZERO };
            self.withdraw_by = Some(self.now + linger);
        }
        if before == State::Backup && after == State::Initialize && self.withdraw_by.is_some() {
            self.withdraw_by = Some(self.now);
        }
        let mut state = before;
        for &action in &all {
            self.check(action, before, after);
            if let Action::Report(Report::Transition { from, to, .. }) = action {
                assert_eq!(from, state);
                state = to;
            }
        }
        assert_eq!(state, after, "every transition is reported");
        if self.withdraw_by == Some(self.now) && after == State::Initialize {
            panic!("Initialize with the addresses: {all:?}");
        }
        all.into_iter().filter(|action| !matches!(action, Action::Report(_))).collect()
    }

    fn check(&mut self, action: Action, before: State, after: State) {
        match action {
            Action::SendAdvert { priority: None, .. } => {
                assert_eq!((before, after), (State::Active, State::Initialize));
            }
            Action::SendAdvert { priority, source } => {
                assert_eq!(after, State::Active);
                assert_eq!(priority, self.router.effective_priority());
                assert_eq!(Some(source), self.router.source());
                self.last_advert = Some(self.now);
                self.interval = self.local_interval();
            }
            Action::Install(ticket) => {
                assert_eq!(after, State::Active);
                assert!(self.requests.iter().all(|&(other, _)| other != ticket));
                self.requests.push((ticket, self.now));
            }
            Action::Withdraw => {
                assert_ne!(after, State::Active);
                self.acknowledged = None;
                self.withdraw_by = None;
            }
            Action::Announce(_) => {
                assert_eq!(after, State::Active);
                assert!(self.acknowledged.is_some(), "announced without the addresses");
            }
            Action::Probe => assert_eq!((before, after), (State::Active, State::Backup)),
            Action::Report(_) => {}
        }
    }

    fn check_deadlines(&self) {
        let now = self.now;
        assert!(self.withdraw_by.is_none_or(|by| now <= by), "the addresses were not withdrawn");
        let next = self.router.poll_timeout();
        match self.router.state() {
            State::Initialize => {}
            State::Backup => {
                assert!(next.is_some());
                let owner = self.router.effective_priority() == Some(Priority::OWNER);
                assert!(!owner || self.heard_owner, "an owner waits");
            }
            State::Active => {
                assert!(next.unwrap() <= now + self.local_interval());
                if let Some(last) = self.last_advert {
                    assert!(now.saturating_since(last) <= self.interval, "a gap between adverts");
                } else {
                    assert!(now < self.speaks_by, "the first advert is late");
                }
                if let Some(since) = self.unconfirmed_since {
                    let waited = now.saturating_since(since);
                    assert!(waited <= self.patience, "Active without the addresses");
                } else if let (Some(asked), Some(patience)) =
                    (self.acknowledged, self.lease_patience)
                {
                    let waited = now.saturating_since(asked);
                    let patience = patience.max(self.patience);
                    assert!(waited <= patience, "Active with a lease not confirmed");
                }
            }
        }
    }
}

/// Skew_Time (RFC 9568, 6.1).
fn skew_time(interval: Duration, priority: Priority) -> Duration {
    let nanos = interval.as_nanos() * u128::from(256 - u16::from(priority.get())) / 256;
    Duration::from_nanos(nanos.try_into().unwrap())
}

/// Active_Down_Interval (RFC 9568, 6.1).
fn active_down_interval(interval: Duration, priority: Priority) -> Duration {
    interval * 3 + skew_time(interval, priority)
}

fn heard(from: u8, priority: u8, centis: u16) -> Heard {
    Heard {
        source: IpAddr::from([10, 0, 0, from]),
        priority: Priority::new(priority),
        interval: Centis::new(centis).unwrap(),
    }
}
