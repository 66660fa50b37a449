//! `[etcd]`

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;

use super::super::error::{Fault, Problems, closest};
use super::super::node::Node;
use super::super::raw::{Number, Section, Text, check};
use super::super::{NodeName, Role, value};
use super::path::Template;
use super::raw::RawEtcd;
use super::{checked, path};

const DEFAULT_DATA_DIR: &str = "/var/lib/etcd";
const DEFAULT_SNAPSHOT_DIR: &str = "/var/lib/mainstay/snapshots";
const DEFAULT_CLIENT_PORT: u16 = 2379;
const DEFAULT_PEER_PORT: u16 = 2380;
const DEFAULT_METRICS_PORT: u16 = 2381;
const DEFAULT_HEARTBEAT: Duration = Duration::from_millis(100);
const DEFAULT_ELECTION: Duration = Duration::from_secs(1);
/// etcd refuses an election timeout that is not this much longer than its heartbeat interval.
const ELECTION_FACTOR: u32 = 5;
/// And one that is longer than this.
const LONGEST_ELECTION: Duration = Duration::from_secs(50);
const DEFAULT_SNAPSHOTS_KEPT: u32 = 5;
const MAX_SNAPSHOTS_KEPT: u32 = 1000;
/// What etcd's own documentation takes as the limits of its quota, in MiB.
const QUOTA_MIB: std::ops::RangeInclusive<i64> = 16..=16 * 1024;

/// The check that comes with `[etcd]`: that of the member on this node.
pub const ETCD_CHECK: &str = "etcd";

/// etcd's member on one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Etcd {
    /// The image of its container.
    pub image: String,
    /// Where its data is.
    pub data_dir: PathBuf,
    /// All members that the configuration names: the masters, in the order of the file.
    pub masters: Vec<Master>,
    /// Where clients connect to.
    pub client_port: u16,
    /// Where other members connect to.
    pub peer_port: u16,
    /// Where it answers on the loopback interface, without TLS, whether it is well.
    pub metrics_port: u16,
    /// How often the leader says that it lives.
    pub heartbeat_interval: Duration,
    /// After how long without a word of the leader a new one is elected.
    pub election_timeout: Duration,
    /// How large the data may become, in bytes; etcd's own limit if `None`.
    pub quota: Option<u64>,
    /// Its snapshots.
    pub snapshots: Snapshots,
    /// The virtual routers that this node is a worse holder of while its member is not well.
    pub degrades: Vec<String>,
}

/// A master as etcd knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Master {
    /// Its name.
    pub name: NodeName,
    /// The first of its addresses.
    pub address: IpAddr,
}

/// Snapshots of etcd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshots {
    /// Where they are kept.
    pub dir: PathBuf,
    /// How often one is made; `None` never by itself.
    pub interval: Option<Duration>,
    /// How many are kept.
    pub kept: u32,
}

/// etcd on any node.
pub(super) struct Part {
    place: std::ops::Range<usize>,
    image: String,
    data_dir: Template,
    ports: BTreeMap<&'static str, Spanned<u16>>,
    heartbeat_interval: Duration,
    election_timeout: Duration,
    quota: Option<u64>,
    snapshot_dir: Template,
    snapshot_interval: Option<Duration>,
    snapshots_kept: u32,
    degrades: Option<Vec<Text>>,
}

impl Part {
    pub(super) fn new(section: Section<RawEtcd>, problems: &mut Problems) -> Option<Self> {
        let raw = section.value;
        let ports = [
            ("client_port", raw.client_port, DEFAULT_CLIENT_PORT),
            ("peer_port", raw.peer_port, DEFAULT_PEER_PORT),
            ("metrics_port", raw.metrics_port, DEFAULT_METRICS_PORT),
        ];
        let ports = ports.into_iter().filter_map(|(key, given, usual)| {
            let port = match given {
                Some(given) => check(given, problems, value::port),
                None => Some(Spanned::new(section.span.clone(), usual)),
            };
            port.map(|port| (key, port))
        });
        let ports = ports.collect();
        let mut time = |it: Option<Text>, range: (Duration, Duration)| {
            it.and_then(|it| {
                check(it, problems, |text| value::duration_within(&text, range.0, range.1))
            })
        };
        let millis = Duration::from_millis;
        let heartbeat = time(raw.heartbeat_interval, (millis(10), Duration::from_secs(10)));
        let election = time(raw.election_timeout, (millis(50), LONGEST_ELECTION));
        let snapshot_interval = raw.snapshot_interval.filter(|it| it.get_ref() != "off");
        let day = Duration::from_secs(86_400);
        let snapshot_interval = time(snapshot_interval, (Duration::from_secs(60), day * 31));
        let heartbeat = heartbeat.map_or(DEFAULT_HEARTBEAT, Spanned::into_inner);
        let place = election.as_ref().map_or(section.span.clone(), Spanned::span);
        let election = election.map_or(DEFAULT_ELECTION, Spanned::into_inner);
        if election < heartbeat * ELECTION_FACTOR {
            let rule = format!(
                "etcd wants an election_timeout of {ELECTION_FACTOR} heartbeat intervals at least: \
                 {election:?} is less than {ELECTION_FACTOR} times {heartbeat:?}"
            );
            let help = "ten times the heartbeat_interval is usual";
            problems.add(place, Fault::new(rule, help));
        }
        let quota = raw.quota_mib.and_then(|it| checked(it, problems, quota));
        let kept = raw.snapshots_kept.and_then(|it: Number| checked(it, problems, kept));
        Some(Self {
            place: section.span,
            image: checked(raw.image, problems, image_name)?,
            data_dir: path(raw.data_dir, DEFAULT_DATA_DIR, problems),
            ports,
            heartbeat_interval: heartbeat,
            election_timeout: election,
            quota,
            snapshot_dir: path(raw.snapshot_dir, DEFAULT_SNAPSHOT_DIR, problems),
            snapshot_interval: snapshot_interval.map(Spanned::into_inner),
            snapshots_kept: kept.unwrap_or(DEFAULT_SNAPSHOTS_KEPT),
            degrades: raw.degrades.map(Spanned::into_inner),
        })
    }

