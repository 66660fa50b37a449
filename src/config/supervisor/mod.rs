//! What runs beneath the virtual IPs: `[supervisor]` and the sections that go with it.

mod docker;
mod etcd;
mod kubelet;
mod path;
mod raw;

use std::net::IpAddr;
use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

pub use docker::Docker;
pub use etcd::{ETCD_CHECK, Etcd, Master, Snapshots};
pub use kubelet::{CgroupDriver, Kubelet, Runtime};

pub(super) use raw::{
    RawCerts, RawDocker, RawEtcd, RawImages, RawKubelet, RawKubernetes, RawSupervisor, Sections,
};

use super::error::{Fault, Problems};
use super::node::Node;
use super::raw::{Section, Text, Texts, check};
use super::{Role, value};
use path::Template;

const DEFAULT_LOG_DIR: &str = "/var/log/mainstay";
const DEFAULT_PKI: &str = "/etc/kubernetes/pki";

/// What runs beneath the virtual IPs of one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Supervised {
    /// Where the logs of what mainstay runs itself are.
    pub log_dir: PathBuf,
    /// dockerd.
    pub docker: Docker,
    /// The folder of images to load; `None` if there is none.
    pub images: Option<PathBuf>,
    /// The cluster's certificates.
    pub pki: Pki,
    /// etcd's member; `None` on a worker, and where mainstay does not look after etcd.
    pub etcd: Option<Etcd>,
    /// kubelet; `None` where mainstay does not look after it.
    pub kubelet: Option<Kubelet>,
}

/// Where certificates are, and whom they are for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pki {
    /// The folder, laid out as kubeadm does.
    pub dir: PathBuf,
    /// Further names and addresses that the API server's certificate is for.
    pub extra_sans: Vec<String>,
}

/// Who runs what is no container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BackendKind {
    /// systemd, as units of its own.
    Systemd,
    /// mainstay itself.
    Exec,
}

/// How a program is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Service {
    /// As a unit of systemd.
    Systemd {
        /// The unit's name, such as `docker.service`.
        unit: String,
    },
    /// By mainstay.
    Exec {
        /// Its absolute path.
        program: PathBuf,
    },
}

/// The sections, each value checked by itself.
pub(super) struct Parts {
    log_dir: Template,
    docker: docker::Part,
    images: Option<Template>,
    pki: Template,
    extra_sans: Vec<String>,
    etcd: Option<etcd::Part>,
    kubelet: Option<kubelet::Part>,
}

impl Parts {
    /// `None` if there is no `[supervisor]`, or something is wrong; the problems then say what.
    pub(super) fn new(sections: Sections, problems: &mut Problems) -> Option<Self> {
        let Sections { supervisor, docker, images, certs, etcd, kubernetes, kubelet } = sections;
        let others = [
            ("docker", docker.as_ref().map(|it| it.span.clone())),
            ("images", images.as_ref().map(|it| it.span.clone())),
            ("certs", certs.as_ref().map(|it| it.span.clone())),
            ("etcd", etcd.as_ref().map(|it| it.span.clone())),
            ("kubernetes", kubernetes.as_ref().map(|it| it.span.clone())),
            ("kubelet", kubelet.as_ref().map(|it| it.span.clone())),
        ];
        let Some(supervisor) = supervisor else {
            for (name, span) in others {
                let Some(span) = span else { continue };
                let help = format!("add [supervisor], or leave [{name}] out");
                problems.add(span, Fault::new(format!("[{name}] needs [supervisor]"), help));
            }
            return None;
        };
        let RawSupervisor { backend, log_dir } = supervisor.value;
        let backend = backend.map_or(BackendKind::Systemd, Spanned::into_inner);
        let certs = certs.map(|it| it.value).unwrap_or_default();
        let sans = certs.extra_sans.map(Spanned::into_inner).unwrap_or_default();
        let sans = sans.into_iter().filter_map(|it| checked(it, problems, san)).collect();
        let version = kubernetes.and_then(|it| kubelet::version(it.value, problems));
        Some(Self {
            log_dir: path(log_dir, DEFAULT_LOG_DIR, problems),
            docker: docker::Part::new(docker, backend, problems)?,
            images: images.and_then(|it| checked(it.value.dir, problems, Template::new)),
            pki: path(certs.dir, DEFAULT_PKI, problems),
            extra_sans: sans,
            etcd: etcd.and_then(|it| etcd::Part::new(it, problems)),
            kubelet: match kubelet {
                Some(it) => kubelet::Part::new(it, backend, version, problems),
                None => None,
            },
        })
    }

