//! What RFC 9568, 7.1, makes of a packet; written apart from the daemon's own decoder.

use lab::inject::AdvertFrame;
use pnet::packet::ip::IpNextHeaderProtocols;
use pnet::util::{checksum, ipv4_checksum, ipv6_checksum};
use std::net::IpAddr;

use crate::rig::VRID;

/// What is to become of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is to be discarded.
    Wrong,
    /// It counts, with this priority.
    Counts(u8),
}

/// Judges a message in the IP packet of `frame`.
pub fn judge(frame: &AdvertFrame, message: &[u8]) -> Verdict {
    let size = if frame.source.is_ipv4() { 4 } else { 16 };
    let &[first, vrid, priority, count, high, low, ..] = message else {
        return Verdict::Wrong;
    };
    let interval = u16::from(high & 0x0f) << 8 | u16::from(low);
    let needed = 8 + size * usize::from(count);
    let is_malformed = frame.ttl != 255
        || first != 0x31
        || vrid != VRID
        || count == 0
        || interval == 0
        || message.len() < needed;
    if is_malformed {
        Verdict::Wrong
    } else if sums(frame, message).contains(&u16::from_be_bytes([message[6], message[7]])) {
        Verdict::Counts(priority)
    } else {
        Verdict::Wrong
    }
}

/// The checksums that are right: of IPv4 in both forms.
fn sums(frame: &AdvertFrame, message: &[u8]) -> Vec<u16> {
    let protocol = IpNextHeaderProtocols::Vrrp;
    match (frame.source, frame.destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => vec![
            checksum(message, 3),
            ipv4_checksum(message, 3, &[], &source, &destination, protocol),
        ],
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            vec![ipv6_checksum(message, 3, &[], &source, &destination, protocol)]
        }
        _ => Vec::new(),
    }
}
