//! Getting a VRRP process: the one that an earlier daemon left, or a new one.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use rustix::process::{Signal, pidfd_send_signal};
use supervisor::state_file::move_aside;
use tokio::time::{Instant, timeout};
use vrrp::proto::{self, Request};

use super::actor::{Daemon, Record};
use super::guard::told_of;
use super::heartbeat::Heartbeat;
use super::vrrp::{Running, Stage, Vrrp};
use crate::events::Entry;
use crate::fence::{Spoken, Vips};
use crate::host::sysctl::promote_secondaries;
use crate::host::{Others, Wanted};
use crate::vrrp_process::{Greeting, Identity, Link, VrrpProcess, Welcome, greet, watch};

/// How long a VRRP process that is there may take to say who it is.
const PATIENCE: Duration = Duration::from_secs(1);
/// A pause before another start in which the host is as if there were no virtual routers.
const LONG_PAUSE: Duration = Duration::from_secs(1);
/// How long a killed process may take to be gone.
const KILL_PATIENCE: Duration = Duration::from_secs(1);

impl Daemon {
    /// Takes over a VRRP process that lives, or clears up after one that does not and starts one.
    ///
    /// # Errors
    /// If no socket can be had.
    pub(super) async fn attach(&mut self) -> anyhow::Result<()> {
        promote_secondaries(&self.plan.routers);
        let left = self.load_vips();
        self.record.retiring = left;
        let socket = self.options.runtime_dir.vrrp_socket();
        let greeting = greet(&socket, PATIENCE)
            .await
            .with_context(|| format!("cannot connect to {}", socket.display()))?;
        match greeting {
            Greeting::Alive { link, welcome, earlier } => match VrrpProcess::adopt(welcome.pid) {
                Ok(process) => {
                    self.adopt(process, *link, &welcome);
                    earlier.into_iter().for_each(|reply| self.on_reply(reply));
                    return Ok(());
                }
                Err(error) => tracing::warn!("the VRRP process is gone again: {error}"),
            },
            Greeting::Stuck => {
                self.note(Entry::now("vrrp_frozen", "killing a VRRP process that does not answer"));
            }
            Greeting::Absent => {}
        }
        self.kill_leftover().await;
        self.clear_leftover().await;
        if self.plan.routers.is_empty() {
            self.host.want(Vec::new(), Others::Remove);
            tracing::info!("this node has no virtual routers: there is no VIP to look after");
            self.become_ready();
        } else {
            self.spawn();
        }
        Ok(())
    }

    /// Starts a VRRP process; if that fails, tries again later.
    pub(super) fn spawn(&mut self) {
        self.vrrp = Vrrp::Idle;
        self.host.want(Wanted::of(&self.plan.routers), Others::Remove);
        // On disk before the first address is installed: without the record nobody could remove
        // it should both processes die.
        if let Err(error) = self.write_vips() {
            return self.retry(&error);
        }
        let socket = self.options.runtime_dir.vrrp_socket();
        let process = match VrrpProcess::spawn(&socket) {
            Ok(process) => process,
            Err(error) => return self.retry(&format!("it cannot be started: {error}")),
        };
        if let Err(error) = self.write_identity(&process) {
            process.discard();
            return self.retry(&error);
        }
        self.note(Entry::now(
            "vrrp_started",
            format!("the VRRP process is started, as process {}", process.pid()),
        ));
        let heartbeat = Heartbeat::new(self.plan.shortest_interval(), self.plan.shortest_lease());
        let mut running = Running::new(process, None, heartbeat);
        self.eligibilities.start_anew();
        connect(&mut running, &socket);
        self.vrrp = Vrrp::Running(Box::new(running));
    }

    /// Plans another start after a death or a failed start.
    pub(super) fn retry(&mut self, why: &str) {
        let now = Instant::now();
        let started = self.vrrp.running().map_or(now, |running| running.started);
        let pause = self.backoff.after_death(started, now);
        let when = if pause.is_zero() { "now".to_owned() } else { format!("in {pause:?}") };
        let what = format!("starting the VRRP process again {when}");
        self.note(Entry::now("vrrp_retry", what).because(why));
        if pause >= LONG_PAUSE {
            // Without a VRRP process to set them down they might be heard of on the link.
            self.host.want(Vec::new(), Others::Remove);
        }
        self.restarts += 1;
        self.vrrp = Vrrp::Waiting { until: now + pause, why: why.to_owned() };
    }

    /// Makes a lost connection anew.
    pub(super) fn reconnect(&mut self) {
        let socket = self.options.runtime_dir.vrrp_socket();
        if let Some(running) = self.vrrp.running() {
            connect(running, &socket);
        }
    }

    /// The VRRP process has said who it is.
    pub(super) fn on_welcome(&mut self, welcome: &Welcome) {
        self.revision = self.revision.max(welcome.revision.unwrap_or(0));
        let Some(running) = self.vrrp.running() else { return };
        running.build = Some(welcome.build.clone());
        if !welcome.is_compatible() {
            running.enter(Stage::Foreign);
            let what = format!("the VRRP process is of version {}", welcome.build);
            self.note(Entry::now("vrrp_foreign", what).because(
                "it speaks other messages than this daemon; it goes on with its configuration",
            ));
            self.become_ready();
            return;
        }
        self.configure();
    }

