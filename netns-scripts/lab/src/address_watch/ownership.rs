//! Whether a kernel owns the VIP.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::rtnetlink::Change;

/// What is known of the VIP in one kernel. An address on an interface that is out of use
/// ("protodown", as FRR's vrrpd has it in a Backup) does not count.
#[derive(Debug)]
pub(super) struct Ownership {
    vip: IpAddr,
    /// The interfaces that have it.
    holders: BTreeSet<u32>,
    out_of_use: BTreeSet<u32>,
}

impl Ownership {
    pub(super) fn new(vip: IpAddr) -> Self {
        Self { vip, holders: BTreeSet::new(), out_of_use: BTreeSet::new() }
    }

    /// Takes a change in; whether the VIP is owned now, if that changed or the address was told
    /// again.
    pub(super) fn apply(&mut self, change: &Change) -> Option<bool> {
        let before = self.is_owner();
        match *change {
            Change::Added(index, address) if address == self.vip => {
                self.holders.insert(index);
            }
            Change::Removed(index, address) if address == self.vip => {
                self.holders.remove(&index);
            }
            Change::Link { index, out_of_use: true } => {
                self.out_of_use.insert(index);
            }
            Change::Link { index, out_of_use: false } => {
                self.out_of_use.remove(&index);
            }
            Change::Unlinked(index) => {
                self.out_of_use.remove(&index);
                self.holders.remove(&index);
            }
            Change::Added(..) | Change::Removed(..) | Change::Done => {}
        }
        let after = self.is_owner();
        (after != before).then_some(after)
    }

    fn is_owner(&self) -> bool {
        self.holders.difference(&self.out_of_use).next().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{VIP, VIP6};

    #[test]
    fn an_address_that_comes_and_goes_is_owned_between() {
        let mut ownership = Ownership::new(VIP.into());
        assert_eq!(ownership.apply(&Change::Added(2, VIP6.into())), None);
        assert_eq!(ownership.apply(&Change::Added(2, VIP.into())), Some(true));
        assert_eq!(ownership.apply(&Change::Added(2, VIP.into())), None);
        assert_eq!(ownership.apply(&Change::Removed(2, VIP.into())), Some(false));
        assert_eq!(ownership.apply(&Change::Removed(2, VIP.into())), None);
    }

    #[test]
    fn an_address_on_an_interface_out_of_use_is_not_owned() {
        let mut ownership = Ownership::new(VIP6.into());
        assert_eq!(ownership.apply(&Change::Link { index: 3, out_of_use: true }), None);
        assert_eq!(ownership.apply(&Change::Added(3, VIP6.into())), None);
        assert_eq!(ownership.apply(&Change::Link { index: 3, out_of_use: false }), Some(true));
        assert_eq!(ownership.apply(&Change::Unlinked(3)), Some(false));
    }
}
