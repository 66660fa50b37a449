//! What is wrong between the routers and hosts of a link, as far as one virtual router sees it:
//! two Actives, somebody else at a virtual address, configurations that differ.
//!
//! A conflict changes no state: RFC 9568 says what a router does when it hears another. It is
//! there for the operator: an event that names who it is, a line in the status, a counter.
//!
//! [`Watch`] finds conflicts in advertisements, [`Ledger`] remembers them. Neither has a clock.

mod ledger;
mod watch;

use core::fmt;
use core::net::IpAddr;

use serde::{Deserialize, Serialize};

pub use self::ledger::{Entry, Ledger};
pub use self::watch::Watch;
use crate::Priority;
use crate::time::{Centis, Duration};
use crate::wire::ChecksumForm;

/// The kinds of conflict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConflictKind {
    /// Another host says by ARP or neighbour discovery that it has one of the virtual addresses
    /// which this Active has.
    ForeignArp,
    /// Another router advertises while this one is Active, and loses.
    Rival,
    /// It goes on advertising although it was answered: it does not hear this node.
    OneWay,
    /// Our VRID is advertised with other addresses than ours.
    OtherAddresses,
    /// It is advertised at another interval than ours.
    OtherInterval,
    /// It is advertised with a checksum of a form that this router, or another of the group, does
    /// not send.
    OtherChecksum,
}

impl ConflictKind {
    /// Every kind, in the order of its index.
    pub const ALL: [Self; 6] = [
        Self::ForeignArp,
        Self::Rival,
        Self::OneWay,
        Self::OtherAddresses,
        Self::OtherInterval,
        Self::OtherChecksum,
    ];

    /// The place of this kind in [`ConflictKind::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The kind's name in events, counters and `status -o json`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ForeignArp => "foreign_arp",
            Self::Rival => "rival",
            Self::OneWay => "one_way",
            Self::OtherAddresses => "other_addresses",
            Self::OtherInterval => "other_interval",
            Self::OtherChecksum => "other_checksum",
        }
    }
}

/// In a few words, as a title.
impl fmt::Display for ConflictKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ForeignArp => "another host has a virtual address",
            Self::Rival => "two Actives",
            Self::OneWay => "a router does not hear this node",
            Self::OtherAddresses => "a router advertises other addresses",
            Self::OtherInterval => "a router advertises at another interval",
            Self::OtherChecksum => "routers send different checksums",
        })
    }
}

/// The kinds of conflict that one packet shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kinds(u8);

impl Kinds {
    fn insert(&mut self, kind: ConflictKind) {
        self.0 |= 1 << kind.index();
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = ConflictKind> {
        ConflictKind::ALL.into_iter().filter(move |kind| self.0 & (1 << kind.index()) != 0)
    }
}

/// How many of another router's addresses are shown where they differ from ours.
pub const SHOWN: usize = 4;

/// One conflict as it is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// [`ConflictKind::ForeignArp`].
    ForeignArp,
    /// [`ConflictKind::Rival`].
    Rival {
        /// What it advertises.
        priority: Priority,
    },
    /// [`ConflictKind::OneWay`].
    OneWay {
        /// For how long it has gone on advertising after the first answer.
        lasting: Duration,
    },
    /// [`ConflictKind::OtherAddresses`].
    OtherAddresses {
        /// The first of the addresses that it lists.
        theirs: [Option<IpAddr>; SHOWN],
        /// How many it lists.
        count: u8,
    },
    /// [`ConflictKind::OtherInterval`].
    OtherInterval {
        /// What it advertises.
        theirs: Centis,
        /// Ours.
        ours: Centis,
    },
    /// [`ConflictKind::OtherChecksum`].
    OtherChecksum {
        /// The form that it sends.
        theirs: ChecksumForm,
        /// The router that sends the other; `None` if that is this one.
        other: Option<IpAddr>,
    },
}

