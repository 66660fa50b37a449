//! The macvlans of virtual routers that have their own MAC address (RFC 9568, 7.3): made, named and
//! deleted for the daemon. The VRRP process finds them, and sets them up and down.

use netlink_packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoMacVlan, LinkAttribute, LinkInfo, LinkMessage, MacVlanMode,
};

use super::{Netlink, NetlinkError};

/// The group that links are put into to be deleted together: a number that nobody else uses.
const DOOMED: u32 = 0x6d61_7374;

/// A macvlan to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMacvlan {
    /// Its name.
    pub name: String,
    /// The index of the interface that it is to lie above.
    pub lower: u32,
}

/// Why a macvlan cannot be made or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MacvlanError {
    /// `EBUSY`.
    #[error(
        "the interface belongs to a bridge, bond or the like: use that one as the interface of \
         the virtual router"
    )]
    Busy,
    /// `EINVAL`.
    #[error("the interface is no Ethernet: virtual_mac needs one")]
    NoEthernet,
    /// `EOPNOTSUPP`.
    #[error("the kernel has no macvlan: `modprobe macvlan`, or set virtual_mac = false")]
    Unsupported,
    /// `EEXIST`.
    #[error("another interface has its name: rename or delete that one")]
    NameTaken,
    /// Anything else.
    #[error(transparent)]
    Kernel(NetlinkError),
}

impl From<NetlinkError> for MacvlanError {
    fn from(error: NetlinkError) -> Self {
        match error {
            NetlinkError::Exists => Self::NameTaken,
            NetlinkError::Other(libc::EBUSY) => Self::Busy,
            NetlinkError::Other(libc::EINVAL) => Self::NoEthernet,
            NetlinkError::Other(libc::EOPNOTSUPP) => Self::Unsupported,
            other => Self::Kernel(other),
        }
    }
}

impl Netlink {
    /// Makes macvlans in bridge mode: down, and with an Ethernet address that the kernel makes up.
    /// The answers are in the order of `wanted`.
    ///
    /// In bridge mode the interface below hears what another router with the same virtual MAC
    /// address multicasts.
    pub fn make_macvlans(&mut self, wanted: &[NewMacvlan]) -> Vec<Result<(), MacvlanError>> {
        let flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
        let requests =
            wanted.iter().map(|new| (flags, RouteNetlinkMessage::NewLink(creation(new))));
        self.transact(requests).into_iter().map(|outcome| Ok(outcome?)).collect()
    }

    /// Gives interfaces, by name, Ethernet addresses. The answers are in the order of `wanted`.
    pub fn set_macs(&mut self, wanted: &[(String, [u8; 6])]) -> Vec<Result<(), MacvlanError>> {
        let requests = wanted.iter().map(|(name, mac)| {
            let mut message = LinkMessage::default();
            message.attributes =
                vec![LinkAttribute::IfName(name.clone()), LinkAttribute::Address(mac.to_vec())];
            (NLM_F_REQUEST | NLM_F_ACK, RouteNetlinkMessage::SetLink(message))
        });
        self.transact(requests).into_iter().map(|outcome| Ok(outcome?)).collect()
    }

    /// Deletes interfaces, by index. One that is gone already counts as deleted. The answers are
    /// in the order of `unwanted`.
    ///
    /// Many go as a group at once: one by one, the kernel takes some 20 ms for each.
    pub fn delete_links(&mut self, unwanted: &[u32]) -> Vec<Result<(), NetlinkError>> {
        if unwanted.len() > 1 {
            let grouped = self.transact(unwanted.iter().map(|&index| {
                let mut message = link(index);
                message.attributes.push(LinkAttribute::Group(DOOMED));
                (NLM_F_REQUEST | NLM_F_ACK, RouteNetlinkMessage::SetLink(message))
            }));
            if grouped.iter().any(Result::is_ok) {
                let mut message = LinkMessage::default();
                message.attributes.push(LinkAttribute::Group(DOOMED));
                let request = RouteNetlinkMessage::DelLink(message);
                // What is left of them, the next step finds.
                let _ = self.transact([(NLM_F_REQUEST | NLM_F_ACK, request)]);
            }
        }
        let outcomes =
            self.transact(unwanted.iter().map(|&index| {
                (NLM_F_REQUEST | NLM_F_ACK, RouteNetlinkMessage::DelLink(link(index)))
            }));
        let is_gone = |error: &NetlinkError| *error == NetlinkError::NoDevice;
        outcomes
            .into_iter()
            .map(|outcome| outcome.or_else(|it| is_gone(&it).then_some(()).ok_or(it)))
            .collect()
    }
}

fn link(index: u32) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message
}

fn creation(new: &NewMacvlan) -> LinkMessage {
    let bridge = InfoData::MacVlan(vec![InfoMacVlan::Mode(MacVlanMode::Bridge)]);
    let mut message = LinkMessage::default();
    message.attributes = vec![
        LinkAttribute::IfName(new.name.clone()),
        LinkAttribute::Link(new.lower),
        LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::MacVlan), LinkInfo::Data(bridge)]),
    ];
    message
}
