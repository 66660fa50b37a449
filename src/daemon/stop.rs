//! How the daemon ends: with its VRRP process, or without it so that a restart moves nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};
use vrrp::proto::Request;

use super::actor::Daemon;
use super::drain::LINGER;
use super::systemd::Intent;
use super::{remove, systemd};
use crate::events::Entry;

/// How long the VRRP process may take to stop all virtual routers, and the host to be as before.
const PATIENCE: Duration = Duration::from_secs(5);

/// How far the daemon is on its way out.
#[derive(Debug)]
pub enum Stopping {
    /// It is not.
    No,
    /// It has asked systemd which job is under way.
    Asking(JoinHandle<Intent>),
    /// Its virtual routers are drained, so that others take over before they stop.
    Draining(Handover),
    /// The VRRP process was told to stop.
    Ending {
        /// When it has to have stopped.
        deadline: Instant,
    },
    /// The VRRP process runs on, and what it needs stays.
    Left,
    /// The VRRP process has ended and its addresses are gone.
    Done,
}

/// What happens on the way out.
#[derive(Debug)]
pub enum Turn {
    /// systemd has said what it is about to do, or has not.
    Job(Intent),
    /// It is time to see whether there is still something to wait for.
    Look,
}

impl Stopping {
    /// What happens next. Loses nothing when it is cancelled.
    pub async fn next(&mut self) -> Turn {
        match self {
            Self::Asking(question) => Turn::Job(question.await.unwrap_or_default()),
            Self::Draining(handover) => {
                sleep_until(handover.deadline()).await;
                Turn::Look
            }
            Self::No | Self::Ending { .. } | Self::Left | Self::Done => {
                std::future::pending().await
            }
        }
    }
}

/// A stop that waits for its virtual routers' successors.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Handover {
    /// The virtual routers that were Active, and until when each of them is waited for.
    waited: BTreeMap<String, Instant>,
    /// When to look again.
    look_at: Option<Instant>,
}

impl Handover {
    /// Waits for these, each until some time.
    pub fn new(waited: BTreeMap<String, Instant>) -> Self {
        Self { waited, look_at: None }
    }

    /// When something is due; at once before the first look.
    pub fn deadline(&self) -> Instant {
        self.look_at.unwrap_or_else(Instant::now)
    }

    /// Something has happened: looks as soon as nothing else waits.
    fn look(&mut self) {
        self.look_at = None;
    }

    /// Whether there is nothing left to wait for: each virtual router has a successor, or none has
    /// come in time, and no address lingers for its successor's announcement. `active` are those
    /// that are still Active, `left` says when others ceased to be.
    fn is_over(
        &mut self,
        now: Instant,
        active: &BTreeSet<String>,
        left: &BTreeMap<String, Instant>,
    ) -> bool {
        let waited = self.waited.iter().filter(|(name, _)| active.contains(*name));
        let waited = waited.map(|(_, &until)| until);
        let lingering = left.iter().filter(|(name, _)| !active.contains(*name));
        let lingering = lingering.map(|(_, &at)| at + LINGER);
        self.look_at = waited.chain(lingering).filter(|&at| at > now).min();
        self.look_at.is_none()
    }
}

/// What happens to the VRRP process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It runs on: the next daemon takes it over.
    Leave,
    /// It stops and gives up its addresses.
    Stop,
}

impl Decision {
    /// What the job that systemd has for our unit means. Without a word that this is a restart,
    /// the addresses must not be left behind.
    pub fn by_job(job: Option<&str>) -> Self {
        match job {
            Some("restart" | "try-restart") => Self::Leave,
            _ => Self::Stop,
        }
    }
}

impl Daemon {
    /// Somebody wants the daemon to stop. A second time means at once.
    pub(super) fn on_stop(&mut self, ask_systemd: bool) {
        match self.stopping {
            Stopping::No if ask_systemd => {
                systemd::notify(&[NotifyState::Stopping]);
                self.stopping = Stopping::Asking(tokio::spawn(systemd::intent()));
            }
            Stopping::No | Stopping::Asking(_) => {
                systemd::notify(&[NotifyState::Stopping]);
                self.stop_vrrp();
            }
            Stopping::Draining(_) => self.end_vrrp(),
            Stopping::Ending { .. } => {
                self.stopping = Stopping::Ending { deadline: Instant::now() };
            }
            Stopping::Left | Stopping::Done => {}
        }
    }

    /// Goes on with a stop.
    pub(super) fn on_stopping(&mut self, turn: Turn) {
        match turn {
            Turn::Look => self.go_on_stopping(),
            Turn::Job(intent) => match Decision::by_job(intent.job.as_deref()) {
                Decision::Leave => self.leave("systemd restarts the unit"),
                Decision::Stop => {
                    self.machine_stops = intent.machine_stops;
                    self.stop_vrrp();
                }
            },
        }
    }

    /// Exits and leaves the VRRP process and its addresses to the next daemon.
    pub(super) fn leave(&mut self, why: &str) {
        if let Stopping::Draining(_) | Stopping::Ending { .. } = self.stopping {
            return;
        }
        systemd::notify(&[NotifyState::Stopping]);
        self.note(Entry::now("left", "the daemon exits, the VRRP process runs on").because(why));
        self.stopping = Stopping::Left;
    }

