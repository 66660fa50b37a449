//! The Active state (RFC 9568, 6.4.3): owning the addresses.

use super::action::{Action, Announcement, Cause, Report, Ticket};
use super::others::Others;
use super::phase::{Active, Backup, Defence, Initialize, Phase, Purpose, Repairs, Request};
use super::{Eligibility, Heard, Router};
use crate::Priority;
use crate::time::{Duration, Instant};

/// How long the kernel may take at least to acknowledge the addresses.
const INSTALL_TIME: Duration = Duration::from_millis(100);
/// Pause before asking again for addresses that were refused.
const INSTALL_RETRY: Duration = Duration::from_millis(10);
/// Pause in Initialize after addresses that could not be installed, doubled each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest of these pauses.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// The longest that the first advertisement waits for the addresses.
const LONGEST_HUSH: Duration = Duration::from_millis(5);
/// It waits no longer than this part of an interval, so that a Backup whose priority is lower by 4
/// does not take over meanwhile.
const HUSH_PART: u32 = 64;
/// How long the address stays after leaving Active, unless the successor is heard first.
const LINGER: Duration = Duration::from_millis(10);
/// The same when drained: the longest that it ever stays.
pub const LONGEST_LINGER: Duration = Duration::from_millis(50);
/// The least time between two announcements against another host's, and how soon after its last
/// word one more follows.
const REASSERT_INTERVAL: Duration = Duration::from_millis(100);

/// Time for one address more than the first.
const INSTALL_TIME_EACH: Duration = Duration::from_micros(200);
/// The least time between two answers to routers that lose.
const ANSWER_PAUSE: Duration = Duration::from_millis(1);
/// The least time between two repairs: another program may keep deleting the addresses.
const REPAIR_PAUSE: Duration = Duration::from_millis(50);
/// A loss this soon after a repair belongs to the same quarrel.
const SAME_QUARREL: Duration = Duration::from_millis(100);
/// After so many repairs in a row the node gives up: somewhere else the addresses may last.
const REPAIRS_IN_A_ROW: u32 = 20;

