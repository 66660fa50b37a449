//! The state machine of one virtual router (RFC 9568, 6.4), without I/O.
//!
//! ```text
//!                      +---------------+
//!           +--------->|               |<-------------+
//!           |          |  Initialize   |              |
//!           |   +------|               |----------+   |
//!           |   |      +---------------+          |   |
//!           |   | priority 255          otherwise |   |
//!           |   V                                 V   |
//!   +---------------+                       +---------------+
//!   |               |---------------------->|               |
//!   |    Active     |    higher advert      |    Backup     |
//!   |               |<----------------------|               |
//!   +---------------+   Active_Down_Timer   +---------------+
//! ```
//!
//! Events go in by the `handle_*` methods with the time at which they happened; effects come out
//! of [`Router::poll_action`], which is drained after every event; [`Router::poll_timeout`] says
//! when [`Router::handle_timeout`] is next due.
//!
//! With [`Preempt::Always`](crate::config::Preempt::Always) or
//! [`Preempt::Never`](crate::config::Preempt::Never) this is the RFC to the letter. Health bands,
//! the lease and the rules for late wake-ups only add to it; each is named where it stands.

mod action;
mod active;
mod backup;
mod others;
mod phase;

use core::net::IpAddr;

use phase::{Initialize, Phase, Purpose};
use serde::{Deserialize, Serialize};

use self::action::Actions;
pub use self::action::{Action, Announcement, Cause, Report, State, Ticket};
pub use self::active::LONGEST_LINGER;
use crate::Priority;
use crate::config::{OnDegraded, RouterConfig};
use crate::time::{Centis, Duration, Instant};

/// Whether this node should hold the addresses, as its checks and its operator see it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Eligibility {
    /// The checks pass: the configured priority.
    #[default]
    Healthy,
    /// The checks fail: the degraded priority, or a release.
    Degraded,
    /// The operator drains it: priority 1.
    Drained,
}

/// An advertisement, as far as the state machine looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// The router that sent it; never this one.
    pub source: IpAddr,
    /// `None`: it gives up.
    pub priority: Option<Priority>,
    /// Its Max Advertise Interval.
    pub interval: Centis,
}

/// One virtual router on one interface, in one address family.
#[derive(Debug)]
pub struct Router {
    config: RouterConfig,
    eligibility: Eligibility,
    /// The interface's own address; `None` while the interface cannot be used.
    source: Option<IpAddr>,
    /// Takeovers in a row that ended without the address.
    failures: u32,
    last_ticket: u32,
    phase: Phase,
    actions: Actions,
}

impl Router {
    /// A virtual router that is not started.
    pub fn new(config: RouterConfig) -> Self {
        Self {
            config,
            eligibility: Eligibility::Healthy,
            source: None,
            failures: 0,
            last_ticket: 0,
            phase: Phase::Initialize(Initialize::Stopped),
            actions: Actions::new(),
        }
    }

