//! The rules of a turn, with the kernel's sockets and a time that the tests choose.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../../tests/linux_support/mod.rs"]
mod linux_support;

use core::net::{IpAddr, Ipv4Addr};
use core::sync::atomic::Ordering::Relaxed;
use std::sync::Arc;

use linux_support::*;

use super::*;
use crate::config::{Addresses, Checksum, OnDegraded, Preempt, RouterConfig, Transport};
use crate::linux::mailbox::mailbox;
use crate::linux::messages::{EFFECTS, Garbage, ORDERS, PortCounters, SlotCounters};
use crate::linux::socket::{AdvertSocket, RecvBuf};
use crate::router::State;
use crate::time::Centis;
use crate::wire::{Advert, DropReason, GROUP_V4};
use crate::{Family, Priority, Vrid};

const MILLISECOND: Duration = Duration::from_millis(1);
const PORT: PortId = 3;

/// An advertising thread that does what the test tells it, on a port with a peer.
struct Bench {
    advertiser: Advertiser,
    orders: Sender<Order>,
    effects: Receiver<Effect>,
    counters: Arc<PortCounters>,
}

impl Bench {
    fn new() -> Self {
        let (orders, orders_in) = mailbox(ORDERS).unwrap();
        let (effects, effects_in) = mailbox(EFFECTS).unwrap();
        let advertiser = Advertiser::new(orders_in, effects, Arc::default()).unwrap();
        let mut bench = Self { advertiser, orders, effects: effects_in, counters: Arc::default() };
        let socket = AdvertSocket::open(index(HERE), Family::Ipv4, 4 << 20).unwrap();
        let port = Port::new(socket, Box::new([None; 256]), Arc::clone(&bench.counters));
        bench.order(clock::now(), Order::AddPort(PORT, Box::new(port)));
        bench
    }

    fn order(&mut self, now: Instant, order: Order) {
        self.orders.push(order).unwrap();
        self.advertiser.take_orders(now).unwrap();
    }

    /// Starts a Backup whose Active_Down_Interval, 3.6 s, is long enough for all that should
    /// arrive within it.
    fn start_backup(&mut self, id: SlotId) {
        self.start(clock::now(), config(id, 100, 100), Transport::Multicast);
    }

    /// Starts an Active at `now`, with an interval of 50 ms.
    fn start_active(&mut self, now: Instant, id: SlotId) {
        self.start(now, config(id, 255, 5), Transport::Multicast);
    }

    fn start(&mut self, now: Instant, config: RouterConfig, transport: Transport) {
        let id = config.vrid.get().into();
        let mut router = Router::new(config);
        router.set_source(now, Some(HERE_IP.into()));
        let counters = Arc::new(SlotCounters::default());
        let slot = Slot::new(router, PORT, transport, counters);
        self.order(now, Order::AddSlot(id, Box::new(slot)));
    }

    fn slot(&self, id: SlotId) -> &Slot {
        self.advertiser.slots[usize::from(id)].as_deref().unwrap()
    }

    fn state(&self, id: SlotId) -> State {
        self.slot(id).router.state()
    }

    fn due(&self, id: SlotId) -> Instant {
        self.slot(id).router.poll_timeout().unwrap()
    }

    fn sent(&self, id: SlotId) -> u64 {
        self.slot(id).counters.sent.load(Relaxed)
    }

    fn dropped(&self, reason: DropReason) -> u64 {
        self.counters.dropped[reason.index()].load(Relaxed)
    }

    fn is_tight(&self) -> bool {
        self.advertiser.ports[usize::from(PORT)].as_deref().unwrap().flood.is_tight()
    }

    fn effects(&mut self) -> Vec<Effect> {
        std::iter::from_fn(|| self.effects.pop()).collect()
    }

    /// Reads all that has come, as a wake-up by the socket does.
    fn hear(&mut self) {
        self.advertiser.wakeups.readable.push(PORT);
        self.advertiser.drain(clock::now(), false);
    }
}

/// The virtual router whose slot and VRID are `id`.
fn config(id: SlotId, priority: u8, interval: u16) -> RouterConfig {
    let last = u8::try_from(id).unwrap();
    RouterConfig {
        vrid: Vrid::new(last).unwrap(),
        priority: Priority::new(priority).unwrap(),
        degraded_priority: Priority::new(10).unwrap(),
        on_degraded: OnDegraded::Advertise,
        preempt: Preempt::Always,
        interval: Centis::new(interval).unwrap(),
        addresses: Addresses::new(vec![Ipv4Addr::new(10, 0, 0, last).into()]).unwrap(),
        lease: None,
        checksum: Checksum::Rfc9568,
        virtual_mac: false,
    }
}

