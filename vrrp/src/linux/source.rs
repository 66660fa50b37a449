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
    fn an_ipv6_address_is_never_the_source() {
        let ipv6 = on_7("fd00::11".parse().unwrap());
        assert_eq!(choose(&[ipv6]), None);
    }
}
