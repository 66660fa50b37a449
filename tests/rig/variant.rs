//! What every check is repeated for.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use lab::{MacAddr, Stamp};

use super::setup::Setup;
use super::stalls;

/// How often a check is tried.
const ATTEMPTS: u32 = 4;
/// A machine that stood still for so long in all may be the reason for a failure.
const TOO_LONG: Duration = Duration::from_millis(10);

/// The VRID of the daemon's virtual router.
pub const VRID: u8 = 51;
/// The daemon's interface.
pub const NODE_MAC: MacAddr = MacAddr(2, 0x51, 0, 0, 0, 0x50);
/// The test's end of the cable.
pub const PEER_MAC: MacAddr = MacAddr(2, 0x51, 0, 0, 0, 1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    V4,
    V6,
}

impl Family {
    pub fn other(self) -> Self {
        match self {
            Self::V4 => Self::V6,
            Self::V6 => Self::V4,
        }
    }
}

/// Whose Ethernet address the virtual router uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mac {
    /// The interface's.
    Physical,
    /// Its own (RFC 9568, 7.3).
    Virtual,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variant {
    pub family: Family,
    pub mac: Mac,
}

pub const V4: Variant = Variant { family: Family::V4, mac: Mac::Physical };
pub const V6: Variant = Variant { family: Family::V6, mac: Mac::Physical };
pub const V4_VIRTUAL: Variant = Variant { family: Family::V4, mac: Mac::Virtual };
pub const V6_VIRTUAL: Variant = Variant { family: Family::V6, mac: Mac::Virtual };

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = match self.family {
            Family::V4 => "ipv4",
            Family::V6 => "ipv6",
        };
        let mac = match self.mac {
            Mac::Physical => "physical",
            Mac::Virtual => "virtual",
        };
        write!(f, "{family}-{mac}")
    }
}

impl Variant {
    pub const ALL: [Self; 4] = [V4, V6, V4_VIRTUAL, V6_VIRTUAL];

    /// The daemon with priority 200 and adverts each 100 ms.
    pub fn setup(self) -> Setup {
        Setup::new(self)
    }

    /// The daemon's own address, the source of its adverts.
    pub fn node(self) -> IpAddr {
        self.host(50)
    }

    /// A peer with a smaller address than the daemon's.
    pub fn smaller(self) -> IpAddr {
        self.host(20)
    }

    /// A peer with a greater address than the daemon's.
    pub fn greater(self) -> IpAddr {
        self.host(200)
    }

    /// An address of the link that is not virtual.
    pub fn host(self, number: u8) -> IpAddr {
        match self.family {
            Family::V4 => Ipv4Addr::new(10, 51, 0, number).into(),
            Family::V6 => format!("fe80::{number}").parse().unwrap(),
        }
    }

    /// The virtual addresses.
    pub fn vips(self) -> Vec<IpAddr> {
        let texts = match self.family {
            Family::V4 => ["10.51.0.101", "10.51.0.100"],
            Family::V6 => ["fe80::51:101", "fd51::100"],
        };
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    /// The group of all VRRP routers.
    pub fn group(self) -> IpAddr {
        match self.family {
            Family::V4 => Ipv4Addr::new(224, 0, 0, 18).into(),
            Family::V6 => Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12).into(),
        }
    }

    /// RFC 9568, 7.3.
    pub fn virtual_mac(self) -> MacAddr {
        self.virtual_mac_of(VRID)
    }

    pub fn virtual_mac_of(self, vrid: u8) -> MacAddr {
        match self.family {
            Family::V4 => MacAddr(0, 0, 0x5e, 0, 1, vrid),
            Family::V6 => MacAddr(0, 0, 0x5e, 0, 2, vrid),
        }
    }

    /// The Ethernet address that the daemon's virtual router uses.
    pub fn router_mac(self) -> MacAddr {
        match self.mac {
            Mac::Physical => NODE_MAC,
            Mac::Virtual => self.virtual_mac(),
        }
    }

    /// The Ethernet address that a peer of the same kind sends from.
    pub fn peer_mac(self) -> MacAddr {
        match self.mac {
            Mac::Physical => PEER_MAC,
            Mac::Virtual => self.virtual_mac(),
        }
    }

    pub fn is_ipv4(self) -> bool {
        self.family == Family::V4
    }

    pub fn is_virtual(self) -> bool {
        self.mac == Mac::Virtual
    }
}

/// What the daemon can do so far.
const SUPPORTED: [Variant; 4] = Variant::ALL;

/// Runs a check for all variants at once.
pub fn matrix(check: impl Fn(Variant) + Sync) {
    among(&Variant::ALL, check);
}

/// Runs a check for these variants at once, if root. What fails while the machine stood still is
/// tried again.
pub fn among(variants: &[Variant], check: impl Fn(Variant) + Sync) {
    if !super::namespaces::allowed() {
        return;
    }
    stalls::watch();
    let only = std::env::var("VARIANT").ok();
    let chosen = variants.iter().copied();
    let chosen = chosen.filter(|it| only.as_ref().is_none_or(|only| it.to_string() == *only));
    let failed: Vec<String> = std::thread::scope(|scope| {
        let check = &check;
        let running: Vec<_> =
            chosen.map(|variant| (variant, scope.spawn(move || passes(variant, check)))).collect();
        let ended = running.into_iter().map(|(variant, thread)| (variant, thread.join().unwrap()));
        ended.filter(|(_, passed)| !passed).map(|(variant, _)| variant.to_string()).collect()
    });
    assert!(failed.is_empty(), "wrong with {}", failed.join(", "));
}

fn passes(variant: Variant, check: impl Fn(Variant) + Sync) -> bool {
    for _ in 0..ATTEMPTS {
        let start = Stamp::now();
        let ended = std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name(variant.to_string());
            thread.spawn_scoped(scope, || check(variant)).unwrap().join()
        });
        if ended.is_ok() {
            return true;
        }
        let stood_still = stalls::since(start);
        if stood_still < TOO_LONG {
            return false;
        }
        eprintln!("{variant}: again, as the machine stood still for {stood_still:?}");
    }
    false
}
