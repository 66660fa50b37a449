//! The daemon's state and its loop.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use sd_notify::NotifyState;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};
use vrrp::proto::{Event, EventKind, ProcessStatus, RouterStatus};
use vrrp::router::{Cause, Report, State};

use super::backoff::Backoff;
use super::drain::{DrainRequest, Steps, UndrainRequest};
use super::draining::{DrainError, Draining};
use super::eligibility::Eligibilities;
use super::plan::Plan;
use super::reload::ReloadError;
use super::signals::{Asked, Signals};
use super::stop::Stopping;
use super::units::Beneath;
use super::vrrp::{Happening, Vrrp};
use super::{Options, heartbeat, systemd};
use crate::events::{Entry, Log};
use crate::exit::Exit;
use crate::explain::Setup;
use crate::fence::{Fencer, Fencing, Spoken, Vips};
use crate::health::Health;
use crate::host::Host;
use crate::metrics;
use crate::status::Status;
use crate::units::Units;

/// What the API asks for.
#[derive(Debug)]
pub enum Command {
    /// The status.
    Status(oneshot::Sender<Status>),
    /// What the configuration in force says that an explanation needs.
    Setup(oneshot::Sender<Setup>),
    /// Read the configuration again.
    Reload(oneshot::Sender<Result<Reloaded, ReloadError>>),
    /// Remove the addresses; refused while a VRRP process runs.
    Fence(oneshot::Sender<Result<Vec<Fencing>, String>>),
    /// Hand the addresses of virtual routers over.
    Drain(DrainRequest, oneshot::Sender<Result<Steps, DrainError>>),
    /// Let them take part again.
    Undrain(UndrainRequest, oneshot::Sender<Result<Steps, DrainError>>),
    /// What runs beneath the virtual IPs; in words why there is nothing.
    Units(oneshot::Sender<Result<Units, String>>),
}

/// A configuration that was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// What changed, one sentence each; empty if nothing did.
    pub changes: Vec<String>,
}

/// The daemon.
pub struct Daemon {
    pub(super) options: Options,
    /// What this node is to do.
    pub(super) plan: Plan,
    /// The number of the configuration last sent to the VRRP process.
    pub(super) revision: u64,
    /// Why the file could not be taken the last time.
    pub(super) config_error: Option<String>,
    pub(super) vrrp: Vrrp,
    pub(super) backoff: Backoff,
    pub(super) restarts: u64,
    pub(super) fencer: Fencer,
    pub(super) host: Host,
    pub(super) record: Record,
    pub(super) known: Known,
    pub(super) health: Health,
    pub(super) eligibilities: Eligibilities,
    pub(super) draining: Draining,
    pub(super) log: Log,
    pub(super) waiting: Waiting,
    pub(super) stopping: Stopping,
    /// Whether systemd stops the machine.
    pub(super) machine_stops: bool,
    /// Whether systemd was told that we are ready.
    pub(super) is_ready: bool,
    /// What systemd was last told to show.
    pub(super) shown: String,
    pub(super) signals: Signals,
    pub(super) beneath: Beneath,
    commands: mpsc::Receiver<Command>,
    /// To the daemon itself, for what works on other threads.
    pub(super) orders: mpsc::Sender<Command>,
    pub(super) metrics: metrics::Server,
    tick: Interval,
    watchdog: Option<Interval>,
}

/// What has to be removed should the VRRP process die.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// Addresses of an earlier configuration that may still be there.
    pub(super) retiring: Vips,
    /// Addresses that a fence could not remove; each tick tries again.
    pub(super) unremoved: Vips,
    /// What the file says.
    pub(super) saved: Vips,
    /// How each virtual router last advertised.
    pub(super) spoken: BTreeMap<String, Spoken>,
}

/// What the VRRP process said last.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) routers: BTreeMap<String, RouterStatus>,
    pub(super) process: Option<ProcessStatus>,
    /// When virtual routers left Active: their addresses may stay for a moment.
    pub(super) left_active: BTreeMap<String, Instant>,
    /// The part of a status that has come so far.
    pub(super) incoming: BTreeMap<String, RouterStatus>,
    /// Whether a status is under way, and another is wanted after it.
    pub(super) is_asked: bool,
    pub(super) ask_again: bool,
    pub(super) asked_at: Option<Instant>,
}

impl Known {
    /// The virtual routers that were Active.
    pub(super) fn active(&self) -> BTreeSet<String> {
        let active = self.routers.values().filter(|it| it.state == State::Active);
        active.map(|it| it.name.clone()).collect()
    }

    /// A virtual router has changed state.
    pub(super) fn take(&mut self, event: &Event) {
        let EventKind::Router(Report::Transition { from, to, cause }) = event.kind else { return };
        let Some(name) = &event.router else { return };
        if from == State::Active {
            self.left_active.insert(name.clone(), Instant::now());
        }
        if let Some(router) = self.routers.get_mut(name) {
            router.state = to;
            if let Cause::HigherPriority { source, priority } = cause {
                (router.active_router, router.active_priority) = (Some(source), Some(priority));
            }
        }
    }
}

/// Who waits for an answer.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    pub(super) status: Vec<(Instant, oneshot::Sender<Status>)>,
    pub(super) reload: Vec<Pending>,
}

/// A reload that the VRRP process has not confirmed.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) since: Instant,
    pub(super) revision: u64,
    pub(super) outcome: Reloaded,
    pub(super) reply: oneshot::Sender<Result<Reloaded, ReloadError>>,
}