impl Router {
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
        // After a late wake-up another may have taken over: it is heard first.
        if active.first_advert_by.is_some() && !active.suspect {
            self.send_advert(self.effective_priority());
        }
        let report = match request.purpose {
            Purpose::Takeover | Purpose::Change => Report::Installed,
            Purpose::Repair => Report::Repaired,
            Purpose::Refresh => return,
        };
        self.actions.push(Action::Report(report));
        self.actions.push(Action::Announce(Announcement::Takeover));
        if let Phase::Active(Active { defence: Some(defence), .. }) = &mut self.phase {
            defence.announced_at = now;
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

    /// The kernel has just answered other virtual routers, whose requests for addresses came before
    /// this one's: the time for its own answer runs anew.
    pub fn handle_install_progress(&mut self, now: Instant) {
        let patience = self.install_patience();
        if let Phase::Active(active) = &mut self.phase
            && active.request.is_some_and(|request| request.purpose != Purpose::Refresh)
        {
            active.give_up_at = active.give_up_at.max(Some(now + patience));
        }
    }

    /// How long the kernel may take to acknowledge the addresses.
    fn install_patience(&self) -> Duration {
        let more = u32::try_from(self.config.addresses.as_slice().len() - 1).unwrap_or(0);
        self.config.interval.duration().max(INSTALL_TIME) + INSTALL_TIME_EACH * more
    }

    /// Somebody removed an address of this virtual router. An Active puts it back at once.
    pub fn handle_address_lost(&mut self, now: Instant) {
        let Phase::Active(active) = &mut self.phase else {
            return;
        };
        if let Some(request) = &mut active.request
            && request.purpose != Purpose::Refresh
        {
            request.outdated = true;
            return;
        }
        if active.lost {
            return;
        }
        let last = active.repairs.filter(|last| now.saturating_since(last.at) < SAME_QUARREL);
        let in_a_row = last.map_or(1, |last| last.in_a_row + 1);
        let due = last.map_or(now, |last| (last.at + REPAIR_PAUSE).max(now));
        active.repairs = Some(Repairs { at: due, in_a_row });
        if in_a_row > REPAIRS_IN_A_ROW {
            self.give_up(now);
            return;
        }
        active.lost = true;
        active.refresh_at = Some(due);
        self.actions.push(Action::Report(Report::AddressLost));
        if due == now {
            self.request_install(now, Purpose::Repair);
        }
    }

    /// The addresses cannot be kept: priority 0, and a pause that grows.
    fn give_up(&mut self, now: Instant) {
        let pause = FIRST_PAUSE * 2_u32.saturating_pow(self.failures.min(6));
        self.failures = self.failures.saturating_add(1);
        let until = now + pause.min(LONGEST_PAUSE);
        self.leave(Initialize::Paused { until }, Cause::NotInstalled);
    }

    /// Another host asked for one of the addresses by ARP probe or neighbour solicitation without
    /// a sender, as a router that yields does: an Active announces them.
    pub fn handle_probed(&mut self, now: Instant) {
        if matches!(&self.phase, Phase::Active(active) if active.in_place()) {
            self.defend(now);
        }
    }

    /// Backup or Initialize to Active: advertise, then install, then (once that is acknowledged)
    /// announce (6.4.1, 6.4.2).
    ///
    /// With a virtual MAC address the first advertisement does what an announcement does without:
    /// switches send the address's packets here from then on. From an Active that lives and still
    /// answers, the addresses are therefore installed first, and then advertised.
    pub(super) fn become_active(&mut self, now: Instant, cause: Cause) {
        let from_living = matches!(cause, Cause::ActiveDegraded { .. } | Cause::Preempts { .. });
        let hush = (self.config.interval.duration() / HUSH_PART).min(LONGEST_HUSH);
        let first_advert_by = (self.config.virtual_mac && from_living).then(|| now + hush);
        if first_advert_by.is_none() {
            self.send_advert(self.effective_priority());
        }
        self.transition(
            Phase::Active(Active {
                next_advert: now + self.config.interval.duration(),
                request: None,
                installed: false,
                refresh_at: None,
                give_up_at: None,
                first_advert_by,
                rival_gone_at: None,
                defence: None,
                answered_at: None,
                answer_at: None,
                lost: false,
                repairs: None,
                suspect: false,
            }),
            cause,
        );
        self.request_install(now, Purpose::Takeover);
    }

    pub(super) fn advert_in_active(&mut self, now: Instant, heard: Heard) {
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
            // RFC 9568 adds the answer to RFC 5798: the other learns at once that it lost.
            priority => {
                self.answer(now, priority.is_none());
                self.reassert(now, heard);
            }
        }
    }

    /// Advertises at once. A router that `gives_up` has every Backup wait no longer than Skew_Time,
    /// so it is answered each time, and Adver_Timer restarts; others that speak within a moment of
    /// an answer share the next one.
    fn answer(&mut self, now: Instant, gives_up: bool) {
        let interval = self.config.interval.duration();
        let Phase::Active(active) = &mut self.phase else {
            return;
        };
        let again_at = active.answered_at.map(|at| at + ANSWER_PAUSE).filter(|&at| now < at);
        if again_at.is_some() && !gives_up {
            active.answer_at = again_at;
            return;
        }
        active.answered_at = Some(now);
        active.answer_at = None;
        if gives_up {
            active.next_advert = now + interval;
        }
        self.send_advert(self.effective_priority());
    }

