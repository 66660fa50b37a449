//! The rules of RFC 9568, 6.4, and of what is added to it, on virtual time. Each test names the
//! rule it shows; "H3" and the like are the extensions that the module documentation lists.
#![allow(clippy::unwrap_used)]

mod active;
mod backup;
mod handover;
mod health;
mod initialize;
mod install;
mod interface;
mod lease;
mod others;
mod owner;
mod reconfigure;
mod rival;
mod stall;

use core::net::{IpAddr, Ipv4Addr};

use super::phase::{active_down_interval, skew_time};
use super::*;
use crate::Vrid;
use crate::config::{Addresses, Checksum, Lease, Preempt};

/// A router with a smaller address than ours.
const LOW: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
/// This router.
const OWN: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));
/// A router with a greater address than ours.
const HIGH: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 3));

/// Skew_Time of [`config`]: (256 - 192) / 256 of a second.
const SKEW: Duration = ms(250);
/// Active_Down_Interval of [`config`].
const DOWN: Duration = ms(3250);
/// The local interval of [`config`].
const INTERVAL: Duration = ms(1000);

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const fn us(micros: u64) -> Duration {
    Duration::from_micros(micros)
}

fn prio(priority: u8) -> Priority {
    Priority::new(priority).unwrap()
}

fn centis(centis: u16) -> Centis {
    Centis::new(centis).unwrap()
}

/// Priority 192, 64 when degraded; 1 s; no lease.
fn config() -> RouterConfig {
    RouterConfig {
        vrid: Vrid::new(51).unwrap(),
        priority: prio(192),
        degraded_priority: prio(64),
        on_degraded: OnDegraded::Advertise,
        preempt: Preempt::DegradedOnly,
        interval: centis(100),
        addresses: Addresses::new(vec![[10, 0, 0, 10].into()]).unwrap(),
        lease: None,
        checksum: Checksum::Auto,
        virtual_mac: false,
    }
}

fn always() -> RouterConfig {
    RouterConfig { preempt: Preempt::Always, ..config() }
}

fn never() -> RouterConfig {
    RouterConfig { preempt: Preempt::Never, ..config() }
}

/// An [`Action`] other than a report, shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    /// 0 gives up.
    Advert(u8),
    Install,
    Withdraw,
    Announce,
    Reassert,
    Probe,
}
use Effect::{Advert, Announce, Install, Probe, Reassert, Withdraw};

/// A router with its clock, and what it has said so far.
struct Rig {
    router: Router,
    now: Instant,
    /// The request for the addresses that was made last.
    ticket: Ticket,
    /// The reports since they were last looked at.
    reports: Vec<Report>,
    /// From where the last advertisement was sent.
    sent_from: Option<IpAddr>,
}

impl Rig {
    /// Not started, and without an interface.
    fn new(config: RouterConfig) -> Self {
        Self {
            router: Router::new(config),
            now: Instant::from_nanos(1_000_000_000_000),
            ticket: Ticket::default(),
            reports: Vec::new(),
            sent_from: None,
        }
    }

    /// Just started: in Backup, unless it owns the addresses.
    fn started(config: RouterConfig) -> Self {
        let mut rig = Self::new(config);
        rig.source(Some(OWN));
        rig.start();
        rig.reports.clear();
        rig
    }

    /// Active since now, with the addresses acknowledged and announced.
    fn active(config: RouterConfig) -> Self {
        let mut rig = Self::started(config);
        if rig.state() == State::Backup {
            rig.fire();
        }
        assert_eq!(rig.installed(), [Announce]);
        assert_eq!(rig.state(), State::Active);
        rig.reports.clear();
        rig
    }

    fn state(&self) -> State {
        self.router.state()
    }

    fn active_router(&self) -> Option<IpAddr> {
        self.router.active_router().map(|(source, _)| source)
    }

    /// What is to be done now.
    fn effects(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        while let Some(action) = self.router.poll_action() {
            effects.push(match action {
                Action::SendAdvert { priority, source } => {
                    self.sent_from = Some(source);
                    Advert(priority.map_or(0, Priority::get))
                }
                Action::Install(ticket) => {
                    self.ticket = ticket;
                    Install
                }
                Action::Withdraw => Withdraw,
                Action::Announce(Announcement::Takeover) => Announce,
                Action::Announce(Announcement::Reassert) => Reassert,
                Action::Probe => Probe,
                Action::Report(report) => {
                    self.reports.push(report);
                    continue;
                }
            });
        }
        effects
    }

