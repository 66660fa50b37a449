//! Far more malformed adverts than adverts: 20,000 a second.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lab::inject::{AdvertFrame, Injector};
use lab::{Keep, Stamp, sleep_until};

use crate::rig::{Rig, Setup, V4, V6_VIRTUAL, Variant, among, poll, regular};

const RATE: u32 = 20_000;
const LASTS: Duration = Duration::from_secs(2);
const BURST: u32 = 20;
/// The two between which code may differ most; a flood each is enough for a small machine.
const FLOODED: [Variant; 2] = [V4, V6_VIRTUAL];

/// Malformed adverts at [`RATE`], until it is dropped or [`LASTS`] is over.
struct Flood {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<u32>>,
}

impl Flood {
    fn start(rig: &Rig) -> Self {
        let right = rig.greater(255);
        let frames: Vec<Vec<u8>> = [
            AdvertFrame { ttl: 254, ..right.clone() },
            AdvertFrame { version: 2, ..right.clone() },
            AdvertFrame { vrid: 52, ..right.clone() },
            AdvertFrame { interval: 0, ..right.clone() },
            AdvertFrame { count: Some(200), ..right },
        ]
        .iter()
        .map(AdvertFrame::bytes)
        .collect();
        let injector: Arc<Injector> = rig.injector();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let (start, mut sent) = (Stamp::now(), 0);
            let mut frames = frames.iter().cycle();
            while sent < RATE * u32::try_from(LASTS.as_secs()).unwrap()
                && !stopped.load(Ordering::Relaxed)
            {
                for frame in frames.by_ref().take(usize::try_from(BURST).unwrap()) {
                    injector.send(frame).unwrap();
                }
                sent += BURST;
                sleep_until(start + Duration::from_secs(1) * sent / RATE);
            }
            sent
        });
        Self { stop, thread: Some(thread) }
    }

    /// Waits for its end; how many were sent.
    fn end(mut self) -> u32 {
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn setup(variant: Variant) -> Setup {
    Setup { keep: Keep::Incoming, ..variant.setup() }
}

fn dropped(rig: &Rig, reason: &str) -> u64 {
    rig.status()["dropped"]["eth0"][reason].as_u64().unwrap()
}

/// The kernel drops most of it, and that is counted; afterwards each packet is again.
#[test]
fn in_a_flood_the_filter_tightens_a_valid_peer_is_heard_and_adverts_are_on_time() {
    among(&FLOODED, |variant| {
        let rig = setup(variant).start();
        let start = rig.freshly_active();
        let flood = Flood::start(&rig);
        let lower = rig.smaller(100);
        for _ in 0..10 {
            std::thread::sleep(rig.setup.interval() * 3 / 2);
            let asked = Stamp::now();
            rig.injector().send(&lower.bytes()).unwrap();
            let answer = rig.advert(asked);
            assert!(answer.at - asked < rig.setup.half(), "after {:?}", answer.at - asked);
        }
        let end = Stamp::now();
        let sent = flood.end();
        // One at each time of the schedule, whatever came between.
        let times: Vec<Stamp> = rig.sent(start.at).iter().map(|it| it.at).collect();
        let mut due = start.at;
        while due + rig.setup.interval() < end {
            due = due + rig.setup.interval();
            let near = |at: &Stamp| at.millis_since(due).abs() < 20.0;
            assert!(times.iter().any(near), "none was sent at {due}");
        }
        let router = rig.router();
        assert_eq!(router["state"], "Active");
        assert_eq!(router["last_transition"]["cause_code"], "active_down");
        let filtered = dropped(&rig, "filtered");
        assert!(filtered > 0 && filtered < u64::from(sent) * 2, "{filtered} of {sent}");

        // Relaxed, it counts each packet under its reason.
        let wrong = AdvertFrame { ttl: 254, ..rig.greater(255) };
        poll("the filter to be relaxed", || {
            let before = dropped(&rig, "ttl");
            rig.injector().send(&wrong.bytes()).unwrap();
            std::thread::sleep(Duration::from_millis(50));
            (dropped(&rig, "ttl") == before + 1).then_some(())
        });
    });
}

/// A Backup hears its Active through the flood, and misses it when it falls silent.
#[test]
fn in_a_flood_a_backup_hears_its_active_and_misses_it_when_it_is_gone() {
    among(&FLOODED, |variant| {
        let mut rig = setup(variant).cable();
        let feed = rig.feed(&[rig.greater(210)], rig.setup.half());
        rig.start();
        rig.state("Backup");
        let flood = Flood::start(&rig);
        std::thread::sleep(Duration::from_millis(1200));
        rig.silent(Stamp::from_nanos(0));
        feed.end();
        let silent = Stamp::now();
        let taken = rig.advert(silent);
        let late = rig.setup.active_down(rig.setup.interval()) + rig.setup.interval();
        assert!(taken.at - silent < late, "after {:?}", taken.at - silent);
        flood.end();
        let times: Vec<Stamp> = rig.sent(taken.at).iter().map(|it| it.at).collect();
        regular(&times, rig.setup.interval());
        rig.state("Active");
    });
}
