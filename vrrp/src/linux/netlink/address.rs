//! The requests that install and remove a virtual address.

use core::net::IpAddr;
use std::collections::BTreeMap;

use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressMessage, AddressProtocol, AddressScope, CacheInfo,
};
use netlink_sys::Socket;
use rustix::net::netdevice;

use super::Install;
use crate::config::Lease;
use crate::linux::interface::{ADDRESS_PROTOCOL, AddressInfo};

/// `valid_lft forever`.
const FOREVER: u32 = u32::MAX;

/// The requests for addresses, in the order of `wanted`; `socket` is any that names can be asked of.
pub(super) fn installations(
    socket: &Socket,
    wanted: &[Install],
) -> impl Iterator<Item = AddressMessage> {
    let mut labels = BTreeMap::new();
    wanted.iter().map(move |install| {
        let ifindex = install.ifindex;
        let label = install
            .address
            .is_ipv4()
            .then(|| labels.entry(ifindex).or_insert_with(|| label(socket, ifindex)).clone());
        installation(install, label.flatten())
    })
}

/// The request for an address that serves and is never chosen as a source.
fn installation(install: &Install, label: Option<String>) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.index = install.ifindex;
    let mut flags = AddressFlags::Noprefixroute;
    match install.address {
        IpAddr::V4(_) => {
            message.header.family = AddressFamily::Inet;
            message.header.prefix_len = 32;
            message.header.scope = AddressScope::Host;
        }
        IpAddr::V6(_) => {
            message.header.family = AddressFamily::Inet6;
            message.header.prefix_len = 128;
            // Duplicate address detection would delay service by a second, and fail where the
            // former owner is slow to withdraw.
            flags |= AddressFlags::Nodad;
        }
    }
    let mut lifetime = CacheInfo::default();
    lifetime.ifa_valid = install.lease.map_or(FOREVER, valid_seconds);
    // Deprecated from the start: IPv6 sources, and programs that look for the node's address.
    lifetime.ifa_preferred = 0;
    message.attributes = vec![
        AddressAttribute::Local(install.address),
        AddressAttribute::Address(install.address),
        AddressAttribute::Flags(flags),
        AddressAttribute::CacheInfo(lifetime),
        AddressAttribute::Protocol(AddressProtocol::Other(ADDRESS_PROTOCOL)),
    ];
    message.attributes.extend(label.map(AddressAttribute::Label));
    message
}

/// How long the kernel is asked to keep an address. It looks for those that have run out no sooner
/// than a second after it last looked, and it looks whenever anybody adds or renews an address of
/// the family: the end comes up to a second late. Of a lease of 1 or 2 s that second cannot be
/// taken off, for the address has to outlive the time to the next refresh.
fn valid_seconds(lease: Lease) -> u32 {
    match lease.as_secs() {
        short @ ..3 => short,
        seconds => seconds - 1,
    }
}

/// `eno1:vip`, cut to the kernel's 15 bytes. A host address stands before the node's in the
/// kernel's list, so without a label of its own `SIOCGIFADDR` would give it for the interface's
/// address, and `getifaddrs` would list it first.
fn label(socket: &Socket, ifindex: u32) -> Option<String> {
    const LONGEST: usize = 15;
    let name = netdevice::index_to_name(socket, ifindex).ok()?;
    let mut label = format!("{name}:vip");
    label.truncate(LONGEST);
    (label.len() > name.len() + 1).then_some(label)
}

/// The request to remove an address: IPv4 without `IFA_ADDRESS`, which makes the kernel match the
/// address alone, whatever its prefix length; IPv6 with the prefix length that it insists on.
pub(in crate::linux) fn removal(
    ifindex: u32,
    address: IpAddr,
    ipv6_prefix_len: u8,
) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.index = ifindex;
    message.attributes.push(AddressAttribute::Local(address));
    match address {
        IpAddr::V4(_) => message.header.family = AddressFamily::Inet,
        IpAddr::V6(_) => {
            message.header.family = AddressFamily::Inet6;
            message.header.prefix_len = ipv6_prefix_len;
        }
    }
    message
}

/// The request to remove this one address and no twin with another prefix length.
pub(in crate::linux) fn exact_removal(info: &AddressInfo) -> AddressMessage {
    let mut message = removal(info.ifindex, info.address, info.prefix_len);
    message.header.prefix_len = info.prefix_len;
    message.attributes.push(AddressAttribute::Address(info.address));
    message
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Never more than the lease, and more than the third of it after which it is refreshed.
    #[test]
    fn the_kernel_is_asked_for_a_second_less_where_there_is_one_to_spare() {
        for (lease, asked) in [(1, 1), (2, 2), (3, 2), (4, 3), (60, 59), (u32::MAX, u32::MAX - 1)] {
            let lease = Lease::from_secs(lease).unwrap();
            assert_eq!(valid_seconds(lease), asked);
            assert!(lease.refresh_interval().as_secs() < u64::from(asked));
        }
    }
}
