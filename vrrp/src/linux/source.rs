//! The source address of adverts.

use core::net::IpAddr;

use super::interface::{AddressInfo, Scope};
use crate::Family;

/// The address that a virtual router on an interface advertises from. `addresses` is in the
/// kernel's order and may hold other interfaces'.
///
/// IPv4 (RFC 9568, 5.1.1.1): the first that is not secondary, of global scope or else of link
/// scope. IPv6 (5.1.2.1): a link-local address that the kernel lets hosts use, the numerically
/// smallest, as the kernel's order is not that of their age. In both, no virtual address: neither
/// one of `vips`, all of the interface's, nor one that mainstay installed, maybe long ago.
///
/// Only where there is none, one of `owned`: the addresses of the virtual router if it is their
/// owner, and so the interface's own.
pub fn choose_source(
    addresses: &[AddressInfo],
    ifindex: u32,
    family: Family,
    vips: &[IpAddr],
    owned: &[IpAddr],
) -> Option<IpAddr> {
    let candidates = || {
        addresses.iter().filter(|info| {
            info.ifindex == ifindex
                && Family::of(info.address) == family
                && !info.ours
                && info.usable
        })
    };
    let others = || candidates().filter(|info| !vips.contains(&info.address));
    let owned = || candidates().filter(|info| owned.contains(&info.address));
    match family {
        Family::Ipv4 => {
            primary(&others().filter(|info| !info.secondary)).or_else(|| primary(&owned()))
        }
        Family::Ipv6 => link_local(others()).or_else(|| link_local(owned())),
    }
}

/// The IPv6 address of an interface that unicast peers with global or unique local addresses would
/// know it by: the numerically smallest that the kernel lets hosts use and that is neither
/// link-local nor virtual (see [`choose_source`]).
pub fn choose_routable(
    addresses: &[AddressInfo],
    ifindex: u32,
    vips: &[IpAddr],
    owned: &[IpAddr],
) -> Option<IpAddr> {
    let candidates = || {
        addresses.iter().filter(|info| {
            info.ifindex == ifindex && !info.ours && info.usable && info.scope == Scope::Global
        })
    };
    let smallest = |wanted: &dyn Fn(&IpAddr) -> bool| {
        candidates().map(|info| info.address).filter(|it| it.is_ipv6() && wanted(it)).min()
    };
    smallest(&|address| !vips.contains(address))
        .or_else(|| smallest(&|address| owned.contains(address)))
}

fn primary<'a, I: Iterator<Item = &'a AddressInfo> + Clone>(candidates: &I) -> Option<IpAddr> {
    let first_of = |scope| candidates.clone().find(|info| info.scope == scope);
    first_of(Scope::Global).or_else(|| first_of(Scope::Link)).map(|info| info.address)
}

