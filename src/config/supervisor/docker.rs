//! `[docker]`

use std::path::PathBuf;

use toml::Spanned;

use super::super::NodeName;
use super::super::error::{Fault, Problems};
use super::super::node::Node;
use super::super::raw::{Section, Text, check};
use super::path::Template;
use super::raw::RawDocker;
use super::{BackendKind, Service, ServiceKeys, ServicePart, goes_with, path, values, words};

const DEFAULT_SOCKET: &str = "/run/docker.sock";
/// The longest path that a unix socket can have, in bytes.
const MAX_SOCKET_PATH: usize = 107;

/// dockerd on one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Docker {
    /// The socket of its Engine API.
    pub socket: PathBuf,
    /// How it is run.
    pub service: Service,
    /// Whether containers outlive it, where mainstay runs it.
    pub live_restore: bool,
    /// Further arguments, where mainstay runs it.
    pub args: Vec<String>,
    /// Where it keeps images and containers, where mainstay runs it; its own default if `None`.
    pub data_root: Option<PathBuf>,
    /// Where it keeps what does not outlive a boot, where mainstay runs it; its own default if
    /// `None`.
    pub exec_root: Option<PathBuf>,
}

/// dockerd on any node.
pub(super) struct Part {
    socket: Spanned<Template>,
    live_restore: bool,
    service: ServicePart,
    args: Vec<String>,
    data_root: Option<Template>,
    exec_root: Option<Template>,
}

impl Part {
    pub(super) fn new(
        section: Option<Section<RawDocker>>,
        backend: BackendKind,
        problems: &mut Problems,
    ) -> Option<Self> {
        let raw: RawDocker = values(section);
        let RawDocker { socket, unit, program, args, data_root, exec_root, live_restore } = raw;
        let service = ServiceKeys {
            section: "docker",
            unit,
            program,
            usual_unit: "docker.service",
            usual_program: "/usr/bin/dockerd",
        };
        if backend == BackendKind::Systemd {
            let keys = [
                ("args", args.as_ref().map(Spanned::span)),
                ("data_root", data_root.as_ref().map(Spanned::span)),
                ("exec_root", exec_root.as_ref().map(Spanned::span)),
                ("live_restore", live_restore.as_ref().map(Spanned::span)),
            ];
            for (key, span) in keys {
                goes_with("docker", key, "exec", span, problems);
            }
        }
        let usual = || Some(Spanned::new(0..0, Template::usual(DEFAULT_SOCKET)));
        let mut own = |it: Option<Text>| it.map(|it| path(Some(it), "", problems));
        let (data_root, exec_root) = (own(data_root), own(exec_root));
        Some(Self {
            socket: socket.map_or_else(usual, |it| check(it, problems, Template::new))?,
            live_restore: live_restore.is_none_or(Spanned::into_inner),
            service: ServicePart::new(service, backend, problems),
            args: words(args, problems),
            data_root,
            exec_root,
        })
    }

    /// The socket's path is not too long on any node.
    pub(super) fn check(&self, nodes: &[Node], problems: &mut Problems) {
        let is_long = |node: &&Node| {
            self.socket.get_ref().on(node.name.get_ref()).as_os_str().len() > MAX_SOCKET_PATH
        };
        if let Some(node) = nodes.iter().find(is_long) {
            let name = node.name.get_ref();
            let rule = format!(
                "on {name} the path has more than the {MAX_SOCKET_PATH} bytes of a unix socket"
            );
            problems.add(self.socket.span(), Fault::new(rule, "choose a shorter one"));
        }
    }

    pub(super) fn on(&self, node: &NodeName) -> Docker {
        let path = |it: &Option<Template>| it.as_ref().map(|it| it.on(node));
        Docker {
            socket: self.socket.get_ref().on(node),
            live_restore: self.live_restore,
            service: self.service.on(node),
            args: self.args.clone(),
            data_root: path(&self.data_root),
            exec_root: path(&self.exec_root),
        }
    }
}
