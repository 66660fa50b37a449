//! Which macvlans a node needs, and how they are called.

use vrrp::proto::RouterSpec;
use vrrp::{Family, Vrid, wire};

/// The longest name that the kernel gives an interface, in bytes.
const MAX_NAME: usize = 15;

/// The macvlan of one virtual router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The virtual router's name.
    pub router: String,
    /// The interface that it runs on, which need not exist.
    pub interface: String,
    /// Its family.
    pub family: Family,
    /// Its identifier.
    pub vrid: Vrid,
}

impl Wanted {
    /// Those of the virtual routers that have a MAC address of their own.
    pub fn of(specs: &[RouterSpec]) -> Vec<Self> {
        let own = specs.iter().filter(|spec| spec.config.virtual_mac);
        own.map(|spec| Self {
            router: spec.name.clone(),
            interface: spec.interface.clone(),
            family: spec.config.family(),
            vrid: spec.config.vrid,
        })
        .collect()
    }

    /// The virtual router MAC address (RFC 9568, 7.3).
    pub fn mac(&self) -> [u8; 6] {
        wire::virtual_mac(self.family, self.vrid)
    }

    /// Its name above the interface with the index `parent`.
    pub fn name(&self, parent: u32) -> String {
        device_name(self.family, self.vrid, parent)
    }
}

/// The name of a virtual router's macvlan above the interface with the index `parent`: family,
/// VRID and index, such as `ms4.51.2`; in hexadecimal where that would be too long.
pub fn device_name(family: Family, vrid: Vrid, parent: u32) -> String {
    let family = match family {
        Family::Ipv4 => 4,
        Family::Ipv6 => 6,
    };
    let name = format!("ms{family}.{vrid}.{parent}");
    if name.len() <= MAX_NAME {
        return name;
    }
    format!("ms{family}x{:02x}{parent:08x}", vrid.get())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_name_fits_whatever_the_index() {
        let (low, high) = (Vrid::new(1).unwrap(), Vrid::new(255).unwrap());
        assert_eq!(device_name(Family::Ipv4, low, 2), "ms4.1.2");
        assert_eq!(device_name(Family::Ipv6, high, 9_999_999), "ms6.255.9999999");
        assert_eq!(device_name(Family::Ipv6, high, 10_000_000), "ms6xff00989680");
        assert!(device_name(Family::Ipv6, high, u32::MAX).len() <= MAX_NAME);
    }
}
