//! All checks, on a thread of their own.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::sleep;

use super::board::Outlet;
use super::routine::{Orders, Routine};
use super::status::{Standing, Verdict};
use crate::config::Check;
use crate::timestamp::Timestamp;

/// A check that crashed starts anew after that.
const AFTER_CRASH: Duration = Duration::from_secs(1);

/// What the daemon wants.
#[derive(Debug)]
pub enum Command {
    Reconfigure(Vec<Check>),
    ProbeNow,
    SetHolder(BTreeSet<String>),
}

/// The checks that run.
pub struct Ward {
    outlet: Outlet,
    beds: BTreeMap<String, Bed>,
    routines: JoinSet<()>,
    names: HashMap<Id, String>,
    /// Those that are judged with the tolerance of the holder. `None` until the daemon knows: all
    /// are, for what the holder is told must not depend on who is faster after a restart.
    holder: Option<BTreeSet<String>>,
}

struct Bed {
    orders: watch::Sender<Orders>,
    routine: AbortHandle,
}

impl Ward {
    pub fn new(outlet: Outlet) -> Self {
        Self {
            outlet,
            beds: BTreeMap::new(),
            routines: JoinSet::new(),
            names: HashMap::new(),
            holder: None,
        }
    }

    /// Works until the daemon is gone.
    pub async fn run(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        loop {
            tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => self.obey(command),
                    None => return,
                },
                Some(Err(end)) = self.routines.join_next() => self.on_end(&end),
            }
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Reconfigure(checks) => self.reconfigure(checks),
            Command::ProbeNow => self.order(|_, orders| {
                orders.challenges += 1;
                true
            }),
            Command::SetHolder(holder) => {
                self.holder = Some(holder);
                self.order(|name, orders| {
                    let is_holder = self.is_holder(name);
                    std::mem::replace(&mut orders.holder, is_holder) != is_holder
                });
            }
        }
    }

    fn is_holder(&self, check: &str) -> bool {
        self.holder.as_ref().is_none_or(|holder| holder.contains(check))
    }

    /// Changes the orders of all; `change` says whether there is anything new.
    fn order(&self, change: impl Fn(&str, &mut Orders) -> bool) {
        for (name, bed) in &self.beds {
            bed.orders.send_if_modified(|orders| change(name, orders));
        }
    }

    fn reconfigure(&mut self, checks: Vec<Check>) {
        let wanted: BTreeSet<&str> = checks.iter().map(|check| check.name.as_str()).collect();
        self.beds.retain(|name, bed| {
            let stays = wanted.contains(name.as_str());
            if !stays {
                bed.routine.abort();
                self.outlet.board.remove(name);
            }
            stays
        });
        for check in checks {
            match self.beds.get(&check.name) {
                Some(bed) => {
                    bed.orders.send_if_modified(|orders| {
                        let is_new = *orders.check != check;
                        orders.check = Arc::new(check);
                        is_new
                    });
                }
                None => {
                    let holder = self.is_holder(&check.name);
                    let check = Arc::new(check);
                    self.admit(Orders { check, holder, challenges: 0 }, Duration::ZERO);
                }
            }
        }
    }

    fn admit(&mut self, orders: Orders, after: Duration) {
        let name = orders.check.name.clone();
        let (orders, incoming) = watch::channel(orders);
        let outlet = self.outlet.clone();
        let routine = self.routines.spawn(async move {
            sleep(after).await;
            Routine::new(incoming, outlet).run().await;
        });
        self.names.insert(routine.id(), name.clone());
        self.beds.insert(name, Bed { orders, routine });
    }

    /// A routine was taken away, or crashed: then nothing is known until it has started anew.
    fn on_end(&mut self, end: &JoinError) {
        let Some(name) = self.names.remove(&end.id()).filter(|_| end.is_panic()) else { return };
        let Some(bed) = self.beds.remove(&name).filter(|bed| bed.routine.id() == end.id()) else {
            return;
        };
        let reason = "the check crashed, and starts anew; please report it".to_owned();
        let (at, standing) = (Timestamp::now(), Standing::Unknown);
        self.outlet.tell(Verdict { check: name, at, standing, reason, warning: None });
        let orders = bed.orders.borrow().clone();
        self.admit(orders, AFTER_CRASH);
    }
}
