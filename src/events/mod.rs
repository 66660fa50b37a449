//! What happened: one record per event, and a ring of the last of them.

mod words;

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::timestamp::Timestamp;

/// How many events are kept.
pub const KEPT: usize = 1024;

/// Something that happened, as `events` prints it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Rises by one with each event. A daemon begins with the milliseconds since 1970, so that
    /// its numbers are above those of the daemon before it.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// To which virtual router; absent if to an interface or a process.
    pub router: Option<String>,
    /// What, for programs.
    pub code: String,
    /// What, in words.
    pub what: String,
    /// Why, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The rest, for programs.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub detail: serde_json::Value,
}

/// A record that has no number yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// To which virtual router.
    pub router: Option<String>,
    /// What, for programs.
    pub code: String,
    /// What, in words.
    pub what: String,
    /// Why, in words.
    pub why: Option<String>,
    /// The rest, for programs.
    pub detail: serde_json::Value,
}

impl Entry {
    /// Something that happens to the daemon now.
    pub fn now(code: &str, what: impl Into<String>) -> Self {
        Self {
            at: Timestamp::now(),
            router: None,
            code: code.to_owned(),
            what: what.into(),
            why: None,
            detail: serde_json::Value::Null,
        }
    }

    /// Adds the reason.
    pub fn because(self, why: impl Into<String>) -> Self {
        Self { why: Some(why.into()), ..self }
    }

    /// Adds the virtual router.
    pub fn of(self, router: &str) -> Self {
        Self { router: Some(router.to_owned()), ..self }
    }
}

impl Entry {
    /// Whether an operator may have to act, or something did not work.
    pub fn is_alarming(&self) -> bool {
        matches!(
            self.code.as_str(),
            "vrrp_killed"
                | "vrrp_frozen"
                | "vrrp_retry"
                | "vrrp_foreign"
                | "state_corrupt"
                | "reload_failed"
                | "fence_failed"
                | "host_problem"
                | "install_failed"
                | "withdraw_failed"
                | "announce_failed"
                | "send_failed"
                | "conflict"
                | "address_lost"
                | "interface_down"
                | "rival"
                | "stalled"
        )
    }
}

impl Record {
    /// One line: when, to whom, what and why.
    pub fn line(&self) -> String {
        let Self { at, what, .. } = self;
        let router = self.router.as_deref().unwrap_or("-");
        match &self.why {
            Some(why) => format!("{at}  {router:<12}  {what}: {why}"),
            None => format!("{at}  {router:<12}  {what}"),
        }
    }
}

/// The last events, shared by the daemon, which writes, and the API, which reads.
#[derive(Clone, Debug)]
pub struct Log {
    ring: Arc<Mutex<Ring>>,
    newest: watch::Sender<u64>,
}

#[derive(Debug)]
struct Ring {
    records: VecDeque<Record>,
    newest: u64,
}

impl Log {
    /// An empty log of a daemon that starts at `start`.
    pub fn new(start: Timestamp) -> Self {
        let newest = start.unix_millis();
        let ring = Ring { records: VecDeque::new(), newest };
        Self { ring: Arc::new(Mutex::new(ring)), newest: watch::Sender::new(newest) }
    }

    /// Adds an event and gives it the next number.
    pub fn push(&self, entry: Entry) {
        let newest = {
            let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
            ring.push(entry);
            ring.newest
        };
        self.newest.send_replace(newest);
    }

    /// The kept events with numbers above `seq`, in order.
    pub fn after(&self, seq: u64) -> Vec<Record> {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.records.iter().filter(|record| record.seq > seq).cloned().collect()
    }

    /// Tells the number of the newest event whenever it changes.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }
}

impl Ring {
    fn push(&mut self, entry: Entry) {
        let Entry { at, router, code, what, why, detail } = entry;
        self.newest += 1;
        if self.records.len() == KEPT {
            self.records.pop_front();
        }
        self.records.push_back(Record { seq: self.newest, at, router, code, what, why, detail });
    }
}

/// Addresses as a sentence has them.
pub fn list(addresses: &[IpAddr]) -> String {
    let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    texts.join(", ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_log_keeps_the_newest_and_numbers_all() {
        let log = Log::new(Timestamp::from_unix_nanos(5_000_000));
        for n in 0..KEPT + 10 {
            log.push(Entry::now("test", n.to_string()));
        }
        let kept = log.after(0);
        assert_eq!(kept.len(), KEPT);
        assert_eq!(kept.first().unwrap().seq, 16);
        assert_eq!(kept.last().unwrap().what, (KEPT + 9).to_string());
        assert_eq!(log.after(kept.last().unwrap().seq), []);
        assert_eq!(*log.subscribe().borrow(), kept.last().unwrap().seq);
    }

    #[test]
    fn a_line_says_when_who_what_why() {
        let log = Log::new(Timestamp::now());
        let at = Timestamp::from_unix_nanos(1_700_000_000_123_000_000);
        let entry = Entry::now("transition", "Backup -> Active").of("api").because("silence");
        log.push(Entry { at, ..entry });
        assert_eq!(
            log.after(0).first().unwrap().line(),
            "2023-11-14T22:13:20.123Z  api           Backup -> Active: silence"
        );
    }
}
