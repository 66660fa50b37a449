//! What has to be removed should the VRRP process die, also as a file for other processes.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::path::Path;

use serde::{Deserialize, Serialize};
use vrrp::config::{Addresses, Checksum, Transport};
use vrrp::proto::RouterSpec;
use vrrp::time::Centis;
use vrrp::wire::ChecksumForm;
use vrrp::{Family, Vrid};

use super::Fencing;
use crate::runtime_dir::write_atomically;

/// How a virtual router last advertised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spoken {
    /// From this address.
    pub source: IpAddr,
    /// With this form of the checksum, if that is known.
    pub checksum: Option<ChecksumForm>,
}

/// The addresses of one virtual router, and all that it takes to tell the peers of their removal.
///
/// On disk it is a contract between versions: fields are added, with a default.
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
    /// The form of the checksum that it last sent, if that is known.
    #[serde(default)]
    pub spoken_checksum: Option<ChecksumForm>,
    /// How its advertisements travel.
    #[serde(default)]
    pub transport: Transport,
    /// Whether its addresses are on a macvlan above the interface.
    #[serde(default)]
    pub virtual_mac: bool,
    /// Whether it is the address owner: the interface may have the addresses from elsewhere.
    #[serde(default)]
    pub is_owner: bool,
}

impl Vip {
    fn new(spec: &RouterSpec, spoken: Option<Spoken>) -> Self {
        Self {
            router: spec.name.clone(),
            interface: spec.interface.clone(),
            vrid: spec.config.vrid,
            family: spec.config.family(),
            addresses: spec.config.addresses.clone(),
            interval: spec.config.interval,
            checksum: spec.config.checksum,
            source: spoken.map(|it| it.source),
            spoken_checksum: spoken.and_then(|it| it.checksum),
            transport: spec.transport.clone(),
            virtual_mac: spec.config.virtual_mac,
            is_owner: spec.config.priority.is_owner(),
        }
    }

    /// How it last advertised, if it ever did.
    pub fn spoken(&self) -> Option<Spoken> {
        Some(Spoken { source: self.source?, checksum: self.spoken_checksum })
    }
}

/// The addresses of all virtual routers that may run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vips(Vec<Vip>);

impl Vips {
    /// Those of `specs`, with how they last advertised.
    pub fn of<'a>(
        specs: impl IntoIterator<Item = &'a RouterSpec>,
        spoken: &BTreeMap<String, Spoken>,
    ) -> Self {
        let vip = |spec: &RouterSpec| Vip::new(spec, spoken.get(&spec.name).copied());
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

fn same_addresses(a: &Vip, b: &Vip) -> bool {
    a.interface == b.interface
        && a.vrid == b.vrid
        && a.addresses == b.addresses
        && a.virtual_mac == b.virtual_mac
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
            spoken_checksum: None,
            transport: Transport::Multicast,
            virtual_mac: false,
            is_owner: false,
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

    /// The record outlives an upgrade.
    #[test]
    fn a_record_of_version_0_1_0_is_understood() {
        let old = r#"[{
            "router": "api", "interface": "eth0", "vrid": 51, "family": "ipv4",
            "addresses": ["10.0.0.10"], "interval": 100, "checksum": "auto",
            "source": "10.0.0.11"
        }]"#;
        let vips: Vips = serde_json::from_str(old).unwrap();
        assert_eq!(vips, Vips(vec![vip("10.0.0.10", "10.0.0.11".parse().ok())]));
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
