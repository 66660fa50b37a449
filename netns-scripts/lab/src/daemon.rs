//! Which daemon runs on the routers, and how it is configured.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::{Family, Node};

/// The daemon that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// This project's.
    Mainstay,
    /// Debian's keepalived, for comparison and as a peer.
    Keepalived,
    /// FRR's vrrpd, as a peer. Always with the virtual MAC and by multicast; its VIPs are on
    /// interfaces that the lab makes.
    Frr,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mainstay => "mainstay",
            Self::Keepalived => "keepalived",
            Self::Frr => "frr",
        })
    }
}

/// Advertisement_Interval, whole milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Interval(u32);

impl Interval {
    /// An interval of `millis` milliseconds.
    pub const fn from_millis(millis: u32) -> Self {
        Self(millis)
    }

    /// The interval as a time span.
    pub fn duration(self) -> Duration {
        Duration::from_millis(self.0.into())
    }

    /// Skew_Time of a router with `priority` (RFC 9568, 6.1).
    pub fn skew(self, priority: u8) -> Duration {
        self.duration() * (256 - u32::from(priority)) / 256
    }

    /// Active_Down_Interval of a router with `priority` (RFC 9568, 6.1).
    pub fn active_down(self, priority: u8) -> Duration {
        3 * self.duration() + self.skew(priority)
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_multiple_of(1000) {
            write!(f, "{}s", self.0 / 1000)
        } else {
            write!(f, "{}ms", self.0)
        }
    }
}

impl Serialize for Interval {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The text is no interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an interval is such as 1s, 100ms or 10ms: 10 ms to 40 s, in steps of 10 ms")]
pub struct IntervalError;

impl FromStr for Interval {
    type Err = IntervalError;

    fn from_str(text: &str) -> Result<Self, IntervalError> {
        let (digits, factor) = match text.strip_suffix("ms") {
            Some(digits) => (digits, 1),
            None => (text.strip_suffix('s').ok_or(IntervalError)?, 1000),
        };
        let millis: u32 = digits.parse().map_err(|_| IntervalError)?;
        match millis.checked_mul(factor) {
            Some(millis @ 10..=40_000) if millis.is_multiple_of(10) => Ok(Self(millis)),
            _ => Err(IntervalError),
        }
    }
}

/// From whom a Backup takes over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preempt {
    /// From no healthy Active: mainstay's default, keepalived's `nopreempt`.
    #[default]
    Default,
    /// From every Active of lower priority.
    Always,
    /// From no living Active.
    Never,
}

impl Preempt {
    /// As `lab.sh` takes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Always => "always",
            Self::Never => "never",
        }
    }
}

/// Of which families the virtual routers are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Families {
    /// IPv4 only.
    #[default]
    Ipv4,
    /// IPv6 only.
    Ipv6,
    /// One of each, with the same VRID.
    Both,
}

impl From<Family> for Families {
    fn from(family: Family) -> Self {
        match family {
            Family::Ipv4 => Self::Ipv4,
            Family::Ipv6 => Self::Ipv6,
        }
    }
}

/// The form of checksum that is sent over IPv4.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChecksumForm {
    /// mainstay answers as its peer speaks; the others know only the pseudo-header.
    #[default]
    Auto,
    /// Over the message alone.
    Rfc9568,
    /// Over a pseudo-header too.
    PseudoHeader,
}

/// How a daemon follows the apiserver of its node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checked {
    /// Not at all.
    #[default]
    No,
    /// It asks so often. keepalived: a script, and a fault when it fails once; more often than each
    /// second, by a loop beside it that writes a file which it watches.
    Each(Interval),
    /// keepalived: as kubeadm's documentation has it, a script each 3 s that must fail ten times.
    /// mainstay: each second.
    Kubeadm,
}

/// The last of the units beneath the VIP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beneath {
    /// dockerd, images and etcd.
    Etcd,
    /// And kubelet.
    Kubelet,
}

/// What runs beneath the VIP (mainstay only).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Units {
    /// Up to which unit.
    pub beneath: Beneath,
    /// Whether containers outlive dockerd.
    pub live_restore: bool,
}

/// A daemon and its configuration; the same on every router.
#[derive(Clone, Debug)]
pub struct Daemon {
    /// Which daemon.
    pub kind: Kind,
    /// Its Advertisement_Interval.
    pub interval: Interval,
    /// Preempt_Mode.
    pub preempt: Preempt,
    /// Whole seconds of the kernel's lease on the VIP (mainstay only); `None` is no lease.
    pub lease_seconds: Option<u32>,
    /// The binary of mainstay; `None` lets `lab.sh` find it.
    pub binary: Option<PathBuf>,
    /// Of which families the virtual routers are.
    pub families: Families,
    /// How many there are of each family on each link: VRID 51 first, then 52, .. 255, 1, .. 50.
    pub routers: u8,
    /// On how many of the lab's links, from eth0 on.
    pub links: u8,
    /// Whether the addresses have the virtual MAC. FRR's always do.
    pub virtual_mac: bool,
    /// Whether adverts go to each of the lab's other routers instead of the group.
    pub unicast: bool,
    /// The form of checksum over IPv4.
    pub checksum: ChecksumForm,
    /// Priorities other than [`Node::priority`]. A router with 255 gets the VIPs as addresses of
    /// its own before the daemon starts.
    pub priorities: Vec<(Node, u8)>,
    /// How it follows the apiserver.
    pub checked: Checked,
    /// Whether its disk, its journal, its standard error and the resolution of names can be made to
    /// hang: by [`crate::Surroundings`], which must be there first.
    pub hangable: bool,
    /// What runs beneath the VIP.
    pub units: Option<Units>,
}

