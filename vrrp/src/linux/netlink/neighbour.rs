//! The kernel's neighbours: those that do not answer, and where the others are.

use core::net::IpAddr;

use netlink_packet_core::{NLM_F_ACK, NLM_F_REQUEST, NlasIterator};
use netlink_packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::{Netlink, NetlinkError};
use crate::linux::interface::{ip, u32_at};
use crate::{Family, Mac};

const RTM_NEWNEIGH: u16 = 28;
const NUD_INCOMPLETE: u16 = 0x01;
/// Asked for in vain, or without an Ethernet address.
const NUD_FAILED: u16 = 0x20;
const NUD_NOARP: u16 = 0x40;
const NDA_DST: u16 = 1;
const NDA_LLADDR: u16 = 2;
const NDA_CACHEINFO: u16 = 3;
/// Where `ndm_updated` stands in `nda_cacheinfo`.
const UPDATED: usize = 8;
/// One that was asked for so lately may be about to answer: hundredths of a second.
const PATIENCE: u32 = 2;

/// One of the kernel's neighbours.
struct Neighbour {
    ifindex: u32,
    state: u16,
    address: IpAddr,
    /// Since when it is in this state, in hundredths of a second.
    age: u32,
    mac: Option<[u8; 6]>,
}

impl Netlink {
    /// Forgets the neighbours of one interface that were asked for in vain, so that the next packet
    /// to one of them has the kernel ask again at once. Left to itself, it asks once a second and
    /// holds the packets back meanwhile: too long where the link was cut and is back, or this node
    /// has just taken an address over. How many there were.
    ///
    /// # Errors
    /// [`NetlinkError`].
    pub fn forget_unanswered(
        &mut self,
        ifindex: u32,
        family: Family,
    ) -> Result<usize, NetlinkError> {
        let mut asked = self.neighbours(ifindex, family)?;
        asked.retain(|it| it.state == NUD_INCOMPLETE && it.age >= PATIENCE);
        let requests = asked.iter().map(|asked| {
            (NLM_F_REQUEST | NLM_F_ACK, RouteNetlinkMessage::DelNeighbour(removal(asked)))
        });
        let outcomes = self.transact(requests.collect::<Vec<_>>());
        Ok(outcomes.into_iter().filter(Result::is_ok).count())
    }

    /// The Ethernet address that the kernel knows a host on an interface by, if it has spoken with
    /// it lately.
    ///
    /// # Errors
    /// [`NetlinkError`].
    pub fn neighbour_mac(
        &mut self,
        ifindex: u32,
        host: IpAddr,
    ) -> Result<Option<Mac>, NetlinkError> {
        let neighbours = self.neighbours(ifindex, Family::of(host))?;
        let unknown = NUD_INCOMPLETE | NUD_FAILED | NUD_NOARP;
        let known = neighbours.iter().find(|it| it.address == host && it.state & unknown == 0);
        Ok(known.and_then(|it| it.mac).map(Mac::new))
    }

    fn neighbours(&mut self, ifindex: u32, family: Family) -> Result<Vec<Neighbour>, NetlinkError> {
        let mut question = NeighbourMessage::default();
        question.header.family = match family {
            Family::Ipv4 => AddressFamily::Inet,
            Family::Ipv6 => AddressFamily::Inet6,
        };
        question.attributes.push(NeighbourAttribute::IfIndex(ifindex));
        let request = RouteNetlinkMessage::GetNeighbour(question);
        let mut neighbours = self.dump(&request, RTM_NEWNEIGH, decode)?;
        neighbours.retain(|it| it.ifindex == ifindex);
        Ok(neighbours)
    }
}

fn removal(asked: &Neighbour) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.ifindex = asked.ifindex;
    let (family, address) = match asked.address {
        IpAddr::V4(address) => (AddressFamily::Inet, NeighbourAddress::Inet(address)),
        IpAddr::V6(address) => (AddressFamily::Inet6, NeighbourAddress::Inet6(address)),
    };
    message.header.family = family;
    message.attributes.push(NeighbourAttribute::Destination(address));
    message
}

/// Reads the payload of RTM_NEWNEIGH; `None` for any that is not of IP.
fn decode(payload: &[u8]) -> Option<Neighbour> {
    let (header, attributes) = payload.split_at_checked(12)?;
    let state = u16::from_ne_bytes([header[8], header[9]]);
    let (mut address, mut age, mut mac) = (None, 0, None);
    for attribute in NlasIterator::new(attributes).map_while(Result::ok) {
        match attribute.kind() {
            NDA_DST => address = ip(header[0], attribute.value()),
            NDA_LLADDR => mac = attribute.value().try_into().ok(),
            NDA_CACHEINFO => age = u32_at(attribute.value(), UPDATED)?,
            _ => {}
        }
    }
    Some(Neighbour { ifindex: u32_at(header, 4)?, state, address: address?, age, mac })
}
