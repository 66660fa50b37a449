//! Links and addresses as the kernel reports them over rtnetlink.
//!
//! Only the few attributes in use are read, by hand: a full decoder refuses a whole message for
//! one attribute of a newer kernel that it does not understand.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink_packet_core::{NetlinkBuffer, NlasIterator};

/// `IFA_PROTO` of our addresses: "who installed this", in `ip address` shown as `proto 112`.
pub const ADDRESS_PROTOCOL: u8 = crate::wire::PROTOCOL;

const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_FLAGS: u16 = 8;
const IFA_PROTO: u16 = 11;
const IFA_F_SECONDARY: u32 = 0x01;
const IFA_F_DADFAILED: u32 = 0x08;
const IFA_F_TENTATIVE: u32 = 0x40;

const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_LINK: u16 = 5;
const IFLA_LINKINFO: u16 = 18;
const IFLA_LINK_NETNSID: u16 = 37;
const IFLA_INFO_KIND: u16 = 1;
const IFF_UP: u32 = 0x1;
const IFF_RUNNING: u32 = 0x40;
const IFF_LOWER_UP: u32 = 0x1_0000;

const AF_UNSPEC: u8 = 0;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkInfo {
    /// Its index: another one when it is deleted and made again.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Administratively up.
    pub up: bool,
    /// Packets can pass: carrier, and not dormant or held down by a lower device.
    pub carrier: bool,
    /// The Ethernet address; `None` if the link has no such thing.
    pub mac: Option<[u8; 6]>,
    /// Maximum transmission unit in bytes.
    pub mtu: u32,
    /// The index of the interface below this one, if there is one in this network namespace.
    pub lower: Option<u32>,
    /// What it is.
    pub kind: LinkKind,
}

/// The kind of an interface, as far as it matters here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LinkKind {
    /// An interface with an Ethernet address of its own above another: a virtual router's.
    Macvlan,
    /// Any other.
    #[default]
    Other,
}

/// An address on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressInfo {
    /// The interface's index.
    pub ifindex: u32,
    /// The local address.
    pub address: IpAddr,
    /// Length of the prefix in bits.
    pub prefix_len: u8,
    /// How far the address is valid.
    pub scope: Scope,
    /// IPv4: not the first of its subnet on the interface.
    pub secondary: bool,
    /// Installed by mainstay. Always false before Linux 5.18.
    pub ours: bool,
    /// Duplicate address detection (IPv6) is neither under way nor has it failed.
    pub usable: bool,
}

/// The scope of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Anywhere.
    Global,
    /// On the link.
    Link,
    /// On this host: never chosen as a source.
    Host,
    /// Any other value.
    Other(u8),
}

impl From<u8> for Scope {
    fn from(scope: u8) -> Self {
        match scope {
            0 => Self::Global,
            253 => Self::Link,
            254 => Self::Host,
            other => Self::Other(other),
        }
    }
}

/// One message of a netlink datagram.
pub(super) struct Message<'a> {
    pub kind: u16,
    pub flags: u16,
    pub sequence: u32,
    pub payload: &'a [u8],
    /// Bytes to the next message.
    pub length: usize,
}

impl<'a> Message<'a> {
    /// The first message of `bytes`; `None` at the end or if it is cut off.
    pub fn first(bytes: &'a [u8]) -> Option<Self> {
        let buffer = NetlinkBuffer::new_checked(bytes).ok()?;
        let length = usize::try_from(buffer.length()).ok()?.next_multiple_of(4);
        Some(Self {
            kind: buffer.message_type(),
            flags: buffer.flags(),
            sequence: buffer.sequence_number(),
            payload: buffer.payload(),
            length,
        })
    }
}

/// Reads the payload of RTM_NEWLINK or RTM_DELLINK. `None` also for what a bridge says about its
/// ports with these message types: a port that leaves a bridge is not gone.
pub(super) fn decode_link(payload: &[u8]) -> Option<LinkInfo> {
    let (header, attributes) = payload.split_at_checked(16)?;
    if header[0] != AF_UNSPEC {
        return None;
    }
    let flags = u32_at(header, 8)?;
    let mut link = LinkInfo {
        index: u32_at(header, 4)?,
        name: String::new(),
        up: flags & IFF_UP != 0,
        carrier: flags & IFF_RUNNING != 0 && flags & IFF_LOWER_UP != 0,
        mac: None,
        mtu: 0,
        lower: None,
        kind: LinkKind::Other,
    };
    let mut elsewhere = false;
    for attribute in NlasIterator::new(attributes).map_while(Result::ok) {
        let value = attribute.value();
        match attribute.kind() {
            IFLA_ADDRESS => link.mac = value.try_into().ok(),
            IFLA_IFNAME => link.name = text(value),
            IFLA_MTU => link.mtu = u32_at(value, 0)?,
            IFLA_LINK => link.lower = u32_at(value, 0),
            IFLA_LINK_NETNSID => elsewhere = true,
            IFLA_LINKINFO => link.kind = link_kind(value),
            _ => {}
        }
    }
    link.lower = link.lower.filter(|_| !elsewhere);
    Some(link)
}

fn link_kind(attributes: &[u8]) -> LinkKind {
    let mut attributes = NlasIterator::new(attributes).map_while(Result::ok);
    match attributes.find(|attribute| attribute.kind() == IFLA_INFO_KIND) {
        Some(kind) if text(kind.value()) == "macvlan" => LinkKind::Macvlan,
        _ => LinkKind::Other,
    }
}

