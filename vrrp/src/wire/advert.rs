//! An advertisement as it is received: a checked view of its packet.

use core::net::{IpAddr, Ipv6Addr};

use etherparse::{IpNumber, Ipv4HeaderSlice};

use super::{ChecksumForm, DropReason, FIXED_LEN, PROTOCOL, TTL, VERSION_AND_TYPE, checksum};
use crate::time::Centis;
use crate::{Family, Priority, Vrid};

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
        let checksum = checksum::ipv4_form(source, destination, message)?;
        fixed.into_advert(source.into(), destination.into(), checksum)
    }

    /// Reads the payload of one IPv6 packet of next header 112. A raw socket delivers no IPv6
    /// header: the addresses and the hop limit are what the kernel says of it.
    ///
    /// # Errors
    /// The first rule of RFC 9568, 7.1, that the packet breaks. An empty payload is a packet like
    /// any other, of wrong [`Length`](DropReason::Length).
    pub fn decode_ipv6(
        source: Ipv6Addr,
        destination: Ipv6Addr,
        hop_limit: u8,
        message: &'a [u8],
    ) -> Result<Self, DropReason> {
        if hop_limit != TTL {
            return Err(DropReason::Ttl);
        }
        let fixed = Fixed::parse(message, Family::Ipv6)?;
        let checksum = checksum::ipv6_form(source, destination, message)?;
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
