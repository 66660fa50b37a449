//! One daemon in one lab under observation: what every scenario starts from and returns to.

use std::time::Duration;

use serde_json::Value;

use crate::timeline::adverts;
use crate::{
    Apiservers, Checked, Daemon, Event, Families, Family, Kind, Lab, LabError, Launcher, Node,
    Observer, Part, Probe, Stamp, Timeline, sleep_until,
};

/// How long anything may take beyond what the protocol's timers need.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a check that flapped may stay sick.
const HOLD_DOWN: Duration = Duration::from_secs(120);
/// How often is asked what nobody announces.
const POLL: Duration = Duration::from_millis(50);

/// A running lab, its instruments, and the daemon on its routers.
#[derive(Debug)]
pub struct Bench<'a> {
    lab: &'a Lab,
    observer: Observer,
    apiservers: Option<Apiservers>,
    daemon: Daemon,
}

impl<'a> Bench<'a> {
    /// Starts instruments and daemons, before them apiservers if the daemons follow these, and waits
    /// for one Active. Apiservers are the program that LAB_APISERVER_PROGRAM names, with the argument
    /// `serve`, or this very program with the argument `apiserver`.
    ///
    /// # Errors
    /// If something does not start, or no single Active comes of it.
    pub fn start(lab: &'a Lab, daemon: Daemon) -> Result<Self, LabError> {
        let apiservers = match daemon.checked {
            Checked::No => None,
            _ => Some(Apiservers::start(lab, Launcher::chosen(&["apiserver"])?)?),
        };
        let observer = Observer::start_for(lab, family(&daemon))?;
        let bench = Self { lab, observer, apiservers, daemon };
        lab.start_all(&bench.daemon)?;
        bench.healthy()?;
        bench.converge()?;
        Ok(bench)
    }

    /// The apiservers that the daemons follow.
    ///
    /// # Errors
    /// If they follow none.
    pub fn apiservers(&self) -> Result<&Apiservers, LabError> {
        self.apiservers.as_ref().ok_or_else(|| LabError::Invalid("there are no apiservers".into()))
    }

    /// Waits until every router counts its apiserver as healthy. Of keepalived nobody can tell: it is
    /// given the time that its scripts need.
    ///
    /// # Errors
    /// If that does not happen.
    pub fn healthy(&self) -> Result<(), LabError> {
        let rise = match (self.daemon.kind, self.daemon.checked) {
            (_, Checked::No) => return Ok(()),
            (Kind::Mainstay, _) => return self.all_healthy(),
            (_, Checked::Each(interval)) => interval.duration() * 2,
            (_, Checked::Kubeadm) => Duration::from_secs(9),
        };
        sleep_until(Stamp::now() + rise + Duration::from_secs(1));
        Ok(())
    }

    fn all_healthy(&self) -> Result<(), LabError> {
        let deadline = Stamp::now() + HOLD_DOWN;
        for &node in self.lab.nodes() {
            while !self.is_healthy(node) {
                if Stamp::now() >= deadline {
                    return Err(LabError::Deadline(format!("{node} to be healthy")));
                }
                sleep_until(Stamp::now() + POLL);
            }
        }
        Ok(())
    }

    /// Whether `node` counts itself as healthy: then it has its configured priority.
    fn is_healthy(&self, node: Node) -> bool {
        let Ok(said) = self.lab.mainstay(node, &["status", "-o", "json"]) else { return false };
        let status: Value = serde_json::from_str(&said.stdout).unwrap_or_default();
        let routers = status["virtual_routers"].as_array().map_or(&[][..], Vec::as_slice);
        let healthy = |router: &Value| router["effective_priority"] == router["priority"];
        !routers.is_empty() && routers.iter().all(healthy)
    }

    /// The lab.
    pub fn lab(&self) -> &Lab {
        self.lab
    }

    /// The daemon and its configuration.
    pub fn daemon(&self) -> &Daemon {
        &self.daemon
    }

    /// The family that is watched and probed: IPv4 if the daemon has both.
    pub fn family(&self) -> Family {
        family(&self.daemon)
    }

    /// What the instruments see.
    pub fn timeline(&self) -> &Timeline {
        self.observer.timeline()
    }

    /// A moment by which anything that the timers owe must have happened.
    pub fn deadline(&self) -> Stamp {
        Stamp::now() + self.daemon.interval.active_down(1) + PATIENCE
    }

    /// [`Bench::settle`], then forgets the past: the start of a scenario.
    ///
    /// # Errors
    /// As [`Bench::settle`].
    pub fn converge(&self) -> Result<Node, LabError> {
        let active = self.settle()?;
        self.timeline().clear();
        Ok(active)
    }

    /// Waits until exactly one router has the VIP and the last two adverts are its own, both
    /// since now and since the last change of owner. Returns it.
    ///
    /// # Errors
    /// If that does not happen.
    pub fn settle(&self) -> Result<Node, LabError> {
        let from = Stamp::now();
        // A router that just came back needs a moment to take part again.
        sleep_until(from + Duration::from_millis(100));
        let active = self.timeline().wait(self.deadline(), |view| {
            let (&owner, 1) = (view.owners.first()?, view.owners.len()) else { return None };
            let change = |event: &Event| matches!(event, Event::Added(_) | Event::Removed(_));
            let changed = view.events.iter().rev().find(|timed| change(&timed.event));
            let since = changed.map_or(from, |timed| timed.at.max(from));
            let recent: Vec<_> = adverts(&view.events).filter(|&(at, _)| at >= since).collect();
            let alone = |last: &[(Stamp, Node)]| last.iter().all(|&(_, by)| by == owner);
            recent.last_chunk::<2>().is_some_and(|last| alone(last)).then_some(owner)
        });
        active.ok_or_else(|| {
            let owners: Vec<_> = self.timeline().owners().iter().map(Node::to_string).collect();
            LabError::Deadline(format!("one Active alone; the VIP is on [{}]", owners.join(", ")))
        })
    }