    /// Checks what the values mean to the nodes and virtual routers.
    pub(super) fn check(
        &self,
        nodes: &[Node],
        routers: &[&str],
        checks: &[Text],
        api_port: u16,
        problems: &mut Problems,
    ) {
        self.docker.check(nodes, problems);
        if let Some(etcd) = &self.etcd {
            etcd::check_names(checks, problems);
            etcd.check(nodes, routers, api_port, problems);
        }
    }

    /// What runs on a node.
    pub(super) fn on(&self, node: &Node, masters: &[&Node], routers: &[&str]) -> Supervised {
        let name = node.name.get_ref();
        let pki = Pki { dir: self.pki.on(name), extra_sans: self.extra_sans.clone() };
        let is_master = node.role == Role::Master;
        let etcd = self.etcd.as_ref().filter(|_| is_master);
        Supervised {
            log_dir: self.log_dir.on(name),
            docker: self.docker.on(name),
            images: self.images.as_ref().map(|it| it.on(name)),
            pki,
            etcd: etcd.map(|it| it.on(name, masters, routers)),
            kubelet: self.kubelet.as_ref().map(|it| it.on(name)),
        }
    }
}

/// The keys that say how a program is run.
struct ServiceKeys {
    section: &'static str,
    unit: Option<Text>,
    program: Option<Text>,
    usual_unit: &'static str,
    usual_program: &'static str,
}

/// How a program is run, on any node.
enum ServicePart {
    Systemd(String),
    Exec(Template),
}

impl ServicePart {
    fn new(keys: ServiceKeys, backend: BackendKind, problems: &mut Problems) -> Self {
        let ServiceKeys { section, unit, program, usual_unit, usual_program } = keys;
        match backend {
            BackendKind::Systemd => {
                goes_with(section, "program", "exec", program.map(|it| it.span()), problems);
                let unit = unit.and_then(|it| checked(it, problems, unit_name));
                Self::Systemd(unit.unwrap_or_else(|| usual_unit.to_owned()))
            }
            BackendKind::Exec => {
                goes_with(section, "unit", "systemd", unit.map(|it| it.span()), problems);
                Self::Exec(path(program, usual_program, problems))
            }
        }
    }

    fn on(&self, node: &super::NodeName) -> Service {
        match self {
            Self::Systemd(unit) => Service::Systemd { unit: unit.clone() },
            Self::Exec(program) => Service::Exec { program: program.on(node) },
        }
    }
}

/// A key that only one backend has a use for.
fn goes_with(
    section: &str,
    key: &str,
    backend: &str,
    span: Option<std::ops::Range<usize>>,
    problems: &mut Problems,
) {
    let Some(span) = span else { return };
    let what = format!("`{key}` in [{section}] goes with backend = \"{backend}\" only");
    let help = format!("leave it out, or set backend = \"{backend}\" in [supervisor]");
    problems.add(span, Fault::new(what, help));
}

fn checked<T, U>(
    value: Spanned<T>,
    problems: &mut Problems,
    rule: impl FnOnce(T) -> Result<U, Fault>,
) -> Option<U> {
    check(value, problems, rule).map(Spanned::into_inner)
}

/// The path, or the usual one.
fn path(given: Option<Text>, usual: &str, problems: &mut Problems) -> Template {
    let given = given.and_then(|it| checked(it, problems, Template::new));
    given.unwrap_or_else(|| Template::usual(usual))
}

fn words(given: Option<Texts>, problems: &mut Problems) -> Vec<String> {
    let given = given.map(Spanned::into_inner).unwrap_or_default();
    given.into_iter().filter_map(|it| checked(it, problems, word)).collect()
}

/// An argument of a program.
fn word(text: String) -> Result<String, Fault> {
    if text.is_empty() || text.contains('\0') {
        return Err(Fault::new("an argument is not empty and has no zero byte", "take it out"));
    }
    Ok(text)
}

fn unit_name(text: String) -> Result<String, Fault> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
    let stem = text.strip_suffix(".service").unwrap_or_default();
    if !stem.is_empty() && text.len() <= 255 && text.chars().all(is_plain) {
        return Ok(text);
    }
    Err(Fault::new(
        format!("`{text}` cannot name a service of systemd"),
        "write it like docker.service",
    ))
}

/// A name or an address that a certificate can be for.
fn san(text: String) -> Result<String, Fault> {
    let is_name = value::is_node_name(text.strip_prefix("*.").unwrap_or(&text));
    if is_name || text.parse::<IpAddr>().is_ok() {
        return Ok(text);
    }
    Err(Fault::new(
        format!("`{text}` is no name or address that a certificate can be for"),
        "write it like api.example.org or 192.0.2.10",
    ))
}

/// The section's values, or none of them.
fn values<T: Default>(section: Option<Section<T>>) -> T {
    section.map(|it| it.value).unwrap_or_default()
}
