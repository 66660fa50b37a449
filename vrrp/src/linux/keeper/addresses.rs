//! The addresses of this network namespace, as far as the news tell of them.

use core::net::{IpAddr, Ipv4Addr};
use std::collections::BTreeMap;

use crate::linux::interface::AddressInfo;

/// An address can be on an interface once for each prefix length.
type Key = (u32, IpAddr, u8);

/// Below all addresses of all interfaces.
const LOWEST: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// The addresses by interface, virtual ones too.
#[derive(Debug, Default)]
pub(super) struct AddressTable {
    /// Each with its place in the kernel's order.
    known: BTreeMap<Key, (u64, AddressInfo)>,
    next_place: u64,
}

impl AddressTable {
    /// The addresses of an interface in the kernel's order, which says which is the first.
    pub(super) fn on(&self, ifindex: u32) -> Vec<AddressInfo> {
        let mut here: Vec<_> = self.range(ifindex).map(|(_, &entry)| entry).collect();
        here.sort_unstable_by_key(|&(place, _)| place);
        here.into_iter().map(|(_, info)| info).collect()
    }

    /// Each form in which an interface has an address.
    pub(super) fn find(&self, ifindex: u32, address: IpAddr) -> impl Iterator<Item = &AddressInfo> {
        let keys = (ifindex, address, 0)..=(ifindex, address, u8::MAX);
        self.known.range(keys).map(|(_, (_, info))| info)
    }

    pub(super) fn has(&self, ifindex: u32, address: IpAddr) -> bool {
        self.find(ifindex, address).next().is_some()
    }

    /// Every address with the interface that it is on.
    pub(super) fn places(&self) -> impl Iterator<Item = (u32, IpAddr)> {
        self.known.keys().map(|&(ifindex, address, _)| (ifindex, address))
    }

    /// Takes an address that is new, or has changed, which leaves it in its place.
    pub(super) fn insert(&mut self, info: AddressInfo) {
        let place = self.next_place;
        self.next_place += 1;
        self.known.entry(key(&info)).or_insert((place, info)).1 = info;
    }

    pub(super) fn remove(&mut self, info: &AddressInfo) {
        self.known.remove(&key(info));
    }

    /// Forgets the addresses of a link that is gone.
    pub(super) fn remove_link(&mut self, ifindex: u32) {
        let gone: Vec<Key> = self.range(ifindex).map(|(&key, _)| key).collect();
        for key in gone {
            self.known.remove(&key);
        }
    }

    fn range(&self, ifindex: u32) -> impl Iterator<Item = (&Key, &(u64, AddressInfo))> {
        self.known.range((ifindex, LOWEST, 0)..).take_while(move |(key, _)| key.0 == ifindex)
    }
}

impl FromIterator<AddressInfo> for AddressTable {
    fn from_iter<I: IntoIterator<Item = AddressInfo>>(addresses: I) -> Self {
        let mut table = Self::default();
        for info in addresses {
            table.insert(info);
        }
        table
    }
}

fn key(info: &AddressInfo) -> Key {
    (info.ifindex, info.address, info.prefix_len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::interface::Scope;

    fn info(ifindex: u32, last: u8, prefix_len: u8) -> AddressInfo {
        AddressInfo {
            ifindex,
            address: Ipv4Addr::new(10, 0, 0, last).into(),
            prefix_len,
            scope: Scope::Global,
            secondary: false,
            ours: false,
            usable: true,
        }
    }

    #[test]
    fn addresses_stay_in_the_kernels_order_when_they_change() {
        let mut table: AddressTable =
            [info(1, 9, 24), info(2, 1, 24), info(1, 3, 24)].into_iter().collect();
        table.insert(AddressInfo { secondary: true, ..info(1, 9, 24) });
        let order: Vec<_> = table.on(1).iter().map(|info| (info.address, info.secondary)).collect();
        assert_eq!(order, [(info(1, 9, 24).address, true), (info(1, 3, 24).address, false)]);
    }

    #[test]
    fn an_address_is_gone_when_its_last_form_is() {
        let mut table: AddressTable = [info(1, 9, 24), info(1, 9, 32)].into_iter().collect();
        table.remove(&info(1, 9, 24));
        assert!(table.has(1, info(1, 9, 32).address));
        table.remove(&info(1, 9, 32));
        assert!(!table.has(1, info(1, 9, 32).address));
    }

    #[test]
    fn a_link_takes_its_addresses_along() {
        let mut table: AddressTable = [info(1, 9, 24), info(2, 9, 24)].into_iter().collect();
        table.remove_link(1);
        assert!(!table.has(1, info(1, 9, 24).address) && table.has(2, info(1, 9, 24).address));
    }
}
