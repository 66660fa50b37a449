//! What other hosts say about our addresses by ARP and neighbour discovery.

use super::Keeper;
use crate::Mac;
use crate::linux::clock;
use crate::linux::messages::{Order, PortId, SlotId};
use crate::linux::neighbour::{Claim, Heard};

/// Packets read in one turn: epoll comes again for the rest.
const PACKETS_IN_A_TURN: usize = 64;

impl Keeper {
    /// Another host announced one of our addresses, or asked for it.
    pub(super) fn hear_claims(&mut self, port: PortId) {
        for _ in 0..PACKETS_IN_A_TURN {
            let Some(entry) = self.ports.get(port) else {
                return;
            };
            let heard = entry.listener.as_ref().and_then(|listener| listener.recv().ok().flatten());
            let Some(Heard { address, mac, claim }) = heard else {
                return;
            };
            // Our own frames are not heard, but a switch may send one back. From a virtual MAC
            // address it may as well be the successor's, who has the same.
            if entry.mac == Some(mac) {
                continue;
            }
            if let Some(id) = self.roster.current_with_address(port, address) {
                // The latest state counts: the claim may be why it has changed.
                self.carry_out();
                self.tell_claim(id, claim);
                self.judge_claim(id, address, Mac::new(mac), claim == Claim::Has);
            }
        }
    }

    fn tell_claim(&mut self, id: SlotId, claim: Claim) {
        if self.roster.get_mut(id).is_some_and(|member| member.heeds(clock::now(), claim)) {
            self.orders.send(match claim {
                Claim::Has => Order::SuccessorAnnounced(id),
                Claim::Probes => Order::Probed(id),
            });
        }
    }
}