impl Finding {
    /// Its kind.
    pub const fn kind(self) -> ConflictKind {
        match self {
            Self::ForeignArp => ConflictKind::ForeignArp,
            Self::Rival { .. } => ConflictKind::Rival,
            Self::OneWay { .. } => ConflictKind::OneWay,
            Self::OtherAddresses { .. } => ConflictKind::OtherAddresses,
            Self::OtherInterval { .. } => ConflictKind::OtherInterval,
            Self::OtherChecksum { .. } => ConflictKind::OtherChecksum,
        }
    }
}

/// What is found, as a sentence about who it is that is found.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ForeignArp => f.write_str(
                "it answers for a virtual address that this Active has: clients may reach either",
            ),
            Self::Rival { priority } => {
                write!(f, "it advertises priority {priority} while this node is Active, and loses")
            }
            Self::OneWay { lasting } => write!(
                f,
                "it has gone on advertising for {:.1} s after this node answered: it does not hear \
                 this node; look for a filter or a broken link on the way to it",
                lasting.as_secs_f64()
            ),
            Self::OtherAddresses { theirs, count } => {
                f.write_str("it advertises our VRID with other addresses:")?;
                for (place, address) in theirs.iter().flatten().enumerate() {
                    write!(f, "{} {address}", if place == 0 { "" } else { "," })?;
                }
                let hidden = usize::from(*count).saturating_sub(SHOWN);
                if hidden > 0 {
                    write!(f, " and {hidden} more")?;
                }
                Ok(())
            }
            Self::OtherInterval { theirs, ours } => {
                write!(f, "it advertises each {theirs} and this node each {ours}")
            }
            Self::OtherChecksum { theirs, other } => {
                write!(f, "it sends checksums {}, and ", form(*theirs))?;
                match other {
                    None => f.write_str("this node those of the other form"),
                    Some(other) => write!(f, "{other} those of the other form"),
                }
            }
        }
    }
}

const fn form(form: ChecksumForm) -> &'static str {
    match form {
        ChecksumForm::Rfc9568 => "as RFC 9568 has them",
        ChecksumForm::PseudoHeader => "with the pseudo-header",
    }
}

/// A finding, how often it was made, and about whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The other router; of [`Finding::ForeignArp`] the virtual address.
    pub source: IpAddr,
    /// What was found.
    pub finding: Finding,
    /// How often since it was last told.
    pub times: u32,
    /// How long the other's next advertisement may take.
    pub interval: Duration,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_has_the_same_name_everywhere() {
        for kind in ConflictKind::ALL {
            assert_eq!(ConflictKind::ALL[kind.index()], kind);
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
    }

    #[test]
    fn findings_read_as_sentences() {
        let address = |last: u8| Some(IpAddr::from([10, 0, 0, last]));
        let found = [
            Finding::Rival { priority: Priority::new(100).unwrap() },
            Finding::OneWay { lasting: Duration::from_millis(3040) },
            Finding::OtherAddresses { theirs: [address(7), None, None, None], count: 1 },
            Finding::OtherAddresses {
                theirs: [address(7), address(8), address(9), address(10)],
                count: 6,
            },
            Finding::OtherInterval { theirs: Centis::DEFAULT, ours: Centis::new(10).unwrap() },
            Finding::OtherChecksum { theirs: ChecksumForm::PseudoHeader, other: address(3) },
            Finding::OtherChecksum { theirs: ChecksumForm::Rfc9568, other: None },
        ];
        assert_eq!(
            found.map(|it| it.to_string()),
            [
                "it advertises priority 100 while this node is Active, and loses",
                "it has gone on advertising for 3.0 s after this node answered: it does not hear \
                 this node; look for a filter or a broken link on the way to it",
                "it advertises our VRID with other addresses: 10.0.0.7",
                "it advertises our VRID with other addresses: 10.0.0.7, 10.0.0.8, 10.0.0.9, \
                 10.0.0.10 and 2 more",
                "it advertises each 1s and this node each 100ms",
                "it sends checksums with the pseudo-header, and 10.0.0.3 those of the other form",
                "it sends checksums as RFC 9568 has them, and this node those of the other form",
            ]
        );
    }
}