    /// The ports differ, there is somebody to run on, and what is named exists.
    pub(super) fn check(
        &self,
        nodes: &[Node],
        routers: &[&str],
        api_port: u16,
        problems: &mut Problems,
    ) {
        if nodes.iter().all(|node| node.role == Role::Worker) {
            let fault = Fault::new(
                "etcd runs on masters, and no [[node]] is one",
                "set role = \"master\" for the nodes that shall run it, or leave [etcd] out",
            );
            problems.add(self.place.clone(), fault);
        }
        let mut seen = BTreeMap::from([(api_port, "the API servers")]);
        for (key, port) in &self.ports {
            if let Some(other) = seen.insert(*port.get_ref(), key) {
                let rule = format!("port {} is that of {other} too", port.get_ref());
                problems.add(port.span(), Fault::new(rule, format!("choose another {key}")));
            }
        }
        for name in self.degrades.iter().flatten() {
            if !routers.contains(&name.get_ref().as_str()) {
                let help = match closest(name.get_ref(), routers.iter().copied()) {
                    Some(close) => format!("did you mean `{close}`?"),
                    None => format!("the file has: {}", routers.join(", ")),
                };
                let rule = format!("no virtual router is named `{name}`");
                problems.add(name.span(), Fault::new(rule, help));
            }
        }
    }

    pub(super) fn on(&self, node: &NodeName, masters: &[&Node], routers: &[&str]) -> Etcd {
        let port = |key: &str| self.ports.get(key).map_or(0, |it| *it.get_ref());
        let degrades = match &self.degrades {
            Some(named) => named.iter().map(|it| it.get_ref().clone()).collect(),
            None => routers.iter().map(|&it| it.to_owned()).collect(),
        };
        let masters = masters.iter().filter_map(|it| {
            let address = *it.addresses.first()?.get_ref();
            Some(Master { name: it.name.get_ref().clone(), address })
        });
        Etcd {
            image: self.image.clone(),
            data_dir: self.data_dir.on(node),
            masters: masters.collect(),
            client_port: port("client_port"),
            peer_port: port("peer_port"),
            metrics_port: port("metrics_port"),
            heartbeat_interval: self.heartbeat_interval,
            election_timeout: self.election_timeout,
            quota: self.quota,
            snapshots: Snapshots {
                dir: self.snapshot_dir.on(node),
                interval: self.snapshot_interval,
                kept: self.snapshots_kept,
            },
            degrades,
        }
    }
}

/// The name of the check that comes with etcd is taken.
pub(super) fn check_names(checks: &[Text], problems: &mut Problems) {
    for name in checks.iter().filter(|it| it.get_ref() == ETCD_CHECK) {
        let rule = format!("`{ETCD_CHECK}` is the name of the check that comes with [etcd]");
        let help = "give this check another name, or leave it out";
        problems.add(name.span(), Fault::new(rule, help));
    }
}

/// The name of an image, as `docker image ls` has it.
pub(super) fn image_name(text: String) -> Result<String, Fault> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@".contains(c);
    let fits = (1..=255).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(is_plain);
    if !fits {
        return Err(Fault::new(
            format!("`{text}` cannot name an image"),
            "write it like etcd:v3.5.21",
        ));
    }
    let name = text.rsplit('/').next().unwrap_or_default();
    if !name.contains([':', '@']) {
        return Err(Fault::new(
            format!(
                "the image {text} has no tag: which version of etcd runs must not be by chance"
            ),
            format!("write it like {text}:3.5.21-0"),
        ));
    }
    Ok(text)
}

fn quota(mib: i64) -> Result<u64, Fault> {
    let fits = QUOTA_MIB.contains(&mib);
    u64::try_from(mib).ok().filter(|_| fits).map(|mib| mib << 20).ok_or_else(|| {
        let help =
            format!("choose {} to {}; etcd's default is 2048", QUOTA_MIB.start(), QUOTA_MIB.end());
        Fault::new(format!("a quota of {mib} MiB is out of range"), help)
    })
}

fn kept(number: i64) -> Result<u32, Fault> {
    u32::try_from(number).ok().filter(|it| (1..=MAX_SNAPSHOTS_KEPT).contains(it)).ok_or_else(|| {
        let help = format!("choose 1 to {MAX_SNAPSHOTS_KEPT}");
        Fault::new(format!("{number} snapshots are out of range"), help)
    })
}