    /// Active to Backup for a router that wins. The address stays for a moment, until the
    /// successor has announced it, so that no client falls between the two.
    pub(super) fn yield_to(
        &mut self,
        now: Instant,
        heard: Heard,
        priority: Priority,
        suspect: bool,
    ) {
        let installed = matches!(&self.phase, Phase::Active(active) if active.installed);
        let linger = if self.eligibility == Eligibility::Drained { LONGEST_LINGER } else { LINGER };
        let lingers = installed && !suspect;
        let backup = Backup {
            heard: Some((heard.source, priority)),
            linger_until: lingers.then(|| now + linger),
            others: Others::knowing(now, heard.source, priority),
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
        // After a partition the winner may have been heard first, and know nothing of this router,
        // which the caches of the link still name.
        self.actions.push(Action::Probe);
    }

    /// Another router advertises and loses; its announcement stands in the caches of the link.
    pub(super) fn reassert(&mut self, now: Instant, heard: Heard) {
        let Phase::Active(active) = &mut self.phase else {
            return;
        };
        if active.rival_gone_at.is_none() {
            let Heard { source, priority, .. } = heard;
            self.actions.push(Action::Report(Report::Rival { source, priority }));
        }
        let gone_at = now + (heard.interval.duration() * 3).max(REASSERT_INTERVAL);
        active.rival_gone_at = Some(gone_at);
        self.defend(now);
    }

    /// Caches of the link may name another: announces at once, at most each [`REASSERT_INTERVAL`],
    /// and once more when nobody has given a reason for so long. What the other sent meanwhile may
    /// have come last.
    fn defend(&mut self, now: Instant) {
        let Phase::Active(active) = &mut self.phase else {
            return;
        };
        let last = active.defence.map(|defence| defence.announced_at);
        let lately = last.filter(|&at| now.saturating_since(at) < REASSERT_INTERVAL);
        active.defence = Some(Defence {
            announced_at: lately.unwrap_or(now),
            again_at: Some(now + REASSERT_INTERVAL),
        });
        if lately.is_none() && active.in_place() {
            self.actions.push(Action::Announce(Announcement::Reassert));
        }
    }

    pub(super) fn timeout_in_active(&mut self, now: Instant) {
        let interval = self.config.interval.duration();
        let Phase::Active(active) = &mut self.phase else {
            return;
        };
        if active.give_up_at.is_some_and(|at| at <= now) {
            self.give_up(now);
            return;
        }
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let again = due(active.defence.and_then(|defence| defence.again_at));
        let gone = due(active.rival_gone_at);
        let refresh = due(active.refresh_at);
        let purpose = if active.lost { Purpose::Repair } else { Purpose::Refresh };
        let in_place = active.in_place();
        let answer = active.answer_at.take_if(|at| *at <= now).is_some();
        let first = due(active.first_advert_by);
        let scheduled = active.next_advert <= now;
        if answer {
            active.answered_at = Some(now);
        }
        if scheduled {
            // It answers too.
            active.answer_at = None;
            // Slots that were missed are skipped, not made up for.
            active.next_advert += interval;
            if active.next_advert <= now {
                active.next_advert = now + interval;
            }
        }
        if gone {
            active.rival_gone_at = None;
        }
        if let Some(defence) = active.defence.as_mut().filter(|_| again) {
            *defence = Defence { announced_at: now, again_at: None };
        }
        if answer || scheduled || first {
            self.send_advert(self.effective_priority());
        }
        if refresh {
            self.request_install(now, purpose);
        }
        if gone {
            self.actions.push(Action::Report(Report::RivalGone));
        }
        if again && in_place {
            self.actions.push(Action::Announce(Announcement::Reassert));
        }
    }

    /// Asks for the addresses. A takeover or repair that is still under way stays one.
    pub(super) fn request_install(&mut self, now: Instant, purpose: Purpose) {
        let patience = self.install_patience();
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
        active.lost = false;
        if purpose != Purpose::Refresh {
            let give_up_at = now + patience;
            active.give_up_at = Some(active.give_up_at.map_or(give_up_at, |at| at.min(give_up_at)));
        }
        self.actions.push(Action::Install(ticket));
    }

    /// Active to Backup without a word on the wire.
    pub(super) fn withdraw_to_backup(&mut self, now: Instant, cause: Cause) {
        self.actions.push(Action::Withdraw);
        let backup = self.backup_from(now, self.config.interval);
        self.transition(Phase::Backup(backup), cause);
        // An announcement of ours may just have left late.
        self.actions.push(Action::Probe);
    }
}
