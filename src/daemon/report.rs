//! The status of the daemon.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::sync::oneshot;
use tokio::time::Instant;
use vrrp::router::State;

use super::actor::Daemon;
use super::vrrp::{OVERDUE, Stage, Vrrp};
use super::{heartbeat, systemd};
use crate::cli;
use crate::events::list;
use crate::status::{ConfigStatus, Status, VirtualRouterStatus, VrrpStatus};
use crate::units::Units;

/// After this long a status is answered from memory: by then a VRRP process that hangs owes the
/// answer to a ping too.
const PATIENCE: Duration = OVERDUE.saturating_add(heartbeat::INTERVAL);
/// No longer text is shown by `systemctl status`.
const MAX_SHOWN: usize = 200;

impl Daemon {
    /// Answers with a fresh status, or from memory if the VRRP process is not there to ask.
    pub(super) fn answer_status(&mut self, reply: oneshot::Sender<Status>) {
        if !self.vrrp.is_attached() {
            // Whoever asked may have gone.
            let _ = reply.send(self.status());
            return;
        }
        self.waiting.status.push((Instant::now(), reply));
        self.ask_status();
    }

    /// Answers all who wait for a status.
    pub(super) fn answer_statuses(&mut self) {
        for (_, reply) in std::mem::take(&mut self.waiting.status) {
            let _ = reply.send(self.status());
        }
    }

    /// Answers those who have waited too long.
    pub(super) fn give_up_waiting(&mut self, now: Instant) {
        let is_old = |since: Instant| now.saturating_duration_since(since) >= PATIENCE;
        if self.waiting.status.iter().any(|&(since, _)| is_old(since)) {
            self.answer_statuses();
        }
        self.give_up_reloads(now);
    }

    /// The status as far as it is known.
    pub(super) fn status(&self) -> Status {
        let process = self.known.process.as_ref();
        let units = self.beneath.units().ok();
        Status {
            version: cli::VERSION.to_owned(),
            node: self.options.node.to_string(),
            role: self.plan.role.to_string(),
            pid: std::process::id(),
            config: ConfigStatus {
                path: self.options.config.clone(),
                error: self.config_error.clone(),
            },
            vrrp: self.vrrp_status(),
            virtual_routers: self.router_statuses(),
            checks: self.health.statuses(),
            units_wanted: units.as_ref().is_some_and(Units::is_wanted),
            units: units.map(|it| it.statuses()).unwrap_or_default(),
            dropped: process.map(|process| process.dropped.clone()).unwrap_or_default(),
            warnings: self.warnings(),
        }
    }

    /// Tells systemd what to show.
    pub(super) fn show(&mut self) {
        let states = self.known.routers.values().map(|it| format!("{} {}", it.name, it.state));
        let mut text = states.collect::<Vec<_>>().join(", ");
        if let Some((end, _)) = text.char_indices().nth(MAX_SHOWN) {
            text.truncate(end);
            text.push_str(" ...");
        }
        if text != self.shown {
            systemd::notify(&[NotifyState::Status(&text)]);
            self.shown = text;
        }
    }

    fn vrrp_status(&self) -> VrrpStatus {
        let restarts = self.restarts;
        let process = self.known.process.as_ref();
        match &self.vrrp {
            Vrrp::Idle => VrrpStatus { restarts, ..VrrpStatus::default() },
            Vrrp::Waiting { why, .. } => {
                let problem = Some(format!("{why}; it is being started again"));
                VrrpStatus { restarts, problem, ..VrrpStatus::default() }
            }
            Vrrp::Running(running) => {
                let overdue = running.overdue(Instant::now());
                VrrpStatus {
                    pid: Some(running.process.pid()),
                    version: running.build.clone(),
                    attached: self.vrrp.is_attached() && overdue.is_none(),
                    restarts,
                    events_lost: process.map_or(0, |process| process.events_lost),
                    timer_lateness: process
                        .map(|process| process.timer_lateness.clone())
                        .unwrap_or_default(),
                    problem: match running.stage {
                        _ if running.killed.is_some() => Some("it is being killed".to_owned()),
                        Stage::Foreign => Some(
                            "it speaks other messages than this daemon, and goes on with the \
                             configuration it has"
                                .to_owned(),
                        ),
                        Stage::Greeting => Some("it has not answered yet".to_owned()),
                        Stage::Configuring | Stage::Serving => overdue.map(|silence| {
                            format!(
                                "it has not answered for {silence:.1?}; what follows is from before"
                            )
                        }),
                    },
                }
            }
        }
    }

    fn router_statuses(&self) -> Vec<VirtualRouterStatus> {
        let vrrp = self.vrrp_status();
        let problem = vrrp.problem.as_deref().unwrap_or("the VRRP process has not reported it yet");
        let status = |spec: &vrrp::proto::RouterSpec| match self.known.routers.get(&spec.name) {
            Some(known) => VirtualRouterStatus::of(spec, known),
            // What a process does that this daemon cannot talk to, nobody knows.
            None if vrrp.pid.is_some() => VirtualRouterStatus::unknown(spec, problem),
            None => VirtualRouterStatus::absent(spec, problem),
        };
        let kept = |status: VirtualRouterStatus| VirtualRouterStatus {
            checks: self.plan.terms.get(&status.name).map_or_else(Vec::new, |it| it.checks.clone()),
            drained: self.draining.mark(&status.name).cloned(),
            ..status
        };
        self.plan.routers.iter().map(status).map(kept).collect()
    }

    fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.plan.routers.is_empty() {
            warnings.push("this node has no virtual routers: there is no VIP to look after".into());
        }
        if self.config_error.is_some() {
            warnings.push(
                "the configuration file was not taken when it was last read; the older one is in \
                 force"
                    .into(),
            );
        }
        for vip in self.record.unremoved.iter() {
            warnings.push(format!(
                "{} may still be on {}: the kernel does not remove it; trying again",
                list(vip.addresses.as_slice()),
                vip.interface
            ));
        }
        if let Some(process) = &self.known.process {
            warnings.extend(process.warnings.iter().cloned());
            if process.events_lost > 0 {
                warnings.push(format!("{} events were lost", process.events_lost));
            }
        }
        if let Vrrp::Running(running) = &self.vrrp
            && running.build.as_deref().is_some_and(|build| build != cli::VERSION)
        {
            warnings.push(format!(
                "the VRRP process is of version {}: it stays until it is stopped",
                running.build.as_deref().unwrap_or_default()
            ));
        }
        warnings.extend(self.health.warning().map(ToOwned::to_owned));
        warnings.extend(self.beneath.warnings());
        warnings.extend(self.host.warnings());
        warnings.extend(self.metrics.warning());
        let unwritten = self.log.problem();
        warnings.extend(unwritten.map(|why| format!("events are not written to disk: {why}")));
        let active =
            self.known.routers.values().filter(|it| it.state == State::Active && !it.installed);
        warnings.extend(active.map(|it| format!("{}: Active without its addresses", it.name)));
        let active = self.known.active().into_iter();
        let drained = active.filter(|name| self.draining.mark(name).is_some());
        warnings
            .extend(drained.map(|name| {
                format!("{name}: drained, and Active until another router takes over")
            }));
        if let Some(problem) = self.draining.problem() {
            warnings.push(format!("a restart may undo what was drained or undrained: {problem}"));
        }
        warnings
    }
}
