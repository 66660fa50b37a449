//! What there is, compared with what is wanted.

use std::collections::{BTreeMap, BTreeSet};

use vrrp::linux::interface::{LinkInfo, LinkKind};
use vrrp::linux::netlink::NewMacvlan;
use vrrp::{Family, Vrid};

use super::wanted::{Wanted, device_name};

/// A macvlan that can be there: the interface below exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needed<'a> {
    /// Whose it is.
    pub wanted: &'a Wanted,
    /// Its name.
    pub name: String,
    /// The index of the interface below.
    pub parent: u32,
    /// Whether it has to be made.
    pub is_missing: bool,
    /// Whether it has the virtual router's MAC address already.
    pub has_mac: bool,
}

/// The outcome.
#[derive(Debug, Default)]
pub struct Survey<'a> {
    /// What can be there.
    pub needed: Vec<Needed<'a>>,
    /// What cannot, each in a sentence.
    pub problems: Vec<String>,
}

impl<'a> Survey<'a> {
    /// Looks for each wanted macvlan. What lacks its interface is left out: the VRRP process says
    /// so already.
    pub fn new(links: &[LinkInfo], wanted: &'a [Wanted]) -> Self {
        let by_name: BTreeMap<&str, &LinkInfo> =
            links.iter().map(|link| (link.name.as_str(), link)).collect();
        let mut survey = Self::default();
        for wanted in wanted {
            if let Some(parent) = by_name.get(wanted.interface.as_str()) {
                survey.look(links, &by_name, wanted, parent);
            }
        }
        survey
    }

    fn look(
        &mut self,
        links: &[LinkInfo],
        by_name: &BTreeMap<&str, &LinkInfo>,
        wanted: &'a Wanted,
        parent: &LinkInfo,
    ) {
        let Wanted { router, interface, .. } = wanted;
        let name = wanted.name(parent.index);
        let mut refuse = |why: String| {
            self.problems.push(format!("{router} has no macvlan: {why}"));
        };
        if parent.kind == LinkKind::Macvlan {
            return refuse(format!(
                "{interface} is a macvlan itself: use the interface below it, or set virtual_mac \
                 = false"
            ));
        }
        if parent.mac.is_none() {
            return refuse(format!("{interface} is no Ethernet: set virtual_mac = false"));
        }
        let present = by_name.get(name.as_str());
        if present.is_some_and(|link| !is_above(link, parent.index)) {
            return refuse(format!("another interface is named {name}: rename or delete it"));
        }
        let foreign = links.iter().find(|link| {
            is_above(link, parent.index) && link.mac == Some(wanted.mac()) && link.name != name
        });
        if let Some(foreign) = foreign {
            return refuse(format!(
                "{}, which another program made above {interface}, has its MAC address: delete it",
                foreign.name
            ));
        }
        self.needed.push(Needed {
            wanted,
            name,
            parent: parent.index,
            is_missing: present.is_none(),
            has_mac: present.is_some_and(|link| link.mac == Some(wanted.mac())),
        });
    }

    /// What has to be made.
    pub fn missing(&self) -> Vec<NewMacvlan> {
        let missing = self.needed.iter().filter(|it| it.is_missing);
        missing.map(|it| NewMacvlan { name: it.name.clone(), lower: it.parent }).collect()
    }

    /// The interfaces below IPv4 macvlans, by index.
    pub fn ipv4_parents(&self) -> BTreeMap<u32, &'a str> {
        let ipv4 = self.needed.iter().filter(|it| it.wanted.family == Family::Ipv4);
        ipv4.map(|it| (it.parent, it.wanted.interface.as_str())).collect()
    }
}

/// The macvlans with a name as mainstay gives it: all that is left to go by where the record is
/// lost.
pub fn with_our_names(links: &[LinkInfo]) -> BTreeSet<String> {
    let is_ours = |link: &&LinkInfo| {
        let Some(parent) = link.lower.filter(|_| link.kind == LinkKind::Macvlan) else {
            return false;
        };
        let families = [Family::Ipv4, Family::Ipv6];
        let mut names = families.into_iter().flat_map(|family| {
            let vrids = (1..=u8::MAX).filter_map(Vrid::new);
            vrids.map(move |vrid| device_name(family, vrid, parent))
        });
        names.any(|name| name == link.name)
    };
    links.iter().filter(is_ours).map(|link| link.name.clone()).collect()
}

fn is_above(link: &LinkInfo, parent: u32) -> bool {
    link.kind == LinkKind::Macvlan && link.lower == Some(parent)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const ETH0: u32 = 2;

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

    fn macvlan(name: &str, mac: [u8; 6]) -> LinkInfo {
        let lower = Some(ETH0);
        LinkInfo { lower, kind: LinkKind::Macvlan, mac: Some(mac), ..link(9, name) }
    }

    fn wanted() -> [Wanted; 1] {
        let (router, interface) = ("api".to_owned(), "eth0".to_owned());
        [Wanted { router, interface, family: Family::Ipv4, vrid: Vrid::new(51).unwrap() }]
    }

    #[track_caller]
    fn assert_refused(links: &[LinkInfo], why: &str) {
        let wanted = wanted();
        let survey = Survey::new(links, &wanted);
        assert!(survey.needed.is_empty());
        assert!(survey.problems.concat().contains(why), "{:?}", survey.problems);
    }

    #[test]
    fn what_is_missing_is_made_above_its_interface() {
        let wanted = wanted();
        let survey = Survey::new(&[link(ETH0, "eth0")], &wanted);
        let new = NewMacvlan { name: "ms4.51.2".to_owned(), lower: ETH0 };
        assert_eq!(survey.missing(), [new]);
        assert_eq!(survey.ipv4_parents(), BTreeMap::from([(ETH0, "eth0")]));
    }

    #[test]
    fn what_is_there_is_taken_over_whether_finished_or_not() {
        let wanted = wanted();
        for (mac, has_mac) in [(wanted[0].mac(), true), ([2, 0, 0, 0, 0, 9], false)] {
            let links = [link(ETH0, "eth0"), macvlan("ms4.51.2", mac)];
            let survey = Survey::new(&links, &wanted);
            let needed = survey.needed.first().unwrap();
            assert_eq!((needed.is_missing, needed.has_mac), (false, has_mac));
        }
    }

    #[test]
    fn without_its_interface_a_macvlan_waits() {
        let wanted = wanted();
        let survey = Survey::new(&[link(1, "lo")], &wanted);
        assert!(survey.needed.is_empty() && survey.problems.is_empty());
    }

    #[test]
    fn what_cannot_be_is_said() {
        let eth0 = link(ETH0, "eth0");
        assert_refused(&[LinkInfo { mac: None, ..eth0.clone() }], "is no Ethernet");
        let lower = LinkInfo { kind: LinkKind::Macvlan, lower: Some(7), ..eth0.clone() };
        assert_refused(&[lower], "is a macvlan itself");
        assert_refused(&[eth0.clone(), link(9, "ms4.51.2")], "another interface is named");
        let foreign = macvlan("vrrp.51", wanted()[0].mac());
        assert_refused(&[eth0, foreign], "vrrp.51, which another program made");
    }

    #[test]
    fn our_names_are_known_without_a_record() {
        let links = [
            macvlan("ms4.51.2", [2; 6]),
            macvlan("ms6.255.2", [2; 6]),
            macvlan("ms4.51.3", [2; 6]),
            link(9, "ms4.52.2"),
        ];
        let ours = with_our_names(&links);
        assert_eq!(ours.iter().map(String::as_str).collect::<Vec<_>>(), ["ms4.51.2", "ms6.255.2"]);
    }
}
