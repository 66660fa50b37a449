//! Reading the configuration again.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::actor::{Daemon, Pending, Reloaded};
use super::plan::Plan;
use super::systemd;
use super::vrrp::Vrrp;
use crate::config;
use crate::events::Entry;

/// How long the VRRP process may take to confirm.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

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
    pub(super) fn answer_reload(&mut self, reply: oneshot::Sender<Result<Reloaded, String>>) {
        // Whoever asked may have gone: then nobody needs the answer.
        match self.reload() {
            Ok(outcome) if self.vrrp.is_attached() => {
                let (since, revision) = (Instant::now(), self.revision);
                self.waiting.reload.push(Pending { since, revision, outcome, reply });
            }
            outcome => drop(reply.send(outcome)),
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
            let error = "the configuration is right, but the VRRP process has not confirmed it: \
                         see `mainstay status`";
            let _ = pending.reply.send(Err(error.to_owned()));
        }
    }

    fn read(&self) -> Result<Plan, String> {
        let config = config::load(&self.options.config).map_err(|error| error.to_string())?;
        Plan::of(&config, &self.options.node).map_err(|error| error.to_string())
    }

    fn take(&mut self, plan: Plan) -> Reloaded {
        let changes = self.plan.differences(&plan);
        // Until the VRRP process confirms, it may have the old addresses, the new, or both.
        self.record.retiring = self.vips();
        self.plan = plan;
        self.save_vips();
        match &self.vrrp {
            Vrrp::Running(_) if self.vrrp.is_attached() => self.configure(),
            Vrrp::Idle if !self.plan.routers.is_empty() => self.spawn(),
            // Sent when there is somebody to send it to.
            _ => {}
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
