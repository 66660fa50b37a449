//! What holds for every packet: reading never panics, pnet, etherparse and plain arithmetic read
//! the same, and what is sent is read back.
//!
//! `WIRE_PACKETS=10000000 cargo test --release -p mainstay-vrrp --test core_wire` mutates so many
//! packets instead of the few seconds' worth of a common run; `WIRE_SEED` has others mutated.
#![allow(clippy::unwrap_used)]

mod mutation;
mod oracle;
mod repair;

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::Ipv6Slice;
use mutation::Rng;
use pnet::packet::Packet;
use pnet::packet::ipv4::{self, Ipv4Packet};
use pnet::packet::ipv6::Ipv6Packet;
use proptest::prelude::*;
use vrrp::time::Centis;
use vrrp::wire::{Advert, ChecksumForm, DropReason, MAX_LEN, Outgoing};
use vrrp::{Family, Priority, Vrid};

/// How many packets a common run mutates.
const PACKETS: u64 = 100_000;

/// A message behind a good IP header with so many words of options.
fn packet(option_words: u8, message: &[u8]) -> Vec<u8> {
    let total_len = u16::try_from(20 + usize::from(option_words) * 4 + message.len()).unwrap();
    let mut packet = vec![0x45 + option_words, 0xc0];
    packet.extend(total_len.to_be_bytes());
    packet.extend([0, 0, 0, 0, 255, 112, 0, 0, 10, 0, 0, 2, 224, 0, 0, 18]);
    packet.extend([1; 4].repeat(option_words.into()));
    packet.extend(message);
    packet
}

fn any_form() -> impl Strategy<Value = ChecksumForm> {
    prop_oneof![Just(ChecksumForm::Rfc9568), Just(ChecksumForm::PseudoHeader)]
}

/// An advertisement to be sent, with the addresses it lists.
#[derive(Clone, Debug)]
struct Sent {
    vrid: u8,
    /// 0 gives up.
    priority: u8,
    centis: u16,
    addresses: Vec<IpAddr>,
    checksum: ChecksumForm,
}

impl Sent {
    fn outgoing(&self) -> Outgoing<'_> {
        Outgoing {
            vrid: Vrid::new(self.vrid).unwrap(),
            priority: Priority::new(self.priority),
            interval: Centis::new(self.centis).unwrap(),
            addresses: &self.addresses,
            checksum: self.checksum,
        }
    }

    /// Whether the message has every field where RFC 9568, 5.2, draws it.
    fn is_written_in(&self, message: &[u8]) -> bool {
        let [high, low] = self.centis.to_be_bytes();
        let count = u8::try_from(self.addresses.len()).unwrap();
        let addresses = self.addresses.iter().flat_map(|address| match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        });
        message[..6] == [0x31, self.vrid, self.priority, count, high, low]
            && message[8..].iter().copied().eq(addresses)
    }

    /// Whether this is what was read.
    fn is_read_in(&self, advert: &Advert<'_>) -> bool {
        advert.vrid.get() == self.vrid
            && advert.priority == Priority::new(self.priority)
            && advert.interval.get() == self.centis
            && advert.address_count() == self.addresses.len()
            && advert.addresses().eq(self.addresses.iter().copied())
    }
}

fn any_sent<A>() -> impl Strategy<Value = Sent>
where
    A: Arbitrary + Into<IpAddr> + 'static,
{
    let addresses = prop::collection::vec(any::<A>().prop_map(Into::into), 1..=255);
    (1..=255_u8, any::<u8>(), 1..=4095_u16, addresses, any_form()).prop_map(
        |(vrid, priority, centis, addresses, checksum)| Sent {
            vrid,
            priority,
            centis,
            addresses,
            checksum,
        },
    )
}