/// Has the peer send packets, which have arrived on return.
fn send(peer: &Peer, packets: Vec<Vec<u8>>) {
    peer.run(move || {
        let socket = AdvertSocket::open(index(THERE), Family::Ipv4, 65536).unwrap();
        packets.iter().for_each(|packet| socket.send(packet, GROUP_V4.into()).unwrap());
    });
}

fn from_peer(vrid: u8, priority: u8) -> Vec<u8> {
    packet(THERE_IP, 255, &[], &advert(vrid, priority))
}

fn past(instant: Instant) {
    wait_until("moment", || clock::now() > instant);
}

/// RFC 9568, 6.4.2: an Active that was heard in time is alive, read or not.
#[test]
fn an_active_down_timer_waits_for_what_arrived_before_it() {
    let Some(peer) = namespaces() else { return };
    let mut bench = Bench::new();
    bench.start_backup(51);
    let due = bench.due(51);
    send(&peer, vec![from_peer(51, 200)]);
    // Nothing told the thread that there is something to read.
    past(due);
    bench.advertiser.fire_others(due);
    assert_eq!(bench.slot(51).counters.received.load(Relaxed), 1);
    assert_eq!(bench.state(51), State::Backup);
    assert!(bench.due(51) > due);
}

#[test]
fn an_active_down_timer_fires_however_much_comes_after_it() {
    let Some(peer) = namespaces() else { return };
    let mut bench = Bench::new();
    bench.start_backup(51);
    past(bench.due(51));
    // More than one turn reads for it.
    send(&peer, vec![from_peer(52, 200); 2000]);
    bench.advertiser.fire_others(clock::now());
    assert_eq!(bench.state(51), State::Active);
    assert_eq!(bench.effects().iter().filter(|e| matches!(e, Effect::Wish(..))).count(), 1);
}

#[test]
fn a_timer_whose_socket_cannot_be_read_in_a_turn_is_put_off_to_the_next() {
    let Some(peer) = namespaces() else { return };
    let mut bench = Bench::new();
    bench.start_backup(51);
    let due = bench.due(51);
    let mut queued = vec![from_peer(52, 200); 300];
    queued.push(from_peer(51, 200));
    send(&peer, queued);
    past(due);
    let mut turns = 0;
    while bench.due(51) == due {
        assert_eq!(bench.advertiser.others.first(), Some((due, 51)));
        bench.advertiser.fire_others(due);
        assert_eq!(bench.state(51), State::Backup);
        turns += 1;
    }
    assert!((2..10).contains(&turns), "{turns}");
    assert!(bench.due(51) > due, "it has heard the Active");
}

/// RFC 9568, 6.4.3: Adver_Timer.
#[test]
fn what_is_due_within_100_us_leaves_together_and_keeps_its_schedule() {
    let Some(_peer) = namespaces() else { return };
    let mut bench = Bench::new();
    let start = clock::now();
    let offsets = [0, 60, 150].map(Duration::from_micros);
    for (id, offset) in (1..).zip(offsets) {
        bench.start_active(start + offset, id);
    }
    bench.advertiser.send_queued();
    let due = bench.due(1);
    bench.advertiser.fire_actives(due);
    bench.advertiser.send_queued();
    assert_eq!([1, 2, 3].map(|id| bench.sent(id)), [2, 2, 1]);
    let interval = Duration::from_millis(50);
    assert_eq!(bench.due(2), start + offsets[1] + interval * 2, "the schedule does not move");
    bench.advertiser.fire_actives(due);
    bench.advertiser.send_queued();
    assert_eq!(bench.sent(1), 2);
}

#[test]
fn advertisements_that_fall_due_while_a_socket_is_read_are_sent_meanwhile() {
    let Some(peer) = namespaces() else { return };
    let mut bench = Bench::new();
    bench.start_active(clock::now(), 1);
    bench.advertiser.send_queued();
    send(&peer, vec![from_peer(52, 200); 1000]);
    past(bench.due(1));
    bench.hear();
    assert_eq!(bench.sent(1), 2);
}

