//! The checksum of an advertisement (RFC 9568, 5.2.8), in each of its forms.

use core::net::{Ipv4Addr, Ipv6Addr};

use etherparse::checksum::Sum16BitWords;
use serde::{Deserialize, Serialize};

use super::{DropReason, PROTOCOL};
use crate::config::Checksum;

/// Over what an IPv4 checksum was computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChecksumForm {
    /// The VRRP message alone (RFC 9568, 5.2.8); IPv4 only.
    Rfc9568,
    /// A pseudo-header and the message: IPv6 always, IPv4 as keepalived and FRR do it.
    PseudoHeader,
}

impl Checksum {
    /// The form to send when the last peer heard used `peer`.
    pub const fn form(self, peer: Option<ChecksumForm>) -> ChecksumForm {
        match (self, peer) {
            (Self::PseudoHeader, _) | (Self::Auto, Some(ChecksumForm::PseudoHeader)) => {
                ChecksumForm::PseudoHeader
            }
            _ => ChecksumForm::Rfc9568,
        }
    }
}

/// The sum of nothing: what the RFC's form for IPv4 puts before the message.
pub(super) fn no_pseudo_header() -> Sum16BitWords {
    Sum16BitWords::new()
}

/// The sum of the pseudo-header that UDP would have over IPv4.
pub(super) fn ipv4_pseudo_header(
    source: Ipv4Addr,
    destination: Ipv4Addr,
    message: &[u8],
) -> Sum16BitWords {
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX).to_be_bytes();
    Sum16BitWords::new()
        .add_4bytes(source.octets())
        .add_4bytes(destination.octets())
        .add_2bytes([0, PROTOCOL])
        .add_2bytes(length)
}

/// The sum of the pseudo-header of RFC 8200, 8.1: its length has 32 bits.
pub(super) fn ipv6_pseudo_header(
    source: Ipv6Addr,
    destination: Ipv6Addr,
    message: &[u8],
) -> Sum16BitWords {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes();
    Sum16BitWords::new()
        .add_16bytes(source.octets())
        .add_16bytes(destination.octets())
        .add_4bytes(length)
        .add_4bytes([0, 0, 0, PROTOCOL])
}

/// The checksum field's bytes for a message whose field is 0, behind a pseudo-header.
pub(super) fn seal(pseudo_header: Sum16BitWords, message: &[u8]) -> [u8; 2] {
    // The sum is kept in the machine's byte order: its bytes in memory are the wire's.
    pseudo_header.add_slice(message).ones_complement().to_ne_bytes()
}

/// Which of the two forms an IPv4 message fits.
pub(super) fn ipv4_form(
    source: Ipv4Addr,
    destination: Ipv4Addr,
    message: &[u8],
) -> Result<ChecksumForm, DropReason> {
    if fits(no_pseudo_header(), message) {
        return Ok(ChecksumForm::Rfc9568);
    }
    if fits(ipv4_pseudo_header(source, destination, message), message) {
        return Ok(ChecksumForm::PseudoHeader);
    }
    Err(DropReason::Checksum)
}

/// The one form that IPv6 has.
pub(super) fn ipv6_form(
    source: Ipv6Addr,
    destination: Ipv6Addr,
    message: &[u8],
) -> Result<ChecksumForm, DropReason> {
    if fits(ipv6_pseudo_header(source, destination, message), message) {
        return Ok(ChecksumForm::PseudoHeader);
    }
    Err(DropReason::Checksum)
}

fn fits(pseudo_header: Sum16BitWords, message: &[u8]) -> bool {
    pseudo_header.add_slice(message).ones_complement() == 0
}
