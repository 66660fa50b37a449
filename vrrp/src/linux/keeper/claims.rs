//! What other hosts say about our addresses by ARP.

use super::Keeper;
use crate::linux::clock;
use crate::linux::messages::{Order, PortId, SlotId};
use crate::linux::neighbour::{Claim, Heard};

/// Packets read in one turn: epoll comes again for the rest.
const PACKETS_IN_A_TURN: usize = 64;

impl Keeper {
    /// Another host announced one of our addresses, or asked for it.
    pub(super) fn hear_arp(&mut self, token: u64) {
        let Ok(id) = PortId::try_from(token) else {
            return;
        };
        for _ in 0..PACKETS_IN_A_TURN {
            let Some(entry) = self.ports.get(&id) else {
                return;
            };
            let heard = entry.arp.as_ref().and_then(|listener| listener.recv().ok().flatten());
            let Some(Heard { address, mac, claim }) = heard else {
                return;
            };
            if entry.mac != Some(mac)
                && let Some(slot) = self.member_of(id, address)
            {
                // The latest state counts: the claim may be why it has changed.
                self.carry_out();
                self.tell_claim(slot, claim);
            }
        }
    }

    fn tell_claim(&mut self, id: SlotId, claim: Claim) {
        if self.members.get_mut(&id).is_some_and(|member| member.heeds(clock::now(), claim)) {
            self.orders.send(match claim {
                Claim::Has => Order::SuccessorAnnounced(id),
                Claim::Probes => Order::Probed(id),
            });
        }
    }
}