fn link_local<'a>(candidates: impl Iterator<Item = &'a AddressInfo>) -> Option<IpAddr> {
    let is_link_local = |address: &IpAddr| match address {
        IpAddr::V4(_) => false,
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    candidates.map(|info| info.address).filter(is_link_local).min()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use core::net::{Ipv4Addr, Ipv6Addr};

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
            usable: true,
        }
    }

    fn choose(addresses: &[AddressInfo]) -> Option<IpAddr> {
        choose_source(addresses, 7, Family::Ipv4, &[VIP], &[])
    }

    #[test]
    fn the_first_address_is_the_source() {
        assert_eq!(choose(&[on_7(ip(11)), on_7(ip(12))]), Some(ip(11)));
    }

    #[test]
    fn no_address_no_source() {
        assert_eq!(choose(&[]), None);
    }

    #[test]
    fn another_interfaces_address_is_never_the_source() {
        let other = AddressInfo { ifindex: 8, ..on_7(ip(11)) };
        assert_eq!(choose(&[other]), None);
    }

    /// RFC 9568, 5.1.1.1, also where the VIP was left as an ordinary address.
    #[test]
    fn a_virtual_address_is_never_the_source() {
        assert_eq!(choose(&[on_7(VIP), on_7(ip(11))]), Some(ip(11)));
        assert_eq!(choose(&[on_7(VIP)]), None);
        let ours = AddressInfo { ours: true, ..on_7(ip(101)) };
        assert_eq!(choose(&[ours]), None);
    }

    #[test]
    fn a_secondary_address_is_never_the_source() {
        let secondary = AddressInfo { secondary: true, ..on_7(ip(11)) };
        assert_eq!(choose(&[secondary]), None);
    }

    #[test]
    fn global_scope_goes_before_link_scope_and_host_scope_never() {
        let link = AddressInfo { scope: Scope::Link, ..on_7(ip(11)) };
        let host = AddressInfo { scope: Scope::Host, ..on_7(ip(12)) };
        assert_eq!(choose(&[link, on_7(ip(13))]), Some(ip(13)));
        assert_eq!(choose(&[host, link]), Some(ip(11)));
        assert_eq!(choose(&[host]), None);
    }

    #[test]
    fn an_ipv6_address_is_never_the_source_of_ipv4() {
        let ipv6 = on_7("fd00::11".parse().unwrap());
        assert_eq!(choose(&[ipv6]), None);
    }

    /// RFC 9568, 5.1.2.1.
    #[test]
    fn the_source_of_ipv6_is_a_link_local_address() {
        assert_eq!(choose_v6(&[on_7(ip(11)), global(1), link_local(5)]), Some(LINK_LOCAL_5));
        assert_eq!(choose_v6(&[on_7(ip(11)), global(1)]), None);
        // Whatever the order in which the kernel has them.
        assert_eq!(choose_v6(&[link_local(7), link_local(5)]), Some(LINK_LOCAL_5));
        assert_eq!(choose_v6(&[link_local(5), link_local(7)]), Some(LINK_LOCAL_5));
        let other = AddressInfo { ifindex: 8, ..link_local(5) };
        assert_eq!(choose_v6(&[other]), None);
    }

    #[test]
    fn an_address_under_or_after_failed_duplicate_detection_is_never_the_source() {
        let tentative = AddressInfo { usable: false, ..link_local(5) };
        assert_eq!(choose_v6(&[tentative]), None);
        assert_eq!(choose_v6(&[tentative, link_local(7)]), Some(link_local(7).address));
    }

    /// RFC 9568, 7.4: also the virtual link-local address.
    #[test]
    fn a_virtual_ipv6_address_is_never_the_source() {
        assert_eq!(choose_v6(&[link_local(1)]), None);
        let ours = AddressInfo { ours: true, ..link_local(2) };
        assert_eq!(choose_v6(&[ours]), None);
        assert_eq!(choose_v6(&[link_local(1), ours, link_local(5)]), Some(LINK_LOCAL_5));
    }

    /// RFC 9568, 6.1: its addresses are the interface's own.
    #[test]
    fn an_owners_address_is_the_source_where_there_is_no_other() {
        let owner = |addresses: &[AddressInfo], owned: &[IpAddr]| {
            choose_source(addresses, 7, Family::of(owned[0]), &[VIP, VIP_V6], owned)
        };
        assert_eq!(owner(&[on_7(VIP)], &[VIP]), Some(VIP));
        assert_eq!(owner(&[on_7(VIP), on_7(ip(11))], &[VIP]), Some(ip(11)));
        let secondary = AddressInfo { secondary: true, ..on_7(VIP) };
        assert_eq!(owner(&[secondary], &[VIP]), Some(VIP));
        assert_eq!(owner(&[on_7(VIP)], &[ip(101)]), None);
        // What mainstay installed goes when the router is Active no more.
        let ours = AddressInfo { ours: true, ..on_7(VIP) };
        assert_eq!(owner(&[ours], &[VIP]), None);

        let owned = [global(1).address, VIP_V6];
        assert_eq!(owner(&[global(1), link_local(1)], &owned), Some(VIP_V6));
        assert_eq!(owner(&[global(1)], &owned), None);
        assert_eq!(owner(&[link_local(1), link_local(5)], &owned), Some(LINK_LOCAL_5));
    }

    const VIP_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1));
    const LINK_LOCAL_5: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 5));

    fn choose_v6(addresses: &[AddressInfo]) -> Option<IpAddr> {
        choose_source(addresses, 7, Family::Ipv6, &[VIP, VIP_V6], &[])
    }

    fn link_local(last: u16) -> AddressInfo {
        let address = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, last);
        AddressInfo { scope: Scope::Link, ..on_7(address.into()) }
    }

    fn global(last: u16) -> AddressInfo {
        on_7(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, last).into())
    }

    #[test]
    fn unicast_peers_beyond_the_link_know_a_routable_address() {
        let (own, vip) = ("fd00::11".parse().unwrap(), "fd00::10".parse().unwrap());
        let link = AddressInfo { scope: Scope::Link, ..on_7("fe80::11".parse().unwrap()) };
        let tentative = AddressInfo { usable: false, ..on_7("fd00::1".parse().unwrap()) };
        let choose =
            |list: &[AddressInfo], owned: &[IpAddr]| choose_routable(list, 7, &[vip], owned);
        assert_eq!(choose(&[link, tentative, on_7(vip), on_7(own)], &[]), Some(own));
        assert_eq!(choose(&[link, on_7(vip)], &[]), None);
        assert_eq!(choose(&[link, on_7(vip)], &[vip]), Some(vip));
    }
}
