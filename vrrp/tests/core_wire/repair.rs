//! Makes a broken packet right in the places that would hide all others.

use core::net::IpAddr;

use vrrp::Family;
use vrrp::wire::ChecksumForm;

use crate::oracle;

/// The header length of an IPv4 packet as it says, of an IPv6 packet as it is.
fn header_len(family: Family, packet: &[u8]) -> usize {
    match family {
        Family::Ipv4 => packet.first().map_or(0, |byte| usize::from(byte % 16) * 4),
        Family::Ipv6 => 40,
    }
}

/// The source, the destination and the message, where the packet is long enough to have them.
pub fn parts(family: Family, packet: &[u8]) -> Option<(IpAddr, IpAddr, &[u8])> {
    let message = packet.get(header_len(family, packet)..)?;
    let address = |at: usize| {
        let bytes = packet.get(at..at + family.address_len())?;
        Some(match family {
            Family::Ipv4 => <[u8; 4]>::try_from(bytes).ok()?.into(),
            Family::Ipv6 => <[u8; 16]>::try_from(bytes).ok()?.into(),
        })
    };
    match family {
        Family::Ipv4 => Some((address(12)?, address(16)?, message)),
        Family::Ipv6 => Some((address(8)?, address(24)?, message)),
    }
}

/// Makes the total length of an IPv4 packet right.
pub fn total_length(family: Family, packet: &mut [u8]) {
    if let (Family::Ipv4, Ok(length)) = (family, u16::try_from(packet.len()))
        && let Some(field) = packet.get_mut(2..4)
    {
        field.copy_from_slice(&length.to_be_bytes());
    }
}

/// Makes the checksum of the message right, in one of its forms.
pub fn checksum(family: Family, form: ChecksumForm, packet: &mut [u8]) {
    let Some((source, destination, message)) = parts(family, packet) else {
        return;
    };
    let at = packet.len() - message.len() + 6;
    if message.len() >= 8
        && let Some(seal) = oracle::seal(source, destination, form, message)
    {
        packet[at..at + 2].copy_from_slice(&seal);
    }
}
