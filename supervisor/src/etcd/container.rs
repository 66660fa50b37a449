//! etcd in its container: guards before every start, readiness by its own API, and its tools from its image.

use std::sync::Arc;
use std::time::Duration;

use super::Member;
use super::restore::{Call, Ran, Tools};
use crate::backend::container::{BindMount, Container, ContainerSpec};
use crate::backend::{Backend, Ended, Fault, Identity, Logs, Pending, Readiness, Running};

/// A restore of some gigabytes on a slow disk.
const TOOL: Duration = Duration::from_secs(600);
/// etcd says why it ends, then what it stops.
const LAST_WORDS: usize = 50;
/// etcd goes last when memory runs out, but before what the kernel must keep.
const OOM_SCORE_ADJ: i16 = -997;

/// The unit `etcd`.
pub struct EtcdBackend {
    member: Arc<Member>,
    container: Container,
    spec: ContainerSpec,
}

impl EtcdBackend {
    /// Runs `member` from `image` in `container`.
    pub fn new(member: Arc<Member>, container: Container, image: impl Into<String>) -> Self {
        let spec = spec(&member, image.into());
        Self { member, container, spec }
    }

    /// The member that it runs.
    pub fn member(&self) -> &Arc<Member> {
        &self.member
    }

    /// How it ended, and what etcd's last words mean.
    async fn explain(&self, id: &str) -> Ended {
        let ended = self.container.ended(id).await;
        let words = self.container.last_lines(id, LAST_WORDS).await.unwrap_or_default();
        match self.member.ended(&words) {
            Some(meaning) if !ended.success => {
                Ended { reason: format!("{}: {meaning}", ended.reason), ..ended }
            }
            _ => ended,
        }
    }

    /// etcd's own tools, in containers of its image.
    pub fn tools(&self) -> ContainerTools {
        ContainerTools { container: self.container.clone(), image: self.spec.image.clone() }
    }
}

impl Backend for EtcdBackend {
    fn adopt<'a>(
        &'a self,
        known: Option<&'a Identity>,
    ) -> Pending<'a, Result<Option<Running>, Fault>> {
        Box::pin(self.container.adopt(known, &self.spec))
    }

    fn start(&self) -> Pending<'_, Result<Running, Fault>> {
        Box::pin(async move {
            let prepared = self.member.prepare().await?;
            for note in &prepared.notes {
                tracing::warn!(unit = "etcd", "{note}");
            }
            let once = self.member.settings().first_flags(&prepared.start);
            self.container.start(&self.spec, &once).await
        })
    }

    fn stop<'a>(
        &'a self,
        what: &'a Identity,
        patience: Duration,
    ) -> Pending<'a, Result<(), Fault>> {
        Box::pin(async move {
            match what {
                Identity::Container { id, .. } => self.container.stop(id, patience).await,
                _ => Ok(()),
            }
        })
    }

    fn ended<'a>(&'a self, what: &'a Identity) -> Pending<'a, Ended> {
        Box::pin(async move {
            match what {
                Identity::Container { id, .. } => self.explain(id).await,
                _ => Ended { reason: "it is no container".to_owned(), success: false },
            }
        })
    }

    fn readiness<'a>(&'a self, _what: &'a Identity) -> Pending<'a, Readiness> {
        Box::pin(self.member.readiness())
    }

    fn logs(&self, lines: usize, follow: bool) -> Pending<'_, Result<Logs, Fault>> {
        Box::pin(self.container.logs(lines, follow))
    }
}

/// Runs etcd's own tools in containers of etcd's image.
pub struct ContainerTools {
    container: Container,
    image: String,
}

impl Tools for ContainerTools {
    fn run<'a>(&'a self, program: &'a str, call: &'a Call) -> Pending<'a, Ran> {
        Box::pin(async move {
            let spec = ContainerSpec {
                image: self.image.clone(),
                entrypoint: Some(vec![program.to_owned()]),
                command: call.arguments.clone(),
                env: [("ETCDCTL_API".to_owned(), "3".to_owned())].into(),
                mounts: vec![
                    BindMount::same(&call.writes),
                    BindMount::same(&call.reads).read_only(),
                ],
                ..ContainerSpec::default()
            };
            match self.container.run_once(&spec, "restore", TOOL).await {
                Ok(output) if output.success => Ran::Well,
                Ok(output) => {
                    let last = output.text.lines().rfind(|line| !line.trim().is_empty());
                    Ran::Failed(format!("{}: {}", output.reason, last.unwrap_or_default()))
                }
                // What runc says of a program that the image does not have.
                Err(fault) if fault.reason.contains("executable file not found") => {
                    Ran::NoSuchProgram
                }
                Err(fault) => Ran::Failed(fault.reason),
            }
        })
    }
}

fn spec(member: &Member, image: String) -> ContainerSpec {
    let settings = member.settings();
    let mut command = settings.command();
    let entrypoint = vec![command.remove(0)];
    let mount = |(path, read_only)| match read_only {
        true => BindMount::same(path).read_only(),
        false => BindMount::same(path),
    };
    ContainerSpec {
        image,
        entrypoint: Some(entrypoint),
        command,
        mounts: settings.mounts().into_iter().map(mount).collect(),
        oom_score_adj: Some(OOM_SCORE_ADJ),
        stop_seconds: Some(30),
        ..ContainerSpec::default()
    }
}
