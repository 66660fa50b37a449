//! Reads rtnetlink's messages about links and addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The end of a dump (NLMSG_DONE).
const DONE: u16 = 3;
const NEW_LINK: u16 = 16;
const DELETED_LINK: u16 = 17;
const NEW_ADDRESS: u16 = 20;
const DELETED_ADDRESS: u16 = 21;
/// The attribute with an IPv6 address (IFA_ADDRESS).
const ADDRESS: u16 = 1;
/// The attribute with the interface's own IPv4 address (IFA_LOCAL).
const LOCAL: u16 = 2;
/// The attribute that says whether a protocol keeps a link out of use (IFLA_PROTO_DOWN).
const PROTO_DOWN: u16 = 39;
const HEADER: usize = 16;

/// What a message says. Interfaces are told by their index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// An interface has an address.
    Added(u32, IpAddr),
    /// An interface no longer has an address.
    Removed(u32, IpAddr),
    /// An interface is there.
    Link {
        /// Which.
        index: u32,
        /// Whether a protocol has taken it out of use.
        out_of_use: bool,
    },
    /// An interface is gone.
    Unlinked(u32),
    /// A dump is at its end.
    Done,
}

/// Requests for all there is.
pub(super) mod request {
    use super::HEADER;

    /// RTM_GETLINK.
    pub(crate) const LINKS: u16 = 18;
    /// RTM_GETADDR.
    pub(crate) const ADDRESSES: u16 = 22;
    /// NLM_F_REQUEST and NLM_F_DUMP.
    const FLAGS: u16 = 0x301;
    /// The header and an empty `ifinfomsg`, which is longer than `ifaddrmsg`.
    const LENGTH: u8 = 32;

    /// The bytes of a request.
    pub(crate) fn bytes(kind: u16) -> [u8; LENGTH as usize] {
        let mut bytes = [0; LENGTH as usize];
        bytes[..4].copy_from_slice(&u32::from(LENGTH).to_ne_bytes());
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&FLAGS.to_ne_bytes());
        const { assert!(LENGTH as usize >= HEADER) };
        bytes
    }
}

/// The changes that the messages in `bytes` tell of.
pub(super) fn changes(mut bytes: &[u8]) -> Vec<Change> {
    let mut found = Vec::new();
    while let Some((message, rest)) = split(bytes, |header| {
        u32::from_ne_bytes([header[0], header[1], header[2], header[3]]).try_into().ok()
    }) {
        bytes = rest;
        found.extend(change(message));
    }
    found
}

fn change(message: &[u8]) -> Option<Change> {
    let kind = u16::from_ne_bytes(*message.get(4..6)?.first_chunk()?);
    // Both kinds of message have the interface's index behind four bytes.
    let index = || Some(u32::from_ne_bytes(*message.get(HEADER + 4..HEADER + 8)?.first_chunk()?));
    match kind {
        DONE => Some(Change::Done),
        NEW_LINK => Some(Change::Link { index: index()?, out_of_use: proto_down(message) }),
        DELETED_LINK => Some(Change::Unlinked(index()?)),
        NEW_ADDRESS => Some(Change::Added(index()?, address(message)?)),
        DELETED_ADDRESS => Some(Change::Removed(index()?, address(message)?)),
        _ => None,
    }
}

fn proto_down(message: &[u8]) -> bool {
    attributes(message, HEADER + 16).any(|(kind, value)| kind == PROTO_DOWN && value == [1])
}

fn address(message: &[u8]) -> Option<IpAddr> {
    attributes(message, HEADER + 8).find_map(|(kind, value)| match (kind, value.len()) {
        (LOCAL, 4) => Some(Ipv4Addr::from(*value.first_chunk()?).into()),
        (ADDRESS, 16) => Some(Ipv6Addr::from(*value.first_chunk()?).into()),
        _ => None,
    })
}

/// The attributes of a message from `offset` on: 4 bytes of length and type and their value, each
/// padded to 4.
fn attributes(message: &[u8], offset: usize) -> impl Iterator<Item = (u16, &[u8])> {
    let mut bytes = message.get(offset..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (attribute, rest) =
            split(bytes, |header| Some(u16::from_ne_bytes([header[0], header[1]]).into()))?;
        bytes = rest;
        let (header, value) = attribute.split_first_chunk::<4>()?;
        Some((u16::from_ne_bytes([header[2], header[3]]), value))
    })
}

/// Splits off what begins with its own length, and the padding after it.
fn split(bytes: &[u8], length: impl Fn(&[u8; 4]) -> Option<usize>) -> Option<(&[u8], &[u8])> {
    let length = length(bytes.first_chunk()?)?;
    let head = bytes.get(..length).filter(|_| length >= 4)?;
    Some((head, bytes.get(length.next_multiple_of(4)..).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{VIP, VIP6};

    /// About interface 7, with `fixed` bytes before the attributes, which are padded already.
    fn message(kind: u16, fixed: usize, attributes: &[u8]) -> Vec<u8> {
        let length = HEADER + fixed + attributes.len();
        let mut bytes = u32::try_from(length).unwrap_or_default().to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.resize(HEADER + fixed, 0);
        bytes[HEADER + 4] = 7;
        bytes.extend(attributes);
        bytes
    }

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = u16::try_from(4 + value.len()).unwrap_or_default().to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    #[test]
    fn notifications_of_both_families_are_read() {
        let both = [attribute(ADDRESS, &[1, 2, 3, 4]), attribute(LOCAL, &VIP.octets())].concat();
        let mut bytes = message(NEW_ADDRESS, 8, &both);
        bytes.extend(message(DELETED_ADDRESS, 8, &attribute(ADDRESS, &VIP6.octets())));
        let expected = [Change::Added(7, VIP.into()), Change::Removed(7, VIP6.into())];
        assert_eq!(changes(&bytes), expected);
    }

    #[test]
    fn a_link_that_is_out_of_use_is_told_apart() {
        let mut bytes = message(NEW_LINK, 16, &attribute(PROTO_DOWN, &[1]));
        bytes.extend(message(NEW_LINK, 16, &attribute(PROTO_DOWN, &[0])));
        bytes.extend(message(DELETED_LINK, 16, &[]));
        let expected = [
            Change::Link { index: 7, out_of_use: true },
            Change::Link { index: 7, out_of_use: false },
            Change::Unlinked(7),
        ];
        assert_eq!(changes(&bytes), expected);
    }

    #[test]
    fn a_wrong_length_ends_the_reading() {
        let whole = message(NEW_ADDRESS, 8, &attribute(LOCAL, &VIP.octets()));
        for length in 0..whole.len() {
            assert_eq!(changes(&whole[..length]), [], "{length}");
        }
        assert_eq!(changes(&[0; 64]), []);
    }
}