    /// The next effect to carry out, in order.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop()
    }

    /// When [`Router::handle_timeout`] is due next; `None` if no timer runs.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.phase.timeout()
    }

    /// The state of RFC 9568, 6.4.
    pub fn state(&self) -> State {
        self.phase.state()
    }

    /// The configuration in force.
    pub fn config(&self) -> &RouterConfig {
        &self.config
    }

    /// What this router advertises, or would; `None` if it would release.
    pub fn effective_priority(&self) -> Option<Priority> {
        match (self.eligibility, self.config.on_degraded) {
            (Eligibility::Healthy, _) => Some(self.config.priority),
            (Eligibility::Degraded, OnDegraded::Advertise) => Some(self.config.degraded_priority),
            (Eligibility::Degraded, OnDegraded::Release) => None,
            (Eligibility::Drained, _) => Some(Priority::DRAINED),
        }
    }

    /// The address that advertisements are sent from.
    pub fn source(&self) -> Option<IpAddr> {
        self.source
    }

    /// The Active and its priority, as far as this router knows: a Backup the one it watches, an
    /// Active itself. The priority is `None` where it would give up.
    pub fn active_router(&self) -> Option<(IpAddr, Option<Priority>)> {
        match &self.phase {
            Phase::Backup(backup) => {
                backup.heard.map(|(source, priority)| (source, Some(priority)))
            }
            Phase::Active(_) => self.source.map(|source| (source, self.effective_priority())),
            Phase::Initialize(_) => None,
        }
    }

    /// Starts taking part (6.4.1). Does nothing if it is started already.
    pub fn start(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Initialize(Initialize::Stopped)) {
            self.enter(now, Cause::Started);
        }
    }

    /// Stops taking part; an Active sends priority 0 and withdraws (6.4.2, 6.4.3: Shutdown).
    pub fn stop(&mut self) {
        self.leave(Initialize::Stopped, Cause::Stopped);
    }

    /// Puts another configuration in force and leaves the old one in its place. The VRID, the
    /// family and the interface stay: where one of those changes, it is another virtual router.
    pub fn reconfigure(&mut self, now: Instant, config: &mut RouterConfig) {
        let before = self.effective_priority();
        core::mem::swap(&mut self.config, config);
        let addresses_changed = config.addresses != self.config.addresses;
        let lease_changed = config.lease != self.config.lease;
        let interval_changed = config.interval != self.config.interval;
        let after = self.effective_priority();
        if let Phase::Active(active) = &mut self.phase
            && after.is_some()
        {
            active.next_advert = active.next_advert.min(now + self.config.interval.duration());
            if addresses_changed || lease_changed {
                self.request_install(now, Purpose::Change);
            }
            if (addresses_changed || interval_changed) && before == after {
                self.send_advert(after);
            }
        }
        self.priority_changed(now, before);
        if interval_changed {
            self.interval_changed_in_backup(now);
        }
    }

    /// Takes the verdict of the checks and of the operator.
    pub fn set_eligibility(&mut self, now: Instant, eligibility: Eligibility) {
        let before = self.effective_priority();
        self.eligibility = eligibility;
        self.priority_changed(now, before);
    }

    /// Takes the interface's own address; `None` if the interface is gone, down, without
    /// carrier or has no address to send from.
    pub fn set_source(&mut self, now: Instant, source: Option<IpAddr>) {
        if source.is_none() {
            if !matches!(self.phase, Phase::Initialize(Initialize::Stopped)) {
                self.leave(Initialize::NoInterface, Cause::InterfaceDown);
            }
            self.source = None;
            return;
        }
        self.source = source;
        if matches!(self.phase, Phase::Initialize(Initialize::NoInterface)) {
            self.enter(now, Cause::InterfaceUp);
        }
    }

    /// Takes an advertisement that passed every check of RFC 9568, 7.1, and came from another
    /// router. `arrived` is when the packet arrived, which may lie before the last event.
    pub fn handle_advert(&mut self, arrived: Instant, heard: Heard) {
        match &self.phase {
            Phase::Initialize(_) => {}
            Phase::Backup(_) => self.advert_in_backup(arrived, heard),
            Phase::Active(_) => self.advert_in_active(arrived, heard),
        }
    }

    /// Fires what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        match &mut self.phase {
            Phase::Initialize(Initialize::Paused { until }) if *until <= now => {
                self.enter(now, Cause::Retry);
            }
            Phase::Initialize(_) => {}
            Phase::Backup(backup) => {
                if backup.down_at <= now {
                    let cause = backup.cause();
                    self.become_active(now, cause);
                } else if backup.linger_until.is_some_and(|until| until <= now) {
                    self.end_linger();
                }
            }
            Phase::Active(_) => self.timeout_in_active(now),
        }
    }

    /// The loop was woken `late`, and packets may wait in the socket: called before they are
    /// read, and followed by [`Router::handle_resumed`] after. Nothing happens where less than
    /// an interval was lost.
    ///
    /// An Active that stood still for more than three intervals, whose lease ran out meanwhile or
    /// whose socket overflowed withdraws before it sends anything: peers may have taken over.
    pub fn handle_stall(&mut self, now: Instant, late: Duration, overflowed: bool) {
        let interval = self.config.interval.duration();
        if late <= interval {
            return;
        }
        let Phase::Active(active) = &mut self.phase else {
            return;
        };
        let lease_lapsed = active.give_up_at.is_some_and(|at| at <= now);
        if late > interval * 3 || overflowed || lease_lapsed {
            self.withdraw_to_backup(now, Cause::Stalled { late });
        } else {
            active.suspect = true;
        }
    }

    /// The packets that waited during a stall have been read. A Backup waits a whole
    /// Active_Down_Interval from now: what it did not hear, it may have slept through. An owner is
    /// Active again, unless another owner was heard.
    pub fn handle_resumed(&mut self, now: Instant, late: Duration) {
        if late <= self.config.interval.duration() {
            return;
        }
        match &mut self.phase {
            Phase::Initialize(_) => {}
            Phase::Active(active) => active.suspect = false,
            Phase::Backup(backup) => {
                let another = backup.heard.is_some_and(|(_, priority)| priority.is_owner());
                self.actions.push(Action::Report(Report::Stalled { late }));
                if self.effective_priority() == Some(Priority::OWNER) && !another {
                    self.become_active(now, Cause::AddressOwner);
                } else {
                    self.restart_active_down(now);
                }
            }
        }
    }

    /// Another router announced one of the addresses by gratuitous ARP or NA: after leaving
    /// Active, the sign that the address can go; to an Active, one more reason to announce them.
    pub fn handle_claimed(&mut self, now: Instant) {
        match &self.phase {
            Phase::Initialize(_) => {}
            Phase::Backup(_) => self.end_linger(),
            Phase::Active(_) => self.handle_probed(now),
        }
    }

    /// From Initialize into the state that the configuration and the interface allow (6.4.1).
    fn enter(&mut self, now: Instant, cause: Cause) {
        if self.source.is_none() {
            self.phase = Phase::Initialize(Initialize::NoInterface);
            return;
        }
        let Some(priority) = self.effective_priority() else {
            self.phase = Phase::Initialize(Initialize::Released);
            return;
        };
        if priority.is_owner() {
            self.become_active(now, Cause::AddressOwner);
            return;
        }
        self.transition(Phase::Backup(self.backup_from(now, self.config.interval)), cause);
    }

    /// The priority that Skew_Time is computed from.
    fn skew_priority(&self) -> Priority {
        self.effective_priority().unwrap_or(Priority::DRAINED)
    }

    /// Into Initialize: an Active gives up with priority 0 first.
    fn leave(&mut self, to: Initialize, cause: Cause) {
        match &self.phase {
            Phase::Active(_) => {
                self.send_advert(None);
                self.actions.push(Action::Withdraw);
            }
            Phase::Backup(_) => self.end_linger(),
            Phase::Initialize(_) => {
                self.phase = Phase::Initialize(to);
                return;
            }
        }
        self.transition(Phase::Initialize(to), cause);
    }

    /// Acts on an effective priority that may have changed from `before`.
    fn priority_changed(&mut self, now: Instant, before: Option<Priority>) {
        let after = self.effective_priority();
        if before == after {
            return;
        }
        self.actions.push(Action::Report(Report::Priority { from: before, to: after }));
        if after.is_none() {
            if !matches!(self.phase, Phase::Initialize(_)) {
                self.leave(Initialize::Released, Cause::Degraded);
            }
            return;
        }
        match &self.phase {
            Phase::Initialize(Initialize::Released) => self.enter(now, Cause::Recovered),
            Phase::Initialize(_) => {}
            // After a late wake-up another may have taken over: it is heard first.
            Phase::Active(active) if active.suspect => {}
            // At once, without moving the schedule.
            Phase::Active(_) => self.send_advert(after),
            // An owner waits for nobody, here as in Initialize (6.4.1).
            Phase::Backup(_) if after == Some(Priority::OWNER) => {
                self.become_active(now, Cause::AddressOwner);
            }
            Phase::Backup(_) => self.priority_changed_in_backup(now, before),
        }
    }

    fn send_advert(&mut self, priority: Option<Priority>) {
        if let Phase::Active(active) = &mut self.phase {
            active.first_advert_by = None;
        }
        if let Some(source) = self.source {
            self.actions.push(Action::SendAdvert { priority, source });
        }
    }

    fn transition(&mut self, to: Phase, cause: Cause) {
        let from = self.phase.state();
        self.phase = to;
        let to = self.phase.state();
        self.actions.push(Action::Report(Report::Transition { from, to, cause }));
    }
}

#[cfg(test)]
mod tests;
