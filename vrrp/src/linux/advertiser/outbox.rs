//! Advertisements on their way out of one port: written one behind the other as they come, sent
//! together.

use core::net::IpAddr;
use std::io;

use crate::Family;
use crate::linux::frame::{self, FrameSocket};
use crate::linux::messages::SlotId;
use crate::linux::socket::{AdvertSocket, Outbound, Sent};
use crate::wire::{MAX_LEN, Outgoing};

/// The bytes of the longest packet or frame.
const ROOM: usize = frame::HEADER_LEN + MAX_LEN;
/// Bytes of all that waits: the advertisements of 255 virtual routers with one or two addresses.
const ARENA: usize = 3 * 4096 + ROOM;
/// Packets that wait at most.
const ITEMS: usize = 256;
/// Packets described to a socket at a time.
const BATCH: usize = 64;

/// What waits to be sent on one port.
#[derive(Debug)]
pub(in crate::linux) struct Outbox {
    arena: Box<[u8]>,
    used: usize,
    packets: Vec<Item>,
    frames: Vec<Item>,
    /// Numbers the advertisements, of which each may go to several peers.
    advert: u32,
    /// The last one of which a copy has left.
    left: u32,
}

/// A packet or frame in the arena.
#[derive(Clone, Copy, Debug)]
struct Item {
    start: u16,
    end: u16,
    slot: SlotId,
    advert: u32,
    to: IpAddr,
}

impl Item {
    fn bytes<'a>(&self, arena: &'a [u8]) -> &'a [u8] {
        &arena[usize::from(self.start)..usize::from(self.end)]
    }
}

impl Outbox {
    /// Nothing waits; nothing is allocated later.
    pub(in crate::linux) fn new() -> Self {
        Self {
            // Not zeroes: those would not be in memory before something is written there.
            arena: vec![1; ARENA].into_boxed_slice(),
            used: 0,
            packets: Vec::with_capacity(ITEMS),
            frames: Vec::with_capacity(ITEMS),
            advert: 0,
            left: 0,
        }
    }

    /// Whether one more may find no room.
    pub(super) fn is_full(&self) -> bool {
        self.used + ROOM > ARENA || self.packets.len() == ITEMS || self.frames.len() == ITEMS
    }

    /// Copies that follow are of another advertisement than those before.
    pub(super) fn begin(&mut self) {
        self.advert = self.advert.wrapping_add(1);
    }

    /// Queues a packet for `to`. There must be room.
    pub(super) fn push_packet(
        &mut self,
        slot: SlotId,
        advert: &Outgoing<'_>,
        source: IpAddr,
        to: IpAddr,
    ) {
        if let Some(item) = self.write(slot, advert, (source, to), &[]) {
            self.packets.push(item);
        }
    }

    /// Queues a frame from the virtual router MAC address to the group. There must be room.
    pub(super) fn push_frame(
        &mut self,
        slot: SlotId,
        advert: &Outgoing<'_>,
        source: IpAddr,
        group: IpAddr,
    ) {
        let header = frame::advert_header(Family::of(group), advert.vrid);
        if let Some(item) = self.write(slot, advert, (source, group), &header) {
            self.frames.push(item);
        }
    }

    fn write(
        &mut self,
        slot: SlotId,
        advert: &Outgoing<'_>,
        (source, to): (IpAddr, IpAddr),
        header: &[u8],
    ) -> Option<Item> {
        let start = self.used;
        let (front, rest) = self.arena.get_mut(start..)?.split_at_mut_checked(header.len())?;
        front.copy_from_slice(header);
        let packet = advert.encode(source, to, rest.first_chunk_mut::<MAX_LEN>()?);
        let end = start + header.len() + packet.len();
        self.used = end;
        Some(Item {
            start: u16::try_from(start).ok()?,
            end: u16::try_from(end).ok()?,
            slot,
            advert: self.advert,
            to,
        })
    }

    /// Sends all that waits. `left` hears of each advertisement of which a copy has left. What
    /// cannot leave is forgotten and does not hold up the rest; the first error that tells
    /// something new is returned.
    pub(super) fn send(
        &mut self,
        socket: &AdvertSocket,
        frame_socket: Option<&FrameSocket>,
        mut left: impl FnMut(SlotId),
    ) -> Option<io::Error> {
        let Self { arena, packets, frames, left: last, .. } = self;
        let mut note = |item: &Item| {
            if *last != item.advert {
                *last = item.advert;
                left(item.slot);
            }
        };
        let refused = send_in_batches(packets, &mut note, |batch| {
            let mut packets = [Outbound { packet: &[], to: batch[0].to }; BATCH];
            for (packet, item) in packets.iter_mut().zip(batch) {
                *packet = Outbound { packet: item.bytes(arena), to: item.to };
            }
            socket.send_many(&packets[..batch.len()])
        });
        let refused_frame = frame_socket.and_then(|socket| {
            send_in_batches(frames, &mut note, |batch| {
                let mut frames: [&[u8]; BATCH] = [&[]; BATCH];
                for (frame, item) in frames.iter_mut().zip(batch) {
                    *frame = item.bytes(arena);
                }
                socket.send_many(&frames[..batch.len()])
            })
        });
        self.packets.clear();
        self.frames.clear();
        self.used = 0;
        refused.or(refused_frame)
    }
}

