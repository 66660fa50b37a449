//! What the daemon asks for.

use rustix::event::epoll;

use super::control::Incoming;
use super::{Keeper, KeeperError, TOKEN_CONNECTION};
use crate::linux::clock;
use crate::linux::messages::{MAX_SLOTS, Order, SlotId};
use crate::proto::{Reply, Request, VERSION};
use crate::router::Eligibility;
use crate::time::{Duration, Instant};

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
            self.staged_verdicts.clear();
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
                let verdicts = std::mem::take(&mut self.staged_verdicts);
                if self.exit_by.is_none() {
                    self.commit(specs, &verdicts);
                    self.revision = Some(revision);
                }
                self.control.committed = true;
                self.settling = Some(Settling { revision, until: clock::now() + SETTLE_TIME });
            }
            Request::Eligibility { router, eligibility, ttl_ms } => {
                let expires = ttl_ms.map(|ttl| clock::now() + Duration::from_millis(ttl));
                if let Some(id) = self.roster.named(&router) {
                    self.set_eligibility(id, eligibility, expires);
                }
                if !self.staged.is_empty() && self.staged_verdicts.len() < usize::from(MAX_SLOTS) {
                    self.staged_verdicts.insert(router, (eligibility, expires));
                }
            }
            Request::Ping { seq } => self.orders.send(Order::Ping(seq)),
            Request::Status => self.send_status(),
            Request::Shutdown => self.shut_down(),
        }
    }

    pub(super) fn set_eligibility(
        &mut self,
        id: SlotId,
        eligibility: Eligibility,
        expires: Option<Instant>,
    ) {
        if let Some(member) = self.roster.get_mut(id) {
            member.eligibility = eligibility;
            member.eligible_until = expires;
            self.roster.rearm(id);
            self.orders.send(Order::Eligibility(id, eligibility));
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
            && self.roster.iter().all(|(_, member)| !member.leaving && member.obsolete.is_empty())
    }

    fn send_status(&mut self) {
        let now = clock::now();
        for (_, member) in self.roster.current() {
            self.control.send(&Reply::Router(member.status(now)));
        }
        let mut status = self.process.clone();
        status.events_lost = self.journal.lost;
        status.dropped = self.ports.dropped();
        status.timer_lateness = self.lateness.snapshot();
        self.control.send(&Reply::Status(status));
    }
}
