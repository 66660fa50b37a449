//! ARP for IPv4.

use std::net::Ipv4Addr;

use pnet::packet::arp::{ArpOperations, ArpPacket};
use pnet::util::MacAddr;

use super::Ethernet;

/// An ARP packet for IPv4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arp {
    /// The frame's addresses.
    pub ethernet: Ethernet,
    /// Request or reply.
    pub operation: ArpOperation,
    /// Sender hardware address.
    pub sender_mac: MacAddr,
    /// Sender protocol address.
    pub sender: Ipv4Addr,
    /// Target hardware address.
    pub target_mac: MacAddr,
    /// Target protocol address.
    pub target: Ipv4Addr,
}

/// Request or reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArpOperation {
    /// Operation 1.
    Request,
    /// Operation 2.
    Reply,
}

impl Arp {
    pub(super) fn read(ethernet: Ethernet, payload: &[u8]) -> Option<Self> {
        let packet = ArpPacket::new(payload)?;
        let operation = match packet.get_operation() {
            ArpOperations::Request => ArpOperation::Request,
            ArpOperations::Reply => ArpOperation::Reply,
            _ => return None,
        };
        Some(Self {
            ethernet,
            operation,
            sender_mac: packet.get_sender_hw_addr(),
            sender: packet.get_sender_proto_addr(),
            target_mac: packet.get_target_hw_addr(),
            target: packet.get_target_proto_addr(),
        })
    }

    /// Whether it announces the sender instead of asking for or answering another.
    pub fn is_gratuitous(&self) -> bool {
        self.sender == self.target
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic)]
    use super::super::{Frame, decode};
    use super::*;

    #[test]
    fn gratuitous_arp_is_known() {
        let mut bytes = vec![0xff; 6];
        bytes.extend([2, 0, 0, 0, 0, 1, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1]);
        bytes.extend([10, 51, 0, 100, 0, 0, 0, 0, 0, 0, 10, 51, 0, 100]);
        let Some(Frame::Arp(arp)) = decode(&bytes) else { panic!("no ARP") };
        assert!(arp.is_gratuitous());
        assert_eq!(arp.sender_mac, MacAddr::new(2, 0, 0, 0, 0, 1));
        assert_eq!(arp.ethernet.destination, MacAddr::broadcast());
    }
}