    /// Sends the whole configuration; the VRRP process applies what is different.
    pub(super) fn configure(&mut self) {
        self.revision += 1;
        let revision = self.revision;
        promote_secondaries(&self.plan.routers);
        // Until it confirms, the VRRP process may use those of an older configuration.
        self.host.want(Wanted::of(&self.plan.routers), Others::Keep);
        let (interval, lease) = (self.plan.shortest_interval(), self.plan.shortest_lease());
        self.eligibilities.tell_anew();
        let eligibilities = self.eligibilities.due(Instant::now());
        let Some(running) = self.vrrp.running() else { return };
        for spec in &self.plan.routers {
            running.send(&Request::Router(spec.clone()));
        }
        // Before they start, so that none starts as what it is not.
        eligibilities.iter().for_each(|request| running.send(request));
        running.send(&Request::Commit { revision });
        running.heartbeat.set_times(interval, lease);
        running.enter(Stage::Configuring);
    }

    fn adopt(&mut self, process: VrrpProcess, link: Link, welcome: &Welcome) {
        if let Err(error) = self.write_identity(&process) {
            tracing::warn!("{error}");
        }
        self.note(Entry::now(
            "vrrp_adopted",
            format!("taking over the VRRP process {}, version {}", process.pid(), welcome.build),
        ));
        let heartbeat = Heartbeat::new(self.plan.shortest_interval(), self.plan.shortest_lease());
        self.vrrp = Vrrp::Running(Box::new(Running::new(process, Some(link), heartbeat)));
        self.record.spoken = spoken_of(&self.record.retiring);
        self.save_vips();
        // The answer says what its virtual routers were told before this daemon's time.
        self.eligibilities.adopt();
        self.ask_status();
        self.on_welcome(welcome);
    }

    /// Ends a VRRP process that is on record and cannot be talked to.
    async fn kill_leftover(&self) {
        let recorded = Identity::load(&self.options.runtime_dir.vrrp_pid());
        let Some((identity, pidfd)) = recorded.and_then(|id| Some((id, id.open()?))) else {
            return;
        };
        tracing::warn!("killing the VRRP process {}: it cannot be talked to", identity.pid);
        // Fails only if it has ended.
        let _ = pidfd_send_signal(&pidfd, Signal::KILL);
        let Ok(pidfd) = watch(pidfd) else { return };
        if timeout(KILL_PATIENCE, pidfd.readable()).await.is_err() {
            tracing::warn!("the VRRP process {} does not end; going on without", identity.pid);
        }
    }

    /// Removes the addresses that an earlier run left. The peers have long decided.
    async fn clear_leftover(&mut self) {
        let ours = Vips::of(&self.plan.routers, &spoken_of(&self.record.retiring));
        let all = ours.with(&self.record.retiring);
        let start = Instant::now();
        let fencings = self.fencer.fence(&all, &BTreeSet::new(), Duration::MAX).await;
        self.record.unremoved = all.incomplete(&fencings);
        self.note_fenced(told_of(&fencings, start.elapsed()), "left by an earlier run");
        self.record.retiring = Vips::default();
    }

    fn load_vips(&self) -> Vips {
        let path = self.options.runtime_dir.vips();
        Vips::load(&path).unwrap_or_else(|error| {
            let aside = move_aside(&path);
            let what = format!("{} made no sense: {aside}", path.display());
            self.note(Entry::now("state_corrupt", what).because(error.to_string()));
            Vips::default()
        })
    }

    fn write_identity(&self, process: &VrrpProcess) -> Result<(), String> {
        let path = self.options.runtime_dir.vrrp_pid();
        match process.identity() {
            Some(identity) => identity.save(&path).map_err(|error| unwritable(&path, &error)),
            // It has ended, as will be seen.
            None => Ok(()),
        }
    }

    /// Writes what has to be removed should both processes die, if it has changed.
    pub(super) fn save_vips(&mut self) {
        if let Err(error) = self.write_vips() {
            tracing::warn!("{error}");
        }
    }

    fn write_vips(&mut self) -> Result<(), String> {
        let vips = self.vips();
        if vips != self.record.saved {
            let path = self.options.runtime_dir.vips();
            vips.save(&path).map_err(|error| unwritable(&path, &error))?;
            self.record.saved = vips;
        }
        Ok(())
    }

    /// What has to be removed should the VRRP process die.
    pub(super) fn vips(&self) -> Vips {
        let Record { retiring, unremoved, spoken, .. } = &self.record;
        Vips::of(&self.plan.routers, spoken).with(retiring).with(unremoved)
    }
}

fn connect(running: &mut Running, socket: &Path) {
    match Link::connect(socket) {
        Ok(link) => {
            running.link = Some(link);
            running.heartbeat.reset();
            running.enter(Stage::Greeting);
            running.send(&Request::Hello { version: proto::VERSION });
        }
        Err(error) => tracing::debug!("cannot connect to the VRRP process: {error}"),
    }
}

fn unwritable(path: &Path, error: &io::Error) -> String {
    let directory = path.parent().unwrap_or(path);
    format!("cannot write {}: {error}: free space in {}", path.display(), directory.display())
}

fn spoken_of(vips: &Vips) -> BTreeMap<String, Spoken> {
    vips.iter().filter_map(|vip| Some((vip.router.clone(), vip.spoken()?))).collect()
}