/// The last word of a virtual router is sent before the keeper knows that it is gone, after which
/// the process may exit.
#[test]
fn priority_0_leaves_before_a_removal_is_told() {
    let Some(peer) = namespaces() else { return };
    let mut bench = Bench::new();
    bench.start_active(clock::now(), 7);
    let heard = peer.run(|| AdvertSocket::open(index(THERE), Family::Ipv4, 65536).unwrap());
    bench.order(clock::now(), Order::RemoveSlot(7));
    assert!(matches!(bench.effects().last(), Some(Effect::Removed(7, _))));
    let mut buffer = RecvBuf::new();
    let mut last = None;
    while let Some(datagram) = heard.recv(&mut buffer).unwrap() {
        last = datagram.advert().ok().map(|advert| advert.priority);
    }
    assert_eq!(last, Some(None));
}

/// Where peers are configured: one copy for each, which count as one advertisement; and nobody
/// else is heard.
#[test]
fn unicast_goes_to_each_peer_and_comes_from_peers_alone() {
    let Some(peer) = namespaces() else { return };
    let mut bench = Bench::new();
    let peers: Vec<IpAddr> = vec![THERE_IP.into(), Ipv4Addr::new(10, 0, 0, 77).into()];
    bench.start(clock::now(), config(7, 255, 5), Transport::Unicast { peers, source: None });
    let heard = peer.run(|| AdvertSocket::open(index(THERE), Family::Ipv4, 65536).unwrap());
    past(bench.due(7));
    bench.advertiser.fire_actives(clock::now());
    bench.advertiser.send_queued();
    assert_eq!(bench.sent(7), 2);
    let mut buffer = RecvBuf::new();
    let destination = wait_for("advert", &heard, || {
        let datagram = heard.recv(&mut buffer).unwrap()?;
        datagram.advert().ok().map(|advert: Advert<'_>| advert.destination)
    });
    assert_eq!(destination, IpAddr::from(THERE_IP));

    send(&peer, vec![packet(Ipv4Addr::new(10, 0, 0, 66), 255, &[], &advert(7, 1))]);
    send(&peer, vec![from_peer(7, 1)]);
    bench.hear();
    assert_eq!(bench.dropped(DropReason::UnknownPeer), 1);
    assert_eq!(bench.slot(7).counters.received.load(Relaxed), 1);

    let order = Order::Transport(7, Box::new(Transport::Multicast));
    bench.order(clock::now(), order);
    let given_back = |effect: &Effect| matches!(effect, Effect::Garbage(Garbage::Transport(_)));
    assert!(bench.effects().iter().any(given_back));
    send(&peer, vec![packet(Ipv4Addr::new(10, 0, 0, 66), 255, &[], &advert(7, 1))]);
    bench.hear();
    assert_eq!(bench.slot(7).counters.received.load(Relaxed), 2);
}

/// RFC 9568, 7.1, in a flood: what the filter drops is still counted, and a peer is heard.
#[test]
fn a_flood_tightens_the_filter_until_it_is_over_or_the_virtual_routers_change() {
    let Some(peer) = namespaces() else { return };
    let mut bench = Bench::new();
    bench.start_backup(51);
    let bad = || packet(THERE_IP, 254, &[], &advert(51, 200));
    for _ in 0..4 {
        send(&peer, vec![bad(); 1000]);
        bench.hear();
    }
    assert!(bench.is_tight());
    let before = bench.dropped(DropReason::Ttl);
    assert!(before >= 2000);

    send(&peer, vec![bad(); 20_000]);
    send(&peer, vec![from_peer(51, 200)]);
    bench.hear();
    assert_eq!(bench.slot(51).counters.received.load(Relaxed), 1);
    assert_eq!(bench.dropped(DropReason::Ttl), before);
    let filtered = bench.dropped(DropReason::Filtered);
    assert!(filtered > 0 && filtered.is_multiple_of(1024), "{filtered} of 20,000");

    bench.start_backup(52);
    assert!(!bench.is_tight(), "it does not know the new VRID");
    send(&peer, vec![from_peer(52, 200)]);
    bench.hear();
    assert_eq!(bench.slot(52).counters.received.load(Relaxed), 1);

    for _ in 0..4 {
        send(&peer, vec![bad(); 1000]);
        bench.hear();
    }
    assert!(bench.is_tight());
    for _ in 0..3 {
        let review = bench.advertiser.review_at.unwrap();
        bench.advertiser.review_floods(review - MILLISECOND);
        assert!(bench.is_tight());
        bench.advertiser.review_floods(review);
        if !bench.is_tight() {
            break;
        }
    }
    assert!(!bench.is_tight(), "the flood is over");
    assert_eq!(bench.advertiser.review_at, None);
}
