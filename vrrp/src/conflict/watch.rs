//! Conflicts as advertisements show them.

use core::net::IpAddr;

use super::{ConflictKind, Finding, Kinds, SHOWN, Sighting};
use crate::Family;
use crate::config::{Checksum, RouterConfig};
use crate::router::Heard;
use crate::time::{Duration, Instant};
use crate::wire::{Advert, ChecksumForm};

/// Conflicts of which it is remembered when they were last told.
const NOTED: usize = 8;
/// While one lasts, it is told this often at most.
const TELL_INTERVAL: Duration = Duration::from_secs(1);
/// No more than so many are told in that time, whoever speaks: sources can be made up.
const TOLD: u32 = 8;

/// Routers that lose and are remembered at once.
const RIVALS: usize = 4;
/// A rival that has been silent for so many of its intervals begins anew.
const SILENT: u32 = 3;

/// For how long it is remembered who sends which checksum: those who do not agree are never
/// Active at once for long.
const FORM_MEMORY: Duration = Duration::from_secs(600);

/// What the advertisements of one virtual router show. No allocation.
#[derive(Debug)]
pub struct Watch {
    noted: [Option<Noted>; NOTED],
    window_from: Instant,
    told: u32,
    rivals: [Option<Rival>; RIVALS],
    /// Who last sent each form, and when: RFC 9568's, with pseudo-header.
    forms: [Option<(IpAddr, Instant)>; 2],
}

#[derive(Clone, Copy, Debug)]
struct Noted {
    kind: ConflictKind,
    source: IpAddr,
    told_at: Option<Instant>,
    seen_at: Instant,
    untold: u32,
}

/// A router that was answered.
#[derive(Clone, Copy, Debug)]
struct Rival {
    source: IpAddr,
    /// When it was first answered.
    since: Instant,
    last: Instant,
}

impl Default for Watch {
    fn default() -> Self {
        Self::new()
    }
}

impl Watch {
    /// Nothing seen yet.
    pub const fn new() -> Self {
        Self {
            noted: [None; NOTED],
            window_from: Instant::from_nanos(0),
            told: 0,
            rivals: [None; RIVALS],
            forms: [None; 2],
        }
    }

    /// Compares an advertisement that passed every check of RFC 9568, 7.1, with the configuration.
    /// Gives all that is found. `tell` takes what was not told lately and says whether it could:
    /// if not, the next one counts for both.
    pub fn compare(
        &mut self,
        now: Instant,
        advert: &Advert<'_>,
        config: &RouterConfig,
        mut tell: impl FnMut(Sighting) -> bool,
    ) -> Kinds {
        let Advert { source, interval, .. } = *advert;
        let addresses = other_addresses(advert, config);
        let other_interval = (interval != config.interval)
            .then_some(Finding::OtherInterval { theirs: interval, ours: config.interval });
        let checksum = self.other_checksum(now, advert, config);
        let mut found = Kinds::default();
        for finding in [addresses, other_interval, checksum].into_iter().flatten() {
            found.insert(finding.kind());
            self.note(now, source, finding, interval.duration(), &mut tell);
        }
        found
    }

    /// Takes an advertisement that this router, being Active, has answered: it loses, and is to
    /// fall silent (RFC 9568, 6.4.3). As for [`Watch::compare`].
    pub fn answered(
        &mut self,
        now: Instant,
        heard: Heard,
        mut tell: impl FnMut(Sighting) -> bool,
    ) -> Kinds {
        let mut found = Kinds::default();
        let Heard { source, priority, interval } = heard;
        // One that gives up is silent from now on.
        let Some(priority) = priority else {
            return found;
        };
        let interval = interval.duration();
        let lasting = self.lasting(now, source, interval);
        found.insert(ConflictKind::Rival);
        self.note(now, source, Finding::Rival { priority }, interval, &mut tell);
        // The fourth advertisement, which may be a little early.
        if lasting * 2 > interval * 5 {
            found.insert(ConflictKind::OneWay);
            self.note(now, source, Finding::OneWay { lasting }, interval, &mut tell);
        }
        found
    }

