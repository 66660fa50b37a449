//! What runs beneath the virtual IPs, as far as the daemon itself is concerned: it starts after the
//! virtual routers, and whatever becomes of it, they go on.

use std::time::Duration;

use supervisor::run::Event;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::timeout;

use super::actor::Daemon;
use super::systemd;
use crate::events::Entry;
use crate::units::{self, Units, UnitsPlan};

/// How long an exit waits until what is known of units is on disk.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long the units may take when the machine stops.
const STOP: Duration = Duration::from_secs(60);

/// The units, and what happens to them.
#[derive(Debug, Default)]
pub(super) struct Beneath {
    units: Option<Units>,
    news: Option<UnboundedReceiver<Event>>,
    /// Why there are none although the configuration has some.
    problem: Option<String>,
}

impl Beneath {
    /// What happens next. Loses nothing when it is cancelled.
    pub(super) async fn next(&mut self) -> Event {
        match &mut self.news {
            Some(news) => match news.recv().await {
                Some(event) => event,
                // It ends with the units only.
                None => std::future::pending().await,
            },
            None => std::future::pending().await,
        }
    }

    /// The units; in words why there are none.
    pub(super) fn units(&self) -> Result<Units, String> {
        let none = || {
            self.problem.clone().unwrap_or_else(|| {
                "mainstay looks after no units on this node: add a section [supervisor] to the \
                 configuration and `mainstay reload`"
                    .to_owned()
            })
        };
        self.units.clone().ok_or_else(none)
    }

    /// What the operator should know.
    pub(super) fn warnings(&self) -> Vec<String> {
        let units = self.units.as_ref().map(Units::warnings).unwrap_or_default();
        self.problem.iter().cloned().chain(units).collect()
    }
}

impl Daemon {
    /// Takes the units of the configuration in force.
    pub(super) fn look_after_units(&mut self) {
        let wanted = self.plan.units.clone();
        let outcome = match (wanted, &self.beneath.units) {
            (None, _) => {
                // What runs runs on.
                self.beneath = Beneath::default();
                return;
            }
            (Some(plan), Some(units)) => units.reconfigure(&plan),
            (Some(plan), None) => self.start_units(&plan),
        };
        if let Err(problem) = &outcome {
            let what = "the units are not as the configuration says";
            self.note(Entry::now("unit_warning", what).because(problem));
        }
        self.beneath.problem = outcome.err().map(|it| format!("units: {it}"));
    }

    fn start_units(&mut self, plan: &UnitsPlan) -> Result<(), String> {
        let (state_dir, log) = (self.options.state_dir.clone(), self.log.clone());
        let (units, news) = Units::start(plan, state_dir, log, self.orders.clone())?;
        self.beneath = Beneath { units: Some(units), news: Some(news), problem: None };
        Ok(())
    }

    /// Something happened to a unit.
    pub(super) fn on_unit(&mut self, event: &Event) {
        if let Some(entry) = units::entry(event) {
            self.note(entry);
        }
        // Whether that matters to the virtual IPs is for the checks to say, at once.
        self.health.probe_now();
    }

    /// The machine stops, and the virtual IPs are elsewhere: etcd's leadership goes to another
    /// member, and what systemd does not stop itself is stopped.
    pub(super) async fn stop_units(&mut self) {
        let Ok(units) = self.beneath.units() else { return };
        systemd::extend(STOP + PATIENCE * 2);
        self.note(Entry::now("units_stopping", "stopping the units").because("the machine stops"));
        if timeout(STOP, units.shut_down()).await.is_err() {
            tracing::warn!("the units were not stopped in time: the machine stops with them");
        }
        // What happened meanwhile.
        while let Some(Ok(event)) = self.beneath.news.as_mut().map(UnboundedReceiver::try_recv) {
            units::entry(&event).into_iter().for_each(|entry| self.note(entry));
        }
    }

    /// Before the exit: what runs runs on.
    pub(super) async fn leave_units(&mut self) {
        if let Some(units) = &self.beneath.units
            && timeout(PATIENCE, units.leave()).await.is_err()
        {
            tracing::warn!("what is known of units was not written in time");
        }
    }
}
