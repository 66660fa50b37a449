//! The life of one check: wait, probe, judge.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::board::Outlet;
use super::pacing::Pacing;
use super::policy::{Next, Policy};
use super::probe::Prober;
use super::sample::{Outcome, Sample};
use super::status::{CheckStatus, Standing, Verdict};
use crate::config::Check;
use crate::timestamp::Timestamp;

/// What a check is to do.
#[derive(Clone, Debug)]
pub struct Orders {
    pub check: Arc<Check>,
    /// This node holds the addresses that depend on the check.
    pub holder: bool,
    /// How often the daemon has wanted to know at once.
    pub challenges: u64,
}

pub struct Routine {
    prober: Prober,
    judge: Judge,
    incoming: watch::Receiver<Orders>,
}

/// What a check believes, and whom it tells.
struct Judge {
    orders: Orders,
    policy: Policy,
    pacing: Pacing,
    status: CheckStatus,
    told: Option<(Standing, Option<String>)>,
    outlet: Outlet,
}

impl Routine {
    pub fn new(mut incoming: watch::Receiver<Orders>, outlet: Outlet) -> Self {
        let orders = incoming.borrow_and_update().clone();
        let check = &orders.check;
        let now = Instant::now().into_std();
        let judge = Judge {
            policy: Policy::new(check.tolerance),
            pacing: Pacing::new(now, check.interval),
            status: CheckStatus::new(check),
            told: None,
            outlet,
            orders: orders.clone(),
        };
        judge.outlet.show(&judge.status);
        Self { prober: Prober::new(check), judge, incoming }
    }

    /// Goes on until it is dropped.
    pub async fn run(mut self) {
        loop {
            self.rest().await;
            self.examine().await;
        }
    }

    /// Waits until a probe is due.
    async fn rest(&mut self) {
        loop {
            let due = Instant::from_std(self.judge.pacing.due());
            if due <= Instant::now() {
                return;
            }
            tokio::select! {
                biased;
                orders = next(&mut self.incoming) => self.obey(orders),
                () = self.prober.alarm() => self.judge.pacing.alarm(Instant::now().into_std()),
                () = sleep_until(due) => return,
            }
        }
    }

    /// Probes until there is a sample that counts, or the check is another one.
    async fn examine(&mut self) {
        loop {
            let started = Instant::now();
            self.judge.pacing.start(started.into_std());
            let limit = self.judge.orders.check.timeout;
            let (sample, orders) = {
                let mut probe = std::pin::pin!(self.prober.probe(limit));
                loop {
                    tokio::select! {
                        biased;
                        sample = &mut probe => break (Some(sample), None),
                        orders = next(&mut self.incoming) => {
                            if orders.check.probe != self.judge.orders.check.probe {
                                break (None, Some(orders));
                            }
                            self.judge.obey(orders);
                        }
                    }
                }
            };
            if let Some(orders) = orders {
                return self.obey(orders);
            }
            if sample.is_none_or(|sample| self.judge.take(started, &sample) == Next::Wait) {
                return;
            }
        }
    }

    fn obey(&mut self, orders: Orders) {
        if orders.check.probe != self.judge.orders.check.probe {
            self.prober = Prober::new(&orders.check);
        }
        self.judge.obey(orders);
    }
}

/// The next orders; none come any more if whoever gave them is gone.
async fn next(incoming: &mut watch::Receiver<Orders>) -> Orders {
    if incoming.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
    incoming.borrow_and_update().clone()
}

impl Judge {
    fn obey(&mut self, orders: Orders) {
        let now = Instant::now().into_std();
        let old = std::mem::replace(&mut self.orders, orders);
        let check = &self.orders.check;
        if **check != *old.check {
            self.policy.change(check.tolerance);
            self.pacing = Pacing::new(now, check.interval);
            let CheckStatus { kind, target, .. } = CheckStatus::new(check);
            self.status = CheckStatus { kind, target, ..self.status.clone() };
        }
        if self.orders.challenges != old.challenges {
            self.pacing.hurry(now);
            if !self.orders.holder {
                self.policy.challenge(now);
            }
        }
        self.tell(Instant::now());
    }

    fn take(&mut self, started: Instant, sample: &Sample) -> Next {
        let now = Instant::now();
        let passed = sample.outcome == Outcome::Pass;
        let next = self.policy.take(
            started.into_std(),
            now.into_std(),
            sample.clone(),
            self.orders.holder,
        );
        self.status.note(sample, next == Next::Wait);
        if next == Next::Wait {
            self.pacing.end(passed);
        }
        self.tell(now);
        next
    }

    /// Shows the state, and tells the daemon if it matters to it.
    fn tell(&mut self, now: Instant) {
        let std_now = now.into_std();
        let (policy, status) = (&self.policy, &mut self.status);
        let standing = policy.standing();
        let at = Timestamp::now();
        if status.standing != standing {
            status.since = at;
        }
        status.standing = standing;
        status.reason = policy.reason(std_now, self.orders.holder);
        status.warning = policy.warning().map(ToOwned::to_owned);
        status.holder = self.orders.holder;
        status.flaps = policy.flaps(std_now);
        status.held_until = policy.held_until(std_now).map(|until| at.after(until - std_now));
        self.outlet.show(status);
        let news = (standing, status.warning.clone());
        // A check that knows nothing has nothing to tell.
        let was = self.told.clone().unwrap_or_default();
        if news != was {
            self.outlet.tell(Verdict {
                check: status.name.clone(),
                at,
                standing,
                reason: status.reason.clone(),
                warning: status.warning.clone(),
            });
            self.told = Some(news);
        }
    }
}
