//! What the advertising thread and the keeper say to each other.
//!
//! Whatever is on the heap is made and freed by the keeper and only moves through here.

use core::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use super::advertiser::{Flood, Outbox};
use super::clock;
use super::frame::FrameSocket;
use super::receive::RecvBuf;
use super::socket::AdvertSocket;
use crate::Priority;
use crate::config::{RouterConfig, Transport};
use crate::conflict::{ConflictKind, Kinds, Sighting, Watch};
use crate::router::{Announcement, Eligibility, Report, Router, State, Ticket};
use crate::time::{Duration, Instant};
use crate::wire::{ChecksumForm, DropReason};

/// Names one virtual router between the two threads.
pub(super) type SlotId = u16;
/// Names one interface and family between the two threads.
pub(super) type PortId = u16;

/// How many virtual routers one process can run.
pub(super) const MAX_SLOTS: u16 = 8192;
/// How many ports it can use: 256 interfaces, each in both families.
pub(super) const MAX_PORTS: u16 = 512;

/// One interface's socket for one family and who listens on it.
#[derive(Debug)]
pub(super) struct Port {
    pub(super) socket: AdvertSocket,
    /// For advertisements from virtual router MAC addresses.
    pub(super) frames: Option<FrameSocket>,
    pub(super) receive: RecvBuf,
    /// The virtual router of each VRID.
    pub(super) slots: Box<[Option<SlotId>; 256]>,
    pub(super) counters: Arc<PortCounters>,
    /// When a discarded packet was last reported, by reason, and how many were since.
    pub(super) dropped: [DropNote; DropReason::ALL.len()],
    /// How many packets the socket had lost for want of room when that was last looked at.
    pub(super) overflowed: u32,
    pub(super) flood: Flood,
    pub(super) outbox: Outbox,
    /// Whether the outbox is known to hold something.
    pub(super) queued: bool,
    /// When an advertisement last could not be sent.
    pub(super) send_failed_at: Option<Instant>,
}

impl Port {
    /// A port whose socket is open, with the virtual routers that are on it already.
    pub(super) fn new(
        socket: AdvertSocket,
        slots: Box<[Option<SlotId>; 256]>,
        counters: Arc<PortCounters>,
    ) -> Self {
        Self {
            socket,
            frames: None,
            receive: RecvBuf::new(),
            slots,
            counters,
            dropped: [DropNote::default(); DropReason::ALL.len()],
            overflowed: 0,
            flood: Flood::new(clock::now()),
            outbox: Outbox::new(),
            queued: false,
            send_failed_at: None,
        }
    }

    /// Opens the socket's filter again: each packet is judged and counted by itself.
    pub(super) fn relax(&mut self, now: Instant) {
        // Only an invalid socket cannot.
        if self.socket.relax().is_ok() {
            self.flood.relaxed(now);
        }
    }

    /// Takes what was lost so far as known.
    pub(super) fn note_overflow(&mut self) {
        self.overflowed = self.socket.drops().unwrap_or(self.overflowed);
    }

    /// Whether packets were lost since that was last looked at.
    pub(super) fn has_overflowed(&self) -> bool {
        self.socket.drops().is_ok_and(|drops| drops != self.overflowed)
    }
}

/// Discarded packets of one reason that are not reported yet.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct DropNote {
    pub(super) reported_at: Option<Instant>,
    pub(super) unreported: u32,
}

/// Counters of one port, read by the keeper at any time.
#[derive(Debug, Default)]
pub(super) struct PortCounters {
    pub(super) dropped: [AtomicU64; DropReason::ALL.len()],
}

/// Counters of one virtual router, read by the keeper at any time.
#[derive(Debug, Default)]
pub(super) struct SlotCounters {
    pub(super) sent: AtomicU64,
    pub(super) received: AtomicU64,
    /// Packets that showed a conflict, by kind. Of claims by ARP and NA the keeper keeps count.
    pub(super) conflicts: [AtomicU64; ConflictKind::ALL.len()],
}

impl SlotCounters {
    /// Counts a packet.
    pub(super) fn count(&self, kinds: Kinds) {
        for kind in kinds.iter() {
            self.conflicts[kind.index()].fetch_add(1, Relaxed);
        }
    }
}

/// One virtual router in the advertising thread.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) router: Router,
    pub(super) port: PortId,
    pub(super) transport: Transport,
    pub(super) counters: Arc<SlotCounters>,
    /// What was last told to the keeper; `None` if it could not be told.
    pub(super) view: Option<View>,
    /// The checksum form of the last peer heard.
    pub(super) peer_checksum: Option<ChecksumForm>,
    /// What the advertisements of others show.
    pub(super) watch: Watch,
    /// Effects that found the queue full.
    pub(super) held: Held,
}

