//! When this machine itself stood still, so that lateness proves nothing.

use std::sync::{Condvar, Mutex, Once, PoisonError};
use std::time::Duration;

use lab::{INSTRUMENT_PRIORITY, Stamp, round_robin, sleep_until};

const TICK: Duration = Duration::from_millis(5);
/// A real-time thread is not this late unless the machine stands still.
const STALL: Duration = Duration::from_millis(4);

#[derive(Debug)]
struct Watch {
    /// Nothing is known of what comes after this.
    until: Stamp,
    stalls: Vec<(Stamp, Stamp)>,
}

static WATCH: Mutex<Watch> = Mutex::new(Watch { until: Stamp::from_nanos(0), stalls: Vec::new() });
static TICKED: Condvar = Condvar::new();

/// Watches for as long as this process lives.
pub fn watch() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        std::thread::spawn(|| {
            // Refused, a busy machine looks like one that stands still.
            let _ = round_robin(INSTRUMENT_PRIORITY);
            loop {
                let due = Stamp::now() + TICK;
                sleep_until(due);
                let woken = Stamp::now();
                let mut watch = WATCH.lock().unwrap_or_else(PoisonError::into_inner);
                watch.until = woken;
                if woken - due > STALL {
                    watch.stalls.push((due, woken));
                }
                drop(watch);
                TICKED.notify_all();
            }
        });
    });
}

/// How long the machine has stood still since then.
pub fn since(from: Stamp) -> Duration {
    let to = Stamp::now();
    let watch = WATCH.lock().unwrap_or_else(PoisonError::into_inner);
    let not_yet = |watch: &mut Watch| watch.until <= to;
    let watch = TICKED.wait_while(watch, not_yet).unwrap_or_else(PoisonError::into_inner);
    let stalls = watch.stalls.iter().filter(|(_, end)| *end > from);
    stalls.map(|(start, end)| *end - *start).sum()
}
