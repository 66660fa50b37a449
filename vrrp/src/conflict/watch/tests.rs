#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use crate::config::{Addresses, OnDegraded, Preempt};
use crate::time::Centis;
use crate::wire::{self, Outgoing};
use crate::{Priority, Vrid};

const START: Instant = Instant::from_nanos(1_000_000_000_000);
const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn ip(last: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, last])
}

fn config(checksum: Checksum) -> RouterConfig {
    RouterConfig {
        vrid: Vrid::new(51).unwrap(),
        priority: Priority::new(200).unwrap(),
        degraded_priority: Priority::new(72).unwrap(),
        on_degraded: OnDegraded::Advertise,
        preempt: Preempt::DegradedOnly,
        interval: Centis::DEFAULT,
        addresses: Addresses::new(vec![ip(10), ip(11)]).unwrap(),
        lease: None,
        checksum,
        virtual_mac: false,
    }
}

/// A peer that advertises as [`config`] has it.
struct Peer {
    source: IpAddr,
    interval: u16,
    addresses: Vec<IpAddr>,
    checksum: ChecksumForm,
}

impl Peer {
    fn new(last: u8) -> Self {
        let addresses = vec![ip(10), ip(11)];
        Self { source: ip(last), interval: 100, addresses, checksum: ChecksumForm::Rfc9568 }
    }

    fn pseudo(last: u8) -> Self {
        Self { checksum: ChecksumForm::PseudoHeader, ..Self::new(last) }
    }

    /// What is told when it is heard.
    fn heard_by(&self, watch: &mut Watch, now: Instant, config: &RouterConfig) -> Vec<Sighting> {
        let outgoing = Outgoing {
            vrid: config.vrid,
            priority: Priority::new(100),
            interval: Centis::new(self.interval).unwrap(),
            addresses: &self.addresses,
            checksum: self.checksum,
        };
        let mut buffer = [0; wire::MAX_LEN];
        let packet = outgoing.encode(self.source, wire::group(Family::Ipv4), &mut buffer);
        let advert = Advert::decode_ipv4(packet).unwrap();
        let mut told = Vec::new();
        watch.compare(now, &advert, config, |sighting| {
            told.push(sighting);
            true
        });
        told
    }
}

fn findings(told: &[Sighting]) -> Vec<Finding> {
    told.iter().map(|sighting| sighting.finding).collect()
}

#[test]
fn a_peer_that_agrees_is_no_conflict() {
    let mut watch = Watch::new();
    let mut peer = Peer::new(3);
    assert_eq!(peer.heard_by(&mut watch, START, &config(Checksum::Rfc9568)), []);
    peer.addresses.reverse();
    assert_eq!(peer.heard_by(&mut watch, START, &config(Checksum::Auto)), []);
}

/// RFC 9568, 7.1: other addresses are no reason to discard, and one to tell.
#[test]
fn other_addresses_are_found_whether_they_are_fewer_more_or_different() {
    for (list, count) in [(vec![10], 1), (vec![10, 12], 2), (vec![10, 11, 12, 13, 14], 5)] {
        let addresses: Vec<IpAddr> = list.iter().map(|&last| ip(last)).collect();
        let mut theirs = [None; SHOWN];
        theirs.iter_mut().zip(&addresses).for_each(|(place, &it)| *place = Some(it));
        let peer = Peer { addresses, ..Peer::new(3) };
        let told = peer.heard_by(&mut Watch::new(), START, &config(Checksum::Auto));
        assert_eq!(findings(&told), [Finding::OtherAddresses { theirs, count }]);
        assert_eq!(told[0].source, ip(3));
    }
}

/// RFC 9568, 6.1: it is learned; whether it is meant, the operator knows.
#[test]
fn another_interval_is_found() {
    let peer = Peer { interval: 10, ..Peer::new(3) };
    let told = peer.heard_by(&mut Watch::new(), START, &config(Checksum::Auto));
    let theirs = Centis::new(10).unwrap();
    assert_eq!(findings(&told), [Finding::OtherInterval { theirs, ours: Centis::DEFAULT }]);
    assert_eq!(told[0].interval, MILLISECOND * 100);
}

/// RFC 9568, 5.2.8, and the form of other implementations.
#[test]
fn another_checksum_than_the_configured_is_found() {
    for (ours, peer) in
        [(Checksum::Rfc9568, Peer::pseudo(3)), (Checksum::PseudoHeader, Peer::new(3))]
    {
        let told = peer.heard_by(&mut Watch::new(), START, &config(ours));
        let theirs = peer.checksum;
        assert_eq!(findings(&told), [Finding::OtherChecksum { theirs, other: None }]);
    }
}

/// One that answers as the last spoke is heard by the last alone.
#[test]
fn peers_that_send_different_checksums_are_found_where_the_own_is_automatic() {
    let (mut watch, auto) = (Watch::new(), config(Checksum::Auto));
    assert_eq!(Peer::pseudo(3).heard_by(&mut watch, START, &auto), []);
    assert_eq!(Peer::pseudo(4).heard_by(&mut watch, START, &auto), []);
    let now = START + SECOND * 300;
    let told = Peer::new(5).heard_by(&mut watch, now, &auto);
    let theirs = ChecksumForm::Rfc9568;
    assert_eq!(findings(&told), [Finding::OtherChecksum { theirs, other: Some(ip(4)) }]);
    let now = START + SECOND * 901;
    assert_eq!(Peer::pseudo(3).heard_by(&mut watch, now, &auto), []);
}

