//! Advertisements as bytes (RFC 9568, 5): a checked view for reading, an emitter for sending.
//!
//! Reading never panics and never allocates; whatever is wrong with a packet has one
//! [`DropReason`], so that each can be counted apart.

use core::net::{IpAddr, Ipv4Addr};

use etherparse::checksum::Sum16BitWords;
use etherparse::{IpDscp, IpNumber, Ipv4Header, Ipv4HeaderSlice};
use serde::{Deserialize, Serialize};

use crate::config::Checksum;
use crate::time::Centis;
use crate::{Family, Priority, Vrid};

/// IP protocol number of VRRP (RFC 9568, 5.1.1.4).
pub const PROTOCOL: u8 = 112;
/// TTL and hop limit of every advertisement (RFC 9568, 5.1.1.3).
pub const TTL: u8 = 255;
/// The IPv4 group of all VRRP routers (RFC 9568, 5.1.1.2).
pub const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);
/// The bytes of the largest IPv4 advertisement: header, fixed part, 255 addresses.
pub const MAX_IPV4_LEN: usize = IPV4_HEADER_LEN + FIXED_LEN + 255 * 4;

/// Version 3, type 1 (RFC 9568, 5.2.1 and 5.2.2).
const VERSION_AND_TYPE: u8 = 0x31;
const FIXED_LEN: usize = 8;
const IPV4_HEADER_LEN: usize = 20;
const CHECKSUM_AT: usize = 6;
/// Class selector 6, customary for routing protocols.
const DSCP_CS6: u8 = 48;

/// Why a packet is discarded (RFC 9568, 7.1). The first rule that it breaks counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum DropReason {
    /// The IP header is broken, or does not carry VRRP.
    #[error("the IP header is malformed")]
    IpHeader,
    /// TTL or hop limit is not 255 (5.1.1.3): not sent on this link.
    #[error("the TTL is not 255")]
    Ttl,
    /// Shorter than its fixed part, or than its address count says (7.1).
    #[error("the packet is truncated")]
    Length,
    /// Version is not 3 (5.2.1).
    #[error("the version is not 3")]
    Version,
    /// Type is not ADVERTISEMENT (5.2.2).
    #[error("the type is not ADVERTISEMENT")]
    Type,
    /// Neither form of the checksum fits (5.2.8).
    #[error("the checksum is wrong")]
    Checksum,
    /// VRID 0, which cannot be configured (5.2.3).
    #[error("the VRID is 0")]
    Vrid,
    /// No address (5.2.5, erratum 8299).
    #[error("the address count is 0")]
    AddressCount,
    /// Max Advertise Interval 0 (5.2.7, erratum 8301).
    #[error("the advertisement interval is 0")]
    Interval,
    /// A VRID that is not configured on this interface (7.1).
    #[error("the VRID is not configured here")]
    UnknownVrid,
    /// Our own packet, looped back.
    #[error("the source is this router's own address")]
    OwnSource,
    /// Unicast: the sender is none of the configured peers.
    #[error("the source is no configured peer")]
    UnknownPeer,
    /// Refused by the socket's filter while a flood lasted; by an estimate from a sample, for which
    /// of the rules of RFC 9568, 7.1, is not known.
    #[error("it cannot be an advertisement for this router, and came in a flood")]
    Filtered,
}

impl DropReason {
    /// Every reason, in the order of its index.
    pub const ALL: [Self; 13] = [
        Self::IpHeader,
        Self::Ttl,
        Self::Length,
        Self::Version,
        Self::Type,
        Self::Checksum,
        Self::Vrid,
        Self::AddressCount,
        Self::Interval,
        Self::UnknownVrid,
        Self::OwnSource,
        Self::UnknownPeer,
        Self::Filtered,
    ];

    /// The place of this reason in [`DropReason::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The reason's name in counters and `status -o json`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::IpHeader => "ip_header",
            Self::Ttl => "ttl",
            Self::Length => "length",
            Self::Version => "version",
            Self::Type => "type",
            Self::Checksum => "checksum",
            Self::Vrid => "vrid",
            Self::AddressCount => "address_count",
            Self::Interval => "interval",
            Self::UnknownVrid => "unknown_vrid",
            Self::OwnSource => "own_source",
            Self::UnknownPeer => "unknown_peer",
            Self::Filtered => "filtered",
        }
    }
}

/// Over what an IPv4 checksum was computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChecksumForm {
    /// The VRRP message alone (RFC 9568, 5.2.8).
    Rfc9568,
    /// An IPv4 pseudo-header and the message (keepalived, FRR).
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

/// A checked advertisement, still in its packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advert<'a> {
    /// The router that sent it.
    pub source: IpAddr,
    /// Where it was sent: the group, or this router where peers speak unicast.
    pub destination: IpAddr,
    /// The virtual router it speaks for.
    pub vrid: Vrid,
    /// `None` is the wire's 0: the Active gives up (5.2.4).
    pub priority: Option<Priority>,
    /// Max Advertise Interval (5.2.7).
    pub interval: Centis,
    /// The form of its checksum.
    pub checksum: ChecksumForm,
    addresses: &'a [u8],
}

