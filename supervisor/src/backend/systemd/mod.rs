//! Units of systemd's, over D-Bus: docker.service, kubelet.service.
//!
//! A run of a unit is told apart from the next one by its `InvocationID`. Signals drive everything; a unit is looked at from
//! time to time as well. What mainstay writes of a unit is a file of its own, marked as such.

mod bus;
mod files;
mod journal;
mod state;
mod unit;

use std::path::PathBuf;
use std::time::Duration;

pub use bus::Bus;
pub use files::{Ours, UNIT_FOLDER};
pub(crate) use unit::Unit;

use super::{Backend, Ended, Fault, Identity, Logs, Pending, Readiness, Running};
use crate::backend::hash::spec_hash;
use crate::readiness::Probe;
use files::OnDisk;
use state::{Activity, State};

/// A unit of systemd's, existing or ours.
#[derive(Clone)]
pub struct Systemd {
    unit: Unit,
    ours: Option<Ours>,
    probe: Probe,
}

impl Systemd {
    /// A unit by its name, such as `docker.service`, which is taken as it is, and is ready when systemd says that it is active.
    pub fn new(bus: Bus, name: impl Into<String>) -> Self {
        Self { unit: Unit::new(bus, name), ours: None, probe: Probe::Runs }
    }

    /// With something of the unit that mainstay writes before each start, and whose change is drift.
    pub fn with_ours(self, ours: Ours) -> Self {
        Self { ours: Some(ours), ..self }
    }

    /// Ready only when `probe` says so, too.
    pub fn ready_when(self, probe: Probe) -> Self {
        Self { probe, ..self }
    }

    /// Of a systemd whose root is seen from outside.
    pub fn in_root(self, root: impl Into<PathBuf>) -> Self {
        Self { unit: self.unit.in_root(root.into()), ..self }
    }

    /// [`Backend::adopt`] of what is to run as `ours` says.
    pub(crate) async fn adopt_as(
        &self,
        known: Option<&Identity>,
        ours: Option<&Ours>,
    ) -> Result<Option<Running>, Fault> {
        let state = self.unit.state().await?;
        if state.activity != Activity::Runs {
            return Ok(None);
        }
        self.running_as(&state, known, ours).await.map(Some)
    }

    async fn running_as(
        &self,
        state: &State,
        known: Option<&Identity>,
        ours: Option<&Ours>,
    ) -> Result<Running, Fault> {
        let on_disk = match ours {
            Some(ours) => Some(self.unit.on_disk(ours).await?),
            None => None,
        };
        let wanted = ours.map(hash).unwrap_or_default();
        let (spec_hash, drift) = match (known, on_disk) {
            (_, None) => (String::new(), None),
            (Some(Identity::Systemd { invocation, spec_hash }), Some(on_disk))
                if *invocation == state.invocation =>
            {
                (spec_hash.clone(), self.drift(*spec_hash == wanted, &on_disk, ours))
            }
            (_, Some(on_disk)) => {
                let started_with_it =
                    matches!(on_disk, OnDisk::Same(written) if written <= state.since_epoch);
                let spec_hash = if started_with_it { wanted } else { String::new() };
                (spec_hash, self.drift(started_with_it, &on_disk, ours))
            }
        };
        Ok(self.running(state, spec_hash, drift))
    }

    /// [`Backend::start`] as `ours` says.
    pub(crate) async fn start_as(&self, ours: Option<&Ours>) -> Result<Running, Fault> {
        if let Some(ours) = ours {
            self.unit.install(ours).await?;
        }
        let before = self.unit.state().await?;
        let state = self.unit.start().await?;
        if before.invocation == state.invocation {
            // It ran already.
            return self.running_as(&state, None, ours).await;
        }
        Ok(self.running(&state, ours.map(hash).unwrap_or_default(), None))
    }

    /// Whether a whole unit of ours may be written under this name, because nobody else's has it.
    pub async fn is_free(&self) -> Result<bool, Fault> {
        self.unit.is_free().await
    }

    fn running(&self, state: &State, spec_hash: String, drift: Option<String>) -> Running {
        Running {
            identity: Identity::Systemd { invocation: state.invocation.clone(), spec_hash },
            age: Some(unit::monotonic().saturating_sub(state.since)),
            drift,
        }
    }

    fn drift(&self, same: bool, on_disk: &OnDisk, ours: Option<&Ours>) -> Option<String> {
        let path = ours.map(|it| self.unit.path(it).display().to_string()).unwrap_or_default();
        match on_disk {
            OnDisk::Missing => Some(format!("{path} is missing")),
            OnDisk::Other => Some(format!("{path} is not as configured now")),
            OnDisk::Foreign => Some(format!("{path} was written by somebody else")),
            OnDisk::Same(_) if !same => {
                Some(format!("{} was started before {path} was written", self.unit.name()))
            }
            OnDisk::Same(_) => None,
        }
    }
}

impl Backend for Systemd {
    fn adopt<'a>(
        &'a self,
        known: Option<&'a Identity>,
    ) -> Pending<'a, Result<Option<Running>, Fault>> {
        Box::pin(self.adopt_as(known, self.ours.as_ref()))
    }

    fn start(&self) -> Pending<'_, Result<Running, Fault>> {
        Box::pin(self.start_as(self.ours.as_ref()))
    }

    /// Stops the unit whichever run it is in: a unit has one at a time.
    fn stop<'a>(
        &'a self,
        _what: &'a Identity,
        patience: Duration,
    ) -> Pending<'a, Result<(), Fault>> {
        Box::pin(self.unit.stop(patience))
    }

    fn ended<'a>(&'a self, what: &'a Identity) -> Pending<'a, Ended> {
        Box::pin(async move {
            match what {
                Identity::Systemd { invocation, .. } => self.unit.ended(invocation).await,
                other => {
                    Ended { reason: format!("{other:?} is no unit of systemd's"), success: false }
                }
            }
        })
    }

    fn readiness<'a>(&'a self, _what: &'a Identity) -> Pending<'a, Readiness> {
        Box::pin(async move {
            match self.unit.state().await {
                Ok(state) if !state.up => Readiness::NotReady(format!(
                    "systemd says that {} is starting",
                    self.unit.name()
                )),
                Ok(_) => self.probe.ask().await,
                Err(fault) => Readiness::NotReady(fault.reason),
            }
        })
    }

    fn logs(&self, lines: usize, follow: bool) -> Pending<'_, Result<Logs, Fault>> {
        Box::pin(async move { journal::read(self.unit.name(), self.unit.root(), lines, follow) })
    }
}

fn hash(ours: &Ours) -> String {
    spec_hash(&ours.text())
}
