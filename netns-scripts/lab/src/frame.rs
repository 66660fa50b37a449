//! Reads VRRP advertisements, ARP and Neighbor Discovery from Ethernet frames, with pnet and not
//! with mainstay's own decoder.

mod advert;
mod arp;
mod neighbour;

use pnet::packet::Packet;
use pnet::packet::ethernet::{EtherTypes, EthernetPacket};
use pnet::util::MacAddr;
use serde::{Serialize, Serializer};

pub use advert::{Advert, Checksum};
pub use arp::{Arp, ArpOperation};
pub use neighbour::{Discovery, Neighbour};

/// A frame that the lab cares about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A VRRPv3 advertisement.
    Advert(Advert),
    /// ARP for IPv4.
    Arp(Arp),
    /// A Neighbor Solicitation or Advertisement.
    Neighbour(Neighbour),
}

/// From which station to which a frame went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Ethernet {
    /// The sender.
    #[serde(serialize_with = "text")]
    pub source: MacAddr,
    /// The station or group it is for.
    #[serde(serialize_with = "text")]
    pub destination: MacAddr,
}

/// Reads an Ethernet frame. `None` if it is none of [`Frame`], or not well-formed.
pub fn decode(bytes: &[u8]) -> Option<Frame> {
    let packet = EthernetPacket::new(bytes)?;
    let ethernet = Ethernet { source: packet.get_source(), destination: packet.get_destination() };
    let payload = packet.payload();
    match packet.get_ethertype() {
        EtherTypes::Arp => Arp::read(ethernet, payload).map(Frame::Arp),
        EtherTypes::Ipv4 => Advert::read_ipv4(ethernet, payload).map(Frame::Advert),
        EtherTypes::Ipv6 => Advert::read_ipv6(ethernet, payload)
            .map(Frame::Advert)
            .or_else(|| Neighbour::read(ethernet, payload).map(Frame::Neighbour)),
        _ => None,
    }
}

fn text<S: Serializer>(mac: &MacAddr, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(mac)
}
