#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod interpreter;

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::net::UnixDatagram;

use proptest::prelude::*;
use socket2::SockRef;

use super::adverts::draft;
use super::*;
use crate::time::Centis;
use crate::wire::{Advert, ChecksumForm, DropReason, MAX_LEN, Outgoing, group};
use crate::{Family, Priority, Vrid};

const IPV6_HEADER_LEN: usize = 40;

/// A packet as its family's raw socket shows it to a filter.
#[derive(Clone, Debug)]
struct Packet {
    family: Family,
    /// From the IP header on.
    bytes: Vec<u8>,
}

impl Packet {
    /// What the program sees first.
    fn seen(&self) -> &[u8] {
        match self.family {
            Family::Ipv4 => &self.bytes,
            Family::Ipv6 => &self.bytes[IPV6_HEADER_LEN..],
        }
    }

    fn message_at(&self) -> usize {
        match self.family {
            Family::Ipv4 => usize::from(self.bytes[0] & 0xf) * 4,
            Family::Ipv6 => IPV6_HEADER_LEN,
        }
    }

    fn decode(&self) -> Result<Advert<'_>, DropReason> {
        match self.family {
            Family::Ipv4 => Advert::decode_ipv4(&self.bytes),
            Family::Ipv6 => {
                let address = |at: usize| -> Ipv6Addr {
                    <[u8; 16]>::try_from(&self.bytes[at..at + 16]).unwrap().into()
                };
                Advert::decode_ipv6(address(8), address(24), self.bytes[7], self.seen())
            }
        }
    }

    /// Sets the lengths as the kernel sees to it before a raw socket gets the packet.
    fn fix_lengths(&mut self) {
        let (at, length) = match self.family {
            Family::Ipv4 => (2, self.bytes.len()),
            Family::Ipv6 => (4, self.bytes.len() - IPV6_HEADER_LEN),
        };
        self.bytes[at..at + 2].copy_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
    }

    /// Gives the message the checksum of its bytes, so that only other rules can be broken.
    fn fix_checksum(&mut self) {
        let at = self.message_at();
        if self.bytes.len() < at + 8 {
            return;
        }
        self.bytes[at + 6..at + 8].fill(0);
        let mut sum = 0_u32;
        let mut add = |bytes: &[u8]| {
            for pair in bytes.chunks(2) {
                sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
            }
        };
        let message = self.bytes[at..].to_vec();
        add(&message);
        if self.family == Family::Ipv6 {
            add(&self.bytes[8..40]);
            add(&[0, 112]);
            add(&u16::try_from(message.len()).unwrap().to_be_bytes());
        }
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        let sum = !u16::try_from(sum).unwrap();
        self.bytes[at + 6..at + 8].copy_from_slice(&sum.to_be_bytes());
    }
}

const UNLUCKY: u32 = u32::MAX;

/// What the program makes of the packet when its random number is this.
fn verdict(vrids: &[Vrid], packet: &Packet, random: u32) -> u32 {
    let program = draft(packet.family, vrids);
    interpreter::run(&program.program[..program.length], packet.seen(), &packet.bytes, random)
}

fn passes(vrids: &[Vrid], packet: &Packet) -> bool {
    verdict(vrids, packet, UNLUCKY) == WHOLE
}

fn vrid(vrid: u8) -> Vrid {
    Vrid::new(vrid).unwrap()
}

/// A good advert with `count` addresses.
fn good(family: Family, vrid: Vrid, count: u8, interval: u16) -> Packet {
    let addresses: Vec<IpAddr> = (0..count)
        .map(|last| match family {
            Family::Ipv4 => Ipv4Addr::new(10, 0, 1, last).into(),
            Family::Ipv6 => Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 1, last.into()).into(),
        })
        .collect();
    let source: IpAddr = match family {
        Family::Ipv4 => Ipv4Addr::new(10, 0, 0, 2).into(),
        Family::Ipv6 => Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2).into(),
    };
    let advert = Outgoing {
        vrid,
        priority: Priority::new(100),
        interval: Centis::new(interval).unwrap(),
        addresses: &addresses,
        checksum: ChecksumForm::Rfc9568,
    };
    let mut buffer = [0; MAX_LEN];
    let bytes = advert.encode(source, group(family), &mut buffer).to_vec();
    Packet { family, bytes }
}

