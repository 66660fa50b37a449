//! The guard: notices that the VRRP process is dead or frozen, removes its addresses, tells the
//! peers, and has it started again.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;
use vrrp::proto::{Event, Reply, Request};

use super::actor::{Daemon, Known};
use super::heartbeat::{self, Verdict};
use super::stop::Stopping;
use super::vrrp::{Stage, Vrrp};
use crate::events::{Entry, list};
use crate::fence::{Fencing, Vips};
use crate::vrrp_process::{End, LinkError};

/// How long a VRRP process may take to say who it is.
const GREETING_PATIENCE: Duration = Duration::from_secs(5);
/// After this long a killed process that does not end is given up: it will not run again.
const KILL_PATIENCE: Duration = Duration::from_secs(1);
/// The watchdog allows this much more than the heartbeat.
const WATCHDOG_MARGIN: Duration = Duration::from_secs(2);
/// The code of the event that tells of a fence.
const FENCED: &str = "fenced";

impl Daemon {
    /// Looks after the VRRP process, four times a second.
    pub(super) async fn on_tick(&mut self, scheduled: Instant) {
        let now = Instant::now();
        self.give_up_waiting(now);
        self.fence_again().await;
        self.tell_eligibilities();
        if let Stopping::Ending { deadline } = self.stopping
            && now >= deadline
        {
            self.kill("it did not stop in time").await;
        }
        let Some(running) = self.vrrp.running() else { return };
        if let Some(killed) = running.killed {
            if now.saturating_duration_since(killed) >= KILL_PATIENCE {
                self.on_death("it was killed and does not end", Vec::new()).await;
            }
            return;
        }
        if running.link.is_none() {
            self.reconnect();
        }
        self.check(scheduled, now).await;
    }

    async fn check(&mut self, scheduled: Instant, now: Instant) {
        let Some(running) = self.vrrp.running() else { return };
        match running.stage {
            Stage::Foreign => {}
            Stage::Greeting => {
                if now.saturating_duration_since(running.since) >= GREETING_PATIENCE {
                    self.kill("it does not say who it is").await;
                }
            }
            Stage::Configuring | Stage::Serving => {
                let mut verdict = running.heartbeat.tick(scheduled, now);
                if let Verdict::Dead(_) = verdict {
                    // Its answers may be waiting for a daemon that was slow.
                    verdict = self.hear_and_judge(scheduled, now).unwrap_or(verdict);
                }
                match verdict {
                    Verdict::Ping(seq) => {
                        self.vrrp.send(&Request::Ping { seq });
                        self.refresh(now);
                    }
                    Verdict::Dead(silent) => {
                        self.kill(&format!("it has not answered for {silent:.1?}")).await;
                    }
                }
            }
        }
    }

    fn hear_and_judge(&mut self, scheduled: Instant, now: Instant) -> Option<Verdict> {
        let said = self.vrrp.running()?.drain();
        said.into_iter().for_each(|reply| self.on_reply(reply));
        Some(self.vrrp.running()?.heartbeat.tick(scheduled, now))
    }

    /// Whether a VRRP process is alive, being replaced or not needed.
    pub(super) fn guards(&mut self) -> bool {
        let now = Instant::now();
        let Vrrp::Running(running) = &self.vrrp else { return true };
        let since = match running.stage {
            _ if running.killed.is_some() => return true,
            Stage::Foreign => return true,
            Stage::Greeting => Some(running.since + GREETING_PATIENCE),
            Stage::Configuring | Stage::Serving => {
                let patience = running.heartbeat.patience() + heartbeat::INTERVAL;
                running.heartbeat.waiting_since().map(|since| since + patience)
            }
        };
        since.is_none_or(|limit| now < limit + WATCHDOG_MARGIN)
    }

    /// The connection is lost. If the process is dying, this is the first we hear of it; if it
    /// lives, the next tick connects anew.
    pub(super) async fn on_link_lost(&mut self, error: &LinkError) {
        let Some(running) = self.vrrp.running() else { return };
        running.link = None;
        if !running.process.is_ending() {
            return tracing::debug!("{error}");
        }
        // Its end follows; in the course of a stop it may be an orderly one.
        running.process.kill();
        running.killed = Some(Instant::now());
        if let Stopping::No | Stopping::Asking(_) | Stopping::Draining(_) = self.stopping {
            // Told once it is known how it ended.
            let fenced = self.fence_at_once().await;
            if let Some(running) = self.vrrp.running() {
                running.fenced = fenced;
            }
        }
    }

    /// Ends a VRRP process that does not work, and takes its addresses at once: even SIGKILL may
    /// take its time.
    async fn kill(&mut self, why: &str) {
        let Some(running) = self.vrrp.running() else { return };
        if running.killed.is_some() {
            return;
        }
        running.process.kill();
        running.killed = Some(Instant::now());
        running.link = None;
        let fenced = self.fence_at_once().await;
        self.note_fenced(fenced, why);
        self.note(Entry::now("vrrp_killed", "killed the VRRP process").because(why));
    }

    /// Fences before the process has quite ended. What is to be told of it.
    async fn fence_at_once(&mut self) -> Vec<Entry> {
        let active = self.active();
        let (_, fenced) = self.fence(&active).await;
        // The peers are told: once it has ended, only an address that is still there counts.
        self.known = Known::default();
        fenced
    }