#[test]
fn a_peer_that_changes_its_checksum_disagrees_with_nobody() {
    let (mut watch, auto) = (Watch::new(), config(Checksum::Auto));
    for peer in [Peer::pseudo(3), Peer::new(3), Peer::pseudo(3)] {
        assert_eq!(peer.heard_by(&mut watch, START, &auto), []);
    }
}

#[test]
fn a_conflict_that_lasts_is_told_each_second_with_how_often_it_was_seen() {
    let (mut watch, auto) = (Watch::new(), config(Checksum::Auto));
    let peer = Peer { interval: 10, ..Peer::new(3) };
    let mut told = Vec::new();
    for turn in 0..30 {
        told.extend(peer.heard_by(&mut watch, START + MILLISECOND * 100 * turn, &auto));
    }
    assert_eq!(told.iter().map(|it| it.times).collect::<Vec<_>>(), [1, 10, 10]);
}

#[test]
fn what_could_not_be_told_is_told_with_the_next() {
    let mut watch = Watch::new();
    let heard = heard(3, 100, 100);
    watch.answered(START, heard, |_| false);
    let mut told = Vec::new();
    watch.answered(START + MILLISECOND, heard, |sighting| {
        told.push(sighting.times);
        true
    });
    assert_eq!(told, [2]);
}

#[test]
fn made_up_sources_are_told_eight_times_a_second() {
    let mut watch = Watch::new();
    let mut told = 0;
    for number in 0..2000_u32 {
        let source = IpAddr::from((0x0a01_0000 + number).to_be_bytes());
        let heard = Heard { source, ..heard(3, 100, 100) };
        watch.answered(START + MILLISECOND * number, heard, |_| {
            told += 1;
            true
        });
    }
    assert_eq!(told, 2 * TOLD);
}

fn heard(last: u8, priority: u8, interval: u16) -> Heard {
    let interval = Centis::new(interval).unwrap();
    Heard { source: ip(last), priority: Priority::new(priority), interval }
}

/// The kinds found when a rival advertises at these milliseconds, each second.
fn kinds(millis: &[u32]) -> Vec<ConflictKind> {
    let mut watch = Watch::new();
    let mut told = Vec::new();
    for &millis in millis {
        watch.answered(START + MILLISECOND * millis, heard(3, 100, 100), |sighting| {
            told.push(sighting.finding.kind());
            true
        });
    }
    told
}

/// RFC 9568, 6.4.3: a router that hears the answer falls silent.
#[test]
fn a_rival_that_goes_on_for_three_intervals_does_not_hear() {
    use ConflictKind::{OneWay, Rival};
    assert_eq!(kinds(&[0]), [Rival]);
    assert_eq!(kinds(&[0, 1000, 2000]), [Rival; 3]);
    assert_eq!(kinds(&[0, 1000, 2000, 2990]), [Rival, Rival, Rival, OneWay]);
    assert_eq!(kinds(&[0, 1000, 2000, 3010]), [Rival, Rival, Rival, Rival, OneWay]);
}

#[test]
fn one_that_speaks_now_and_then_may_hear() {
    assert_eq!(kinds(&[0, 3001, 6002, 9003]), [ConflictKind::Rival; 4]);
}

#[test]
fn many_adverts_within_an_interval_prove_nothing() {
    let burst: Vec<u32> = (0..900).collect();
    assert_eq!(kinds(&burst), [ConflictKind::Rival]);
}

#[test]
fn several_rivals_are_told_apart() {
    let mut watch = Watch::new();
    let mut deaf = Vec::new();
    for second in 0..5 {
        for last in 3..7 {
            let now = START + SECOND * second + MILLISECOND * u32::from(last);
            watch.answered(now, heard(last, 100, 100), |sighting| {
                if sighting.finding.kind() == ConflictKind::OneWay {
                    deaf.push(sighting.source);
                }
                true
            });
        }
    }
    deaf.sort();
    deaf.dedup();
    assert_eq!(deaf, [ip(3), ip(4), ip(5), ip(6)]);
}

#[test]
fn one_that_gives_up_is_no_rival() {
    let mut watch = Watch::new();
    let gives_up = Heard { priority: None, ..heard(3, 100, 100) };
    watch.answered(START, gives_up, |sighting| panic!("{sighting:?}"));
}

#[test]
fn all_that_an_advert_shows_is_counted_whether_it_is_told_or_not() {
    let (mut watch, config) = (Watch::new(), config(Checksum::Rfc9568));
    let mut buffer = [0; wire::MAX_LEN];
    let outgoing = Outgoing {
        vrid: config.vrid,
        priority: None,
        interval: Centis::new(10).unwrap(),
        addresses: &[ip(12)],
        checksum: ChecksumForm::PseudoHeader,
    };
    let packet = outgoing.encode(ip(3), wire::group(Family::Ipv4), &mut buffer);
    let advert = Advert::decode_ipv4(packet).unwrap();
    for tells in [true, false] {
        let found = watch.compare(START, &advert, &config, |_| tells);
        use ConflictKind::{OtherAddresses, OtherChecksum, OtherInterval};
        let kinds: Vec<_> = found.iter().collect();
        assert_eq!(kinds, [OtherAddresses, OtherInterval, OtherChecksum]);
    }
}