impl<'a> Advert<'a> {
    /// Reads one IPv4 packet from its IP header on, as a raw socket delivers it.
    ///
    /// # Errors
    /// The first rule of RFC 9568, 7.1, that the packet breaks. The VRID's being configured and
    /// the source's being another router are for the caller to check.
    pub fn decode_ipv4(packet: &'a [u8]) -> Result<Self, DropReason> {
        let header = Ipv4HeaderSlice::from_slice(packet).map_err(|_| DropReason::IpHeader)?;
        if header.protocol() != IpNumber(PROTOCOL) {
            return Err(DropReason::IpHeader);
        }
        if header.ttl() != TTL {
            return Err(DropReason::Ttl);
        }
        let message = packet
            .get(header.slice().len()..usize::from(header.total_len()))
            .ok_or(DropReason::Length)?;
        let (source, destination) = (header.source_addr(), header.destination_addr());
        let fixed = Fixed::parse(message, Family::Ipv4)?;
        let checksum = ipv4_checksum_form(source, destination, message)?;
        fixed.into_advert(source.into(), destination.into(), checksum)
    }

    /// How many addresses the advertisement lists, 1 to 255.
    pub fn address_count(&self) -> usize {
        self.addresses.len() / self.family().address_len()
    }

    /// The addresses the advertisement lists, in its order.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + 'a {
        let family = self.family();
        self.addresses.chunks_exact(family.address_len()).filter_map(move |bytes| match family {
            Family::Ipv4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
            Family::Ipv6 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        })
    }

    /// The family of the packet and so of its addresses (5.2.9).
    pub fn family(&self) -> Family {
        Family::of(self.source)
    }
}

/// The message once its length, version and type are known to be right.
struct Fixed<'a> {
    vrid: u8,
    priority: u8,
    interval: u16,
    addresses: &'a [u8],
}

impl<'a> Fixed<'a> {
    fn parse(message: &'a [u8], family: Family) -> Result<Self, DropReason> {
        let (fixed, rest) = message.split_first_chunk::<FIXED_LEN>().ok_or(DropReason::Length)?;
        let &[version_and_type, vrid, priority, count, high, low, _, _] = fixed;
        if version_and_type >> 4 != VERSION_AND_TYPE >> 4 {
            return Err(DropReason::Version);
        }
        if version_and_type != VERSION_AND_TYPE {
            return Err(DropReason::Type);
        }
        let addresses =
            rest.get(..usize::from(count) * family.address_len()).ok_or(DropReason::Length)?;
        // The upper four bits are reserved and ignored (5.2.6).
        let interval = u16::from_be_bytes([high & 0x0f, low]);
        Ok(Self { vrid, priority, interval, addresses })
    }

    fn into_advert(
        self,
        source: IpAddr,
        destination: IpAddr,
        checksum: ChecksumForm,
    ) -> Result<Advert<'a>, DropReason> {
        if self.addresses.is_empty() {
            return Err(DropReason::AddressCount);
        }
        Ok(Advert {
            source,
            destination,
            vrid: Vrid::new(self.vrid).ok_or(DropReason::Vrid)?,
            priority: Priority::new(self.priority),
            interval: Centis::new(self.interval).map_err(|_| DropReason::Interval)?,
            checksum,
            addresses: self.addresses,
        })
    }
}

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
    /// The form of the checksum.
    pub checksum: ChecksumForm,
}

impl Outgoing<'_> {
    /// Writes the whole IPv4 packet and returns its bytes. Addresses of the other family are left
    /// out; [`crate::config::Addresses`] has none.
    pub fn encode_ipv4<'b>(
        &self,
        source: Ipv4Addr,
        destination: Ipv4Addr,
        buffer: &'b mut [u8; MAX_IPV4_LEN],
    ) -> &'b [u8] {
        let mut end = IPV4_HEADER_LEN + FIXED_LEN;
        let mut count = 0_u8;
        for address in self.addresses.iter().take(255) {
            if let IpAddr::V4(address) = address {
                buffer[end..end + 4].copy_from_slice(&address.octets());
                end += 4;
                count += 1;
            }
        }
        let [high, low] = self.interval.get().to_be_bytes();
        let priority = self.priority.map_or(0, Priority::get);
        buffer[IPV4_HEADER_LEN..IPV4_HEADER_LEN + FIXED_LEN].copy_from_slice(&[
            VERSION_AND_TYPE,
            self.vrid.get(),
            priority,
            count,
            high,
            low,
            0,
            0,
        ]);
        let message = &mut buffer[IPV4_HEADER_LEN..end];
        let sum = match self.checksum {
            ChecksumForm::Rfc9568 => Sum16BitWords::new(),
            ChecksumForm::PseudoHeader => ipv4_pseudo_header(source, destination, message),
        };
        let checksum = sum.add_slice(message).ones_complement().to_be();
        message[CHECKSUM_AT..CHECKSUM_AT + 2].copy_from_slice(&checksum.to_be_bytes());
        let header = ipv4_header(source, destination, end - IPV4_HEADER_LEN);
        buffer[..IPV4_HEADER_LEN].copy_from_slice(&header.to_bytes()[..IPV4_HEADER_LEN]);
        &buffer[..end]
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

fn ipv4_pseudo_header(source: Ipv4Addr, destination: Ipv4Addr, message: &[u8]) -> Sum16BitWords {
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX).to_be_bytes();
    Sum16BitWords::new()
        .add_4bytes(source.octets())
        .add_4bytes(destination.octets())
        .add_2bytes([0, PROTOCOL])
        .add_2bytes(length)
}

/// Which of the two checksum forms an IPv4 message fits.
fn ipv4_checksum_form(
    source: Ipv4Addr,
    destination: Ipv4Addr,
    message: &[u8],
) -> Result<ChecksumForm, DropReason> {
    if Sum16BitWords::new().add_slice(message).ones_complement() == 0 {
        return Ok(ChecksumForm::Rfc9568);
    }
    if ipv4_pseudo_header(source, destination, message).add_slice(message).ones_complement() == 0 {
        return Ok(ChecksumForm::PseudoHeader);
    }
    Err(DropReason::Checksum)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "wire_tests.rs"]
mod tests;
