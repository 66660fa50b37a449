//! The source address of adverts.

use core::net::IpAddr;

use super::interface::{AddressInfo, Scope};

/// The interface's primary IPv4 address (RFC 9568, 5.1.1.1): the first that is not secondary, of
/// global scope or else of link scope, and no virtual address, ours or left by another program.
/// `addresses` is in the kernel's order and may hold other interfaces'.
pub fn choose_source(addresses: &[AddressInfo], ifindex: u32, vips: &[IpAddr]) -> Option<IpAddr> {
    let eligible = |info: &&AddressInfo| {
        info.ifindex == ifindex
            && info.address.is_ipv4()
            && !info.secondary
            && !info.ours
            && !vips.contains(&info.address)
    };
    let first_of = |scope| {
        addresses.iter().filter(eligible).find(|info| info.scope == scope).map(|info| info.address)
    };
    first_of(Scope::Global).or_else(|| first_of(Scope::Link))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use core::net::Ipv4Addr;

    use super::*;

    const VIP: IpAddr = ip(100);

    const fn ip(last: u8) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(10, 0, 0, last))
    }

    fn on_7(address: IpAddr) -> AddressInfo {
        AddressInfo {
            ifindex: 7,
            address,
            prefix_len: 24,
            scope: Scope::Global,
            secondary: false,
            ours: false,
        }
    }

    #[test]
    fn the_first_address_is_the_source() {
        assert_eq!(choose_source(&[on_7(ip(11)), on_7(ip(12))], 7, &[VIP]), Some(ip(11)));
    }

    #[test]
    fn no_address_no_source() {
        assert_eq!(choose_source(&[], 7, &[VIP]), None);
    }

    #[test]
    fn another_interfaces_address_is_never_the_source() {
        let other = AddressInfo { ifindex: 8, ..on_7(ip(11)) };
        assert_eq!(choose_source(&[other], 7, &[VIP]), None);
    }

    /// RFC 9568, 5.1.1.1, also where the VIP was left as an ordinary address.
    #[test]
    fn a_virtual_address_is_never_the_source() {
        assert_eq!(choose_source(&[on_7(VIP), on_7(ip(11))], 7, &[VIP]), Some(ip(11)));
        assert_eq!(choose_source(&[on_7(VIP)], 7, &[VIP]), None);
        let ours = AddressInfo { ours: true, ..on_7(ip(101)) };
        assert_eq!(choose_source(&[ours], 7, &[VIP]), None);
    }

    #[test]
    fn a_secondary_address_is_never_the_source() {
        let secondary = AddressInfo { secondary: true, ..on_7(ip(11)) };
        assert_eq!(choose_source(&[secondary], 7, &[VIP]), None);
    }

    #[test]
    fn global_scope_goes_before_link_scope_and_host_scope_never() {
        let link = AddressInfo { scope: Scope::Link, ..on_7(ip(11)) };
        let host = AddressInfo { scope: Scope::Host, ..on_7(ip(12)) };
        assert_eq!(choose_source(&[link, on_7(ip(13))], 7, &[VIP]), Some(ip(13)));
        assert_eq!(choose_source(&[host, link], 7, &[VIP]), Some(ip(11)));
        assert_eq!(choose_source(&[host], 7, &[VIP]), None);
    }

    #[test]
    fn an_ipv6_address_is_never_the_source() {
        let ipv6 = on_7("fd00::11".parse().unwrap());
        assert_eq!(choose_source(&[ipv6], 7, &[VIP]), None);
    }
}
