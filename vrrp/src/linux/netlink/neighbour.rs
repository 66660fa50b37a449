//! Neighbours that do not answer.

use core::net::IpAddr;

use netlink_packet_core::{NLM_F_ACK, NLM_F_REQUEST, NlasIterator};
use netlink_packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::{Netlink, NetlinkError};
use crate::Family;
use crate::linux::interface::{ip, u32_at};

const RTM_NEWNEIGH: u16 = 28;
const NUD_INCOMPLETE: u16 = 0x01;
const NDA_DST: u16 = 1;
const NDA_CACHEINFO: u16 = 3;
/// Where `ndm_updated` stands in `nda_cacheinfo`.
const UPDATED: usize = 8;
/// One that was asked for so lately may be about to answer: hundredths of a second.
const PATIENCE: u32 = 2;

/// A neighbour that was asked for and has not answered yet.
struct Asked {
    ifindex: u32,
    address: IpAddr,
    /// How long ago, in hundredths of a second.
    age: u32,
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
        let mut question = NeighbourMessage::default();
        question.header.family = match family {
            Family::Ipv4 => AddressFamily::Inet,
            Family::Ipv6 => AddressFamily::Inet6,
        };
        question.attributes.push(NeighbourAttribute::IfIndex(ifindex));
        let request = RouteNetlinkMessage::GetNeighbour(question);
        let mut asked = self.dump(&request, RTM_NEWNEIGH, decode)?;
        asked.retain(|asked| asked.ifindex == ifindex && asked.age >= PATIENCE);
        let requests = asked.iter().map(|asked| {
            (NLM_F_REQUEST | NLM_F_ACK, RouteNetlinkMessage::DelNeighbour(removal(asked)))
        });
        let outcomes = self.transact(requests.collect::<Vec<_>>());
        Ok(outcomes.into_iter().filter(Result::is_ok).count())
    }
}

fn removal(asked: &Asked) -> NeighbourMessage {
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

/// Reads the payload of RTM_NEWNEIGH; `None` for any but those that have not answered.
fn decode(payload: &[u8]) -> Option<Asked> {
    let (header, attributes) = payload.split_at_checked(12)?;
    if u16::from_ne_bytes([header[8], header[9]]) != NUD_INCOMPLETE {
        return None;
    }
    let (mut address, mut age) = (None, 0);
    for attribute in NlasIterator::new(attributes).map_while(Result::ok) {
        match attribute.kind() {
            NDA_DST => address = ip(header[0], attribute.value()),
            NDA_CACHEINFO => age = u32_at(attribute.value(), UPDATED)?,
            _ => {}
        }
    }
    Some(Asked { ifindex: u32_at(header, 4)?, address: address?, age })
}
