//! Packets that were right once: seeded, so that a failure can be had again.

use core::net::IpAddr;

use vrrp::time::Centis;
use vrrp::wire::{ChecksumForm, MAX_LEN, Outgoing, group};
use vrrp::{Family, Priority, Vrid};

use crate::repair;

/// A generator of 64-bit numbers (splitmix64).
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 0 to `n` - 1.
    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n as u64).unwrap()
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    fn address(&mut self, family: Family) -> IpAddr {
        let [high, low] = [self.next(), self.next()];
        match family {
            Family::Ipv4 => <[u8; 4]>::try_from(&high.to_be_bytes()[..4]).unwrap().into(),
            Family::Ipv6 => <[u8; 16]>::try_from([high.to_be_bytes(), low.to_be_bytes()].concat())
                .unwrap()
                .into(),
        }
    }

    fn form(&mut self) -> ChecksumForm {
        if self.one_in(2) { ChecksumForm::Rfc9568 } else { ChecksumForm::PseudoHeader }
    }
}

/// Bytes at the edges of what fields may hold.
const EDGES: [u8; 12] = [0x00, 0x01, 0x0f, 0x10, 0x21, 0x31, 0x32, 0x45, 0x70, 0x7f, 0x80, 0xff];

/// A whole packet of `family`, mutated one to four times; half of them then get a right checksum,
/// so that what is behind that rule is reached too.
pub fn packet(rng: &mut Rng, family: Family) -> Vec<u8> {
    let mut packet = sound(rng, family);
    for _ in 0..=rng.below(4) {
        mutate(rng, &mut packet);
    }
    if rng.one_in(2) {
        let form = rng.form();
        repair::total_length(family, &mut packet);
        repair::checksum(family, form, &mut packet);
    }
    packet
}

fn sound(rng: &mut Rng, family: Family) -> Vec<u8> {
    let count = if rng.one_in(50) { 1 + rng.below(255) } else { 1 + rng.below(4) };
    let addresses: Vec<_> = (0..count).map(|_| rng.address(family)).collect();
    let centis = if rng.one_in(2) { 1 + rng.below(4095) } else { 100 };
    let outgoing = Outgoing {
        vrid: Vrid::new(rng.byte().max(1)).unwrap(),
        priority: Priority::new(rng.byte()),
        interval: Centis::new(u16::try_from(centis).unwrap()).unwrap(),
        addresses: &addresses,
        checksum: rng.form(),
    };
    let destination = if rng.one_in(4) { rng.address(family) } else { group(family) };
    let mut buffer = [0; MAX_LEN];
    outgoing.encode(rng.address(family), destination, &mut buffer).to_vec()
}

fn mutate(rng: &mut Rng, packet: &mut Vec<u8>) {
    if packet.is_empty() {
        packet.push(rng.byte());
    }
    // Most of what matters is in the first bytes.
    let near = packet.len().min(64);
    let reach = if rng.one_in(4) { packet.len() } else { near };
    let at = rng.below(reach);
    match rng.below(8) {
        0 | 1 => packet[at] ^= 1 << rng.below(8),
        2 | 3 => packet[at] = EDGES[rng.below(EDGES.len())],
        4 => packet[at] = rng.byte(),
        5 => packet.truncate(rng.below(packet.len() + 1)),
        6 => {
            let tail = rng.below(40);
            packet.extend((0..tail).map(|_| rng.byte()));
        }
        _ => {
            let end = at + rng.below(packet.len() - at);
            let piece = packet[at..end].to_vec();
            let to = rng.below(packet.len());
            packet.splice(to..to, piece);
        }
    }
}
