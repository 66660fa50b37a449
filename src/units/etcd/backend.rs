//! etcd's unit: a container whose every start the guards of its member decide on.

use std::sync::Arc;
use std::time::Duration;

use supervisor::backend::container::{Container, ContainerBackend, ContainerSpec};
use supervisor::backend::{Backend, Ended, Fault, Identity, Logs, Pending, Readiness, Running};
use supervisor::etcd::{Member, Progress};
use supervisor::readiness::Probe;
use tokio::time::timeout;

/// What is said of a member without a vote.
const LEARNER: &str = "learner";
/// How long the cluster may take to give it one.
const PROMOTION: Duration = Duration::from_secs(2);

/// The unit.
pub struct EtcdBackend {
    member: Arc<Member>,
    container: Container,
    spec: ContainerSpec,
    plain: ContainerBackend,
}

impl EtcdBackend {
    /// Runs the member in the container.
    pub fn new(member: Arc<Member>, container: Container, spec: ContainerSpec) -> Self {
        let plain = ContainerBackend::new(container.clone(), spec.clone(), Probe::Runs);
        Self { member, container, spec, plain }
    }
}

impl Backend for EtcdBackend {
    fn adopt<'a>(
        &'a self,
        known: Option<&'a Identity>,
    ) -> Pending<'a, Result<Option<Running>, Fault>> {
        self.plain.adopt(known)
    }

    fn start(&self) -> Pending<'_, Result<Running, Fault>> {
        Box::pin(async {
            let prepared = self.member.prepare().await?;
            for note in &prepared.notes {
                tracing::warn!("etcd: {note}");
            }
            // What comes after what each start has is for this one alone.
            let usual = self.member.settings().command().len();
            let once = prepared.command.get(usual..).unwrap_or_default();
            self.container.start(&self.spec, once).await
        })
    }

    fn stop<'a>(
        &'a self,
        what: &'a Identity,
        patience: Duration,
    ) -> Pending<'a, Result<(), Fault>> {
        self.plain.stop(what, patience)
    }

    fn ended<'a>(&'a self, what: &'a Identity) -> Pending<'a, Ended> {
        self.plain.ended(what)
    }

    fn readiness<'a>(&'a self, what: &'a Identity) -> Pending<'a, Readiness> {
        Box::pin(async move {
            let running = self.plain.readiness(what).await;
            if running != Readiness::Ready {
                return running;
            }
            match self.member.readiness().await {
                Readiness::Ready => Readiness::Ready,
                Readiness::NotReady(why) => {
                    // Whoever wanted it to join may not be there any more to have it promoted.
                    if why.contains(LEARNER) {
                        let told = Progress::none();
                        let promoted = self.member.promote(Duration::ZERO, &told);
                        let _ = timeout(PROMOTION, promoted).await;
                    }
                    Readiness::NotReady(why)
                }
            }
        })
    }

    fn logs(&self, lines: usize, follow: bool) -> Pending<'_, Result<Logs, Fault>> {
        self.plain.logs(lines, follow)
    }
}
