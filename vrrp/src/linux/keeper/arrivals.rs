//! Addresses that the kernel has acknowledged and does not use yet.
//!
//! An IPv4 address is in use once it is acknowledged. An IPv6 address, even one without duplicate
//! address detection, is put to use by a work queue of the kernel: a millisecond later, or tens of
//! them on a busy machine. Until then the kernel drops what comes for it, so that the link must
//! not be told earlier.

use super::Keeper;
use crate::Family;
use crate::linux::clock;
use crate::linux::messages::SlotId;
use crate::router::Ticket;
use crate::time::{Duration, Instant};

/// How long the news are waited for: longer than was ever seen, and less than a router waits for
/// its addresses before it asks again.
const PATIENCE: Duration = Duration::from_millis(80);

/// An acknowledged request whose addresses are not all in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arrival {
    ticket: Ticket,
    /// When it counts as done without news.
    pub(super) until: Instant,
}

impl Keeper {
    /// Whether a request that was acknowledged has to wait for its addresses; then
    /// [`Self::arrived`] answers it.
    pub(super) fn waits_for_arrival(&mut self, id: SlotId, ticket: Ticket) -> bool {
        let Some(member) = self.roster.get_mut(id) else {
            return false;
        };
        // A renewed lease changes nothing.
        if member.installed || member.spec.config.family() == Family::Ipv4 {
            return false;
        }
        member.arrival = Some(Arrival { ticket, until: clock::now() + PATIENCE });
        self.roster.rearm(id);
        // All may be there already: that is seen once the news are read that are older.
        self.suspects.insert(id);
        self.expect_news();
        true
    }

    /// The addresses are in use, or have been waited for long enough.
    pub(super) fn arrived(&mut self, id: SlotId) {
        let Some(member) = self.roster.get_mut(id) else {
            return;
        };
        let arrival = member.arrival.take();
        self.roster.rearm(id);
        if let Some(Arrival { ticket, .. }) = arrival {
            self.finish_install(id, ticket);
        }
    }
}
