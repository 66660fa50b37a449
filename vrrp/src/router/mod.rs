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
//! With [`Preempt::Always`] or [`Preempt::Never`] this is the RFC to the letter. Health bands,
//! the lease and the rules for late wake-ups only add to it; each is named where it stands.

mod action;
mod phase;

use core::net::IpAddr;

use phase::{
    Active, Backup, Expecting, Initialize, Phase, Purpose, Request, Rival, active_down_interval,
    skew_time,
};
use serde::{Deserialize, Serialize};

use self::action::Actions;
pub use self::action::{Action, Announcement, Cause, Report, State, Ticket};
use crate::Priority;
use crate::config::{OnDegraded, Preempt, RouterConfig};
use crate::time::{Centis, Duration, Instant};

/// How long the kernel may take at least to acknowledge the addresses.
const INSTALL_TIME: Duration = Duration::from_millis(100);
/// Pause before asking again for addresses that were refused.
const INSTALL_RETRY: Duration = Duration::from_millis(10);
/// Pause in Initialize after addresses that could not be installed, doubled each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest of these pauses.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How long the address stays after leaving Active, unless the successor is heard first.
const LINGER: Duration = Duration::from_millis(10);
/// The same when drained.
const LINGER_DRAINED: Duration = Duration::from_millis(50);
/// The least time between two announcements against a rival, and the silence that ends it.
const REASSERT_INTERVAL: Duration = Duration::from_millis(100);

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
                self.request_install(now, Purpose::Repair);
            }
            if (addresses_changed || interval_changed) && before == after {
                self.send_advert(after);
            }
        }
        self.priority_changed(now, before);
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
    /// Active_Down_Interval from now: what it did not hear, it may have slept through.
    pub fn handle_resumed(&mut self, now: Instant, late: Duration) {
        if late <= self.config.interval.duration() {
            return;
        }
        match &mut self.phase {
            Phase::Initialize(_) => {}
            Phase::Active(active) => active.suspect = false,
            Phase::Backup(_) => {
                self.actions.push(Action::Report(Report::Stalled { late }));
                self.restart_active_down(now);
            }
        }
    }

    /// The kernel acknowledged all addresses of the request named by `ticket`.
    pub fn handle_installed(&mut self, now: Instant, ticket: Ticket) {
        let lease = self.config.lease;
        let Phase::Active(active) = &mut self.phase else {
            return;
        };
        let Some(request) = active.request.filter(|request| request.ticket == ticket) else {
            return;
        };
        if request.outdated {
            self.request_install(now, request.purpose);
            return;
        }
        active.request = None;
        active.installed = true;
        // The lease runs from the request at the earliest; two thirds of it leave time to say so.
        active.refresh_at = lease.map(|lease| request.asked + lease.refresh_interval());
        active.give_up_at = lease.map(|lease| request.asked + lease.refresh_interval() * 2);
        self.failures = 0;
        let report = match request.purpose {
            Purpose::Takeover => Report::Installed,
            Purpose::Repair => Report::Repaired,
            Purpose::Refresh => return,
        };
        self.actions.push(Action::Report(report));
        self.actions.push(Action::Announce(Announcement::Takeover));
        if let Phase::Active(Active { rival: Some(rival), .. }) = &mut self.phase {
            rival.announced_at = now;
        }
    }

    /// The kernel refused an address of the request named by `ticket`. It is asked again until
    /// the time for a confirmation is over.
    pub fn handle_install_failed(&mut self, now: Instant, ticket: Ticket) {
        if let Phase::Active(active) = &mut self.phase
            && active.request.is_some_and(|request| request.ticket == ticket)
        {
            active.refresh_at = Some(now + INSTALL_RETRY);
        }
    }

    /// Somebody removed an address of this virtual router. An Active puts it back at once.
    pub fn handle_address_lost(&mut self, now: Instant) {
        let Phase::Active(active) = &mut self.phase else {
            return;
        };
        match &mut active.request {
            Some(request) if request.purpose != Purpose::Refresh => request.outdated = true,
            _ => {
                self.actions.push(Action::Report(Report::AddressLost));
                self.request_install(now, Purpose::Repair);
            }
        }
    }

    /// Another router announced one of the addresses by gratuitous ARP or NA: after leaving
    /// Active, the sign that the address can go.
    pub fn handle_successor_announced(&mut self) {
        if matches!(&self.phase, Phase::Backup(Backup { linger_until: Some(_), .. })) {
            self.end_linger();
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

    /// A Backup that has heard nobody yet.
    fn backup_from(&self, now: Instant, interval: Centis) -> Backup {
        Backup {
            down_at: now + active_down_interval(interval, self.skew_priority()),
            expecting: Expecting::Silence,
            interval,
            heard: None,
            linger_until: None,
        }
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

    /// Backup or Initialize to Active: advertise, then install, then (once that is acknowledged)
    /// announce (6.4.1, 6.4.2).
    fn become_active(&mut self, now: Instant, cause: Cause) {
        self.send_advert(self.effective_priority());
        self.transition(
            Phase::Active(Active {
                next_advert: now + self.config.interval.duration(),
                request: None,
                installed: false,
                refresh_at: None,
                give_up_at: None,
                rival: None,
                suspect: false,
            }),
            cause,
        );
        self.request_install(now, Purpose::Takeover);
    }

    fn advert_in_backup(&mut self, now: Instant, heard: Heard) {
        let own = self.skew_priority();
        let accepts = self.accepts(heard.priority);
        let hastens = heard.priority.is_some_and(|priority| self.hastens(own, priority));
        let Phase::Backup(backup) = &mut self.phase else {
            return;
        };
        let Some(priority) = heard.priority else {
            backup.down_at = now + skew_time(backup.interval, own);
            backup.expecting = Expecting::Released(heard.source);
            return;
        };
        if accepts {
            backup.interval = heard.interval;
            backup.heard = Some((heard.source, priority));
            self.restart_active_down(now);
        } else if hastens {
            // It may yet be watched in full, should this router degrade too.
            backup.interval = heard.interval;
            backup.heard = Some((heard.source, priority));
            self.hasten(now, heard.source, priority);
        }
    }

    /// Whether a Backup restarts its timer on an advertisement of this priority: Preempt_Mode
    /// False, or a priority at least its own (6.4.2).
    fn accepts(&self, priority: Option<Priority>) -> bool {
        let own = self.skew_priority();
        let Some(priority) = priority else {
            return false;
        };
        match self.config.preempt {
            // The owner of the addresses always preempts (6.1).
            _ if own.is_owner() => priority >= own,
            Preempt::Never => true,
            Preempt::Always => priority >= own,
            Preempt::DegradedOnly => !self.hastens(own, priority),
        }
    }

    /// Whether a Backup of priority `own` takes over from a living Active of this priority after
    /// Skew_Time: where preemption is `degraded-only`, a healthy one from a degraded one.
    fn hastens(&self, own: Priority, priority: Priority) -> bool {
        self.config.preempt == Preempt::DegradedOnly && priority.is_degraded() && !own.is_degraded()
    }

    /// Active_Down_Timer to the lesser of what it is and Skew_Time.
    fn hasten(&mut self, now: Instant, source: IpAddr, priority: Priority) {
        let own = self.skew_priority();
        if let Phase::Backup(backup) = &mut self.phase {
            let at = now + skew_time(backup.interval, own);
            if at < backup.down_at {
                backup.down_at = at;
                backup.expecting = Expecting::Degraded(source, priority);
            }
        }
    }

    fn restart_active_down(&mut self, now: Instant) {
        let own = self.skew_priority();
        if let Phase::Backup(backup) = &mut self.phase {
            backup.down_at = now + active_down_interval(backup.interval, own);
            backup.expecting = Expecting::Silence;
        }
    }

    fn advert_in_active(&mut self, now: Instant, heard: Heard) {
        let (Phase::Active(active), Some(source)) = (&self.phase, self.source) else {
            return;
        };
        let suspect = active.suspect;
        let own = self.skew_priority();
        match heard.priority {
            Some(priority)
                if priority > own || (priority == own && heard.source > source) || suspect =>
            {
                self.yield_to(now, heard, priority, suspect);
            }
            Some(_) => {
                // RFC 9568 adds this to RFC 5798: the other learns at once that it lost.
                self.send_advert(Some(own));
                self.reassert(now, heard);
            }
            None => {
                self.send_advert(Some(own));
                if let Phase::Active(active) = &mut self.phase {
                    active.next_advert = now + self.config.interval.duration();
                }
                self.reassert(now, heard);
            }
        }
    }

    /// Active to Backup for a router that wins. The address stays for a moment, until the
    /// successor has announced it, so that no client falls between the two.
    fn yield_to(&mut self, now: Instant, heard: Heard, priority: Priority, suspect: bool) {
        let installed = matches!(&self.phase, Phase::Active(active) if active.installed);
        let linger = if self.eligibility == Eligibility::Drained { LINGER_DRAINED } else { LINGER };
        let lingers = installed && !suspect;
        let backup = Backup {
            heard: Some((heard.source, priority)),
            linger_until: lingers.then(|| now + linger),
            ..self.backup_from(now, heard.interval)
        };
        if !lingers {
            self.actions.push(Action::Withdraw);
        }
        let source = heard.source;
        let cause = if suspect {
            Cause::Superseded { source, priority }
        } else {
            Cause::HigherPriority { source, priority }
        };
        self.transition(Phase::Backup(backup), cause);
    }

    /// Another router's announcement stands in the caches of the link: announce again, at most
    /// each [`REASSERT_INTERVAL`], and once more when the other has fallen silent.
    fn reassert(&mut self, now: Instant, heard: Heard) {
        let Phase::Active(active) = &mut self.phase else {
            return;
        };
        let silent_at = now + REASSERT_INTERVAL;
        let announced_at = match active.rival {
            None => {
                let Heard { source, priority, .. } = heard;
                self.actions.push(Action::Report(Report::Rival { source, priority }));
                None
            }
            Some(rival) => Some(rival.announced_at),
        };
        let due = announced_at.is_none_or(|at| now.saturating_since(at) >= REASSERT_INTERVAL);
        let announced_at = if due { now } else { announced_at.unwrap_or(now) };
        active.rival = Some(Rival { announced_at, silent_at });
        if due && active.in_place() {
            self.actions.push(Action::Announce(Announcement::Reassert));
        }
    }

    fn timeout_in_active(&mut self, now: Instant) {
        let interval = self.config.interval.duration();
        let Phase::Active(active) = &mut self.phase else {
            return;
        };
        if active.give_up_at.is_some_and(|at| at <= now) {
            let pause = FIRST_PAUSE * 2_u32.saturating_pow(self.failures.min(6));
            self.failures = self.failures.saturating_add(1);
            let until = now + pause.min(LONGEST_PAUSE);
            self.leave(Initialize::Paused { until }, Cause::NotInstalled);
            return;
        }
        let silenced = active.rival.is_some_and(|rival| rival.silent_at <= now);
        let refresh = active.refresh_at.is_some_and(|at| at <= now);
        let in_place = active.in_place();
        let advertise = active.next_advert <= now;
        if advertise {
            // Slots that were missed are skipped, not made up for.
            active.next_advert += interval;
            if active.next_advert <= now {
                active.next_advert = now + interval;
            }
        }
        if silenced {
            active.rival = None;
        }
        if advertise {
            self.send_advert(self.effective_priority());
        }
        if refresh {
            self.request_install(now, Purpose::Refresh);
        }
        if silenced {
            self.actions.push(Action::Report(Report::RivalGone));
        }
        if silenced && in_place {
            self.actions.push(Action::Announce(Announcement::Reassert));
        }
    }

    /// Asks for the addresses. A takeover or repair that is still under way stays one.
    fn request_install(&mut self, now: Instant, purpose: Purpose) {
        let patience = self.config.interval.duration().max(INSTALL_TIME);
        let Phase::Active(active) = &mut self.phase else {
            return;
        };
        let purpose = match active.request {
            Some(request) if purpose == Purpose::Refresh => request.purpose,
            _ if !active.installed => Purpose::Takeover,
            _ => purpose,
        };
        self.last_ticket = self.last_ticket.wrapping_add(1);
        let ticket = Ticket(self.last_ticket);
        active.request = Some(Request { ticket, asked: now, purpose, outdated: false });
        active.refresh_at = None;
        if purpose != Purpose::Refresh {
            let give_up_at = now + patience;
            active.give_up_at = Some(active.give_up_at.map_or(give_up_at, |at| at.min(give_up_at)));
        }
        self.actions.push(Action::Install(ticket));
    }

    fn end_linger(&mut self) {
        if let Phase::Backup(backup) = &mut self.phase
            && backup.linger_until.take().is_some()
        {
            self.actions.push(Action::Withdraw);
        }
    }

    /// Active to Backup without a word on the wire.
    fn withdraw_to_backup(&mut self, now: Instant, cause: Cause) {
        self.actions.push(Action::Withdraw);
        let backup = self.backup_from(now, self.config.interval);
        self.transition(Phase::Backup(backup), cause);
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
            // At once, without moving the schedule.
            Phase::Active(_) => self.send_advert(after),
            Phase::Backup(_) => self.priority_changed_in_backup(now, before),
        }
    }

    /// Active_Down_Timer follows the new Skew_Time; what has run of it stays run. Only where the
    /// Active lives and did not restart it, being degraded, does it start anew once this router
    /// is no better.
    fn priority_changed_in_backup(&mut self, now: Instant, before: Option<Priority>) {
        let own = self.skew_priority();
        let before = before.unwrap_or(own);
        let Phase::Backup(backup) = &mut self.phase else {
            return;
        };
        let living = match backup.expecting {
            Expecting::Released(_) => None,
            Expecting::Silence | Expecting::Degraded(..) => backup.heard,
        };
        let skew_before = skew_time(backup.interval, before);
        backup.down_at = backup.down_at + skew_time(backup.interval, own) - skew_before;
        let Some((source, priority)) = living else {
            return;
        };
        if self.hastens(own, priority) {
            self.hasten(now, source, priority);
        } else if self.hastens(before, priority) {
            self.restart_active_down(now);
        }
    }

    fn send_advert(&mut self, priority: Option<Priority>) {
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
