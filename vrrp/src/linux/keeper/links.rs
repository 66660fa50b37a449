//! The links of this network namespace, as far as the news tell of them.

use std::collections::{BTreeMap, BTreeSet};

use crate::linux::interface::{LinkInfo, LinkKind};

/// The links by index, by name and, for macvlans, by what they stand above.
#[derive(Debug, Default)]
pub(super) struct Links {
    by_index: BTreeMap<u32, LinkInfo>,
    by_name: BTreeMap<String, u32>,
    /// The interface below, the Ethernet address and the index of each macvlan.
    macvlans: BTreeSet<(u32, [u8; 6], u32)>,
    by_mac: BTreeSet<([u8; 6], u32)>,
}

impl Links {
    pub(super) fn get(&self, index: u32) -> Option<&LinkInfo> {
        self.by_index.get(&index)
    }

    pub(super) fn named(&self, name: &str) -> Option<&LinkInfo> {
        self.by_name.get(name).and_then(|index| self.by_index.get(index))
    }

    /// The macvlan above an interface that has an Ethernet address, whatever its name.
    pub(super) fn macvlan(&self, lower: u32, mac: [u8; 6]) -> Option<&LinkInfo> {
        let mut found = self.macvlans.range((lower, mac, 0)..=(lower, mac, u32::MAX));
        found.next().and_then(|(_, _, index)| self.by_index.get(index))
    }

    /// Whether one of them has an Ethernet address.
    pub(super) fn is_own_mac(&self, mac: [u8; 6]) -> bool {
        self.by_mac.range((mac, 0)..=(mac, u32::MAX)).next().is_some()
    }

    /// Takes a link that is new or has changed; gives what was known of it.
    pub(super) fn insert(&mut self, link: LinkInfo) -> Option<LinkInfo> {
        let old = self.remove(link.index);
        self.by_name.insert(link.name.clone(), link.index);
        self.macvlans.extend(macvlan_key(&link));
        self.by_mac.extend(link.mac.map(|mac| (mac, link.index)));
        self.by_index.insert(link.index, link);
        old
    }

    pub(super) fn remove(&mut self, index: u32) -> Option<LinkInfo> {
        let old = self.by_index.remove(&index)?;
        // Another link may have the name by now.
        if self.by_name.get(&old.name) == Some(&index) {
            self.by_name.remove(&old.name);
        }
        if let Some(key) = macvlan_key(&old) {
            self.macvlans.remove(&key);
        }
        if let Some(mac) = old.mac {
            self.by_mac.remove(&(mac, index));
        }
        Some(old)
    }
}

impl FromIterator<LinkInfo> for Links {
    fn from_iter<I: IntoIterator<Item = LinkInfo>>(links: I) -> Self {
        let mut collected = Self::default();
        for link in links {
            collected.insert(link);
        }
        collected
    }
}

fn macvlan_key(link: &LinkInfo) -> Option<(u32, [u8; 6], u32)> {
    let (lower, mac) = (link.lower?, link.mac?);
    (link.kind == LinkKind::Macvlan).then_some((lower, mac, link.index))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const MAC: [u8; 6] = [0, 0, 0x5e, 0, 1, 7];

    fn link(index: u32, name: &str) -> LinkInfo {
        LinkInfo {
            index,
            name: name.to_owned(),
            up: true,
            carrier: true,
            mac: Some([2, 0, 0, 0, 0, 1]),
            mtu: 1500,
            lower: None,
            kind: LinkKind::Other,
        }
    }

    fn macvlan(index: u32, lower: u32) -> LinkInfo {
        let kind = LinkKind::Macvlan;
        LinkInfo { mac: Some(MAC), lower: Some(lower), kind, ..link(index, "vrrp7") }
    }

    #[test]
    fn two_links_that_swap_their_names_are_told_apart() {
        let mut links: Links = [link(1, "a"), link(2, "b")].into_iter().collect();
        for (index, name) in [(1, "c"), (2, "a"), (1, "b")] {
            links.insert(link(index, name));
        }
        assert_eq!(links.named("a").unwrap().index, 2);
        assert_eq!(links.named("b").unwrap().index, 1);
        assert_eq!(links.named("c"), None);
    }

    #[test]
    fn a_link_made_again_under_its_name_survives_the_news_of_the_old_one() {
        let mut links: Links = [link(1, "a"), link(2, "a")].into_iter().collect();
        links.remove(1);
        assert_eq!(links.named("a").unwrap().index, 2);
    }

    #[test]
    fn a_macvlan_is_found_by_what_it_stands_above_and_its_ethernet_address() {
        let mut links: Links = [link(1, "a"), macvlan(5, 1)].into_iter().collect();
        assert_eq!(links.macvlan(1, MAC).unwrap().index, 5);
        assert_eq!(links.macvlan(2, MAC), None);
        assert_eq!(links.macvlan(1, [0, 0, 0x5e, 0, 2, 7]), None);
        links.insert(LinkInfo { kind: LinkKind::Other, ..macvlan(5, 1) });
        assert_eq!(links.macvlan(1, MAC), None);
    }
}
