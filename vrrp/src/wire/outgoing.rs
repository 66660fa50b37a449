//! An advertisement as it is sent: a whole IP packet.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::{IpDscp, IpNumber, Ipv4Header, Ipv6Header};

use super::{
    CHECKSUM_AT, ChecksumForm, FIXED_LEN, IPV4_HEADER_LEN, IPV6_HEADER_LEN, MAX_LEN, PROTOCOL, TTL,
    VERSION_AND_TYPE, checksum,
};
use crate::time::Centis;
use crate::{Family, Priority, Vrid};

/// Class selector 6, customary for routing protocols.
const DSCP_CS6: u8 = 48;

/// What is to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// The virtual router.
    pub vrid: Vrid,
    /// `None` gives up: priority 0 on the wire.
    pub priority: Option<Priority>,
    /// The local Advertisement_Interval.
    pub interval: Centis,
    /// The virtual addresses.
    pub addresses: &'a [IpAddr],
    /// The form of the checksum; IPv6 has but one and leaves this aside.
    pub checksum: ChecksumForm,
}

impl Outgoing<'_> {
    /// Writes the whole packet, of the family of `source`, and returns its bytes. Addresses of the
    /// other family are left out; [`crate::config::Addresses`] has none.
    ///
    /// `destination` is a group or a peer of the same family; for any other there is no packet,
    /// and no bytes are returned.
    pub fn encode<'b>(
        &self,
        source: IpAddr,
        destination: IpAddr,
        buffer: &'b mut [u8; MAX_LEN],
    ) -> &'b [u8] {
        let end = match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                self.write_ipv4(source, destination, buffer)
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                self.write_ipv6(source, destination, buffer)
            }
            _ => 0,
        };
        &buffer[..end]
    }

    /// Returns the length of the packet.
    fn write_ipv4(&self, source: Ipv4Addr, destination: Ipv4Addr, buffer: &mut [u8]) -> usize {
        let (header, rest) = buffer.split_at_mut(IPV4_HEADER_LEN);
        let message = self.write_message(Family::Ipv4, rest);
        let pseudo_header = match self.checksum {
            ChecksumForm::Rfc9568 => checksum::no_pseudo_header(),
            ChecksumForm::PseudoHeader => {
                checksum::ipv4_pseudo_header(source, destination, message)
            }
        };
        let sum = checksum::seal(pseudo_header, message);
        message[CHECKSUM_AT..CHECKSUM_AT + 2].copy_from_slice(&sum);
        let bytes = ipv4_header(source, destination, message.len()).to_bytes();
        header.copy_from_slice(&bytes[..IPV4_HEADER_LEN]);
        IPV4_HEADER_LEN + message.len()
    }

    /// Returns the length of the packet.
    fn write_ipv6(&self, source: Ipv6Addr, destination: Ipv6Addr, buffer: &mut [u8]) -> usize {
        let (header, rest) = buffer.split_at_mut(IPV6_HEADER_LEN);
        let message = self.write_message(Family::Ipv6, rest);
        let pseudo_header = checksum::ipv6_pseudo_header(source, destination, message);
        let sum = checksum::seal(pseudo_header, message);
        message[CHECKSUM_AT..CHECKSUM_AT + 2].copy_from_slice(&sum);
        header.copy_from_slice(&ipv6_header(source, destination, message.len()).to_bytes());
        IPV6_HEADER_LEN + message.len()
    }

    /// Writes the message (5.2) to the front of `buffer`, its checksum 0, and returns it.
    fn write_message<'b>(&self, family: Family, buffer: &'b mut [u8]) -> &'b mut [u8] {
        let mut end = FIXED_LEN;
        let mut count = 0_u8;
        let ours = self.addresses.iter().filter(|&&address| Family::of(address) == family);
        for address in ours.take(255) {
            let next = end + family.address_len();
            match address {
                IpAddr::V4(address) => buffer[end..next].copy_from_slice(&address.octets()),
                IpAddr::V6(address) => buffer[end..next].copy_from_slice(&address.octets()),
            }
            end = next;
            count += 1;
        }
        let [high, low] = self.interval.get().to_be_bytes();
        let priority = self.priority.map_or(0, Priority::get);
        let fixed = [VERSION_AND_TYPE, self.vrid.get(), priority, count, high, low, 0, 0];
        buffer[..FIXED_LEN].copy_from_slice(&fixed);
        &mut buffer[..end]
    }
}

/// The header of an IPv4 advertisement (5.1.1); the kernel fills in identification and checksum.
fn ipv4_header(source: Ipv4Addr, destination: Ipv4Addr, payload_len: usize) -> Ipv4Header {
    let mut header = Ipv4Header {
        total_len: u16::try_from(IPV4_HEADER_LEN + payload_len).unwrap_or(u16::MAX),
        time_to_live: TTL,
        protocol: IpNumber(PROTOCOL),
        source: source.octets(),
        destination: destination.octets(),
        dscp: IpDscp::try_new(DSCP_CS6).unwrap_or_default(),
        ..Ipv4Header::default()
    };
    header.header_checksum = header.calc_header_checksum();
    header
}

/// The header of an IPv6 advertisement (5.1.2).
fn ipv6_header(source: Ipv6Addr, destination: Ipv6Addr, payload_len: usize) -> Ipv6Header {
    Ipv6Header {
        traffic_class: DSCP_CS6 << 2,
        payload_length: u16::try_from(payload_len).unwrap_or(u16::MAX),
        next_header: IpNumber(PROTOCOL),
        hop_limit: TTL,
        source: source.octets(),
        destination: destination.octets(),
        ..Ipv6Header::default()
    }
}