/// Sends `items` in order, whatever becomes of one; `left` hears of each that has left.
fn send_in_batches(
    items: &[Item],
    left: &mut impl FnMut(&Item),
    send: impl Fn(&[Item]) -> Sent,
) -> Option<io::Error> {
    let mut rest = items;
    let mut refused = None;
    while !rest.is_empty() {
        let batch = &rest[..rest.len().min(BATCH)];
        let Sent { count, error } = send(batch);
        batch.iter().take(count).for_each(&mut *left);
        rest = rest.get(count..).unwrap_or_default();
        if let Some(error) = error {
            if is_known(&error) {
                break;
            }
            refused.get_or_insert(error);
            // It may be about this one alone.
            rest = rest.get(1..).unwrap_or_default();
        }
    }
    refused
}

/// Whether the interface is down or gone, of which the keeper tells.
fn is_known(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENETDOWN | libc::ENODEV | libc::ENXIO))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::time::Centis;
    use crate::wire::{Advert, ChecksumForm};
    use crate::{Priority, Vrid};

    fn addresses() -> Vec<IpAddr> {
        vec!["10.0.0.100".parse().unwrap()]
    }

    fn outgoing(vrid: u8, addresses: &[IpAddr]) -> Outgoing<'_> {
        Outgoing {
            vrid: Vrid::new(vrid).unwrap(),
            priority: Priority::new(200),
            interval: Centis::new(1).unwrap(),
            addresses,
            checksum: ChecksumForm::Rfc9568,
        }
    }

    fn ip(last: u8) -> IpAddr {
        [10, 0, 0, last].into()
    }

    fn items(count: u16) -> Vec<Item> {
        let item = |slot| Item { start: 0, end: 0, slot, advert: slot.into(), to: ip(1) };
        (0..count).map(item).collect()
    }

    #[test]
    fn each_packet_is_whole_and_for_its_own_peer() {
        let mut outbox = Outbox::new();
        let ours = addresses();
        for peer in [2, 3] {
            outbox.push_packet(7, &outgoing(51, &ours), ip(1), ip(peer));
        }
        for (item, peer) in outbox.packets.iter().zip([2, 3]) {
            let advert = Advert::decode_ipv4(item.bytes(&outbox.arena)).unwrap();
            assert_eq!((advert.source, advert.destination), (ip(1), ip(peer)));
            assert_eq!((advert.vrid.get(), item.to), (51, ip(peer)));
        }
    }

    /// RFC 9568, 7.3.
    #[test]
    fn a_frame_comes_from_the_virtual_router_mac_address() {
        let mut outbox = Outbox::new();
        let group = crate::wire::group(Family::Ipv4);
        outbox.push_frame(7, &outgoing(51, &addresses()), ip(1), group);
        let frame = outbox.frames[0].bytes(&outbox.arena);
        assert_eq!(frame[6..12], [0, 0, 0x5e, 0, 1, 51]);
        assert!(Advert::decode_ipv4(&frame[14..]).is_ok());
    }

    #[test]
    fn there_is_room_for_255_virtual_routers_and_never_for_more_than_fits() {
        let mut outbox = Outbox::new();
        let ours = addresses();
        for vrid in 1..=255 {
            assert!(!outbox.is_full());
            outbox.push_packet(0, &outgoing(vrid, &ours), ip(1), ip(2));
        }
        let many: Vec<IpAddr> =
            (0..255).map(|last| [0xfd, 0, 0, 0, 0, 0, 0, last].into()).collect();
        let mut outbox = Outbox::new();
        while !outbox.is_full() {
            let before = outbox.packets.len();
            let (source, to) = ("fe80::1".parse().unwrap(), crate::wire::group(Family::Ipv6));
            outbox.push_packet(0, &outgoing(1, &many), source, to);
            assert_eq!(outbox.packets.len(), before + 1);
        }
    }

    #[test]
    fn a_packet_that_is_refused_does_not_hold_up_the_others() {
        let (sent, mut left) = (RefCell::new(Vec::new()), Vec::new());
        let refused = send_in_batches(&items(100), &mut |item| left.push(item.slot), |batch| {
            // As the kernel: stops at the first that cannot leave.
            let leaves = batch.iter().take_while(|item| item.slot % 10 != 3);
            let slots: Vec<SlotId> = leaves.map(|item| item.slot).collect();
            sent.borrow_mut().extend(&slots);
            let error =
                (slots.len() < batch.len()).then(|| io::Error::from_raw_os_error(libc::EPERM));
            Sent { count: slots.len(), error }
        });
        let expected: Vec<SlotId> = (0..100).filter(|slot| slot % 10 != 3).collect();
        assert_eq!((left, sent.into_inner()), (expected.clone(), expected));
        assert_eq!(refused.unwrap().raw_os_error(), Some(libc::EPERM));
    }

    #[test]
    fn an_interface_that_is_down_is_asked_once_and_not_reported() {
        let calls = RefCell::new(0);
        let refused = send_in_batches(&items(100), &mut |_| {}, |_| {
            *calls.borrow_mut() += 1;
            Sent { count: 0, error: Some(io::Error::from_raw_os_error(libc::ENETDOWN)) }
        });
        assert!(refused.is_none());
        assert_eq!(calls.into_inner(), 1);
    }
}
