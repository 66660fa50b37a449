//! What a packet says, read by pnet and etherparse and summed up by hand: slow, and sharing
//! nothing with the codec. The fuzz targets use it too.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::{Ipv4Slice, Ipv6Slice};
use pnet::packet::ip::IpNextHeaderProtocol;
use pnet::packet::ipv4::Ipv4Packet;
use pnet::util;
use vrrp::time::Centis;
use vrrp::wire::{Advert, ChecksumForm, DropReason, MAX_LEN, Outgoing};
use vrrp::{Priority, Vrid};

/// An advertisement, field by field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    source: IpAddr,
    destination: IpAddr,
    vrid: u8,
    priority: u8,
    centis: u16,
    form: ChecksumForm,
    addresses: Vec<IpAddr>,
}

impl From<Advert<'_>> for Seen {
    fn from(advert: Advert<'_>) -> Self {
        assert_eq!(advert.address_count(), advert.addresses().count());
        Self {
            source: advert.source,
            destination: advert.destination,
            vrid: advert.vrid.get(),
            priority: advert.priority.map_or(0, Priority::get),
            centis: advert.interval.get(),
            form: advert.checksum,
            addresses: advert.addresses().collect(),
        }
    }
}

/// Decodes an IPv4 packet and panics unless the oracles read it the same way, down to the reason
/// for which it is dropped; what is accepted is also written and read again.
pub fn check_ipv4(packet: &[u8]) -> Result<Seen, DropReason> {
    let decoded = Advert::decode_ipv4(packet).map(Seen::from);
    assert_eq!(decoded, ipv4(packet), "{packet:02x?}");
    if let Ok(seen) = &decoded {
        round_trip(seen, |bytes| Advert::decode_ipv4(bytes).map(Seen::from));
    }
    decoded
}

/// The same for IPv6, whose header a raw socket does not deliver.
pub fn check_ipv6(
    source: Ipv6Addr,
    destination: Ipv6Addr,
    hop_limit: u8,
    message: &[u8],
) -> Result<Seen, DropReason> {
    let decode = |message| Advert::decode_ipv6(source, destination, hop_limit, message);
    let decoded = decode(message).map(Seen::from);
    let expected = ipv6(source, destination, hop_limit, message);
    assert_eq!(decoded, expected, "{source} {destination} {hop_limit} {message:02x?}");
    if let Ok(seen) = &decoded {
        round_trip(seen, |bytes| {
            let ip = Ipv6Slice::from_slice(bytes).unwrap();
            assert_eq!(ip.header().source_addr(), source);
            assert_eq!(ip.header().destination_addr(), destination);
            Advert::decode_ipv6(source, destination, ip.header().hop_limit(), ip.payload().payload)
                .map(Seen::from)
        });
    }
    decoded
}

/// What was read, written and read again: the same, but for a checksum whose two forms are equal.
fn round_trip(seen: &Seen, decode: impl Fn(&[u8]) -> Result<Seen, DropReason>) {
    let outgoing = Outgoing {
        vrid: Vrid::new(seen.vrid).unwrap(),
        priority: Priority::new(seen.priority),
        interval: Centis::new(seen.centis).unwrap(),
        addresses: &seen.addresses,
        checksum: seen.form,
    };
    let mut buffer = [0xa5; MAX_LEN];
    let bytes = outgoing.encode(seen.source, seen.destination, &mut buffer);
    let again = decode(bytes).unwrap();
    if again.form != seen.form {
        let ambiguous = Seen { form: seen.form, ..again.clone() };
        assert_eq!((&ambiguous, again.form), (seen, ChecksumForm::Rfc9568));
        return;
    }
    assert_eq!(&again, seen);
}

/// What pnet and plain arithmetic read in an IPv4 packet.
fn ipv4(packet: &[u8]) -> Result<Seen, DropReason> {
    let ip = Ipv4Packet::new(packet).ok_or(DropReason::IpHeader)?;
    let header_len = usize::from(ip.get_header_length()) * 4;
    let sound = ip.get_version() == 4 && header_len >= 20 && header_len <= packet.len();
    if !sound || ip.get_next_level_protocol() != IpNextHeaderProtocol(112) {
        return Err(DropReason::IpHeader);
    }
    if ip.get_ttl() != 255 {
        return Err(DropReason::Ttl);
    }
    let total_len = usize::from(ip.get_total_length());
    if total_len < header_len || total_len > packet.len() {
        return Err(DropReason::Length);
    }
    let message = &packet[header_len..total_len];
    let (source, destination) = (ip.get_source(), ip.get_destination());
    let seen = message_of(source.into(), destination.into(), message)?;
    let strict = Ipv4Slice::from_slice(packet).unwrap();
    assert_eq!(strict.payload().payload, message, "etherparse disagrees");
    Ok(seen)
}

/// What plain arithmetic reads in the payload of an IPv6 packet.
fn ipv6(
    source: Ipv6Addr,
    destination: Ipv6Addr,
    hop_limit: u8,
    message: &[u8],
) -> Result<Seen, DropReason> {
    if hop_limit != 255 {
        return Err(DropReason::Ttl);
    }
    message_of(source.into(), destination.into(), message)
}