    /// The best of the other routers: who takes over from `active`.
    ///
    /// # Errors
    /// If there is no other.
    pub fn heir(&self, active: Node) -> Result<Node, LabError> {
        let others = self.lab.nodes().iter().copied().filter(|&node| node != active);
        let best = others.max_by_key(|&node| self.daemon.priority(node));
        best.ok_or_else(|| LabError::Invalid("the lab has only one router".into()))
    }

    /// Starts a probe and waits until `active` answers it.
    ///
    /// # Errors
    /// If it does not.
    pub fn probe(&self, period: Duration, active: Node) -> Result<Probe, LabError> {
        let bound = 2 * (self.daemon.interval.active_down(1) + PATIENCE) + Duration::from_secs(120);
        self.probe_for(period, active, bound)
    }

    /// [`Bench::probe`], for `bound` at most.
    ///
    /// # Errors
    /// As [`Bench::probe`].
    pub fn probe_for(
        &self,
        period: Duration,
        active: Node,
        bound: Duration,
    ) -> Result<Probe, LabError> {
        let probe = Probe::start_for(self.lab, family(&self.daemon), period, bound)?;
        let served = probe.wait_served(self.deadline(), |node| node == active);
        served
            .map(|_| probe)
            .ok_or_else(|| LabError::Deadline(format!("{active} to answer the client")))
    }

    /// Waits for the next advert and then for a part of an interval that differs from run to run,
    /// so that failures meet all phases of the schedule.
    ///
    /// # Errors
    /// If no advert comes.
    pub fn random_phase(&self, run: u32) -> Result<(), LabError> {
        let from = Stamp::now();
        let advert = self.wait(self.deadline(), "an advert", |view| {
            adverts(&view.events).map(|(at, _)| at).find(|&at| at >= from)
        })?;
        // Multiples of the golden ratio spread evenly.
        let phase = (f64::from(run) * 0.618_033_988_75).fract();
        sleep_until(advert + self.daemon.interval.duration().mul_f64(phase));
        Ok(())
    }

    /// [`Timeline::wait`] with an error that says `what` did not come.
    ///
    /// # Errors
    /// If it does not come.
    pub fn wait<T>(
        &self,
        deadline: Stamp,
        what: &str,
        found: impl FnMut(&crate::timeline::View) -> Option<T>,
    ) -> Result<T, LabError> {
        self.timeline().wait(deadline, found).ok_or_else(|| LabError::Deadline(what.to_owned()))
    }

    /// Starts the daemon again where it does not run, after SIGKILL or a stop.
    ///
    /// # Errors
    /// If it does not start.
    pub fn restart_dead(&self) -> Result<(), LabError> {
        for &node in self.lab.nodes() {
            let mut pids = self.lab.pids(node)?;
            if pids.parent.is_some() {
                continue;
            }
            // keepalived's child follows its parent; a new one beside it would not start.
            let end = Stamp::now() + PATIENCE;
            while self.daemon.kind == Kind::Keepalived && pids.child.is_some() && Stamp::now() < end
            {
                sleep_until(Stamp::now() + Duration::from_millis(5));
                pids = self.lab.pids(node)?;
            }
            self.lab.start(&[node], &self.daemon)?;
        }
        Ok(())
    }

    /// Makes the lab whole after a scenario, whether it went well or not.
    ///
    /// # Errors
    /// If it does not become whole.
    pub fn recover(&self) -> Result<(), LabError> {
        self.lab.heal()?;
        for &node in self.lab.nodes() {
            // Nothing to thaw is no failure.
            let _ = self.lab.thaw(node, Part::Both);
        }
        if let Some(servers) = &self.apiservers {
            servers.restore()?;
            self.forgive()?;
        }
        self.restart_dead()?;
        if self.healthy().is_ok() && self.converge().is_ok() {
            return Ok(());
        }
        for &node in self.lab.nodes() {
            let _ = self.lab.kill(node, Part::Both);
        }
        self.restart_dead()?;
        self.healthy()?;
        self.converge().map(drop)
    }

    /// mainstay keeps an apiserver that fell back for longer with each fall, minutes in the end. A
    /// daemon that starts anew knows nothing of that, and moves nothing.
    fn forgive(&self) -> Result<(), LabError> {
        if self.daemon.kind == Kind::Mainstay {
            for &node in self.lab.nodes() {
                // One that is dead already is started anyway.
                let _ = self.lab.kill(node, Part::Parent);
            }
        }
        Ok(())
    }

    /// Stops the daemons.
    ///
    /// # Errors
    /// If one had to be killed.
    pub fn stop(self) -> Result<(), LabError> {
        self.lab.stop_all()
    }
}

fn family(daemon: &Daemon) -> Family {
    match daemon.families {
        Families::Ipv4 | Families::Both => Family::Ipv4,
        Families::Ipv6 => Family::Ipv6,
    }
}