impl Slot {
    /// A virtual router that is not started. Where its source is known already, `router` knows it.
    pub(super) fn new(
        router: Router,
        port: PortId,
        transport: Transport,
        counters: Arc<SlotCounters>,
    ) -> Self {
        Self {
            router,
            port,
            transport,
            counters,
            view: None,
            peer_checksum: None,
            watch: Watch::new(),
            held: Held::default(),
        }
    }

    pub(super) fn is_active(&self) -> bool {
        self.router.state() == State::Active
    }

    /// The state as the keeper should know it.
    pub(super) fn view_now(&self) -> View {
        let router = &self.router;
        View {
            state: router.state(),
            effective_priority: router.effective_priority(),
            source: router.source(),
            active: router.active_router(),
            checksum: router.config().checksum.form(self.peer_checksum),
        }
    }
}

/// The newest wish of each kind that still has to reach the keeper.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Held {
    pub(super) wish: Option<Wish>,
    pub(super) announce: Option<Announcement>,
}

/// What should happen to the addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Install(Ticket),
    Withdraw,
}

/// What the keeper knows of a virtual router's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct View {
    pub(super) state: State,
    pub(super) effective_priority: Option<Priority>,
    pub(super) source: Option<IpAddr>,
    /// The Active and its priority.
    pub(super) active: Option<(IpAddr, Option<Priority>)>,
    pub(super) checksum: ChecksumForm,
}

/// From the keeper to the advertising thread.
#[derive(Debug)]
pub(super) enum Order {
    AddPort(PortId, Box<Port>),
    RemovePort(PortId),
    /// What a port needs to send from virtual router MAC addresses.
    Frames(PortId, FrameSocket),
    AddSlot(SlotId, Box<Slot>),
    RemoveSlot(SlotId),
    Reconfigure(SlotId, Box<RouterConfig>),
    /// How its advertisements travel from now on.
    Transport(SlotId, Box<Transport>),
    /// The address that a virtual router's advertisements come from; `None` while it has none.
    Source(SlotId, Option<IpAddr>),
    Eligibility(SlotId, Eligibility),
    Installed(SlotId, Ticket),
    InstallFailed(SlotId, Ticket),
    /// Addresses of some virtual routers were installed; others wait for their turn.
    InstallProgress,
    AddressLost(SlotId),
    SuccessorAnnounced(SlotId),
    Probed(SlotId),
    Ping(u64),
}

/// From the advertising thread to the keeper.
#[derive(Debug)]
pub(super) enum Effect {
    Wish(SlotId, Wish),
    Announce(SlotId, Announcement),
    Probe(SlotId),
    Report(SlotId, Instant, Report),
    View(SlotId, View),
    Dropped(PortId, Instant, DropReason, u32, Option<IpAddr>),
    Conflict(SlotId, Instant, Sighting),
    SendFailed(PortId, Instant, i32),
    Pong(u64),
    /// The virtual router is stopped; what it still wished was said before.
    Removed(SlotId, Box<Slot>),
    /// No longer used.
    Garbage(Garbage),
}

/// Given back to be freed.
#[derive(Debug)]
pub(super) enum Garbage {
    #[allow(dead_code, reason = "only moved, to be dropped")]
    Port(Box<Port>),
    #[allow(dead_code, reason = "only moved, to be dropped")]
    Frames(FrameSocket),
    #[allow(dead_code, reason = "only moved, to be dropped")]
    Config(Box<RouterConfig>),
    #[allow(dead_code, reason = "only moved, to be dropped")]
    Transport(Box<Transport>),
}

/// The least time between two reports of discarded packets for one reason.
pub(super) const DROP_REPORT_INTERVAL: Duration = Duration::from_secs(60);

/// Room for orders under way.
pub(super) const ORDERS: usize = 512;
/// Room for effects under way. All virtual routers may move in one turn, while the keeper is not
/// scheduled, and each of them has four or so to tell: a report that is lost is missing in the events.
pub(super) const EFFECTS: usize = 16 * 1024;
/// The part of it that is kept for what is given back: the keeper never has more orders out than
/// this before it looks at the effects, so that giving back never fails.
pub(super) const EFFECTS_RESERVED: usize = 2 * ORDERS + 2;
/// And what is left above that for wishes: what may be lost leaves it free.
pub(super) const EFFECTS_FOR_WISHES: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_virtual_routers_may_tell_four_things_each_at_once() {
        const { assert!(EFFECTS - EFFECTS_RESERVED - EFFECTS_FOR_WISHES >= 4 * 4 * 255) };
        // The memory is locked.
        assert!(EFFECTS * size_of::<Effect>() <= 2 << 20, "{}", size_of::<Effect>());
    }
}