/// RFC 9568, 7.1, in the order in which the codec's documentation promises it.
fn message_of(source: IpAddr, destination: IpAddr, message: &[u8]) -> Result<Seen, DropReason> {
    let size = if source.is_ipv4() { 4 } else { 16 };
    if message.len() < 8 {
        return Err(DropReason::Length);
    }
    if message[0] / 16 != 3 {
        return Err(DropReason::Version);
    }
    if message[0] % 16 != 1 {
        return Err(DropReason::Type);
    }
    let count = usize::from(message[3]);
    if message.len() < 8 + count * size {
        return Err(DropReason::Length);
    }
    let form = form(source, destination, message).ok_or(DropReason::Checksum)?;
    if count == 0 {
        return Err(DropReason::AddressCount);
    }
    if message[1] == 0 {
        return Err(DropReason::Vrid);
    }
    let centis = u16::from(message[4] % 16) * 256 + u16::from(message[5]);
    if centis == 0 {
        return Err(DropReason::Interval);
    }
    let address = |i| {
        let bytes = &message[8 + i * size..8 + (i + 1) * size];
        match size {
            4 => <[u8; 4]>::try_from(bytes).unwrap().into(),
            _ => <[u8; 16]>::try_from(bytes).unwrap().into(),
        }
    };
    let addresses = (0..count).map(address).collect();
    let (vrid, priority) = (message[1], message[2]);
    Ok(Seen { source, destination, vrid, priority, centis, form, addresses })
}

/// Which form of the checksum a message fits, by hand and by pnet.
pub fn form(source: IpAddr, destination: IpAddr, message: &[u8]) -> Option<ChecksumForm> {
    let (pseudo_header, pseudo) = match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            (pseudo_ipv4(source, destination, message), seal_ipv4(source, destination, message))
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            (pseudo_ipv6(source, destination, message), seal_ipv6(source, destination, message))
        }
        _ => return None,
    };
    let by_hand = |pseudo_header: &[u8]| sum(&[pseudo_header, message].concat()) == 0xffff;
    let found = u16::from_be_bytes([message[6], message[7]]);
    // 0000 and FFFF are the same number to a receiver, which adds up everything.
    let by_pnet = |seal: u16| seal % 0xffff == found % 0xffff;
    let fits = |form| {
        let (pseudo_header, seal) = match form {
            ChecksumForm::Rfc9568 => (&[][..], util::checksum(message, 3)),
            ChecksumForm::PseudoHeader => (&pseudo_header[..], pseudo),
        };
        assert_eq!(by_hand(pseudo_header), by_pnet(seal), "the oracles disagree: {message:02x?}");
        by_pnet(seal)
    };
    let plain = source.is_ipv4() && fits(ChecksumForm::Rfc9568);
    let with_pseudo_header = !plain && fits(ChecksumForm::PseudoHeader);
    plain
        .then_some(ChecksumForm::Rfc9568)
        .or(with_pseudo_header.then_some(ChecksumForm::PseudoHeader))
}

/// The right checksum of a message, as pnet computes it.
pub fn seal(
    source: IpAddr,
    destination: IpAddr,
    form: ChecksumForm,
    message: &[u8],
) -> Option<[u8; 2]> {
    let checksum = match (source, destination, form) {
        (IpAddr::V4(_), _, ChecksumForm::Rfc9568) => util::checksum(message, 3),
        (IpAddr::V4(source), IpAddr::V4(destination), ChecksumForm::PseudoHeader) => {
            seal_ipv4(source, destination, message)
        }
        (IpAddr::V6(source), IpAddr::V6(destination), _) => seal_ipv6(source, destination, message),
        _ => return None,
    };
    Some(checksum.to_be_bytes())
}

fn seal_ipv4(source: Ipv4Addr, destination: Ipv4Addr, message: &[u8]) -> u16 {
    util::ipv4_checksum(message, 3, &[], &source, &destination, IpNextHeaderProtocol(112))
}

fn seal_ipv6(source: Ipv6Addr, destination: Ipv6Addr, message: &[u8]) -> u16 {
    util::ipv6_checksum(message, 3, &[], &source, &destination, IpNextHeaderProtocol(112))
}

fn pseudo_ipv4(source: Ipv4Addr, destination: Ipv4Addr, message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).unwrap().to_be_bytes();
    [&source.octets()[..], &destination.octets(), &[0, 112], &length].concat()
}

fn pseudo_ipv6(source: Ipv6Addr, destination: Ipv6Addr, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&source.octets()[..], &destination.octets(), &length, &[0, 0, 0, 112]].concat()
}

/// The ones' complement sum of big-endian words, folded after each; an odd byte has a 0 behind it.
fn sum(bytes: &[u8]) -> u16 {
    let mut sum = 0_u32;
    for word in bytes.chunks(2) {
        sum += u32::from(word[0]) * 256 + u32::from(word.get(1).copied().unwrap_or(0));
        sum = sum % 0x1_0000 + sum / 0x1_0000;
    }
    u16::try_from(sum).unwrap()
}
