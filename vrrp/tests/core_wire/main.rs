//! What holds for every packet: reading never panics, nothing is taken that pnet and plain
//! arithmetic do not read the same way, and what is sent is read back.
#![allow(clippy::unwrap_used)]

use core::net::{IpAddr, Ipv4Addr};

use pnet::packet::Packet;
use pnet::packet::ip::IpNextHeaderProtocol;
use pnet::packet::ipv4::{self, Ipv4Packet};
use pnet::util;
use proptest::prelude::*;
use vrrp::time::Centis;
use vrrp::wire::{Advert, ChecksumForm, GROUP_V4, MAX_IPV4_LEN, Outgoing};
use vrrp::{Priority, Vrid};

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

/// Which form of the checksum fits, as pnet computes it.
fn form_by_pnet(source: Ipv4Addr, destination: Ipv4Addr, message: &[u8]) -> Option<ChecksumForm> {
    let found = u16::from_be_bytes([message[6], message[7]]);
    let protocol = IpNextHeaderProtocol(112);
    let rfc = util::checksum(message, 3);
    let pseudo = util::ipv4_checksum(message, 3, &[], &source, &destination, protocol);
    // 0000 and FFFF are the same number to a receiver, which adds up everything.
    let same = |sum: u16| sum == found || (sum | found == 0xffff && sum & found == 0);
    if same(rfc) {
        Some(ChecksumForm::Rfc9568)
    } else if same(pseudo) {
        Some(ChecksumForm::PseudoHeader)
    } else {
        None
    }
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
}

fn any_sent(most_addresses: usize) -> impl Strategy<Value = Sent> {
    let address = any::<Ipv4Addr>().prop_map(IpAddr::from);
    let addresses = prop::collection::vec(address, 1..=most_addresses);
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
    fn decoding_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..1500)) {
        let _ = Advert::decode_ipv4(&bytes);
    }

    #[test]
    fn decoding_never_panics_behind_a_good_ip_header(
        options in 0..=10_u8,
        message in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let _ = Advert::decode_ipv4(&packet(options, &message));
    }

    #[test]
    fn what_is_sent_is_read_back_by_us_by_pnet_and_by_hand(
        sent in any_sent(255),
        (source, destination) in any::<(Ipv4Addr, Ipv4Addr)>(),
    ) {
        let mut buffer = [0; MAX_IPV4_LEN];
        let bytes = sent.outgoing().encode_ipv4(source, destination, &mut buffer);

        let ip = Ipv4Packet::new(bytes).unwrap();
        prop_assert_eq!((ip.get_version(), ip.get_header_length()), (4, 5));
        prop_assert_eq!(usize::from(ip.get_total_length()), bytes.len());
        prop_assert_eq!((ip.get_ttl(), ip.get_next_level_protocol().0), (255, 112));
        prop_assert_eq!((ip.get_source(), ip.get_destination()), (source, destination));
        prop_assert_eq!(ip.get_dscp(), 48);
        prop_assert_eq!(ip.get_checksum(), ipv4::checksum(&ip));

        let message = ip.payload();
        let [high, low] = sent.centis.to_be_bytes();
        let count = u8::try_from(sent.addresses.len()).unwrap();
        prop_assert_eq!(&message[..6], &[0x31, sent.vrid, sent.priority, count, high, low]);
        for (bytes, address) in message[8..].chunks(4).zip(&sent.addresses) {
            prop_assert_eq!(IpAddr::from(<[u8; 4]>::try_from(bytes).unwrap()), *address);
        }
        let form = form_by_pnet(source, destination, message);
        prop_assert!(form.is_some());

        let advert = Advert::decode_ipv4(bytes).unwrap();
        prop_assert_eq!(advert.source, IpAddr::from(source));
        prop_assert_eq!(advert.destination, IpAddr::from(destination));
        prop_assert_eq!(advert.vrid.get(), sent.vrid);
        prop_assert_eq!(advert.priority, Priority::new(sent.priority));
        prop_assert_eq!(advert.interval.get(), sent.centis);
        prop_assert_eq!(Some(advert.checksum), form);
        prop_assert_eq!(advert.address_count(), sent.addresses.len());
        prop_assert!(advert.addresses().eq(sent.addresses.iter().copied()));
    }

    #[test]
    fn a_mutated_packet_is_dropped_or_says_what_its_bytes_and_checksum_say(
        sent in any_sent(8),
        mutations in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        let mut buffer = [0; MAX_IPV4_LEN];
        let source = Ipv4Addr::new(10, 0, 0, 2);
        let mut bytes = sent.outgoing().encode_ipv4(source, GROUP_V4, &mut buffer).to_vec();
        for (at, byte) in mutations {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let Ok(advert) = Advert::decode_ipv4(&bytes) else {
            return Ok(());
        };
        let ip = Ipv4Packet::new(&bytes).unwrap();
        let header_len = usize::from(ip.get_header_length()) * 4;
        let message = &bytes[header_len..usize::from(ip.get_total_length())];
        let form = form_by_pnet(ip.get_source(), ip.get_destination(), message);
        prop_assert_eq!(Some(advert.checksum), form);
        prop_assert_eq!(ip.get_ttl(), 255);
        prop_assert_eq!(message[0], 0x31);
        prop_assert_eq!(advert.vrid.get(), message[1]);
        prop_assert_eq!(advert.priority.map_or(0, Priority::get), message[2]);
        prop_assert_eq!(advert.address_count(), usize::from(message[3]));
        let interval = u16::from_be_bytes([message[4], message[5]]) & 0x0fff;
        prop_assert_eq!(advert.interval.get(), interval);
        prop_assert_eq!(advert.source, IpAddr::from(ip.get_source()));
    }
}
