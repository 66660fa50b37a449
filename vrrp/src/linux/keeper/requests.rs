//! What the daemon asks for.

use std::collections::BTreeMap;

use rustix::event::epoll;

use super::control::Incoming;
use super::{Keeper, KeeperError, TOKEN_CONNECTION};
use crate::linux::clock;
use crate::linux::messages::{MAX_SLOTS, Order};
use crate::proto::{Reply, Request, VERSION};
use crate::time::{Duration, Instant};
use crate::wire::DropReason;

/// Requests answered in one turn: epoll comes again for the rest.
const REQUESTS_IN_A_TURN: usize = 64;

/// How long a confirmation waits for addresses that cannot be removed.
const SETTLE_TIME: Duration = Duration::from_secs(1);

/// A configuration that is in force and not confirmed.
#[derive(Clone, Copy)]
pub(super) struct Settling {
    revision: u64,
    /// When it is confirmed whatever remains.
    pub(super) until: Instant,
}

impl Keeper {
    pub(super) fn accept(&mut self) -> Result<(), KeeperError> {
        // A connection that is replaced leaves epoll when it is closed.
        if let Some(connection) = self.control.accept() {
            // What the one before did not commit is void.
            self.staged.clear();
            self.settling = None;
            let token = epoll::EventData::new_u64(TOKEN_CONNECTION);
            epoll::add(&self.epoll, connection, token, epoll::EventFlags::IN)?;
        }
        Ok(())
    }

    /// Answers what waits on the connection.
    pub(super) fn serve(&mut self) {
        self.control.flush();
        for _ in 0..REQUESTS_IN_A_TURN {
            match self.control.receive() {
                Incoming::Nothing => return,
                Incoming::Unknown => {}
                Incoming::Request(request) => self.answer(request),
            }
            self.carry_out();
        }
    }

    /// Hands over the events, and asks epoll to say when a congested connection has room.
    pub(super) fn deliver(&mut self) {
        while self.control.has_daemon() && !self.control.congested() {
            let Some(event) = self.journal.pop() else {
                break;
            };
            self.control.send(&Reply::Event(event));
        }
        if let Some(connection) = self.control.connection() {
            let mut flags = epoll::EventFlags::IN;
            flags.set(epoll::EventFlags::OUT, self.control.congested());
            let token = epoll::EventData::new_u64(TOKEN_CONNECTION);
            // Fails only for a connection that is not watched, which there is not.
            let _ = epoll::modify(&self.epoll, connection, token, flags);
        }
    }

    fn answer(&mut self, request: Request) {
        match request {
            Request::Hello { version: _ } => self.control.send(&Reply::Welcome {
                version: VERSION,
                build: self.process.build.clone(),
                pid: self.process.pid,
                revision: self.revision,
            }),
            Request::Router(spec) if self.staged.len() >= usize::from(MAX_SLOTS) => {
                self.refuse(&spec, format!("a configuration has {MAX_SLOTS} of them at most"));
            }
            Request::Router(spec) => self.staged.push(spec),
            Request::Commit { revision } => {
                let specs = std::mem::take(&mut self.staged);
                if self.exit_by.is_none() {
                    self.commit(specs);
                    self.revision = Some(revision);
                }
                self.control.committed = true;
                self.settling = Some(Settling { revision, until: clock::now() + SETTLE_TIME });
            }
            Request::Eligibility { router, eligibility, ttl_ms } => {
                let expires = ttl_ms.map(|ttl| clock::now() + Duration::from_millis(ttl));
                let found = self.members.iter_mut().find(|(_, m)| m.is_current(&router));
                if let Some((&id, member)) = found {
                    member.eligibility = eligibility;
                    member.eligible_until = expires;
                    self.orders.send(Order::Eligibility(id, eligibility));
                }
            }
            Request::Ping { seq } => self.orders.send(Order::Ping(seq)),
            Request::Status => self.send_status(),
            Request::Shutdown => self.shut_down(),
        }
    }

    /// Confirms a configuration once what it no longer wants is gone.
    pub(super) fn confirm(&mut self, now: Instant) {
        if let Some(Settling { revision, until }) = self.settling
            && (self.is_settled() || until <= now)
        {
            self.settling = None;
            self.control.send(&Reply::Committed { revision });
        }
    }

    fn is_settled(&self) -> bool {
        self.leftovers.is_empty()
            && self.members.values().all(|member| !member.leaving && member.obsolete.is_empty())
    }

    fn send_status(&mut self) {
        for member in self.members.values().filter(|member| !member.leaving) {
            let problem = self.ports.get(&member.port).and_then(|port| port.problem.clone());
            self.control.send(&Reply::Router(member.status(problem)));
        }
        let mut status = self.process.clone();
        status.events_lost = self.journal.lost;
        status.dropped = self.ports.values().map(|p| (p.name.clone(), p.dropped())).collect();
        self.control.send(&Reply::Status(status));
    }
}

/// The counters by the reasons' names.
pub(super) fn by_name(count: impl Fn(DropReason) -> u64) -> BTreeMap<String, u64> {
    DropReason::ALL.iter().map(|&reason| (reason.name().to_owned(), count(reason))).collect()
}
