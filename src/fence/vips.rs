//! What has to be removed should the VRRP process die, also as a file for other processes.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use vrrp::config::{Addresses, Checksum};
use vrrp::proto::RouterSpec;
use vrrp::time::Centis;
use vrrp::{Family, Vrid};

use super::Fencing;
use crate::runtime_dir::write_atomically;

/// The addresses of one virtual router, and all that it takes to tell the peers of their removal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vip {
    /// The virtual router's name.
    pub router: String,
    /// Its interface.
    pub interface: String,
    /// Its identifier.
    pub vrid: Vrid,
    /// Its address family.
    pub family: Family,
    /// Its addresses.
    pub addresses: Addresses,
    /// Its Advertisement_Interval.
    pub interval: Centis,
    /// The form of the checksum that it sends.
    pub checksum: Checksum,
    /// The address that it last advertised from, if it ever did.
    pub source: Option<IpAddr>,
}

impl Vip {
    fn new(spec: &RouterSpec, source: Option<IpAddr>) -> Self {
        Self {
            router: spec.name.clone(),
            interface: spec.interface.clone(),
            vrid: spec.config.vrid,
            family: spec.config.family(),
            addresses: spec.config.addresses.clone(),
            interval: spec.config.interval,
            checksum: spec.config.checksum,
            source,
        }
    }
}

/// The addresses of all virtual routers that may run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vips(Vec<Vip>);

impl Vips {
    /// Those of `specs`, with the addresses that they advertise from.
    pub fn of<'a>(
        specs: impl IntoIterator<Item = &'a RouterSpec>,
        sources: &BTreeMap<String, IpAddr>,
    ) -> Self {
        let vip = |spec: &RouterSpec| Vip::new(spec, sources.get(&spec.name).copied());
        Self(specs.into_iter().map(vip).collect())
    }

    /// These and those of `earlier` that are not among them: what has to be removed while one set
    /// takes the place of the other.
    pub fn with(mut self, earlier: &Self) -> Self {
        for vip in &earlier.0 {
            if !self.0.iter().any(|known| same_addresses(known, vip)) {
                self.0.push(vip.clone());
            }
        }
        self
    }

    /// Those whose fence left an address behind.
    pub fn incomplete(&self, fencings: &[Fencing]) -> Self {
        let pairs = self.0.iter().zip(fencings);
        Self(pairs.filter(|(_, it)| it.is_incomplete()).map(|(vip, _)| vip.clone()).collect())
    }

    /// Those that share no address with any of `specs`.
    pub fn apart_from(&self, specs: &[RouterSpec]) -> Self {
        let is_used = |address| {
            specs.iter().any(|spec| spec.config.addresses.iter().any(|used| used == address))
        };
        let apart = self.0.iter().filter(|vip| !vip.addresses.iter().any(is_used));
        Self(apart.cloned().collect())
    }

    /// The addresses, by virtual router.
    pub fn iter(&self) -> impl Iterator<Item = &Vip> {
        self.0.iter()
    }

    /// Whether there is nothing to remove.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads what [`Vips::save`] wrote; nothing if there is no file.
    ///
    /// # Errors
    /// If the file cannot be read or is none of ours.
    pub fn load(path: &Path) -> io::Result<Self> {
        match std::fs::read(path) {
            Ok(content) => Ok(serde_json::from_slice(&content)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    /// Writes the file.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        write_atomically(path, &serde_json::to_vec_pretty(self)?)
    }
}

/// Moves a file that cannot be read out of the way; says to where.
pub fn move_aside(path: &Path) -> PathBuf {
    let aside = path.with_extension("corrupt");
    // If it stays where it is, the next record overwrites it.
    let _ = std::fs::rename(path, &aside);
    aside
}

fn same_addresses(a: &Vip, b: &Vip) -> bool {
    a.interface == b.interface && a.vrid == b.vrid && a.addresses == b.addresses
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use super::*;

    pub(in crate::fence) fn vip(address: &str, source: Option<IpAddr>) -> Vip {
        Vip {
            router: "api".to_owned(),
            interface: "eth0".to_owned(),
            vrid: Vrid::new(51).unwrap(),
            family: Family::Ipv4,
            addresses: Addresses::new(vec![address.parse().unwrap()]).unwrap(),
            interval: Centis::DEFAULT,
            checksum: Checksum::Auto,
            source,
        }
    }

    #[test]
    fn a_union_keeps_the_newer_of_the_same_addresses() {
        let source = "10.0.0.11".parse().ok();
        let newer = Vips(vec![vip("10.0.0.10", source)]);
        let earlier = Vips(vec![vip("10.0.0.10", None), vip("10.0.0.9", None)]);
        let both = newer.with(&earlier);
        assert_eq!(both, Vips(vec![vip("10.0.0.10", source), vip("10.0.0.9", None)]));
    }

    #[test]
    fn what_a_fence_left_behind_is_kept() {
        let vips = Vips(vec![vip("10.0.0.10", None), vip("10.0.0.9", None)]);
        let failed = Fencing { errors: vec!["x".to_owned()], ..Fencing::default() };
        let left = vips.incomplete(&[Fencing::default(), failed]);
        assert_eq!(left, Vips(vec![vip("10.0.0.9", None)]));
    }

    #[test]
    fn the_file_reads_back_and_a_missing_one_is_empty() {
        let directory = std::env::temp_dir().join(format!("mainstay-vips-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let path = directory.join("vips.json");
        assert!(Vips::load(&path).unwrap().is_empty());
        let vips = Vips(vec![vip("10.0.0.10", "10.0.0.11".parse().ok())]);
        vips.save(&path).unwrap();
        assert_eq!(Vips::load(&path).unwrap(), vips);
        std::fs::write(&path, "{").unwrap();
        assert!(Vips::load(&path).is_err());
        std::fs::remove_dir_all(directory).unwrap();
    }
}
