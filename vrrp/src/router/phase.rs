//! What a router remembers in each of its states. A value exists only in the state it belongs to.

use core::net::IpAddr;

use super::action::{Cause, State, Ticket};
use super::others::Others;
use crate::Priority;
use crate::time::{Centis, Duration, Instant};

#[derive(Debug)]
pub(super) enum Phase {
    Initialize(Initialize),
    Backup(Backup),
    Active(Active),
}

impl Phase {
    pub(super) fn state(&self) -> State {
        match self {
            Self::Initialize(_) => State::Initialize,
            Self::Backup(_) => State::Backup,
            Self::Active(_) => State::Active,
        }
    }

    /// The earliest deadline.
    pub(super) fn timeout(&self) -> Option<Instant> {
        match self {
            Self::Initialize(Initialize::Paused { until }) => Some(*until),
            Self::Initialize(_) => None,
            Self::Backup(backup) => Some(earliest(backup.down_at, [backup.linger_until])),
            Self::Active(active) => Some(earliest(
                active.next_advert,
                [
                    active.refresh_at,
                    active.give_up_at,
                    active.answer_at,
                    active.first_advert_by,
                    active.defence.and_then(|defence| defence.again_at),
                    active.rival_gone_at,
                ],
            )),
        }
    }
}

fn earliest<const N: usize>(first: Instant, others: [Option<Instant>; N]) -> Instant {
    others.into_iter().flatten().fold(first, Instant::min)
}

/// Why a router takes no part.
#[derive(Debug)]
pub(super) enum Initialize {
    /// Not started, or stopped.
    Stopped,
    /// Started; the interface cannot be used.
    NoInterface,
    /// Started; degraded, and configured to release then.
    Released,
    /// The addresses could not be installed.
    Paused { until: Instant },
}

#[derive(Debug)]
pub(super) struct Backup {
    /// When Active_Down_Timer fires.
    pub(super) down_at: Instant,
    /// What its firing will mean.
    pub(super) expecting: Expecting,
    /// Active_Adver_Interval: what the Active advertises (6.1).
    pub(super) interval: Centis,
    /// The Active that Active_Down_Timer watches, and its last priority.
    pub(super) heard: Option<(IpAddr, Priority)>,
    /// A living Active of lower priority, whose advertisements do not count (6.4.2).
    pub(super) outranked: Option<(IpAddr, Priority)>,
    /// Until when the address stays after leaving Active, unless the successor is heard first.
    pub(super) linger_until: Option<Instant>,
    /// What was told of the routers that are heard.
    pub(super) others: Others,
}

/// Why Active_Down_Timer would fire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expecting {
    Silence,
    Released(IpAddr),
    Degraded(IpAddr, Priority),
}

impl Backup {
    /// Whether another healthy Active lives, as far as this router knows. A degraded one beside it,
    /// as after a partition, will yield to that, and is no reason to hasten.
    pub(super) fn knows_better_than(&self, degraded: IpAddr) -> bool {
        let given_up = matches!(self.expecting, Expecting::Released(_));
        let watched = self.heard.filter(|&(source, _)| source != degraded && !given_up);
        watched.is_some_and(|(_, priority)| !priority.is_degraded())
    }

    pub(super) fn cause(&self) -> Cause {
        match (self.expecting, self.outranked) {
            (Expecting::Silence, Some((source, priority))) => Cause::Preempts { source, priority },
            (Expecting::Silence, None) => {
                Cause::ActiveDown { last: self.heard.map(|(source, _)| source) }
            }
            (Expecting::Released(source), _) => Cause::ActiveReleased { source },
            (Expecting::Degraded(source, priority), _) => {
                Cause::ActiveDegraded { source, priority }
            }
        }
    }
}

#[derive(Debug)]
pub(super) struct Active {
    /// When Adver_Timer fires, on an absolute schedule.
    pub(super) next_advert: Instant,
    /// The request for the addresses that is under way.
    pub(super) request: Option<Request>,
    /// Whether the kernel has acknowledged the addresses since the takeover.
    pub(super) installed: bool,
    /// When to ask for the addresses again: the lease's refresh, or a failed request's retry.
    pub(super) refresh_at: Option<Instant>,
    /// When to give up for want of a confirmation: never Active without the address.
    pub(super) give_up_at: Option<Instant>,
    /// When the first advertisement leaves at the latest, where it waits for the addresses.
    pub(super) first_advert_by: Option<Instant>,
    /// When another router that advertises too counts as gone.
    pub(super) rival_gone_at: Option<Instant>,
    /// How the addresses were last announced against another host's announcement.
    pub(super) defence: Option<Defence>,
    /// When another router was last told that it lost.
    pub(super) answered_at: Option<Instant>,
    /// When one that spoke within a moment of that is told.
    pub(super) answer_at: Option<Instant>,
    /// Whether an address is known to be missing and waits for its repair.
    pub(super) lost: bool,
    /// The last repair.
    pub(super) repairs: Option<Repairs>,
    /// Set between a late wake-up and the end of its drain.
    pub(super) suspect: bool,
}

impl Active {
    /// Whether all addresses are in place as far as the kernel has said, and may be announced.
    pub(super) fn in_place(&self) -> bool {
        self.installed
            && !self.lost
            && self.request.is_none_or(|request| request.purpose == Purpose::Refresh)
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) ticket: Ticket,
    pub(super) asked: Instant,
    pub(super) purpose: Purpose,
    /// An address was lost since it was asked: its acknowledgement proves nothing.
    pub(super) outdated: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Takeover,
    Refresh,
    Repair,
    /// The configuration changed.
    Change,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Repairs {
    pub(super) at: Instant,
    /// How many there were in one quarrel with another program.
    pub(super) in_a_row: u32,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Defence {
    pub(super) announced_at: Instant,
    /// When they are announced once more, should nobody speak for them until then.
    pub(super) again_at: Option<Instant>,
}

/// Skew_Time for `priority` (6.1), in nanoseconds: whole centiseconds would lose it at short
/// intervals.
pub(super) fn skew_time(interval: Centis, priority: Priority) -> Duration {
    interval.duration() * (256 - u32::from(priority.get())) / 256
}

/// Active_Down_Interval for `priority` (6.1).
pub(super) fn active_down_interval(interval: Centis, priority: Priority) -> Duration {
    interval.duration() * 3 + skew_time(interval, priority)
}