    /// Stops all virtual routers. Those that are Active first wait for their successors, and serve
    /// until then.
    fn stop_vrrp(&mut self) {
        self.note(Entry::now("stopping", "stopping all virtual routers"));
        if !self.vrrp.is_attached() {
            return self.end_vrrp();
        }
        let now = Instant::now();
        let active = self.known.active();
        let handing_over = self
            .plan
            .terms
            .iter()
            .filter(|(name, terms)| active.contains(*name) && terms.hands_over());
        let waits: BTreeMap<_, _> =
            handing_over.map(|(name, terms)| (name.clone(), terms.drain_timeout)).collect();
        if let Some(&longest) = waits.values().max() {
            let what = format!("waiting up to {longest:?} for other routers to take over");
            self.note(Entry::now("draining", what).because("mainstay is being stopped"));
            systemd::extend(longest + PATIENCE * 2);
        }
        let waited = waits.into_iter().map(|(name, patience)| (name, now + patience)).collect();
        self.stopping = Stopping::Draining(Handover::new(waited));
        self.set_drained();
        self.tell_eligibilities();
        self.go_on_stopping();
    }

    /// A virtual router has changed its state.
    pub(super) fn look_at_stop(&mut self) {
        if let Stopping::Draining(handover) = &mut self.stopping {
            handover.look();
        }
    }

    /// Ends the VRRP process once a stop need wait no longer.
    pub(super) fn go_on_stopping(&mut self) {
        let Stopping::Draining(handover) = &mut self.stopping else { return };
        let active = self.known.active();
        if !handover.is_over(Instant::now(), &active, &self.known.left_active) {
            return;
        }
        let without = handover.waited.keys().filter(|name| active.contains(*name));
        for name in without.cloned().collect::<Vec<_>>() {
            let what = "no other router has taken over: giving the addresses up with priority 0";
            self.note(Entry::now("drain_refused", what).of(&name).because("drain_timeout is over"));
        }
        self.end_vrrp();
    }

    fn end_vrrp(&mut self) {
        let is_attached = self.vrrp.is_attached();
        match self.vrrp.running() {
            None => self.finish(),
            Some(running) if is_attached => {
                running.send(&Request::Shutdown);
                self.stopping = Stopping::Ending { deadline: Instant::now() + PATIENCE };
            }
            // Nobody to talk to; the fence does the rest.
            Some(_) => self.stopping = Stopping::Ending { deadline: Instant::now() },
        }
    }

    /// The VRRP process has ended and its addresses are gone. If some are not, their record stays
    /// for `mainstay vip fence` and the next daemon.
    pub(super) fn finish(&mut self) {
        let directory = &self.options.runtime_dir;
        for path in [directory.vrrp_socket(), directory.vrrp_pid()] {
            remove(&path);
        }
        if self.record.unremoved.is_empty() {
            remove(&directory.vips());
        }
        self.stopping = Stopping::Done;
    }

    /// Undoes what the virtual routers needed of the host, and says goodbye. What is not undone in
    /// time stays on record too.
    pub(super) async fn tidy_up(&mut self) {
        match timeout(PATIENCE, self.host.clean_up()).await {
            Ok(entries) => entries.into_iter().for_each(|entry| self.note(entry)),
            Err(_) => tracing::warn!("macvlans or sysctls are left: see `mainstay vip fence`"),
        }
        self.note(Entry::now("stopped", "the daemon exits"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_restart_leaves_the_vrrp_process() {
        assert_eq!(Decision::by_job(Some("restart")), Decision::Leave);
        assert_eq!(Decision::by_job(Some("try-restart")), Decision::Leave);
        for job in [Some("stop"), Some("start"), Some("nop"), None] {
            assert_eq!(Decision::by_job(job), Decision::Stop);
        }
    }

    #[test]
    fn a_stop_waits_for_each_successor_as_long_as_the_configuration_says() {
        let start = Instant::now();
        let at = |secs| start + Duration::from_secs(secs);
        let name = |name: &str| name.to_owned();
        let waited = BTreeMap::from([(name("a"), at(5)), (name("b"), at(3))]);
        let mut handover = Handover::new(waited);
        let mut active = BTreeSet::from([name("a"), name("b"), name("owner")]);
        let mut left = BTreeMap::new();
        assert!(!handover.is_over(start, &active, &left));
        assert_eq!(handover.deadline(), at(3));
        assert!(!handover.is_over(at(3), &active, &left));
        assert_eq!(handover.deadline(), at(5));

        active.remove("a");
        left.insert(name("a"), at(4));
        assert!(!handover.is_over(at(4), &active, &left));
        assert_eq!(handover.deadline(), at(4) + LINGER);
        assert!(handover.is_over(at(4) + LINGER, &active, &left));
    }

    #[test]
    fn a_stop_with_nothing_to_hand_over_waits_for_nothing() {
        let start = Instant::now();
        let active = BTreeSet::from(["alone".to_owned()]);
        assert!(Handover::default().is_over(start, &active, &BTreeMap::new()));
        let left = BTreeMap::from([("alone".to_owned(), start)]);
        assert!(Handover::default().is_over(start, &active, &left), "it is Active again");
    }
}