    /// The VRRP process has ended. What it said last may still wait: whether it was Active, and
    /// whether it has told the peers itself.
    pub(super) async fn on_end(&mut self, end: End) {
        let mut last_events = Vec::new();
        if let Some(running) = self.vrrp.running() {
            running.said_bye |= end.is_orderly();
            for reply in running.drain() {
                match reply {
                    Reply::Bye => running.said_bye = true,
                    Reply::Event(event) => {
                        self.known.take(&event);
                        last_events.push(event);
                    }
                    _ => {}
                }
            }
        }
        self.on_death(&end.to_string(), last_events).await;
    }

    /// The VRRP process is dead: its addresses go first, everything else comes after.
    async fn on_death(&mut self, how: &str, last_events: Vec<Event>) {
        let active = self.active();
        let earlier = self.vrrp.running().map(|it| std::mem::take(&mut it.fenced));
        let (_, now) = self.fence(&active).await;
        let fenced = earlier.into_iter().flatten().chain(now);
        self.note_fenced(fenced, &format!("the VRRP process died: {how}"));
        last_events.into_iter().for_each(|event| self.note(Entry::from(event)));
        self.forget();
        if let Stopping::Draining(_) | Stopping::Ending { .. } = self.stopping {
            self.vrrp = Vrrp::Idle;
            return self.finish();
        }
        if self.plan.routers.is_empty() {
            self.vrrp = Vrrp::Idle;
            return;
        }
        self.retry(how);
        self.observe_holders();
    }

    /// The virtual routers that the peers may believe to be Active here. None after an orderly
    /// end: it has told them itself.
    fn active(&self) -> BTreeSet<String> {
        match &self.vrrp {
            Vrrp::Running(running) if running.said_bye => BTreeSet::new(),
            _ => self.known.active(),
        }
    }

    /// Removes all addresses and tells the peers. What it did, and what is to be told of it.
    async fn fence(&mut self, active: &BTreeSet<String>) -> (Vec<Fencing>, Vec<Entry>) {
        let start = Instant::now();
        let silent = match &self.vrrp {
            Vrrp::Running(running) => running.silence(start),
            // Dead for some time: the peers have decided.
            Vrrp::Idle | Vrrp::Waiting { .. } => Duration::MAX,
        };
        let vips = self.vips();
        let fencings = self.fencer.fence(&vips, active, silent).await;
        self.record.unremoved = vips.incomplete(&fencings);
        let entries = told_of(&fencings, start.elapsed());
        (fencings, entries)
    }

    /// Tries to remove what a fence had to leave behind.
    async fn fence_again(&mut self) {
        if self.record.unremoved.is_empty() {
            return;
        }
        let vips = match &self.vrrp {
            // It removes by itself what it finds of its own addresses, or has them rightly.
            Vrrp::Running(_) => self.record.unremoved.apart_from(&self.plan.routers),
            Vrrp::Idle | Vrrp::Waiting { .. } => self.record.unremoved.clone(),
        };
        let start = Instant::now();
        let fencings = self.fencer.fence(&vips, &BTreeSet::new(), Duration::MAX).await;
        self.record.unremoved = vips.incomplete(&fencings);
        // That it still fails is known; and said by the status.
        let done: Vec<_> = fencings.into_iter().filter(|it| !it.is_incomplete()).collect();
        self.note_fenced(told_of(&done, start.elapsed()), "tried again");
        self.save_vips();
    }

    /// `vip fence`, while this daemon runs.
    pub(super) async fn fence_on_request(&mut self) -> Result<Vec<Fencing>, String> {
        if let Some(running) = self.vrrp.running() {
            return Err(format!(
                "the VRRP process {} is alive and would put the addresses back: stop the daemon \
                 instead (systemctl stop mainstay)",
                running.process.pid()
            ));
        }
        let (fencings, entries) = self.fence(&BTreeSet::new()).await;
        self.note_fenced(entries, "asked for");
        Ok(fencings)
    }

    /// Records what a fence did, and why it was.
    pub(super) fn note_fenced(&self, entries: impl IntoIterator<Item = Entry>, why: &str) {
        for entry in entries {
            self.note(if entry.code == FENCED { entry.because(why) } else { entry });
        }
    }

    /// What a dead VRRP process said counts no more.
    fn forget(&mut self) {
        self.known = Known::default();
        self.record.retiring = Vips::default();
        super::remove(&self.options.runtime_dir.vrrp_pid());
    }
}

/// What is to be told of a fence.
pub(super) fn told_of(fencings: &[Fencing], took: Duration) -> Vec<Entry> {
    let mut entries = Vec::new();
    for fencing in fencings.iter().filter(|fencing| !fencing.is_idle()) {
        let Fencing { router, interface, removed, released, .. } = fencing;
        let told = if *released { ", told the peers (priority 0)" } else { "" };
        let what = match removed.as_slice() {
            [] => format!("no address was left on {interface}{told}"),
            _ => format!("removed {} from {interface} in {took:.1?}{told}", list(removed)),
        };
        entries.push(Entry::now(FENCED, what).of(router));
        let errors = fencing.all_errors();
        entries.extend(errors.map(|error| Entry::now("fence_failed", error.clone()).of(router)));
    }
    entries
}
