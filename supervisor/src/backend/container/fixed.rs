//! The backend of a unit whose container needs no guards.

use std::time::Duration;

use super::{Container, ContainerSpec};
use crate::backend::{Backend, Ended, Fault, Identity, Logs, Pending, Readiness, Running};
use crate::readiness::Probe;

/// dockerd that takes longer to say whether a container runs has not said it.
const READINESS: Duration = Duration::from_secs(3);

/// A unit in a container that is always made from the same specification.
pub struct ContainerBackend {
    container: Container,
    spec: ContainerSpec,
    probe: Probe,
}

impl ContainerBackend {
    /// Runs `spec` in `container`. It is ready when it runs and `probe` says so.
    pub fn new(container: Container, spec: ContainerSpec, probe: Probe) -> Self {
        Self { container, spec, probe }
    }
}

impl Backend for ContainerBackend {
    fn adopt<'a>(
        &'a self,
        known: Option<&'a Identity>,
    ) -> Pending<'a, Result<Option<Running>, Fault>> {
        Box::pin(self.container.adopt(known, &self.spec))
    }

    fn start(&self) -> Pending<'_, Result<Running, Fault>> {
        Box::pin(self.container.start(&self.spec, &[]))
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
                Identity::Container { id, .. } => self.container.ended(id).await,
                _ => Ended { reason: "it is no container".to_owned(), success: false },
            }
        })
    }

    fn readiness<'a>(&'a self, what: &'a Identity) -> Pending<'a, Readiness> {
        Box::pin(async move {
            let Identity::Container { id, .. } = what else {
                return Readiness::NotReady("it is no container".to_owned());
            };
            match tokio::time::timeout(READINESS, self.container.inspect(id)).await {
                Ok(Ok(Some(found))) if found.is_running() => self.probe.ask().await,
                Ok(Ok(_)) => Readiness::NotReady("the container does not run".to_owned()),
                Ok(Err(error)) => Readiness::NotReady(error.to_string()),
                Err(_) => Readiness::NotReady("dockerd does not say whether it runs".to_owned()),
            }
        })
    }

    fn logs(&self, lines: usize, follow: bool) -> Pending<'_, Result<Logs, Fault>> {
        Box::pin(self.container.logs(lines, follow))
    }
}