/// Reads the payload of RTM_NEWADDR or RTM_DELADDR.
pub(super) fn decode_address(payload: &[u8]) -> Option<AddressInfo> {
    let (header, attributes) = payload.split_at_checked(8)?;
    let (family, prefix_len, scope) = (header[0], header[1], Scope::from(header[3]));
    let mut flags = u32::from(header[2]);
    let (mut address, mut local, mut ours) = (None, None, false);
    for attribute in NlasIterator::new(attributes).map_while(Result::ok) {
        let value = attribute.value();
        match attribute.kind() {
            IFA_ADDRESS => address = ip(family, value),
            IFA_LOCAL => local = ip(family, value),
            IFA_FLAGS => flags = u32_at(value, 0)?,
            IFA_PROTO => ours = value == [ADDRESS_PROTOCOL],
            _ => {}
        }
    }
    Some(AddressInfo {
        ifindex: u32_at(header, 4)?,
        // On a point-to-point link IFA_ADDRESS is the other end.
        address: local.or(address)?,
        prefix_len,
        scope,
        secondary: family == AF_INET && flags & IFA_F_SECONDARY != 0,
        ours,
        usable: flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED) == 0,
    })
}

pub(super) fn ip(family: u8, bytes: &[u8]) -> Option<IpAddr> {
    match family {
        AF_INET => <[u8; 4]>::try_from(bytes).ok().map(|octets| Ipv4Addr::from(octets).into()),
        AF_INET6 => <[u8; 16]>::try_from(bytes).ok().map(|octets| Ipv6Addr::from(octets).into()),
        _ => None,
    }
}

/// Netlink numbers have the host's byte order.
pub(super) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    let bytes = bytes.get(offset..offset + 4)?;
    Some(u32::from_ne_bytes(bytes.try_into().ok()?))
}

/// A string with its terminating zero.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RTM_NEWADDR of 10.0.0.10/32 scope host on interface 7, flags in the attribute.
    fn address_message(flags: u32, protocol: u8) -> Vec<u8> {
        let mut bytes = vec![AF_INET, 32, 0x80, 254, 7, 0, 0, 0];
        bytes.extend([8, 0, 2, 0, 10, 0, 0, 10]);
        bytes.extend([8, 0, 8, 0]);
        bytes.extend(flags.to_ne_bytes());
        bytes.extend([5, 0, 11, 0, protocol, 0, 0, 0]);
        bytes
    }

    #[test]
    fn an_address_is_read() {
        let expected = AddressInfo {
            ifindex: 7,
            address: Ipv4Addr::new(10, 0, 0, 10).into(),
            prefix_len: 32,
            scope: Scope::Host,
            secondary: false,
            ours: true,
            usable: true,
        };
        assert_eq!(decode_address(&address_message(0x280, ADDRESS_PROTOCOL)), Some(expected));
        let other = AddressInfo { secondary: true, ours: false, ..expected };
        assert_eq!(decode_address(&address_message(0x281, 0)), Some(other));
    }

    /// RFC 4862, 5.4: under duplicate address detection, or after it has failed.
    #[test]
    fn an_address_that_may_be_anothers_is_not_usable() {
        for (flags, usable) in [(0x280, true), (0x2c0, false), (0x288, false), (0x284, true)] {
            let info = decode_address(&address_message(flags, 0));
            assert_eq!(info.map(|info| info.usable), Some(usable), "{flags:#x}");
        }
    }

    /// RTM_NEWLINK of a macvlan with index 7 above the interface with index 3; nested attributes
    /// may say that they are.
    fn link_message(nested: u16, elsewhere: bool) -> Vec<u8> {
        let mut bytes = vec![0; 16];
        bytes[4] = 7;
        bytes.extend([8, 0, 5, 0, 3, 0, 0, 0]);
        bytes.extend([16, 0]);
        bytes.extend((18 | nested).to_ne_bytes());
        bytes.extend([12, 0, 1, 0]);
        bytes.extend(b"macvlan\0");
        if elsewhere {
            bytes.extend([8, 0, 37, 0, 0, 0, 0, 0]);
        }
        bytes
    }

    #[test]
    fn the_interface_below_and_the_kind_are_read() {
        for nested in [0, 0x8000] {
            let link = decode_link(&link_message(nested, false));
            let link = link.map(|link| (link.index, link.lower, link.kind));
            assert_eq!(link, Some((7, Some(3), LinkKind::Macvlan)));
            // Index 3 of another network namespace.
            let link = decode_link(&link_message(nested, true));
            assert_eq!(link.map(|link| link.lower), Some(None));
        }
    }

    #[test]
    fn a_cut_off_message_never_panics() {
        for message in [address_message(0x280, ADDRESS_PROTOCOL), link_message(0x8000, true)] {
            for length in 0..message.len() {
                let _ = decode_address(&message[..length]);
                let _ = decode_link(&message[..length]);
                let _ = Message::first(&message[..length]);
            }
        }
        let message = address_message(0x280, ADDRESS_PROTOCOL);
        assert_eq!(decode_address(&message[..8]), None);
    }

    #[test]
    fn what_a_bridge_says_about_a_port_is_no_link_message() {
        let mut message = [0; 16];
        message[4] = 7;
        assert!(decode_link(&message).is_some());
        message[0] = 7; // AF_BRIDGE
        assert_eq!(decode_link(&message), None);
    }
}