    /// The reports since the last call.
    fn reports(&mut self) -> Vec<Report> {
        core::mem::take(&mut self.reports)
    }

    /// The cause of the last transition.
    fn cause(&self) -> Cause {
        let causes = self.reports.iter().rev().filter_map(|report| match report {
            Report::Transition { cause, .. } => Some(*cause),
            _ => None,
        });
        causes.into_iter().next().unwrap()
    }

    /// How long until a timer fires.
    fn due_in(&self) -> Duration {
        self.router.poll_timeout().unwrap().saturating_since(self.now)
    }

    /// Time goes by; nothing may be due meanwhile.
    fn wait(&mut self, span: Duration) {
        self.now += span;
        assert!(self.router.poll_timeout().is_none_or(|at| at >= self.now), "a timer was due");
    }

    /// On to the next timer, which fires.
    fn fire(&mut self) -> Vec<Effect> {
        self.now = self.router.poll_timeout().unwrap();
        self.timeout()
    }

    /// Timers fire now, on time or late.
    fn timeout(&mut self) -> Vec<Effect> {
        self.router.handle_timeout(self.now);
        self.effects()
    }

    /// Lets `span` go by with all timers on time; effects and when they came.
    fn run(&mut self, span: Duration) -> Vec<(Duration, Effect)> {
        let start = self.now;
        let mut log = Vec::new();
        while let Some(at) = self.router.poll_timeout().filter(|&at| at <= start + span) {
            let effects = self.fire();
            log.extend(effects.into_iter().map(|effect| (at.saturating_since(start), effect)));
        }
        self.now = start + span;
        log
    }

    fn start(&mut self) -> Vec<Effect> {
        self.router.start(self.now);
        self.effects()
    }

    fn stop(&mut self) -> Vec<Effect> {
        self.router.stop();
        self.effects()
    }

    fn source(&mut self, source: Option<IpAddr>) -> Vec<Effect> {
        self.router.set_source(self.now, source);
        self.effects()
    }

    fn reconfigure(&mut self, mut config: RouterConfig) -> Vec<Effect> {
        self.router.reconfigure(self.now, &mut config);
        self.effects()
    }

    fn becomes(&mut self, eligibility: Eligibility) -> Vec<Effect> {
        self.router.set_eligibility(self.now, eligibility);
        self.effects()
    }

    /// An advertisement at the local interval; priority 0 gives up.
    fn hear(&mut self, source: IpAddr, priority: u8) -> Vec<Effect> {
        self.hear_at(source, priority, self.router.config().interval)
    }

    fn hear_at(&mut self, source: IpAddr, priority: u8, interval: Centis) -> Vec<Effect> {
        let heard = Heard { source, priority: Priority::new(priority), interval };
        self.router.handle_advert(self.now, heard);
        self.effects()
    }

    fn installed(&mut self) -> Vec<Effect> {
        self.router.handle_installed(self.now, self.ticket);
        self.effects()
    }

    fn refused(&mut self) -> Vec<Effect> {
        self.router.handle_install_failed(self.now, self.ticket);
        self.effects()
    }

    fn others_installed(&mut self) -> Vec<Effect> {
        self.router.handle_install_progress(self.now);
        self.effects()
    }

    fn address_lost(&mut self) -> Vec<Effect> {
        self.router.handle_address_lost(self.now);
        self.effects()
    }

    fn successor_announces(&mut self) -> Vec<Effect> {
        self.router.handle_claimed(self.now);
        self.effects()
    }

    /// Another host probes for an address.
    fn probed(&mut self) -> Vec<Effect> {
        self.router.handle_probed(self.now);
        self.effects()
    }

    /// The process stands still for `late` after the next timer was due, then wakes up.
    fn stall(&mut self, late: Duration, overflowed: bool) -> Vec<Effect> {
        self.now = self.router.poll_timeout().unwrap() + late;
        self.router.handle_stall(self.now, late, overflowed);
        self.effects()
    }

    /// What had queued up during a stall has been read.
    fn resumed(&mut self, late: Duration) -> Vec<Effect> {
        self.router.handle_resumed(self.now, late);
        self.effects()
    }
}