impl Daemon {
    /// Takes over the VRRP process of an earlier daemon, or starts one.
    ///
    /// # Errors
    /// If the process has no descriptor left, or the runtime directory cannot be written.
    pub async fn start(
        options: Options,
        plan: Plan,
        log: Log,
        (orders, commands): (mpsc::Sender<Command>, mpsc::Receiver<Command>),
        metrics: metrics::Server,
    ) -> anyhow::Result<Self> {
        let mut tick = interval(heartbeat::INTERVAL);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let watchdog = sd_notify::watchdog_enabled().map(|limit| {
            let mut watchdog = interval(limit / 2);
            watchdog.set_missed_tick_behavior(MissedTickBehavior::Delay);
            watchdog
        });
        let host = Host::start(options.runtime_dir.host())?;
        let health = Health::start(&plan.checks).context("cannot start the checks")?;
        let mut eligibilities = Eligibilities::default();
        eligibilities.plan(plan.checked());
        let (draining, unreadable) = Draining::load(options.state_dir.join("drained.json"));
        let mut daemon = Self {
            options,
            plan,
            revision: 0,
            config_error: None,
            vrrp: Vrrp::Idle,
            backoff: Backoff::default(),
            restarts: 0,
            fencer: Fencer::open()?,
            host,
            record: Record::default(),
            known: Known::default(),
            health,
            eligibilities,
            draining,
            log,
            waiting: Waiting::default(),
            stopping: Stopping::No,
            machine_stops: false,
            is_ready: false,
            shown: String::new(),
            signals: Signals::new()?,
            beneath: Beneath::default(),
            commands,
            orders,
            metrics,
            tick,
            watchdog,
        };
        unreadable.into_iter().for_each(|entry| daemon.note(entry));
        daemon.set_drained();
        daemon.attach().await?;
        daemon.look_after_units();
        Ok(daemon)
    }

    /// Works until it is told to stop.
    ///
    /// # Errors
    /// None so far: what fails is reported and tried again.
    pub async fn run(mut self) -> anyhow::Result<Exit> {
        loop {
            tokio::select! {
                // In this order: the guard before all else, and a tick is short and rare, so that
                // no flood of messages can keep it away.
                biased;
                scheduled = self.tick.tick() => self.on_tick(scheduled).await,
                happening = self.vrrp.next() => self.on_vrrp(happening).await,
                () = due(&mut self.watchdog) => self.on_watchdog(),
                asked = self.signals.next() => self.on_signal(asked),
                turn = self.stopping.next() => self.on_stopping(turn),
                Some(command) = self.commands.recv() => self.on_command(command).await,
                happening = self.draining.next() => self.on_draining(happening),
                news = self.health.news() => self.on_health(news),
                entry = self.host.news() => self.note(entry),
                event = self.beneath.next() => self.on_unit(&event),
            }
            match self.stopping {
                Stopping::No
                | Stopping::Asking(_)
                | Stopping::Draining(_)
                | Stopping::Ending { .. } => {}
                Stopping::Left => {
                    self.leave_units().await;
                    return Ok(Exit::Ok);
                }
                Stopping::Done => {
                    if self.machine_stops {
                        self.stop_units().await;
                    }
                    self.leave_units().await;
                    self.tidy_up().await;
                    return Ok(Exit::Ok);
                }
            }
        }
    }

    async fn on_vrrp(&mut self, happening: Happening) {
        match happening {
            Happening::Ended(end) => self.on_end(end).await,
            Happening::Says(reply) => self.on_reply(*reply),
            Happening::LinkLost(error) => self.on_link_lost(&error).await,
            Happening::Due => self.spawn(),
        }
    }

    fn on_signal(&mut self, asked: Asked) {
        match asked {
            Asked::Terminate => self.on_stop(systemd::manages_us()),
            Asked::Interrupt => self.on_stop(false),
            Asked::Leave => self.leave("SIGUSR1"),
            Asked::Reload => drop(self.reload()),
        }
    }

    async fn on_command(&mut self, command: Command) {
        match command {
            Command::Status(reply) => self.answer_status(reply),
            // Whoever asked may have gone.
            Command::Setup(reply) => drop(reply.send(self.plan.setup.clone())),
            Command::Reload(reply) => self.answer_reload(reply),
            Command::Fence(reply) => {
                let outcome = self.fence_on_request().await;
                // Whoever asked may have gone.
                let _ = reply.send(outcome);
            }
            Command::Drain(request, reply) => self.on_drain(&request, reply),
            Command::Undrain(request, reply) => self.on_undrain(&request, reply),
            Command::Units(reply) => drop(reply.send(self.beneath.units())),
        }
    }

    /// Keeps systemd's watchdog quiet while this daemon does its work.
    fn on_watchdog(&mut self) {
        if self.guards() {
            systemd::notify(&[NotifyState::Watchdog]);
        } else {
            tracing::error!("the VRRP process is neither alive nor being replaced");
        }
    }

    /// Records an event and logs it.
    pub(super) fn note(&self, entry: Entry) {
        self.log.push(entry);
    }
}

/// Waits for the watchdog's next turn, for ever if there is none.
async fn due(watchdog: &mut Option<Interval>) {
    match watchdog {
        Some(watchdog) => drop(watchdog.tick().await),
        None => std::future::pending().await,
    }
}
