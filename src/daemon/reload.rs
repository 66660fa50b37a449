//! Reading the configuration again.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::actor::{Daemon, Pending, Reloaded};
use super::plan::Plan;
use super::systemd;
use super::vrrp::{Stage, Vrrp};
use crate::config;
use crate::events::Entry;
use crate::host::Others;

/// How long the VRRP process may take to confirm.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// Why a reload did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReloadError {
    /// The file is wrong; the older configuration stays in force.
    #[error("{0}")]
    Wrong(String),
    /// The file is right, and the VRRP process has not taken it.
    #[error("the configuration is right and not in force yet: {0}: see `mainstay status`")]
    NotInForce(&'static str),
}

/// When a configuration that was read comes into force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Force {
    /// Now: there is nothing to run.
    Now,
    /// Once the VRRP process confirms this revision or a later one.
    With(u64),
    /// Not before the VRRP process is replaced.
    Never,
}

impl Daemon {
    /// Reads the file and puts it in force; if it is wrong, what was in force stays.
    pub(super) fn reload(&mut self) -> Result<Reloaded, String> {
        let reloading = NotifyState::monotonic_usec_now().ok();
        let states: Vec<_> = std::iter::once(NotifyState::Reloading).chain(reloading).collect();
        systemd::notify(&states);
        let outcome = self.read().map(|plan| self.take(plan));
        self.config_error = outcome.as_ref().err().cloned();
        match &outcome {
            Ok(reloaded) => self.note_reload(reloaded),
            Err(error) => self.note(
                Entry::now("reload_failed", "the configuration stays as it was").because(error),
            ),
        }
        systemd::notify(&[NotifyState::Ready]);
        outcome
    }

    /// Reloads and answers once the VRRP process has confirmed.
    pub(super) fn answer_reload(&mut self, reply: oneshot::Sender<Result<Reloaded, ReloadError>>) {
        let outcome = match self.reload() {
            Err(error) => Err(ReloadError::Wrong(error)),
            Ok(outcome) => match self.comes_into_force() {
                Force::Now => Ok(outcome),
                Force::Never => Err(ReloadError::NotInForce(
                    "the VRRP process is of another version and keeps what it has",
                )),
                Force::With(revision) => {
                    let since = Instant::now();
                    return self.waiting.reload.push(Pending { since, revision, outcome, reply });
                }
            },
        };
        // Whoever asked may have gone: then nobody needs the answer.
        let _ = reply.send(outcome);
    }

    fn comes_into_force(&self) -> Force {
        match &self.vrrp {
            Vrrp::Idle => Force::Now,
            Vrrp::Running(running) if running.stage == Stage::Foreign => Force::Never,
            _ if self.vrrp.is_attached() => Force::With(self.revision),
            // Sent under the next number as soon as there is somebody to send it to.
            Vrrp::Running(_) | Vrrp::Waiting { .. } => Force::With(self.revision + 1),
        }
    }

    /// The VRRP process has confirmed a configuration.
    pub(super) fn confirm_reloads(&mut self, revision: u64) {
        for pending in self.waiting.reload.extract_if(.., |it| it.revision <= revision) {
            let _ = pending.reply.send(Ok(pending.outcome));
        }
    }

    /// Answers reloads that are not confirmed in time.
    pub(super) fn give_up_reloads(&mut self, now: Instant) {
        let is_old = |it: &mut Pending| now.saturating_duration_since(it.since) >= PATIENCE;
        for pending in self.waiting.reload.extract_if(.., is_old) {
            let error = ReloadError::NotInForce("the VRRP process has not confirmed it");
            let _ = pending.reply.send(Err(error));
        }
    }

    fn read(&self) -> Result<Plan, String> {
        let config = config::load(&self.options.config).map_err(|error| error.to_string())?;
        Plan::of(&config, &self.options.node, &self.options.state_dir)
            .map_err(|error| error.to_string())
    }

    fn take(&mut self, plan: Plan) -> Reloaded {
        let changes = self.plan.differences(&plan);
        // Until the VRRP process confirms, it may have the old addresses, the new, or both.
        self.record.retiring = self.vips();
        self.eligibilities.plan(plan.checked());
        self.health.reconfigure(&plan.checks);
        self.plan = plan;
        self.metrics.listen(self.plan.metrics);
        self.look_after_units();
        self.set_drained();
        self.save_vips();
        match &self.vrrp {
            Vrrp::Running(_) if self.vrrp.is_attached() => self.configure(),
            // Sent when there is somebody to send it to.
            Vrrp::Running(_) => {}
            Vrrp::Idle | Vrrp::Waiting { .. } if self.plan.routers.is_empty() => {
                self.vrrp = Vrrp::Idle;
                self.host.want(Vec::new(), Others::Remove);
            }
            // The new file may be what the process needs: no use in waiting.
            Vrrp::Idle | Vrrp::Waiting { .. } => self.spawn(),
        }
        Reloaded { changes }
    }

    fn note_reload(&self, reloaded: &Reloaded) {
        self.note(match reloaded.changes.as_slice() {
            [] => Entry::now("reloaded", "the configuration was read again: nothing has changed"),
            changes => Entry::now("reloaded", "the configuration was read again")
                .because(changes.join("; ")),
        });
    }
}
