//! The conflicts of one virtual router: who, since when, how often, and what was said of them.

use core::net::IpAddr;

use super::{ConflictKind, Finding, Sighting};
use crate::Mac;
use crate::time::{Duration, Instant};

/// How many are remembered; the one not seen for longest goes first.
const CAPACITY: usize = 16;
/// A conflict not seen for so long is over.
const MEMORY: Duration = Duration::from_secs(60);
/// One that goes on is told again.
const TELL_AGAIN: Duration = Duration::from_secs(3600);
/// No more than so many are told in that time: sources can be made up.
const TOLD: u32 = 12;
const WINDOW: Duration = Duration::from_secs(60);

/// How long the other's Ethernet address is waited for before a conflict is told without it: two
/// of its intervals within these bounds.
const MAC_WAIT: (Duration, Duration) = (Duration::from_millis(300), Duration::from_secs(5));

/// The conflicts of one virtual router.
#[derive(Debug, Default)]
pub struct Ledger {
    entries: Vec<Entry>,
    window_from: Instant,
    told: u32,
}

/// One conflict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The other router; of [`ConflictKind::ForeignArp`] the virtual address.
    pub source: IpAddr,
    /// Its Ethernet address, once that is known.
    pub mac: Option<Mac>,
    /// What was found last.
    pub finding: Finding,
    /// When it was first seen.
    pub since: Instant,
    /// When it was last seen.
    pub last: Instant,
    /// How often.
    pub count: u64,
    telling: Telling,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Telling {
    /// It is told once the Ethernet address is known, or else then.
    Waits {
        from: Instant,
        until: Instant,
    },
    Told {
        at: Instant,
    },
}

impl Ledger {
    /// Takes a sighting, with the Ethernet address where that is known.
    pub fn see(&mut self, now: Instant, sighting: Sighting, mac: Option<Mac>) {
        let Sighting { source, finding, times, interval } = sighting;
        let kind = finding.kind();
        let until = now + (interval * 2).clamp(MAC_WAIT.0, MAC_WAIT.1);
        let waits = Telling::Waits { from: now, until };
        let is_it = |entry: &Entry| {
            // Who claims an address is known by nothing else.
            let same = kind != ConflictKind::ForeignArp || entry.mac == mac;
            entry.finding.kind() == kind && entry.source == source && same
        };
        let place = self.entries.iter().position(is_it).unwrap_or_else(|| {
            self.make_room();
            let (since, last) = (now, now);
            let entry = Entry { source, mac, finding, since, last, count: 0, telling: waits };
            self.entries.push(entry);
            self.entries.len() - 1
        });
        let mac = mac.or_else(|| self.mac_of(now, source));
        let entry = &mut self.entries[place];
        if now.saturating_since(entry.last) > MEMORY {
            (entry.since, entry.count, entry.mac, entry.telling) = (now, 0, None, waits);
        } else if matches!(entry.telling, Telling::Told { at } if now.saturating_since(at) >= TELL_AGAIN)
        {
            entry.telling = waits;
        }
        entry.last = now;
        entry.count += u64::from(times);
        entry.finding = finding;
        entry.mac = entry.mac.or(mac);
    }

    /// The Ethernet address of another router is known.
    pub fn learn(&mut self, source: IpAddr, mac: Mac) {
        let unknown = self.entries.iter_mut().filter(|it| it.source == source && it.mac.is_none());
        unknown.for_each(|entry| entry.mac = Some(mac));
    }

    /// The other routers whose Ethernet address is looked for.
    pub fn seeking(&self) -> impl Iterator<Item = IpAddr> + '_ {
        let waits = |entry: &&Entry| entry.mac.is_none() && entry.is_waiting();
        self.entries.iter().filter(waits).map(|entry| entry.source)
    }

    /// The same if it is but one.
    pub fn seeking_one(&self) -> Option<IpAddr> {
        let mut all = self.seeking();
        let first = all.next()?;
        all.all(|source| source == first).then_some(first)
    }

    /// Those that are to be told now, each once, and since when it was to be told.
    pub fn take_due(&mut self, now: Instant) -> Vec<(Instant, Entry)> {
        let mut due = Vec::new();
        for entry in &mut self.entries {
            if let Telling::Waits { from, until } = entry.telling
                && (entry.mac.is_some() || until <= now)
            {
                entry.telling = Telling::Told { at: now };
                due.push((from, entry.clone()));
            }
        }
        due.retain(|_| self.may_tell(now));
        due
    }

    /// When [`Ledger::take_due`] has something.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.entries.iter().filter_map(Entry::due_at).min()
    }

    /// Nothing more is waited for: the other routers have fallen silent.
    pub fn hurry(&mut self, now: Instant) {
        for entry in &mut self.entries {
            if let Telling::Waits { until, .. } = &mut entry.telling {
                *until = now;
            }
        }
    }

    /// Those seen lately, the oldest first.
    pub fn current(&self, now: Instant) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| now.saturating_since(entry.last) <= MEMORY)
    }

    /// The Ethernet address by which a router is known already.
    fn mac_of(&self, now: Instant, source: IpAddr) -> Option<Mac> {
        self.current(now).filter(|entry| entry.source == source).find_map(|entry| entry.mac)
    }

    fn make_room(&mut self) {
        if self.entries.len() >= CAPACITY {
            let last = |place: &usize| self.entries[*place].last;
            if let Some(place) = (0..self.entries.len()).min_by_key(last) {
                self.entries.remove(place);
            }
        }
    }

    fn may_tell(&mut self, now: Instant) -> bool {
        if now.saturating_since(self.window_from) >= WINDOW {
            (self.window_from, self.told) = (now, 0);
        }
        self.told = self.told.saturating_add(1);
        self.told <= TOLD
    }
}

