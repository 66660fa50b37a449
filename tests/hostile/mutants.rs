//! Adverts with bytes changed at random, judged by an oracle.

use std::time::Duration;

use lab::inject::AdvertFrame;
use lab::{Keep, Stamp, sleep_until};
use serde_json::Value;

use crate::oracle::{Verdict, judge};
use crate::rig::{Rig, Setup, Variant, matrix, on_time, poll, regular};

const MUTANTS: usize = 25_000;
/// Slower than a flood, of which not each would be counted.
const BURST: usize = 5;
const PACE: Duration = Duration::from_millis(3);

/// Mutants of a seed (SplitMix64).
struct Source(u64);

impl Source {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut it = self.0;
        it = (it ^ it >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        it = (it ^ it >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        it ^ it >> 31
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound).unwrap()).unwrap()
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    /// A message with some bytes changed, maybe cut or longer, maybe with the checksum put right.
    fn mutant(&mut self, right: &AdvertFrame) -> (AdvertFrame, Vec<u8>) {
        let mut frame = right.clone();
        if self.below(50) == 0 {
            frame.ttl = self.byte();
        }
        let mut message = frame.message();
        for _ in 0..=self.below(4) {
            let at = self.below(message.len());
            message[at] = match self.below(4) {
                0 => message[at] ^ 1 << self.below(8),
                1 => [0, 1, 0x7f, 0x80, 0xff][self.below(5)],
                _ => self.byte(),
            };
        }
        match self.below(12) {
            0 => message.truncate(self.below(message.len() + 1)),
            1 => {
                let more = self.below(1300);
                message.extend((0..more).map(|_| self.byte()));
            }
            _ => {}
        }
        if self.below(3) > 0 && message.len() >= 8 {
            put_right(&frame, &mut message);
        }
        (frame, message)
    }
}

/// Puts the checksum right for its family.
fn put_right(frame: &AdvertFrame, message: &mut [u8]) {
    message[6..8].fill(0);
    let fixed = AdvertFrame {
        version: message[0] >> 4,
        kind: message[0] & 0x0f,
        vrid: message[1],
        priority: message[2],
        count: Some(message[3]),
        reserved: message[4] >> 4,
        interval: u16::from_be_bytes([message[4] & 0x0f, message[5]]),
        addresses: Vec::new(),
        trailing: message[8..].to_vec(),
        ..frame.clone()
    };
    message.copy_from_slice(&fixed.message());
}

/// Resident memory of a process in KiB.
fn resident(pid: &Value) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// What the daemon has counted.
struct Counted {
    /// Packets that were looked at and discarded.
    dropped: u64,
    /// An estimate of those that the kernel was told to discard unseen.
    filtered: u64,
    /// Adverts taken.
    received: u64,
}

fn counted(rig: &Rig) -> Counted {
    let status = rig.status();
    let reasons = status["dropped"]["eth0"].as_object().unwrap();
    let all: u64 = reasons.values().filter_map(Value::as_u64).sum();
    let filtered = reasons["filtered"].as_u64().unwrap();
    let received = status["virtual_routers"][0]["adverts_received"].as_u64().unwrap();
    Counted { dropped: all - filtered, filtered, received }
}

/// Sends mutants that `harmless` lets through, judged; how many are to be discarded and to be taken.
fn send(rig: &Rig, seed: u64, right: &AdvertFrame, harmless: impl Fn(u8) -> bool) -> (u64, u64) {
    let mut source = Source(seed);
    let injector = rig.injector();
    let (mut wrong, mut taken) = (0, 0);
    let start = Stamp::now();
    let mut sent = 0;
    while sent < MUTANTS {
        let (frame, message) = source.mutant(right);
        match judge(&frame, &message) {
            Verdict::Wrong => wrong += 1,
            Verdict::Counts(priority) if !harmless(priority) => continue,
            Verdict::Counts(_) => taken += 1,
        }
        injector.send(&frame.carrying(&message)).unwrap();
        sent += 1;
        if sent % BURST == 0 {
            sleep_until(start + PACE * u32::try_from(sent / BURST).unwrap());
        }
    }
    (wrong, taken)
}