proptest! {
    #[test]
    fn any_bytes_are_read_as_the_oracles_read_them(
        bytes in prop::collection::vec(any::<u8>(), 0..1500),
        (source, destination) in any::<(Ipv6Addr, Ipv6Addr)>(),
    ) {
        let _ = oracle::check_ipv4(&bytes);
        let _ = oracle::check_ipv6(source, destination, 255, &bytes);
    }

    #[test]
    fn any_message_behind_a_good_ip_header_is_read_as_the_oracles_read_it(
        options in 0..=10_u8,
        message in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let _ = oracle::check_ipv4(&packet(options, &message));
    }

    #[test]
    fn what_is_sent_over_ipv4_is_read_back_by_us_by_pnet_and_by_hand_5_1_1(
        sent in any_sent::<Ipv4Addr>(),
        (source, destination) in any::<(Ipv4Addr, Ipv4Addr)>(),
    ) {
        let mut buffer = [0; MAX_LEN];
        let bytes = sent.outgoing().encode(source.into(), destination.into(), &mut buffer);

        let ip = Ipv4Packet::new(bytes).unwrap();
        prop_assert_eq!((ip.get_version(), ip.get_header_length()), (4, 5));
        prop_assert_eq!(usize::from(ip.get_total_length()), bytes.len());
        prop_assert_eq!((ip.get_ttl(), ip.get_next_level_protocol().0), (255, 112));
        prop_assert_eq!((ip.get_source(), ip.get_destination()), (source, destination));
        prop_assert_eq!(ip.get_dscp(), 48);
        prop_assert_eq!(ip.get_checksum(), ipv4::checksum(&ip));

        prop_assert!(sent.is_written_in(ip.payload()));
        let form = oracle::form(source.into(), destination.into(), ip.payload());
        let advert = Advert::decode_ipv4(bytes).unwrap();
        prop_assert_eq!(Some(advert.checksum), form);
        prop_assert_eq!(advert.source, IpAddr::from(source));
        prop_assert_eq!(advert.destination, IpAddr::from(destination));
        prop_assert!(sent.is_read_in(&advert));
    }

    #[test]
    fn what_is_sent_over_ipv6_is_read_back_by_us_by_pnet_by_etherparse_and_by_hand_5_1_2(
        sent in any_sent::<Ipv6Addr>(),
        (source, destination) in any::<(Ipv6Addr, Ipv6Addr)>(),
    ) {
        let mut buffer = [0; MAX_LEN];
        let bytes = sent.outgoing().encode(source.into(), destination.into(), &mut buffer);

        let ip = Ipv6Packet::new(bytes).unwrap();
        prop_assert_eq!((ip.get_version(), ip.get_traffic_class() >> 2), (6, 48));
        prop_assert_eq!(usize::from(ip.get_payload_length()) + 40, bytes.len());
        prop_assert_eq!((ip.get_hop_limit(), ip.get_next_header().0), (255, 112));
        prop_assert_eq!((ip.get_source(), ip.get_destination()), (source, destination));
        let strict = Ipv6Slice::from_slice(bytes).unwrap();
        prop_assert_eq!(strict.payload().payload, ip.payload());
        prop_assert_eq!(strict.payload().ip_number.0, 112);

        prop_assert!(sent.is_written_in(ip.payload()));
        let form = oracle::form(source.into(), destination.into(), ip.payload());
        let advert = Advert::decode_ipv6(source, destination, 255, ip.payload()).unwrap();
        prop_assert_eq!(Some(advert.checksum), form);
        prop_assert_eq!(advert.source, IpAddr::from(source));
        prop_assert_eq!(advert.destination, IpAddr::from(destination));
        prop_assert!(sent.is_read_in(&advert));
    }
}

/// A number from the environment.
fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// Mutates half of the packets that are asked for, and says what became of them.
fn mutate(family: Family) {
    let packets = setting("WIRE_PACKETS").unwrap_or(PACKETS) / 2;
    let seed = setting("WIRE_SEED").unwrap_or(0);
    let mut rng = Rng::new(seed);
    let mut accepted = 0_u64;
    let mut dropped = [0_u64; DropReason::ALL.len()];
    while accepted + dropped.iter().sum::<u64>() < packets {
        let packet = mutation::packet(&mut rng, family);
        let seen = match family {
            Family::Ipv4 => oracle::check_ipv4(&packet),
            Family::Ipv6 => match repair::parts(family, &packet) {
                Some((IpAddr::V6(source), IpAddr::V6(destination), message)) => {
                    oracle::check_ipv6(source, destination, packet[7], message)
                }
                // Not even a header is left, which a raw socket would not deliver.
                _ => continue,
            },
        };
        match seen {
            Ok(_) => accepted += 1,
            Err(reason) => dropped[reason.index()] += 1,
        }
    }
    println!("{packets} mutated {family} packets, seed {seed}: {accepted} accepted");
    for (reason, count) in DropReason::ALL.into_iter().zip(dropped).filter(|&(_, n)| n > 0) {
        println!("{count:>10} dropped: {reason}");
    }
    assert!(accepted > packets / 20, "too few get through to show anything");
    let rules = &DropReason::ALL[..DropReason::Interval.index() + 1];
    for reason in rules.iter().filter(|&&r| family == Family::Ipv4 || r != DropReason::IpHeader) {
        assert!(dropped[reason.index()] > packets / 10_000, "too few show that {reason}");
    }
}

#[test]
fn mutated_ipv4_packets_are_read_as_the_oracles_read_them_7_1() {
    mutate(Family::Ipv4);
}

#[test]
fn mutated_ipv6_packets_are_read_as_the_oracles_read_them_7_1() {
    mutate(Family::Ipv6);
}