impl Entry {
    fn is_waiting(&self) -> bool {
        matches!(self.telling, Telling::Waits { .. })
    }

    /// When it is to be told; `None` if it was.
    fn due_at(&self) -> Option<Instant> {
        match self.telling {
            Telling::Waits { from, .. } if self.mac.is_some() => Some(from),
            Telling::Waits { until, .. } => Some(until),
            Telling::Told { .. } => None,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::Priority;

    const START: Instant = Instant::from_nanos(1_000_000_000_000);
    const SECOND: Duration = Duration::from_secs(1);
    const MAC: Mac = Mac::new([2, 0, 0, 0, 0, 7]);

    fn rival(last: u8) -> Sighting {
        let finding = Finding::Rival { priority: Priority::new(100).unwrap() };
        let source = IpAddr::from([10, 0, 0, last]);
        Sighting { source, finding, times: 1, interval: SECOND }
    }

    fn claim() -> Sighting {
        let source = IpAddr::from([10, 0, 0, 10]);
        Sighting { source, finding: Finding::ForeignArp, times: 1, interval: Duration::ZERO }
    }

    #[test]
    fn a_conflict_is_told_once_its_ethernet_address_is_known() {
        let mut ledger = Ledger::default();
        ledger.see(START, rival(7), None);
        assert_eq!(ledger.take_due(START), []);
        assert_eq!(ledger.seeking().collect::<Vec<_>>(), [rival(7).source]);
        ledger.learn(rival(7).source, MAC);
        assert_eq!(ledger.seeking().count(), 0);
        let told = ledger.take_due(START);
        assert_eq!(told.first().unwrap().1.mac, Some(MAC));
        assert_eq!((told.len(), ledger.take_due(START + SECOND)), (1, vec![]));
    }

    #[test]
    fn it_is_told_without_one_after_two_of_its_intervals_or_five_seconds() {
        for (interval, wait) in [(10, 300), (100, 300), (1000, 2000), (40_950, 5000)] {
            let mut ledger = Ledger::default();
            let interval = Duration::from_millis(interval);
            ledger.see(START, Sighting { interval, ..rival(7) }, None);
            let due = START + Duration::from_millis(wait);
            assert_eq!(ledger.poll_timeout(), Some(due));
            assert_eq!(ledger.take_due(due - Duration::from_millis(1)), []);
            assert_eq!(ledger.take_due(due).first().unwrap().1.mac, None);
            assert_eq!((ledger.poll_timeout(), ledger.seeking().count()), (None, 0));
        }
    }

    #[test]
    fn nothing_is_waited_for_once_the_others_are_silent() {
        let mut ledger = Ledger::default();
        ledger.see(START, rival(7), None);
        ledger.hurry(START);
        assert_eq!(ledger.take_due(START).len(), 1);
        ledger.hurry(START);
        assert_eq!(ledger.take_due(START + SECOND), []);
    }

    #[test]
    fn one_that_goes_on_is_counted_and_told_each_hour() {
        let mut ledger = Ledger::default();
        let mut told = 0;
        for second in 0..7199 {
            let now = START + SECOND * second;
            ledger.see(now, rival(7), Some(MAC));
            told += ledger.take_due(now).len();
        }
        assert_eq!(told, 2);
        let entry = ledger.current(START + SECOND * 7199).next().unwrap();
        assert_eq!((entry.since, entry.count), (START, 7199));
    }

    #[test]
    fn one_that_comes_back_after_a_minute_is_another() {
        let mut ledger = Ledger::default();
        ledger.see(START, rival(7), Some(MAC));
        ledger.take_due(START);
        let within = START + MEMORY;
        assert_eq!(ledger.current(within).count(), 1);
        ledger.see(within, rival(7), None);
        assert_eq!(ledger.take_due(within), []);
        let later = within + MEMORY + SECOND;
        assert_eq!(ledger.current(later).count(), 0);
        ledger.see(later, rival(7), None);
        let entry = ledger.current(later).next().unwrap();
        assert_eq!((entry.since, entry.count, entry.mac), (later, 1, None));
        ledger.learn(rival(7).source, MAC);
        assert_eq!(ledger.take_due(later).len(), 1);
    }

    #[test]
    fn what_is_known_of_a_router_holds_for_all_its_conflicts() {
        let mut ledger = Ledger::default();
        ledger.see(START, rival(7), Some(MAC));
        let lasting = Finding::OneWay { lasting: SECOND };
        ledger.see(START, Sighting { finding: lasting, ..rival(7) }, None);
        let told = ledger.take_due(START);
        assert!(told.len() == 2 && told.iter().all(|(_, entry)| entry.mac == Some(MAC)));
    }

    #[test]
    fn hosts_that_claim_an_address_are_told_apart_by_their_ethernet_addresses() {
        let mut ledger = Ledger::default();
        for last in [1, 2, 1] {
            ledger.see(START, claim(), Some(Mac::new([2, 0, 0, 0, 0, last])));
        }
        let told = ledger.take_due(START);
        assert_eq!(told.iter().map(|(_, entry)| entry.count).collect::<Vec<_>>(), [2, 1]);
    }

    #[test]
    fn made_up_sources_fill_neither_the_memory_nor_the_events() {
        let mut ledger = Ledger::default();
        let mut told = 0;
        for last in 0..=255 {
            ledger.see(START, rival(last), Some(MAC));
            told += ledger.take_due(START).len();
        }
        assert_eq!(u32::try_from(told).unwrap(), TOLD);
        assert_eq!(ledger.current(START).count(), CAPACITY);
        let later = START + WINDOW + SECOND;
        ledger.see(later, rival(1), Some(MAC));
        assert_eq!(ledger.take_due(later).len(), 1);
    }
}