    /// For how long a router has been answered in vain.
    fn lasting(&mut self, now: Instant, source: IpAddr, interval: Duration) -> Duration {
        let is_it = |rival: &Option<Rival>| rival.is_some_and(|rival| rival.source == source);
        let place = self.rivals.iter().position(is_it).unwrap_or_else(|| {
            let last = |place: &usize| self.rivals[*place].map(|rival| rival.last);
            (0..RIVALS).min_by_key(last).unwrap_or(0)
        });
        let goes_on = |rival: &Rival| {
            rival.source == source && now.saturating_since(rival.last) <= interval * SILENT
        };
        let since = self.rivals[place].filter(goes_on).map_or(now, |rival| rival.since);
        self.rivals[place] = Some(Rival { source, since, last: now });
        now.saturating_since(since)
    }

    fn other_checksum(
        &mut self,
        now: Instant,
        advert: &Advert<'_>,
        config: &RouterConfig,
    ) -> Option<Finding> {
        // There is but one form for IPv6.
        if advert.family() == Family::Ipv6 {
            return None;
        }
        let theirs = advert.checksum;
        let (own, foreign) = match theirs {
            ChecksumForm::Rfc9568 => (0, 1),
            ChecksumForm::PseudoHeader => (1, 0),
        };
        self.forms[own] = Some((advert.source, now));
        let fresh = |&(source, at): &(IpAddr, Instant)| {
            source != advert.source && now.saturating_since(at) < FORM_MEMORY
        };
        // A router that has changed its form has no other.
        self.forms[foreign] = self.forms[foreign].filter(fresh);
        let other = match config.checksum {
            // This router speaks as the last that it heard: others may not.
            Checksum::Auto => Some(self.forms[foreign]?.0),
            fixed if fixed.form(None) == theirs => return None,
            _ => None,
        };
        Some(Finding::OtherChecksum { theirs, other })
    }

    /// Tells a finding unless that was done lately.
    fn note(
        &mut self,
        now: Instant,
        source: IpAddr,
        finding: Finding,
        interval: Duration,
        tell: &mut impl FnMut(Sighting) -> bool,
    ) {
        let kind = finding.kind();
        let is_it = |noted: &Option<Noted>| {
            noted.is_some_and(|noted| noted.kind == kind && noted.source == source)
        };
        let place = self.noted.iter().position(is_it).unwrap_or_else(|| {
            let seen = |place: &usize| self.noted[*place].map(|noted| noted.seen_at);
            let place = (0..NOTED).min_by_key(seen).unwrap_or(0);
            self.noted[place] = None;
            place
        });
        let new = Noted { kind, source, told_at: None, seen_at: now, untold: 0 };
        let mut noted = self.noted[place].unwrap_or(new);
        noted.seen_at = now;
        noted.untold = noted.untold.saturating_add(1);
        let lately = noted.told_at.is_some_and(|at| now.saturating_since(at) < TELL_INTERVAL);
        let sighting = Sighting { source, finding, times: noted.untold, interval };
        if !lately && self.may_tell(now) && tell(sighting) {
            (noted.told_at, noted.untold) = (Some(now), 0);
        }
        self.noted[place] = Some(noted);
    }

    fn may_tell(&mut self, now: Instant) -> bool {
        if now.saturating_since(self.window_from) >= TELL_INTERVAL {
            (self.window_from, self.told) = (now, 0);
        }
        self.told = self.told.saturating_add(1);
        self.told <= TOLD
    }
}

/// RFC 9568, 7.1: no reason to discard, and one to tell.
fn other_addresses(advert: &Advert<'_>, config: &RouterConfig) -> Option<Finding> {
    let ours = config.addresses.as_slice();
    // Nearly always in the same order.
    let same = advert.addresses().eq(ours.iter().copied())
        || (advert.address_count() == ours.len()
            && advert.addresses().all(|address| ours.contains(&address)));
    if same {
        return None;
    }
    let mut theirs = [None; SHOWN];
    for (place, address) in theirs.iter_mut().zip(advert.addresses()) {
        *place = Some(address);
    }
    let count = u8::try_from(advert.address_count()).unwrap_or(u8::MAX);
    Some(Finding::OtherAddresses { theirs, count })
}

#[cfg(test)]
mod tests;
