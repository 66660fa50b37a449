//! Adverts that must have no effect (RFC 9568, 7.1), and one that must have.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use clap::ValueEnum;
use serde::Serialize;

use crate::inject::{AdvertFrame, Sum};
use crate::{Family, Interval, MacAddr, VRID};

const MAC: MacAddr = MacAddr(2, 0, 0, 0, 0, 250);
/// The stranger's link-local address.
const LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x250);

/// What is wrong with an advert. If it were not, it would take the VIP from anyone: its priority is
/// 255.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Malformed {
    /// The checksum.
    Checksum,
    /// Version 2.
    Version,
    /// Type 2.
    Type,
    /// TTL or hop limit 254.
    Ttl,
    /// An address less than it counts.
    Length,
    /// Another virtual router's.
    Vrid,
    /// Max Advertise Interval 0.
    Interval,
    /// An IP packet without a message.
    Empty,
}

impl Malformed {
    /// All kinds.
    pub const ALL: [Self; 8] = [
        Self::Checksum,
        Self::Version,
        Self::Type,
        Self::Ttl,
        Self::Length,
        Self::Vrid,
        Self::Interval,
        Self::Empty,
    ];

    /// Its frame.
    pub fn frame(self, family: Family) -> Vec<u8> {
        let right = AdvertFrame { priority: 255, interval: 10, ..advert(family) };
        let count = u8::try_from(right.addresses.len() + 1).unwrap_or(u8::MAX);
        match self {
            Self::Checksum => AdvertFrame { sum: Sum::Off(1), ..right },
            Self::Version => AdvertFrame { version: 2, ..right },
            Self::Type => AdvertFrame { kind: 2, ..right },
            Self::Ttl => AdvertFrame { ttl: 254, ..right },
            Self::Length => AdvertFrame { count: Some(count), ..right },
            Self::Vrid => AdvertFrame { vrid: VRID + 1, ..right },
            Self::Interval => AdvertFrame { interval: 0, ..right },
            Self::Empty => return right.carrying(&[]),
        }
        .bytes()
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Checksum => "checksum",
            Self::Version => "version",
            Self::Type => "type",
            Self::Ttl => "TTL",
            Self::Length => "length",
            Self::Vrid => "VRID",
            Self::Interval => "interval 0",
            Self::Empty => "empty",
        })
    }
}

/// A right advert that an Active must answer and nobody else heed: lower than the priorities of the
/// lab's first routers, and not so low that it would be a degraded Active's.
pub fn lower_priority(family: Family, interval: Interval) -> Vec<u8> {
    let centis = interval.duration().as_millis() / 10;
    let interval = u16::try_from(centis).unwrap_or(100);
    AdvertFrame { priority: 200, interval, ..advert(family) }.bytes()
}

/// In the form of IPv4 checksum that everybody takes.
fn advert(family: Family) -> AdvertFrame {
    let source = match family {
        Family::Ipv4 => family.stranger(),
        Family::Ipv6 => IpAddr::V6(LINK_LOCAL),
    };
    AdvertFrame { sum: Sum::PseudoHeader, ..AdvertFrame::new(MAC, source, VRID, &family.vips()) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic)]
    use super::*;
    use crate::{Checksum, Frame, decode};

    #[test]
    fn every_kind_is_wrong_in_one_way_only() {
        for family in [Family::Ipv4, Family::Ipv6] {
            for kind in Malformed::ALL {
                let read = decode(&kind.frame(family));
                let Some(Frame::Advert(advert)) = read else {
                    let unreadable =
                        [Malformed::Version, Malformed::Type, Malformed::Length, Malformed::Empty];
                    assert!(unreadable.contains(&kind), "{kind} {family}: {read:?}");
                    continue;
                };
                let wrong = [
                    (Malformed::Checksum, advert.checksum != Checksum::PseudoHeader),
                    (Malformed::Ttl, advert.ttl != 255),
                    (Malformed::Vrid, advert.vrid != VRID),
                    (Malformed::Interval, advert.interval == 0),
                ];
                for (name, wrong) in wrong {
                    assert_eq!(wrong, name == kind, "{kind} {family}: {advert:?}");
                }
            }
        }
    }

    #[test]
    fn a_lower_advert_is_right() {
        for family in [Family::Ipv4, Family::Ipv6] {
            let frame = lower_priority(family, Interval::from_millis(100));
            let Some(Frame::Advert(advert)) = decode(&frame) else { panic!("{frame:?}") };
            assert_eq!((advert.priority, advert.interval, advert.ttl), (200, 10, 255));
            assert_eq!(advert.addresses, family.vips());
            assert_eq!(advert.checksum, Checksum::PseudoHeader);
        }
    }
}
