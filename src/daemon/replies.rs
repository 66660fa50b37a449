//! What the VRRP process says.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::Instant;
use vrrp::proto::{Event, EventKind, ProcessStatus, Reply, Request};
use vrrp::router::Report;

use super::actor::Daemon;
use super::systemd;
use super::vrrp::Stage;
use crate::events::Entry;
use crate::fence::{Spoken, Vips};
use crate::host::{Others, Wanted};
use crate::vrrp_process::Welcome;

/// How old the remembered status may become. It names who is Active and the source addresses,
/// which the fence needs when there is nobody left to ask.
const REFRESH: Duration = Duration::from_secs(2);

impl Daemon {
    /// Handles one message.
    pub(super) fn on_reply(&mut self, reply: Reply) {
        match reply {
            Reply::Welcome { version, build, pid, revision } => {
                self.on_welcome(&Welcome { version, build, pid, revision });
            }
            Reply::Committed { revision } => self.on_committed(revision),
            Reply::Pong { seq } => {
                if let Some(running) = self.vrrp.running() {
                    running.heartbeat.pong(seq, Instant::now());
                }
            }
            Reply::Router(status) => {
                self.known.incoming.insert(status.name.clone(), status);
            }
            Reply::Status(status) => self.on_status(status),
            Reply::Event(event) => self.on_event(event),
            // Its end follows.
            Reply::Bye => {
                if let Some(running) = self.vrrp.running() {
                    running.said_bye = true;
                }
            }
        }
    }

    /// Asks for a status if the last one has become old.
    pub(super) fn refresh(&mut self, now: Instant) {
        let age = self.known.asked_at.map(|at| now.saturating_duration_since(at));
        if age.is_none_or(|age| age >= REFRESH) {
            // An answer that has not come by now was lost.
            self.known.is_asked = false;
            self.ask_status();
        }
    }

    /// Asks for a status; once more after one that is under way.
    pub(super) fn ask_status(&mut self) {
        if self.known.is_asked {
            self.known.ask_again = true;
            return;
        }
        self.known.is_asked = true;
        self.known.asked_at = Some(Instant::now());
        self.known.incoming.clear();
        self.vrrp.send(&Request::Status);
    }

    /// Tells systemd that the service is up, once.
    pub(super) fn become_ready(&mut self) {
        if !self.is_ready {
            self.is_ready = true;
            systemd::notify(&[NotifyState::Ready]);
        }
    }

    fn on_committed(&mut self, revision: u64) {
        if revision != self.revision {
            return;
        }
        if let Some(running) = self.vrrp.running() {
            running.enter(Stage::Serving);
        }
        // Addresses that are no longer wanted are gone.
        self.record.retiring = Vips::default();
        self.host.want(Wanted::of(&self.plan.routers), Others::Remove);
        self.save_vips();
        self.become_ready();
        self.confirm_reloads(revision);
        // One of another version may not have heeded what came before it.
        self.eligibilities.tell_anew();
        self.tell_eligibilities();
        self.ask_status();
    }

    fn on_status(&mut self, status: ProcessStatus) {
        self.known.routers = std::mem::take(&mut self.known.incoming);
        self.known.process = Some(status);
        self.known.is_asked = false;
        self.on_states();
        for router in self.known.routers.values() {
            if let Some(source) = router.source {
                let spoken = Spoken { source, checksum: router.checksum };
                self.record.spoken.insert(router.name.clone(), spoken);
            }
        }
        self.save_vips();
        self.answer_statuses();
        self.show();
        if std::mem::take(&mut self.known.ask_again) {
            self.ask_status();
        }
    }

    fn on_event(&mut self, event: Event) {
        self.known.take(&event);
        if let EventKind::Router(Report::ActivePriority { to, .. }) = event.kind
            && to.is_degraded()
        {
            // What ails the Active may ail this node: it is known before it takes over.
            self.health.probe_now();
        }
        let matters = matches!(
            event.kind,
            EventKind::Interface { .. }
                | EventKind::Router(Report::Transition { .. } | Report::Installed)
        );
        self.note(Entry::from(event));
        if matters {
            self.observe_holders();
            self.look_at_stop();
            self.ask_status();
        }
    }
}