impl Daemon {
    /// A daemon with default settings: one virtual router of IPv4.
    pub const fn new(kind: Kind, interval: Interval) -> Self {
        Self {
            kind,
            interval,
            preempt: Preempt::Default,
            lease_seconds: Some(3),
            binary: None,
            families: Families::Ipv4,
            routers: 1,
            links: 1,
            virtual_mac: false,
            unicast: false,
            checksum: ChecksumForm::Auto,
            priorities: Vec::new(),
            checked: Checked::No,
            hangable: false,
            units: None,
        }
    }

    /// The priority of `node`.
    pub fn priority(&self, node: Node) -> u8 {
        let chosen = self.priorities.iter().find(|(other, _)| *other == node);
        chosen.map_or(node.priority(), |&(_, priority)| priority)
    }

    /// Active_Down_Interval of `node`.
    pub fn active_down(&self, node: Node) -> Duration {
        self.interval.active_down(self.priority(node))
    }

    /// The options of `lab.sh start`.
    pub(crate) fn options(&self) -> Vec<String> {
        let lease = self.lease_seconds.map_or("off".into(), |seconds| format!("{seconds}s"));
        let families = match self.families {
            Families::Ipv4 => "4",
            Families::Ipv6 => "6",
            Families::Both => "both",
        };
        let checksum = match self.checksum {
            ChecksumForm::Auto => "auto",
            ChecksumForm::Rfc9568 => "rfc9568",
            ChecksumForm::PseudoHeader => "pseudo-header",
        };
        let priorities: Vec<String> =
            self.priorities.iter().map(|(node, priority)| format!("{node}={priority}")).collect();
        let mut options: Vec<String> = Vec::new();
        for (name, value) in [
            ("--daemon", self.kind.to_string()),
            ("--interval", self.interval.to_string()),
            ("--preempt", self.preempt.name().into()),
            ("--lease", lease),
            ("--family", families.into()),
            ("--routers", self.routers.to_string()),
            ("--links", self.links.to_string()),
            ("--checksum", checksum.into()),
            ("--priority", priorities.join(",")),
        ] {
            options.extend([name.into(), value]);
        }
        if let (Some(binary), Kind::Mainstay) = (&self.binary, self.kind) {
            options.extend(["--bin".into(), binary.display().to_string()]);
        }
        match self.checked {
            Checked::No => {}
            Checked::Each(interval) => options.extend(["--check".into(), interval.to_string()]),
            Checked::Kubeadm => options.extend(["--check".into(), "kubeadm".into()]),
        }
        if let Some(Units { beneath, live_restore }) = self.units {
            let last = match beneath {
                Beneath::Etcd => "etcd",
                Beneath::Kubelet => "kubelet",
            };
            options.extend(["--units".into(), last.into()]);
            options.extend(["--live-restore".into(), live_restore.to_string()]);
        }
        if self.hangable {
            options.push("--hangable".into());
        }
        if self.virtual_mac {
            options.push("--virtual-mac".into());
        }
        if self.unicast {
            options.push("--unicast".into());
        }
        options
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn timers_keep_their_skew_at_short_intervals() {
        let ten = Interval::from_millis(10);
        assert_eq!(ten.skew(254), Duration::from_nanos(78_125));
        assert_eq!(ten.active_down(244), Duration::from_nanos(30_468_750));
        assert_eq!(Interval::from_millis(1000).skew(1), Duration::from_nanos(996_093_750));
    }

    #[test]
    fn a_priority_may_be_chosen() {
        let (one, two) = (Node::new(1).unwrap(), Node::new(2).unwrap());
        let daemon = Daemon {
            priorities: vec![(two, 255)],
            ..Daemon::new(Kind::Mainstay, Interval::from_millis(100))
        };
        assert_eq!((daemon.priority(one), daemon.priority(two)), (254, 255));
        assert!(daemon.options().join(" ").contains("--priority m2=255"));
    }

    #[test]
    fn intervals_read_as_they_print() {
        for text in ["1s", "100ms", "10ms", "40s"] {
            assert_eq!(text.parse::<Interval>().unwrap().to_string(), text);
        }
        for text in ["", "1", "0ms", "15ms", "41s", "-1s", "ms", "s"] {
            assert!(text.parse::<Interval>().is_err(), "{text}");
        }
    }
}