/// What may be wrong with a packet.
#[derive(Clone, Debug)]
enum Flaw {
    Ttl(u8),
    VersionAndType(u8),
    Count(u8),
    Interval(u16),
    Vrid(u8),
    /// Bytes too few, or too many.
    Cut(usize),
    Longer(usize),
    /// Anything anywhere in the message.
    Byte(usize, u8),
    Checksum,
}

fn flaw() -> impl Strategy<Value = Flaw> {
    prop_oneof![
        any::<u8>().prop_map(Flaw::Ttl),
        any::<u8>().prop_map(Flaw::VersionAndType),
        (0_u8..4).prop_map(Flaw::Count),
        any::<u8>().prop_map(Flaw::Count),
        prop_oneof![Just(0), Just(0xf000), any::<u16>()].prop_map(Flaw::Interval),
        any::<u8>().prop_map(Flaw::Vrid),
        (0_usize..64).prop_map(Flaw::Cut),
        (0_usize..64).prop_map(Flaw::Longer),
        (0_usize..64, any::<u8>()).prop_map(|(at, byte)| Flaw::Byte(at, byte)),
        Just(Flaw::Checksum),
    ]
}

fn apply(packet: &mut Packet, flaw: &Flaw) {
    let at = packet.message_at();
    let mut put = |offset: usize, bytes: &[u8]| {
        if let Some(place) = packet.bytes.get_mut(at + offset..at + offset + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    };
    match *flaw {
        Flaw::Ttl(ttl) if packet.family == Family::Ipv4 => packet.bytes[8] = ttl,
        Flaw::Ttl(hop_limit) => packet.bytes[7] = hop_limit,
        Flaw::VersionAndType(byte) => put(0, &[byte]),
        Flaw::Vrid(vrid) => put(1, &[vrid]),
        Flaw::Count(count) => put(3, &[count]),
        Flaw::Interval(interval) => put(4, &interval.to_be_bytes()),
        Flaw::Cut(bytes) => {
            let length = packet.bytes.len();
            packet.bytes.truncate(length.saturating_sub(bytes).max(at));
        }
        Flaw::Longer(bytes) => packet.bytes.extend(vec![0x5a; bytes]),
        Flaw::Byte(offset, byte) => put(offset, &[byte]),
        Flaw::Checksum => {}
    }
}

fn any_family() -> impl Strategy<Value = Family> {
    prop_oneof![Just(Family::Ipv4), Just(Family::Ipv6)]
}

fn packet(family: impl Strategy<Value = Family>) -> impl Strategy<Value = Packet> {
    let option_words = prop_oneof![4 => Just(0_u8), 1 => 1_u8..=10];
    let flaws = prop::collection::vec(flaw(), 0..3);
    (family, 1_u8..=255, 1_u8..=255, 1_u16..=4095, option_words, flaws).prop_map(
        |(family, id, count, interval, option_words, flaws)| {
            let mut packet = good(family, vrid(id), count, interval);
            if family == Family::Ipv4 && option_words > 0 {
                let options = vec![1; usize::from(option_words) * 4];
                packet.bytes.splice(20..20, options);
                packet.bytes[0] = 0x45 + option_words;
            }
            flaws.iter().for_each(|flaw| apply(&mut packet, flaw));
            packet.fix_lengths();
            let last_of_checksum = packet.message_at() + 7;
            if !flaws.iter().any(|flaw| matches!(flaw, Flaw::Checksum)) {
                packet.fix_checksum();
            } else if let Some(byte) = packet.bytes.get_mut(last_of_checksum) {
                *byte ^= 0x55;
            }
            packet
        },
    )
}

/// The configured VRIDs: those of many packets, none, some, all.
fn vrids() -> impl Strategy<Value = Vec<Vrid>> {
    let some = prop::collection::vec((1_u8..=255).prop_map(vrid), 0..20);
    prop_oneof![some, Just((1..=255).map(vrid).collect())]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    /// RFC 9568, 7.1: what is an advert for a configured virtual router passes, and of the rest
    /// nothing but wrong checksums of unusual packets.
    #[test]
    fn the_filter_judges_as_the_decoder_does(packet in packet(any_family()), mut vrids in vrids()) {
        if let Some(&id) = packet.bytes.get(packet.message_at() + 1)
            && id % 2 == 0
        {
            vrids.extend(Vrid::new(id));
        }
        let known = |advert: &Advert<'_>| vrids.contains(&advert.vrid);
        let refused = |reason: DropReason| {
            let is_known = |id| Vrid::new(id).is_some_and(|id| vrids.contains(&id));
            refuses(reason, packet.family, packet.seen(), is_known)
        };
        let decoded = packet.decode();
        if passes(&vrids, &packet) {
            let right = match &decoded {
                Ok(advert) => known(advert),
                Err(reason) => *reason == DropReason::Checksum && !refused(*reason),
            };
            prop_assert!(right, "{decoded:?} passes");
        } else {
            let right = match &decoded {
                Ok(advert) => !known(advert),
                Err(reason) => refused(*reason),
            };
            prop_assert!(right, "{decoded:?} is refused");
        }
    }

    /// The kernel takes the program and does the same with it. IPv4 alone: on this socket no packet
    /// has a network header.
    #[test]
    fn the_kernel_judges_as_the_interpreter_does(
        packet in packet(Just(Family::Ipv4)),
        vrids in vrids(),
    ) {
        let (here, there) = UnixDatagram::pair().unwrap();
        there.set_nonblocking(true).unwrap();
        SockRef::from(&there).attach_filter(&adverts(Family::Ipv4, &vrids)).unwrap();
        let arrives = || {
            let _ = here.send(&packet.bytes);
            there.recv(&mut [0; 2048]).is_ok()
        };
        // Three samples in a row are a chance of one in a billion.
        let arrives = (0..3).all(|_| arrives());
        prop_assert_eq!(arrives, passes(&vrids, &packet));
    }
}

/// RFC 9568, 5.2.8, and the form of keepalived and FRR.
#[test]
fn every_bit_of_a_short_message_counts_for_its_checksum() {
    for (family, counts) in [(Family::Ipv4, 1..=16), (Family::Ipv6, 1..=4)] {
        for count in counts {
            let packet = good(family, vrid(1), count, 100);
            for byte in packet.message_at() + 6..packet.bytes.len() {
                let mut other = packet.clone();
                other.bytes[byte] ^= 0x10;
                assert_eq!(other.decode().unwrap_err(), DropReason::Checksum);
                assert!(!passes(&[vrid(1)], &other), "{family}, {count} addresses, byte {byte}");
            }
        }
        let long = good(family, vrid(1), 17, 100);
        assert!(passes(&[vrid(1)], &long));
    }
}

#[test]
fn every_vrid_is_found_and_no_other() {
    for family in [Family::Ipv4, Family::Ipv6] {
        for id in 1..=255 {
            let packet = good(family, vrid(id), 1, 100);
            assert!(packet.decode().is_ok());
            assert!(passes(&[vrid(id)], &packet));
            let others: Vec<Vrid> = (1..=255).filter(|&other| other != id).map(vrid).collect();
            assert!(!passes(&others, &packet), "{id}");
        }
    }
}

/// RFC 9568, 5.1.2.2: not even as a sample.
#[test]
fn an_advert_to_another_group_never_passes() {
    let mut packet = good(Family::Ipv6, vrid(1), 1, 100);
    let verdict = |packet: &Packet| verdict(&[vrid(1)], packet, 0);
    for byte in 0..16 {
        let mut other = packet.clone();
        other.bytes[24 + byte] ^= 0x10;
        // To 0xef02::12, which is no group.
        let expected = if byte == 0 { WHOLE } else { NOTHING };
        assert_eq!(verdict(&other), expected, "byte {byte}");
    }
    assert_eq!(verdict(&packet), WHOLE);
    packet.bytes[24..40].copy_from_slice(&Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1).octets());
    assert_eq!(verdict(&packet), WHOLE);
}

#[test]
fn one_in_a_thousand_and_twenty_four_of_the_refused_passes() {
    for family in [Family::Ipv4, Family::Ipv6] {
        let packet = good(family, vrid(1), 1, 100);
        let limit = u32::MAX / SAMPLED_ONE_IN + 1;
        assert_eq!(verdict(&[], &packet, 0), WHOLE);
        assert_eq!(verdict(&[], &packet, limit - 1), WHOLE);
        assert_eq!(verdict(&[], &packet, limit), NOTHING);
        assert_eq!(verdict(&[], &packet, u32::MAX), NOTHING);
    }
}

/// A program whose loads go beyond the packet would drop it unsampled and uncounted.
#[test]
fn packets_of_every_length_are_sampled() {
    for family in [Family::Ipv4, Family::Ipv6] {
        for length in 0..24 {
            let mut packet = good(family, vrid(1), 255, 100);
            let at = packet.message_at();
            packet.bytes.truncate(at + length);
            packet.fix_lengths();
            assert_eq!(verdict(&[vrid(1)], &packet, 0), WHOLE, "{length}");
        }
    }
}