fn setup(variant: Variant) -> Setup {
    Setup { priority: 254, keep: Keep::Incoming, mtu: 2000, ..variant.setup() }
}

/// RFC 9568, 6.4.3 and 7.1: what is to be discarded has no effect, what counts and loses is
/// answered, each is counted once, and nothing grows.
#[test]
fn an_active_survives_mutants_and_counts_them() {
    matrix(|variant| {
        let rig = setup(variant).start();
        rig.active();
        let right = rig.smaller(100);
        // Whatever is allocated once.
        rig.injector().send(&AdvertFrame { ttl: 1, ..right.clone() }.bytes()).unwrap();
        poll("the first to be counted", || (counted(&rig).dropped == 1).then_some(()));
        let before = rig.status();
        let pids = [before["pid"].clone(), before["vrrp"]["pid"].clone()];
        let memory = pids.clone().map(|pid| resident(&pid));
        let known = counted(&rig);

        let (wrong, taken) = send(&rig, 1, &right, |priority| priority < 255);
        assert!(wrong > 10_000 && taken > 1000, "{wrong} wrong, {taken} right");
        poll("all to be counted", || {
            let now = counted(&rig);
            let seen = now.dropped - known.dropped;
            assert!(seen <= wrong, "{seen} discarded of {wrong}");
            // A machine that is busy elsewhere gets them at once: then they are a flood, and the
            // filter may take its part of the wrong ones, but never a right one.
            let is_complete = seen == wrong || now.filtered > known.filtered;
            (is_complete && now.received == known.received + taken).then_some(())
        });
        let after = rig.status();
        assert_eq!([after["pid"].clone(), after["vrrp"]["pid"].clone()], pids);
        let router = |status: &Value| status["virtual_routers"][0].clone();
        assert_eq!(router(&after)["state"], "Active");
        assert_eq!(router(&after)["last_transition"], router(&before)["last_transition"]);
        for (pid, before) in pids.iter().zip(memory) {
            let after = resident(pid);
            assert!(after <= before + 2048, "{before} KiB became {after}");
        }
        // And on time as ever.
        let start = rig.freshly_active().at;
        rig.advert(start + rig.setup.interval() * 5);
        let times: Vec<Stamp> = rig.sent(start).iter().map(|it| it.at).collect();
        regular(&times, rig.setup.interval());
    });
}

/// RFC 9568, 6.4.2 and 7.1: neither what is to be discarded nor a lower priority has an effect.
#[test]
fn a_backup_survives_mutants_and_takes_over_afterwards() {
    matrix(|variant| {
        let mut rig = setup(variant).cable();
        let feed = rig.feed(&[rig.greater(255)], rig.setup.half() / 2);
        rig.start();
        rig.state("Backup");
        let right = rig.smaller(253);
        send(&rig, 2, &right, |priority| priority > 0 && priority < 254);
        rig.silent(Stamp::from_nanos(0));
        rig.state("Backup");
        feed.end();
        // The last word counts, and its interval.
        rig.injector().send(&rig.greater(255).bytes()).unwrap();
        rig.active();
        rig.has_vips(true);
    });
}

/// RFC 9568, 6.4.3: the oracle's other half: what counts and wins does win.
#[test]
fn a_mutant_that_wins_makes_an_active_a_backup() {
    matrix(|variant| {
        let rig = variant.setup().start();
        let mut source = Source(3);
        let right = AdvertFrame { interval: 20, ..rig.smaller(255) };
        for _ in 0..3 {
            rig.active();
            let wins = |(frame, message): &(AdvertFrame, Vec<u8>)| {
                judge(frame, message) == Verdict::Counts(255)
                    && message[4] & 0x0f == 0
                    && (10..40).contains(&message[5])
            };
            let (frame, message) =
                std::iter::repeat_with(|| source.mutant(&right)).find(wins).unwrap();
            let heard = rig.send_bytes(&frame.carrying(&message));
            let learned = Duration::from_millis(10) * u32::from(message[5]);
            let taken = rig.advert(heard + Duration::from_millis(2));
            let wait = rig.setup.active_down(learned);
            on_time("takeover", heard, wait, taken.at, rig.setup.half());
        }
    });
}
